// Package dom is a page's tree as a browser with scripting on parses it, and what a
// selector finds in it.
package dom

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Page is a parsed page.
type Page struct {
	Root *html.Node

	// Unreadable says why the page was not parsed, "" if it was. Root is then empty.
	Unreadable string

	ids map[string]*html.Node // filled when it is first asked for
}

// parseTime is how long a page may take to parse. Ordinary ones take some milliseconds for
// each megabyte; for some, the parser needs time that grows with the square of their size.
const parseTime = 3 * time.Second

// Parse parses the source of a page. If that takes too long, it goes on until the program
// ends.
func Parse(source []byte) *Page {
	unreadable := func(why string) *Page { return &Page{Root: &html.Node{Type: html.DocumentNode}, Unreadable: why} }
	result := make(chan *Page, 1)
	go func() {
		root, err := html.Parse(bytes.NewReader(source))
		if err != nil { // it gives up there
			result <- unreadable("it nests its elements more than 512 deep")
			return
		}
		result <- &Page{Root: root}
	}()
	select {
	case p := <-result:
		return p
	case <-time.After(parseTime):
		return unreadable("it takes longer than " + parseTime.String() + " to parse")
	}
}

// Elements calls yield with the elements that document.querySelector can find, in
// order. It cannot find those in templates.
func (p *Page) Elements(yield func(*html.Node) bool) { Below(p.Root)(yield) }

// Below returns the elements in n, and n itself if it is an element, in order. What is
// in a template is left out, unless n is the template.
func Below(n *html.Node) func(yield func(*html.Node) bool) {
	var walk func(*html.Node, func(*html.Node) bool) bool
	walk = func(e *html.Node, yield func(*html.Node) bool) bool {
		if e.Type == html.ElementNode && !yield(e) {
			return false
		}
		if e.DataAtom == atom.Template && e != n {
			return true
		}
		for child := e.FirstChild; child != nil; child = child.NextSibling {
			if !walk(child, yield) {
				return false
			}
		}
		return true
	}
	return func(yield func(*html.Node) bool) { walk(n, yield) }
}

// First returns the first element with one of these names, nil if there is none.
func (p *Page) First(names ...atom.Atom) *html.Node {
	for n := range p.Elements {
		if slices.Contains(names, n.DataAtom) {
			return n
		}
	}
	return nil
}

// Title returns the text of the page's title, "" if it has none.
func (p *Page) Title() string {
	for n := range p.Elements {
		if n.DataAtom == atom.Title && Ancestor(n, atom.Svg) == nil {
			return Text(n)
		}
	}
	return ""
}

// Base returns the base URL of the page for its element n, or for the end of the page
// if n is nil. It knows only the page's source, not its scripts.
func (p *Page) Base(address *url.URL, n *html.Node) *url.URL {
	for e := range p.Elements {
		if e == n {
			break
		}
		if href, ok := Attribute(e, "href"); ok && e.DataAtom == atom.Base {
			// HTML, "The base element": browsers ignore these
			if u, err := address.Parse(strings.TrimSpace(href)); err == nil && u.Scheme != "data" && u.Scheme != "javascript" {
				return u
			}
			break // only the first one counts
		}
	}
	return address
}

// Frame returns the page's first frame that shows another page, nil if there is none,
// and that page's address.
func (p *Page) Frame() (n *html.Node, address string) {
	for n := range p.Elements {
		if n.DataAtom == atom.Iframe || n.DataAtom == atom.Frame {
			if src := strings.TrimSpace(Value(n, "src")); src != "" && src != "about:blank" {
				return n, src
			}
		}
	}
	return nil, ""
}

// AsksForPassword reports whether the page shows a password field.
func (p *Page) AsksForPassword() bool {
	for n := range p.Elements {
		if n.DataAtom == atom.Input && InputType(n) == "password" && !IsHidden(n) {
			return true
		}
	}
	return false
}

// fewWords is the number of bytes of text below which a body counts as almost empty:
// "Loading", a spinner's label, a hint that JavaScript is needed.
const fewWords = 200

// IsShell reports whether the body has almost no text, and the page has more than this
// number of scripts, which may draw it.
func (p *Page) IsShell(scripts int) bool {
	for n := range p.Elements {
		if n.DataAtom == atom.Script {
			scripts--
		}
	}
	return scripts < 0 && len(Text(p.Root)) < fewWords
}

// Scripts calls yield with the address and the content of each script of the page.
func (p *Page) Scripts(yield func(src, content string) bool) {
	for n := range p.Elements {
		if n.DataAtom != atom.Script {
			continue
		}
		content := ""
		if n.FirstChild != nil {
			content = n.FirstChild.Data
		}
		if !yield(Value(n, "src"), content) {
			return
		}
	}
}

// Place returns "head" or "body".
func Place(n *html.Node) string {
	if Ancestor(n, atom.Head) != nil {
		return "head"
	}
	return "body"
}

// Text returns the text that a visitor can read in n, with single spaces between its
// words.
func Text(n *html.Node) string {
	var words []string
	var read func(*html.Node)
	read = func(e *html.Node) {
		switch e.DataAtom {
		case atom.Head, atom.Script, atom.Style, atom.Noscript, atom.Template:
			if e != n {
				return
			}
		}
		if e.Type == html.TextNode {
			words = append(words, strings.Fields(e.Data)...)
		}
		for child := e.FirstChild; child != nil; child = child.NextSibling {
			read(child)
		}
	}
	read(n)
	return strings.Join(words, " ")
}

// Ancestor returns the nearest ancestor of n with this name, nil if there is none.
func Ancestor(n *html.Node, name atom.Atom) *html.Node {
	for n = n.Parent; n != nil; n = n.Parent {
		if n.DataAtom == name {
			return n
		}
	}
	return nil
}

// Attribute returns an attribute's value. ok is false if n does not have it.
func Attribute(n *html.Node, name string) (value string, ok bool) { return Find(n.Attr, name) }

// Value returns an attribute's value, "" if n does not have it.
func Value(n *html.Node, name string) string {
	value, _ := Attribute(n, name)
	return value
}

// Find returns the value of the attribute with this name. ok is false if there is none.
func Find(attrs []html.Attribute, name string) (value string, ok bool) {
	for _, a := range attrs {
		if a.Key == name && a.Namespace == "" {
			return a.Val, true
		}
	}
	return "", false
}

// Generator returns what the page says it was made with, "" if it does not say so.
func (p *Page) Generator() string {
	for n := range p.Elements {
		if n.DataAtom == atom.Meta && strings.EqualFold(Value(n, "name"), "generator") {
			return Value(n, "content")
		}
	}
	return ""
}
