package form

import (
	"regexp"
	"strings"

	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

// A Drawn is a form that well-known software draws by script, so that the page's source
// does not have it.
type Drawn struct {
	Software string
	Parts    Parts
	isOn     func(p *dom.Page) bool
}

// drawn are these forms, as their software draws them today.
var drawn = []Drawn{
	{
		// https://admin-docs.zammad.org/en/latest/channels/form.html
		Software: "Zammad's web form",
		Parts: Parts{
			Input: "form.zammad-form textarea[name=body]", Submit: "form.zammad-form", Event: OnSubmit,
			Button: "form.zammad-form button[type=submit]", Anchor: "form.zammad-form", Email: "form.zammad-form input[name=email]",
		},
		isOn: hasScript(`/assets/form/form\.js`),
	},
	{
		// https://github.com/discourse/discourse, components/composer-container.gjs
		Software: "Discourse's composer",
		Parts: Parts{
			Input: "#reply-control .d-editor-input", Submit: "#reply-control button.create", Event: OnClick,
			Button: "#reply-control button.create", Anchor: "#reply-control .reply-area",
		},
		isOn: hasGenerator(`^Discourse\b`),
	},
	{
		// https://github.com/zendesk/copenhagen_theme, src/modules/new-request-form
		Software: "Zendesk's form for requests",
		Parts: Parts{
			Input: "#new-request-form .ck-editor__editable", Submit: "#new-request-form form", Event: OnSubmit,
			Button: "#new-request-form button[type=submit]", Anchor: "#new-request-form form",
			Email: "#new-request-form [name='request[anonymous_requester_email]']",
		},
		isOn: func(p *dom.Page) bool {
			for n := range p.Elements {
				if dom.Value(n, "id") == "new-request-form" {
					return n.DataAtom != atom.Form && strings.TrimSpace(dom.Text(n)) == ""
				}
			}
			return false
		},
	},
}

// FindDrawn returns the form that well-known software will draw in the page. ok is false
// if the page shows none of it.
func FindDrawn(p *dom.Page) (d Drawn, ok bool) {
	for _, d := range drawn {
		if d.isOn(p) {
			return d, true
		}
	}
	return Drawn{}, false
}

func hasScript(address string) func(p *dom.Page) bool {
	expression := regexp.MustCompile(address)
	return func(p *dom.Page) bool {
		for src := range p.Scripts {
			if expression.MatchString(src) {
				return true
			}
		}
		return false
	}
}

func hasGenerator(content string) func(p *dom.Page) bool {
	expression := regexp.MustCompile(content)
	return func(p *dom.Page) bool { return expression.MatchString(p.Generator()) }
}
