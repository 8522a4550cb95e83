// Package framework finds out by which framework a page is taken over in the browser.
package framework

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

// A Kind says what a framework does to the page.
type Kind uint8

// The kinds.
const (
	// Navigates replaces the page's body when the visitor follows a link, so that the
	// next page is no new document.
	Navigates Kind = iota + 1

	// Hydrates does so too, and takes the elements of the page's source for its own.
	// It may replace them by new ones, if they are not as it expects them.
	Hydrates

	// Draws makes the page's body, or most of it.
	Draws
)

// Turbo is the name of the framework that the directive treats by itself.
const Turbo = "Turbo"

// A Framework is what was found.
type Framework struct {
	Name string
	Kind Kind
}

// A sign is something in a page's source by which a framework is known. One of the
// fields is set besides name and kind.
type sign struct {
	name string
	kind Kind

	address   *regexp.Regexp // of a script or a preloaded script
	inline    *regexp.Regexp // a script's content
	generator *regexp.Regexp
	attribute *regexp.Regexp // name="value" of any element
}

func re(expression string) *regexp.Regexp { return regexp.MustCompile(expression) }

// signs are looked for in this order. A framework that is built on another one stands
// before it.
var signs = []sign{
	{name: "VitePress", kind: Hydrates, generator: re(`(?i)^VitePress\b`)},
	{name: "VitePress", kind: Hydrates, inline: re(`__VP_(HASH_MAP|SITE_DATA)__`)},
	{name: "VuePress", kind: Hydrates, generator: re(`(?i)^VuePress\b`)},
	{name: "Docusaurus", kind: Hydrates, generator: re(`(?i)^Docusaurus\b`)},
	{name: "Docusaurus", kind: Hydrates, attribute: re(`^id="__docusaurus"$`)},
	{name: "Next.js", kind: Hydrates, inline: re(`\b__next_f\b`)},
	{name: "Next.js", kind: Hydrates, attribute: re(`^id="__(NEXT_DATA__|next)"$`)},
	{name: "Nuxt", kind: Hydrates, attribute: re(`^id="__(nuxt|NUXT_DATA__)"$`)},
	{name: "Nuxt", kind: Hydrates, inline: re(`window\.__NUXT__`)},
	{name: "Gatsby", kind: Hydrates, attribute: re(`^id="___gatsby"$`)},
	{name: "React Router", kind: Hydrates, inline: re(`window\.__(remix|reactRouter)Context`)},
	{name: "TanStack Start", kind: Hydrates, inline: re(`\$_TSR\b|__TSR_`)},
	{name: "SvelteKit", kind: Hydrates, inline: re(`\b__sveltekit_`)},
	{name: "SvelteKit", kind: Hydrates, attribute: re(`^data-sveltekit-`)},
	{name: "Angular", kind: Hydrates, attribute: re(`^ng-(server-context|version)=`)},
	{name: "Qwik", kind: Hydrates, attribute: re(`^q:container=`)},
	{name: "SolidStart", kind: Hydrates, inline: re(`_\$HY\b`)},
	{name: "Discourse", kind: Draws, generator: re(`^Discourse\b`)},
	{name: "Ember", kind: Draws, attribute: re(`^name="[\w-]+/config/environment"$`)},
	{name: "Inertia", kind: Hydrates, attribute: re(`^data-page="\{"component":`)},
	{name: "Vue", kind: Hydrates, attribute: re(`^data-server-rendered="true"$|^data-v-app=`)},
	{name: "React", kind: Hydrates, attribute: re(`^data-reactroot=`)},
	{name: "React", kind: Hydrates, inline: re(`\$RC\s*=\s*function|\$RC\(\s*"B:`)},
	{name: "Astro's client router", kind: Navigates, attribute: re(`^name="astro-view-transitions-enabled"$`)},
	{name: "Livewire", kind: Navigates, attribute: re(`^wire:navigate`)},
	{name: Turbo, kind: Navigates, attribute: re(`^data-turbo(-track|-permanent|-action)?=|^name="turbo-`)},
	{name: Turbo, kind: Navigates, address: re(`(?i)[/@]turbo(\.[\w-]+)*\.js|turbo-rails|hotwired/turbo`)},
	{name: "Turbolinks", kind: Navigates, attribute: re(`^data-turbolinks`)},
	{name: "htmx's boost", kind: Navigates, attribute: re(`^(data-)?hx-boost="true"$`)},
	{name: "Unpoly", kind: Navigates, attribute: re(`^up-(follow|target|layer|nav|main)=`)},
	{name: "pjax", kind: Navigates, attribute: re(`^data-pjax`)},
	{name: "Swup", kind: Navigates, attribute: re(`^data-swup|^id="swup"$`)},
	{name: "Barba", kind: Navigates, attribute: re(`^data-barba=`)},
}

// longest is how many bytes of a script's or an attribute's text are looked at.
const longest = 64 << 10

// Of returns the framework that does the most to a page. ok is false if the page shows
// none.
func Of(p *dom.Page) (found Framework, ok bool) {
	texts := gather(p)
	for _, s := range signs {
		if s.kind > found.Kind && s.isIn(texts) {
			found = Framework{s.name, s.kind}
		}
	}
	return found, found.Kind > 0
}

// texts are what signs are looked for in.
type texts struct {
	addresses, inline, attributes []string
	generator                     string
}

func gather(p *dom.Page) (t texts) {
	t.generator = p.Generator()
	for n := range p.Elements {
		for _, a := range n.Attr {
			t.attributes = append(t.attributes, a.Key+`="`+cut(a.Val)+`"`)
		}
		switch n.DataAtom {
		case atom.Script, atom.Link:
			t.addresses = append(t.addresses, cut(dom.Value(n, "src")+dom.Value(n, "href")))
			if content := content(n); content != "" {
				t.inline = append(t.inline, content)
			}
		}
	}
	return t
}

func content(n *html.Node) string {
	if n.DataAtom != atom.Script || n.FirstChild == nil {
		return ""
	}
	return cut(n.FirstChild.Data)
}

func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), longest)], "") }

func (s sign) isIn(t texts) bool {
	switch {
	case s.generator != nil:
		return s.generator.MatchString(t.generator)
	case s.address != nil:
		return slices.ContainsFunc(t.addresses, s.address.MatchString)
	case s.inline != nil:
		return slices.ContainsFunc(t.inline, s.inline.MatchString)
	default:
		return slices.ContainsFunc(t.attributes, s.attribute.MatchString)
	}
}

// Around returns the framework that takes over an element's part of the page. ok is false
// if there is none.
func Around(n *html.Node) (found Framework, ok bool) {
	for ; n != nil; n = n.Parent {
		if n.Data == "astro-island" { // https://docs.astro.build/en/concepts/islands/
			return Framework{"Astro", Hydrates}, true
		}
	}
	return Framework{}, false
}
