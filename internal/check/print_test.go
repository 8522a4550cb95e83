package check

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func printed(t *testing.T, r *Report, color bool) string {
	t.Helper()
	var b strings.Builder
	if err := r.Print(&b, color); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The whole of it, for a site with one fault and one thing to note.
func TestPrint(t *testing.T) {
	s := sound()
	setAttribute(s, attrInput, "#message")
	s.With.Redirects = 1
	s.With.Header.Set("Set-Cookie", "kapa_web_id="+anID+"; Path=/; Max-Age=34473600; Secure; SameSite=Lax")
	want := `https://support.acme.com/tickets/new

with consent     200, text/html; charset=utf-8, gzip, "Open a ticket", redirected to https://support.acme.com/tickets/new
without consent  200, text/html; charset=utf-8, gzip, "Open a ticket"

  ok     without consent                     no tag, no id
  ok     tag                                 in the head, line 6, byte 82
  ok     script                              https://widget.kapa.ai/kapa-support-form-deflector.bundle.js
  ok     data-integration-id                 abc
  wrong  data-main-input-query-selector      #message  -> nothing
  ok     data-submit-element-query-selector  #form  -> <form id="form">
  ok     data-submit-element-event-type      onSubmit
  ok     data-submit-button-query-selector   #form button  -> <button>
  ok     data-anchor-element-query-selector  #form  -> <form id="form">
  note   id cookie                           a valid UUID, Path=/, Max-Age=34473600 (399 days), Secure, SameSite=Lax, kept by browsers
  ok     CSP                                 none
  ok     caching                             Cache-Control: private, no-cache; Vary: Cookie; an ETag; asked again: still good (304)

the page's forms, and selectors for their parts:
  form    #form
   field  #description
  button  #form button

wrong  data-main-input-query-selector: no element of the page matches #message: try
       document.querySelector('#message') in the browser's console

note   id cookie: it is only for support.acme.com, so visitors have another id on other hosts of acme.com

1 finding
`
	if got := printed(t, Judge(*s, product), false); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The row of the loader names the version at the edge, if the loader does.
func TestVersionOfTheLoader(t *testing.T) {
	const call = `(x)("kapa_deflector=1.9cb62049.e3b0c442.")`
	for content, want := range map[string]string{
		"/*kapa_deflector v0.1.0*/" + call:   "v0.1.0",
		call:                                 "",
		"/*kapa_deflector \x1b[31m*/" + call: "",
		"/*kapa_deflector " + strings.Repeat("1", 65) + "*/" + call: "",
	} {
		s := sound()
		untagged(strings.Replace(plainPage, "</head>", "<script>"+content+"</script></head>", 1))(s)
		r := Judge(*s, product)
		if r.Loader == nil || r.Loader.Version != want {
			t.Fatalf("%q: %+v, want %q", content, r.Loader, want)
		}
		if want != "" {
			want += ", "
		}
		text := printed(t, r, false)
		if row := fmt.Sprintf("  loader           %s%d bytes, ", want, len(content)); !strings.Contains(text, row) || strings.Contains(text, "\x1b") {
			t.Errorf("no %q in\n%s", row, text)
		}
	}
}

func TestConclusions(t *testing.T) {
	two := sound()
	setAttribute(two, attrInput, "#message")
	two.With.Header.Del("Set-Cookie")
	for want, s := range map[string]*Site{
		"nothing is wrong\n": sound(),
		"nothing is wrong, as far as a visitor without consent can see\n": {Without: answerOf(plainPage)},
		"2 findings\n": two,
	} {
		if got := printed(t, Judge(*s, product), false); !strings.HasSuffix(got, "\n\n"+want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

// A sentence names the cookies that were passed, if there were any.
func TestNoCookiesToCompare(t *testing.T) {
	s := &Site{NotRequired: true, With: answerOf(plainPage)}
	if got := printed(t, Judge(*s, product), false); !strings.Contains(got, "Omit --consent-not-required") || strings.Contains(got, "cookies  were") {
		t.Error(got)
	}
}

// A selector that was not checked is not shown as one that matches nothing.
func TestSelectorsOfALogin(t *testing.T) {
	s := sound()
	replace(theForm, "<form><input type=password></form>")(s)
	if got := printed(t, Judge(*s, product), false); strings.Count(got, "  -> not checked\n") != 4 {
		t.Error(got)
	}
}

func TestColors(t *testing.T) {
	got := printed(t, Judge(*sound(), product), true)
	if strings.Count(got, "\x1b[32mok   \x1b[0m") != 12 || strings.Count(got, "\x1b") != 24 {
		t.Errorf("%q", got)
	}
}

// What a page says cannot steer the terminal, or hide in the table.
func TestTextFromOutsideIsHarmless(t *testing.T) {
	s := sound()
	setAttribute(s, "data-integration-id", "a\x1b[2Jb\u202ec\u0007")
	setAttribute(s, attrInput, "#\x1b]0;title\x07"+strings.Repeat("x", 500))
	s.With.Header.Set("Cache-Control", "public\x1b[31m")
	replace("<script async", "<script async data-a\x1b[2j-query-selector=#message")(s)
	got := printed(t, Judge(*s, product), false)
	if strings.ContainsAny(got, "\x1b\x07\u202e") || !strings.Contains(got, `a\u{1B}[2Jb\u{202E}c\u{7}`) {
		t.Errorf("%q", got)
	}
	if strings.Contains(got, strings.Repeat("x", shortest)) {
		t.Errorf("not cut:\n%s", got)
	}
}

func TestQueriesAreNotShown(t *testing.T) {
	s := sound()
	s.URL += "?session=secret"
	s.With.URL, s.Without.URL = "https://user:secret@support.acme.com/?sid=secret#secret", "https://support.acme.com/?sid=secret"
	s.With.Redirects = 1
	if got := printed(t, Judge(*s, product), false); strings.Contains(got, "secret") {
		t.Error(got)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestAWriterThatFails(t *testing.T) {
	if err := Judge(*sound(), product).Print(brokenPipe{}, false); err == nil {
		t.Error("no error")
	}
}
