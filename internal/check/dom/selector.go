package dom

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A State is the result of a selector.
type State string

// The states.
const (
	Matches State = "matches"
	Nothing State = "nothing"
	Invalid State = "invalid"
	Untried State = "untried" // only a browser can tell
)

// Limits for the work that a page can cause.
const (
	longestSelector = 1024
	matchTime       = 2 * time.Second
)

// A Step is a part of a selector: a selector in CSS, and the operator of Kapa's that
// leads from its element into another tree, such as ifr>> into a frame; "" for the
// last part.
// https://docs.kapa.ai/integrations/support-form-deflector/guides/dom-boundaries
type Step struct{ Selector, Operator string }

// FrameOperator leads into a frame. Every other word in front of >> leads into a
// shadow root.
const FrameOperator = "ifr>>"

var operator = regexp.MustCompile(`\s(\w+>>)`)

// Steps returns the parts of a selector. A selector without Kapa's operators is one
// step.
func Steps(selector string) (steps []Step) {
	hidden := quoted.ReplaceAllStringFunc(selector, func(s string) string { return strings.Repeat("x", len(s)) })
	start := 0
	for start <= len(selector) {
		at := operator.FindStringSubmatchIndex(hidden[start:])
		if at == nil {
			break
		}
		steps = append(steps, Step{strings.TrimSpace(selector[start : start+at[2]]), selector[start+at[2] : start+at[3]]})
		start += at[3]
	}
	return append(steps, Step{Selector: strings.TrimSpace(selector[start:])})
}

// A Result is what a selector finds.
type Result struct {
	Found []*html.Node
	State State
	What  string     // is wrong with an invalid selector
	Host  *html.Node // the last frame or shadow host on the way; nil if there is none
}

// Query finds the elements that Kapa's script would find. It follows Kapa's operators
// into frames and shadow roots that stand in the page's source. A selector whose way
// leads through something that is not there is untried, because a script may make it.
func (p *Page) Query(selector string) (r Result) {
	steps := Steps(selector)
	for _, step := range steps {
		if what := wrong(step.Selector); what != "" {
			return Result{State: Invalid, What: what}
		}
	}
	var host *html.Node
	within := p
	for _, step := range steps {
		if within == nil {
			return Result{State: Untried, Host: host}
		}
		r = within.query(step.Selector)
		r.Host = host
		switch {
		case step.Operator == "":
			return r
		case r.State != Matches:
			return Result{State: Untried, Host: host}
		}
		host = r.Found[0]
		within = inside(host, step.Operator)
	}
	return r
}

// wrong says why browsers do not understand a selector, "" if they do.
func wrong(selector string) string {
	if what := notCSS(selector); what != "" {
		return what
	}
	if selector == "" {
		return "it is empty"
	}
	if _, err := cascadia.ParseGroup(selector); err != nil && len(selector) <= longestSelector && !beyondLibrary(selector) {
		return err.Error()
	}
	return ""
}

// inside returns what is in a frame or in a shadow root, nil if the page's source does
// not have it.
func inside(host *html.Node, operator string) *Page {
	if operator == FrameOperator {
		if source, ok := Attribute(host, "srcdoc"); ok && host.DataAtom == atom.Iframe {
			return Parse([]byte(source))
		}
		return nil
	}
	return ShadowRoot(host)
}

// ShadowRoot returns the shadow root that the page's source declares for an element,
// nil if there is none (https://html.spec.whatwg.org/#attr-template-shadowrootmode).
func ShadowRoot(host *html.Node) *Page {
	for child := host.FirstChild; child != nil; child = child.NextSibling {
		if mode, ok := Attribute(child, "shadowrootmode"); ok && child.DataAtom == atom.Template && strings.EqualFold(mode, "open") {
			return &Page{Root: child}
		}
	}
	return nil
}

// Hidden returns the frame or the shadow host in which a selector, which matches
// nothing in the page itself, finds something; nil if there is none.
func (p *Page) Hidden(selector string) *html.Node {
	for n := range p.Elements {
		within := inside(n, FrameOperator)
		if within == nil {
			within = ShadowRoot(n)
		}
		if within != nil && within.query(selector).State == Matches {
			return n
		}
	}
	return nil
}

func (p *Page) query(selector string) Result {
	group, err := cascadia.ParseGroup(selector)
	if err != nil || len(selector) > longestSelector || beyondLibrary(selector) {
		return Result{State: Untried}
	}
	found, done := p.match(group)
	switch {
	case !done:
		return Result{State: Untried}
	case found == nil:
		return Result{State: Nothing}
	default:
		return Result{Found: found, State: Matches}
	}
}

// match finds the elements that a selector matches. done is false if that takes too
// long: the library tries combinations, and a page may have far too many of them. The
// search then goes on until the program ends.
func (p *Page) match(group cascadia.SelectorGroup) (found []*html.Node, done bool) {
	result := make(chan []*html.Node, 1)
	go func() {
		var found []*html.Node
		for n := range p.Elements {
			if n != p.Root && group.Match(n) {
				found = append(found, n)
			}
		}
		result <- found
	}()
	select {
	case found := <-result:
		return found, true
	case <-time.After(matchTime):
		return nil, false
	}
}

// bare returns a selector without its strings and escapes, in which the patterns below
// must not match.
func bare(selector string) string { return quoted.ReplaceAllString(selector, "x") }

var (
	quoted    = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\.`)
	brackets  = regexp.MustCompile(`\[[^\]]*\]`)
	digitID   = regexp.MustCompile(`#-?[0-9]`)
	operators = regexp.MustCompile(`\[[^\]]*?([!#])=`)
	pseudo    = regexp.MustCompile(`:(:?[a-zA-Z-]+)(\()?`)
)

// notCSS finds what the library accepts and browsers do not: the additions of jQuery
// and of the library to CSS, and an id that begins with a digit. It returns "" if
// there is none.
func notCSS(selector string) string {
	s := bare(selector)
	if m := operators.FindStringSubmatch(s); m != nil {
		return "CSS has no [name" + m[1] + "=value]"
	}
	s = brackets.ReplaceAllString(s, "")
	if digitID.MatchString(s) {
		return `an id that begins with a digit must be written [id="..."]`
	}
	for _, m := range pseudo.FindAllStringSubmatch(s, -1) {
		switch strings.ToLower(m[1]) {
		case "contains", "containsown", "matches", "matchesown", "haschild", "input", "eq", "gt", "lt", "even", "odd", "first", "last",
			"visible", "text", "button", "checkbox", "radio", "password", "submit", "image", "reset", "file", "header", "parent", "selected":
			return "CSS has no :" + m[1] + ": it belongs to jQuery or the like"
		}
	}
	return ""
}

// beyondLibrary reports whether a selector contains something that browsers support
// and the library does not, or that a page's source cannot show.
func beyondLibrary(selector string) bool {
	if s := bare(selector); strings.Count(s, "[") > strings.Count(s, "]") || strings.Count(s, "(") > strings.Count(s, ")") {
		return true // browsers close open brackets at the end
	}
	s := brackets.ReplaceAllString(bare(selector), "")
	for _, m := range pseudo.FindAllStringSubmatch(s, -1) {
		name := strings.ToLower(m[1])
		if strings.HasPrefix(name, ":") || slices.Contains(beyond, name) {
			return true
		}
	}
	return relativeHas.MatchString(s) || nthOf.MatchString(s) || strings.Contains(s, "|")
}

var (
	relativeHas = regexp.MustCompile(`(?i):has\((?:[^)]*,)?\s*[>+~]`)
	nthOf       = regexp.MustCompile(`(?i):nth-(?:last-)?child\([^)]*\bof\b`)
)

var beyond = []string{
	"is", "where", "any-link", "autofill", "default", "defined", "dir", "focus", "focus-visible", "focus-within", "fullscreen", "hover", "active",
	"in-range", "indeterminate", "invalid", "modal", "open", "optional", "out-of-range", "placeholder-shown", "popover-open", "read-only",
	"read-write", "required", "scope", "state", "target", "user-invalid", "user-valid", "valid", "visited",
}
