package csp

import (
	"slices"
	"strings"
	"testing"
)

// seeds are shapes of policies, for the fuzzers to begin with.
var seeds = []string{
	"",
	"default-src 'self'",
	"default-src 'none'; script-src 'self'; connect-src 'none'; style-src 'self' 'unsafe-inline'",
	"script-src 'nonce-abc' 'strict-dynamic' https: http: 'unsafe-inline'; object-src 'none'; base-uri 'none'",
	"script-src 'strict-dynamic' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
	"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'",
	"script-src 'nonce-a' 'strict-dynamic', script-src 'nonce-b' 'strict-dynamic', script-src 'nonce-c' 'unsafe-inline'",
	"script-src-elem 'self', script-src *.kapa.ai:* http://widget.kapa.ai/%6b/;;sandbox allow-scripts",
	"child-src 'self'; SCRIPT-SRC 'NONE'; script-src ü; script-src-elem é",
}

func FuzzExtend(f *testing.F) {
	for i, seed := range seeds {
		f.Add(seed, seeds[(i+3)%len(seeds)], seeds[(i+5)%len(seeds)], "")
		f.Add(seed, "", "", seed)
	}
	page, script := URL{Scheme: "https", Host: "support.acme.com", Path: "/"}, URL{Scheme: "https", Host: "widget.kapa.ai", Path: "/kapa.js"}
	e := Extension{
		Script: Script{URL: script},
		Inline: "window.kapaSettings={}",
		Nonce:  func() string { return "RnJlc2ggZm9yIHRoaXM=" },
		Sources: []Sources{
			{"connect-src", []string{"https://proxy.kapa.ai", "https://*.hcaptcha.com"}},
			{"frame-src", []string{"https://www.google.com/recaptcha/"}},
			{"img-src", []string{"https://www.gstatic.com/recaptcha/", "data:"}},
			{"style-src", []string{"https://hcaptcha.com"}},
			{"font-src", nil},
			{"media-src", nil},
			{"script-src", []string{"https://www.google.com/recaptcha/"}},
		},
	}
	f.Fuzz(func(t *testing.T, first, second, report, meta string) {
		before, p := read(page, first, second, report, meta), read(page, first, second, report, meta)
		enforced, reportOnly := p.Header()
		if !p.unread && (!slices.Equal(enforced, []string{first, second}) || !slices.Equal(reportOnly, []string{report})) {
			t.Fatalf("%q, %q and %q became %q and %q", first, second, report, enforced, reportOnly)
		}
		if p.nonces(scriptElements) != nil && strings.Contains(first+second+report+meta, e.Nonce()) {
			t.Skip("a nonce that can be guessed")
		}
		p.Extend(e)

		for _, kind := range []string{"connect-src", "font-src", "frame-src", "img-src", "media-src", "style-src"} {
			for _, u := range probes {
				if was, is := before.Fetch(kind, u), p.Fetch(kind, u); was.Allowed != is.Allowed {
					t.Errorf("%s of %v: was %+v, is %+v", kind, u, was, is)
				}
			}
		}
		for _, nonce := range append(before.nonces(scriptElements), "") {
			for _, u := range probes {
				if was, is := before.otherScript(u, nonce), p.otherScript(u, nonce); was != is {
					t.Errorf("a script from %v with nonce %q: was %t, is %t", u, nonce, was, is)
				}
			}
			if was, is := before.otherInline(nonce), p.otherInline(nonce); was != is {
				t.Errorf("an inline script with nonce %q: was %t, is %t", nonce, was, is)
			}
		}
		for what, allows := range map[string]func(*Policies) bool{"an event handler": (*Policies).handler, "eval": (*Policies).eval} {
			if was, is := allows(before), allows(p); was != is {
				t.Errorf("%s: was %t, is %t", what, was, is)
			}
		}
		if before.Script(e.Script).Allowed && !p.Script(e.Script).Allowed {
			t.Error("the script was allowed, and is not")
		}
		if before.Inline(e.Inline).Allowed && !p.Inline(e.Inline).Allowed {
			t.Error("the inline script was allowed, and is not")
		}

		enforced, reportOnly = p.Header()
		if p.unread {
			return
		}
		again := read(page, enforced[0], enforced[1], reportOnly[0], meta)
		if got, want := again.Script(e.Script), p.Script(e.Script); !again.unread && got != want {
			t.Errorf("once it is sent, %+v; before, %+v", got, want)
		}
		if got, want := again.Inline(e.Inline), p.Inline(e.Inline); !again.unread && got != want {
			t.Errorf("once it is sent, %+v; before, %+v", got, want)
		}
		again.Extend(e)
		twice, twiceReported := again.Header()
		if !again.unread && (!slices.Equal(enforced, twice) || !slices.Equal(reportOnly, twiceReported)) {
			t.Errorf("extended, %q and %q; once more, %q and %q", enforced, reportOnly, twice, twiceReported)
		}
		for i, text := range []string{first, second, report} {
			if got := append(enforced, reportOnly...)[i]; !isSupersequence(got, text) {
				t.Errorf("%q became %q, which does not keep what was there", text, got)
			}
		}
	})
}

func read(page URL, first, second, report, meta string) *Policies {
	p := Read(page, []string{first, second}, []string{report})
	p.AddMeta(meta)
	return p
}

// probes are addresses that nobody has asked to allow.
var probes = []URL{
	{Scheme: "https", Host: "other.example", Path: "/kapa.js"},
	{Scheme: "https", Host: "widget.kapa.ai", Path: "/other.js"},
	{Scheme: "https", Host: "widget.kapa.ai", Port: 8443, Path: "/kapa.js"},
	{Scheme: "http", Host: "widget.kapa.ai", Path: "/kapa.js"},
	{Scheme: "https", Host: "www.google.com", Path: "/jsapi"},
	{Scheme: "https", Host: "support.acme.com", Path: "/upload/x.js"},
	{Scheme: "blob", Path: "/x"},
}

// otherScript reports whether a script may load whose element has this nonce, or
// none.
func (p *Policies) otherScript(u URL, nonce string) bool {
	return p.allow(scriptElements, func(l list) bool { return l.allowsScript(Script{URL: u}, nonce, p.page) })
}

// otherInline is the same for an inline script.
func (p *Policies) otherInline(nonce string) bool {
	return p.allow(scriptElements, func(l list) bool { return l.allowsInline("alert(1)", nonce) })
}

// handler reports whether event handlers in attributes run.
func (p *Policies) handler() bool {
	return p.allow("script-src-attr", list.allowsAllInline)
}

// eval reports whether strings can be run as code.
func (p *Policies) eval() bool {
	return p.allow("script-src", func(l list) bool { return l.has("'unsafe-eval'") })
}

func (p *Policies) allow(kind string, allows func(list) bool) bool {
	for policy := range p.all {
		if d := policy.governing(kind); !policy.reportOnly && (policy.forbidsScripts() || d != nil && !allows(d.sources)) {
			return false
		}
	}
	return true
}

// isSupersequence reports whether s is text with something added to it.
func isSupersequence(s, text string) bool {
	for i := range len(s) {
		if text != "" && s[i] == text[0] {
			text = text[1:]
		}
	}
	return text == ""
}
