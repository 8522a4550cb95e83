package check

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	file   = "kapa-support-form-deflector.bundle.js"
	script = "https://widget.kapa.ai/" + file
	anID   = "0b8a2f6e-3f0c-4f5e-9a53-1c2d3e4f5a6b"
)

// product is what kapa-check knows, in short.
var product = Deflector{
	Script:     script,
	ScriptFile: file,
	Cookie:     "kapa_web_id",
	Required:   []string{"data-integration-id", attrInput, attrSubmit, attrEventType, attrButton, "data-anchor-element-query-selector"},
	Words:      map[string][]string{attrEventType: {"onClick", "onSubmit"}, attrCookies: {"true", "false"}},
	Connects:   []string{"https://proxy.kapa.ai/"},
	Hint: func(attribute string) string {
		if attribute == "data-website-id" {
			return "of the website widget"
		}
		return ""
	},
}

const (
	theTag = `<script async src="` + script + `" data-integration-id="abc"` +
		` data-main-input-query-selector="#description" data-submit-element-query-selector="#form"` +
		` data-submit-element-event-type="onSubmit" data-submit-button-query-selector="#form button"` +
		` data-anchor-element-query-selector="#form"></script>`
	theHead = "<!doctype html>\n<html>\n<head>\n\t<meta charset=utf-8>\n\t<title>Open a ticket</title>\n"
	theForm = `<form id="form"><textarea id="description"></textarea><input name="q"><button>Send</button></form>` +
		`<p>We answer on working days, usually within four hours, and in the order in which tickets come in. ` +
		`Whoever is in a hurry finds the answers to the questions that most of our customers have in the documentation.</p>`
	theEnd     = "</body></html>"
	plainPage  = theHead + "</head><body>" + theForm + theEnd
	taggedPage = theHead + theTag + "</head><body>" + theForm + theEnd
	theCookie  = "kapa_web_id=" + anID + "; Path=/; Domain=acme.com; Max-Age=34473600; Secure; SameSite=Lax"
)

// answerOf is a page of support.acme.com with these header fields.
func answerOf(body string, fields ...string) *Response {
	h := http.Header{}
	for _, field := range append([]string{"Content-Type: text/html; charset=utf-8", "Vary: Cookie"}, fields...) {
		name, value, _ := strings.Cut(field, ": ")
		h.Set(name, value)
	}
	return &Response{URL: "https://support.acme.com/tickets/new", Status: 200, Header: h, Body: []byte(body), Coding: "gzip"}
}

// sound is a site at which nothing is wrong.
func sound() *Site {
	private := "Cache-Control: private, no-cache"
	again := answerOf("", private, `Etag: "v1-kapa-0123456789abcdef"`, "Set-Cookie: "+strings.Replace(theCookie, "0b8a", "ffff", 1))
	again.Status = 304
	return &Site{
		URL:            "https://support.acme.com/tickets/new",
		Cookies:        []string{"cookie_consent"},
		With:           answerOf(taggedPage, private, `Etag: "v1-kapa-0123456789abcdef"`, "Set-Cookie: "+theCookie),
		Without:        answerOf(plainPage, `Etag: "v1"`, "Cache-Control: max-age=600"),
		Again:          again,
		WithdrawnAgain: answerOf(plainPage, `Etag: "v1"`),
		GrantedAgain:   answerOf(taggedPage, private, `Etag: "v1-kapa-0123456789abcdef"`, "Set-Cookie: "+theCookie),
	}
}

// A planted is one fault, and what has to be found: the codes of the findings
// and of the notes, the reason behind a colon for a tag that is missing.
type planted struct {
	fault    string
	plant    func(s *Site)
	findings string
	notes    string
}

func (p planted) run(t *testing.T) {
	t.Run(p.fault, func(t *testing.T) {
		s := sound()
		p.plant(s)
		r := Judge(*s, product)
		if got := codes(r, r.Findings); got != p.findings {
			t.Errorf("found %q, want %q\n%v", got, p.findings, r.Findings)
		}
		if got := codes(r, r.Notes); got != p.notes {
			t.Errorf("noted %q, want %q\n%v", got, p.notes, r.Notes)
		}
		if (r.Result == ResultFine) != (p.findings == "") {
			t.Errorf("the result is %s", r.Result)
		}
		var printed bytes.Buffer
		if err := r.Print(&printed, false); err != nil {
			t.Fatal(err)
		}
		if err := json.NewEncoder(&printed).Encode(r); err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{anID, "secret", "\x1b"} {
			if strings.Contains(printed.String(), secret) {
				t.Errorf("%q is shown:\n%s", secret, &printed)
			}
		}
		rows := r.rows()
		for _, f := range append(slices.Clone(r.Findings), r.Notes...) {
			if !slices.ContainsFunc(rows, func(row row) bool { return row.about == f.About }) {
				t.Errorf("%s is about %q, which is no row", f.Code, f.About)
			}
		}
	})
}

func codes(r *Report, findings []Finding) string {
	var all []string
	for _, f := range findings {
		code := string(f.Code)
		if f.Code == codeTagMissing {
			code += ":" + string(r.Tag.Reason)
		}
		all = append(all, code)
	}
	return strings.Join(all, " ")
}

// replace changes the page with the tag.
func replace(old, with string) func(*Site) {
	return func(s *Site) {
		for _, a := range []*Response{s.With, s.GrantedAgain} {
			body := strings.Replace(string(a.Body), old, with, 1)
			if body == string(a.Body) {
				panic("the page has no " + old)
			}
			a.Body = []byte(body)
		}
	}
}

// untagged gives visitors with consent the page without the tag, and further
// fields.
func untagged(body string, fields ...string) func(*Site) {
	return func(s *Site) {
		s.With, s.Without = answerOf(body, fields...), answerOf(body, fields...)
		s.Again, s.WithdrawnAgain, s.GrantedAgain = nil, nil, nil
	}
}

// header sets a field of the page with the tag; an empty value takes it away.
func header(name, value string) func(*Site) {
	return func(s *Site) { setField(s.With, name, value) }
}

func setField(a *Response, name, value string) {
	if value == "" {
		a.Header.Del(name)
	} else {
		a.Header.Set(name, value)
	}
}

func id(attributes string) func(*Site) {
	return header("Set-Cookie", "kapa_web_id="+anID+"; "+attributes)
}
