package check

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

// checkSelectors looks for the elements that the tag's selectors match.
func (j *judge) checkSelectors(t tag) {
	late := j.drawnByScript(t)
	first := make(map[string]*html.Node)
	for _, a := range selectorsOf(t) {
		r := j.page.Query(a.Val)
		s := Selector{Attribute: a.Key, Selector: a.Val, State: string(r.State), Matches: len(r.Found)}
		try := "try " + console(a.Val) + " in the browser's console"
		switch r.State {
		case dom.Invalid:
			j.finding(codeSelectorInvalid, a.Key, "browsers do not understand the selector %s: %s", short(a.Val), r.What)
		case dom.Untried:
			j.note(codeSelectorUntried, a.Key, "only a browser can check this selector: %s", try)
		case dom.Nothing:
			if late != "" {
				j.note(codeSelectorDrawnByScript, a.Key, "not in the page as served, but %s: %s", late, try)
			} else {
				j.finding(codeSelectorMatchesNothing, a.Key, "no element of the page matches %s: %s", short(a.Val), try)
			}
		case dom.Matches:
			first[a.Key] = r.Found[0] // as document.querySelector does
			s.First = describe(r.Found[0])
		}
		j.report.Selectors = append(j.report.Selectors, s)
	}
	j.checkElements(t, first)
	if f := j.page.frameAddress(); f != "" && len(first) == 0 && j.page.First(atom.Form, atom.Frameset) == nil {
		j.note(codeFormInFrame, aboutTag, "the page has a frame but no form: if the form is in the frame, the tag belongs in the page of the frame, %s", short(f))
	}
}

// drawnByScript returns the sign that a script draws the form later, "" if there is
// none.
func (j *judge) drawnByScript(t tag) string {
	switch {
	case t.attr(attrRender) == "false":
		return "the tag waits for render()"
	case j.page.IsShell(len(j.page.tags)):
		return "it has almost nothing except scripts"
	case j.page.First(atom.Form) == nil:
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
