package kapadeflector

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/page"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

const liveLines = consentLine + "live_consent\n"

// The elements of the watcher under liveLines.
var (
	watcherElement = page.InlineOpen + strings.TrimSuffix(liveScript, "\n") + `("cookie_consent",0)` + page.InlineClose
	watcherBeside  = strings.Replace(watcherElement, ",0)", ",1)", 1)
)

// What a document gets under live_consent.
func TestWatcher(t *testing.T) {
	for _, tc := range []struct {
		name   string
		lines  string
		fields []string
		want   string
		o      outcome.Outcome
	}{
		{"no answer yet", liveLines, nil, pageWith(watcherElement), outcome.NoConsent},
		{"refused", liveLines, []string{"Cookie: " + denied}, pageWith(watcherElement), outcome.Denied},
		{"granted", liveLines, []string{"Cookie: " + granted}, pageWith(staticTag + watcherBeside), outcome.Injected},
		{"not switched on", consentLine, nil, samplePage, outcome.NoConsent},
		{"Sec-GPC", liveLines, []string{"Sec-GPC: 1"}, samplePage, outcome.NoConsent},
		{"Sec-GPC beside a yes", liveLines, []string{"Sec-GPC: 1", "Cookie: " + granted}, samplePage, outcome.NoConsent},
		{"Sec-GPC that is not honoured", liveLines + "honor_gpc off", []string{"Sec-GPC: 1"}, pageWith(watcherElement), outcome.NoConsent},
		{"fetched by script", liveLines, []string{"Sec-Fetch-Dest: empty"}, samplePage, outcome.NotDocument},
		{"another page", liveLines + "pages /x", nil, samplePage, outcome.OtherPage},
		{
			"the cookies of several rules, and of their tests",
			"consent onetrust\nconsent iubenda 4\nconsent cookie a.b yes\nlive_consent", nil,
			pageWith(strings.Replace(watcherElement, `"cookie_consent"`, `"OptanonConsent|OptanonAlertBoxClosed|_iub_cs-[A-Za-z0-9]*|a\\.b"`, 1)), outcome.NoConsent,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRequest(t, "GET", "/", tc.fields...)
			for _, field := range tc.fields { // in place of the browser's own
				name, value, _ := strings.Cut(field, ": ")
				r.Header.Set(name, value)
			}
			resp := serve(t, newHandler(t, tc.lines), r, pageHandler)
			if got := bodyOf(t, resp); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if resp.Header.Get("Content-Length") != itoa(len(tc.want)) {
				t.Errorf("Content-Length: %s, want %d", resp.Header.Get("Content-Length"), len(tc.want))
			}
			if o, _ := outcomeOf(r); o != tc.o {
				t.Errorf("outcome %s, want %s", o, tc.o)
			}
		})
	}
}

// All visitors who get a page with only the watcher get the same one. It is cached as
// the origin says. It is a variant of its own, with its own entity tag.
func TestWatcherKeepsCaching(t *testing.T) {
	h := newHandler(t, liveLines)
	origin := func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "public, max-age=600")
		w.Header().Set("Etag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		return pageHandler(w, r)
	}
	resp := serve(t, h, newRequest(t, "GET", "/"), origin)
	tag := resp.Header.Get("Etag")
	if tag != `"v1`+variant.Suffix([]byte(watcherElement)) || resp.Header.Get("Cache-Control") != "public, max-age=600" ||
		resp.Header.Get("Vary") != "Cookie, Sec-GPC" || idLines(resp) != nil {
		t.Errorf("%q", resp.Header)
	}
	for _, tc := range []struct {
		name, cookie, etag string
		status             int
	}{
		{"still without an answer", unknown, tag, 304},
		{"refused since", denied, tag, 304},
		{"the origin's own page is another", unknown, `"v1"`, 200},
		{"granted since", granted, tag, 200},
	} {
		resp := serve(t, h, newRequest(t, "GET", "/", "Cookie: "+tc.cookie, "If-None-Match: "+tc.etag), origin)
		if resp.StatusCode != tc.status || tc.status == 304 && resp.Header.Get("Etag") != tag {
			t.Errorf("%s: %d, %q", tc.name, resp.StatusCode, resp.Header)
		}
	}
}

// The watcher's question, which never reaches the origin.
func TestLiveQuestion(t *testing.T) {
	const withID = "; kapa_web_id=" + idA
	const answer = `{"script":[["async",""],["data-integration-id","abc"],` +
		`["data-main-input-query-selector","#description"],["data-submit-element-query-selector","#form"],["data-submit-element-event-type","onSubmit"],` +
		`["data-submit-button-query-selector","#form button"],["data-anchor-element-query-selector","#form"],["src","https://widget.kapa.ai/kapa-support-form-deflector.bundle.js"]]`
	const same = "Sec-Fetch-Site: same-origin"
	for _, tc := range []struct {
		name   string
		lines  string
		fields []string
		status int
		body   string
		ids    int
	}{
		{"granted", "", []string{same, "Cookie: " + granted}, 200, answer + "}", 1},
		{"granted, from a browser without Sec-Fetch", "", []string{"Cookie: " + granted}, 200, answer + "}", 1},
		{"granted, with an id", "", []string{same, "Cookie: " + granted + withID}, 200, answer + "}", 0},
		{"granted, cookie off", "cookie off", []string{same, "Cookie: " + granted}, 200, answer + "}", 0},
		{"no answer", "", []string{same, "Cookie: " + unknown + withID}, 204, "", 0},
		{"refused", "", []string{same, "Cookie: " + denied}, 204, "", 0},
		{"withdrawn", "", []string{same, "Cookie: " + denied + withID}, 204, "", 2},
		{"Sec-GPC", "", []string{same, "Sec-GPC: 1", "Cookie: " + granted + withID}, 204, "", 0},
		{
			"user", "user {\nunique_client_id {http.request.header.X-User}\nemail {http.request.header.X-Mail}\nmetadata company_name \"</script>\"\n}",
			[]string{same, "X-User: \"7\"", "Cookie: " + granted}, 200,
			answer + `,"user":{"uniqueClientId":"\"7\""},"metadata":{"company_name":"\u003c/script\u003e"}}`, 1,
		},
		{
			"a required attribute is empty", "pages /",
			[]string{same, "X-Empty: 1", "Cookie: " + granted}, 204, "", 0,
		},
		{"from a sibling", "", []string{"Sec-Fetch-Site: same-site", "Cookie: " + granted}, 403, "", 0},
		{"from another site", "", []string{"Sec-Fetch-Site: cross-site", "Cookie: " + denied + withID}, 403, "", 0},
		{"typed", "", []string{"Sec-Fetch-Site: none", "Cookie: " + granted}, 403, "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRequest(t, "GET", "https://support.example.com/", append(tc.fields, "Kapa-Deflector: consent")...)
			r.Header.Set("Sec-Fetch-Dest", "empty")
			h := newHandler(t, liveLines+tc.lines)
			w := httptest.NewRecorder()
			w.Header().Set("Surrogate-Control", "max-age=600") // as a header directive in front does
			if r.Header.Get("X-Empty") != "" {
				h.block.tracked = newTag(Script{}.withDefaults(), []Attribute{{"data-integration-id", "{http.request.header.X-Absent}"}}, nil, "")
			}
			if err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
				t.Error("the origin was asked")
				return nil
			})); err != nil {
				t.Fatal(err)
			}
			resp := w.Result()
			if resp.Header["Surrogate-Control"] != nil {
				t.Error("a CDN may keep it")
			}
			body := bodyOf(t, resp)
			if resp.StatusCode != tc.status || body != tc.body || len(idLines(resp)) != tc.ids {
				t.Errorf("%d, %s, %q\nwant %d, %s, %d lines", resp.StatusCode, body, idLines(resp), tc.status, tc.body, tc.ids)
			}
			if body != "" && !json.Valid([]byte(body)) {
				t.Error("not JSON")
			}
			if cc := resp.Header.Get("Cache-Control"); cc != "no-store" {
				t.Errorf("Cache-Control: %s", cc)
			}
			if vary := resp.Header.Get("Vary"); vary != "*" {
				t.Errorf("Vary: %s", vary)
			}
			if got := resp.Header.Get("Kapa-Deflector"); (got == "answer") != (tc.status != 403) {
				t.Errorf("Kapa-Deflector: %q", got)
			}
			if o, _ := outcomeOf(r); o != outcome.Answered {
				t.Errorf("outcome %s", o)
			}
		})
	}
	for _, tc := range []struct{ name, lines, method, target string }{
		{"live_consent is off", consentLine, "GET", "/"},
		{"another page", liveLines + "pages /x", "GET", "/"},
		{"another method", liveLines, "POST", "/"},
	} {
		r := newRequest(t, tc.method, tc.target, "Kapa-Deflector: consent", "Cookie: "+granted)
		asked := false
		serve(t, newHandler(t, tc.lines), r, func(w http.ResponseWriter, r *http.Request) error {
			asked = true
			return pageHandler(w, r)
		})
		if !asked {
			t.Errorf("%s: the origin was not asked", tc.name)
		}
	}
}

// If a page has an insertion, Turbo Drive is told to load it in full.
func TestTurboVisits(t *testing.T) {
	const reload = `<meta name="turbo-visit-control" content="reload">`
	for _, tc := range []struct {
		name   string
		lines  string
		method string
		fields []string
		next   string
		want   string
		o      outcome.Outcome
		ids    int

		blocked outcome.Outcome // under a policy that lets nothing in
	}{
		{"granted", "", "GET", []string{"Cookie: " + granted}, samplePage, pageWith(reload), outcome.Answered, 0, outcome.CSPBlocked},
		{"no answer", "", "GET", nil, samplePage, samplePage, outcome.NoConsent, 0, outcome.NoConsent},
		{"no answer, live_consent", "live_consent", "GET", nil, samplePage, pageWith(reload), outcome.Answered, 0, outcome.NoConsent},
		{"untracked", "without_consent untracked", "GET", nil, samplePage, pageWith(reload), outcome.Answered, 0, outcome.CSPBlocked},
		{"refused", "", "GET", []string{"Cookie: " + denied + "; kapa_web_id=" + idA}, samplePage, samplePage, outcome.Denied, 2, outcome.Denied},
		{"another page", "pages /x", "GET", []string{"Cookie: " + granted}, samplePage, samplePage, outcome.OtherPage, 0, outcome.OtherPage},
		{"a frame", "", "GET", []string{"Turbo-Frame: main", "Cookie: " + granted}, samplePage, samplePage, outcome.NotDocument, 0, outcome.NotDocument},
		{"no document", "", "GET", []string{"Cookie: " + granted}, "<p>part</p>", "<p>part</p>", outcome.NotDocument, 0, outcome.NotDocument},
		{"a form that is shown again", "", "POST", []string{"Cookie: " + granted}, samplePage, samplePage, outcome.NotDocument, 0, outcome.NotDocument},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRequest(t, tc.method, "https://support.example.com/", append(tc.fields, "X-Turbo-Request-Id: 0d2c")...)
			r.Header.Set("Sec-Fetch-Dest", "empty")
			resp := serve(t, newHandler(t, consentLine+tc.lines), r, answer(200, "text/html", tc.next))
			if got := bodyOf(t, resp); got != tc.want || len(idLines(resp)) != tc.ids {
				t.Errorf("%s, %q\nwant %s, %d lines", got, idLines(resp), tc.want, tc.ids)
			}
			if o, _ := outcomeOf(r); o != tc.o {
				t.Errorf("outcome %s, want %s", o, tc.o)
			}
			forget(r)
			blocked := serve(t, newHandler(t, consentLine+tc.lines), r, withPolicy(tc.next, "default-src 'none'"))
			if got := bodyOf(t, blocked); got != tc.next {
				t.Errorf("the policy would block what the reload is for: %s", got)
			}
			if o, _ := outcomeOf(r); o != tc.blocked {
				t.Errorf("blocked: outcome %s, want %s", o, tc.blocked)
			}
			if tc.o == outcome.Answered && !strings.Contains(resp.Header.Get("Vary"), "X-Turbo-Request-Id") {
				t.Errorf("Vary: %s", resp.Header.Get("Vary"))
			}
		})
	}
}
