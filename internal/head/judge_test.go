package head_test

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
)

// bundle is the file name that the tests look for with HasScript.
const bundle = "kapa-support-form-deflector.bundle.js"

// A finding is all that a scanner says about a document.
type finding struct {
	anchor   int // the bytes before it, or noAnchor
	evidence bool
	amp      bool
	script   bool
	unusable bool
	charset  string
}

const noAnchor = -1

// scan feeds the input to a scanner in pieces of this size, and fails the test
// if the scanner breaks its promises on the way.
func scan(t testing.TB, input string, size int) finding {
	t.Helper()
	var s head.Scanner
	s.Reset(bundle)
	anchor := noAnchor
	piece := make([]byte, size)
	fed, sent := 0, 0 // bytes of the input fed, and those that could have been sent
	for fed < len(input) && anchor == noAnchor {
		n := copy(piece, input[fed:])
		off, done := s.Feed(piece[:n])
		clear(piece) // it must not keep any of it
		switch held := s.Held(); {
		case !done && off != 0:
			t.Fatalf("pieces of %d: off %d while not done", size, off)
		case done && (off > n || fed+off < sent):
			t.Fatalf("pieces of %d: off %d with %d bytes fed and %d held before", size, off, n, fed-sent)
		case done:
			anchor = fed + off
		case held < 0 || held > head.MaxHeld+1024 || fed+n-held < sent:
			t.Fatalf("pieces of %d: holds %d of %d bytes after %d were sent", size, held, fed+n, sent)
		default:
			sent = fed + n - held
		}
		fed += n
	}
	before := s.Held()
	off, ok := s.End()
	switch {
	case ok && anchor != noAnchor:
		t.Fatalf("pieces of %d: End after Feed was done: %d", size, off)
	case ok && (off > 0 || off < -before):
		t.Fatalf("pieces of %d: End says %d with %d bytes held", size, off, before)
	case !ok && off != 0:
		t.Fatalf("pieces of %d: End says no anchor, but %d", size, off)
	case ok:
		anchor = fed + off
	}
	found := finding{anchor, s.Evidence(), s.AMP(), s.HasScript(), s.Unusable(), s.Charset()}

	// A second anchor would be a second script.
	if off, done := s.Feed([]byte("</head>")); off != 0 || done {
		t.Fatalf("pieces of %d: Feed after the end: %d, %t", size, off, done)
	}
	if off, ok := s.End(); off != 0 || ok || s.Held() != 0 {
		t.Fatalf("pieces of %d: End after the end: %d, %t", size, off, ok)
	}
	return found
}

// scanAll scans the input in pieces of various sizes and whole. The findings
// must be the same.
func scanAll(t testing.TB, input string) finding {
	t.Helper()
	whole := scan(t, input, max(len(input), 1))
	for _, size := range []int{1, 2, 3, 7} {
		if got := scan(t, input, size); got != whole {
			t.Fatalf("pieces of %d: %+v, whole: %+v", size, got, whole)
		}
	}
	return whole
}

// inserted is what the tests put at the anchor.
const inserted = `<script id="9f2b7c" src="/deflector.js"></script>`

// checkInsertion puts an element at the anchor and lets a real parser judge: it
// must be a child of the head, and must change nothing else.
func checkInsertion(t testing.TB, input string, anchor int) {
	t.Helper()
	want, ok := parse(input)
	if !ok {
		return
	}
	got, ok := parse(input[:anchor] + inserted + input[anchor:])
	if !ok {
		t.Fatalf("no longer parsed with a script at %d", anchor)
	}
	script := find(got)
	switch {
	case script == nil:
		t.Fatalf("no script element comes of one at %d", anchor)
	case !isHead(script.Parent):
		t.Fatalf("the script at %d is not in the head:\n%s", anchor, excerpt(got))
	}
	script.Parent.RemoveChild(script)
	if g, w := tree(got), tree(want); g != w {
		t.Fatalf("a script at %d changes the document to\n%s\nfrom\n%s", anchor, excerpt(got), excerpt(want))
	}
}

// checkNoAnchor lets the parser judge a document without an anchor: its end must
// be inside a construct, so that a comment put there does not become a comment.
func checkNoAnchor(t testing.TB, input string) {
	t.Helper()
	doc, ok := parse(input + "<!--9f2b7c-->")
	if !ok || input == "" || mayHaveNone.MatchString(input) {
		return
	}
	for n := range doc.Descendants() {
		if n.Type == html.CommentNode && n.Data == "9f2b7c" {
			t.Fatalf("no anchor, but a place for a comment:\n%s", excerpt(doc))
		}
	}
}

// mayHaveNone finds documents that may have no anchor although the standard has
// a place for one: a reference is too long to be held, or a template that is not
// empty touches a comment.
var mayHaveNone = regexp.MustCompile(`&#[xX]?0{12}|(?i)><template[\s/>]`)

// parse returns the tree that a browser makes of the input. It is not ok if the
// parser gives up, as on elements nested too deep.
func parse(input string) (doc *html.Node, ok bool) {
	input = strings.TrimPrefix(input, "\uFEFF") // x/net takes it for text
	doc, err := html.ParseWithOptions(strings.NewReader(input), html.ParseOptionEnableScripting(true))
	return doc, err == nil
}

// netIsWrong finds documents on which x/net's parser is not to be trusted. It
// takes an escaped script for a plain one after a < that begins no tag, where
// 13.2.5.23 "script data escaped less-than sign state" goes back to escaped.
var netIsWrong = regexp.MustCompile(`(?is)<script.*<!--.*<[^/a-z]`)

// find returns the inserted element.
func find(doc *html.Node) *html.Node {
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "script" && n.Namespace == "" &&
			slices.Contains(n.Attr, html.Attribute{Key: "id", Val: "9f2b7c"}) {
			return n
		}
	}
	return nil
}

// isHead reports whether n is the document's head.
func isHead(n *html.Node) bool {
	is := func(n *html.Node, name string) bool {
		return n != nil && n.Type == html.ElementNode && n.Data == name && n.Namespace == ""
	}
	return is(n, "head") && is(n.Parent, "html") && n.Parent.Parent.Type == html.DocumentNode
}

// tree writes a document down in the notation of html5lib's tests.
func tree(doc *html.Node) string {
	var b strings.Builder
	for n := range doc.ChildNodes() {
		writeTree(&b, n, "| ")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func writeTree(b *strings.Builder, n *html.Node, indent string) {
	b.WriteString(indent)
	indent += "  "
	switch n.Type {
	case html.DoctypeNode:
		b.WriteString("<!DOCTYPE " + n.Data)
		if len(n.Attr) > 0 {
			var public, system string
			for _, a := range n.Attr {
				switch a.Key {
				case "public":
					public = a.Val
				case "system":
					system = a.Val
				}
			}
			fmt.Fprintf(b, ` "%s" "%s"`, public, system)
		}
		b.WriteString(">\n")
	case html.CommentNode:
		b.WriteString("<!-- " + n.Data + " -->\n")
	case html.TextNode:
		b.WriteString(`"` + n.Data + "\"\n")
	case html.ElementNode:
		b.WriteString("<" + qualified(n.Namespace, n.Data) + ">\n")
		attrs := slices.SortedFunc(slices.Values(n.Attr), func(x, y html.Attribute) int {
			return cmp.Compare(x.Key, y.Key)
		})
		for _, a := range attrs {
			b.WriteString(indent + qualified(a.Namespace, a.Key) + `="` + a.Val + "\"\n")
		}
		if n.Data == "template" && n.Namespace == "" {
			b.WriteString(indent + "content\n")
			indent += "  "
		}
	default:
		panic(fmt.Sprintf("a node of type %v in a tree", n.Type))
	}
	for child := range n.ChildNodes() {
		writeTree(b, child, indent)
	}
}

func qualified(namespace, name string) string {
	return strings.TrimPrefix(namespace+" "+name, " ")
}

// excerpt is the beginning of a document's tree, for messages.
func excerpt(doc *html.Node) string {
	const enough = 2000
	text := tree(doc)
	if len(text) > enough {
		text = text[:enough] + "..."
	}
	return text
}
