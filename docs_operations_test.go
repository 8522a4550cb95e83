package kapadeflector

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
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
		if resp.StatusCode != http.StatusOK || body != page || idLines(resp) != nil || resp.Header.Get("Etag") != `"v1"` {
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
