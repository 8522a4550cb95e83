package docs_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The examples of csp.md are what the plugin does: lines that begin with "-"
// are the origin's, lines with "+" are what a visitor gets, the others are both.
func TestDocumentedPolicies(t *testing.T) {
	text := read(t, "csp.md")
	heading := regexp.MustCompile("(?m)^## (?:`csp (\\w+)`|What may)")
	example := regexp.MustCompile("(?ms)^```diff\n(.*?)^```$")

	byMode := make(map[string][]policyExample) // lines of the block
	sections := heading.FindAllStringSubmatchIndex(text, -1)
	found := 0
	for _, at := range example.FindAllStringSubmatchIndex(text, -1) {
		found++
		lines := "csp extend\n"
		for _, s := range sections {
			if s[0] > at[0] {
				break
			}
			if lines = "csp extend\nuser {\nemail a@b.com\n}\n"; s[2] >= 0 { // else it is about user
				lines = "csp " + text[s[2]:s[3]] + "\n"
			}
		}
		byMode[lines] = append(byMode[lines], readPolicyExample(t, text[at[2]:at[3]]))
	}
	if found < 12 || len(byMode) != 3 {
		t.Errorf("%d examples in %d modes", found, len(byMode))
	}
	for lines, examples := range byMode {
		t.Run(strings.Fields(lines)[1]+strings.Repeat("+user", strings.Count(lines, "user")), func(t *testing.T) { checkPolicies(t, lines, examples) })
	}
}

const (
	cspField       = "Content-Security-Policy"
	cspReportField = "Content-Security-Policy-Report-Only"

	bundle = "https://widget.kapa.ai/kapa-support-form-deflector.bundle.js"
)

type policyExample struct {
	origin, sent http.Header
	inserted     string // where " ..." stands for anything; "" for nothing
}

func readPolicyExample(t *testing.T, text string) policyExample {
	t.Helper()
	e := policyExample{origin: make(http.Header), sent: make(http.Header)}
	for line := range strings.Lines(text) {
		sign, line := line[0], strings.TrimSuffix(line[2:], "\n")
		if strings.HasPrefix(line, "<script") {
			e.inserted = line
			continue
		}
		field, policy, _ := strings.Cut(line, ": ")
		if field != cspField && field != cspReportField {
			t.Fatalf("%q is not a line of a policy", line)
		}
		if sign != '+' {
			e.origin.Add(field, policy)
		}
		if sign != '-' {
			e.sent.Add(field, policy)
		}
	}
	return e
}

var (
	nonceSource = regexp.MustCompile(`'nonce-[A-Za-z0-9+/]{22}=='`)
	hashSource  = regexp.MustCompile(`'sha256-[^']*'`)
	nonceValue  = regexp.MustCompile(`nonce="[A-Za-z0-9+/]{22}=="`)
)

func checkPolicies(t *testing.T, lines string, examples []policyExample) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "log")
	sum := sha256.Sum256([]byte(bundle))
	urlHash := "'url-sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	var policies http.Header // the origin's; one request is under way at a time
	s := start(t, whole(t, "log {\noutput file "+file+"\n}\nlog_append kapa {http.kapa_deflector.outcome}\nkapa_deflector {\n"+yourLines+"\n"+lines+"}\n"),
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for field, values := range policies {
				w.Header()[field] = values
			}
			pageOrigin(w, r)
		}))
	for i, e := range examples {
		policies = e.origin
		resp, body := s.get(fmt.Sprintf("/tickets/new?%d.", i), "Cookie: "+granted)
		for _, field := range []string{cspField, cspReportField} {
			got := resp.Header[field]
			for j, policy := range got { // what differs in each answer, or is for nobody to read
				policy = strings.ReplaceAll(policy, urlHash, "'url-sha256-URLHASH'")
				policy = nonceSource.ReplaceAllString(policy, "'nonce-NONCE'")
				if strings.HasPrefix(e.inserted, "<script>(") {
					policy = hashSource.ReplaceAllString(policy, "'sha256-HASH'")
				}
				got[j] = policy
			}
			if want := e.sent[field]; !slices.Equal(got, want) {
				t.Errorf("%q becomes\n%q, and not\n%q", e.origin, got, want)
			}
		}
		body = nonceValue.ReplaceAllString(body, `nonce="NONCE"`)
		begin, end, _ := strings.Cut(e.inserted, " ...")
		if e.inserted == "" && body != page || !strings.Contains(body, "</title>"+begin) || !strings.Contains(body, end) {
			t.Errorf("%q: %q is not in %s", e.origin, e.inserted, body)
		}
		if resp.StatusCode != http.StatusOK {
			t.Error(resp.Status)
		}
	}
	s.stop()
	logged, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range examples {
		want := "injected"
		if e.inserted == "" {
			want = "csp_blocked"
		}
		line := regexp.MustCompile(fmt.Sprintf(`(?m)^.*"/tickets/new\?%d\.".*$`, i)).FindString(string(logged))
		if !strings.Contains(line, `"kapa":"`+want+`"`) {
			t.Errorf("%q: the outcome is not %s: %s", e.origin, want, line)
		}
	}
}
