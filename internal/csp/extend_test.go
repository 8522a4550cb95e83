package csp_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
)

// extension is what the tests extend policies by; its nonce is always "fresh".
func extension(t testing.TB) csp.Extension {
	return csp.Extension{
		Script: csp.Script{URL: parseURL(t, bundle)},
		Nonce:  func() string { return "fresh" },
	}
}

// extended returns the lines after Extend, as read takes them, without metas.
func extended(p *csp.Policies, e csp.Extension) (lines []string) {
	p.Extend(e)
	enforced, reportOnly := p.Header()
	for _, line := range reportOnly {
		enforced = append(enforced, "report: "+line)
	}
	return enforced
}

func TestExtendScript(t *testing.T) {
	for _, test := range []struct {
		name         string
		before, want []string
		script       string // what the verdict is then
	}{
		{"no policy", nil, nil, "yes"},
		{"nothing about scripts", []string{"img-src 'self'"}, []string{"img-src 'self'"}, "yes"},
		{"allowed already", []string{"script-src https:"}, []string{"script-src https:"}, "yes"},
		{
			"script-src",
			[]string{"default-src 'self'; script-src 'self'; img-src *"},
			[]string{"default-src 'self'; script-src 'self' " + bundle + "; img-src *"}, "yes",
		},
		{
			"script-src-elem",
			[]string{"script-src 'self'; script-src-elem 'self' ;"},
			[]string{"script-src 'self'; script-src-elem 'self' " + bundle + " ;"}, "yes",
		},
		{
			"default-src gets a copy for script elements alone",
			[]string{"default-src 'self' 'unsafe-inline' data:"},
			[]string{"default-src 'self' 'unsafe-inline' data:; script-src-elem 'self' 'unsafe-inline' data: " + bundle}, "yes",
		},
		{
			"default-src with a semicolon behind it",
			[]string{" default-src 'self' ; "},
			[]string{" default-src 'self' ; script-src-elem 'self' " + bundle + " "}, "yes",
		},
		{
			"'none' beside others goes into no copy",
			[]string{"default-src 'none' 'self'"},
			[]string{"default-src 'none' 'self'; script-src-elem 'self' " + bundle}, "yes",
		},
		{"'none'", []string{"script-src 'none'"}, []string{"script-src 'none'"}, "no: script-src 'none'"},
		{"'NONE', with a sample", []string{"script-src 'NONE' 'report-sample'"}, []string{"script-src 'NONE' 'report-sample'"}, "no: script-src 'NONE' 'report-sample'"},
		{"an empty list", []string{"script-src ;"}, []string{"script-src ;"}, "no: script-src"},
		{"default-src 'none'", []string{"default-src 'none'"}, []string{"default-src 'none'"}, "no: default-src 'none'"},
		{"sandbox", []string{"sandbox; script-src 'self'"}, []string{"sandbox; script-src 'self'"}, "no: sandbox"},
		{
			"the name is taken",
			[]string{"default-src 'self'; script-src-elem é"},
			[]string{"default-src 'self'; script-src-elem é"}, "no: default-src 'self'",
		},

		{
			"'unsafe-inline' gets no nonce",
			[]string{"script-src 'self' 'unsafe-inline'"},
			[]string{"script-src 'self' 'unsafe-inline' " + bundle}, "yes",
		},
		{"the nonce that is there", []string{"script-src 'self' 'nonce-abc'"}, []string{"script-src 'self' 'nonce-abc'"}, "yes, nonce abc"},
		{
			"one element, two nonces",
			[]string{"script-src 'nonce-a'", "script-src 'nonce-b', script-src 'nonce-a'"},
			[]string{"script-src 'nonce-a'", "script-src 'nonce-b' " + bundle + ", script-src 'nonce-a'"}, "yes, nonce a",
		},
		{
			"'strict-dynamic' with a nonce",
			[]string{"script-src 'strict-dynamic' 'nonce-abc' https:"},
			[]string{"script-src 'strict-dynamic' 'nonce-abc' https:"}, "yes, nonce abc",
		},
		{
			"'strict-dynamic' with hashes only",
			[]string{"script-src 'strict-dynamic' " + otherHash + " 'unsafe-inline' https:"},
			[]string{"script-src 'strict-dynamic' " + otherHash + " 'unsafe-inline' https: 'nonce-fresh'"}, "yes, nonce fresh",
		},
		{
			"'strict-dynamic' in default-src",
			[]string{"default-src 'strict-dynamic' " + otherHash},
			[]string{"default-src 'strict-dynamic' " + otherHash + "; script-src-elem 'strict-dynamic' " + otherHash + " 'nonce-fresh'"}, "yes, nonce fresh",
		},
		{
			"two nonces, both with 'strict-dynamic'",
			[]string{"script-src 'strict-dynamic' 'nonce-a'", "script-src 'strict-dynamic' 'nonce-b'"},
			[]string{"script-src 'strict-dynamic' 'nonce-a' 'nonce-fresh'", "script-src 'strict-dynamic' 'nonce-b' 'nonce-fresh'"}, "yes, nonce fresh",
		},
		{
			"two nonces, one with 'strict-dynamic'",
			[]string{"script-src 'nonce-a'", "script-src 'strict-dynamic' 'nonce-b'"},
			[]string{"script-src 'nonce-a' " + bundle, "script-src 'strict-dynamic' 'nonce-b'"}, "yes, nonce b",
		},
		{
			"'strict-dynamic', and a meta element wants another nonce",
			[]string{"script-src 'strict-dynamic' 'nonce-a'", "meta: script-src 'nonce-m'"},
			[]string{"script-src 'strict-dynamic' 'nonce-a' 'nonce-fresh'"}, "no: script-src 'strict-dynamic' 'nonce-a' 'nonce-fresh'",
		},

		{
			"reports as well",
			[]string{"script-src 'self'", "report: script-src 'self'"},
			[]string{"script-src 'self' " + bundle, "report: script-src 'self' " + bundle}, "yes",
		},
		{"a meta element stays", []string{"meta: script-src 'self'"}, nil, "no, meta: script-src 'self'"},
		{
			"the nonce that a meta element wants",
			[]string{"script-src 'nonce-a' 'unsafe-inline'", "meta: script-src 'nonce-m'"},
			[]string{"script-src 'nonce-a' 'unsafe-inline' " + bundle}, "yes, nonce m",
		},
		{"members that are left alone", []string{",  img-src * ,script-src 'self';,,"}, []string{",  img-src * ,script-src 'self' " + bundle + ";,,"}, "yes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := extension(t)
			p := read(t, page, test.before...)
			if got := extended(p, e); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if got := answer(p.Script(e.Script)); got != test.script {
				t.Errorf("then %s, want %s", got, test.script)
			}
		})
	}
}

// Without somebody who makes nonces, none is added.
func TestExtendWithoutNonce(t *testing.T) {
	const line = "script-src 'strict-dynamic' " + otherHash
	e := extension(t)
	e.Nonce = nil
	if got := extended(read(t, page, line), e); !slices.Equal(got, []string{line}) {
		t.Errorf("%q", got)
	}
	e = extension(t)
	e.Script.Unnonceable = true
	if got := extended(read(t, page, line), e); !slices.Equal(got, []string{line}) {
		t.Errorf("with an attribute that voids nonces: %q", got)
	}
	if got := extended(read(t, page, "script-src 'nonce-a'"), e); !slices.Equal(got, []string{"script-src 'nonce-a' " + bundle}) {
		t.Errorf("with an attribute that voids nonces: %q", got)
	}
}

func TestExtendInline(t *testing.T) {
	for _, test := range []struct{ name, before, want string }{
		{"'unsafe-inline'", "script-src https: 'unsafe-inline'", "script-src https: 'unsafe-inline'"},
		{"a nonce", "script-src https: 'nonce-a'", "script-src https: 'nonce-a'"},
		{"neither", "script-src https:", "script-src https: " + inlineHash},
		{"the hash is there", "script-src https: " + inlineHash, "script-src https: " + inlineHash},
		{"'unsafe-inline' that is void", "script-src https: 'unsafe-inline' " + otherHash, "script-src https: 'unsafe-inline' " + otherHash + " " + inlineHash},
		{"default-src", "default-src 'self'", "default-src 'self'; script-src-elem 'self' " + bundle + " " + inlineHash},
		{"'strict-dynamic'", "script-src 'strict-dynamic' " + otherHash, "script-src 'strict-dynamic' " + otherHash + " 'nonce-fresh'"},
		{"'none'", "script-src 'none'", "script-src 'none'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := extension(t)
			e.Inline = inline
			p := read(t, page, test.before)
			if got := extended(p, e); !slices.Equal(got, []string{test.want}) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if v := p.Inline(inline); v.Allowed == (test.name == "'none'") {
				t.Errorf("then %+v", v)
			}
		})
	}
}

func TestExtendSources(t *testing.T) {
	const proxy, captcha, sub = "https://proxy.kapa.ai", "https://www.google.com/recaptcha/", "https://*.hcaptcha.com"
	for _, test := range []struct {
		name, directive string
		sources         []string
		before, want    string
	}{
		{"silent", "connect-src", []string{proxy}, "script-src https:", "script-src https:"},
		{"its own directive", "connect-src", []string{proxy}, "connect-src 'self'", "connect-src 'self' " + proxy},
		{"default-src", "connect-src", []string{proxy}, "default-src https: 'unsafe-inline'", "default-src https: 'unsafe-inline'"},
		{
			"default-src, of which only URLs matter", "connect-src", []string{proxy},
			"script-src https:; default-src 'self' 'unsafe-inline' 'nonce-a' data:",
			"script-src https:; default-src 'self' 'unsafe-inline' 'nonce-a' data:; connect-src 'self' data: " + proxy,
		},
		{"default-src 'none'", "connect-src", []string{proxy}, "script-src https:; default-src 'none'", "script-src https:; default-src 'none'; connect-src " + proxy},
		{"'none'", "connect-src", []string{proxy}, "connect-src 'none'", "connect-src 'none'"},
		{"child-src", "frame-src", []string{captcha}, "child-src 'self'", "child-src 'self'; frame-src 'self' " + captcha},
		{"child-src 'none'", "frame-src", []string{captcha}, "child-src 'none'", "child-src 'none'"},
		{"some are there", "frame-src", []string{captcha, sub}, "frame-src *.hcaptcha.com", "frame-src *.hcaptcha.com " + captcha},
		{"all are there", "frame-src", []string{captcha, sub}, "frame-src https://*.com https://www.google.com/recaptcha/", "frame-src https://*.com https://www.google.com/recaptcha/"},
		{"a part is there", "frame-src", []string{captcha}, "frame-src https://www.google.com/recaptcha/api/", "frame-src https://www.google.com/recaptcha/api/ " + captcha},
		{"one subdomain is there", "frame-src", []string{sub}, "frame-src https://a.hcaptcha.com", "frame-src https://a.hcaptcha.com " + sub},
		{"styles", "style-src", []string{sub}, "style-src 'self' 'nonce-a'", "style-src 'self' 'nonce-a' " + sub},
		{"style elements alone", "style-src", []string{sub}, "script-src https:; default-src 'self' 'unsafe-inline'", "script-src https:; default-src 'self' 'unsafe-inline'; style-src-elem 'self' 'unsafe-inline' " + sub},
		{"scripts", "script-src", []string{captcha}, "script-src widget.kapa.ai", "script-src widget.kapa.ai " + captcha},
		{"scripts with 'strict-dynamic'", "script-src", []string{captcha}, "script-src 'strict-dynamic' 'nonce-a'", "script-src 'strict-dynamic' 'nonce-a'"},
		{"scripts from 'none'", "script-src", []string{captcha}, "default-src 'none'", "default-src 'none'"},
		{"a scheme", "img-src", []string{"data:"}, "img-src 'self'", "img-src 'self' data:"},
		{"a scheme that is there", "img-src", []string{"data:"}, "img-src data:", "img-src data:"},
		{"without a scheme", "img-src", []string{"a.com", "a.com"}, "img-src 'self'", "img-src 'self' a.com"},
		{"any port", "connect-src", []string{"https://a.com:*"}, "connect-src https://a.com", "connect-src https://a.com https://a.com:*"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := extension(t)
			e.Sources = []csp.Sources{{test.directive, test.sources}}
			p := read(t, page, test.before)
			got := extended(p, e)
			if !slices.Equal(got, []string{test.want}) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if again := extended(read(t, page, got...), e); !slices.Equal(again, got) {
				t.Errorf("and again: %q", again)
			}
		})
	}
}

// The exact URL has no query, no origin alone, and nothing that separates.
func TestExactURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://a.com/k.js?v=1":    "script-src 'self' https://a.com/k.js",
		"https://a.com:8443/k.js":   "script-src 'self' https://a.com:8443/k.js",
		"https://a.com/k;a,b.js":    "script-src 'self' https://a.com/k%3Ba%2Cb.js",
		"https://a.com/%20k.js":     "script-src 'self' https://a.com/%20k.js",
		"https://a.com/dir/":        "script-src 'self'", // would stand for all below
		"https://a.com":             "script-src 'self'",
		"https://[::1]/k.js":        "script-src 'self'", // there is no expression for it
		"https://a_b.com/k.js":      "script-src 'self'",
		"https://127.0.0.1:99/k.js": "script-src 'self' https://127.0.0.1:99/k.js",
	} {
		p := read(t, page, "script-src 'self'")
		p.Extend(csp.Extension{Script: csp.Script{URL: parseURL(t, url)}})
		if got, _ := p.Header(); got[0] != want {
			t.Errorf("%s: %s", url, got[0])
		}
	}
	p := read(t, page, "script-src https://cdn.acme.com")
	p.Extend(csp.Extension{Script: csp.Script{URL: parseURL(t, "/k.js")}})
	if got, _ := p.Header(); got[0] != "script-src https://cdn.acme.com support.acme.com/k.js" {
		t.Errorf("a path: %s", got[0])
	}
	p = csp.Read(csp.URL{}, []string{"script-src https://cdn.acme.com"}, nil) // a host that nobody knows
	p.Extend(csp.Extension{Script: csp.Script{URL: parseURL(t, "/k.js")}})
	if got, _ := p.Header(); got[0] != "script-src https://cdn.acme.com" {
		t.Errorf("a path on an unknown host: %s", got[0])
	}
}

func TestUnreadIsNotExtended(t *testing.T) {
	line := "script-src 'self' " + strings.Repeat("a", 64<<10)
	p := read(t, page, line)
	p.Extend(extension(t))
	if enforced, _ := p.Header(); enforced != nil {
		t.Errorf("%d lines", len(enforced))
	}
}

func TestSources(t *testing.T) {
	for text, want := range map[string][2]bool{
		"https://a.com":     {true, true},
		"*.a.com:*/x/":      {true, true},
		"data:":             {true, false},
		"*":                 {true, false},
		"https://*":         {true, false},
		"'self'":            {false, false},
		"'unsafe-inline'":   {false, false},
		"https://a.com;x":   {false, false},
		"https://ä.com":     {false, false},
		"https://a.com/a b": {false, false},
		"https://a.com/a;b": {false, false},
		"https://a.com/ä":   {false, false},
		"":                  {false, false},
	} {
		if got := [2]bool{csp.IsSource(text), csp.NamesHost(text)}; got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}
