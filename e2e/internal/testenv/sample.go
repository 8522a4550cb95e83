package testenv

import (
	"net/url"
	"os"
	"sync"
	"testing"
)

// Support and Docs are the hosts of the sample site.
const (
	Support = "support.acme.localhost"
	Docs    = "docs.acme.localhost"
)

// SamplePages are the pages of the sample site.
var SamplePages = []struct {
	Host, Path string
	Form       bool
}{
	{Support, "/", false},
	{Support, "/articles/reset-password", false},
	{Support, "/tickets/new", true},
	{Support, "/tickets/new-late", true},
	{Support, "/tickets/thanks", false},
	{Docs, "/", false},
	{Docs, "/contact", true},
	{Docs, "/contact/thanks", false},
}

// Sample is the sample site behind Caddyfile.example, which the tests of a
// package share.
func Sample(t *testing.T) *Caddy {
	t.Helper()
	c, err := sample()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var sample = sync.OnceValues(func() (*Caddy, error) {
	dir, err := os.MkdirTemp("", "kapa-e2e-")
	if err != nil {
		return nil, err
	}
	addAtEnd(func() error { return os.RemoveAll(dir) })
	c, err := newCaddy("Caddyfile.example", dir)
	if err != nil {
		return nil, err
	}
	if err := c.start(); err != nil {
		return nil, err
	}
	addAtEnd(c.Stop)
	return c, nil
})

// The banner

// Accept has the visitor accept in the banner.
func (v *Visitor) Accept() { v.T.Helper(); v.choose(".consent-accept", "accepted") }

// Refuse has the visitor refuse in the banner.
func (v *Visitor) Refuse() { v.T.Helper(); v.choose(".consent-refuse", "refused") }

func (v *Visitor) choose(button, choice string) {
	v.T.Helper()
	if !v.Sees("#consent-banner") {
		v.ChangeMind()
	}
	v.Click(button)
	v.WantChoice(choice)
	v.Click(".consent-close")
	v.WaitFor(`!` + Visible("#consent-banner"))
}

// ChangeMind opens the banner again.
func (v *Visitor) ChangeMind() {
	v.T.Helper()
	v.Click(".consent-change")
	v.WaitFor(Visible(".consent-accept"))
}

// WantChoice checks which choice the banner has stored.
func (v *Visitor) WantChoice(want string) {
	v.T.Helper()
	got := v.Cookies("cookie_consent")
	if len(got) != 1 || got[0].Value != want {
		v.T.Errorf("the choice that is kept is %s, want %s", AsJSON(got), want)
	}
}

// The form

// Kapa answers questions of 25 characters or more.
const (
	LongQuestion  = "How do I reset my password?"
	ShortQuestion = "It does not work at all." // 24
)

// FillIn fills the form in, as somebody who types.
func (v *Visitor) FillIn(question string) {
	v.T.Helper()
	v.Write("#email", "visitor@example.com")
	v.Write("#subject", "Help")
	v.Write("#description", question)
}

// SendButton finds the button that sends the form.
const SendButton = "#support-form button[type=submit]"

// Ask submits a question and waits for the answer to stand there.
func (v *Visitor) Ask() {
	v.T.Helper()
	v.FillIn(LongQuestion)
	v.Click(SendButton)
	v.WaitFor(Visible("#kapa-stand-in-send"))
}

// WantSent checks that the visitor's form arrived with this question.
func (v *Visitor) WantSent(action, question string) {
	v.T.Helper()
	if v.Path() != action+"/thanks" {
		v.T.Errorf("after sending, the visitor is at %s", v.Path())
	}
	var sent []string
	v.mu.Lock()
	for _, r := range v.requests {
		if r.method == "POST" {
			sent = append(sent, r.body)
		}
	}
	v.mu.Unlock()
	want := url.Values{"email": {"visitor@example.com"}, "subject": {"Help"}, "description": {question}}
	if len(sent) != 1 {
		v.T.Fatalf("the form was sent %d times", len(sent))
	}
	if got, err := url.ParseQuery(sent[0]); err != nil || got.Encode() != want.Encode() {
		v.T.Errorf("sent was %s, want %s", sent[0], want.Encode())
	}
}
