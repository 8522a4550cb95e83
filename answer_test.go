package kapadeflector

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
)

// questionOf returns the question of h's loader about the page at target, from a page of
// the same site.
func questionOf(t testing.TB, h *Handler, target string, fields ...string) *http.Request {
	t.Helper()
	separator := "?"
	if strings.Contains(target, "?") {
		separator = "&"
	}
	r := newRequest(t, "GET", target+separator+"kapa_deflector=1."+loaderName(h)+".x7",
		append([]string{"Kapa-Deflector: question"}, fields...)...)
	r.Header.Set("Sec-Fetch-Dest", "empty")
	r.Header.Set("Sec-Fetch-Mode", "cors")
	if r.Header["Sec-Fetch-Site"] == nil && r.Header["Origin"] == nil {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return r
}

// staticAnswer is the answer that requiredLines make.
const staticAnswer = `{"script":[["data-integration-id","abc"],` +
	`["data-main-input-query-selector","#description"],["data-submit-element-query-selector","#form"],["data-submit-element-event-type","onSubmit"],` +
	`["data-submit-button-query-selector","#form button"],["data-anchor-element-query-selector","#form"],` +
	`["data-render-on-load","false"],["src","https://widget.kapa.ai/kapa-support-form-deflector.bundle.js"]]`

// What the edge answers, by the same rules as a page gets the tag.
func TestAnswers(t *testing.T) {
	const withID = "; kapa_web_id=" + idA
	const untracked = `["data-user-analytics-cookie-enabled","false"],["data-user-analytics-fingerprint-enabled","false"],["data-render`
	answer := staticAnswer + `,"render":1}`
	for _, tc := range []struct {
		name    string
		lines   string
		target  string
		fields  []string
		status  int
		kind    string
		body    string
		ids     int
		outcome outcome.Outcome
	}{
		{name: "granted", fields: []string{"Cookie: " + granted}, status: 200, kind: "tag", body: answer, ids: 1, outcome: outcome.Injected},
		{name: "granted, with an id", fields: []string{"Cookie: " + granted + withID}, status: 200, kind: "tag", body: answer, outcome: outcome.Injected},
		{name: "granted, renew", lines: "cookie {\nrenew\n}", fields: []string{"Cookie: " + granted + withID}, status: 200, kind: "tag", body: answer, ids: 1, outcome: outcome.Injected},
		{name: "granted, cookie off", lines: "cookie off", fields: []string{"Cookie: " + granted}, status: 200, kind: "tag", body: answer, outcome: outcome.Injected},
		{name: "no answer", fields: []string{"Cookie: " + unknown + withID}, status: 204, kind: "no-consent", outcome: outcome.NoConsent},
		{name: "refused", fields: []string{"Cookie: " + denied}, status: 204, kind: "no-consent", outcome: outcome.Denied},
		{name: "withdrawn", fields: []string{"Cookie: " + denied + withID}, status: 204, kind: "no-consent", ids: 2, outcome: outcome.Denied},
		{name: "Sec-GPC", fields: []string{"Sec-GPC: 1", "Cookie: " + granted + withID}, status: 204, kind: "no-consent", outcome: outcome.NoConsent},
		{name: "outside pages", lines: "pages /x", fields: []string{"Cookie: " + granted}, status: 204, kind: "none", outcome: outcome.OtherPage},
		{name: "outside pages, withdrawn", lines: "pages /x", fields: []string{"Cookie: " + denied + withID}, status: 204, kind: "no-consent", ids: 2, outcome: outcome.OtherPage},
		{name: "in pages", lines: "pages /tickets/*", fields: []string{"Cookie: " + granted}, status: 200, kind: "tag", body: answer, ids: 1, outcome: outcome.Injected},
		{
			name: "untracked", lines: "without_consent untracked", fields: []string{"Cookie: " + denied + withID}, status: 200, kind: "untracked",
			body: strings.Replace(answer, `["data-render`, untracked, 1), ids: 2, outcome: outcome.Untracked,
		},
		{name: "untracked, granted", lines: "without_consent untracked", fields: []string{"Cookie: " + granted}, status: 200, kind: "tag", body: answer, ids: 1, outcome: outcome.Injected},
		{
			name: "the user starts the deflector", lines: "data-render-on-load false", fields: []string{"Cookie: " + granted}, status: 200, kind: "tag",
			body: strings.Replace(staticAnswer, `["data-render-on-load","false"],["src`, `["data-render-on-load","false"],["src`, 1) + "}", ids: 1, outcome: outcome.Injected,
		},
		{
			name:   "user",
			lines:  "user {\nunique_client_id {http.request.header.X-User}\nemail {http.request.header.X-Mail}\nmetadata company_name \"</script>\"\n}",
			fields: []string{"X-User: \"7\"", "Cookie: " + granted}, status: 200, kind: "tag",
			body: staticAnswer + `,"user":[["uniqueClientId","\"7\"",""],["company_name","\u003c/script\u003e","metadata"]],"render":1}`,
			ids:  1, outcome: outcome.Injected,
		},
		{
			name: "values see the page's own address", target: "/tickets/new?a=%20b", fields: []string{"Cookie: " + granted},
			lines:  "user {\nmetadata uri {http.request.uri}\nmetadata orig {http.request.orig_uri}\nmetadata query {http.request.orig_uri.query}\nmetadata rest {http.request.uri.query}\n}",
			status: 200, kind: "tag", ids: 1, outcome: outcome.Injected,
			body: staticAnswer + `,"user":[["orig","https://support.example.com/tickets/new?a=%20b","metadata"],["query","a=%20b","metadata"],["rest","a=%20b","metadata"],["uri","/tickets/new?a=%20b","metadata"]],"render":1}`,
		},
		{name: "no browser says where it comes from", fields: []string{"Origin: https://support.example.com", "Cookie: " + granted}, status: 200, kind: "tag", body: answer, ids: 1, outcome: outcome.Injected},
		{name: "from a sibling", fields: []string{"Sec-Fetch-Site: same-site", "Cookie: " + granted}, status: 403, outcome: outcome.Answered},
		{name: "from another site", fields: []string{"Sec-Fetch-Site: cross-site", "Cookie: " + denied + withID}, status: 403, outcome: outcome.Answered},
		{name: "typed", fields: []string{"Sec-Fetch-Site: none", "Cookie: " + granted}, status: 403, outcome: outcome.Answered},
		{name: "from another origin", fields: []string{"Origin: https://evil.example", "Cookie: " + granted}, status: 403, outcome: outcome.Answered},
		{name: "from another scheme", fields: []string{"Origin: http://support.example.com", "Cookie: " + granted}, status: 403, outcome: outcome.Answered},
		{name: "from a sandboxed frame", fields: []string{"Origin: null", "Cookie: " + granted}, status: 403, outcome: outcome.Answered},
		{name: "with two origins", fields: []string{"Origin: https://support.example.com", "Origin: https://evil.example", "Cookie: " + granted}, status: 403, outcome: outcome.Answered},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, loaderLines+tc.lines)
			if tc.target == "" {
				tc.target = "/tickets/new"
			}
			r := questionOf(t, h, "https://support.example.com"+tc.target, tc.fields...)
			w := httptest.NewRecorder()
			w.Header().Set("Surrogate-Control", "max-age=600") // as a header directive in front does
			if err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
				t.Error("the origin was asked")
				return nil
			})); err != nil {
				t.Fatal(err)
			}
			resp := w.Result()
			body := bodyOf(t, resp)
			if resp.StatusCode != tc.status || body != tc.body || len(idLines(resp)) != tc.ids || resp.Header.Get("Kapa-Deflector") != tc.kind {
				t.Errorf("%d, %s, %q, %s\nwant %d, %s, %d lines, %s", resp.StatusCode, resp.Header.Get("Kapa-Deflector"), idLines(resp), body, tc.status, tc.kind, tc.ids, tc.body)
			}
			if body != "" && (!json.Valid([]byte(body)) || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("X-Content-Type-Options") != "nosniff") {
				t.Errorf("%q", resp.Header)
			}
			if resp.Header["Surrogate-Control"] != nil || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Vary") != "*" {
				t.Errorf("a cache may keep it: %q", resp.Header)
			}
			if o, _ := outcomeOf(r); o != tc.outcome {
				t.Errorf("outcome %s, want %s", o, tc.outcome)
			}
		})
	}
}

// An answer needs all attributes that are required.
func TestIncompleteAnswer(t *testing.T) {
	h := newHandler(t, loaderLines)
	h.block.tracked = newTag(Script{}.withDefaults(), []Attribute{{"data-integration-id", "{http.request.header.X-Absent}"}}, nil)
	r := questionOf(t, h, "/", "Cookie: "+granted)
	resp := serve(t, h, r, pageHandler)
	if o, _ := outcomeOf(r); o != outcome.Incomplete || resp.StatusCode != 204 || resp.Header.Get("Kapa-Deflector") != "none" || idLines(resp) != nil {
		t.Errorf("%s, %d, %q", o, resp.StatusCode, resp.Header)
	}
}

// Several blocks: the page's own block answers, and only its own loader gets a tag.
func TestAnswersOfSeveralBlocks(t *testing.T) {
	first := newHandler(t, loaderLines+"pages /a\n")
	second := newHandler(t, consentLine+"loader load\npages /b\n")
	tagged := newHandler(t, consentLine+"pages /c\n")
	for _, tc := range []struct {
		from *Handler
		path string
		kind string
	}{
		{first, "/a", "tag"}, {first, "/b", "none"}, {first, "/c", "none"}, {first, "/d", "none"},
		{second, "/a", "none"}, {second, "/b", "tag"}, {second, "/c", "none"}, {second, "/d", "none"},
	} {
		for name, chain := range map[string][]*Handler{"abc": {first, second, tagged}, "cba": {tagged, second, first}, "bac": {second, first, tagged}} {
			r := questionOf(t, tc.from, tc.path, "Cookie: "+granted)
			resp := serve(t, chain[0], r, through(chain[1], through(chain[2], func(http.ResponseWriter, *http.Request) error {
				t.Error("the origin was asked")
				return nil
			})))
			if got := resp.Header.Get("Kapa-Deflector"); got != tc.kind {
				t.Errorf("%s, %s: %q, want %s", name, tc.path, got, tc.kind)
			}
		}
	}

	// blocks that differ in their pages alone have the same script
	twin := newHandler(t, loaderLines+"pages /e\n")
	for _, chain := range [][2]*Handler{{first, twin}, {twin, first}} {
		for _, h := range []*Handler{first, twin} {
			resp := serve(t, chain[0], questionOf(t, h, h.Pages[0], "Cookie: "+granted), through(chain[1], pageHandler))
			if got := resp.Header.Get("Kapa-Deflector"); got != "tag" {
				t.Errorf("%s: %q, want a tag", h.Pages[0], got)
			}
		}
	}
}

// What is no question is a request for the page. Its address is the page's own, and it
// comes without an answer.
func TestNoQuestion(t *testing.T) {
	h := newHandler(t, loaderLines)
	other := newHandler(t, consentLine+"loader load")
	key := "kapa_deflector=1." + loaderName(h) + ".x"
	for _, tc := range []struct{ name, method, target, field, query string }{
		{"the field was lost on the way", "GET", "/?a=1&" + key, "", "a=1"},
		{"the key was lost on the way", "GET", "/?a=1", "question", "a=1"},
		{"a POST that says nothing", "POST", "/?" + key, "question", ""},
		{"another version", "GET", "/?kapa_deflector=2.x.y", "question", "kapa_deflector=2.x.y"},
		{"another parameter", "GET", "/?my_" + key, "question", "my_" + key},
		{"a parameter behind it", "GET", "/?" + key + "&a=1", "question", key + "&a=1"},
		{"another word in the field", "GET", "/?" + key, "consent", ""},
	} {
		r := newRequest(t, tc.method, tc.target, "Cookie: "+granted, "Sec-Fetch-Site: same-origin")
		if tc.field != "" {
			r.Header.Set("Kapa-Deflector", tc.field)
		}
		asked := false
		resp := serve(t, h, r, func(w http.ResponseWriter, r *http.Request) error {
			asked = true
			if r.URL.RawQuery != tc.query {
				t.Errorf("%s: the origin sees %q, want %q", tc.name, r.URL.RawQuery, tc.query)
			}
			return pageHandler(w, r)
		})
		if !asked || resp.Header["Kapa-Deflector"] != nil {
			t.Errorf("%s: %q", tc.name, resp.Header)
		}
	}

	// a loader of a configuration that is gone
	r := questionOf(t, other, "/", "Cookie: "+granted)
	if resp := serve(t, h, r, pageHandler); resp.Header.Get("Kapa-Deflector") != "none" || idLines(resp) != nil {
		t.Errorf("%q", resp.Header)
	}
	r = questionOf(t, other, "/", "Cookie: "+granted)
	resp := serve(t, newHandler(t, loaderLines+"pages /elsewhere"), r, func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.RawQuery != "" {
			t.Errorf("the origin sees %q", r.URL.RawQuery)
		}
		return pageHandler(w, r)
	})
	if resp.Header["Kapa-Deflector"] != nil {
		t.Errorf("%q", resp.Header)
	}
}
