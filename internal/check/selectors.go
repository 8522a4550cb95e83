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

// The results of a selector.
const (
	selectorMatches = "matches"
	selectorNothing = "nothing"
	selectorInvalid = "invalid"
	selectorUntried = "untried" // browsers may support it, the library does not
)

// Limits for the work that a page can cause.
const (
	longestSelector = 1024
	matchTime       = 5 * time.Second
)

// query finds the elements that document.querySelectorAll would find. what says what
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

// match finds the elements that a selector matches. done is false if that takes too
// long: the library tries combinations, and a page may have far too many of them. The
// search then goes on until the program ends.
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

// checkSelectors looks for the elements that the tag's selectors match.
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
			j.note(codeSelectorUntried, a.Key, "only a browser can check this selector: %s", try)
		case selectorNothing:
			if late != "" {
				j.note(codeSelectorDrawnByScript, a.Key, "not in the page as served, but %s: %s", late, try)
			} else {
				j.finding(codeSelectorMatchesNothing, a.Key, "no element of the page matches %s: %s", short(a.Val), try)
			}
		case selectorMatches:
			first[a.Key] = found[0] // as document.querySelector does
			s.First = describe(found[0])
		}
		j.report.Selectors = append(j.report.Selectors, s)
	}
	j.checkElements(t, first)
	if f := j.page.frameAddress(); f != "" && len(first) == 0 && j.page.first(atom.Form, atom.Frameset) == nil {
		j.note(codeFormInFrame, aboutTag, "the page has a frame but no form: if the form is in the frame, the tag belongs in the page of the frame, %s", short(f))
	}
}

// drawnByScript returns the sign that a script draws the form later, "" if there is
// none.
func (j *judge) drawnByScript(t tag) string {
	switch {
	case t.attr(attrRender) == "false":
		return "the tag waits for render()"
	case j.page.isShell():
		return "it has almost nothing except scripts"
	case j.page.first(atom.Form) == nil:
		return "it has no form"
	default:
		return ""
	}
}

// console returns a line that tries the selector in a browser's console.
func console(selector string) string {
	r := strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`)
	return "document.querySelector('" + r.Replace(selector) + "')"
}
