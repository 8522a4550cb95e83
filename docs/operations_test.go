package docs_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
)

// The documented switch takes effect with the next request, in both
// directions, and for the copies that browsers have.
func TestDocumentedSwitch(t *testing.T) {
	dir := t.TempDir()
	text := blockWith(t, "operations.md", "@on not file {\n\troot /etc/caddy\n").text
	s := start(t, whole(t, strings.Replace(text, "/etc/caddy", dir, 1)), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		pageOrigin(w, r)
	}))
	tagged := func(step string) string {
		t.Helper()
		resp, body := s.get("/tickets/new", "Cookie: "+granted)
		if !isTagged(body) || len(idLines(resp)) != 1 {
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
		resp, body := s.get("/tickets/new", fields...)
		if resp.StatusCode != http.StatusOK || body != page || idLines(resp) != nil || resp.Header.Get("Etag") != `"v1"` || strings.Contains(strings.Join(resp.Header["Vary"], ", "), "Cookie") {
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
	config := strings.Replace(blockWith(t, "operations.md", "import kapa/").text, "import kapa/", "import "+dir+"/", 1)
	adapt := func() string {
		t.Helper()
		raw, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	block := filepath.Join(dir, "form.caddyfile")
	text := strings.TrimPrefix(ourBlock.FindString(blockWith(t, readme, "support.acme.com {").text), "\n")
	t.Setenv("KAPA_INTEGRATION_ID", "abc")
	if err := os.WriteFile(block, []byte(text), 0o600); err != nil {
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

// The documented metrics are those that Caddy shows, without any option, and
// the tables of troubleshooting.md have every outcome and every reason, and no
// other.
func TestDocumentedOutcomesAndReasons(t *testing.T) {
	block := blockWith(t, "operations.md", "metrics /metrics").text
	block = strings.Replace(block, "http://:9180 {\n\tbind 10.0.1.5\n", "http://metrics.internal {\n", 1)
	s := start(t, block+"http://"+whole(t, "loader\n"), pageOrigin)
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+s.port+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "metrics.internal"
	_, body := s.do(r)

	var counted, actions []string
	for line := range strings.Lines(body) {
		if _, label, ok := strings.Cut(line, `caddy_kapa_deflector_responses_total{outcome="`); ok {
			counted = append(counted, strings.TrimSuffix(label, "\"} 0\n"))
		}
		if _, label, ok := strings.Cut(line, `caddy_kapa_deflector_id_cookies_total{action="`); ok {
			actions = append(actions, "`"+strings.TrimSuffix(label, "\"} 0\n")+"`")
		}
	}
	for _, action := range actions {
		if row := tableRow(read(t, "operations.md"), "| `caddy_kapa_deflector_id_cookies_total` | "); !strings.Contains(row, action) {
			t.Errorf("no %s in %s", action, row)
		}
	}
	if len(actions) < 3 || !strings.Contains(read(t, "operations.md"), "`caddy_kapa_deflector_responses_total`") {
		t.Error("not the documented metrics:", body)
	}
	var reasons []string
	for r := consent.NoReason + 1; r <= consent.GPC; r++ {
		reasons = append(reasons, r.String())
	}
	for title, want := range map[string][]string{"Outcomes": counted, "Reasons": reasons} {
		_, section, _ := strings.Cut(read(t, "troubleshooting.md"), "\n## "+title+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		var got []string
		for row := range strings.Lines(section) {
			if cell, _, ok := strings.Cut(strings.TrimPrefix(row, "| `"), " | "); ok && strings.HasPrefix(row, "| `") {
				got = append(got, strings.Split(strings.Trim(cell, "`"), "`, `")...)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the table has %q\nthere are %q", title, got, want)
		}
	}
}

// The README's access log has outcome and reason.
func TestDocumentedPlaceholders(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access")
	text := strings.Replace(blockWith(t, readme, "log_append").text, "log\n", "log {\noutput file "+file+"\n}\n", 1)
	s := start(t, whole(t, text), pageOrigin)
	s.get("/tickets/new", "Cookie: "+unknown)
	s.stop()
	logged := read(t, file)
	if want := `"kapa_reason":"cookie_absent","kapa":"no_consent"`; !strings.Contains(logged, want) || !strings.Contains(read(t, "troubleshooting.md"), "`"+want+"`") {
		t.Errorf("logged %s", logged)
	}
}

// The log examples of privacy.md, with the logs written to a file.
func TestDocumentedLogsHoldNoVisitor(t *testing.T) {
	for _, example := range []string{"request>headers>Sec-Gpc delete", "log_credentials"} {
		t.Run(example, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			text := blockWith(t, "privacy.md", example).text
			s := start(t, strings.ReplaceAll(text, "log {\n", "log {\noutput file "+file+"\n"),
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret"})
					if r.Header["Kapa-Deflector"] != nil {
						w.Header().Set("Kapa-Deflector", "no-consent") // as the edge answers
					}
					pageOrigin(w, r)
				}))
			fields := []string{"Cookie: theme=shown; kapa_web_id=secret; OptanonConsent=secret"}
			if example != "log_credentials" {
				fields = append(fields, "X-User-Id: secret", "X-User-Email: secret", "Sec-GPC: 1", "Kapa-Deflector: question; osano=no")
			}
			s.get("/tickets/new", fields...)
			s.stop()
			logged := read(t, file)
			if !strings.Contains(logged, `"uri":"/tickets/new"`) || strings.Contains(logged, "theme=shown") != (example == "log_credentials") {
				t.Errorf("the log is not the one expected: %s", logged)
			}
			if strings.Contains(logged, "secret") || strings.Contains(logged, "Sec-Gpc") || strings.Contains(logged, "Kapa-Deflector") {
				t.Errorf("the log says who it was: %s", logged)
			}
		})
	}
}

// The documented access log says what became of a response, and not whose it
// was; neither does Caddy's own log, which has the errors.
func TestDocumentedOutcomeLog(t *testing.T) {
	files := make(map[string]string)
	global, sites, _ := strings.Cut(blockWith(t, "operations.md", "(nobody)").text, "\nsupport.acme.com {")
	output := func(text, name string) string {
		files[name] = filepath.Join(t.TempDir(), name)
		return strings.Replace(text, "\tlog {\n", "\tlog {\noutput file "+files[name]+"\n", 1)
	}
	text := output(global, "errors") + "\nsupport.acme.com {" + output(sites, "access")
	s := start(t, whole(t, text), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler) // an error of reverse_proxy
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret"})
		w.Header().Set("Location", "/?secret")
		pageOrigin(w, r)
	}))
	for _, path := range []string{"/tickets/new?email=secret", "/broken?email=secret"} {
		for _, cookie := range []string{"kapa_web_id=secret; " + granted, "kapa_web_id=secret; cookie_consent=secret", "theme=secret"} {
			s.get(path, "Cookie: "+cookie, "Authorization: Basic c2VjcmV0OnNlY3JldA==",
				"Referer: secret", "X-Forwarded-For: secret", "X-User-Email: secret", "User-Agent: secret")
		}
	}
	s.stop()
	for name, want := range map[string][]string{
		"access": {
			`"uri":"/tickets/new"`, `"remote_ip":"127.0.0.0"`, `"client_ip":"127.0.0.0"`, `"kapa_reason":"","kapa":"injected"`,
			`"kapa_reason":"refused","kapa":"denied"`, `"kapa_reason":"cookie_absent","kapa":"no_consent"`, `"kapa":"error"`,
		},
		"errors": {`"uri":"/broken"`, `"remote_ip":"127.0.0.0"`},
	} {
		logged := read(t, files[name])
		for _, text := range want {
			if !strings.Contains(logged, text) {
				t.Errorf("%s: no %s in %s", name, text, logged)
			}
		}
		for _, text := range []string{"secret", "c2VjcmV0", `"127.0.0.1"`, "remote_port", "accepted", idCookie, "Cookie"} {
			if strings.Contains(logged, text) {
				t.Errorf("%s: %q is in %s", name, text, logged)
			}
		}
	}
}

// Without any filter, Caddy takes the cookies out itself, and nothing else.
func TestCaddyRedactsCookies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access")
	s := start(t, whole(t, "log {\noutput file "+file+"\n}\n"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret"})
		pageOrigin(w, r)
	}))
	s.get("/tickets/new?shown", "Cookie: "+granted+"; a=secret", "Authorization: secret", "Referer: shown", "X-Forwarded-For: shown")
	s.stop()
	logged := read(t, file)
	if strings.Contains(logged, "secret") || strings.Contains(logged, "accepted") || strings.Contains(logged, idCookie) || strings.Count(logged, "REDACTED") < 3 {
		t.Errorf("logged %s", logged)
	}
	if strings.Count(logged, "shown") != 3 || !strings.Contains(logged, `"127.0.0.1"`) {
		t.Errorf("more is taken out than documented: %s", logged)
	}
}

// The documented log has the debug lines of the directive, and of nothing else.
func TestDocumentedDebugLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kapa.log")
	global := blockWith(t, "operations.md", "include http.handlers.kapa_deflector").text
	s := start(t, strings.Replace(global, "/var/log/caddy/kapa.log", file, 1)+whole(t, "log\n"), pageOrigin)
	s.get("/tickets/new", "Cookie: "+granted)
	s.get("/tickets/new", "Cookie: "+denied)
	s.stop()
	logged := read(t, file)
	lines := slices.Collect(strings.Lines(logged))
	if len(lines) != 2 || !strings.Contains(lines[0], `"outcome":"injected","reason":""`) || !strings.Contains(lines[1], `"outcome":"denied","reason":"refused"`) {
		t.Errorf("logged %s", logged)
	}
	for _, line := range lines {
		if !strings.Contains(line, `"level":"debug"`) || !strings.Contains(line, `"logger":"http.handlers.kapa_deflector"`) {
			t.Errorf("logged %s", line)
		}
	}
}

// An origin that labels its plain pages with a word that is no coding gets no
// tag, until the field is removed as documented.
func TestDocumentedWrongCoding(t *testing.T) {
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "none")
		pageOrigin(w, r)
	})
	for text, want := range map[string]bool{
		"respond /x 204\n": false,
		blockWith(t, "troubleshooting.md", "header_down -Content-Encoding").text: true,
	} {
		s := start(t, whole(t, text), origin)
		if _, body := s.get("/tickets/new", "Cookie: "+granted); isTagged(body) != want {
			t.Errorf("%s: %s", text, body)
		}
	}
}

// What is put together in front of Caddy asks for fragments as it asks for
// pages.
func TestDocumentedFragments(t *testing.T) {
	s := start(t, whole(t, blockWith(t, "caching.md", "@whole").text), pageOrigin)
	for path, want := range map[string]bool{"/help/contact": true, "/help/fragments/menu": false, "/help/menu.esi": false} {
		if _, body := s.get(path, "Cookie: "+granted); isTagged(body) != want {
			t.Errorf("%s: %s", path, body)
		}
	}
}
