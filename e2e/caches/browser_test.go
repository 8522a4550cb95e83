package caches

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// What the browser's own cache does with a page that is tagged at one time and
// at another not. Whoever consents, or withdraws, sees what that means with the
// next page that the browser loads, whether from the network or from its HTTP
// cache, and however it gets there.
//
// One thing is out of anybody's reach: a page that the browser has kept whole,
// as it was left (bfcache), and shows again without loading it. Such pages are
// counted here, and have to be right from the next load on. A tab that has
// opened another one keeps no pages so: there, going back and forward loads
// them, and from the HTTP cache even when they are stale.

// browserCachedPages are the descriptions that matter to a browser's cache.
var browserCachedPages = []cachedPage{
	{"max-age", map[string]string{"Cache-Control": "public, max-age=600", "Etag": pageETag, "Last-Modified": pageDate}},
	{"no-validators", map[string]string{"Cache-Control": "public, max-age=600"}},
	{"date-only", map[string]string{"Cache-Control": "public, max-age=600", "Last-Modified": pageDate}},
	{"no-cache", map[string]string{"Cache-Control": "no-cache", "Etag": pageETag, "Last-Modified": pageDate}},
}

// ways to get to a page again. Each begins and ends at the page, before which
// in the tab's history is another one; change happens on the way.
var ways = []struct {
	name string
	take func(v *cachingVisitor, change func())
}{
	{"by a link", func(v *cachingVisitor, change func()) {
		v.Follow("#other")
		change()
		v.Follow("#page")
	}},
	{"by its address", func(v *cachingVisitor, change func()) {
		v.Open(v.other)
		change()
		v.Open(v.page)
	}},
	{"by reloading", func(v *cachingVisitor, change func()) {
		change()
		v.Reload()
	}},
	{"back", func(v *cachingVisitor, change func()) {
		v.Follow("#other")
		change()
		v.travel("back", v.page)
	}},
	{"forward", func(v *cachingVisitor, change func()) {
		v.travel("back", v.other)
		change()
		v.travel("forward", v.page)
	}},
}

// cachingVisitor goes between two pages.
type cachingVisitor struct {
	*testenv.Visitor
	caddy       *testenv.Caddy
	origin      *browserOrigin
	page, other string

	mu        sync.Mutex
	fromCache int                         // how many loads of the page the browser's cache served alone
	request   network.RequestID           // the last one for the page
	status    map[network.RequestID]int64 // what the edge answered; not in order with the loading of the page
	restored  int                         // how many times the page was shown without being loaded
}

func newCachingVisitor(t *testing.T, c *testenv.Caddy, origin *browserOrigin, name string) *cachingVisitor {
	t.Helper()
	v := &cachingVisitor{
		Visitor: testenv.NewVisitor(t), status: make(map[network.RequestID]int64), caddy: c, origin: origin,
		page: c.Edge(testenv.Support, "/"+name+"/page"), other: c.Edge(testenv.Support, "/"+name+"/other"),
	}
	v.watch()
	v.Open(v.other)
	v.Follow("#page")
	return v
}

// watch counts what comes from the browser's cache.
func (v *cachingVisitor) watch() {
	v.Listen(func(event any) {
		v.mu.Lock()
		defer v.mu.Unlock()
		switch e := event.(type) {
		case *network.EventResponseReceived:
			if e.Type == network.ResourceTypeDocument && e.Response.URL == v.page && e.Response.FromDiskCache {
				v.fromCache++
			}
		case *network.EventRequestWillBeSent:
			if e.Type == network.ResourceTypeDocument && e.Request.URL == v.page {
				v.request = e.RequestID
			}
		case *network.EventResponseReceivedExtraInfo:
			v.status[e.RequestID] = e.StatusCode
		}
	})
}

// travel goes back or forward in the tab's history.
func (v *cachingVisitor) travel(direction, to string) {
	v.T.Helper()
	testenv.Eval[bool](v.Visitor, `window.left = true`)
	v.Travel(direction)
	v.Await("the tab goes "+direction+" to "+to,
		`location.href === `+testenv.Quote(to)+` && document.readyState === 'complete' && (!window.left || window.restored)`)
}

// choose sets the consent cookie as a banner does.
func (v *cachingVisitor) choose(choice string) func() {
	return func() {
		v.T.Helper()
		testenv.Eval[bool](v.Visitor, `(document.cookie = 'cookie_consent=`+choice+`; path=/', true)`)
		v.wantChoiceOf(choice) // the page may be told so before the browser is
	}
}

func (v *cachingVisitor) stay() {}

// wantChoiceOf waits until the browser has the consent cookie.
func (v *cachingVisitor) wantChoiceOf(choice string) {
	v.T.Helper()
	testenv.Eventually(v.T, "the choice is kept", func() bool {
		kept := v.Cookies("cookie_consent")
		return len(kept) == 1 && kept[0].Value == choice
	})
}

// wants checks what the visitor sees after the step, and what id there is.
func (v *cachingVisitor) wants(tagged bool, step string) {
	v.T.Helper()
	if testenv.Eval[bool](v.Visitor, `Boolean(window.restored)`) {
		v.restored++
		v.T.Logf("%s: the browser shows the page as it was left, without loading it", step)
		v.Reload()
	}
	if got := v.HasTag(); got != tagged {
		v.T.Errorf("%s: tag %v, want %v", step, got, tagged)
	}
	ids := v.Cookies(testenv.IDCookie)
	if tagged && len(ids) != 1 || !tagged && len(ids) != 0 {
		v.T.Errorf("%s: tag %v, and the ids %s", step, tagged, testenv.AsJSON(ids))
	}
}

// browserOrigin serves a page and another one for each description.
type browserOrigin struct {
	address string

	mu    sync.Mutex
	asked map[string]int // by path
}

func newBrowserOrigin(t *testing.T) *browserOrigin {
	t.Helper()
	o := &browserOrigin{asked: make(map[string]int)}
	mux := http.NewServeMux()
	mux.HandleFunc(testenv.StandIn, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, "window.KapaSFD = {};")
	})
	for _, kind := range browserCachedPages {
		mux.HandleFunc("/"+kind.name+"/", func(w http.ResponseWriter, r *http.Request) {
			o.mu.Lock()
			o.asked[r.URL.Path]++
			o.mu.Unlock()
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			for name, value := range kind.header {
				w.Header().Set(name, value)
			}
			if unchanged(r, kind.header) {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			out, finish := zipping(w, r)
			defer finish()
			_, _ = io.WriteString(out, `<!doctype html><html><head><title>t</title><link rel="icon" href="data:,">
<script>addEventListener('pageshow', e => window.restored = e.persisted)</script></head><body>
<p><a id="page" href="page">the page</a> <a id="other" href="other">another</a></p>
`+strings.Repeat("<p>"+r.URL.Path+"</p>", 100)+`</body></html>`)
		})
	}
	o.address = testenv.Serve(t, mux)
	return o
}

// zipping is where an origin writes a page: under "/zipped/" it compresses for
// whoever takes that.
func zipping(w http.ResponseWriter, r *http.Request) (out io.Writer, finish func()) {
	if !strings.Contains(r.URL.Path, "/zipped/") {
		return w, func() {}
	}
	w.Header().Add("Vary", "Accept-Encoding")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return w, func() {}
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	return z, func() { _ = z.Close() }
}

func (o *browserOrigin) requests(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[path]
}

func browserCacheCaddy(t *testing.T, origin *browserOrigin) *testenv.Caddy {
	t.Helper()
	return testenv.StartCaddy(t, `
http://`+testenv.Support+`:{$EDGE_PORT} {
	encode
	kapa_deflector {`+testenv.Required+`
		script `+testenv.StandIn+`
		consent cookie cookie_consent accepted
	}
	reverse_proxy `+origin.address+`
}`)
}

func TestTheBrowsersCacheNeverShowsTheWrongVariant(t *testing.T) {
	t.Parallel()
	origin := newBrowserOrigin(t)
	c := browserCacheCaddy(t, origin)
	for _, kind := range browserCachedPages {
		for _, way := range ways {
			t.Run(kind.name+"/"+way.name, func(t *testing.T) {
				t.Parallel()
				v := newCachingVisitor(t, c, origin, kind.name)
				v.tell(way.take)
			})
			if way.name != "back" && way.name != "forward" {
				continue
			}
			t.Run(kind.name+"/"+way.name+", loaded", func(t *testing.T) {
				t.Parallel()
				v := newCachingVisitor(t, c, origin, kind.name)
				testenv.Eval[bool](v.Visitor, `window.open('about:blank') !== null`)
				v.ToFront()
				v.tell(way.take)
				if v.restored > 0 {
					t.Errorf("%d times the page was not loaded", v.restored)
				}
			})
		}
	}
}

// tell goes through consent and withdrawal, each time taking the same way to
// the page.
func (v *cachingVisitor) tell(way func(*cachingVisitor, func())) {
	v.T.Helper()
	v.wants(false, "the first visit")
	way(v, v.stay)
	v.wants(false, "again")
	way(v, v.choose("accepted"))
	v.wants(true, "after consent")
	way(v, v.stay)
	v.wants(true, "after consent, again")
	way(v, v.choose("refused"))
	v.wants(false, "after withdrawal")
	way(v, v.stay)
	v.wants(false, "after withdrawal, again")
	way(v, v.choose("accepted"))
	v.wants(true, "after consent once more")
	way(v, v.choose("refused"))
	v.wants(false, "after withdrawal once more")

	v.mu.Lock()
	defer v.mu.Unlock()
	v.T.Logf("the cache served the page %d times alone; %d times it was not loaded at all", v.fromCache, v.restored)
}

// A script that fetches the page gets it without the tag, and the browser keeps
// that copy; it must not be what is shown when the page is opened. Nor must a
// script get the tagged one.
func TestWhatAScriptFetchesIsNotShownAsThePage(t *testing.T) {
	t.Parallel()
	origin := newBrowserOrigin(t)
	c := browserCacheCaddy(t, origin)
	for _, kind := range browserCachedPages {
		for _, name := range []string{kind.name, kind.name + "/zipped"} { // as the origin sends it
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				v := newCachingVisitor(t, c, origin, name)
				fetch := func(step string) (asked int) {
					t.Helper()
					before := origin.requests("/" + name + "/page")
					body := testenv.Eval[string](v.Visitor, `fetch('page').then(r => r.text())`)
					if tag, _ := testenv.CutTag(body); tag != "" || !strings.Contains(body, "<title>t</title>") {
						t.Errorf("%s, fetched: %.300s", step, body)
					}
					return origin.requests("/"+name+"/page") - before
				}
				v.Follow("#other")
				fetch("before consent")
				v.Follow("#page")
				v.wants(false, "before consent")

				v.Follow("#other")
				v.choose("accepted")()
				fetch("after consent")
				v.Follow("#page") // which sets the id
				v.wants(true, "after consent, fetched first")
				v.Follow("#other")
				fetch("with an id")
				if asked := fetch("with an id, again"); strings.HasPrefix(name, "max-age") && asked != 0 {
					t.Error("the browser does not keep what was fetched, so that this test says nothing")
				}
				v.Follow("#page")
				v.wants(true, "with an id, fetched first")
				fetch("from the page itself")
				v.Reload()
				v.wants(true, "with an id, reloaded")

				v.Follow("#other")
				v.choose("refused")()
				fetch("after withdrawal")
				v.Follow("#page")
				v.wants(false, "after withdrawal, fetched first")
			})
		}
	}
}

// Two tabs share cookies and cache, and so what was chosen in either.
func TestTwoTabsSeeTheSameChoice(t *testing.T) {
	t.Parallel()
	origin := newBrowserOrigin(t)
	c := browserCacheCaddy(t, origin)
	for _, kind := range browserCachedPages {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			first := newCachingVisitor(t, c, origin, kind.name)
			second := &cachingVisitor{
				Visitor: first.AnotherTab(), caddy: c, origin: origin, page: first.page, other: first.other,
			}
			second.ToFront()
			second.Open(second.other)
			second.Follow("#page")
			tabs := []*cachingVisitor{first, second}
			want := func(tagged bool, step string) {
				t.Helper()
				for _, way := range ways[:3] { // which all load it
					for _, tab := range tabs {
						tab.ToFront()
						way.take(tab, tab.stay)
						tab.wants(tagged, step+", "+way.name)
					}
				}
			}
			want(false, "before any choice")
			first.choose("accepted")()
			want(true, "accepted in the first tab")
			second.choose("refused")()
			want(false, "refused in the second tab")
			second.choose("accepted")()
			want(true, "accepted in the second tab")
			first.choose("refused")()
			want(false, "refused in the first tab")
		})
	}
}

// What is true of the pages above has to be true of pages that a cache had a
// part in.
func TestTheBrowserUsesItsCache(t *testing.T) {
	t.Parallel()
	origin := newBrowserOrigin(t)
	c := browserCacheCaddy(t, origin)
	for name, want := range map[string]struct{ untagged, tagged string }{
		"max-age":       {"cache", "304"}, // a tagged page has to be asked for each time
		"no-validators": {"cache", "200"},
		"date-only":     {"cache", "200"}, // a date is not enough for a tagged page
		"no-cache":      {"304", "304"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newCachingVisitor(t, c, origin, name)
			how := func() string {
				v.mu.Lock()
				cached := v.fromCache
				v.mu.Unlock()
				before := origin.requests("/" + name + "/page")
				v.Open(v.page)
				asked := origin.requests("/"+name+"/page") - before
				var status int64
				if asked == 1 {
					testenv.Eventually(t, "the answer is known", func() bool {
						v.mu.Lock()
						defer v.mu.Unlock()
						status = v.status[v.request]
						return status != 0
					})
				}
				v.mu.Lock()
				defer v.mu.Unlock()
				switch {
				case asked == 0 && v.fromCache > cached:
					return "cache"
				case status == http.StatusNotModified:
					return "304"
				case status == http.StatusOK && v.fromCache == cached:
					return "200"
				default:
					return "unclear"
				}
			}
			v.Open(v.page)
			if got := how(); got != want.untagged {
				t.Errorf("the untagged page comes by %s, want %s", got, want.untagged)
			}
			v.choose("accepted")()
			v.Open(v.page) // with the cookie of the consent
			v.Open(v.page) // and with that of the id
			if got := how(); got != want.tagged {
				t.Errorf("the tagged page comes by %s, want %s", got, want.tagged)
			}
			v.wants(true, "in the end")
		})
	}
}
