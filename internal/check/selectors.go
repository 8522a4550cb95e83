package check

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/form"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/framework"
)

// checkSelectors looks for the elements that the tag's selectors match.
func (j *judge) checkSelectors(t tag) {
	late := j.drawnByScript(t)
	first := make(map[string]*html.Node)
	lost := false
	for _, a := range selectorsOf(t) {
		r := j.page.Query(a.Val)
		s := Selector{Attribute: a.Key, Selector: a.Val, State: r.State, Matches: len(r.Found)}
		try := "try " + console(a.Val) + " in the browser's console"
		switch {
		case r.State == dom.Matches:
			s.First = describe(r.Found[0])
			if r.Host == nil {
				first[a.Key] = r.Found[0] // as document.querySelector does
			}
		case r.State == dom.Invalid:
			lost = true
			j.finding(codeSelectorInvalid, a.Key, "browsers do not understand the selector %s: %s", Short(a.Val), r.What)
		case j.checkBoundary(a, r):
			lost = true
		case r.State == dom.Untried && len(dom.Steps(a.Val)) > 1:
			j.note(codeSelectorUntried, a.Key, "it leads into a frame or a shadow root that a script makes, so only a browser can check it")
		case r.State == dom.Untried:
			j.note(codeSelectorUntried, a.Key, "only a browser can check this selector: %s", try)
		case a.Key == attrInput && j.isMadeByEditor(a.Val):
			j.note(codeSelectorDrawnByScript, a.Key, "not in the page as served, but an editor makes it: %s", try)
		case late != "":
			j.note(codeSelectorDrawnByScript, a.Key, "not in the page as served, but %s: %s", late, try)
		default:
			lost = true
			j.finding(codeSelectorMatchesNothing, a.Key, "no element of the page matches %s: %s", Short(a.Val), try)
		}
		j.report.Selectors = append(j.report.Selectors, s)
	}
	j.checkElements(t, first)
	if field := first[attrInput]; field != nil {
		j.checkEditor(t, field)
	}
	if len(first) == 0 {
		j.checkFrame()
		j.checkTitle()
	}
	if lost {
		j.listForms()
	}
}

// drawnByScript returns the sign that a script draws the form later, "" if there is
// none.
func (j *judge) drawnByScript(t tag) string {
	if d, ok := form.FindDrawn(j.page.Page); ok {
		return d.Software + " draws it"
	}
	if f, _ := framework.Of(j.page.Page); f.Kind == framework.Draws {
		return f.Name + " draws it"
	}
	switch {
	case t.attr(attrRender) == "false" && t.place != byLoader: // the loader has set it
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
