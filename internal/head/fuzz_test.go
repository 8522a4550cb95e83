package head_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
)

// The fuzzers take very long to minimize what they find interesting unless they
// are told not to:
//
//	go test ./internal/head -fuzz '^FuzzInsertion$' -fuzztime 20m -fuzzminimizetime 10x

// Fuzzing with whole tokens gets deeper than with bytes: each byte of the input
// stands for one of these.
var vocabulary = []string{
	" ", "\n", "\t", "\f", "\r", "x", "a", "0", "1", "32", "\x00", "\x1b", "\u00A0", "é",
	"\uFEFF", "\xEF", "\xBB", "\xFE\xFF",
	"<", ">", "/", "=", "\"", "'", "!", "-", "--", "?", "&", "#", ";", "]", "[",
	"</", "/>", "<!", "<!-", "<!--", "-->", "--!>", "<!-->", "<!--->", "<?", "?>", "</>", "</ ",
	"<!doctype html>", "<!DOCTYPE", "<![CDATA[", "]]>",
	"<html", "<html>", "</html>", "<html lang=x>", "<html amp>", "<html ⚡>",
	"<head", "<head>", "</head>", "</head", "<HEAD class=x>", "<head/>", "<header>", "<head-x>",
	"<body", "<body>", "</body>", "<frameset>", "</br>", "<br>", "</p>", "<p>",
	"<base href=x>", "<basefont>", "<bgsound>", "<link rel=x>", "<meta charset=utf-8>", "<meta",
	"<title", "<title>", "</title>", "</title", "<title/>", "<titlex>",
	"<style", "<style>", "</style>", "<noframes>", "</noframes>", "<noscript>", "</noscript>",
	"<script", "<script>", "</script>", "</script", "</script/", "</SCRIPT>", "<script ", "<scriptx>", "script",
	"<script src=/" + bundle + ">", "src", "src=", bundle, "/" + bundle + "\"",
	"<template>", "</template>", "<!--$?--><template id=B:0>", "<!--/$-->", "<svg>", "</svg>", "<math>", "<table>", "<select>", "<textarea>",
	"<iframe>", "<plaintext>", "<xmp>", "<object>", "<a href=x>", "<div>", "</div>", "<noembed>",
	"&Tab;", "&NewLine;", "&Tab", "&New", "Line;", "&#", "&#32", "&#32;", "&#9", "&#x", "&#xA", "&#x20;",
	"&#0000000000", "&#00000000000000000032;", "&amp;", "&nbsp;", "&lt;", "&#60;",
	" a=b", " a=\"", " b='", "a", "b=", " amp", " =",
	"<meta http-equiv=Content-Security-Policy content=", " http-equiv='content-security-policy'", " content=\"", " content=x", " name=",
	"</aaaaaaaaaaaaaaaaaaaaaaaa>", "<aaaaaaaaaaaaaaaaaaaaaaaa>",
}

// words turns a fuzzer's bytes into a document.
func words(bytes []byte) string {
	var b strings.Builder
	for _, c := range bytes {
		b.WriteString(vocabulary[int(c)%len(vocabulary)])
	}
	return b.String()
}

// spell is the opposite, for seeds: it takes the longest words that fit, and
// leaves out text for which there is no word.
func spell(document string) []byte {
	var bytes []byte
	for document != "" {
		longest := -1
		for i, word := range vocabulary {
			if strings.HasPrefix(document, word) && (longest < 0 || len(word) > len(vocabulary[longest])) {
				longest = i
			}
		}
		if longest < 0 {
			document = document[1:]
			continue
		}
		bytes = append(bytes, byte(longest))
		document = document[len(vocabulary[longest]):]
	}
	return bytes
}

// addSeeds adds the short documents of the other tests as seeds, written down by
// encode.
func addSeeds(f *testing.F, encode func(string) []byte) {
	for _, test := range anchors {
		if document := strings.Replace(test.document, "|", "", 1); len(document) < 500 {
			f.Add(encode(document))
		}
	}
}

func asIs(document string) []byte { return []byte(document) }

// A scanner finds the same, however the input is cut up, and keeps its promises
// on the way.
func FuzzSplits(f *testing.F) {
	addSeeds(f, spell)
	f.Fuzz(func(t *testing.T, input []byte) {
		scanAll(t, words(input))
	})
}

func FuzzSplitsOfBytes(f *testing.F) {
	addSeeds(f, asIs)
	f.Fuzz(func(t *testing.T, input []byte) {
		scanAll(t, string(input))
	})
}

// What is inserted at an anchor is a child of the head, and changes no other
// node. Without an anchor, there is no place for it.
func FuzzInsertion(f *testing.F) {
	addSeeds(f, spell)
	f.Fuzz(func(t *testing.T, input []byte) {
		insertAndJudge(t, words(input))
	})
}

func FuzzInsertionInBytes(f *testing.F) {
	addSeeds(f, asIs)
	f.Fuzz(func(t *testing.T, input []byte) {
		insertAndJudge(t, string(input))
	})
}

// Random documents, always the same ones, stand in for the fuzzers in a usual
// test run.
func TestRandomDocuments(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		document := randomDocument(random)
		scanAll(t, document)
		insertAndJudge(t, document)
		if t.Failed() {
			t.Fatalf("%q", document)
		}
	}
}

// randomDocument makes a document of some words that leave the head open, and
// some that may end it.
func randomDocument(random *rand.Rand) string {
	var b strings.Builder
	var s head.Scanner
	for range random.IntN(30) {
		word := vocabulary[random.IntN(len(vocabulary))]
		next := s
		if _, done := next.Feed([]byte(word)); !done {
			s = next
			b.WriteString(word)
		}
	}
	for range random.IntN(5) {
		b.WriteString(vocabulary[random.IntN(len(vocabulary))])
	}
	return b.String()
}

func insertAndJudge(t *testing.T, document string) {
	found := scan(t, document, max(len(document), 1))
	switch {
	case found.unusable || netIsWrong.MatchString(document):
	case found.anchor == noAnchor:
		checkNoAnchor(t, document)
	default:
		checkInsertion(t, document, found.anchor)
		checkPolicies(t, document)
	}
}
