package docs_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/kapadeflector/caddy-kapa-deflector"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/caddytest"
)

// page is a document whose head ends where the tag belongs.
const page = "<!doctype html><html><head><title>t</title></head><body>b</body></html>"

var pageOrigin = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, page)
})

// The Cookie headers of the three answers under the README's first Caddyfile.
const (
	granted = "cookie_consent=accepted"
	denied  = "cookie_consent=refused"
	unknown = "theme=dark"
)

const idCookie = "kapa_web_id"

const yourLines = "# ... your lines"

var (
	blockLine = regexp.MustCompile(`^(data-[\w-]+|script|pages|consent|without_consent|honor_gpc|loader|cookie|user|csp|experiment)\s`)
	ourBlock  = regexp.MustCompile(`(?s)\n\tkapa_deflector \{\n(.*?)\n\t\}\n`)
)

// whole is the Caddyfile that an example stands for, by the rules of
// configuration.md: it shows what differs from the README's first one.
func whole(t *testing.T, text string) string {
	t.Helper()
	if blockLine.MatchString(text) {
		text = "kapa_deflector {\n" + yourLines + "\n" + text + "}\n"
	}
	if first := strings.Fields(text)[0]; first != "{" && !strings.HasPrefix(first, "(") && !strings.ContainsAny(first, ".:") {
		if !strings.Contains(text, "kapa_deflector ") {
			text += "kapa_deflector {\n" + yourLines + "\n}\n"
		}
		if !strings.Contains(text, "reverse_proxy ") {
			text += "reverse_proxy 127.0.0.1:3000\n"
		}
		text = "support.acme.com {\nencode\n" + text + "}\n"
	}
	if !strings.Contains(text, yourLines) {
		return text
	}
	lines := ourBlock.FindStringSubmatch(blockWith(t, readme, "support.acme.com {").text)
	if lines == nil {
		t.Fatal("the README's first Caddyfile has no block")
	}
	var yours strings.Builder
	for line := range strings.Lines(lines[1]) {
		words := strings.Fields(line)
		if len(words) > 0 && !regexp.MustCompile(`(?m)^\s*`+words[0]+`\s`).MatchString(text) {
			yours.WriteString(line)
		}
	}
	return strings.ReplaceAll(text, yourLines, yours.String())
}

// server is a running Caddy.
type server struct {
	t    *testing.T
	port string
}

var (
	envPlaceholder = regexp.MustCompile(`\{env\.(\w+)\}`)
	dial           = regexp.MustCompile(`"dial":"[^"]*"`)
)

// start runs a documented Caddyfile as it is but for its addresses: its sites
// listen on one port of the loopback host, in plain HTTP, and what they proxy
// to is origin.
func start(t *testing.T, text string, origin http.Handler) *server {
	t.Helper()
	for _, name := range envPlaceholder.FindAllStringSubmatch(text, -1) {
		t.Setenv(name[1], "00000000-0000-4000-8000-000000000000")
	}
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "formatted") { // TestDocumentedCaddyfilesAreAsCaddyFmtWouldWriteThem
			t.Errorf("warning: %s", w)
		}
	}
	backend := httptest.NewServer(origin)
	t.Cleanup(backend.Close)
	adapted = dial.ReplaceAll(adapted, []byte(`"dial":"`+strings.TrimPrefix(backend.URL, "http://")+`"`))

	var config map[string]any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(adapted), `,"tls":{}`, "")), &config); err != nil {
		t.Fatal(err)
	}
	s := &server{t: t}
	config["admin"] = map[string]any{"disabled": true, "config": map[string]any{"persist": false}}
	if apps, ok := config["apps"].(map[string]any); ok {
		delete(apps, "tls")
		app := apps["http"].(map[string]any)
		delete(app, "shutdown_delay")
		s.port = caddytest.FreePort(t)
		servers, _ := app["servers"].(map[string]any)
		for _, server := range servers {
			server := server.(map[string]any)
			server["listen"] = []string{"127.0.0.1:" + s.port}
			server["automatic_https"] = map[string]any{"disable": true}
		}
	}
	logging, _ := config["logging"].(map[string]any)
	logs, _ := logging["logs"].(map[string]any)
	if logs == nil {
		logs = map[string]any{"default": map[string]any{}}
		config["logging"] = map[string]any{"logs": logs}
	}
	for _, log := range logs {
		if log := log.(map[string]any); log["writer"] == nil {
			log["writer"] = map[string]any{"output": "discard"}
		}
	}
	s.load(config)
	return s
}

func (s *server) load(config map[string]any) {
	s.t.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		s.t.Fatal(err)
	}
	caddytest.Load(s.t, raw)
}

// stop ends Caddy; all that it logs is written then.
func (s *server) stop() {
	s.t.Helper()
	caddytest.Stop(s.t)
}

// get asks support.acme.com for a page as a browser does, with further fields
// as "Name: value".
func (s *server) get(path string, fields ...string) (resp *http.Response, body string) {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+s.port+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Host = "support.acme.com"
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Dest", "document")
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	return s.do(r)
}

func (s *server) do(r *http.Request) (resp *http.Response, body string) {
	s.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(b)
}

// isTagged reports whether a page has the tag.
func isTagged(body string) bool { return strings.Contains(body, "data-integration-id") }

// idLines are the Set-Cookie values for the id.
func idLines(resp *http.Response) (lines []string) {
	for _, line := range resp.Header["Set-Cookie"] {
		if strings.HasPrefix(line, idCookie+"=") {
			lines = append(lines, line)
		}
	}
	return lines
}
