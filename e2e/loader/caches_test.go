package loader

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// sharedCaches are caches in front of the edge, among them such that keep what they were
// told not to keep.
var sharedCaches = map[string]func(t *testing.T, c *testenv.Caddy) string{
	"nginx": func(t *testing.T, c *testenv.Caddy) string {
		return testenv.Nginx(t, c, `proxy_cache_key $scheme$http_host$request_uri;`)
	},
	"nginx that ignores no-store and Vary": func(t *testing.T, c *testenv.Caddy) string {
		return testenv.Nginx(t, c, `
			proxy_cache_key $http_host$request_uri;
			proxy_ignore_headers Cache-Control Expires Vary Set-Cookie X-Accel-Expires;
			proxy_cache_valid any 10m;`)
	},
	"Varnish": func(t *testing.T, c *testenv.Caddy) string {
		return testenv.Varnish(t, c, `sub vcl_recv { return (hash); }`)
	},
	"Varnish that ignores no-store and Vary": func(t *testing.T, c *testenv.Caddy) string {
		return testenv.Varnish(t, c, `
sub vcl_recv { return (hash); }
sub vcl_backend_response {
	unset beresp.http.Vary;
	set beresp.ttl = 10m;
	set beresp.uncacheable = false;
	return (deliver);
}`)
	},
}

// cachedPage is a page for everybody, long enough to be compressed.
var cachedPage = strings.Replace(testenv.FormPage("", ""), "<main>", "<main>"+strings.Repeat("<p>A page for everybody.</p>", 100), 1)

func newCachedEdge(t *testing.T) *edge {
	t.Helper()
	return newEdge(t, consentLine+pagesLine+`
		user {
			email {http.request.cookie.mail}
		}
		loader load`, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, cachedPage)
	}))
}

// Caches give the same page to everybody, and nobody another visitor's tag or id.
func TestSharedCaches(t *testing.T) {
	t.Parallel()
	e := newCachedEdge(t)
	for name, start := range sharedCaches {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := start(t, e.Caddy)
			uri := fmt.Sprintf("/own/page/form?visitor=%d", e.visitors.Add(1))
			ask := func(uri, cookie string, fields ...string) testenv.Response {
				t.Helper()
				return testenv.MustGet(t, "http://"+strings.Replace(cache, "127.0.0.1", testenv.Support, 1)+uri, append(fields, "Cookie: "+cookie)...)
			}
			first := ask(uri, "theme=dark")
			if !strings.Contains(first.Body, "kapa_deflector=1") || strings.Contains(first.Body, "data-integration-id") {
				t.Fatalf("the page is %s", first.Body)
			}
			key := first.Body[strings.Index(first.Body, "kapa_deflector=1."):]
			key = key[:strings.Index(key, `"`)]

			hits, ids := 0, make(map[string]string)
			for round := range 3 {
				for visitor, cookie := range map[string]string{
					"granted": "cookie_consent=accepted", "another": "cookie_consent=accepted", "denied": "cookie_consent=refused", "unknown": "theme=dark",
				} {
					mail := fmt.Sprintf("%s%d@example.com", visitor, round)
					cookie += "; mail=" + mail
					for _, fields := range [][]string{
						nil, {"Accept-Encoding: gzip"}, {"Sec-GPC: 1"},
					} {
						page := ask(uri, cookie, fields...)
						if page.Header.Get("X-Cache") == "HIT" {
							hits++
						}
						if page.Header.Get("Content-Encoding") == "" && page.Body != first.Body || page.Header["Set-Cookie"] != nil || page.Status != 200 {
							t.Errorf("%s, %q: status %d, %q\n%s", visitor, fields, page.Status, page.Header, page.Body)
						}
					}
					fetched, err := testenv.Fetch("http://"+strings.Replace(cache, "127.0.0.1", testenv.Support, 1)+uri, "Cookie: "+cookie)
					if err != nil || fetched.Body != first.Body || fetched.Header["Set-Cookie"] != nil {
						t.Errorf("%s, by a script: %v, %q\n%s", visitor, err, fetched.Header, fetched.Body)
					}
					answer := ask(fmt.Sprintf("%s&%s%s%d", uri, key, visitor, round), cookie,
						"Kapa-Deflector: question")
					// Get says that it navigates from nowhere, which is no question of a page's
					if answer.Status != http.StatusForbidden {
						t.Errorf("%s: a question from nowhere is answered %d", visitor, answer.Status)
					}
					answer, err = testenv.Fetch("http://"+strings.Replace(cache, "127.0.0.1", testenv.Support, 1)+fmt.Sprintf("%s&%s%sx%d", uri, key, visitor, round),
						"Kapa-Deflector: question", "Cookie: "+cookie)
					if err != nil {
						t.Fatal(err)
					}
					granted := strings.Contains(cookie, "accepted")
					if answer.Header.Get("X-Cache") == "HIT" {
						t.Errorf("%s: the answer comes from the cache", visitor)
					}
					want := "no-consent"
					if granted {
						want = "tag"
					}
					if got := answer.Header.Get("Kapa-Deflector"); got != want || granted != strings.Contains(answer.Body, mail) {
						t.Errorf("%s: %s, want %s: %s", visitor, got, want, answer.Body)
					}
					for _, line := range answer.Header["Set-Cookie"] {
						if owner := ids[line]; owner != "" || !granted {
							t.Errorf("%s gets the id of %q", visitor, owner)
						}
						ids[line] = visitor
					}
				}
			}
			if hits < 12 {
				t.Errorf("only %d pages came from the cache", hits)
			}
			t.Logf("%d of 36 pages came from the cache, %d ids from the edge", hits, len(ids))
			if len(ids) != 6 {
				t.Errorf("%d ids, want one for each of 6 questions with consent and without an id", len(ids))
			}
		})
	}
}

// A browser behind a cache gets its deflector, whoever filled the cache.
func TestAVisitorBehindACache(t *testing.T) {
	t.Parallel()
	e := newCachedEdge(t)
	for name, start := range sharedCaches {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := start(t, e.Caddy)
			uri := fmt.Sprintf("/own/page/form?cached=%d", e.visitors.Add(1))
			url := "http://" + strings.Replace(cache, "127.0.0.1", testenv.Support, 1) + uri
			var owners []string
			for _, cookie := range []string{no, yes, "theme=dark; Path=/", yes} {
				v := e.visitor(t, uri)
				v.have(cookie)
				v.set(fmt.Sprintf("mail=%d@example.com; Path=/", len(owners)))
				v.Open(url)
				v.mark()
				if cookie != yes {
					testenv.Eventually(t, "the edge is asked", func() bool { return len(e.Questions(uri)) > len(owners) })
					v.wantNothing()
					owners = append(owners, "")
					continue
				}
				v.wantDeflector(1)
				if got, want := testenv.Eval[string](v.Visitor, `kapaSettings.user.email`), fmt.Sprintf("%d@example.com", len(owners)); got != want {
					t.Errorf("the address is %s, want %s", got, want)
				}
				owners = append(owners, v.ID().Value)
				v.set(no)
				v.mustBeGone(url)
				v.wantNothing()
			}
			if owners[1] == owners[3] {
				t.Error("two visitors have one id")
			}
			if n := len(e.Requests(uri)); n != 1 {
				t.Errorf("the edge was asked for the page %d times", n)
			}
		})
	}
}

// mustBeGone waits until the page at url was loaded anew, without an id.
func (v *visitor) mustBeGone(url string) {
	v.T.Helper()
	v.wantIDGone()
	v.Await("the page is loaded anew", `!window.marked && document.readyState === 'complete' && location.href === `+testenv.Quote(url))
}
