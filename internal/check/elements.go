package check

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// checkElements judges whether the deflector can use the elements. first has the
// element for each attribute.
func (j *judge) checkElements(t tag, first map[string]*html.Node) {
	if n := first[attrInput]; n != nil && !takesText(n) {
		j.finding(codeInputElement, attrInput, "%s does not accept text: select the field for the description itself", describe(n))
	}
	submit, button := first[attrSubmit], first[attrButton]
	if submit != nil {
		switch kind := t.attr(attrEventType); {
		case kind == "onSubmit" && submit.DataAtom != atom.Form:
			j.finding(codeEventType, attrEventType, "onSubmit is an event of forms, but %s selects %s: select the form, or use onClick", attrSubmit, describe(submit))
		case kind == "onClick" && !isClickable(submit):
			j.finding(codeEventType, attrEventType, "onClick is for a button, but %s selects %s: select the button, or use onSubmit with the form", attrSubmit, describe(submit))
		}
	}
	if button != nil && !isButton(button) {
		j.finding(codeButtonElement, attrButton, "%s cannot be disabled: select the button itself", describe(button))
	}
	if submit != nil && submit.DataAtom == atom.Form {
		if button != nil && isButton(button) && j.page.formOf(button) != submit {
			j.finding(codeButtonOutsideForm, attrButton, "the first match, %s, is not in the form %s: make the selector narrower", describe(button), describe(submit))
		}
		if n := first[attrInput]; n != nil && takesText(n) && j.page.formOf(n) != submit {
			j.note(codeInputOutsideForm, attrInput, "the first match, %s, is not in the form %s", describe(n), describe(submit))
		}
	}
}

// formOf returns the form that a control belongs to, nil for none. A form attribute
// takes precedence over the tree (https://html.spec.whatwg.org/#form-owner).
func (p *page) formOf(n *html.Node) *html.Node {
	id, named := attribute(n.Attr, "form")
	if !named {
		return ancestor(n, atom.Form)
	}
	for e := range p.elements() {
		if own, ok := attribute(e.Attr, "id"); ok && own == id && id != "" {
			if e.DataAtom != atom.Form {
				return nil
			}
			return e
		}
	}
	return nil
}

// takesText reports whether a visitor can describe a problem in n.
func takesText(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Textarea:
		return true
	case atom.Input:
		switch inputType(n) {
		case "button", "checkbox", "color", "date", "file", "image", "radio", "range", "reset", "submit":
			return false
		}
		return true
	}
	editable, ok := attribute(n.Attr, "contenteditable")
	return ok && !strings.EqualFold(editable, "false") || isCustom(n)
}

// isButton reports whether n can be disabled like a button.
func isButton(n *html.Node) bool {
	return n.DataAtom == atom.Button || isCustom(n) ||
		n.DataAtom == atom.Input && slices.Contains([]string{"submit", "button", "image", "reset"}, inputType(n))
}

// isClickable reports whether n is meant to be clicked.
func isClickable(n *html.Node) bool {
	role, _ := attribute(n.Attr, "role")
	return isButton(n) || n.DataAtom == atom.A || strings.EqualFold(role, "button")
}

// isCustom reports whether n is a custom element, of which only its script knows
// what it can do.
func isCustom(n *html.Node) bool { return strings.Contains(n.Data, "-") }

func inputType(n *html.Node) string {
	kind, _ := attribute(n.Attr, "type")
	return strings.ToLower(strings.TrimSpace(kind))
}

// describe returns an element's start tag with the attributes that identify it.
func describe(n *html.Node) string {
	s := "<" + n.Data
	for _, name := range []string{"id", "name", "type", "class"} {
		if value, ok := attribute(n.Attr, name); ok && value != "" {
			s += " " + name + `="` + short(value) + `"`
			if name == "id" {
				break
			}
		}
	}
	return s + ">"
}
