package head_test

import (
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/corpus"
)

// The documents of html5lib's parser tests, and the trees that these demand.
func TestHTML5Lib(t *testing.T) {
	// Tests that x/net's parser fails, and that its own tests leave out as well:
	// a template in foreign content, and elements that copy another's content.
	isWrongInNet := func(input string) bool {
		return input == `<template><svg><foo><template><foreignObject><div></template><div>` ||
			strings.HasPrefix(input, `<select><button><selectedcontent></button>`)
	}
	var withAnchor, without, empty, unjudged int
	for _, test := range corpus.HTML5Lib(t) {
		t.Run(test.Name, func(t *testing.T) {
			doc, ok := parse(test.HTML)
			switch {
			case isWrongInNet(test.HTML):
				unjudged++
			case !ok:
				t.Fatal("not parsed")
			case tree(doc) != test.Tree:
				t.Errorf("%q is not parsed as html5lib demands:\n%s\n\n%s", test.HTML, tree(doc), test.Tree)
			}
			found := scanAll(t, test.HTML)
			switch {
			case test.HTML == "":
				empty++
			case found.anchor == noAnchor:
				without++
				checkNoAnchor(t, test.HTML)
			default:
				withAnchor++
				checkInsertion(t, test.HTML, found.anchor)
			}
		})
	}
	if withAnchor != 1419 || without != 139 || empty != 1 || unjudged != 5 {
		t.Errorf("%d with an anchor, %d without, %d empty; %d unjudged", withAnchor, without, empty, unjudged)
	}
}

func TestRealPages(t *testing.T) {
	pages := corpus.RealPages(t)
	if len(pages) != 134 {
		t.Errorf("%d pages", len(pages))
	}
	for _, page := range pages {
		t.Run(page.Name, func(t *testing.T) {
			t.Parallel()
			input := string(page.HTML)
			found := scanAll(t, input)
			switch {
			case found.anchor == noAnchor:
				t.Fatal("no anchor")
			case !found.evidence:
				t.Error("no evidence")
			case found.amp, found.script, found.unusable:
				t.Errorf("%+v", found)
			}
			checkInsertion(t, input, found.anchor)
		})
	}
}

func TestFragments(t *testing.T) {
	fragments := corpus.Fragments(t)
	if len(fragments) != 134 {
		t.Errorf("%d fragments", len(fragments))
	}
	for _, fragment := range fragments {
		if scanAll(t, string(fragment.HTML)).evidence {
			t.Errorf("%s: evidence", fragment.Name)
		}
	}
}

func TestEncodedPages(t *testing.T) {
	pages := corpus.EncodedPages(t)
	if len(pages) != 11 {
		t.Errorf("%d pages", len(pages))
	}
	for _, page := range pages {
		t.Run(page.Name, func(t *testing.T) {
			input := string(page.HTML)
			found := scanAll(t, input)
			if strings.HasPrefix(page.Name, "UTF-16") {
				if !found.unusable || found.anchor != 0 {
					t.Errorf("%+v", found)
				}
				return
			}
			if found.unusable || !found.evidence || !strings.HasPrefix(input[found.anchor:], "</head>") {
				t.Errorf("%+v", found)
			}
			checkInsertion(t, input, found.anchor)
		})
	}
}
