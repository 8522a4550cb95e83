package form

import (
	"golang.org/x/net/html"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

// Parts are the selectors of a form's parts, as Kapa's attributes want them, and the
// event by which the form is sent. A part that was not found is "".
type Parts struct {
	Input  string // where the visitor describes the problem
	Submit string // the element that has the event
	Event  string // onSubmit or onClick
	Button string
	Anchor string // the element that Kapa's answer stands at
	Email  string
}

// The events.
const (
	OnSubmit = "onSubmit"
	OnClick  = "onClick"
)

// Parts returns the selectors for the form's parts.
func (f Form) Parts(p *dom.Page) (parts Parts) {
	part := func(n *html.Node) string {
		if n == nil {
			return ""
		}
		return Selector(p, n, f.Node)
	}
	parts = Parts{Input: part(f.Input), Button: part(f.Button), Anchor: Selector(p, f.Node, nil), Email: part(f.Email)}
	if f.Editor != nil && f.Editor.Sure {
		parts.Input = f.Editor.Input
	}
	if parts.Event = f.event(); parts.Event == OnSubmit {
		parts.Submit = parts.Anchor
	} else {
		parts.Submit = parts.Button
	}
	return parts
}

// event returns the event by which the form is sent. A form whose button submits it has
// onSubmit, also when the visitor presses Enter.
func (f Form) event() string {
	if f.IsElement() && (f.Button == nil || dom.Submits(f.Button)) {
		return OnSubmit
	}
	return OnClick
}

// WhyEvent says why it is that event.
func (f Form) WhyEvent() string {
	switch {
	case f.event() == OnSubmit:
		return "the button submits the form"
	case f.IsElement():
		return "the button does not submit the form by itself: a script sends it"
	default:
		return "there is no <form>: a script sends what was typed"
	}
}
