package check

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// What the tag names, and what the deflector does with it.
func TestElements(t *testing.T) {
	name := func(attribute, selector string) func(*Site) {
		return func(s *Site) { setAttribute(s, attribute, selector) }
	}
	event := func(submit, eventType string, more ...func(*Site)) func(*Site) {
		return func(s *Site) {
			setAttribute(s, attrSubmit, submit)
			setAttribute(s, attrEventType, eventType)
			for _, plant := range more {
				plant(s)
			}
		}
	}
	body := func(old, with string) func(*Site) { return replace(old, with) }
	const button = "<button>Send</button>"
	for _, p := range []planted{
		{"a selector that matches nothing", name(attrInput, "#message"), "selector_matches_nothing", ""},
		{"no selector at all", name(attrInput, "#1st"), "selector_invalid", ""},
		{"a selector that only a browser can try", name(attrInput, ":is(#description)"), "", "selector_untried"},
		{"a selector of a new attribute", body("<script async", `<script async data-ticket-query-selector="#nowhere"`), "selector_matches_nothing", ""},
		{"a form that waits for render", func(s *Site) {
			name(attrInput, "#message")(s)
			replace("<script async", `<script async data-render-on-load="false"`)(s)
		}, "", "selector_drawn_by_script"},
		{"a page that scripts draw", body(theForm, "<div id=app>Loading</div><script src=app.js></script>"), "",
			"selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script"},
		{"a form in a frame", body(theForm, "<iframe src=/forms/new></iframe>"), "",
			"selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script form_in_frame"},
		{"a form in a frame of another site", body(theForm, "<iframe src=https://forms.example.com/new></iframe>"), "form_elsewhere",
			"selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script"},
		{"a film in a frame", body(theForm, "<iframe src=https://films.example.com/new></iframe>"), "",
			"selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script form_in_frame"},

		{"onSubmit on a button", event("#form button", "onSubmit"), "event_type", ""},
		{"onClick on a form", event("#form", "onClick"), "event_type", ""},
		{"onClick on a button", event("#form button", "onClick"), "", ""},
		{"onClick on a link", event("a", "onClick", body(button, button+"<a href=#>Send</a>")), "", ""},
		{"onClick on an element with a button's role", event("[role]", "onClick", body(button, button+"<div role=button>Send</div>")), "", ""},
		{"onClick on an input that sends", event("[type=submit]", "onClick", body(button, button+"<input type=submit>")), "", ""},
		{"onClick on a text field", event("input", "onClick"), "event_type", ""},
		{"onClick on an element of the site's own", event("acme-button", "onClick", body(button, button+"<acme-button></acme-button>")), "", ""},

		{"a button outside of the form", event("#form", "onSubmit", name(attrButton, "body > button"), body(theForm, button+theForm)), "button_outside_form", ""},
		{"a button that names its form", event("#form", "onSubmit", name(attrButton, "body > button"), body(theForm, "<button form=form>Send</button>"+theForm)), "", ""},
		{"a button that names another form", event("#form", "onSubmit", body("<button>", "<button form=search>")), "button_outside_form", ""},
		{"a button that is none", name(attrButton, "#form"), "button_element", ""},
		{"the search field of the header", event("#form", "onSubmit", name(attrInput, "input"), body(theForm, "<form><input></form>"+theForm)), "", "input_outside_form"},
		{"a label instead of the field", event("#form", "onSubmit", name(attrInput, "label"), body("<textarea", "<label>What happened?</label><textarea")), "input_element", ""},
		{"a check box instead of the field", event("#form", "onSubmit", name(attrInput, "[type=checkbox]"), body("<textarea", "<input type=checkbox><textarea")), "input_element", ""},
		{"a field that is drawn", event("#form", "onSubmit", name(attrInput, "[contenteditable]"), body("<textarea", "<div contenteditable></div><textarea")), "", ""},
	} {
		p.run(t)
	}
}

func setAttribute(s *Site, name, value string) {
	for _, a := range []*Response{s.With, s.GrantedAgain} {
		page := readPage(&Response{Body: a.Body}, product)
		old := page.tags[0].attr(name)
		a.Body = []byte(strings.Replace(string(a.Body), name+`="`+old+`"`, name+`="`+html.EscapeString(value)+`"`, 1))
	}
}

func TestConsoleLine(t *testing.T) {
	if got := console("a[b='c\\d']\n"); got != `document.querySelector('a[b=\'c\\d\']\n')` {
		t.Error(got)
	}
}
