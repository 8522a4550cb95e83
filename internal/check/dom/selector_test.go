package dom

import (
	"fmt"
	"strings"
	"testing"
)

const selectorPage = `<!doctype html><body>
<form id="form" class="ticket new"><input name="ticket[subject]" id="a.b"><textarea id="1st" name="description"></textarea>
<button type="submit" disabled>Send</button></form><template><p id="hidden"></p></template><svg><circle id="dot"/></svg>`

// What is not untried is as Chromium has it: the number of elements that
// document.querySelectorAll finds in this page, or that it throws.
var selectors = []struct {
	selector string
	want     string
}{
	{`#form`, "matches 1"},
	{` #form `, "matches 1"},
	{`form.ticket.new > textarea`, "matches 1"},
	{`#form button[type=submit]`, "matches 1"},
	{`#form button[type="submit"]`, "matches 1"},
	{`input[name="ticket[subject]"]`, "matches 1"},
	{`[name^='ticket' i]`, "matches 1"},
	{`#a\.b`, "matches 1"},
	{`[id="1st"]`, "matches 1"},
	{`#\31 st`, "matches 1"},
	{`input, textarea`, "matches 2"},
	{`form :nth-child(2)`, "matches 1"},
	{`input:not([type]) ~ button`, "matches 1"},
	{`form:has(textarea)`, "matches 1"},
	{`button:disabled`, "matches 1"},
	{`#dot`, "matches 1"},
	{`#hidden`, "nothing"},
	{`#description`, "nothing"},
	{`#Form`, "nothing"},
	{`a.b`, "nothing"},

	{`#1st`, "invalid"},
	{`##form`, "invalid"},
	{`#`, "invalid"},
	{`form >`, "invalid"},
	{`form,`, "invalid"},
	{`input[name=ticket[subject]]`, "invalid"},
	{`[maxlength=10]`, "invalid"},
	{`button:contains("Send")`, "invalid"},
	{`button:first`, "invalid"},
	{`:input`, "invalid"},
	{`:submit`, "invalid"},
	{`[type!=submit]`, "invalid"},
	{`button:eq(0)`, "invalid"},
	{`//form`, "invalid"},
	{`$('#form')`, "invalid"},
	{`.1a`, "invalid"},
	{`form:nosuch`, "invalid"},
	{`[name="a:contains(b)"]`, "nothing"},
	{`[name="a#1"]`, "nothing"},
	{`[name="a!=b"]`, "nothing"},

	// what browsers know and the library does not, or no source shows
	{`:is(#form, p) textarea`, "untried"},
	{`button[type=submit`, "untried"},
	{`:where(form) button`, "untried"},
	{`textarea:required`, "untried"},
	{`form:has(> textarea)`, "untried"},
	{`:nth-child(1 of form)`, "untried"},
	{`input:focus`, "untried"},
	{`form::before`, "untried"},
	{`svg|circle`, "untried"},
	{strings.Repeat("form ", 300), "untried"},
}

func TestSelectors(t *testing.T) {
	p := Parse([]byte(selectorPage))
	for _, test := range selectors {
		r := p.Query(test.selector)
		got := string(r.State)
		if r.State == Matches {
			got += fmt.Sprint(" ", len(r.Found))
		}
		if got != test.want {
			t.Errorf("%.60s: %s (%s), want %s", test.selector, got, r.What, test.want)
		}
	}
}

const boundaries = `<!doctype html><body>
<div id="host"><template shadowrootmode="open"><form id="inner"><textarea></textarea></form></template></div>
<div id="closed"><template shadowrootmode="closed"><p id="secret"></p></template></div>
<iframe id="same" srcdoc="<textarea id=wysiwyg></textarea>"></iframe>
<iframe id="other" src="https://forms.example.com/"></iframe>`

// Kapa's selectors may lead into frames and shadow roots:
// https://docs.kapa.ai/integrations/support-form-deflector/guides/dom-boundaries
func TestSelectorsAcrossBoundaries(t *testing.T) {
	p := Parse([]byte(boundaries))
	for _, test := range []struct{ selector, want, host string }{
		{"#same ifr>> #wysiwyg", "matches 1", "iframe"},
		{"#same ifr>>   textarea", "matches 1", "iframe"},
		{"#same ifr>> #nowhere", "nothing 0", "iframe"},
		{"#other ifr>> textarea", "untried 0", "iframe"},
		{"#later ifr>> textarea", "untried 0", ""}, // a script may make the frame
		{"#host sh>> #inner textarea", "matches 1", "div"},
		{"#host other>>form", "matches 1", "div"},
		{"#closed sh>> #secret", "untried 0", "div"},
		{"#host ifr>> form", "untried 0", "div"}, // which is no frame
		{"#same ifr>> #1st", "invalid 0", ""},
		{"#same ifr>>", "invalid 0", ""},
		{"ifr>> textarea", "invalid 0", ""},
		{"#same >> textarea", "invalid 0", ""},
		{"[title=' ifr>> ']", "nothing 0", ""},
		{"#inner", "nothing 0", ""},
	} {
		r := p.Query(test.selector)
		host := ""
		if r.Host != nil {
			host = r.Host.Data
		}
		if got := fmt.Sprint(r.State, " ", len(r.Found)); got != test.want || host != test.host {
			t.Errorf("%s: %s in %q (%s), want %s in %q", test.selector, got, host, r.What, test.want, test.host)
		}
	}
	for selector, want := range map[string]string{"#inner": "host", "#wysiwyg": "same", "#secret": "", "#nowhere": ""} {
		got := ""
		if n := p.Hidden(selector); n != nil {
			got = Value(n, "id")
		}
		if got != want {
			t.Errorf("%s is hidden in %q, want %q", selector, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range selectors {
		f.Add(s.selector, boundaries)
	}
	f.Add("#same ifr>> #wysiwyg", boundaries)
	f.Add("ifr>> ifr>> '", boundaries)
	f.Fuzz(func(t *testing.T, selector, source string) {
		if len(selector) > 64 {
			return // which takes long, and nothing else
		}
		p := Parse([]byte(source))
		if r := p.Query(selector); (r.State == Matches) != (len(r.Found) > 0) || (r.State == Invalid) != (r.What != "") {
			t.Errorf("%+v", r)
		}
		p.Hidden(selector)
	})
}
