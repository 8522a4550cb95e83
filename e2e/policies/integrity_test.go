package policies

import (
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

func integrityOf(b []byte) string {
	sum := sha512.Sum384(b)
	return "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
}

// A script with a hash runs if it has that hash, and only then: on the site
// itself, and on another host, which browsers check in CORS mode alone.
func TestTheBrowserChecksTheScriptsHash(t *testing.T) {
	t.Parallel()
	bundle, err := os.ReadFile(filepath.Join(testenv.Repository, "examples", "shared", "kapa-support-form-deflector.bundle.js"))
	if err != nil {
		t.Fatal(err)
	}
	right, wrong := integrityOf(bundle), integrityOf([]byte("another release"))

	var mu sync.Mutex
	var asked http.Header // what the browser sent for the script on another host
	serveBundle := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = r.Header
		mu.Unlock()
		w.Header().Set("Content-Type", "text/javascript")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		_, _ = w.Write(bundle)
	}
	cdn := testenv.Serve(t, http.HandlerFunc(serveBundle))
	elsewhere := "http://" + strings.Replace(cdn, "127.0.0.1", "cdn.localhost", 1) + testenv.StandIn

	origin := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == testenv.StandIn {
			serveBundle(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><head><title>t</title><link rel="icon" href="data:,"></head><body>b</body></html>`))
	}))

	cases := []struct {
		name, host, script, integrity string
		runs                          bool
	}{
		{"right, same site", "a", testenv.StandIn, right, true},
		{"wrong, same site", "b", testenv.StandIn, wrong, false},
		{"right, elsewhere", "c", elsewhere, right, true},
		{"wrong, elsewhere", "d", elsewhere, wrong, false},
		{"one of two, elsewhere", "e", elsewhere, wrong + " " + right, true},
	}
	var caddyfile strings.Builder
	for _, test := range cases {
		caddyfile.WriteString(`
http://` + test.host + `.acme.localhost:{$EDGE_PORT} {
	kapa_deflector {` + testenv.Required + `
		script ` + test.script + ` {
			integrity ` + test.integrity + `
		}
		consent cookie cookie_consent accepted
	}
	reverse_proxy ` + origin + `
}
`)
	}
	c := testenv.StartCaddy(t, caddyfile.String())
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			v := testenv.NewVisitor(t)
			if !test.runs {
				v.Expect("Failed to find a valid digest in the 'integrity' attribute")
			}
			v.Open(c.Edge(test.host+".acme.localhost", "/"))
			testenv.Eval[string](v, `document.cookie = 'cookie_consent=accepted; Path=/'`)
			v.Reload()
			if !v.HasTag() {
				t.Fatal("there is no tag")
			}
			if ran := testenv.Eval[bool](v, `'KapaSFD' in window`); ran != test.runs { // the page has loaded, and with it every async script
				t.Errorf("the script ran: %v, want %v", ran, test.runs)
			}
			if test.script == elsewhere {
				mu.Lock()
				defer mu.Unlock()
				if asked.Get("Sec-Fetch-Mode") != "cors" || asked.Get("Origin") == "" || asked.Get("Cookie") != "" {
					t.Errorf("the script was not asked for anonymously: %v", asked)
				}
			}
		})
	}
}
