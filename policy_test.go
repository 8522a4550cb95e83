package kapadeflector

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

const (
	kapaSource = "https://widget.kapa.ai/kapa-support-form-deflector.bundle.js"
	someNonce  = "R2xvYmFs"
	cspMeta    = `<meta http-equiv="Content-Security-Policy" content="`
)

// tagWith is staticTag with a nonce.
func tagWith(nonce string) string {
	return strings.Replace(staticTag, "<script", `<script nonce="`+nonce+`"`, 1)
}

// pageWith is page with more in its head.
func pageWith(inHead string) string {
	return strings.Replace(samplePage, "</head>", inHead+"</head>", 1)
}

// withPolicy answers with a page whose header has the policies, those that begin
// with "report: " in the field that only reports, and validators.
func withPolicy(body string, policies ...string) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		for _, policy := range policies {
			if text, ok := strings.CutPrefix(policy, "report: "); ok {
				h.Add(reportField, text)
			} else {
				h.Add(policyField, policy)
			}
		}
		h.Set("Content-Type", "text/html")
		h.Set("Content-Length", itoa(len(body)))
		h.Set("Etag", `"v1"`)
		h.Set("Last-Modified", "Mon, 02 Nov 2026 10:00:00 GMT")
		_, err := io.WriteString(w, body)
		return err
	}
}

// policiesOf returns the policies of a response, as withPolicy takes them.
func policiesOf(resp *http.Response) (policies []string) {
	policies = slices.Clone(resp.Header[policyField])
	for _, text := range resp.Header[reportField] {
		policies = append(policies, "report: "+text)
	}
	return policies
}

// What a policy makes of a page, in each mode.
func TestPolicies(t *testing.T) {
	body := pageWith("")
	for _, tc := range []struct {
		name     string
		lines    string // of the block
		body     string // of the page; default: page
		policies []string

		outcome outcome.Outcome
		tag     string   // that is in the page
		sent    []string // the policies; default: those of the page
	}{
		{name: "no policy", outcome: outcome.Injected, tag: staticTag},
		{name: "one that allows it", policies: []string{"script-src https:"}, outcome: outcome.Injected, tag: staticTag},
		{name: "one that blocks it", policies: []string{"script-src 'self'"}, outcome: outcome.CSPBlocked},
		{name: "a nonce", policies: []string{"script-src 'nonce-" + someNonce + "'"}, outcome: outcome.Injected, tag: tagWith(someNonce)},
		{name: "a nonce in upper case", policies: []string{"SCRIPT-SRC 'NONCE-aA+/-_=='"}, outcome: outcome.Injected, tag: tagWith("aA+/-_==")},
		{name: "a nonce that could end the attribute", policies: []string{`script-src 'nonce-"><script>'`}, outcome: outcome.CSPBlocked},
		{name: "a list, one of which blocks it", policies: []string{"img-src *, script-src 'none'"}, outcome: outcome.CSPBlocked},
		{name: "only reported", policies: []string{"report: script-src 'none'"}, outcome: outcome.Injected, tag: staticTag},
		{name: "a sandbox", policies: []string{"sandbox"}, outcome: outcome.CSPBlocked},
		{name: "in a meta element", body: pageWith(cspMeta + `script-src &#39;self&#39;">`), outcome: outcome.CSPBlocked},
		{name: "a nonce in a meta element", body: pageWith(cspMeta + `script-src 'nonce-` + someNonce + `'">`), outcome: outcome.Injected, tag: tagWith(someNonce)},
		{name: "too much in meta elements", body: pageWith(strings.Repeat(cspMeta+`img-src *">`, 65)), outcome: outcome.CSPBlocked},
		{name: "in a meta element of the body", body: strings.Replace(samplePage, "<body>", "<body>"+cspMeta+`script-src 'none'">`, 1), outcome: outcome.Injected, tag: staticTag},
		{
			name: "without consent", lines: "consent cookie second yes", policies: []string{"script-src 'nonce-" + someNonce + "'"},
			outcome: outcome.NoConsent,
		},
		{
			name: "one that blocks the loader, without consent", lines: "loader\nconsent cookie second yes", policies: []string{"script-src 'none'"},
			outcome: outcome.CSPBlocked,
		},
		{
			name: "the untracked tag", lines: "consent cookie second yes\nwithout_consent untracked", policies: []string{"script-src 'nonce-" + someNonce + "'"},
			outcome: outcome.Untracked,
			tag:     strings.Replace(tagWith(someNonce), " src=", ` data-user-analytics-cookie-enabled="false" data-user-analytics-fingerprint-enabled="false" src=`, 1),
		},
		{
			name: "the untracked tag is blocked", lines: "consent cookie second yes\nwithout_consent untracked", policies: []string{"script-src 'self'"},
			outcome: outcome.CSPBlocked,
		},
		{
			name: "an attribute that voids the nonce", lines: `data-pre-submit-info-text "See <SCRIPT>"`, policies: []string{"script-src 'nonce-" + someNonce + "'"},
			outcome: outcome.CSPBlocked,
		},

		{name: "off, and blocked", lines: "csp off", policies: []string{"script-src 'self'"}, outcome: outcome.Injected, tag: staticTag},
		{name: "off, and a nonce", lines: "csp off", policies: []string{"script-src 'nonce-a'"}, body: pageWith(cspMeta + `script-src 'none'">`), outcome: outcome.Injected, tag: staticTag},

		{
			name: "extend", lines: "csp extend", policies: []string{"script-src 'self'", "report: script-src 'self'"},
			outcome: outcome.Injected, tag: staticTag,
			sent: []string{"script-src 'self' " + kapaSource, "report: script-src 'self' " + kapaSource},
		},
		{name: "extend, and none is there", lines: "csp extend", outcome: outcome.Injected, tag: staticTag},
		{
			name: "extend, with a nonce", lines: "csp extend", policies: []string{"script-src 'self' 'nonce-" + someNonce + "'"},
			outcome: outcome.Injected, tag: tagWith(someNonce),
		},
		{name: "extend, and 'none'", lines: "csp extend", policies: []string{"script-src 'none'; connect-src 'self'"}, outcome: outcome.CSPBlocked},
		{
			name: "extend, and a meta element blocks it", lines: "csp extend", policies: []string{"script-src 'self'"}, body: pageWith(cspMeta + `script-src 'self'">`),
			outcome: outcome.CSPBlocked,
		},
		{
			name: "extend, with sources of one's own", lines: "csp extend {\nscript-src https://www.google.com/recaptcha/\nconnect-src https://proxy.kapa.ai\nframe-src none\n}",
			policies: []string{"default-src 'self'; script-src 'self'; frame-src 'self'; style-src 'self'; img-src https:"},
			outcome:  outcome.Injected, tag: staticTag,
			sent: []string{"default-src 'self'; script-src 'self' " + kapaSource + " https://www.google.com/recaptcha/; frame-src 'self'; " +
				"style-src 'self' https://hcaptcha.com https://*.hcaptcha.com; img-src https:; connect-src 'self' https://proxy.kapa.ai"},
		},
		{
			name: "extend, for a script on the site itself", lines: "script /kapa-support-form-deflector.bundle.js\ncsp extend", policies: []string{"script-src https://cdn.acme.com"},
			outcome: outcome.Injected, tag: strings.Replace(staticTag, kapa.ScriptURL, "/kapa-support-form-deflector.bundle.js", 1),
			sent: []string{"script-src https://cdn.acme.com support.acme.com:8080/kapa-support-form-deflector.bundle.js"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, consentLine+tc.lines)
			if tc.body == "" {
				tc.body = body
			}
			r := newRequest(t, "GET", "/", "Host: support.acme.com:8080", "Cookie: "+granted)
			resp := serve(t, h, r, withPolicy(tc.body, tc.policies...))
			if got, _ := outcomeOf(r); got != tc.outcome {
				t.Errorf("outcome %s, want %s", got, tc.outcome)
			}
			want := strings.Replace(tc.body, "</head>", tc.tag+"</head>", 1)
			if got := bodyOf(t, resp); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if got := resp.Header.Get("Content-Length"); got != itoa(len(want)) {
				t.Errorf("Content-Length %s for %d bytes", got, len(want))
			}
			sent := tc.sent
			if sent == nil {
				sent = tc.policies
			}
			if got := policiesOf(resp); !slices.Equal(got, sent) {
				t.Errorf("policies %q\nwant     %q", got, sent)
			}
			if tagged := tc.tag != "" && tc.outcome == outcome.Injected; (idLines(resp) != nil) != tagged {
				t.Errorf("Set-Cookie: %q", resp.Header["Set-Cookie"])
			}
		})
	}
}

// Other fields of a page's header that block scripts, and their report-only forms.
func TestOtherPolicyFields(t *testing.T) {
	const sri = "script " + kapa.ScriptURL + " {\nintegrity sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n}"
	for _, tc := range []struct {
		name, lines, field string
		outcome            outcome.Outcome
	}{
		{"integrity is required", "", "Integrity-Policy: blocked-destinations=(script)", outcome.CSPBlocked},
		{"integrity is required, and is there", sri, "Integrity-Policy: blocked-destinations=(script)", outcome.Injected},
		{"integrity is required of styles", "", "Integrity-Policy: blocked-destinations=(style)", outcome.Injected},
		{"integrity is reported", "", "Integrity-Policy-Report-Only: blocked-destinations=(script)", outcome.Injected},
		{"integrity is required, and extend cannot help", "csp extend", "Integrity-Policy: blocked-destinations=(script)", outcome.CSPBlocked},
		{"integrity is required, and nobody cares", "csp off", "Integrity-Policy: blocked-destinations=(script)", outcome.Injected},
		{"connections to others are forbidden", "", "Connection-Allowlist: (response-origin)", outcome.CSPBlocked},
		{"connections to Kapa are allowed", "", `Connection-Allowlist: (response-origin "https://*.kapa.ai")`, outcome.Injected},
		{"connections are reported", "", "Connection-Allowlist-Report-Only: (response-origin)", outcome.Injected},
		{"the hash of another URL", "", "Content-Security-Policy: script-src https: 'url-sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='", outcome.CSPBlocked},
		{"the hash of another URL, extended", "csp extend", "Content-Security-Policy: script-src https: 'url-sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='", outcome.Injected},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRequest(t, "GET", "/", "Cookie: "+granted)
			resp := serve(t, newHandler(t, consentLine+tc.lines), r, func(w http.ResponseWriter, r *http.Request) error {
				name, value, _ := strings.Cut(tc.field, ": ")
				w.Header().Set(name, value)
				return pageHandler(w, r)
			})
			if got, _ := outcomeOf(r); got != tc.outcome {
				t.Errorf("outcome %s, want %s", got, tc.outcome)
			}
			if tagged := bodyOf(t, resp) != samplePage; tagged != (tc.outcome == outcome.Injected) || tagged != (idLines(resp) != nil) {
				t.Errorf("tagged %t, id %q", tagged, idLines(resp))
			}
		})
	}
}

// Fields that a client can write, and a proxy passes on, must not change a page that a
// cache keeps for others.
func TestForwardedFieldsAndPolicies(t *testing.T) {
	const (
		free   = "cookie off\ndata-user-analytics-cookie-enabled \"false\"\nconsent not_required\n"
		onSite = "script /kapa-support-form-deflector.bundle.js\n"
		public = "public, max-age=60"
		evil   = "X-Forwarded-Host: evil.example"
	)
	for _, tc := range []struct {
		name, lines, policy string
		fields              []string
		sent                string // the policy; default: that of the page
		outcome             outcome.Outcome
		private             bool
	}{
		{"a source of the request's own host", onSite + "csp extend", "script-src https://a.com", nil, "script-src https://a.com support.acme.com/kapa-support-form-deflector.bundle.js", outcome.Injected, false},
		{"a host that a client names", onSite + "csp extend", "script-src https://a.com", []string{evil}, "script-src https://a.com evil.example/kapa-support-form-deflector.bundle.js", outcome.Injected, true},
		{"the same host", onSite + "csp extend", "script-src https://a.com", []string{"X-Forwarded-Host: support.acme.com"}, "script-src https://a.com support.acme.com/kapa-support-form-deflector.bundle.js", outcome.Injected, false},
		{"TLS that ends at the proxy", onSite + "csp extend", "script-src https://a.com", []string{"X-Forwarded-Proto: https"}, "script-src https://a.com support.acme.com/kapa-support-form-deflector.bundle.js", outcome.Injected, false},
		{"the site by its name, which another host is not", onSite, "script-src support.acme.com", []string{evil}, "", outcome.CSPBlocked, true},
		{"the site by its name", onSite, "script-src support.acme.com", nil, "", outcome.Injected, false},
		{"'self', whatever the host", onSite, "script-src 'self'", []string{evil}, "", outcome.Injected, false},
		{"https:, and a scheme that a client names", onSite, "script-src https:", []string{"X-Forwarded-Proto: https"}, "", outcome.Injected, true},
		{"blocked for any host", onSite, "script-src https://a.com", []string{evil}, "", outcome.CSPBlocked, false},
		{"Kapa's host as 'self'", "", "script-src 'self'", []string{"X-Forwarded-Host: widget.kapa.ai", "X-Forwarded-Proto: https"}, "", outcome.Injected, true},
		{"Kapa's proxy as 'self'", "csp extend {\nconnect-src https://proxy.kapa.ai\n}", "connect-src 'self'", []string{"X-Forwarded-Host: proxy.kapa.ai", "X-Forwarded-Proto: https"}, "", outcome.Injected, true},
		{"a fresh nonce", "csp extend", "script-src 'strict-dynamic'", []string{evil}, "-", outcome.Injected, true},
		{"Kapa's script needs no host", "csp extend", "script-src https://a.com", []string{evil, "X-Forwarded-Proto: https"}, "script-src https://a.com " + kapaSource, outcome.Injected, false},
		{"off", onSite + "csp off", "script-src https://a.com", []string{evil}, "", outcome.Injected, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD"} {
				r := trustProxy(newRequest(t, method, "/", append(tc.fields, "Host: support.acme.com")...))
				resp := serve(t, newHandler(t, free+tc.lines), r, func(w http.ResponseWriter, r *http.Request) error {
					w.Header().Set("Cache-Control", public)
					w.Header().Set("Cdn-Cache-Control", "max-age=60")
					if method == "HEAD" {
						return withPolicy("", tc.policy)(w, r)
					}
					return withPolicy(samplePage, tc.policy)(w, r)
				})
				if got, _ := outcomeOf(r); got != tc.outcome && method == "GET" {
					t.Errorf("outcome %s, want %s", got, tc.outcome)
				}
				if tc.sent == "" {
					tc.sent = tc.policy
				}
				if got := resp.Header.Get(policyField); got != tc.sent && tc.sent != "-" {
					t.Errorf("%s: policy %s\nwant   %s", method, got, tc.sent)
				}
				want, cdn := public, "max-age=60"
				if tc.private {
					want, cdn = "private, no-cache", ""
				}
				if got := resp.Header.Get("Cache-Control"); got != want || resp.Header.Get("Cdn-Cache-Control") != cdn {
					t.Errorf("%s: Cache-Control %s, CDN-Cache-Control %s", method, got, resp.Header.Get("Cdn-Cache-Control"))
				}
			}
		})
	}
	// a client that reaches us directly says nothing about itself that counts
	r := newRequest(t, "GET", "/", evil, "Host: support.acme.com")
	resp := serve(t, newHandler(t, free+onSite+"csp extend"), r, withPolicy(samplePage, "script-src https://a.com"))
	if got := resp.Header.Get(policyField); strings.Contains(got, "evil") {
		t.Errorf("policy %s", got)
	}
	// a 304 has the policy of the page, and is as private
	h := newHandler(t, free+onSite+"csp extend")
	etag := serve(t, h, newRequest(t, "GET", "/"), withPolicy(samplePage)).Header.Get("Etag")
	r = trustProxy(newRequest(t, "GET", "/", evil, "If-None-Match: "+etag))
	resp = serve(t, h, r, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set(policyField, "script-src https://a.com")
		w.Header().Set("Cache-Control", public)
		w.WriteHeader(304)
		return nil
	})
	if got := resp.Header.Get("Cache-Control"); got != "private, no-cache" {
		t.Errorf("304: %s with %s", got, resp.Header.Get(policyField))
	}
}

// A base element cannot move a script on the site itself to another host.
func TestBaseElement(t *testing.T) {
	const file = "/kapa-support-form-deflector.bundle.js"
	for _, tc := range []struct {
		name, lines, base, policy string
		src                       string // "" for no tag
		etag                      bool
	}{
		{"another host", "", "<base href=https://cdn.example/>", "", "https://support.acme.com" + file, false},
		{"another host, without a scheme", "", "<base href=//cdn.example/>", "", "https://support.acme.com" + file, false},
		{"another host, in odd words", "", `<base href="\\cdn.example/">`, "", "https://support.acme.com" + file, false},
		{"another port", "", "<base href=https://support.acme.com:8443/>", "", "https://support.acme.com" + file, false},
		{"another scheme", "", "<base href=http://support.acme.com/>", "", "https://support.acme.com" + file, false},
		{"the host itself", "", "<base href=https://Support.acme.com:443/a/>", "", file, true},
		{"a path", "", "<base href=/a/>", "", file, true},
		{"a folder", "", "<base href=a/../>", "", file, true},
		{"none", "", "<base target=_top>", "", file, true},
		{"the second is no base", "", "<base href=/a/><base href=https://cdn.example/>", "", file, true},
		{"'self' is the site", "", "<base href=https://cdn.example/>", "script-src 'self'", "https://support.acme.com" + file, false},
		{"the other host in a policy", "", "<base href=https://cdn.example/>", "script-src cdn.example", "", true},
		{"extended", "csp extend", "<base href=https://cdn.example/>", "script-src cdn.example", "https://support.acme.com" + file, false},
		{"a nonce", "", "<base href=https://cdn.example/>", "script-src 'nonce-a'", "https://support.acme.com" + file, false},
		{"off", "csp off", "<base href=https://cdn.example/>", "script-src 'none'", "https://support.acme.com" + file, false},
		{"user, in front", userLines, "<base href=https://cdn.example/>", "", "https://support.acme.com" + file, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, consentLine+"script "+file+"?a&b\n"+tc.lines)
			r := newRequest(t, "GET", "https://support.acme.com/", "Cookie: "+granted)
			var policies []string
			if tc.policy != "" {
				policies = []string{tc.policy}
			}
			body := pageWith(tc.base)
			resp := serve(t, h, r, withPolicy(body, policies...))
			got := bodyOf(t, resp)
			if resp.Header.Get("Content-Length") != itoa(len(got)) {
				t.Errorf("Content-Length %s for %d bytes", resp.Header.Get("Content-Length"), len(got))
			}
			want := ` src="` + tc.src + `?a&amp;b"></script></head>`
			if tc.src == "" {
				if got != body {
					t.Errorf("got %s", got)
				}
			} else if !strings.Contains(got, want) {
				t.Errorf("no %s in %s", want, got)
			}
			if etag := resp.Header.Get("Etag"); (etag != "") != tc.etag {
				t.Errorf("Etag %s", etag)
			}
		})
	}
	r := newRequest(t, "GET", "https://support.acme.com/", "Cookie: "+granted)
	body := pageWith("<base href=https://cdn.example/>")
	if got := bodyOf(t, serve(t, newHandler(t, consentLine), r, withPolicy(body))); !strings.Contains(got, staticTag) {
		t.Errorf("Kapa's own address became %s", got)
	}
}

// The script that Kapa's loads for fingerprints.
func TestFingerprintUnderPolicies(t *testing.T) {
	const on, metrics = "data-user-analytics-fingerprint-enabled true\n", " https://metrics.kapa.ai"
	for _, tc := range []struct{ name, lines, cookies, policy, sent string }{
		{"off", "csp extend", granted, "script-src 'self'", "script-src 'self' " + kapaSource},
		{"on", on + "csp extend", granted, "script-src 'self'", "script-src 'self' " + kapaSource + metrics},
		{"on, and copied from default-src", on + "csp extend {\nconnect-src none\nframe-src none\nimg-src none\nstyle-src none\n}", granted, "default-src 'self'", "default-src 'self'; script-src-elem 'self' " + kapaSource + metrics},
		{"on, and allowed", on + "csp extend", granted, "script-src *.kapa.ai", "script-src *.kapa.ai"},
		{"on, with 'strict-dynamic'", on + "csp extend", granted, "script-src 'nonce-a' 'strict-dynamic'", "script-src 'nonce-a' 'strict-dynamic'"},
		{"on, with sources of one's own", on + "csp extend {\nscript-src https://a.com\n}", granted, "script-src 'self'", "script-src 'self' " + kapaSource + " https://a.com"},
		{"on, reused", on, granted, "script-src " + kapaSource, "script-src " + kapaSource},
		{"of a request that says no", "data-user-analytics-fingerprint-enabled {http.request.header.X-F}\ncsp extend", granted, "script-src 'self'", "script-src 'self' " + kapaSource},
		{"untracked", on + "csp extend\nwithout_consent untracked", denied, "script-src 'self'", "script-src 'self' " + kapaSource},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, consentLine+tc.lines)
			core, logs := observer.New(zapcore.WarnLevel)
			h.block.logger = zap.New(core)
			for range 2 {
				resp := serve(t, h, newRequest(t, "GET", "/", "X-F: false", "Cookie: "+tc.cookies), withPolicy(samplePage, tc.policy))
				if got := resp.Header.Get(policyField); got != tc.sent {
					t.Errorf("policy %s\nwant   %s", got, tc.sent)
				}
			}
			want := map[bool]int{true: 1}[tc.name == "on, reused" || tc.name == "on, with sources of one's own"]
			if got := logs.FilterMessageSnippet("fingerprints").Len(); got != want {
				t.Errorf("said %d times that it is blocked", got)
			}
		})
	}
}

// A page that depends on a nonce has no validator, and no shared cache keeps it.
func TestValidatorsUnderPolicies(t *testing.T) {
	const free = "cookie off\ndata-user-analytics-cookie-enabled \"false\"\nconsent not_required"
	for _, tc := range []struct {
		name, lines, policy string
		suffix              bool // of a page whose bytes are known
		private             bool
	}{
		{"no policy", free, "", true, false},
		{"allowed", free, "script-src https:", true, false},
		{"extended", free + "\ncsp extend", "script-src 'self'", true, false},
		{"a nonce", free, "script-src 'nonce-a'", false, true},
		{"a nonce of its own", free + "\ncsp extend", "script-src 'strict-dynamic'", false, true},
		{"a nonce that only reports want", free, "report: script-src 'nonce-a'", false, true},
		{"without its inline script", free + "\nuser {\nemail a@b.com\n}", "script-src https:", false, false},
		{"an inline script by its hash", free + "\nuser {\nemail a@b.com\n}\ncsp extend", "script-src https:", true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, tc.lines)
			var policies []string
			if tc.policy != "" {
				policies = []string{tc.policy}
			}
			var sent []string
			for _, method := range []string{"GET", "HEAD"} {
				next := withPolicy(samplePage, policies...)
				if method == "HEAD" {
					next = withPolicy("", policies...)
				}
				r := newRequest(t, method, "/")
				resp := serve(t, h, r, func(w http.ResponseWriter, r *http.Request) error {
					w.Header().Set("Cache-Control", "public, max-age=60")
					return next(w, r)
				})
				if got := policiesOf(resp); method == "HEAD" && tc.name != "a nonce of its own" && !slices.Equal(got, sent) {
					t.Errorf("HEAD has %q, GET %q", got, sent)
				} else {
					sent = got
				}
				etag := resp.Header.Get("Etag")
				if want := regexp.MustCompile(`^"v1-kapa-[0-9a-f]{16}"$`); tc.suffix != want.MatchString(etag) || !tc.suffix && etag != "" {
					t.Errorf("%s: Etag %s", method, etag)
				}
				if got := resp.Header.Get("Last-Modified"); got != "" {
					t.Errorf("%s: Last-Modified %s", method, got)
				}
				if got := resp.Header.Get("Cache-Control"); tc.private != (got == "private, no-cache") || !tc.private && got != "public, max-age=60" {
					t.Errorf("%s: Cache-Control %s", method, got)
				}
			}
		})
	}
}

// If there is no nonce to reuse, each response has its own.
func TestFreshNonces(t *testing.T) {
	h := newHandler(t, consentLine+"csp extend")
	seen := make(map[string]bool)
	for range 50 {
		resp := serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), withPolicy(samplePage, "script-src 'strict-dynamic' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"))
		found := regexp.MustCompile(`<script nonce="([A-Za-z0-9+/]{22}==)"`).FindStringSubmatch(bodyOf(t, resp))
		if found == nil || !strings.HasSuffix(resp.Header.Get(policyField), " 'nonce-"+found[1]+"'") {
			t.Fatalf("%q with %s", found, resp.Header.Get(policyField))
		}
		if seen[found[1]] {
			t.Fatalf("%s again", found[1])
		}
		seen[found[1]] = true
	}
}

// A 304 for a page with the tag has the policies that the page would have: they
// replace those of the copy (RFC 9111 section 3.2).
func TestPoliciesOfNotModified(t *testing.T) {
	for lines, want := range map[string]string{
		"":           "script-src https:; connect-src 'self'",
		"csp off":    "script-src https:; connect-src 'self'",
		"csp extend": "script-src https:; connect-src 'self' https://proxy.kapa.ai https://kapa-widget-proxy-la7dkmplpq-uc.a.run.app https://metrics.kapa.ai https://www.google.com/recaptcha/ https://hcaptcha.com https://*.hcaptcha.com",
	} {
		h := newHandler(t, consentLine+lines)
		const policy = "script-src https:; connect-src 'self'"
		page := serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), withPolicy(samplePage, policy))
		etag := page.Header.Get("Etag")
		notModified := serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted, "If-None-Match: "+etag), func(w http.ResponseWriter, r *http.Request) error {
			if got := r.Header.Get("If-None-Match"); got != `"v1"` {
				return fmt.Errorf("the origin is asked about %s", got)
			}
			w.Header().Set(policyField, policy)
			w.Header().Set("Etag", `"v1"`)
			w.WriteHeader(304)
			return nil
		})
		for status, resp := range map[int]*http.Response{200: page, 304: notModified} {
			if got := resp.Header[policyField]; resp.StatusCode != status || len(got) != 1 || got[0] != want {
				t.Errorf("%s: %d has %q", lines, resp.StatusCode, got)
			}
		}
		if got := notModified.Header.Get("Etag"); got != etag {
			t.Errorf("%s: Etag %s, was %s", lines, got, etag)
		}
	}
	// one that would need a nonce, which the copy cannot have
	h := newHandler(t, consentLine+"csp extend")
	etag := serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), pageHandlerWithTag).Header.Get("Etag")
	const strict = "script-src 'strict-dynamic'; connect-src 'self'"
	resp := serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted, "If-None-Match: "+etag), func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set(policyField, strict)
		w.WriteHeader(304)
		return nil
	})
	if got := resp.Header[policyField]; len(got) != 1 || got[0] != strict {
		t.Errorf("became %q", got)
	}
}

func pageHandlerWithTag(w http.ResponseWriter, r *http.Request) error {
	return withPolicy(samplePage)(w, r)
}

const userLines = "user {\nemail a@b.com\n}\n"

// What is known about the visitor is in an inline script of its own, which policies may
// block while they allow the tag.
func TestInlineScriptUnderPolicies(t *testing.T) {
	plain := serve(t, newHandler(t, consentLine+userLines), newRequest(t, "GET", "/", "Cookie: "+granted), pageHandler)
	inline := regexp.MustCompile(`<script>.*?</script>`).FindString(bodyOf(t, plain))
	withNonce := strings.Replace(inline, "<script", `<script nonce="a"`, 1)
	h := sha256Of(strings.TrimSuffix(strings.TrimPrefix(inline, "<script>"), "</script>"))

	for _, tc := range []struct{ name, mode, policy, inserted, sent string }{
		{"'unsafe-inline'", "reuse", "script-src https: 'unsafe-inline'", inline + staticTag, ""},
		{"a nonce for both", "reuse", "script-src 'nonce-a'", withNonce + tagWith("a"), ""},
		{"a nonce for it alone", "reuse", "script-src https: 'nonce-a'", withNonce + staticTag, ""},
		{"blocked", "reuse", "script-src https:", staticTag, ""},
		{"both blocked", "reuse", "script-src 'self'", "", ""},
		{"extended", "extend", "script-src https:", inline + staticTag, "script-src https: '" + h + "'"},
		{"both extended", "extend", "script-src 'self'", inline + staticTag, "script-src 'self' " + kapaSource + " '" + h + "'"},
		{"the URL alone", "extend", "script-src 'self' 'unsafe-inline'", inline + staticTag, "script-src 'self' 'unsafe-inline' " + kapaSource},
		{"extend with a nonce", "extend", "script-src 'nonce-a'", withNonce + tagWith("a"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, consentLine+userLines+"csp "+tc.mode)
			core, logs := observer.New(zapcore.WarnLevel)
			h.block.logger = zap.New(core)
			for range 2 {
				resp := serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), withPolicy(samplePage, tc.policy))
				want := strings.Replace(samplePage, "</head>", tc.inserted+"</head>", 1)
				if got := bodyOf(t, resp); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if tc.sent == "" {
					tc.sent = tc.policy
				}
				if got := resp.Header.Get(policyField); got != tc.sent {
					t.Errorf("policy %s\nwant   %s", got, tc.sent)
				}
			}
			left := logs.FilterMessageSnippet("the tag is inserted without it").Len()
			if want := map[bool]int{true: 1}[tc.name == "blocked"]; left != want {
				t.Errorf("said %d times that it was left out", left)
			}
		})
	}
}

// A page whose header leaves before its head ends is judged by the policies seen by
// then. A policy that comes later in the head still counts.
func TestPoliciesOfReleasedPages(t *testing.T) {
	type step func(w http.ResponseWriter)
	write := func(s string) step { return func(w http.ResponseWriter) { _, _ = io.WriteString(w, s) } }
	flush := func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() }
	const before, after = "<!doctype html><html><head><title>t</title>", "</head><body>b"
	for _, tc := range []struct {
		name, lines, policy string
		steps               []step
		outcome             outcome.Outcome
		tag, sent           string
	}{
		{"allowed", "", "script-src https:", []step{write(before), flush, write(after)}, outcome.Injected, staticTag, ""},
		{"blocked by the header", "", "script-src 'self'", []step{write(before), flush, write(after)}, outcome.CSPBlocked, "", ""},
		{"a nonce", "", "script-src 'nonce-a'", []step{write(before), flush, write(after)}, outcome.Injected, tagWith("a"), ""},
		{"a meta element after the flush", "", "script-src https:", []step{write(before), flush, write(cspMeta + `script-src 'self'">`), write(after)}, outcome.CSPBlocked, "", ""},
		{"a meta element before the flush", "", "", []step{write(before + cspMeta + `script-src 'self'">`), flush, write(after)}, outcome.CSPBlocked, "", ""},
		{"a nonce in a meta element after the flush", "", "", []step{write(before), flush, write(cspMeta + `script-src 'nonce-m'">`), write(after)}, outcome.Injected, tagWith("m"), ""},
		{"extended", "csp extend", "script-src 'self'", []step{write(before), flush, write(after)}, outcome.Injected, staticTag, "script-src 'self' " + kapaSource},
		{
			"extended in vain", "csp extend", "script-src 'self'", []step{write(before), flush, write(cspMeta + `script-src 'self'">`), write(after)},
			outcome.CSPBlocked, "", "script-src 'self' " + kapaSource,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, consentLine+tc.lines)
			r := newRequest(t, "GET", "/", "Cookie: "+granted)
			var sent strings.Builder
			resp := serve(t, h, r, func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.Header().Set("Etag", `"v1"`)
				if tc.policy != "" {
					w.Header().Set(policyField, tc.policy)
				}
				for _, step := range tc.steps {
					step(w)
				}
				return nil
			})
			for _, step := range tc.steps {
				rec := httptest.NewRecorder()
				step(rec)
				sent.WriteString(rec.Body.String())
			}
			if got, _ := outcomeOf(r); got != tc.outcome {
				t.Errorf("outcome %s, want %s", got, tc.outcome)
			}
			if got, want := bodyOf(t, resp), strings.Replace(sent.String(), "</head>", tc.tag+"</head>", 1); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if tc.sent == "" {
				tc.sent = tc.policy
			}
			if got := resp.Header.Get(policyField); got != tc.sent {
				t.Errorf("policy %s, want %s", got, tc.sent)
			}
			if strings.Contains(tc.policy, "nonce") && resp.Header.Get("Etag") != "" {
				t.Errorf("Etag %s of a page with a nonce", resp.Header.Get("Etag"))
			}
			if tc.tag == tagWith("m") && !strings.HasPrefix(resp.Header.Get("Etag"), `"v1-kapa-`) {
				t.Errorf("Etag %s, but the header had left before the nonce was seen", resp.Header.Get("Etag"))
			}
		})
	}
}

// The tag has the nonce that left with the header, even if the anchor is found later.
func TestFreshNonceOfReleasedPage(t *testing.T) {
	h := newHandler(t, consentLine+"csp extend")
	resp := serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set(policyField, "script-src 'strict-dynamic'")
		_, _ = io.WriteString(w, "<!doctype html><head>")
		_ = http.NewResponseController(w).Flush()
		_, err := io.WriteString(w, "</head>")
		return err
	})
	_, nonce, _ := strings.Cut(strings.TrimSuffix(resp.Header.Get(policyField), "'"), "'nonce-")
	if got := bodyOf(t, resp); nonce == "" || got != "<!doctype html><head>"+tagWith(nonce)+"</head>" {
		t.Errorf("%s under %s", got, resp.Header.Get(policyField))
	}
}

// What is logged about policies. A directive that blocks the script is in the debug log,
// because the site wrote it. Other notices are logged once.
func TestPolicyLog(t *testing.T) {
	const directive = "script-src 'self'"
	for _, tc := range []struct {
		name, lines string
		fields      []string // of the response
		level       zapcore.Level
		want        string
		times       int // of two responses
	}{
		{"blocked", "", []string{policyField + ": " + directive}, zapcore.DebugLevel, "the page's policy blocks the script", 2},
		{"connections are blocked", "", []string{policyField + ": script-src https:; connect-src 'self'"}, zapcore.WarnLevel, "does not let the deflector ask its questions", 1},
		{"connections are extended", "csp extend", []string{policyField + ": script-src https:; connect-src 'self'"}, zapcore.WarnLevel, "ask its questions", 0},
		{"Trusted Types", "", []string{policyField + ": require-trusted-types-for 'script'"}, zapcore.WarnLevel, "Trusted Types", 1},
		{"COEP", "", []string{"Cross-Origin-Embedder-Policy: require-corp; report-to=x"}, zapcore.WarnLevel, "Cross-Origin-Resource-Policy", 1},
		{"isolation that asks for the same", "", []string{"Document-Isolation-Policy: isolate-and-require-corp"}, zapcore.WarnLevel, "Cross-Origin-Resource-Policy", 1},
		{"COEP without credentials", "", []string{"Cross-Origin-Embedder-Policy: credentialless"}, zapcore.WarnLevel, "Cross-Origin-Resource-Policy", 0},
		{"COEP, with crossorigin", "script https://widget.kapa.ai/kapa-support-form-deflector.bundle.js {\ncrossorigin anonymous\n}", []string{"Cross-Origin-Embedder-Policy: require-corp"}, zapcore.WarnLevel, "Cross-Origin-Resource-Policy", 0},
		{"COEP, on the site itself", "script /kapa-support-form-deflector.bundle.js", []string{"Cross-Origin-Embedder-Policy: require-corp"}, zapcore.WarnLevel, "Cross-Origin-Resource-Policy", 0},
		{"off", "csp off", []string{policyField + ": " + directive + "; connect-src 'none'; require-trusted-types-for 'script'"}, zapcore.DebugLevel, "polic", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, consentLine+tc.lines)
			core, logs := observer.New(zapcore.DebugLevel)
			h.block.logger = zap.New(core)
			for range 2 {
				serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), func(w http.ResponseWriter, r *http.Request) error {
					for _, field := range tc.fields {
						name, value, _ := strings.Cut(field, ": ")
						w.Header().Set(name, value)
					}
					return pageHandler(w, r)
				})
			}
			found := logs.FilterMessageSnippet(tc.want).All()
			if len(found) != tc.times {
				t.Fatalf("%d lines: %v", len(found), logs.All())
			}
			for _, line := range found {
				if line.Level != tc.level {
					t.Errorf("level %s", line.Level)
				}
				if tc.name == "blocked" && (line.ContextMap()["directive"] != directive || line.ContextMap()["in_meta"] != false) {
					t.Errorf("%v", line.ContextMap())
				}
			}
		})
	}
}

// A page gets the loader only if its policies let the loader run, ask its question, and
// put the deflector's script in. Under extend, the loader is allowed by its hash, which
// is the same for all pages, and no nonce is made.
func TestLoaderUnderPolicies(t *testing.T) {
	h := newHandler(t, loaderLines)
	element := loaderOf(h)
	hash := " '" + sha256Of(h.block.loader.insertion.Loader) + "'"
	nonced := strings.Replace(element, "<script", `<script nonce="a"`, 1)
	const connects = "; connect-src https://support.acme.com"
	for _, tc := range []struct{ name, lines, policy, inserted, sent string }{
		{"no policy for scripts", "", "img-src 'none'", element, ""},
		{"all is allowed", "", "script-src https: 'unsafe-inline'", element, ""},
		{"a nonce", "", "script-src 'nonce-a'", nonced, ""},
		{"a nonce that the script is given, too", "", "script-src 'nonce-a' 'strict-dynamic'", nonced, ""},
		{"the loader's hash, and a trusted script may add others", "", "script-src" + hash + " 'strict-dynamic'", element, ""},
		{"the loader's hash, but not the deflector", "", "script-src" + hash, "", ""},
		{"the loader's hash, and the deflector's host", "", "script-src" + hash + " https://widget.kapa.ai", element, ""},
		{"the deflector's host alone", "", "script-src https://widget.kapa.ai", "", ""},
		{"it may not ask", "", "script-src https: 'unsafe-inline'; connect-src 'none'", "", ""},
		{"Trusted Types", "", "script-src 'nonce-a'; require-trusted-types-for 'script'", "", ""},

		{"extended", "csp extend", "script-src 'self'", element, "script-src 'self' " + kapaSource + hash},
		{"extended, with a nonce", "csp extend", "script-src https: 'nonce-a'", nonced, "script-src https: 'nonce-a'"},
		{"extended, by a trusted script", "csp extend", "script-src 'strict-dynamic' 'sha256-AAAA'", element, "script-src 'strict-dynamic' 'sha256-AAAA'" + hash},
		{"extended, it may not ask", "csp extend", "script-src 'self'; connect-src 'none'", "", "script-src 'self'; connect-src 'none'"},
		{"extended, Trusted Types", "csp extend", "script-src 'self'; require-trusted-types-for 'script'", "", "script-src 'self'; require-trusted-types-for 'script'"},
		{
			"it may ask by what is added for the deflector", "csp extend {\nconnect-src https://support.acme.com\n}", "script-src 'self'; connect-src https://x.example", element,
			"script-src 'self' " + kapaSource + hash + "; connect-src https://x.example https://support.acme.com",
		},
		{"it may ask the site by its name", "csp extend {\nconnect-src none\n}", "script-src 'self'" + connects, element, "script-src 'self' " + kapaSource + hash + connects},
		{"off", "csp off", "script-src 'none'", element, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for visitor, cookie := range visitors {
				h := newHandler(t, loaderLines+tc.lines)
				r := newRequest(t, "GET", "https://support.acme.com/", "Cookie: "+cookie)
				resp := serve(t, h, r, func(w http.ResponseWriter, r *http.Request) error {
					w.Header().Set("Etag", `"v1"`)
					w.Header().Set("Cache-Control", "public")
					return withPolicy(samplePage, tc.policy)(w, r)
				})
				if got, want := bodyOf(t, resp), pageWith(tc.inserted); got != want {
					t.Errorf("%s: got  %s\nwant %s", visitor, got, want)
				}
				want := tc.sent
				if want == "" {
					want = tc.policy
				}
				if got := resp.Header.Get(policyField); got != want {
					t.Errorf("policy %s\nwant   %s", got, want)
				}
				switch etag, cc := resp.Header.Get("Etag"), resp.Header.Get("Cache-Control"); {
				case tc.inserted == element && (etag != `"v1`+h.block.loader.insertion.Suffix || cc != "public"),
					tc.inserted == nonced && (etag != "" || cc != "public"), // the nonce is the page's own
					tc.inserted == "" && (etag != `"v1"` || cc != "private, no-cache"):
					t.Errorf("%s: ETag %s, Cache-Control %s", visitor, etag, cc)
				}
				if o, _ := outcomeOf(r); (o == outcome.CSPBlocked) != (tc.inserted == "") {
					t.Errorf("outcome %s", o)
				}
			}
		})
	}
}

// A handler in front may replace the policy when the header leaves. The outcome says
// whether the tag still runs.
func TestPolicyOverridden(t *testing.T) {
	for _, tc := range []struct {
		name, lines, origin, outer string
		want                       outcome.Outcome
		errors                     int // of two responses
	}{
		{"by one that blocks the tag", "", "", "script-src 'self'", outcome.HeaderOverridden, 1},
		{"by one that allows it", "", "script-src https:", "script-src widget.kapa.ai", outcome.Injected, 0},
		{"by the same", "", "script-src https:", "script-src https:", outcome.Injected, 0},
		{"by one without the nonce", "", "script-src 'nonce-a'", "script-src 'nonce-b'", outcome.HeaderOverridden, 1},
		{"by one with the nonce", "", "script-src 'nonce-a'", "script-src 'nonce-a' 'strict-dynamic'", outcome.Injected, 0},
		{"an extended one", "csp extend", "script-src 'self'", "script-src 'self'", outcome.HeaderOverridden, 1},
		{"by one without the nonce of user", userLines, "script-src https: 'nonce-a'", "script-src https: 'nonce-b'", outcome.HeaderOverridden, 1},
		{"by one with the nonce of user", userLines, "script-src https: 'nonce-a'", "script-src https: 'nonce-a' 'self'", outcome.Injected, 0},
		{"by one that needs no nonce", userLines, "script-src 'nonce-a'", "script-src https: 'unsafe-inline'", outcome.Injected, 0},
		{"by one that blocks user, as it was", userLines, "script-src https:", "script-src https: 'self'", outcome.Injected, 0},
		{"by one without the loader's nonce", "loader", "script-src https: 'nonce-a'", "script-src https: 'nonce-b'", outcome.HeaderOverridden, 1},
		{"by one under which the loader cannot ask", "loader", "", "connect-src https://x.example", outcome.HeaderOverridden, 1},
		{"by one under which the loader can ask", "loader", "", "connect-src 'self'", outcome.Loader, 0},
		{"and nobody cares", "csp off", "", "script-src 'self'", outcome.Injected, 0},
		{"of a page that is blocked anyway", "", "script-src 'none'", "script-src 'self'", outcome.CSPBlocked, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, consentLine+tc.lines)
			core, logs := observer.New(zapcore.ErrorLevel)
			h.block.logger = zap.New(core)
			for range 2 {
				r := newRequest(t, "GET", "/", "Cookie: "+granted)
				w := &deferring{ResponseWriter: httptest.NewRecorder(), policy: tc.outer}
				err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					if tc.origin == "" {
						return pageHandler(w, r)
					}
					return withPolicy(samplePage, tc.origin)(w, r)
				}))
				if err != nil {
					t.Fatal(err)
				}
				if got, _ := outcomeOf(r); got != tc.want {
					t.Errorf("outcome %s, want %s", got, tc.want)
				}
			}
			if logs.Len() != tc.errors {
				t.Errorf("%d lines: %v", logs.Len(), logs.All())
			}
		})
	}
}

// deferring sets the policy when the header leaves, as Caddy's deferred header
// directive does.
type deferring struct {
	http.ResponseWriter
	policy string
	wrote  bool
}

func (d *deferring) WriteHeader(status int) {
	d.wrote = true
	d.Header().Set(policyField, d.policy)
	d.ResponseWriter.WriteHeader(status)
}

func (d *deferring) Write(p []byte) (int, error) {
	if !d.wrote {
		d.WriteHeader(200)
	}
	return d.ResponseWriter.Write(p)
}

func sha256Of(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
