package csp_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
)

const (
	page   = "https://support.acme.com/tickets/new"
	bundle = "https://widget.kapa.ai/kapa-support-form-deflector.bundle.js"
	inline = "window.kapaSettings={}"
	// of inline
	inlineHash = "'sha256-FCnojp+RACiEWzXI/iSTI5SnDIQxbAMCS3WujtgQ1No='"
	otherHash  = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
	integrity  = "sha384-OLBgp1GsljhM2TJ+sbHjaiH9txEUvgdDTAzHv2P24donTt6/529l+9Ua0vFImLlb"
)

func parseURL(t testing.TB, s string) csp.URL {
	t.Helper()
	u, err := csp.ParseURL(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// read reads the policies of a page: a line that begins with "report: " is of
// the field that only reports, one that begins with "meta: " of a meta element.
func read(t testing.TB, at string, lines ...string) *csp.Policies {
	t.Helper()
	var enforced, reportOnly, metas []string
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, "report: "); ok {
			reportOnly = append(reportOnly, text)
		} else if text, ok := strings.CutPrefix(line, "meta: "); ok {
			metas = append(metas, text)
		} else {
			enforced = append(enforced, line)
		}
	}
	p := csp.Read(parseURL(t, at), enforced, reportOnly)
	for _, text := range metas {
		p.AddMeta(text)
	}
	return p
}

// answer is a verdict in short: "yes", "yes with a nonce" or what stands in the
// way.
func answer(v csp.Verdict) string {
	switch {
	case v.Allowed && v.Nonce != "":
		return "yes, nonce " + v.Nonce
	case v.Allowed:
		return "yes"
	case v.InMeta:
		return "no, meta: " + v.Directive
	default:
		return "no: " + v.Directive
	}
}

var verdicts = []struct {
	name   string
	lines  []string
	script string
	inline string
}{
	{"no policy", nil, "yes", "yes"},
	{"an empty line", []string{""}, "yes", "yes"},
	{"nothing about scripts", []string{"img-src 'self'; frame-ancestors 'none'; upgrade-insecure-requests"}, "yes", "yes"},

	// 6.8.3: who governs
	{"default-src", []string{"default-src 'self'"}, "no: default-src 'self'", "no: default-src 'self'"},
	{"script-src before default-src", []string{"default-src 'none'; script-src https:"}, "yes", "no: script-src https:"},
	{"script-src-elem before script-src", []string{"script-src 'none'; script-src-elem https:"}, "yes", "no: script-src-elem https:"},
	{"script-src-attr has no say", []string{"script-src-attr 'none'"}, "yes", "yes"},
	{"worker-src has no say", []string{"worker-src 'none'; child-src 'none'; object-src 'none'"}, "yes", "yes"},

	// 2.2.1: parsing
	{"names in any case", []string{"SCRIPT-SRC 'SELF'"}, "no: script-src 'SELF'", "no: script-src 'SELF'"},
	{"the first of two", []string{"script-src 'self'; script-src https:"}, "no: script-src 'self'", "no: script-src 'self'"},
	{"white space", []string{" ;; \tscript-src\t https://widget.kapa.ai  ;"}, "yes", "no: script-src https://widget.kapa.ai"},
	{"not ASCII", []string{"script-src 'none' ü"}, "yes", "yes"},
	{"not ASCII, and again", []string{"script-src ü; script-src 'none'"}, "yes", "yes"},
	{"an unknown directive", []string{"script-source 'none'"}, "yes", "yes"},
	{"no name", []string{"script_src 'none'"}, "yes", "yes"},

	// 2.2.2: lists
	{"a list", []string{"img-src 'self', script-src 'self'"}, "no: script-src 'self'", "no: script-src 'self'"},
	{"two lines", []string{"script-src https:", "script-src 'self'"}, "no: script-src 'self'", "no: script-src https:"},
	{"empty members", []string{", ,script-src https:,"}, "yes", "no: script-src https:"},

	// 6.7.2: URLs
	{"'none'", []string{"script-src 'none'"}, "no: script-src 'none'", "no: script-src 'none'"},
	{"an empty list", []string{"script-src"}, "no: script-src", "no: script-src"},
	{"'none' beside others", []string{"script-src 'none' https:"}, "yes", "no: script-src 'none' https:"},
	{"any", []string{"script-src *"}, "yes", "no: script-src *"},
	{"the host", []string{"script-src widget.kapa.ai"}, "yes", "no: script-src widget.kapa.ai"},
	{"the exact URL", []string{"script-src " + bundle}, "yes", "no: script-src " + bundle},
	{"another file", []string{"script-src https://widget.kapa.ai/other.js"}, "no: script-src https://widget.kapa.ai/other.js", "no: script-src https://widget.kapa.ai/other.js"},
	{"an http expression", []string{"script-src http://widget.kapa.ai"}, "yes", "no: script-src http://widget.kapa.ai"},
	{"another scheme", []string{"script-src wss://widget.kapa.ai"}, "no: script-src wss://widget.kapa.ai", "no: script-src wss://widget.kapa.ai"},

	// 6.7.2.3, 6.7.3: nonces
	{"a nonce", []string{"script-src 'nonce-abc'"}, "yes, nonce abc", "yes, nonce abc"},
	{"its keyword in upper case", []string{"script-src 'NONCE-aBc'"}, "yes, nonce aBc", "yes, nonce aBc"},
	{"no nonce", []string{"script-src 'nonce-a$b'"}, "no: script-src 'nonce-a$b'", "no: script-src 'nonce-a$b'"},
	{"a nonce with three equals signs", []string{"script-src 'nonce-abc==='"}, "no: script-src 'nonce-abc==='", "no: script-src 'nonce-abc==='"},
	{"a nonce that is not needed", []string{"script-src 'nonce-abc' https:"}, "yes", "yes, nonce abc"},
	{"a nonce voids 'unsafe-inline'", []string{"script-src 'unsafe-inline' 'nonce-abc' https:"}, "yes", "yes, nonce abc"},
	{"a hash voids 'unsafe-inline'", []string{"script-src 'unsafe-inline' " + otherHash}, "no: script-src 'unsafe-inline' " + otherHash, "no: script-src 'unsafe-inline' " + otherHash},
	{"'unsafe-inline'", []string{"script-src 'unsafe-inline' https:"}, "yes", "yes"},
	{"the same nonce twice", []string{"script-src 'nonce-a'", "script-src 'nonce-b' 'nonce-a'"}, "yes, nonce a", "yes, nonce a"},
	{"two nonces, one element", []string{"script-src 'nonce-a'", "script-src 'nonce-b'"}, "no: script-src 'nonce-b'", "no: script-src 'nonce-b'"},

	// 6.7.1.1
	{"'strict-dynamic' voids URLs", []string{"script-src 'strict-dynamic' https: 'unsafe-inline'"}, "no: script-src 'strict-dynamic' https: 'unsafe-inline'", "no: script-src 'strict-dynamic' https: 'unsafe-inline'"},
	{"'strict-dynamic' with a nonce", []string{"script-src 'strict-dynamic' 'nonce-abc' https: 'unsafe-inline'"}, "yes, nonce abc", "yes, nonce abc"},
	{"the script's hash", []string{"script-src 'strict-dynamic' '" + integrity + "'"}, "yes", "no: script-src 'strict-dynamic' '" + integrity + "'"},
	{"another hash", []string{"script-src 'strict-dynamic' " + otherHash}, "no: script-src 'strict-dynamic' " + otherHash, "no: script-src 'strict-dynamic' " + otherHash},
	{"the inline script's hash", []string{"script-src https: " + inlineHash}, "yes", "yes"},

	// 6.3.2
	{"a sandbox", []string{"sandbox allow-forms"}, "no: sandbox allow-forms", "no: sandbox allow-forms"},
	{"a sandbox with scripts", []string{"sandbox allow-forms Allow-Scripts"}, "yes", "yes"},

	// reports
	{"only reported", []string{"report: script-src 'none'; sandbox"}, "yes", "yes"},
	{"a nonce that only reports want", []string{"script-src https:", "report: script-src 'nonce-r' 'strict-dynamic'"}, "yes, nonce r", "no: script-src https:"},
	{"reports never outvote", []string{"script-src 'nonce-a'", "report: script-src 'nonce-r'", "report: script-src 'nonce-r'"}, "yes, nonce a", "yes, nonce a"},

	// 3.3: meta elements
	{"in a meta element", []string{"meta: script-src 'self'"}, "no, meta: script-src 'self'", "no, meta: script-src 'self'"},
	{"in a meta element, with references", []string{"meta: script-src &#39;self&apos;&semi; img-src *"}, "no, meta: script-src 'self'", "no, meta: script-src 'self'"},
	{"a sandbox in a meta element", []string{"meta: sandbox; frame-ancestors 'none'"}, "yes", "yes"},
	{"the nonce of both", []string{"script-src 'nonce-a' 'nonce-b'", "meta: script-src 'nonce-b'"}, "yes, nonce b", "yes, nonce b"},

	// bounds
	{"too long", []string{"script-src https: " + strings.Repeat("a", 64<<10)}, "no: policies too long to be read", "no: policies too long to be read"},
	{"too many", []string{strings.Repeat("img-src *,", 70)}, "no: policies too long to be read", "no: policies too long to be read"},
	{"too many nonces", []string{"script-src" + nonces(100), "script-src 'nonce-n90'"}, "no: script-src 'nonce-n90'", "no: script-src 'nonce-n90'"},
}

func nonces(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" 'nonce-n" + string(rune('0'+i/10)) + string(rune('0'+i%10)) + "'")
	}
	return b.String()
}

func TestVerdicts(t *testing.T) {
	script := csp.Script{URL: parseURL(t, bundle), Integrity: integrity}
	for _, test := range verdicts {
		t.Run(test.name, func(t *testing.T) {
			p := read(t, page, test.lines...)
			if got := answer(p.Script(script)); got != test.script {
				t.Errorf("the script: %s, want %s", got, test.script)
			}
			if got := answer(p.Inline(inline)); got != test.inline {
				t.Errorf("the inline script: %s, want %s", got, test.inline)
			}
		})
	}
}

// A nonce does not count on an element with "<script" in an attribute.
func TestUnnonceable(t *testing.T) {
	p := read(t, page, "script-src 'nonce-abc'")
	if v := p.Script(csp.Script{URL: parseURL(t, bundle), Unnonceable: true}); v.Allowed {
		t.Error("allowed")
	}
}

// All hashes that the script may have must be listed (6.7.2.4).
func TestIntegrity(t *testing.T) {
	const other = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for _, test := range []struct {
		integrity, list string
		want            bool
	}{
		{"", "'" + integrity + "'", false},
		{"md5-abc", "'" + integrity + "'", false},
		{integrity, "'" + integrity + "'", true},
		{integrity + " " + other, "'" + integrity + "'", false},
		{integrity + " " + other, "'" + other + "' '" + integrity + "'", true},
		{integrity + " md5-abc", "'" + integrity + "'", true},
		{other + "?x", "'SHA256-47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU'", true},
		{other, other, false},
	} {
		p := read(t, page, "script-src 'strict-dynamic' "+test.list)
		if got := p.Script(csp.Script{URL: parseURL(t, bundle), Integrity: test.integrity}).Allowed; got != test.want {
			t.Errorf("integrity %s under %s: %t", test.integrity, test.list, got)
		}
	}
}

func TestURLMatching(t *testing.T) {
	for _, test := range []struct {
		page, sources, url string
		want               bool
	}{
		{page, "'self'", "/kapa.js", true},
		{page, "'self'", "https://support.acme.com/kapa.js", true},
		{page, "'self'", "https://support.acme.com:8443/kapa.js", false},
		{page, "'self'", "https://acme.com/kapa.js", false},
		{page, "'self'", "http://support.acme.com/kapa.js", false},
		{"http://support.acme.com/", "'self'", "https://support.acme.com/kapa.js", true},
		{"http://support.acme.com:8080/", "'self'", "https://support.acme.com:8443/kapa.js", false},
		{"http://support.acme.com:8080/", "'self'", "/kapa.js", true},
		{page, "self", "/kapa.js", false},

		{page, "*", "https://a.com/x", true},
		{page, "*", "http://a.com/x", true},
		{page, "http://*", "https://a.com/x", true},
		{page, "https://*", "http://a.com/x", false},
		{page, "*:*", "https://a.com:99/x", true},
		{page, "*:99", "https://a.com:99/x", true},
		{page, "*:99", "https://a.com/x", false},
		{page, "https:", "https://a.com:99/x", true},
		{page, "http:", "https://a.com/x", true},
		{page, "HTTPS:", "https://a.com/x", true},
		{page, "https", "https://a.com/x", false},
		{page, "https://", "https://a.com/x", false},
		{page, "data:", "https://a.com/x", false},

		{page, "a.com", "https://a.com/x", true},
		{page, "a.com", "http://a.com/x", false},
		{"http://acme.com/", "a.com", "http://a.com/x", true},
		{"http://acme.com/", "a.com", "https://a.com/x", true},
		{page, "A.COM", "https://a.com/x", true},
		{page, "a.com.", "https://a.com/x", false},
		{page, "*.a.com", "https://b.a.com/x", true},
		{page, "*.a.com", "https://c.b.a.com/x", true},
		{page, "*.a.com", "https://a.com/x", false},
		{page, "*.a.com", "https://ba.com/x", false},
		{page, "*a.com", "https://ba.com/x", false},
		{page, "b.*.com", "https://b.a.com/x", false},
		{page, "a_b.com", "https://a_b.com/x", false},
		{page, "*.", "https://a.com/x", false},
		{page, "a..com", "https://a..com/x", false},

		{page, "a.com:443", "https://a.com/x", true},
		{page, "a.com:0443", "https://a.com/x", true},
		{page, "http://a.com:80", "https://a.com/x", true},
		{page, "https://a.com:80", "https://a.com/x", false},
		{page, "http://a.com:8080", "https://a.com:8080/x", false},
		{page, "https://a.com:8080", "https://a.com:8080/x", true},
		{page, "https://a.com", "https://a.com:8080/x", false},
		{page, "https://a.com:*", "https://a.com:8080/x", true},
		{page, "https://a.com:", "https://a.com/x", false},
		{page, "https://a.com:x", "https://a.com/x", false},
		{page, "https://a.com:99999999999", "https://a.com/x", false},

		{page, "https://a.com/", "https://a.com/x", true},
		{page, "https://a.com/x", "https://a.com/x", true},
		{page, "https://a.com/x", "https://a.com/x?y", true},
		{page, "https://a.com/x?y", "https://a.com/x", true},
		{page, "https://a.com/x#y", "https://a.com/x", true},
		{page, "https://a.com/x", "https://a.com/x/y", false},
		{page, "https://a.com/x/", "https://a.com/x/y", true},
		{page, "https://a.com/x/", "https://a.com/x", false},
		{page, "https://a.com/X", "https://a.com/x", false},
		{page, "https://a.com/%78", "https://a.com/x", true},
		{page, "https://a.com/x", "https://a.com/%78", true},
		{page, "https://a.com/a%3Bb", "https://a.com/a;b", true},
		{page, "https://a.com/%zz", "https://a.com/%zz", false}, // no URL
		{page, "a.com:443/x/", "https://a.com/x/y", true},
		{page, "https:/a.com", "https://a.com/x", false},
		{page, "1https://a.com", "https://a.com/x", false},
		{page, "//a.com", "https://a.com/x", false},
		{page, "/x", "/x", false},
		{page, "'https://a.com'", "https://a.com/x", false},
	} {
		u, err := csp.ParseURL(test.url)
		if err != nil {
			if test.want {
				t.Error(err)
			}
			continue
		}
		p := read(t, test.page, "script-src "+test.sources)
		if got := p.Script(csp.Script{URL: u}).Allowed; got != test.want {
			t.Errorf("%s on %s under %s: %t", test.url, test.page, test.sources, got)
		}
	}
}

func TestParseURL(t *testing.T) {
	for s, want := range map[string]csp.URL{
		"https://A.com":                 {Scheme: "https", Host: "a.com", Path: "/"},
		"https://a.com:443/x?y#z":       {Scheme: "https", Host: "a.com", Path: "/x"},
		"http://a.com:8080/a/../b.js":   {Scheme: "http", Host: "a.com", Port: 8080, Path: "/b.js"},
		"https://a.com/%41%2f":          {Scheme: "https", Host: "a.com", Path: "/%41%2f"},
		"/kapa.js?v=1":                  {Path: "/kapa.js"},
		"https://user:pw@a.com/kapa.js": {Scheme: "https", Host: "a.com", Path: "/kapa.js"},
	} {
		if got, err := csp.ParseURL(s); err != nil || got != want {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for _, s := range []string{"//a.com/x", "mailto:a@b.com", "https:///x", "https://a.com:x/", "%zz", "https://a.com:99999999999999999999/"} {
		if u, err := csp.ParseURL(s); err == nil {
			t.Errorf("%s: %+v", s, u)
		}
	}
}

func TestFetch(t *testing.T) {
	const url = "https://proxy.kapa.ai/query"
	for _, test := range []struct{ policy, directive, want string }{
		{"script-src 'none'", "connect-src", "yes"},
		{"default-src 'self'", "connect-src", "no: default-src 'self'"},
		{"default-src 'self'; connect-src proxy.kapa.ai", "connect-src", "yes"},
		{"default-src 'none'; connect-src 'nonce-abc'", "connect-src", "no: connect-src 'nonce-abc'"},
		{"default-src *; child-src 'self'", "frame-src", "no: child-src 'self'"},
		{"default-src 'self'; child-src 'self'; frame-src *", "frame-src", "yes"},
		{"default-src *; child-src 'self'", "connect-src", "yes"},
		{"style-src 'self'", "style-src", "no: style-src 'self'"},
		{"style-src 'self'; style-src-elem *", "style-src", "yes"},
		{"style-src *; style-src-attr 'none'", "style-src", "yes"},
		{"default-src 'self'; img-src *", "img-src", "yes"},
		{"default-src 'self'", "font-src", "no: default-src 'self'"},
		{"sandbox; media-src *", "media-src", "yes"},
	} {
		if got := answer(read(t, page, test.policy).Fetch(test.directive, parseURL(t, url))); got != test.want {
			t.Errorf("%s under %s: %s, want %s", test.directive, test.policy, got, test.want)
		}
	}
}

// The fields beside the Content-Security-Policy that keep scripts from a page.
func TestOtherFields(t *testing.T) {
	sri := csp.Script{URL: parseURL(t, bundle), Integrity: integrity, CORS: true}
	plain := csp.Script{URL: parseURL(t, bundle)}
	own := csp.Script{URL: parseURL(t, "/kapa.js")}
	const byIntegrity, byConnection = "no: Integrity-Policy", "no: Connection-Allowlist"
	for _, test := range []struct {
		name, integrity, connections string
		script                       csp.Script
		want                         string
	}{
		{"none", "", "", plain, "yes"},
		{"integrity is required", "blocked-destinations=(script)", "", plain, byIntegrity},
		{"of styles alone", "blocked-destinations=(style)", "", plain, "yes"},
		{"of both", "blocked-destinations=(style script), endpoints=(a)", "", plain, byIntegrity},
		{"and is there", "blocked-destinations=(script)", "", sri, "yes"},
		{"and is there without CORS", "blocked-destinations=(script)", "", csp.Script{URL: sri.URL, Integrity: integrity}, byIntegrity},
		{"and CORS without it", "blocked-destinations=(script)", "", csp.Script{URL: sri.URL, CORS: true}, byIntegrity},
		{"and is of an unknown kind", "blocked-destinations=(script)", "", csp.Script{URL: sri.URL, Integrity: "md5-abc", CORS: true}, byIntegrity},
		{"and the site's own script has none", "blocked-destinations=(script)", "", own, byIntegrity},
		{"from its attribute", "blocked-destinations=(script), sources=(inline)", "", plain, byIntegrity},
		{"from elsewhere", "blocked-destinations=(script), sources=(other)", "", plain, "yes"},
		{"a string", `blocked-destinations=("script")`, "", plain, "yes"},
		{"no list", "blocked-destinations=script", "", plain, "yes"},
		{"malformed", "blocked-destinations=(script", "", plain, "yes"},
		{"named twice, the last counts", "blocked-destinations=(script), blocked-destinations=()", "", plain, "yes"},

		{"a list of connections", "", `(response-origin "https://proxy.kapa.ai")`, plain, byConnection},
		{"with the script's host", "", `("https://widget.kapa.ai")`, plain, "yes"},
		{"with its domain", "", `("https://*.kapa.ai");report-to=x`, plain, "yes"},
		{"with any scheme, host and port", "", `("*://*:*")`, plain, "yes"},
		{"with the default port", "", `("https://widget.kapa.ai:443")`, plain, "yes"},
		{"with another port", "", `("https://widget.kapa.ai:8443")`, plain, byConnection},
		{"with its file", "", `("https://widget.kapa.ai/kapa-*.js")`, plain, "yes"},
		{"with another file", "", `("https://widget.kapa.ai/kapa-widget.bundle.js")`, plain, byConnection},
		{"with a pattern that is not understood", "", `("http{s}?://widget.kapa.ai")`, plain, byConnection},
		{"with the site itself", "", `(response-origin)`, own, "yes"},
		{"with the site itself, as text", "", `("response-origin")`, own, byConnection},
		{"of which the first counts", "", `("https://a.com"), ("https://widget.kapa.ai")`, plain, byConnection},
		{"empty", "", `()`, plain, byConnection},
		{"malformed connections", "", `(https://widget.kapa.ai)`, plain, byConnection},
		{"no list of connections", "", `"https://widget.kapa.ai"`, plain, byConnection},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := read(t, page)
			p.AddIntegrity([]string{test.integrity})
			p.AddConnections([]string{test.connections})
			if got := answer(p.Script(test.script)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if v := p.Inline(inline); !v.Allowed {
				t.Errorf("an inline script: %s", answer(v))
			}
		})
	}
	p := read(t, page)
	p.AddConnections([]string{`("https://widget.kapa.ai")`})
	if got := answer(p.Fetch("connect-src", parseURL(t, "https://proxy.kapa.ai/query"))); got != byConnection {
		t.Errorf("a question: %s", got)
	}
}

// What the script loads in turn is not in the page's source.
func TestLoads(t *testing.T) {
	for policy, want := range map[string]string{
		"script-src https:":                                  "yes",
		"script-src " + bundle:                               "no: script-src " + bundle,
		"script-src 'nonce-abc'":                             "no: script-src 'nonce-abc'",
		"script-src 'nonce-abc' 'strict-dynamic'":            "yes",
		"script-src https: 'url-" + otherHash[1:]:            "no: script-src https: 'url-" + otherHash[1:],
		"default-src 'self'; script-src-elem *.kapa.ai":      "yes",
		"default-src 'self'; script-src https://a.com data:": "no: script-src https://a.com data:",
	} {
		if got := answer(read(t, page, policy).Loads(parseURL(t, "https://metrics.kapa.ai/"))); got != want {
			t.Errorf("%s: %s, want %s", policy, got, want)
		}
	}
}

// The hash of a URL voids hosts in some browsers, and says nothing in others.
func TestURLHashes(t *testing.T) {
	sum := sha256.Sum256([]byte(bundle))
	hash := "'url-sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	other := "'url-" + otherHash[1:]
	for _, test := range []struct{ policy, want, extended string }{
		{"script-src https: " + hash, "yes", ""},
		{"script-src https: " + strings.ToUpper(hash[:12]) + hash[12:], "yes", ""},
		{"script-src https: " + other, "no: script-src https: " + other, "script-src https: " + other + " " + bundle + " " + hash},
		{"script-src https: 'unsafe-inline' 'strict-dynamic-url' " + other, "no: script-src https: 'unsafe-inline' 'strict-dynamic-url' " + other, "script-src https: 'unsafe-inline' 'strict-dynamic-url' " + other + " " + bundle + " " + hash},
		{"script-src " + hash, "no: script-src " + hash, "script-src " + hash + " " + bundle + " " + hash},
		{"script-src 'nonce-abc' " + other, "yes, nonce abc", ""},
		{"script-src https: 'url-sha256-*'", "yes", ""}, // no source
		{"script-src https: 'eval-" + otherHash[1:], "yes", ""},
	} {
		script := csp.Script{URL: parseURL(t, bundle), Source: bundle}
		p := read(t, page, test.policy)
		if got := answer(p.Script(script)); got != test.want {
			t.Errorf("%s: %s, want %s", test.policy, got, test.want)
		}
		if test.extended == "" {
			test.extended = test.policy
		}
		p.Extend(csp.Extension{Script: script, Sources: []csp.Sources{{Directive: "script-src", Sources: []string{"https://metrics.kapa.ai"}}}})
		if got, _ := p.Header(); strings.Contains(test.policy, "url-sha256-") && !strings.Contains(test.policy, "*") && got[0] != test.extended {
			t.Errorf("extended: %s\nwant      %s", got[0], test.extended)
		}
		if !p.Script(script).Allowed {
			t.Errorf("extended to %v, and blocked", p)
		}
	}
	if p := read(t, page, "script-src 'unsafe-inline' "+hash); p.Inline(inline).Allowed {
		t.Error("'unsafe-inline' counts beside the hash of a URL")
	}
}

func TestRequiresTrustedTypes(t *testing.T) {
	for line, want := range map[string]bool{
		"require-trusted-types-for 'script'":         true,
		"meta: require-trusted-types-for 'script'":   true,
		"require-trusted-types-for script":           false,
		"require-trusted-types-for":                  false,
		"trusted-types default":                      false,
		"report: require-trusted-types-for 'script'": false,
	} {
		if got := read(t, page, line).RequiresTrustedTypes(); got != want {
			t.Errorf("%s: %t", line, got)
		}
	}
}

// References are decoded as in an attribute, not as in text.
func TestMetaReferences(t *testing.T) {
	for content, want := range map[string]string{
		"script-src https://a.com/&#120;":   "yes",
		"script-src https://a.com/&#x78":    "yes",
		"script-src https://a.com/x&amp":    "no",
		"script-src https://a.com/x?y&lt=1": "yes",
		"script-src https://a.com/x?y&lt;":  "yes",
		"script-src 'none'&semi;":           "no",
		"script-src 'none'&semi":            "no",
		"script-src &apos;none&apos":        "no",
		"script-src https:&nosuch;":         "no",
		"script-src https://a.com/x&":       "no",
		"img-src x&semi;script-src 'none'":  "no",
		"img-src x&notit;script-src 'none'": "no",
		"img-src 'none'&sc;script-src *":    "yes",
	} {
		v := read(t, page, "meta: "+content).Script(csp.Script{URL: parseURL(t, "https://a.com/x")})
		if got := map[bool]string{true: "yes", false: "no"}[v.Allowed]; got != want {
			t.Errorf("%s: %s (%s)", content, got, v.Directive)
		}
	}
}

func TestUnread(t *testing.T) {
	p := read(t, page)
	p.AddUnread()
	if v := p.Script(csp.Script{URL: parseURL(t, bundle)}); v.Allowed || v.Directive == "" {
		t.Errorf("%+v", v)
	}
	p = read(t, page)
	p.AddMeta(strings.Repeat(" ", 64<<10+1))
	if p.Script(csp.Script{URL: parseURL(t, bundle)}).Allowed {
		t.Error("a long meta element is not read, and allowed")
	}
	p = read(t, page)
	p.AddMeta(strings.Repeat(",", 64<<10))
	if p.Script(csp.Script{URL: parseURL(t, bundle)}).Allowed {
		t.Error("a long list in a meta element is read")
	}
}
