package caches

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// What shared caches that stand before the plugin's Caddy do with pages that
// are tagged for some visitors and for others not. The caches are real ones,
// Debian's nginx and Varnish, set up as a careful operator would and as a
// careless one. Whatever they keep, nobody ever sees the wrong variant, or
// somebody else's id or settings.

// sharedCache is one way to set up a cache.
type sharedCache struct {
	name  string
	start func(t *testing.T, c *testenv.Caddy) (address string)

	keepsWithoutCacheControl bool // also what says nothing about caching
	asksByCondition          bool // when what it keeps has expired
}

var sharedCaches = []sharedCache{
	{
		name: "nginx, careful",
		start: nginx(`
			proxy_cache_key $scheme$http_host$request_uri;
			proxy_cache_lock on;
			proxy_cache_lock_timeout 100ms;
			proxy_cache_revalidate on;`),
		asksByCondition: true,
	},
	{
		name: "nginx, careless",
		start: nginx(`
			proxy_cache_key $request_uri;
			proxy_cache_valid any 10m;
			proxy_ignore_headers Set-Cookie;
			proxy_cache_use_stale error timeout updating http_500 http_502;
			proxy_cache_background_update on;`),
		keepsWithoutCacheControl: true,
	},
	{
		name:                     "Varnish as it comes", // whoever sends a cookie is not served from the cache
		start:                    varnish(``),
		keepsWithoutCacheControl: true,
		asksByCondition:          true,
	},
	{
		name: "Varnish, careful", // cookies that do not matter are taken away
		start: varnish(`
sub vcl_recv {
	if (req.http.Cookie) {
		set req.http.Cookie = ";" + req.http.Cookie;
		set req.http.Cookie = regsuball(req.http.Cookie, "; +", ";");
		set req.http.Cookie = regsuball(req.http.Cookie, ";(cookie_consent|kapa_web_id)=", "; \1=");
		set req.http.Cookie = regsuball(req.http.Cookie, ";[^ ][^;]*", "");
		set req.http.Cookie = regsuball(req.http.Cookie, "^[; ]+|[; ]+$", "");
		if (req.http.Cookie == "") {
			unset req.http.Cookie;
		}
	}
	return (hash);
}`),
		keepsWithoutCacheControl: true,
		asksByCondition:          true,
	},
	{
		name: "Varnish, careless", // cookies are no reason not to look
		start: varnish(`
sub vcl_recv {
	return (hash);
}
sub vcl_hash {
	hash_data(req.url);
	return (lookup);
}
sub vcl_backend_response {
	set beresp.grace = 1h;
}`),
		keepsWithoutCacheControl: true,
		asksByCondition:          true,
	},
}

func nginx(directives string) func(*testing.T, *testenv.Caddy) string {
	return func(t *testing.T, c *testenv.Caddy) string { return testenv.Nginx(t, c, directives) }
}

func varnish(subroutines string) func(*testing.T, *testenv.Caddy) string {
	return func(t *testing.T, c *testenv.Caddy) string { return testenv.Varnish(t, c, subroutines) }
}

// The origin

// cachedPage is how an origin describes its pages to caches.
type cachedPage struct {
	name   string
	header map[string]string
}

const (
	pageETag = `"v1"`
	pageDate = "Mon, 02 Jan 2006 15:04:05 GMT"
)

var cachedPages = []cachedPage{
	{"max-age", map[string]string{"Cache-Control": "public, max-age=600", "Etag": pageETag, "Last-Modified": pageDate}},
	{"s-maxage", map[string]string{"Cache-Control": "public, max-age=0, s-maxage=600", "Etag": pageETag, "Last-Modified": pageDate}},
	{"for-cdns", map[string]string{
		"Cache-Control": "public, max-age=600", "Cdn-Cache-Control": "public, max-age=3600",
		"Surrogate-Control": "max-age=3600", "X-Accel-Expires": "3600",
		"Etag": pageETag, "Last-Modified": pageDate,
	}},
	{"expires", map[string]string{"Expires": "Fri, 01 Jan 2100 00:00:00 GMT", "Etag": `W/"v1"`}},
	{"date-only", map[string]string{"Cache-Control": "public, max-age=600", "Last-Modified": pageDate}},
	{"no-validators", map[string]string{"Cache-Control": "public, max-age=600"}},
	{"no-cache-control", map[string]string{"Etag": pageETag, "Last-Modified": pageDate}},
	{"varies", map[string]string{"Cache-Control": "public, max-age=600", "Vary": "Accept-Language, Accept-Encoding", "Etag": pageETag}},
}

// shortLived is what caches soon have to ask for again.
var shortLived = cachedPage{"short-lived", map[string]string{"Cache-Control": "public, max-age=1", "Etag": pageETag, "Last-Modified": pageDate}}

// cachedOrigin serves, under /<name>/, pages with that description.
type cachedOrigin struct {
	address string

	mu          sync.Mutex
	asked       map[string]int // how often, by path
	revalidated map[string]int // 304 to somebody without consent, by path
}

func newCachedOrigin(t *testing.T, pages ...cachedPage) *cachedOrigin {
	t.Helper()
	o := &cachedOrigin{asked: make(map[string]int), revalidated: make(map[string]int)}
	mux := http.NewServeMux()
	mux.HandleFunc("/", http.NotFound)
	for _, page := range pages {
		mux.HandleFunc("/"+page.name+"/", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			for name, value := range page.header {
				w.Header().Set(name, value)
			}
			status := http.StatusOK
			if unchanged(r, page.header) {
				status = http.StatusNotModified
			}
			o.mu.Lock()
			o.asked[r.URL.Path]++
			if status == http.StatusNotModified && !strings.Contains(r.Header.Get("Cookie"), "cookie_consent=accepted") {
				o.revalidated[r.URL.Path]++
			}
			o.mu.Unlock()
			out, finish := zipping(w, r)
			if status == http.StatusOK {
				defer finish()
			}
			w.WriteHeader(status)
			if status == http.StatusOK {
				_, _ = io.WriteString(out, originPage(r.URL.Path, r.Header.Get("Accept-Language")))
			}
		})
	}
	o.address = testenv.Serve(t, mux)
	return o
}

// unchanged evaluates a condition as RFC 9110 section 13.2.2 says.
func unchanged(r *http.Request, header map[string]string) bool {
	if tags := r.Header.Get("If-None-Match"); tags != "" {
		tag := header["Etag"]
		return tag != "" && slices.ContainsFunc(strings.Split(tags, ","), func(s string) bool {
			s = strings.TrimSpace(s)
			return s == "*" || strings.TrimPrefix(s, "W/") == strings.TrimPrefix(tag, "W/")
		})
	}
	date := r.Header.Get("If-Modified-Since")
	return date != "" && date == header["Last-Modified"]
}

func (o *cachedOrigin) requests(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[path]
}

func (o *cachedOrigin) revalidations(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.revalidated[path]
}

// originPage is long enough for encode to compress it.
func originPage(path, language string) string {
	return `<!doctype html><html lang="` + language + `"><head><title>` + path + `</title><link rel="icon" href="data:,"></head><body>` +
		strings.Repeat("<p>The page "+path+", as its origin sends it.</p>", 40) + "</body></html>"
}

// Visitors

// person is a visitor with a browser's cookies, and the copies in its cache,
// which ask whether they are still good each time.
type person struct {
	t       *testing.T
	name    string
	address string // of the cache
	cookies map[string]string
	gzip    bool // whether the browser accepts it
	copies  map[string]pageCopy
	seen    *ledger

	language string
}

// pageCopy is what a browser has of a page.
type pageCopy struct{ etag, date, body string }

// ledger knows whose each id is.
type ledger struct {
	mu     sync.Mutex
	owners map[string]string
}

// claim reports whether the id is nobody's yet.
func (l *ledger) claim(id, name string) (owner string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if owner, taken := l.owners[id]; taken {
		return owner, false
	}
	l.owners[id] = name
	return name, true
}

func (p *person) accept() { p.cookies["cookie_consent"] = "accepted" }
func (p *person) refuse() { p.cookies["cookie_consent"] = "refused" }

// visit opens a page, and checks all that is seen. hit says that the answer
// came out of the cache.
func (p *person) visit(path string) (hit bool) {
	p.t.Helper()
	return p.ask(path, "document", "navigate")
}

// fetch asks for the page as a script would.
func (p *person) fetch(path string) (hit bool) {
	p.t.Helper()
	return p.ask(path, "empty", "cors")
}

func (p *person) ask(path, dest, mode string) (hit bool) {
	p.t.Helper()
	resp, body, err := p.send(path, dest, mode)
	if err != nil {
		p.t.Errorf("%s asks for %s: %v", p.name, path, err)
		return false
	}
	hit = slices.Contains([]string{"HIT", "STALE", "UPDATING", "REVALIDATED"}, resp.Header.Get("X-Cache"))
	what := fmt.Sprintf("%s (%s, %s) asks for %s: %d %v\nanswer", p.name, p.cookieLine(), dest, path, resp.StatusCode, resp.Header)

	before := p.copies[path]
	after := pageCopy{resp.Header.Get("Etag"), resp.Header.Get("Last-Modified"), body}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		after.body = before.body
		if after.etag == "" {
			after.etag = before.etag
		}
		if after.date == "" {
			after.date = before.date
		}
	default:
		p.t.Errorf("%s: status %d", what, resp.StatusCode)
		return hit
	}
	p.copies[path] = after

	wantTag := p.cookies["cookie_consent"] == "accepted" && dest == "document"
	tag, rest := testenv.CutTag(after.body)
	switch {
	case rest != originPage(path, p.language):
		p.t.Errorf("%s: is not the origin's page:\n%s", what, after.body)
	case wantTag && tag == "":
		p.t.Errorf("%s: has no tag", what)
	case !wantTag && tag != "":
		p.t.Errorf("%s: has a tag", what)
	case wantTag && hit:
		p.t.Errorf("%s: a tagged page came from the cache", what)
	case wantTag && strings.Contains(path, "/signed-in/") && !strings.Contains(tag, `{"email":"`+p.email()+`"}`):
		p.t.Errorf("%s: has not the visitor's own settings: %s", what, tag)
	}
	p.takeCookies(resp, what, dest)
	return hit
}

func (p *person) send(path, dest, mode string) (*http.Response, string, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+p.address+path, nil)
	if err != nil {
		return nil, "", err
	}
	req.Host = "support.acme.com"
	req.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	req.Header.Set("Sec-Fetch-Dest", dest)
	req.Header.Set("Sec-Fetch-Mode", mode)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Accept-Language", p.language)
	req.Header.Set("X-User-Email", p.email())
	if len(p.cookies) > 0 {
		req.Header.Set("Cookie", p.cookieLine())
	}
	if p.gzip {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	if had := p.copies[path]; had.etag != "" {
		req.Header.Set("If-None-Match", had.etag)
	}
	if had := p.copies[path]; had.date != "" {
		req.Header.Set("If-Modified-Since", had.date)
	}
	resp, err := testenv.Client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && len(body) > 0 && resp.Header.Get("Content-Encoding") == "gzip" {
		if !p.gzip {
			return nil, "", errors.New("gzip, which was not accepted")
		}
		body, err = gunzip(body)
	}
	return resp, string(body), err
}

func gunzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// takeCookies does with Set-Cookie what a browser does, and checks that each
// id is its visitor's own.
func (p *person) takeCookies(resp *http.Response, what, dest string) {
	p.t.Helper()
	verdict, had := p.cookies["cookie_consent"], p.cookies[testenv.IDCookie]
	for _, cookie := range resp.Cookies() {
		switch {
		case cookie.Name != testenv.IDCookie || dest != "document":
			p.t.Errorf("%s: sets %s", what, cookie)
		case cookie.MaxAge < 0 && (verdict != "refused" || had == ""):
			p.t.Errorf("%s: deletes an id for no reason", what)
		case cookie.MaxAge < 0:
			delete(p.cookies, testenv.IDCookie)
		case verdict != "accepted" || had != "":
			p.t.Errorf("%s: sets an id for no reason", what)
		default:
			if owner, ok := p.seen.claim(cookie.Value, p.name); !ok {
				p.t.Errorf("%s: sets the id of %s", what, owner)
			}
			p.cookies[testenv.IDCookie] = cookie.Value
		}
	}
	if dest != "document" {
		return
	}
	if id := p.cookies[testenv.IDCookie]; verdict == "accepted" && id == "" || verdict == "refused" && id != "" {
		p.t.Errorf("%s: leaves the visitor with the id %q", what, id)
	}
}

func (p *person) email() string { return p.name + "@acme.com" }

func (p *person) cookieLine() string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(p.cookies)) {
		pairs = append(pairs, name+"="+p.cookies[name])
	}
	return strings.Join(pairs, "; ")
}

// The story

func TestCachesInFrontNeverMixUpVisitors(t *testing.T) {
	t.Parallel()
	origin := newCachedOrigin(t, append(slices.Clone(cachedPages), shortLived)...)
	c := testenv.StartCaddy(t, `
http://:{$EDGE_PORT} {
	bind 127.0.0.1
	@encoded path */encoded/*
	encode @encoded
	# nginx before 1.23 heeds one Vary line only, and encode adds its own
	# unless it is said already: as the README has it
	header @encoded Vary Accept-Encoding
	@signed-in path */signed-in/*
	kapa_deflector @signed-in {`+testenv.Required+`
		consent cookie cookie_consent accepted
		user {
			email {header.X-User-Email}
		}
	}
	kapa_deflector {`+testenv.Required+`
		consent cookie cookie_consent accepted
	}
	reverse_proxy `+origin.address+`
}`)
	ids := &ledger{owners: make(map[string]string)}
	for i, cache := range sharedCaches {
		t.Run(cache.name, func(t *testing.T) {
			t.Parallel()
			address := cache.start(t, c)
			cast := func(t *testing.T) func(name string) *person {
				return func(name string) *person {
					return &person{
						t: t, name: name, address: address, seen: ids, gzip: len(name)%2 == 0,
						cookies: make(map[string]string), copies: make(map[string]pageCopy), language: "en",
					}
				}
			}
			for _, coding := range []string{"plain", "encoded", "zipped"} { // by Caddy's encode, or by the origin
				for _, page := range cachedPages {
					if coding == "zipped" && page.name != "max-age" && page.name != "for-cdns" && page.name != "date-only" {
						continue // the other descriptions have nothing to do with the coding
					}
					for _, story := range stories {
						t.Run(coding+"/"+page.name+"/"+story.name, func(t *testing.T) {
							story.tell(cast(t), fmt.Sprintf("/%s/%s/%d/%s", page.name, coding, i, story.path))
						})
					}
					t.Run(coding+"/"+page.name+"/is kept", func(t *testing.T) {
						cache.keeps(t, cast(t), origin, page, fmt.Sprintf("/%s/%s/%d/kept", page.name, coding, i))
					})
				}
				if !cache.asksByCondition {
					continue // it asks for the whole page again, as it is set up to
				}
				t.Run(coding+"/"+shortLived.name, func(t *testing.T) {
					t.Parallel() // it waits for the cache's copy to expire
					cache.asksAgain(t, cast(t), origin, fmt.Sprintf("/%s/%s/%d/again", shortLived.name, coding, i))
				})
			}
		})
	}
}

// stories are told with people who all use the same cache. Each step of each
// is checked in person.ask.
var stories = []struct {
	name, path string
	tell       func(person func(name string) *person, path string)
}{
	{"consent and withdrawal", "story", func(person func(string) *person, path string) {
		anna, other := person("anna"), person("otto1")
		visitors := func() {
			other.visit(path)
			anna.visit(path)
			anna.visit(path)
			other.visit(path)
		}
		visitors()
		anna.accept()
		visitors()
		anna.refuse()
		visitors()
		anna.accept()
		visitors()
		delete(anna.cookies, "cookie_consent") // unknown: the id is left alone
		visitors()
		anna.refuse()
		visitors()
	}},
	{"tagged first", "tagged-first", func(person func(string) *person, path string) {
		anna, bert, carla := person("anna"), person("bert"), person("carla")
		anna.accept()
		anna.visit(path)
		bert.visit(path)
		carla.refuse()
		carla.visit(path)
		anna.visit(path)
		person("dora").visit(path)
	}},
	{"untagged first", "untagged-first", func(person func(string) *person, path string) {
		anna, bert, carla := person("anna"), person("bert"), person("carla")
		carla.refuse()
		bert.visit(path)
		carla.visit(path)
		anna.accept()
		anna.visit(path)
		bert.visit(path)
		anna.visit(path)
	}},
	{"in turns", "turns", func(person func(string) *person, path string) {
		anna, bert, carla, dora := person("anna"), person("bert"), person("carla"), person("dora1")
		anna.accept()
		carla.accept()
		dora.refuse()
		for range 3 {
			for _, p := range []interface{ visit(string) bool }{anna, bert, carla, dora, carla, bert, anna} {
				p.visit(path)
			}
			anna.cookies["theme"], bert.cookies["theme"] = "dark", "dark"
		}
	}},
	{"two languages", "languages", func(person func(string) *person, path string) {
		anna, bert, carla := person("anna"), person("bert"), person("carla")
		if strings.HasPrefix(path, "/varies/") { // as the origin's Vary says
			anna.language, bert.language = "de", "de"
		}
		carla.visit(path)
		bert.visit(path)
		anna.accept()
		anna.visit(path)
		carla.accept()
		carla.visit(path)
	}},
	{"the same cookies", "same-cookies", func(person func(string) *person, path string) {
		for i := range 4 { // each with no cookie but the consent
			p := person(fmt.Sprintf("twin%d", i))
			p.accept()
			p.visit(path)
		}
	}},
	{"an earlier answer's tag", "earlier", func(person func(string) *person, path string) {
		anna := person("anna")
		anna.visit(path)
		untagged := anna.copies[path]
		anna.accept()
		anna.visit(path)
		tagged := anna.copies[path]
		for range 2 {
			for _, had := range []pageCopy{untagged, tagged} {
				anna.accept()
				anna.copies[path] = had
				anna.visit(path)
				anna.refuse()
				anna.copies[path] = had
				anna.visit(path)
			}
		}
	}},
	{"fetched by script, then opened", "fetched", func(person func(string) *person, path string) {
		anna, bert := person("anna"), person("bert1")
		anna.accept()
		anna.fetch(path)
		anna.visit(path)
		bert.fetch(path)
		bert.visit(path)
		anna.visit(path)
		anna.fetch(path)
		anna.fetch(path)
		anna.visit(path)
	}},
	{"refused, fetched by script, then opened", "refused", func(person func(string) *person, path string) {
		anna := person("anna")
		anna.accept()
		anna.visit(path)
		anna.refuse()
		anna.fetch(path) // which the cache may keep
		anna.visit(path) // and must not have from there: it takes the id away
	}},
	{"opened, then fetched by script", "opened", func(person func(string) *person, path string) {
		anna, bert := person("anna"), person("bert")
		bert.visit(path)
		anna.accept()
		anna.visit(path)
		anna.fetch(path)
		bert.fetch(path)
		anna.visit(path)
	}},
	{"with settings", "signed-in/page", func(person func(string) *person, path string) {
		anna, bert, carla := person("anna"), person("bert1"), person("carla")
		anna.accept()
		bert.accept()
		for range 2 {
			anna.visit(path)
			bert.visit(path)
			carla.visit(path)
		}
		// another's tag, by whatever way it came
		anna.copies[path], bert.copies[path] = bert.copies[path], pageCopy{}
		tag := anna.copies[path].etag
		anna.copies[path] = pageCopy{etag: tag, body: "stolen"}
		anna.visit(path)
		bert.visit(path)
		anna.refuse()
		anna.visit(path)
	}},
	{"all at once", "at-once", func(person func(string) *person, path string) {
		var wg sync.WaitGroup
		for i := range 24 {
			p := person(fmt.Sprintf("visitor%d", i))
			switch i % 3 {
			case 0:
				p.accept()
			case 1:
				p.refuse()
			}
			wg.Go(func() {
				for range 3 {
					p.visit(path)
				}
			})
		}
		wg.Wait()
	}},
}

// keeps checks that the cache does serve those without consent, or all that
// is said above would hold of none.
func (s sharedCache) keeps(t *testing.T, person func(string) *person, origin *cachedOrigin, page cachedPage, path string) {
	anna := person("anna")
	anna.accept()
	person("first").visit(path)
	hits := 0
	for i := range 4 {
		anna.visit(path) // which does not drive the page out
		before := origin.requests(path)
		p := person(fmt.Sprintf("later%d", i))
		p.gzip = false
		if p.visit(path) {
			hits++
			if asked := origin.requests(path) - before; asked > 0 {
				t.Errorf("the origin was asked %d times for what the cache has", asked)
			}
		}
	}
	t.Logf("%d of 4 visitors without consent were served from the cache", hits)
	if page.name == "no-cache-control" && !s.keepsWithoutCacheControl {
		return
	}
	if hits < 3 { // the first may be the first of its encoding
		t.Errorf("only %d of 4 visitors without consent were served from the cache", hits)
	}
}

// asksAgain checks what comes of it when the cache asks the origin whether
// what it keeps is still good.
func (s sharedCache) asksAgain(t *testing.T, person func(string) *person, origin *cachedOrigin, path string) {
	anna, bert := person("anna"), person("bert")
	anna.accept()
	for deadline := time.Now().Add(testenv.Patience); origin.revalidations(path) < 2; time.Sleep(20 * time.Millisecond) {
		clear(bert.copies) // so that it is the cache who asks
		bert.visit(path)
		anna.visit(path)
		if t.Failed() || time.Now().After(deadline) {
			t.Fatalf("the cache asked %d times whether the page is still good", origin.revalidations(path))
		}
	}
	anna.refuse()
	anna.visit(path)
	anna.visit(path)
	bert.accept()
	bert.visit(path)
}
