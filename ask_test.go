package kapadeflector

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
)

const askLines = "consent ask {\npolicy /privacy\nversion v1\n}\nloader\n"

// chooses returns the POST by which h's loader hands a visitor's answer over.
func chooses(t testing.TB, h *Handler, path, choice string, fields ...string) *http.Request {
	t.Helper()
	r := newRequest(t, "POST", "https://support.example.com"+path+"?kapa_deflector=1."+loaderName(h)+".x7",
		append([]string{"Kapa-Deflector: " + choice, "Sec-Fetch-Mode: cors"}, fields...)...)
	r.Header.Set("Sec-Fetch-Dest", "empty")
	if r.Header["Origin"] == nil {
		r.Header.Set("Origin", "https://support.example.com")
	}
	return r
}

// dayAgo is a day, as the choice's cookie has it.
func dayAgo(days int) string { return itoa(int(time.Now().Unix()/86400) - days) }

// noOrigin is what stands behind a block that answers itself.
func noOrigin(t testing.TB) caddyhttp.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) error {
		t.Error("the origin was asked")
		return nil
	}
}

// The edge asks visitors who have not answered, and shows the others what they have
// answered.
func TestAsk(t *testing.T) {
	h := newHandler(t, askLines+"pages /tickets/*")
	for _, tc := range []struct {
		name, choice, target string
		fields               []string
		kind                 string
		asked                bool // there is a prompt
		ids                  int
		outcome              outcome.Outcome
	}{
		{name: "no answer yet", kind: "no-consent", asked: true, outcome: outcome.NoConsent},
		{name: "yes", choice: "yes.v1." + dayAgo(0), kind: "tag", asked: true, ids: 1, outcome: outcome.Injected},
		{name: "no", choice: "no.v1." + dayAgo(0), kind: "no-consent", asked: true, outcome: outcome.Denied},
		{name: "no, with an id", choice: "no.v1." + dayAgo(0) + "; kapa_web_id=" + idA, kind: "no-consent", asked: true, ids: 2, outcome: outcome.Denied},
		{name: "yes, on its last day", choice: "yes.v1." + dayAgo(179), kind: "tag", asked: true, ids: 1, outcome: outcome.Injected},
		{name: "yes, too long ago", choice: "yes.v1." + dayAgo(180), kind: "no-consent", asked: true, outcome: outcome.NoConsent},
		{name: "yes, where clocks differ", choice: "yes.v1." + dayAgo(-1), kind: "tag", asked: true, ids: 1, outcome: outcome.Injected},
		{name: "yes, in the future", choice: "yes.v1." + dayAgo(-2), kind: "no-consent", asked: true, outcome: outcome.NoConsent},
		{name: "yes to another version", choice: "yes.v2." + dayAgo(0), kind: "no-consent", asked: true, outcome: outcome.NoConsent},
		{name: "yes without a version", choice: "yes", kind: "no-consent", asked: true, outcome: outcome.NoConsent},
		{name: "a day that is no number", choice: "yes.v1.today", kind: "no-consent", asked: true, outcome: outcome.NoConsent},
		{name: "a negative day", choice: "yes.v1.-1", kind: "no-consent", asked: true, outcome: outcome.NoConsent},
		{name: "another word", choice: "maybe.v1." + dayAgo(0), kind: "no-consent", asked: true, outcome: outcome.NoConsent},
		{name: "a yes and a no", choice: "yes.v1." + dayAgo(0) + "; kapa_deflector_choice=no.v1." + dayAgo(0), kind: "no-consent", asked: true, outcome: outcome.NoConsent},
		{name: "Sec-GPC", fields: []string{"Sec-GPC: 1"}, kind: "no-consent", outcome: outcome.NoConsent},
		{name: "outside pages", target: "/", kind: "no-consent", outcome: outcome.OtherPage},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.choice != "" {
				tc.fields = append(tc.fields, "Cookie: kapa_deflector_choice="+tc.choice)
			}
			if tc.target == "" {
				tc.target = "/tickets/new"
			}
			r := questionOf(t, h, "https://support.example.com"+tc.target, tc.fields...)
			resp := serve(t, h, r, noOrigin(t))
			body := bodyOf(t, resp)
			if got := resp.Header.Get("Kapa-Deflector"); got != tc.kind || strings.Contains(body, `"prompt":{`) != tc.asked || len(idLines(resp)) != tc.ids {
				t.Errorf("%s, %s, %q", got, body, idLines(resp))
			}
			if o, _ := outcomeOf(r); o != tc.outcome {
				t.Errorf("outcome %s, want %s", o, tc.outcome)
			}
		})
	}
}

// An answer is kept in a cookie of the edge's. It takes effect with the same response.
func TestChoice(t *testing.T) {
	for _, tc := range []struct {
		name, lines, choice string
		fields              []string
		kind                string
		kept                string // the Set-Cookie lines of the answer, with %s for the day
		id                  string // what the last line for the id says
	}{
		{
			name: "yes", choice: "yes", kind: "tag",
			kept: "kapa_deflector_choice=yes.v1.%s; Path=/; Max-Age=15552000; Secure; SameSite=Lax",
			id:   "Domain=example.com; Max-Age=15552000;",
		},
		{
			name: "yes, with an id, which lives no longer than the answer", choice: "yes", kind: "tag", fields: []string{"Cookie: kapa_web_id=" + idA},
			kept: "kapa_deflector_choice=yes.v1.%s; Path=/; Max-Age=15552000; Secure; SameSite=Lax",
			id:   idA + "; Path=/; Domain=example.com; Max-Age=15552000;",
		},
		{
			name: "no", choice: "no", kind: "no-consent", fields: []string{"Cookie: kapa_web_id=" + idA + "; kapa_deflector_choice=yes.v1." + dayAgo(3)},
			kept: "kapa_deflector_choice=; Path=/; Domain=example.com; Max-Age=0; Secure; SameSite=Lax\n" +
				"kapa_deflector_choice=no.v1.%s; Path=/; Max-Age=15552000; Secure; SameSite=Lax",
			id: "Max-Age=0;",
		},
		{
			name: "a yes after a no that was for the host alone", choice: "yes", kind: "tag", fields: []string{"Cookie: kapa_deflector_choice=no.v1." + dayAgo(3)},
			lines: "consent ask {\npolicy /privacy\nversion v1\ndomain example.com\n}\nloader\n",
			kept: "kapa_deflector_choice=; Path=/; Max-Age=0; Secure; SameSite=Lax\n" +
				"kapa_deflector_choice=yes.v1.%s; Path=/; Domain=example.com; Max-Age=15552000; Secure; SameSite=Lax",
			id: "Domain=example.com; Max-Age=15552000;",
		},
		{
			name: "settings", choice: "yes", kind: "tag",
			lines: "consent ask {\npolicy https://example.com/privacy\nversion v1\ncookie helper\ndomain example.com\nmax_age 30d\n}\nloader\ncookie {\nmax_age 10d\n}\n",
			kept:  "helper=yes.v1.%s; Path=/; Domain=example.com; Max-Age=2592000; Secure; SameSite=Lax",
			id:    "Domain=example.com; Max-Age=864000;",
		},
		{
			name: "a domain that does not cover the host", choice: "yes", kind: "tag",
			lines: "consent ask {\npolicy /privacy\nversion v1\ndomain example.org\n}\nloader\n", id: "Max-Age=15552000",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.lines == "" {
				tc.lines = askLines
			}
			h := newHandler(t, tc.lines)
			core, logs := observer.New(zapcore.InfoLevel)
			h.block.logger = zap.New(core)
			resp := serve(t, h, chooses(t, h, "/tickets/new", tc.choice, tc.fields...), noOrigin(t))
			if got := resp.Header.Get("Kapa-Deflector"); got != tc.kind || resp.StatusCode != 200 {
				t.Errorf("%d, %s", resp.StatusCode, got)
			}
			var kept []string
			for _, line := range resp.Header["Set-Cookie"] {
				if !strings.HasPrefix(line, kapa.IDCookie+"=") {
					kept = append(kept, line)
				}
			}
			want := ""
			if tc.kept != "" {
				want = fmt.Sprintf(tc.kept, dayAgo(0))
			}
			if got := strings.Join(kept, "\n"); got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
			if ids := idLines(resp); len(ids) == 0 || !strings.Contains(ids[len(ids)-1], tc.id) {
				t.Errorf("%q, want %s", ids, tc.id)
			}
			for _, line := range logs.All() {
				if text := fmt.Sprint(line.Message, line.ContextMap()); strings.Contains(text, idA) || strings.Contains(text, "example.com") {
					t.Errorf("the log says whose answer it is: %s", text)
				}
			}
			if n := logs.FilterField(zap.Stringer("choice", map[string]choice{"yes": choiceYes, "no": choiceNo}[tc.choice])).Len(); n != 1 {
				t.Errorf("%d lines about the choice", n)
			}
		})
	}
}

// Only a page of the site itself hands an answer over, and only to a block that asks.
func TestChoicesThatAreRefused(t *testing.T) {
	ask, other := newHandler(t, askLines+"pages /tickets/*"), newHandler(t, loaderLines)
	for _, tc := range []struct {
		name   string
		h      *Handler
		from   *Handler
		target string
		fields []string
	}{
		{"from another origin", ask, ask, "", []string{"Origin: https://evil.example"}},
		{"from a sibling", ask, ask, "", []string{"Origin: https://docs.example.com"}},
		{"from a sandboxed frame", ask, ask, "", []string{"Origin: null"}},
		{"from nowhere", ask, ask, "", []string{"Origin: "}},
		{"from another site, by Sec-Fetch-Site", ask, ask, "", []string{"Sec-Fetch-Site: cross-site"}},
		{"outside pages", ask, ask, "/", nil},
		{"to a block that does not ask", other, other, "", nil},
		{"by an older loader", ask, other, "", nil},
	} {
		if tc.target == "" {
			tc.target = "/tickets/new"
		}
		r := chooses(t, tc.from, tc.target, "yes")
		for _, field := range tc.fields {
			name, value, _ := strings.Cut(field, ": ")
			if r.Header.Del(name); value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		if err := tc.h.ServeHTTP(w, r, noOrigin(t)); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusForbidden || w.Header()["Set-Cookie"] != nil {
			t.Errorf("%s: %d, %q", tc.name, w.Code, w.Header())
		}
	}

	// a POST of the site's own
	r := newRequest(t, "POST", "/tickets/new", "Kapa-Deflector: yes", "Origin: https://support.example.com")
	if resp := serve(t, ask, r, answer(422, "text/html", samplePage)); resp.StatusCode != 422 || resp.Header["Set-Cookie"] != nil {
		t.Errorf("%d, %q", resp.StatusCode, resp.Header)
	}
}

// What visitors are asked changes with the settings, and then they are asked again.
func TestVersionOfTheQuestion(t *testing.T) {
	version := func(lines string) string {
		return newHandler(t, "consent ask {\npolicy /privacy\n}\nloader\n"+lines).block.asker.choice.Version
	}
	plain := version("")
	if again := version("pages /x\nhonor_gpc off"); again != plain {
		t.Error("settings of which the text does not speak change the version")
	}
	seen := map[string]string{plain: ""}
	for _, lines := range []string{
		`data-user-email-query-selector "#email"`, "user {\nemail {http.auth.user.id}\n}", "user {\nunique_client_id {http.auth.user.id}\n}",
		"cookie off", "cookie {\nmax_age 5d\n}", "cookie {\ndomain host\n}", "data-user-analytics-fingerprint-enabled true", "data-user-analytics-cookie-enabled false",
	} {
		got := version(lines)
		if before, ok := seen[got]; ok && lines != "data-user-analytics-cookie-enabled false" {
			t.Errorf("%q has the version of %q", lines, before)
		}
		seen[got] = lines
	}
}

// The question speaks of the id whoever sets it, and only then.
func TestWhatTheQuestionSaysOfTheID(t *testing.T) {
	for _, tc := range []struct{ lines, says, never string }{
		{"", "kept for 180 days, for example.com and all its subdomains", "fingerprint"},
		{"cookie {\nmax_age 5d\n}", "kept for 5 days", "fingerprint"},
		{"cookie {\ndomain host\n}", "kept for 180 days, for support.example.com; ", "subdomains"},
		{"cookie off", "kept for 399 days, for example.com and all its subdomains", "fingerprint"}, // by Kapa's script
		{"data-user-analytics-cookie-enabled false", "", "kapa_web_id"},
		{"data-user-analytics-fingerprint-enabled true", "fingerprint", "kapa_web_id"},
		{"data-user-analytics-fingerprint-enabled false", "kapa_web_id", "fingerprint"},
		{"data-user-analytics-fingerprint-enabled {http.vars.fingerprint}", "kapa_web_id", ""},
		{"data-user-analytics-fingerprint-enabled {http.vars.fingerprint}", "fingerprint", ""},
	} {
		h := newHandler(t, askLines+tc.lines)
		text := h.block.asker.promptFor(questionOf(t, h, "https://support.example.com/tickets/new"), "en", "").Text
		if !strings.Contains(text, tc.says) || tc.never != "" && strings.Contains(text, tc.never) {
			t.Errorf("%q:\n%s", tc.lines, text)
		}
	}
}
