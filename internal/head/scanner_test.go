package head_test

import (
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
)

func TestZeroValue(t *testing.T) {
	var s head.Scanner
	if s.Held() != 0 || s.Evidence() || s.AMP() || s.HasScript() || s.Unusable() {
		t.Error("the zero value is not that of no input")
	}
	if off, ok := s.End(); off != 0 || ok {
		t.Errorf("no input has an anchor at %d", off)
	}

	s = head.Scanner{}
	s.TrustEncoding()
	off, done := s.Feed([]byte("<script src='/'></script><script src=''></script></head>"))
	if off != 49 || !done || s.HasScript() {
		t.Errorf("off %d, done %t, HasScript %t without a script to look for", off, done, s.HasScript())
	}
}

func TestReset(t *testing.T) {
	var s head.Scanner
	s.Reset("a.js")
	s.Feed([]byte("<html amp><script src=/a.js></script></head>"))
	if !s.Evidence() || !s.AMP() || !s.HasScript() {
		t.Fatal("nothing to forget")
	}
	s.Reset("b.js")
	var fresh head.Scanner
	fresh.Reset("b.js")
	if s != fresh {
		t.Error("not as new")
	}
	s.Feed([]byte("<script src=/b.js></script><li"))
	if !s.HasScript() || s.Held() != 3 {
		t.Error("not ready for use")
	}
}

// Feeding nothing changes nothing, wherever it happens.
func TestFeedNothing(t *testing.T) {
	const document = "\uFEFF<!doctype html>&#32;<head><title>x</title></head>"
	var s head.Scanner
	for i := range len(document) {
		held := s.Held()
		if off, done := s.Feed(nil); off != 0 || done || s.Held() != held {
			t.Fatalf("after %q: off %d, done %t, held %d", document[:i], off, done, s.Held())
		}
		if off, done := s.Feed([]byte(document[i : i+1])); done {
			if got := document[i+off:]; got != "</head>" {
				t.Errorf("anchor before %q", got)
			}
			return
		}
	}
	t.Error("no anchor")
}

// Only bytes that are still undecided are held.
func TestHeld(t *testing.T) {
	for _, test := range []struct{ document, held string }{
		{"", ""},
		{"\xEF", "\xEF"},
		{"\xEF\xBB", "\xEF\xBB"},
		{"\uFEFF", ""},
		{"\xFF", "\xFF"},
		{"<head> \n", ""},
		{"<head><", "<"},
		{"<head></", "</"},
		{"<head><s", "<s"},
		{"<head><noscript", "<noscript"},
		{"<head><noscript ", ""},
		{"<head><meta content='</head", ""},
		{"<head></h", "</h"},
		{"<head></head", "</head"},
		{"<head></heads", ""},
		{"<head></h1", ""},
		{"<head><!", ""},
		{"<head><!-- </head", ""},
		{"<head><?", ""},
		{"<head><title></titl", ""},
		{"<head><script><!--<script></script", ""},
		{"<head>&", "&"},
		{"<head>&NewLine", "&NewLine"},
		{"<head>&NewLine;", ""},
		{"<head>&#32", "&#32"},
		{"<head>&#32<", "<"},
		{"<head>&#00000000000032", "&#00000000000032"},
		{"<head>&#000000000000032", ""},
	} {
		var s head.Scanner
		if _, done := s.Feed([]byte(test.document)); done {
			t.Errorf("%q: done", test.document)
		}
		if got := test.document[len(test.document)-s.Held():]; got != test.held {
			t.Errorf("%q: %q is held", test.document, got)
		}
		if len(test.held) > head.MaxHeld {
			t.Errorf("%q is too long to be held", test.held)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	document := []byte(tagDense() + strings.Repeat("<p>", 1000))
	for _, size := range []int{1, 100, len(document)} {
		allocations := testing.AllocsPerRun(10, func() {
			var s head.Scanner
			s.Reset(bundle)
			feed(&s, document, size)
		})
		if allocations != 0 {
			t.Errorf("%v allocations in writes of %d bytes", allocations, size)
		}
	}
}
