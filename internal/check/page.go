package check

import (
	"bytes"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
)

// page is a response's body as parsed by a browser with scripting on.
type page struct {
	root    *html.Node
	tags    []tag
	tooDeep bool // it could not be parsed; root is empty
}

// tag is a script element of the deflector.
type tag struct {
	node   *html.Node
	named  bool   // its src has the deflector's file name
	place  string // "head" or "body"
	line   int    // from 1; 0 if the place in the source is not known
	offset int    // bytes before it
}

// readPage parses a body and finds the deflector's tags: scripts that load a file with
// its name, and scripts with its selectors.
func readPage(body []byte, d Deflector) *page {
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil { // the parser gives up on elements nested 512 deep
		return &page{root: &html.Node{Type: html.DocumentNode}, tooDeep: true}
	}
	p := &page{root: root}
	for n := range p.elements() {
		if n.DataAtom == atom.Script && d.isTag(n.Attr) {
			src, _ := attribute(n.Attr, "src")
			p.tags = append(p.tags, tag{node: n, named: d.isFile(src), place: placeOf(n)})
		}
	}
	p.locate(body, d)
	return p
}

// locate finds the tags in the source.
func (p *page) locate(body []byte, d Deflector) {
	var offsets []int
	z := html.NewTokenizer(bytes.NewReader(body))
	offset, templates := 0, 0
	for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
		start := offset
		offset += len(z.Raw())
		if kind != html.StartTagToken && kind != html.EndTagToken {
			continue
		}
		switch token := z.Token(); {
		case token.DataAtom == atom.Template && kind == html.StartTagToken:
			templates++
		case token.DataAtom == atom.Template:
			templates = max(templates-1, 0)
		case token.DataAtom == atom.Script && kind == html.StartTagToken && templates == 0 && d.isTag(token.Attr):
			offsets = append(offsets, start)
		}
	}
	if len(offsets) != len(p.tags) {
		return // the parser has moved or dropped some: better no place than a wrong one
	}
	for i, offset := range offsets {
		p.tags[i].offset = offset
		p.tags[i].line = 1 + bytes.Count(body[:offset], []byte("\n"))
	}
}

// elements returns the elements that document.querySelector can find, in order. It
// cannot find those in templates.
func (p *page) elements() func(yield func(*html.Node) bool) {
	var walk func(*html.Node, func(*html.Node) bool) bool
	walk = func(n *html.Node, yield func(*html.Node) bool) bool {
		if n.Type == html.ElementNode && !yield(n) {
			return false
		}
		if n.DataAtom == atom.Template {
			return true
		}
		for child := n.FirstChild; child != nil; child = child.NextSibling {
			if !walk(child, yield) {
				return false
			}
		}
		return true
	}
	return func(yield func(*html.Node) bool) { walk(p.root, yield) }
}

// first returns the first element with one of these names, nil if there is none.
func (p *page) first(names ...atom.Atom) *html.Node {
	for n := range p.elements() {
		if slices.Contains(names, n.DataAtom) {
			return n
		}
	}
	return nil
}

// base returns the base URL of the page for its element n, or for the end of the page
// if n is nil. It knows only the page's source, not its scripts.
func (p *page) base(address *url.URL, n *html.Node) *url.URL {
	for e := range p.elements() {
		if e == n {
			break
		}
		if href, ok := attribute(e.Attr, "href"); ok && e.DataAtom == atom.Base {
			// HTML, "The base element": browsers ignore these
			if u, err := address.Parse(strings.TrimSpace(href)); err == nil && u.Scheme != "data" && u.Scheme != "javascript" {
				return u
			}
			break // only the first one counts
		}
	}
	return address
}

// frameAddress returns the address of the page's first frame, "" if it has none.
func (p *page) frameAddress() string {
	for n := range p.elements() {
		if n.DataAtom == atom.Iframe || n.DataAtom == atom.Frame {
			if src, _ := attribute(n.Attr, "src"); src != "" && src != "about:blank" {
				return src
			}
		}
	}
	return ""
}

// asksForPassword reports whether the page has a password field.
func (p *page) asksForPassword() bool {
	for n := range p.elements() {
		if kind, _ := attribute(n.Attr, "type"); n.DataAtom == atom.Input && strings.EqualFold(kind, "password") {
			return true
		}
	}
	return false
}

// fewWords is the number of bytes of text below which a body counts as almost empty:
// "Loading", a spinner's label, a hint that JavaScript is needed.
const fewWords = 200

// isShell reports whether the body is almost empty, and the page has other scripts
// than the deflector's, which may draw it.
func (p *page) isShell() bool {
	scripts, text := -len(p.tags), 0
	for n := range p.elements() {
		if n.DataAtom == atom.Script {
			scripts++
		}
	}
	var count func(*html.Node)
	count = func(n *html.Node) {
		switch n.DataAtom {
		case atom.Head, atom.Script, atom.Style, atom.Noscript, atom.Template:
			return
		}
		if n.Type == html.TextNode {
			text += len(strings.Join(strings.Fields(n.Data), " "))
		}
		for child := n.FirstChild; child != nil; child = child.NextSibling {
			count(child)
		}
	}
	count(p.root)
	return text < fewWords && scripts > 0
}

func placeOf(n *html.Node) string {
	if ancestor(n, atom.Head) != nil {
		return "head"
	}
	return "body"
}

// ancestor returns the nearest ancestor of n with this name, nil if there is none.
func ancestor(n *html.Node, name atom.Atom) *html.Node {
	for n = n.Parent; n != nil; n = n.Parent {
		if n.DataAtom == name {
			return n
		}
	}
	return nil
}

func attribute(attrs []html.Attribute, name string) (value string, ok bool) {
	for _, a := range attrs {
		if a.Key == name && a.Namespace == "" {
			return a.Val, true
		}
	}
	return "", false
}

// isTag reports whether a script element with these attributes is the
// deflector's.
func (d Deflector) isTag(attrs []html.Attribute) bool {
	src, ok := attribute(attrs, "src")
	return ok && d.isFile(src) || slices.ContainsFunc(attrs, func(a html.Attribute) bool {
		return isSelectorName(a.Key) && slices.Contains(d.Required, a.Key)
	})
}

// isFile reports whether a script's path ends with the deflector's file name, or with
// that of a version.
func (d Deflector) isFile(src string) bool {
	u, err := url.Parse(strings.TrimSpace(src))
	return err == nil && head.IsVersion(path.Base(u.Path), d.ScriptFile)
}

func isSelectorName(attribute string) bool {
	return strings.HasPrefix(attribute, "data-") && strings.HasSuffix(attribute, "-query-selector")
}
