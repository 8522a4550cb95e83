package kapadeflector

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
)

const loaderLines = consentLine + "loader\n"

// loaderOf is the loader's element of a handler.
func loaderOf(h *Handler) string { return string(h.block.loader.insertion.HTML) }

// loaderName is what a handler's loader calls itself in its questions.
func loaderName(h *Handler) string { return h.block.loader.id + "." + h.block.loader.block }

// asked is a request for a page as different clients make it.
var askedBy = map[string][]string{
	"a browser":              nil,
	"an iframe":              {"Sec-Fetch-Dest: iframe"},
	"fetch()":                {"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors", "Accept: */*"},
	"XMLHttpRequest":         {"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors", "X-Requested-With: XMLHttpRequest"},
	"htmx":                   {"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors", "HX-Request: true", "Accept: */*"},
	"Turbo Drive":            {"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors", "X-Turbo-Request-Id: 1"},
	"a service worker":       {"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: navigate"},
	"a prefetch":             {"Sec-Purpose: prefetch"},
	"curl, or a cache":       {"Sec-Fetch-Dest: ", "Accept: */*"},
	"a client of few fields": {"Sec-Fetch-Dest: ", "Accept: "},
}

// requestBy returns a request as that client makes it. An empty field removes the
// browser's own.
func requestBy(t testing.TB, method string, client, fields []string) *http.Request {
	r := newRequest(t, method, "https://support.example.com/tickets/new", fields...)
	for _, field := range client {
		name, value, _ := strings.Cut(field, ": ")
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
	}
	return r
}

var visitors = map[string]string{"unknown": unknown, "granted": granted, "denied": denied, "with an id": granted + "; kapa_web_id=" + idA}

// A page under loader has the same bytes and the same fields for every visitor, at
// every path, and however it is asked for. The origin's caching stays.
func TestLoaderPageIsTheSameForEverybody(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "public, max-age=600")
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Last-Modified", "Sat, 28 Nov 2026 10:00:00 GMT")
		return pageHandler(w, r)
	}
	for _, lines := range []string{"", "pages /tickets/new", "pages /elsewhere", "without_consent untracked", "csp extend"} {
		h := newHandler(t, loaderLines+lines)
		want := pageWith(loaderOf(h))
		for client, asks := range askedBy {
			for visitor, cookie := range visitors {
				for _, gpc := range []string{"", "1"} {
					fields := []string{"Cookie: " + cookie}
					if gpc != "" {
						fields = append(fields, "Sec-GPC: "+gpc)
					}
					r := requestBy(t, "GET", asks, fields)
					resp := serve(t, h, r, origin)
					name := fmt.Sprintf("%q, %s, %s, GPC %q", lines, client, visitor, gpc)
					if got := bodyOf(t, resp); got != want {
						t.Errorf("%s: %s", name, got)
					}
					if wantHeader := (http.Header{
						"Cache-Control":  {"public, max-age=600"},
						"Etag":           {`"v1` + h.block.loader.insertion.Suffix},
						"Content-Type":   {"text/html; charset=utf-8"},
						"Content-Length": {itoa(len(want))},
					}); !reflect.DeepEqual(resp.Header, wantHeader) {
						t.Errorf("%s: %q", name, resp.Header)
					}
					if o, _ := outcomeOf(r); o != outcome.Loader {
						t.Errorf("%s: outcome %s", name, o)
					}
				}
			}
		}
	}
}

// One visitor gets a page of their own: who has denied consent and still has an id.
func TestLoaderPageDeletesTheID(t *testing.T) {
	h := newHandler(t, loaderLines+"pages /elsewhere")
	origin := pageWithField("Cache-Control", "public, max-age=600")
	resp := serve(t, h, newRequest(t, "GET", "/", "Cookie: "+denied+"; kapa_web_id="+idA), origin)
	if got := bodyOf(t, resp); got != pageWith(loaderOf(h)) {
		t.Error(got)
	}
	if len(idLines(resp)) != 2 || resp.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("%q", resp.Header)
	}
}

// What the loader does not go into.
func TestLoaderLeavesAlone(t *testing.T) {
	for _, tc := range []struct {
		name    string
		method  string
		asks    []string
		next    caddyhttp.HandlerFunc
		outcome outcome.Outcome
	}{
		{"a fragment", "GET", nil, answer(200, "text/html", "<p>part</p>"), outcome.NotDocument},
		{"a fragment that is fetched", "GET", askedBy["htmx"], answer(200, "text/html", "<p>part</p>"), outcome.NotDocument},
		{"data", "GET", askedBy["fetch()"], answer(200, "application/json", "{}"), outcome.NotHTML},
		{"a page that has a deflector", "GET", nil, answer(200, "text/html", pageWith(staticTag)), outcome.AlreadyPresent},
		{"an answer to PUT", "PUT", nil, answer(200, "text/html", samplePage), outcome.NotDocument},
		{"a download", "GET", nil, pageWithField("Content-Disposition", "attachment"), outcome.Attachment},
		{"a part of a page", "GET", nil, pageWithField("Content-Range", "bytes 0-9/71"), outcome.Partial},
	} {
		r := requestBy(t, tc.method, tc.asks, nil)
		resp := serve(t, newHandler(t, loaderLines), r, tc.next)
		if got := bodyOf(t, resp); strings.Contains(got, "kapa_deflector=1") || resp.Header.Get("Vary") != "" || resp.Header.Get("Cache-Control") != "" {
			t.Errorf("%s: %s, %q", tc.name, got, resp.Header)
		}
		if o, _ := outcomeOf(r); o != tc.outcome {
			t.Errorf("%s: outcome %s, want %s", tc.name, o, tc.outcome)
		}
	}
}

// Error pages and answers to forms get the loader, too, and HEAD has GET's header.
func TestLoaderPages(t *testing.T) {
	h := newHandler(t, loaderLines)
	for name, tc := range map[string]struct {
		method string
		next   caddyhttp.HandlerFunc
		want   string
	}{
		"not found":                  {"GET", answer(404, "text/html", samplePage), pageWith(loaderOf(h))},
		"a form that is shown again": {"POST", answer(422, "text/html", samplePage), pageWith(loaderOf(h))},
		"broken":                     {"GET", answer(503, "text/html", samplePage), pageWith(loaderOf(h))},
		"HEAD":                       {"HEAD", pageWithField("Etag", `"v1"`), ""},
	} {
		resp := serve(t, h, newRequest(t, tc.method, "/"), tc.next)
		if got := bodyOf(t, resp); got != tc.want {
			t.Errorf("%s: %s", name, got)
		}
		if etag := resp.Header.Get("Etag"); tc.method == "HEAD" && etag != `"v1`+h.block.loader.insertion.Suffix {
			t.Errorf("%s: %s", name, etag)
		}
	}
}

// A page under loader is a variant: a copy with the loader is revalidated, one without
// it is not. What may not be for a page keeps its conditions, its Range and its
// codings, unless the request shows that it is about a page with the loader.
func TestLoaderPageIsRevalidated(t *testing.T) {
	h := newHandler(t, loaderLines)
	ours := `"v1` + h.block.loader.insertion.Suffix
	older := `"v1-kapa-0123456789abcdef"`
	for _, tc := range []struct {
		name, client string
		fields       []string
		want         http.Header // what the origin sees of conditions, Range and codings
	}{
		{"a copy with the loader", "a browser", []string{"If-None-Match: " + ours}, http.Header{"If-None-Match": {`"v1"`}, "Accept-Encoding": {"identity"}}},
		{"that is fetched", "fetch()", []string{"If-None-Match: " + ours}, http.Header{"If-None-Match": {`"v1"`}, "Accept-Encoding": {"br"}}},
		{"that a cache has", "curl, or a cache", []string{"If-None-Match: " + ours}, http.Header{"If-None-Match": {`"v1"`}, "Accept-Encoding": {"identity"}}},
		{"a copy without it", "a browser", []string{`If-None-Match: "v1"`, "If-Modified-Since: x"}, http.Header{"Accept-Encoding": {"identity"}}},
		{"a copy with an older loader", "a browser", []string{"If-None-Match: " + older}, http.Header{"Accept-Encoding": {"identity"}}},
		{"data that is fetched", "fetch()", []string{`If-None-Match: "v1"`, "If-Modified-Since: x"}, http.Header{"If-None-Match": {`"v1"`}, "If-Modified-Since": {"x"}, "Accept-Encoding": {"br"}}},
		{"a feed", "curl, or a cache", []string{`If-None-Match: "v1"`}, http.Header{"If-None-Match": {`"v1"`}, "Accept-Encoding": {"identity"}}},
		{"a download that goes on", "curl, or a cache", []string{"Range: bytes=10-", `If-Range: "v1"`}, http.Header{"Range": {"bytes=10-"}, "If-Range": {`"v1"`}, "Accept-Encoding": {"identity"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := requestBy(t, "GET", askedBy[tc.client], append(tc.fields, "Accept-Encoding: br"))
			before := r.Header.Clone()
			var seen http.Header
			resp := serve(t, h, r, func(w http.ResponseWriter, r *http.Request) error {
				seen = maps.Clone(r.Header)
				maps.DeleteFunc(seen, func(name string, _ []string) bool {
					return !slices.Contains([]string{"If-None-Match", "If-Modified-Since", "If-Range", "Range", "Accept-Encoding"}, name)
				})
				w.Header().Set("Etag", `"v1"`)
				w.WriteHeader(http.StatusNotModified)
				return nil
			})
			if !reflect.DeepEqual(seen, tc.want) {
				t.Errorf("the origin sees %q, want %q", seen, tc.want)
			}
			if !reflect.DeepEqual(r.Header, before) {
				t.Errorf("%q came back as %q", before, r.Header)
			}
			want := `"v1"`
			if slices.Contains(tc.fields, "If-None-Match: "+ours) {
				want = ours
			}
			if got := resp.Header.Get("Etag"); got != want && seen["If-None-Match"] != nil {
				t.Errorf("Etag: %s, want %s", got, want)
			}
			if resp.Header["Vary"] != nil {
				t.Errorf("Vary: %q", resp.Header["Vary"])
			}
		})
	}
}

// A document that cannot have the loader now must not be what a cache gives to those
// who would get it.
func TestLoaderPageThatMissesIt(t *testing.T) {
	zipped := func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Cache-Control", "public")
		z := gzip.NewWriter(w)
		_, _ = z.Write([]byte(samplePage))
		return z.Close()
	}
	public := func(field, value string) caddyhttp.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Cache-Control", "public")
			return pageWithField(field, value)(w, r)
		}
	}
	for _, tc := range []struct {
		name    string
		method  string
		next    caddyhttp.HandlerFunc
		outcome outcome.Outcome
		private bool
	}{
		{"gzip", "GET", zipped, outcome.Loader, false},
		{"brotli", "GET", public("Content-Encoding", "br"), outcome.Encoded, true},
		{"brotli, HEAD", "HEAD", public("Content-Encoding", "br"), outcome.NoBody, true},
		{"a policy that blocks the loader", "GET", public(policyField, "script-src 'self'"), outcome.CSPBlocked, true},
		{"a policy that blocks the loader, HEAD", "HEAD", public(policyField, "script-src 'self'"), outcome.NoBody, true},
	} {
		for client, asks := range askedBy {
			r := requestBy(t, tc.method, asks, nil)
			resp := serve(t, newHandler(t, loaderLines), r, tc.next)
			if got := resp.Header.Get("Cache-Control"); (got == "private, no-cache") != tc.private {
				t.Errorf("%s, %s: Cache-Control: %s", tc.name, client, got)
			}
			if o, _ := outcomeOf(r); o != tc.outcome {
				t.Errorf("%s, %s: outcome %s, want %s", tc.name, client, o, tc.outcome)
			}
		}
	}
}

// What stands in the script is constant: no integration id, no user, no pages.
func TestLoaderContent(t *testing.T) {
	const secret = "user {\nemail secret@example.com\n}\npages /secret\n"
	plain := newHandler(t, loaderLines)
	hidden := newHandler(t, loaderLines+secret)
	if strings.Replace(loaderOf(hidden), loaderName(hidden), loaderName(plain), 1) != loaderOf(plain) {
		t.Error("the loader depends on settings that are the edge's business")
	}
	call := func(lines string) string {
		content := newHandler(t, lines).block.loader.insertion.Loader
		return content[strings.LastIndex(content, "(["):]
	}
	const selectors = `(["#description","#form","#form button","#form"],`
	for lines, want := range map[string]string{
		loaderLines:                         selectors + `"cookie_consent","kapa_deflector=1.%s.",1,1)`,
		consentLine + "loader load":         selectors + `"cookie_consent","kapa_deflector=1.%s.",0,1)`,
		consentLine + "loader interaction":  selectors + `"cookie_consent","kapa_deflector=1.%s.",2,1)`,
		loaderLines + "honor_gpc off":       selectors + `"cookie_consent","kapa_deflector=1.%s.",1,0)`,
		"consent not_required\nloader load": selectors + `"","kapa_deflector=1.%s.",0,0)`,
		"consent onetrust\nconsent iubenda 4\nconsent cookie a.b yes\nloader": selectors +
			`"OptanonConsent|OptanonAlertBoxClosed|_iub_cs-[A-Za-z0-9]*|a\\.b","kapa_deflector=1.%s.",1,1)`,
	} {
		if want = fmt.Sprintf(want, loaderName(newHandler(t, lines))); call(lines) != want {
			t.Errorf("%s: %s\nwant %s", lines, call(lines), want)
		}
	}
	h := newHandler(t, loaderLines)
	h.Attributes[1].Value = "#{http.request.uri.query.field}"
	if got := newLoader("idle", h.Attributes, h.block.consent, nil).insertion.Loader; !strings.Contains(got, `(["","#form",`) {
		t.Errorf("a selector that depends on the request is waited for: %s", got)
	}
}

// The version in the loader is that of caddy list-modules --versions. That both agree in
// a program is seen by .ci/release.
func TestVersion(t *testing.T) {
	const path = "github.com/kapadeflector/caddy-kapa-deflector"
	caddyModule := &debug.Module{Path: "github.com/caddyserver/caddy/v2", Version: "v2.11.9"}
	for name, c := range map[string]struct {
		info *debug.BuildInfo
		want string
	}{
		"built by xcaddy": {&debug.BuildInfo{Deps: []*debug.Module{caddyModule, {Path: path, Version: "v0.1.0"}}}, "v0.1.0"},
		"built from a checkout": {&debug.BuildInfo{
			Main: debug.Module{Path: path, Version: "v0.1.1-0.20261128173350-65d720bbd5c2"},
			Deps: []*debug.Module{caddyModule},
		}, ""},
		"replaced by a checkout": {&debug.BuildInfo{Deps: []*debug.Module{{Path: path, Version: "v0.0.0", Replace: &debug.Module{Path: "."}}}}, ""},
		"replaced by a fork": {&debug.BuildInfo{Deps: []*debug.Module{
			{Path: path, Version: "v0.1.0", Replace: &debug.Module{Path: "github.com/acme/fork", Version: "v0.2.0"}},
		}}, ""},
		"beside a module with a longer path": {&debug.BuildInfo{Deps: []*debug.Module{{Path: path + "/more", Version: "v9.0.0"}}}, ""},
	} {
		if got := versionIn(c.info); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if loaded := newHandler(t, loaderLines).block.loader.insertion.Loader; !strings.HasPrefix(loaded, "(") {
		t.Errorf("a test has no version, but the loader begins with %.40s", loaded)
	}
}

// Documents outside all pages get the loader of the first block that has one; the
// others get that of the block whose pages they are.
func TestLoadersOfSeveralBlocks(t *testing.T) {
	first := newHandler(t, loaderLines+"pages /a\n")
	second := newHandler(t, loaderLines+"pages /b\ncookie off\nhonor_gpc off")
	tagged := newHandler(t, consentLine+"pages /c")
	for path, want := range map[string]string{
		"/a": loaderOf(first), "/b": loaderOf(second), "/c": staticTag, "/d": loaderOf(first),
	} {
		for name, chain := range map[string][3]*Handler{"abc": {first, second, tagged}, "acb": {first, tagged, second}, "cab": {tagged, first, second}} {
			r := newRequest(t, "GET", path, "Cookie: "+granted)
			resp := serve(t, chain[0], r, through(chain[1], through(chain[2], pageHandler)))
			if got := bodyOf(t, resp); got != pageWith(want) {
				t.Errorf("%s, %s: %s\nwant %s", name, path, got, pageWith(want))
			}
		}
	}

	// entity tags of the block that claims the page reach it
	suffix := second.block.loader.insertion.Suffix
	r := newRequest(t, "GET", "/b", `If-None-Match: "v1`+suffix)
	resp := serve(t, first, r, through(second, func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Etag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		return pageHandler(w, r)
	}))
	if resp.StatusCode != 304 || resp.Header.Get("Etag") != `"v1`+suffix {
		t.Errorf("%d, %q", resp.StatusCode, resp.Header)
	}
}

// through is a block in front of next.
func through(h *Handler, next caddyhttp.HandlerFunc) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error { return h.ServeHTTP(w, r, next) }
}

// pageWithField answers with the sample page and one more field.
func pageWithField(field, value string) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set(field, value)
		return answer(200, "text/html", samplePage)(w, r)
	}
}

// The directive warns of a matcher that divides the requests for one page.
func TestDividingMatchers(t *testing.T) {
	raw := json.RawMessage(`[]`)
	for want, matchers := range map[string]caddy.ModuleMap{
		"":             {"path": raw, "host": raw, "path_regexp": raw, "protocol": raw},
		"header query": {"path": raw, "query": raw, "header": raw},
		"method":       {"method": raw},
	} {
		if got := strings.Join(dividing(matchers), " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
