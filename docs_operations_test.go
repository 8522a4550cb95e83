package kapadeflector

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
)

// documented returns the one Caddyfile of docs/operations.md that holds mark
// and no global options, with a site for startCaddy in front of page.
func documented(t *testing.T, mark string, replace ...string) string {
	t.Helper()
	t.Setenv("KAPA_INTEGRATION_ID", "abc")
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_ = pageHandler(w, r)
	}))
	t.Cleanup(origin.Close)
	var found []string
	for _, block := range caddyfileBlocks(t) {
		if strings.HasPrefix(block.where, "docs/operations.md") && strings.Contains(block.text, mark) && !strings.HasPrefix(block.text, "{") {
			found = append(found, block.text)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d Caddyfiles hold %q", len(found), mark)
	}
	replace = append(replace,
		"support.acme.com {", "http://support.acme.com:HTTP {",
		"127.0.0.1:3000", strings.TrimPrefix(origin.URL, "http://"))
	return strings.NewReplacer(replace...).Replace(found[0])
}

// The documented switch takes effect with the next request, in both
// directions, and for the copies that browsers have.
func TestDocumentedSwitch(t *testing.T) {
	dir := t.TempDir()
	s := startCaddy(t, documented(t, "kapa.off", "/etc/caddy", dir))
	tagged := func(step string) string {
		t.Helper()
		resp, body := s.get("h1", "/tickets/new", "Cookie: "+granted)
		if !strings.Contains(body, "data-integration-id") || len(idLines(resp)) != 1 {
			t.Errorf("%s: a consenting visitor gets %s %v", step, body, idLines(resp))
		}
		return resp.Header.Get("Etag")
	}
	etag := tagged("at first")
	file := filepath.Join(dir, "kapa.off")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, fields := range [][]string{{"Cookie: " + granted}, {"Cookie: " + granted, "If-None-Match: " + etag}} {
		resp, body := s.get("h1", "/tickets/new", fields...)
		if resp.StatusCode != http.StatusOK || body != page || idLines(resp) != nil || resp.Header.Get("Etag") != `"v1"` || resp.Header["Vary"] != nil {
			t.Errorf("switched off, %v: %d %v %s", fields, resp.StatusCode, resp.Header, body)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	tagged("switched on again")
}

// With the block in a file of its own, its removal leaves a Caddyfile that a
// Caddy without the plugin takes.
func TestDocumentedRollBack(t *testing.T) {
	const ours = `"handler":"kapa_deflector"`
	dir := t.TempDir()
	config := documented(t, "import kapa/", "import kapa/", "import "+dir+"/")
	adapt := func() string {
		t.Helper()
		raw, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(strings.Replace(config, "HTTP", "80", 1)), nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	block := filepath.Join(dir, "form.caddyfile")
	if err := os.WriteFile(block, []byte("kapa_deflector {"+requiredLines+consentLine+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(adapt(), ours) {
		t.Error("the block is not imported")
	}
	if err := os.Rename(block, filepath.Join(dir, "form.off")); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(adapt(), ours) {
		t.Error("the block is still imported")
	}
}

// The README's table, to which docs/operations.md leads, has every outcome and
// every reason, and no other.
func TestDocumentedOutcomesAndReasons(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n### The tag does not appear\n")
	section, _, _ = strings.Cut(section, "\n### ")
	var got, want []string
	for row := range strings.Lines(section) {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(row, "| `"), " | "); ok && strings.HasPrefix(row, "| `") {
			got = append(got, strings.Split(strings.Trim(cell, "`"), "`, `")...)
		}
	}
	for o := undecided + 1; o < outcomeCount; o++ {
		want = append(want, o.String())
	}
	for r := consent.NoReason + 1; r <= consent.GPC; r++ {
		want = append(want, r.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the tables have %q\nthere are %q", got, want)
	}
}

// The admin endpoint shows the counters, without any option.
func TestDocumentedMetricsEndpoint(t *testing.T) {
	port := freePort(t)
	config := string(site("127.0.0.1:"+freePort(t), handlerRoute(soundFields)))
	config = strings.Replace(config, "{", `{"admin": {"listen": "127.0.0.1:`+port+`", "config": {"persist": false}}, "logging": {"logs": {"default": {"writer": {"output": "discard"}}}}, `, 1)
	if err := caddy.Load([]byte(config), true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = caddy.Stop() })
	resp, err := http.Get("http://127.0.0.1:" + port + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := bodyOf(t, resp)
	for o := undecided + 1; o < outcomeCount; o++ {
		if line := `caddy_kapa_deflector_responses_total{outcome="` + o.String() + `"} 0`; !strings.Contains(body, line+"\n") {
			t.Errorf("not %s", line)
		}
	}
}

// The documented access log says what became of a response, and not whose it
// was; neither does Caddy's own log, which has the errors.
func TestDocumentedOutcomeLog(t *testing.T) {
	files := make(map[string]string)
	b := blockWith(t, "docs/operations.md", "(nobody)")
	global, sites, _ := strings.Cut(b.text, "\nsupport.acme.com {")
	output := func(text, name string) string {
		files[name] = filepath.Join(t.TempDir(), name)
		return strings.Replace(text, "\tlog {\n", "\tlog {\noutput file "+files[name]+"\n", 1)
	}
	text := output(global, "errors") + "\nsupport.acme.com {" + output(sites, "access")
	port := loadDocumented(t, text, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler) // an error of reverse_proxy
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret"})
		w.Header().Set("Location", "/?secret")
		pageOrigin(w, r)
	}))
	for _, path := range []string{"/tickets/new?email=secret", "/broken?email=secret"} {
		for _, cookie := range []string{"kapa_web_id=secret; cookie_consent=accepted", "kapa_web_id=secret; cookie_consent=secret", "theme=secret"} {
			r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "support.acme.com"
			r.SetBasicAuth("secret", "secret")
			for _, field := range []string{"Referer", "X-Forwarded-For", "X-User-Email", "User-Agent"} {
				r.Header.Set(field, "secret")
			}
			r.Header.Set("Cookie", cookie)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
	}
	if err := caddy.Stop(); err != nil { // all is written then
		t.Fatal(err)
	}
	for name, want := range map[string][]string{
		"access": {
			`"uri":"/tickets/new"`, `"remote_ip":"127.0.0.0"`, `"client_ip":"127.0.0.0"`, `"kapa_reason":"","kapa":"injected"`,
			`"kapa_reason":"refused","kapa":"denied"`, `"kapa_reason":"cookie_absent","kapa":"no_consent"`, `"kapa":"error"`,
		},
		"errors": {`"uri":"/broken"`, `"remote_ip":"127.0.0.0"`},
	} {
		logged, err := os.ReadFile(files[name])
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			if !strings.Contains(string(logged), text) {
				t.Errorf("%s: no %s in %s", name, text, logged)
			}
		}
		for _, text := range []string{"secret", `"127.0.0.1"`, "remote_port", "accepted", "kapa_web_id", "Cookie"} {
			if strings.Contains(string(logged), text) {
				t.Errorf("%s: %q is in %s", name, text, logged)
			}
		}
	}
}

// Without any filter, Caddy takes the cookies out itself, and nothing else.
func TestCaddyRedactsCookies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access")
	s := startCaddy(t, "http://support.acme.com:HTTP {\nlog {\noutput file "+file+"\n}\n"+
		block+"header {\nContent-Type text/html\nSet-Cookie session=secret\n}\nrespond `"+page+"`\n}\n")
	s.get("h1", "/?shown", "Cookie: "+granted+"; a=secret", "Authorization: secret", "Referer: shown", "X-Forwarded-For: shown")
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	logged, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(logged)
	if strings.Contains(text, "secret") || strings.Contains(text, "accepted") || strings.Contains(text, idCookie) || strings.Count(text, "REDACTED") < 3 {
		t.Errorf("logged %s", text)
	}
	if strings.Count(text, "shown") != 3 || !strings.Contains(text, `"127.0.0.1"`) {
		t.Errorf("more is taken out than documented: %s", text)
	}
}

// The documented log has the debug lines of the directive, and of nothing else.
func TestDocumentedDebugLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kapa.log")
	b := blockWith(t, "docs/operations.md", "include http.handlers.kapa_deflector")
	global := strings.Replace(b.text, "/var/log/caddy/kapa.log", file, 1)
	port := loadDocumented(t, global+"support.acme.com {\nlog\n"+block+"reverse_proxy 127.0.0.1:3000\n}\n", pageOrigin)
	askDocumented(t, port, map[string]string{"Cookie": granted})
	askDocumented(t, port, map[string]string{"Cookie": denied})
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	logged, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.Collect(strings.Lines(string(logged)))
	if len(lines) != 2 || !strings.Contains(lines[0], `"outcome":"injected","reason":""`) || !strings.Contains(lines[1], `"outcome":"denied","reason":"refused"`) {
		t.Errorf("logged %s", logged)
	}
	for _, line := range lines {
		if !strings.Contains(line, `"level":"debug"`) || !strings.Contains(line, `"logger":"http.handlers.kapa_deflector"`) {
			t.Errorf("logged %s", line)
		}
	}
}
