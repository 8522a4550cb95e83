package caches

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// A trusted proxy that caches, and passes on the client's X-Forwarded-Host: nobody
// gets a page that somebody else's field has changed (issue 13).
func TestForwardedFieldsChangeNoCachedPage(t *testing.T) {
	t.Parallel()
	const host = "support.acme.com"
	policies := map[string]string{ // of the page, by path
		"/extended/":  "script-src https://a.example",
		"/by-name/":   "script-src " + host,
		"/by-scheme/": "script-src https:",
		"/self/":      "script-src 'self'",
		"/none/":      "",
	}
	origin := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "public, max-age=600")
		h.Set("CDN-Cache-Control", "public, max-age=600")
		h.Set("ETag", pageETag)
		path, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if policy := policies["/"+path+"/"]; policy != "" {
			h.Set("Content-Security-Policy", policy)
		}
		_, _ = io.WriteString(w, originPage(r.URL.Path, "en"))
	}))
	c := testenv.StartCaddy(t, `
{
	auto_https off
	admin off
	persist_config off
	servers {
		trusted_proxies static 127.0.0.1/32
	}
}
http://:{$EDGE_PORT} {
	bind 127.0.0.1
	kapa_deflector {`+testenv.Required+`
		data-user-analytics-cookie-enabled "false"
		script `+testenv.StandIn+`
		csp extend
		cookie off
		consent not_required
	}
	reverse_proxy `+origin+`
}`)
	lies := []string{"X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X-Forwarded-Host: widget.kapa.ai"}
	for _, cache := range sharedCaches {
		t.Run(cache.name, func(t *testing.T) {
			t.Parallel()
			address := "http://" + strings.Replace(cache.start(t, c), "127.0.0.1", host, 1)
			ask := func(path string, fields ...string) (resp testenv.Response, hit bool) {
				t.Helper()
				resp = testenv.MustGet(t, address+path, fields...)
				return resp, resp.Header.Get("X-Cache") == "HIT"
			}
			for path := range policies {
				honest, _ := ask(path + "first")
				if _, hit := ask(path + "first"); !hit {
					t.Errorf("%s: what depends on no field is not kept: %v", path, honest.Header)
				}
				for i, lie := range lies {
					at := path + string(rune('a'+i))
					poisoned, _ := ask(at, lie)
					if path == "/extended/" && strings.Contains(lie, "evil") && !strings.Contains(poisoned.Header.Get("Content-Security-Policy"), "evil.example") {
						t.Errorf("the field does not count from this proxy, so this test shows nothing: %v", poisoned.Header)
					}
					for range 2 { // from the edge, from the cache
						next, _ := ask(at)
						if got, want := next.Header.Get("Content-Security-Policy"), honest.Header.Get("Content-Security-Policy"); got != want {
							t.Errorf("%s after %s: policy %q, want %q", at, lie, got, want)
						}
						if got, want := strings.ReplaceAll(next.Body, at, ""), strings.ReplaceAll(honest.Body, path+"first", ""); got != want {
							t.Errorf("%s after %s: another page:\n%s", at, lie, next.Body)
						}
					}
				}
			}
		})
	}
}
