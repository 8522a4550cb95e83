package check

import (
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

// checkElements judges whether the deflector can use the elements. first has the
// element for each attribute.
func (j *judge) checkElements(t tag, first map[string]*html.Node) {
	if n := first[attrInput]; n != nil && !dom.TakesText(n) {
		j.finding(codeInputElement, attrInput, "%s does not accept text: select the field for the description itself", describe(n))
	}
	submit, button := first[attrSubmit], first[attrButton]
	if submit != nil {
		switch kind := t.attr(attrEventType); {
		case kind == "onSubmit" && submit.DataAtom != atom.Form:
			j.finding(codeEventType, attrEventType, "onSubmit is an event of forms, but %s selects %s: select the form, or use onClick", attrSubmit, describe(submit))
		case kind == "onClick" && !dom.IsClickable(submit):
			j.finding(codeEventType, attrEventType, "onClick is for a button, but %s selects %s: select the button, or use onSubmit with the form", attrSubmit, describe(submit))
		}
	}
	if button != nil && !dom.IsButton(button) {
		j.finding(codeButtonElement, attrButton, "%s cannot be disabled: select the button itself", describe(button))
	}
	if submit != nil && submit.DataAtom == atom.Form {
		if button != nil && dom.IsButton(button) && j.page.FormOf(button) != submit {
			j.finding(codeButtonOutsideForm, attrButton, "the first match, %s, is not in the form %s: make the selector narrower", describe(button), describe(submit))
		}
		if n := first[attrInput]; n != nil && dom.TakesText(n) && j.page.FormOf(n) != submit {
			j.note(codeInputOutsideForm, attrInput, "the first match, %s, is not in the form %s", describe(n), describe(submit))
		}
	}
}

// describe returns an element's start tag with the attributes that identify it.
func describe(n *html.Node) string {
	s := "<" + n.Data
	for _, name := range []string{"id", "name", "type", "class"} {
		if value, ok := dom.Attribute(n, name); ok && value != "" {
			s += " " + name + `="` + Short(value) + `"`
			if name == "id" {
				break
			}
		}
	}
	return s + ">"
}
