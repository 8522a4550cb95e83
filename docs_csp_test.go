package kapadeflector

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The examples of docs/csp.md are what the plugin does: lines that begin with "-"
// are the origin's, those with "+" what a visitor gets, the others are both.
func TestDocumentedPolicies(t *testing.T) {
	doc, err := os.ReadFile("docs/csp.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(doc), "\r\n", "\n")
	heading := regexp.MustCompile("(?m)^## (?:`csp (\\w+)`|What may)")
	example := regexp.MustCompile("(?ms)^```diff\n(.*?)^```$")

	sections := heading.FindAllStringSubmatchIndex(text, -1)
	examples := 0
	for _, at := range example.FindAllStringSubmatchIndex(text, -1) {
		examples++
		lines := "csp extend\n"
		for _, s := range sections {
			if s[0] > at[0] {
				break
			}
			if lines = "csp extend\nuser {\nemail a@b.com\n}\n"; s[2] >= 0 { // else it is about user
				lines = "csp " + text[s[2]:s[3]] + "\n"
			}
		}
		checkExample(t, lines, strings.TrimSuffix(text[at[2]:at[3]], "\n"))
	}
	if examples < 12 {
		t.Errorf("%d examples", examples)
	}
}

func checkExample(t *testing.T, lines, example string) {
	t.Helper()
	var origin, sent []string
	inserted := ""
	for line := range strings.Lines(example) {
		sign, line := line[0], strings.TrimSuffix(line[2:], "\n")
		if strings.HasPrefix(line, "<script") {
			inserted = line
			continue
		}
		field, policy, _ := strings.Cut(line, ": ")
		if field == cspReportField {
			policy = "report: " + policy
		} else if field != cspField {
			t.Fatalf("%q is not a line of a policy", line)
		}
		if sign != '+' {
			origin = append(origin, policy)
		}
		if sign != '-' {
			sent = append(sent, policy)
		}
	}

	r := newRequest(t, "GET", "/", "Cookie: "+granted)
	resp := serve(t, newHandler(t, consentLine+lines), r, withPolicy(page, origin...))
	body := bodyOf(t, resp)
	got := policiesOf(resp)
	for i, policy := range got { // what differs in each answer, or is nobody's to read
		policy = strings.ReplaceAll(policy, "'url-"+sha256Of(kapaScriptURL)+"'", "'url-sha256-URLHASH'")
		policy = regexp.MustCompile(`'nonce-[A-Za-z0-9+/]{22}=='`).ReplaceAllString(policy, "'nonce-NONCE'")
		if inserted != "" && strings.HasPrefix(inserted, "<script>(") {
			policy = regexp.MustCompile(`'sha256-[^']*'`).ReplaceAllString(policy, "'sha256-HASH'")
		}
		got[i] = policy
	}
	body = regexp.MustCompile(`nonce="[A-Za-z0-9+/]{22}=="`).ReplaceAllString(body, `nonce="NONCE"`)
	if !slices.Equal(got, sent) {
		t.Errorf("%s%q becomes\n%q, and not\n%q", lines, origin, got, sent)
	}
	switch {
	case inserted == "" && body != page:
		t.Errorf("%s%q: inserted is %s", lines, origin, body)
	case inserted == "":
		if o, _ := outcomeOf(r); o != outcomeCSPBlocked {
			t.Errorf("%s%q: outcome %s", lines, origin, o)
		}
	default: // " ..." stands for anything
		begin, end, _ := strings.Cut(inserted, " ...")
		if !strings.Contains(body, "</title>"+begin) || !strings.Contains(body, end) {
			t.Errorf("%s%q: %s is not in %s", lines, origin, inserted, body)
		}
	}
	if resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}
