package placeholder

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// newRequest returns a request as Caddy's server prepares it.
func newRequest() *http.Request {
	return caddyhttp.PrepareRequest(httptest.NewRequest("GET", "/", nil), caddy.NewReplacer(), nil, nil)
}

func replacer(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}

func TestValues(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte("from a file {env.KAPA_TEST_A} {http.request.host}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KAPA_TEST_A", "a")
	t.Setenv("KAPA_TEST_BRACES", `{env.KAPA_TEST_A}{http.request.host}\{`)
	t.Setenv("KAPA_TEST_EMPTY", "")
	r := newRequest()
	r.Host = "support.acme.com"
	r.Header.Set("X-Env", "{env.KAPA_TEST_A}")
	r.Header.Set("X-Host", "{http.request.host}")
	r.Header.Set("X-Backslash", `\{http.request.host}`)

	for _, tc := range []struct {
		name, text string
		resolved   string // at load; what it is for the request, where read is empty
		read       string
	}{
		{"empty", "", "", ""},
		{"text", "#form > button", "#form > button", ""},
		{"text that is not ASCII", "Hilfe – ä\x80", "Hilfe – ä\x80", ""},

		{"{env}", "{env.KAPA_TEST_A}", "a", ""},
		{"{env} in text", "x{env.KAPA_TEST_A}y{env.KAPA_TEST_A}z", "xayaz", ""},
		{"{env} that is empty", "x{env.KAPA_TEST_EMPTY}y", "xy", ""},
		{"{env} that is not set", "x{env.KAPA_TEST_UNSET}y", "xy", ""},
		{"{env} that holds placeholders", "{env.KAPA_TEST_BRACES}", `{env.KAPA_TEST_A}{http.request.host}\{`, ""},
		{"{env} whose name another {env} would complete", "{env.KAPA_TEST_{env.KAPA_TEST_A}}", "{env.KAPA_TEST_a}", ""},
		{"{file}, without the line's end", "{file." + file + "}", "from a file {env.KAPA_TEST_A} {http.request.host}", ""},
		{"{file} that is not there", "x{file." + file + ".not}y", "xy", ""},
		{"{system} that nobody knows", "{system.nope}", "{system.nope}", ""},
		{"{system}", "{system.os}/{system.arch}", runtime.GOOS + "/" + runtime.GOARCH, ""},

		{"a request's", "{http.request.host}", "{http.request.host}", "support.acme.com"},
		{"a request's in text", "a {http.request.host} b", "a {http.request.host} b", "a support.acme.com b"},
		{"two requests' in a row", "{http.request.method}{http.request.host}", "{http.request.method}{http.request.host}", "GETsupport.acme.com"},
		{"a header that is not there", "x{http.request.header.X-None}y", "x{http.request.header.X-None}y", "xy"},
		{"both times", "{env.KAPA_TEST_A} {http.request.method}", "a {http.request.method}", "a GET"},

		{"nobody's", "{no.such.placeholder}", "{no.such.placeholder}", ""},
		{"nobody's, beside a request's", "{nobody} {http.request.method}", "{nobody} {http.request.method}", "{nobody} GET"},
		{"env without a name behind it", "{env}", "{env}", ""},
		{"in upper case", "{ENV.KAPA_TEST_A}", "{ENV.KAPA_TEST_A}", ""},
		{"with space in it", "{ env.KAPA_TEST_A }", "{ env.KAPA_TEST_A }", ""},

		{"escaped", `\{env.KAPA_TEST_A}`, "{env.KAPA_TEST_A}", ""},
		{"escaped at both ends", `\{http.request.host\}`, "{http.request.host}", ""},
		{"escaped, with one that is not", `\{{http.request.method}\}`, "{{http.request.method}}", "{GET}"},
		{"a backslash before something else", `a\b\\c\`, `a\b\\c\`, ""},
		{"a backslash that is escaped escapes nothing", `\\{env.KAPA_TEST_A}`, `\{env.KAPA_TEST_A}`, ""},

		{"no end", "{env.KAPA_TEST_A", "{env.KAPA_TEST_A", ""},
		{"no end, then one with an end", "{env.{env.KAPA_TEST_A}", "{env.a", ""},
		{"no beginning", "env.KAPA_TEST_A}", "env.KAPA_TEST_A}", ""},
		{"nothing in it", "{}", "{}", ""},
		{"nothing in it, twice over", "{{}}", "{{}}", ""},
		{"one brace", "{", "{", ""},
		{"one in another", "{{env.KAPA_TEST_A}}", "{a}", ""},
		{"a request's in another", "{{http.request.method}}", "{{http.request.method}}", "{GET}"},
		{"CSS", "a{color:red;b:c}", "a{color:red;b:c}", ""},
		{"CSS in CSS", "@media print{a{color:red}}", "@media print{a{color:red}}", ""},
		{"JSON", `{"a":{"b":["{}",{}]}}`, `{"a":{"b":["{}",{}]}}`, ""},
		{"JSON with a request's in it", `{"a": "{http.request.method}"}`, `{"a": "{http.request.method}"}`, `{"a": "GET"}`},

		{"a request's that holds {env}", "{http.request.header.X-Env}", "{http.request.header.X-Env}", "{env.KAPA_TEST_A}"},
		{"a request's that holds a request's", "{http.request.header.X-Host}", "{http.request.header.X-Host}", "{http.request.host}"},
		{"a request's that holds an escape", "{http.request.header.X-Backslash}", "{http.request.header.X-Backslash}", `\{http.request.host}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Resolve(tc.text); got != tc.resolved {
				t.Errorf("at load: got %q, want %q", got, tc.resolved)
			}
			want := tc.read
			if want == "" {
				want = tc.resolved
			}
			v := Parse(tc.text)
			if got := v.Read(replacer(r)); got != want {
				t.Errorf("for the request: got %q, want %q", got, want)
			}
			if s, static := v.Static(); static && s != want {
				t.Errorf("static: got %q, want %q", s, want)
			} else if !static && !strings.Contains(tc.resolved, "{") {
				t.Error("not static")
			}
		})
	}
}

// What the environment is when a request comes does not matter: it is read at
// load, once.
func TestValuesAreResolvedAtLoad(t *testing.T) {
	t.Setenv("KAPA_TEST_A", "then")
	v := Parse("{env.KAPA_TEST_A} {http.request.method}")
	os.Setenv("KAPA_TEST_A", "now")
	if got := v.Read(replacer(newRequest())); got != "then GET" {
		t.Errorf("got %q", got)
	}
}

func TestAwaitsLoad(t *testing.T) {
	for text, want := range map[string]bool{
		"":                      false,
		"text":                  false,
		"{http.request.host}":   false,
		"{environment}":         false,
		"{env.A}":               true,
		"x{file./a}":            true,
		"{x} {system.hostname}": true,
	} {
		if got := AwaitsLoad(text); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestWhyEmpty(t *testing.T) {
	t.Setenv("KAPA_TEST_EMPTY", "")
	for text, want := range map[string]string{
		"":                      "",
		"  ":                    "",
		"{env.KAPA_TEST_UNSET}": "{env.KAPA_TEST_UNSET} is not set",
		"{env.KAPA_TEST_EMPTY}": "{env.KAPA_TEST_EMPTY} is empty",
		"{file./there is none}": "{file./there is none} is empty or cannot be read",
		"{env.KAPA_TEST_UNSET} {env.KAPA_TEST_UNSET}{env.KAPA_TEST_EMPTY}": "{env.KAPA_TEST_UNSET} is not set, {env.KAPA_TEST_EMPTY} is empty",
	} {
		if got := WhyEmpty(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "text", "{env.HOME}", `\{env.HOME\}`, "{{http.request.method}}", "{}", "{", "}", `\`, `{"a":{"b":1}}`,
		"{http.request.header.X-Fuzz}", "{env.{http.request.host}}", "{file./}", "a{b{c}d}e", "\x00\xff{\xff}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "{file.") {
			t.Skip("reads whatever file is named")
		}
		v := Parse(s)
		if !strings.ContainsAny(s, `{\`) && (Resolve(s) != s || len(v) > 1) {
			t.Errorf("%q became %q", s, v)
		}
		for i, p := range v {
			if (p.text == "") == (p.placeholder == "") {
				t.Errorf("%q: part %d is %+v", s, i, p)
			}
			if isLoadTime(p.placeholder) {
				t.Errorf("%q: {%s} is left for the request", s, p.placeholder)
			}
			if i > 0 && p.placeholder == "" && v[i-1].placeholder == "" {
				t.Errorf("%q: two texts in a row", s)
			}
		}
		// whatever a visitor sends stands where its placeholder stood, and
		// brings nothing else to life
		const sent = "{env.HOME}{http.request.method}\\{"
		r := newRequest()
		r.Header.Set("X-Fuzz", sent)
		const fuzzed = "{http.request.header.X-Fuzz}"
		if strings.ContainsAny(s, `{}\`) {
			return
		}
		if got, want := Parse(s+fuzzed+s).Read(replacer(r)), s+sent+s; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
