package dom

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// FormOf returns the form that a control belongs to, nil for none. A form attribute
// takes precedence over the tree (https://html.spec.whatwg.org/#form-owner).
func (p *Page) FormOf(n *html.Node) *html.Node {
	id, named := Attribute(n, "form")
	if !named {
		return Ancestor(n, atom.Form)
	}
	if e := p.byID(id); e != nil && e.DataAtom == atom.Form {
		return e
	}
	return nil
}

// byID returns the first element with this id, nil if there is none.
func (p *Page) byID(id string) *html.Node {
	if p.ids == nil {
		p.ids = make(map[string]*html.Node)
		for n := range p.Elements {
			if id := Value(n, "id"); id != "" && p.ids[id] == nil {
				p.ids[id] = n
			}
		}
	}
	return p.ids[id]
}

// TakesText reports whether a visitor can describe a problem in n.
func TakesText(n *html.Node) bool {
	switch n.DataAtom {
	case atom.Textarea:
		return true
	case atom.Input:
		switch InputType(n) {
		case "button", "checkbox", "color", "date", "file", "hidden", "image", "radio", "range", "reset", "submit":
			return false
		}
		return true
	}
	return IsEditable(n) || IsCustom(n)
}

// IsEditable reports whether n is an element that its contenteditable attribute makes
// a field.
func IsEditable(n *html.Node) bool {
	editable, ok := Attribute(n, "contenteditable")
	return ok && !strings.EqualFold(editable, "false")
}

// IsButton reports whether n can be disabled like a button.
func IsButton(n *html.Node) bool {
	return n.DataAtom == atom.Button || IsCustom(n) ||
		n.DataAtom == atom.Input && slices.Contains([]string{"submit", "button", "image", "reset"}, InputType(n))
}

// Submits reports whether a click on n submits its form.
func Submits(n *html.Node) bool {
	switch InputType(n) {
	case "submit", "image":
		return n.DataAtom == atom.Input || n.DataAtom == atom.Button && InputType(n) == "submit"
	case "button", "reset":
		return false
	default:
		return n.DataAtom == atom.Button // the default of its type, also for unknown words
	}
}

// IsClickable reports whether n is meant to be clicked.
func IsClickable(n *html.Node) bool {
	return IsButton(n) || n.DataAtom == atom.A || strings.EqualFold(Value(n, "role"), "button")
}

// IsCustom reports whether n is a custom element, of which only its script knows
// what it can do.
func IsCustom(n *html.Node) bool { return strings.Contains(n.Data, "-") }

// InputType returns the type attribute in lower case.
func InputType(n *html.Node) string {
	return strings.ToLower(strings.TrimSpace(Value(n, "type")))
}

// IsHidden reports whether the page's source says that an element is not shown.
func IsHidden(n *html.Node) bool {
	for ; n != nil && n.DataAtom != atom.Body; n = n.Parent {
		if len(n.Attr) == 0 {
			continue
		}
		style := strings.ToLower(strings.Join(strings.Fields(Value(n, "style")), ""))
		_, hidden := Attribute(n, "hidden")
		if hidden || strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden") || strings.EqualFold(Value(n, "aria-hidden"), "true") {
			return true
		}
	}
	return false
}
