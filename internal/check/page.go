package check

import (
	"bytes"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
)

// page is a response's body as parsed by a browser with scripting on.
type page struct {
	*dom.Page
	tags   []tag
	loader *loaderScript // nil if there is none
}

// tag is a script element of the deflector.
type tag struct {
	node   *html.Node
	named  bool   // its src has the deflector's file name
	place  string // "head", "body" or "loader"
	line   int    // from 1; 0 if the place in the source is not known
	offset int    // bytes before it
}

// readPage parses a response's body and finds the deflector's tags: scripts that load a file with
// its name, and scripts with its selectors.
func readPage(a *Response, d Deflector) *page {
	p := &page{Page: a.page()}
	p.loader = findLoader(p.Page)
	for n := range p.Elements {
		if n.DataAtom == atom.Script && d.isTag(n.Attr) {
			p.tags = append(p.tags, tag{node: n, named: d.isFile(dom.Value(n, "src")), place: dom.Place(n)})
		}
	}
	p.locate(a.Body, d)
	return p
}

// locate finds the tags in the source.
func (p *page) locate(body []byte, d Deflector) {
	if len(p.tags) == 0 {
		return
	}
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

// frameAddress returns the address of the page's first frame, "" if it has none.
func (p *page) frameAddress() string {
	_, address := p.Frame()
	return address
}

// isTag reports whether a script element with these attributes is the
// deflector's.
func (d Deflector) isTag(attrs []html.Attribute) bool {
	src, ok := dom.Find(attrs, "src")
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

// HasTag reports whether a page has a tag of Kapa's deflector, or the loader.
func HasTag(a *Response) bool {
	p := readPage(a, Kapa)
	return len(p.tags) > 0 || p.loader != nil
}
