package kapadeflector

import (
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
)

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
