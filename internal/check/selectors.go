package check

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/andybalholm/cascadia"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// What became of a selector.
const (
	selectorMatches = "matches"
	selectorNothing = "nothing"
	selectorInvalid = "invalid"
	selectorUntried = "untried" // browsers may know it, the library does not
)

// What a page can make of work.
const (
	longestSelector = 1024
	matchTime       = 5 * time.Second
)

// query finds the elements that document.querySelectorAll would. what says what
// is wrong with an invalid selector.
func (p *page) query(selector string) (found []*html.Node, state, what string) {
	if what := notCSS(selector); what != "" {
		return nil, selectorInvalid, what
	}
	beyond := len(selector) > longestSelector || beyondLibrary(selector)
	group, err := cascadia.ParseGroup(selector)
	switch {
	case beyond:
		return nil, selectorUntried, ""
	case err != nil:
		return nil, selectorInvalid, err.Error()
	}
	found, done := p.match(group)
	switch {
	case !done:
		return nil, selectorUntried, ""
	case found == nil:
		return nil, selectorNothing, ""
	default:
		return found, selectorMatches, ""
	}
}

// match finds the elements that a selector matches. done is false if that would
// take too long: the library tries combinations, and a page can be made so that
// there are more than anybody can wait for. What is begun then goes on until the
// program ends.
func (p *page) match(group cascadia.SelectorGroup) (found []*html.Node, done bool) {
	result := make(chan []*html.Node, 1)
	go func() {
		var found []*html.Node
		for n := range p.elements() {
			if group.Match(n) {
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

// bare is a selector without what stands in strings and escapes, in which the
// patterns below would find what is none.
func bare(selector string) string { return quoted.ReplaceAllString(selector, "x") }

var (
	quoted    = regexp.MustCompile(`(?s)"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\.`)
	brackets  = regexp.MustCompile(`\[[^\]]*\]`)
	digitID   = regexp.MustCompile(`#-?[0-9]`)
	operators = regexp.MustCompile(`\[[^\]]*?([!#])=`)
	pseudo    = regexp.MustCompile(`:(:?[a-zA-Z-]+)(\()?`)
)

// notCSS finds what browsers take for a mistake and the library does not: what
// jQuery and the library itself have added to CSS, and an id that begins with a
// digit. It returns "" if there is none.
func notCSS(selector string) string {
	s := bare(selector)
	if m := operators.FindStringSubmatch(s); m != nil {
		return "CSS has no [name" + m[1] + "=value]"
	}
	s = brackets.ReplaceAllString(s, "")
	if digitID.MatchString(s) {
		return `an id that begins with a digit has to be written [id="..."]`
	}
	for _, m := range pseudo.FindAllStringSubmatch(s, -1) {
		switch strings.ToLower(m[1]) {
		case "contains", "containsown", "matches", "matchesown", "haschild", "input", "eq", "gt", "lt", "even", "odd", "first", "last",
			"visible", "text", "button", "checkbox", "radio", "password", "submit", "image", "reset", "file", "header", "parent", "selected":
			return "CSS has no :" + m[1] + ", which is of jQuery or the like"
		}
	}
	return ""
}

// beyondLibrary reports whether a selector has something in it that browsers
// know, and that the library does not, or that no page shows in its source.
func beyondLibrary(selector string) bool {
	if s := bare(selector); strings.Count(s, "[") > strings.Count(s, "]") || strings.Count(s, "(") > strings.Count(s, ")") {
		return true // browsers close at the end what is open
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

// checkSelectors looks for the elements that the tag names.
func (j *judge) checkSelectors(t tag) {
	late := j.drawnByScript(t)
	first := make(map[string]*html.Node)
	for _, a := range selectorsOf(t) {
		found, state, what := j.page.query(a.Val)
		s := Selector{Attribute: a.Key, Selector: a.Val, State: state, Matches: len(found)}
		try := "try " + console(a.Val) + " in the browser's console"
		switch state {
		case selectorInvalid:
			j.finding(codeSelectorInvalid, a.Key, "browsers do not understand the selector %s: %s", short(a.Val), what)
		case selectorUntried:
			j.note(codeSelectorUntried, a.Key, "the selector has what only a browser can tell: %s", try)
		case selectorNothing:
			if late != "" {
				j.note(codeSelectorDrawnByScript, a.Key, "not in the page as it was served, but %s; %s", late, try)
			} else {
				j.finding(codeSelectorMatchesNothing, a.Key, "no element of the page matches %s: %s", short(a.Val), try)
			}
		case selectorMatches:
			first[a.Key] = found[0] // which document.querySelector takes
			s.First = describe(found[0])
		}
		j.report.Selectors = append(j.report.Selectors, s)
	}
	j.checkElements(t, first)
	if f := j.page.frameAddress(); f != "" && len(first) == 0 && j.page.first(atom.Form, atom.Frameset) == nil {
		j.note(codeFormInFrame, aboutTag, "the page has no form, but a frame: if the form is in there, the tag belongs on that page, %s", short(f))
	}
}

// drawnByScript says by what the page shows that its form comes later, "" if
// nothing does.
func (j *judge) drawnByScript(t tag) string {
	switch {
	case t.attr(attrRender) == "false":
		return "the tag waits for render()"
	case j.page.isShell():
		return "there is next to nothing in it but scripts"
	case j.page.first(atom.Form) == nil:
		return "there is no form in it at all"
	default:
		return ""
	}
}

// console is the line to try a selector with.
func console(selector string) string {
	r := strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`)
	return "document.querySelector('" + r.Replace(selector) + "')"
}
