package kapadeflector

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
)

// Global Privacy Control is no withdrawal: nothing is inserted, no id is set, and none
// is deleted.
func TestGlobalPrivacyControl(t *testing.T) {
	const withID = "; kapa_web_id=" + idA
	for _, tc := range []struct {
		name   string
		lines  string
		cookie string
		gpc    []string
		want   outcome.Outcome
		reason string
		ids    int // Set-Cookie lines
	}{
		{"not sent", consentLine, granted, nil, outcome.Injected, "", 1},
		{"sent", consentLine, granted, []string{"1"}, outcome.NoConsent, "gpc", 0},
		{"with an id, which is left alone", consentLine, granted + withID, []string{"1"}, outcome.NoConsent, "gpc", 0},
		{"another value is nothing", consentLine, granted, []string{"0"}, outcome.Injected, "", 1},
		{"nor is a word", consentLine, granted, []string{"true"}, outcome.Injected, "", 1},
		{"nor a list", consentLine, granted, []string{"1, 1"}, outcome.Injected, "", 1},
		{"one exact line of several counts", consentLine, granted, []string{"0", "1"}, outcome.NoConsent, "gpc", 0},
		{"beside a refusal", consentLine, denied + withID, []string{"1"}, outcome.Denied, "refused", 2},
		{"beside no answer", consentLine, unknown, []string{"1"}, outcome.NoConsent, "cookie_absent", 0},
		{"not honoured", consentLine + "honor_gpc off", granted, []string{"1"}, outcome.Injected, "", 1},
		{"honoured, in words", consentLine + "honor_gpc on", granted, []string{"1"}, outcome.NoConsent, "gpc", 0},
		{"consent not required", "consent not_required", "", []string{"1"}, outcome.Injected, "", 1},
		{"consent not required, but honoured", "consent not_required\nhonor_gpc on", "", []string{"1"}, outcome.NoConsent, "gpc", 0},
		{"consent not required, honoured, not sent", "consent not_required\nhonor_gpc on", "", nil, outcome.Injected, "", 1},
		{"untracked", consentLine + "without_consent untracked", granted + withID, []string{"1"}, outcome.Untracked, "gpc", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRequest(t, "GET", "https://support.example.com/", "Cookie: "+tc.cookie)
			r.Header["Sec-Gpc"] = tc.gpc
			h := newHandler(t, tc.lines)
			resp := serve(t, h, r, pageHandler)
			o, reason := outcomeOf(r)
			if o != tc.want || reason != tc.reason || len(idLines(resp)) != tc.ids {
				t.Errorf("%s, %q, %q, want %s, %q, %d lines", o, reason, idLines(resp), tc.want, tc.reason, tc.ids)
			}
			if got := strings.Contains(resp.Header.Get("Vary"), "Sec-GPC"); got != h.block.consent.gpc {
				t.Errorf("Vary: %q", resp.Header.Get("Vary"))
			}
		})
	}
}

// Platforms, rules and formats work in the handler and the matcher, in Caddyfiles, JSON
// and expressions. How each reads its cookies is tested in internal/consent.
func TestConsentLines(t *testing.T) {
	for _, tc := range []struct {
		name   string
		line   string
		cel    string // "" where a line has a block
		json   string
		cookie string
		want   consent.Verdict
		reason string
	}{
		{
			"a platform", "consent onetrust", "consent('onetrust')", `{"kind": "onetrust"}`,
			"OptanonConsent=groups=C0001%3A1%2CC0002%3A1; OptanonAlertBoxClosed=2026-11-01T10:00:00.000Z", consent.Granted, "",
		},
		{
			"a platform's default is one category of several", "consent onetrust", "consent('onetrust')", `{"kind": "onetrust"}`,
			"OptanonConsent=groups=C0001%3A1%2CC0002%3A0%2CC0004%3A1; OptanonAlertBoxClosed=2026-11-01T10:00:00.000Z", consent.Denied, "refused",
		},
		{
			"all categories have to be consented to", "consent onetrust C0002 C0004", "consent('onetrust', 'C0002', 'C0004')",
			`{"kind": "onetrust", "categories": ["C0002", "C0004"]}`,
			"OptanonConsent=groups=C0002%3A1%2CC0004%3A0; OptanonAlertBoxClosed=2026-11-01T10:00:00.000Z", consent.Denied, "refused",
		},
		{
			"not answered yet", "consent onetrust C0002", "consent('onetrust', 'C0002')", `{"kind": "onetrust", "categories": ["C0002"]}`,
			"OptanonConsent=groups=C0001%3A1%2CC0002%3A1", consent.Unknown, "unanswered",
		},
		{
			"a cookie with a name of one's own", "consent klaro kapa {\ncookie acme_consent\n}", "",
			`{"kind": "klaro", "categories": ["kapa"], "cookie": "acme_consent"}`,
			`acme_consent=%7B%22kapa%22%3Atrue%7D; klaro=%7B%22kapa%22%3Afalse%7D`, consent.Granted, "",
		},
		{
			"a rule", "consent rule acme {\ndecode percent\ndecode json\nanswered json date non_empty\ngranted json choice.analytics equals true or json all equals true\n}", "",
			`{"kind": "rule", "cookie": "acme", "decode": [["percent"], ["json"]], "answered": [["json", "date", "non_empty"]],
				"granted": [["json", "choice.analytics", "equals", "true", "or", "json", "all", "equals", "true"]]}`,
			`acme={"date":"2026-11-01","all":true}`, consent.Granted, "",
		},
		{
			"a cookie that net/http would not even show", "consent civic", "consent('civic')", `{"kind": "civic"}`,
			`CookieControl={"interactedWith":true,"optionalCookies":{"analytics":"accepted"}}`, consent.Granted, "",
		},
		{
			"no TC string", "consent tcf", "consent('tcf')", `{"kind": "tcf"}`,
			"euconsent-v2=yes", consent.Unknown, "malformed",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRequest(t, "GET", "https://support.example.com/", "Cookie: "+tc.cookie)
			serve(t, newHandler(t, tc.line), r, pageHandler)
			wantOutcome := map[consent.Verdict]outcome.Outcome{consent.Granted: outcome.Injected, consent.Denied: outcome.Denied, consent.Unknown: outcome.NoConsent}[tc.want]
			if o, reason := outcomeOf(r); o != wantOutcome || reason != tc.reason {
				t.Errorf("by Caddyfile: %s %q, want %s %q", o, reason, wantOutcome, tc.reason)
			}
			m, err := load[MatchConsent](t, matcherID, json.RawMessage(`{"rules": [`+tc.json+`]}`))
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Match(r); got != (tc.want == consent.Granted) {
				t.Errorf("the matcher, by JSON: %t", got)
			}
			if r.Header.Set("Sec-GPC", "1"); m.Match(r) {
				t.Error("the matcher does not honour Sec-GPC")
			}
			m, err = load[MatchConsent](t, matcherID, json.RawMessage(`{"honor_gpc": false, "rules": [`+tc.json+`]}`))
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Match(r); got != (tc.want == consent.Granted) {
				t.Errorf("the matcher that does not honour Sec-GPC: %t", got)
			}
			if r.Header.Del("Sec-GPC"); tc.cel != "" {
				checkExpression(t, tc.cel, "/", tc.cookie, tc.want == consent.Granted)
			}
		})
	}
}
