package kapadeflector

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
)

// What users copy is tested as it stands: the README's and the docs' fenced
// blocks.

// A fence is a fenced block of a document.
type fence struct {
	where    string // file and line
	language string
	text     string
}

// documents are the README, what stands beside it, and the docs.
func documents(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob("docs/*.md")
	if err != nil || len(docs) == 0 {
		t.Fatal("no docs", err)
	}
	return append([]string{"README.md", "CHANGELOG.md", "SECURITY.md"}, docs...)
}

// blocksOf returns the fenced blocks of a document; what an indented one has in
// front of each line is taken off.
func blocksOf(t *testing.T, document string) (blocks []fence) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var open *fence
	indent := ""
	for i, line := range strings.SplitAfter(string(text), "\n") {
		before, language, isFence := strings.Cut(line, "```")
		switch {
		case isFence && strings.TrimSpace(before) == "" && open == nil:
			open = &fence{where: fmt.Sprintf("%s:%d", document, i+1), language: strings.TrimSpace(language)}
			indent = before
		case isFence && strings.TrimSpace(before) == "":
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent)
		}
	}
	if open != nil {
		t.Fatalf("%s: a block is not closed", open.where)
	}
	return blocks
}

// caddyfileBlocks are all Caddyfiles of the documents.
func caddyfileBlocks(t *testing.T) (blocks []fence) {
	for _, document := range documents(t) {
		for _, b := range blocksOf(t, document) {
			if b.language == "caddyfile" {
				blocks = append(blocks, b)
			}
		}
	}
	if len(blocks) < 20 {
		t.Fatalf("%d Caddyfiles found", len(blocks))
	}
	return blocks
}

// whole is the Caddyfile that a block stands for: one that begins with a
// consent line is meant to go into a kapa_deflector block.
func (b fence) whole() string {
	if strings.HasPrefix(b.text, "consent ") {
		return "support.acme.com {\nkapa_deflector {\npages /tickets/new\n" + requiredLines + b.text + "}\nreverse_proxy 127.0.0.1:3000\n}\n"
	}
	return b.text
}

var envPlaceholder = regexp.MustCompile(`\{env\.(\w+)\}`)

// loadDocumented runs a documented Caddyfile as it stands but for its ports:
// its sites listen on one of the loopback host, in plain HTTP, and what they
// proxy to is origin. It returns that port.
func loadDocumented(t *testing.T, text string, origin http.Handler) (port string) {
	t.Helper()
	for _, name := range envPlaceholder.FindAllStringSubmatch(text, -1) {
		t.Setenv(name[1], "00000000-0000-4000-8000-000000000000")
	}
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "formatted") { // see the test of that
			t.Errorf("warning: %s", w)
		}
	}
	backend := httptest.NewServer(origin)
	t.Cleanup(backend.Close)
	address := strings.TrimPrefix(backend.URL, "http://")
	adapted = regexp.MustCompile(`"dial":"[^"]*"`).ReplaceAll(adapted, []byte(`"dial":"`+address+`"`))

	var config map[string]any
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	port = freePort(t)
	config["admin"] = map[string]any{"disabled": true, "config": map[string]any{"persist": false}}
	apps, _ := config["apps"].(map[string]any)
	if apps == nil {
		return "" // global options alone
	}
	delete(apps, "tls")
	app := apps["http"].(map[string]any)
	delete(app, "shutdown_delay")
	servers, _ := app["servers"].(map[string]any)
	for _, server := range servers {
		server := server.(map[string]any)
		server["listen"] = []string{"127.0.0.1:" + port}
		server["automatic_https"] = map[string]any{"disable": true}
	}
	logging, _ := config["logging"].(map[string]any)
	logs, _ := logging["logs"].(map[string]any)
	if logs == nil {
		logs = map[string]any{"default": map[string]any{}}
		config["logging"] = map[string]any{"logs": logs}
	}
	for _, log := range logs {
		if log := log.(map[string]any); log["writer"] == nil {
			log["writer"] = map[string]any{"output": "discard"}
		}
	}
	loaded, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(loaded, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return port
}

// askDocumented asks for the page with the form, with the header fields
// given.
func askDocumented(t *testing.T, port string, fields map[string]string) (resp *http.Response, body string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+"/tickets/new", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "support.acme.com"
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Dest", "document")
	for name, value := range fields {
		r.Header.Set(name, value)
	}
	resp, err = http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

var pageOrigin = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, page)
})

func TestDocumentedCaddyfilesAreAsCaddyFmtWouldWriteThem(t *testing.T) {
	for _, b := range caddyfileBlocks(t) {
		if formatted := caddyfile.Format([]byte(b.text)); string(formatted) != b.text {
			t.Errorf("%s: caddy fmt makes\n%s", b.where, formatted)
		}
	}
}

func TestDocumentedCaddyfilesLoad(t *testing.T) {
	for _, b := range caddyfileBlocks(t) {
		t.Run(b.where, func(t *testing.T) {
			port := loadDocumented(t, b.whole(), pageOrigin)
			if port == "" {
				return
			}
			if resp, _ := askDocumented(t, port, nil); resp.StatusCode >= 500 {
				t.Error(resp.Status)
			}
		})
	}
}

func TestDocumentedJSONIsJSON(t *testing.T) {
	for _, document := range documents(t) {
		for _, b := range blocksOf(t, document) {
			if b.language == "json" && !json.Valid([]byte(b.text)) {
				t.Errorf("%s: not JSON", b.where)
			}
		}
	}
}

// blockWith is the one Caddyfile of a document that holds text.
func blockWith(t *testing.T, document, text string) fence {
	t.Helper()
	blocks := blocksOf(t, document)
	blocks = slices.DeleteFunc(blocks, func(b fence) bool {
		return b.language != "caddyfile" || !strings.Contains(b.text, text)
	})
	if len(blocks) != 1 {
		t.Fatalf("%s: %d Caddyfiles with %q", document, len(blocks), text)
	}
	return blocks[0]
}

// expectVerdict checks what a visitor with an id and the fields given gets from
// a documented Caddyfile, and one without an id.
func expectVerdict(t *testing.T, port string, fields map[string]string, want consent.Verdict) {
	t.Helper()
	const id = "kapa_web_id=4a0f2f9c-7d3e-4b7a-9d57-1f4a2f6f0b11"
	known := map[string]string{}
	for name, value := range fields {
		known[name] = value
	}
	known["Cookie"] = strings.TrimPrefix(known["Cookie"]+"; "+id, "; ")

	resp, body := askDocumented(t, port, fields)
	if tagged := strings.Contains(body, "kapa-support-form-deflector"); tagged != (want == consent.Granted) {
		t.Errorf("tag: %t, the visitor is %s", tagged, want)
	}
	if set := len(idLines(resp)) > 0; set != (want == consent.Granted) {
		t.Errorf("id set: %t, the visitor is %s", set, want)
	}
	if want != consent.Granted && body != page {
		t.Errorf("the page is %q", body)
	}
	resp, _ = askDocumented(t, port, known)
	lines := strings.Join(idLines(resp), "\n")
	if deleted := strings.Contains(lines, "Max-Age=0"); deleted != (want == consent.Denied) {
		t.Errorf("id deleted: %t, the visitor is %s: %s", deleted, want, lines)
	}
}

// A cookieVisit is a request with a Cookie header, and what it says.
type cookieVisit struct {
	cookie string
	want   consent.Verdict
}

// The cookies have the shapes that the platforms write, with ids of no one.
func TestTheReadmesPlatformsWorkAsWritten(t *testing.T) {
	const (
		optanon    = "OptanonConsent=isGpcEnabled=0&datestamp=Tue+Nov+24+2026+10%3A00%3A00+GMT%2B0100&version=202601.1.0&consentId=00000000-0000-4000-8000-000000000001&interactionCount=1&groups="
		alertClose = "; OptanonAlertBoxClosed=2026-11-24T09:00:00.000Z"
		cookiebot  = "CookieConsent={stamp:%27AAAAAAAAAAAAAAAAAAAAAA==%27%2Cnecessary:true%2Cpreferences:"
		bySelf     = "%2Cmethod:%27explicit%27%2Cver:1%2Cutc:1795000000000%2Cregion:%27de%27}"
		cookieyes  = "cookieyes-consent=consentid:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,"
	)
	for _, platform := range []struct {
		line   string
		visits map[string]cookieVisit
	}{
		{"consent onetrust C0002", map[string]cookieVisit{
			"all accepted":            {optanon + "C0001%3A1%2CC0002%3A1%2CC0003%3A1%2CC0004%3A1" + alertClose, consent.Granted},
			"only analytics":          {optanon + "C0001%3A1%2CC0002%3A1%2CC0003%3A0%2CC0004%3A0" + alertClose, consent.Granted},
			"all but analytics":       {optanon + "C0001%3A1%2CC0002%3A0%2CC0003%3A1%2CC0004%3A1" + alertClose, consent.Denied},
			"all refused":             {optanon + "C0001%3A1%2CC0002%3A0%2CC0003%3A0%2CC0004%3A0" + alertClose, consent.Denied},
			"defaults, no answer":     {optanon + "C0001%3A1%2CC0002%3A1%2CC0003%3A1%2CC0004%3A1", consent.Unknown},
			"no cookie of OneTrust's": {"theme=dark", consent.Unknown},
		}},
		{"consent cookiebot statistics", map[string]cookieVisit{
			"all accepted":       {cookiebot + "true%2Cstatistics:true%2Cmarketing:true" + bySelf, consent.Granted},
			"only statistics":    {cookiebot + "false%2Cstatistics:true%2Cmarketing:false" + bySelf, consent.Granted},
			"all but statistics": {cookiebot + "true%2Cstatistics:false%2Cmarketing:true" + bySelf, consent.Denied},
			"all refused":        {"CookieConsent=0", consent.Denied},
			"not asked there":    {"CookieConsent=-1", consent.Unknown},
			"implied":            {strings.Replace(cookiebot+"true%2Cstatistics:true%2Cmarketing:true"+bySelf, "explicit", "implied", 1), consent.Unknown},
			"no answer":          {"theme=dark", consent.Unknown},
		}},
		{"consent cookieyes analytics", map[string]cookieVisit{
			"all accepted":      {cookieyes + "consent:yes,action:yes,necessary:yes,functional:yes,analytics:yes,performance:yes,advertisement:yes", consent.Granted},
			"only analytics":    {cookieyes + "consent:yes,action:yes,necessary:yes,functional:no,analytics:yes,performance:no,advertisement:no", consent.Granted},
			"all but analytics": {cookieyes + "consent:yes,action:yes,necessary:yes,functional:yes,analytics:no,performance:yes,advertisement:yes", consent.Denied},
			"all refused":       {cookieyes + "consent:no,action:yes,necessary:yes,functional:no,analytics:no,performance:no,advertisement:no", consent.Denied},
			"no answer":         {cookieyes + "consent:no,action:,necessary:yes,functional:no,analytics:no,performance:no,advertisement:no", consent.Unknown},
			"not opted out":     {cookieyes + "consent:no,action:yes,necessary:yes,functional:yes,analytics:yes,performance:yes,advertisement:yes", consent.Unknown},
		}},
	} {
		t.Run(platform.line, func(t *testing.T) {
			port := loadDocumented(t, blockWith(t, "README.md", "\t\t"+platform.line+"\n").text, pageOrigin)
			for name, visit := range platform.visits {
				t.Run(name, func(t *testing.T) {
					expectVerdict(t, port, map[string]string{"Cookie": visit.cookie}, visit.want)
					if visit.want == consent.Granted {
						expectVerdict(t, port, map[string]string{"Cookie": visit.cookie, "Sec-GPC": "1"}, consent.Unknown)
					}
				})
			}
			resp, _ := askDocumented(t, port, nil)
			if vary := resp.Header.Get("Vary"); !strings.Contains(vary, "Cookie") || !strings.Contains(vary, "Sec-GPC") {
				t.Errorf("Vary is %q", vary)
			}
		})
	}
}

func TestDocumentedRulesReadWhatTheyAreFor(t *testing.T) {
	encoded := func(json string) string { return base64.StdEncoding.EncodeToString([]byte(json)) }
	const piwik = "ppms_privacy_00000000-0000-4000-8000-000000000000="
	for _, rule := range []struct {
		with   string
		visits map[string]consent.Verdict // by Cookie header
	}{
		{"consent rule CONSENTMGR", map[string]consent.Verdict{
			"CONSENTMGR=consent:true%7Cts:1795000000000%7Cc1:1%7Cc2:0": consent.Granted,
			"CONSENTMGR=consent:true%7Cts:1795000000000%7Cc1:0%7Cc2:1": consent.Denied,
			"CONSENTMGR=consent:false%7Cts:1795000000000":              consent.Denied,
			"CONSENTMGR=ts:1795000000000":                              consent.Unknown,
		}},
		{"consent rule ppms_privacy_", map[string]consent.Verdict{
			piwik + `{"visitorId":"1","consents":{"analytics":{"status":1,"updatedAt":"2026-11-24"}}}`: consent.Granted,
			piwik + `{%22visitorId%22:%221%22%2C%22consents%22:{%22analytics%22:{%22status%22:0}}}`:    consent.Denied,
			piwik + `{"visitorId":"1","consents":{"analytics":{"status":-1}}}`:                         consent.Unknown,
			"ppms_privacy_other=" + `{"visitorId":"1","consents":{"analytics":{"status":1}}}`:          consent.Unknown,
		}},
		{"consent rule fides_consent", map[string]consent.Verdict{
			"fides_consent=%7B%22consent%22%3A%7B%22analytics%22%3Atrue%7D%7D":  consent.Granted,
			"fides_consent=%7B%22consent%22%3A%7B%22analytics%22%3Afalse%7D%7D": consent.Denied,
			"fides_consent=%7B%22consent%22%3A%7B%7D%7D":                        consent.Unknown,
		}},
		{"consent rule _pandectes_gdpr", map[string]consent.Verdict{
			"_pandectes_gdpr=" + encoded(`{"status":"allow","preferences":0}`): consent.Granted,
			"_pandectes_gdpr=" + encoded(`{"status":"deny","preferences":7}`):  consent.Denied,
			"_pandectes_gdpr=" + encoded(`{"country":{"code":"DE"}}`):          consent.Unknown,
		}},
		{"consent rule accepted", map[string]consent.Verdict{
			"accepted=news%7Canalytics; asked_at=20261124": consent.Granted,
			"accepted=everything; asked_at=20261124":       consent.Granted,
			"accepted=news; asked_at=20261124":             consent.Denied,
			"accepted=news%7Canalytics":                    consent.Unknown,
		}},
		{"consent complianz statistics\nconsent cookie", map[string]consent.Verdict{
			"cmplz_banner-status=dismissed; cmplz_statistics=allow; form_assistant=yes": consent.Granted,
			"cmplz_banner-status=dismissed; cmplz_statistics=allow; form_assistant=no":  consent.Denied,
			"cmplz_banner-status=dismissed; cmplz_statistics=allow":                     consent.Unknown,
		}},
		{"consent klaro kapa {", map[string]consent.Verdict{
			"acme_consent=%7B%22kapa%22%3Atrue%7D":  consent.Granted,
			"acme_consent=%7B%22kapa%22%3Afalse%7D": consent.Denied,
			"klaro=%7B%22kapa%22%3Atrue%7D":         consent.Unknown,
		}},
		{"consent cookie kapa_consent yes", map[string]consent.Verdict{
			"kapa_consent=yes": consent.Granted,
			"kapa_consent=no":  consent.Denied,
			"theme=dark":       consent.Unknown,
		}},
	} {
		t.Run(rule.with, func(t *testing.T) {
			port := loadDocumented(t, blockWith(t, "docs/consent.md", rule.with).whole(), pageOrigin)
			for cookie, want := range rule.visits {
				t.Run(cookie, func(t *testing.T) {
					expectVerdict(t, port, map[string]string{"Cookie": cookie}, want)
				})
			}
		})
	}
}

func TestDocumentedRegionsAskForDifferentThings(t *testing.T) {
	const (
		byItself = "OptanonConsent=groups=C0001%3A1%2CC0002%3A1"
		refused  = "OptanonConsent=groups=C0001%3A1%2CC0002%3A0; OptanonAlertBoxClosed=2026-11-24T09:00:00.000Z"
		accepted = byItself + "; OptanonAlertBoxClosed=2026-11-24T09:00:00.000Z"
	)
	port := loadDocumented(t, blockWith(t, "docs/consent.md", "@opt_out").text, pageOrigin)
	for _, visit := range []struct {
		name, country, cookie string
		want                  consent.Verdict
	}{
		{"allowed by itself, no yes needed", "US", byItself, consent.Granted},
		{"the second country", "CA", byItself, consent.Granted},
		{"opted out", "US", refused, consent.Denied},
		{"allowed by itself, a yes needed", "DE", byItself, consent.Unknown},
		{"country unknown", "", byItself, consent.Unknown},
		{"said yes", "DE", accepted, consent.Granted},
		{"said no", "DE", refused, consent.Denied},
	} {
		t.Run(visit.name, func(t *testing.T) {
			fields := map[string]string{"Cookie": visit.cookie}
			if visit.country != "" {
				fields["CF-IPCountry"] = visit.country
			}
			expectVerdict(t, port, fields, visit.want)
			resp, _ := askDocumented(t, port, fields)
			for _, field := range []string{"CF-IPCountry", "Cookie", "Sec-GPC"} {
				if vary := strings.Join(resp.Header["Vary"], ", "); !strings.Contains(vary, field) {
					t.Errorf("Vary is %q", vary)
				}
			}
		})
	}
}

// platformRow is a row of the table of platforms in docs/consent.md, by the
// consent line in it.
var platformRow = regexp.MustCompile("(?m)^\\| [^|]+ \\| `consent (\\w+)( [^`]+)?`")

func TestTheDocsHaveEveryPlatform(t *testing.T) {
	text, err := os.ReadFile("docs/consent.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, match := range platformRow.FindAllSubmatch(text, -1) {
		rows = append(rows, string(match[1]))
	}
	if names := consent.PlatformNames(); !slices.Equal(rows, names) {
		t.Errorf("the table has  %v\nthe platforms are %v", rows, names)
	}

	for _, name := range consent.PlatformNames() {
		platform, _ := consent.LookUp(name)
		row := tableRow(text, "| [^|]+ | `consent "+name+"[ `]")
		switch hasDefault := strings.Contains(row, "["); {
		case platform.Category == "" && !strings.Contains(row, "`consent "+name+"`"):
			t.Errorf("%s has no category, the row says %q", name, row)
		case platform.Defaults != nil:
			if want := "`" + strings.Join(platform.Defaults, " ") + "`"; !hasDefault || !strings.Contains(row, "]`, "+want) {
				t.Errorf("%s: the row does not say that the default is %s: %q", name, want, row)
			}
		}
		cookie := strings.Fields(platform.Cookie())[0] // the others are variants of it
		cookie = strings.ReplaceAll(cookie, "{category}", strings.Join(platform.Defaults, ""))
		if row := tableRow(text, "| `"+name+"` | "); !strings.Contains(row, "| `"+cookie+"`") {
			t.Errorf("%s: the cookie is %s, the row says %q", name, cookie, row)
		}
	}
}

// tableRow is the first line of text that begins as pattern says, where |
// stands for itself.
func tableRow(text []byte, pattern string) string {
	pattern = strings.ReplaceAll(pattern, "[^|]", "[^\x00]")
	pattern = strings.ReplaceAll(pattern, "|", `\|`)
	pattern = strings.ReplaceAll(pattern, "[^\x00]", "[^|]")
	return string(regexp.MustCompile("(?m)^" + pattern + ".*$").Find(text))
}

func TestTheDocsHaveEveryPlatformThatCannotBeSeen(t *testing.T) {
	text, err := os.ReadFile("docs/consent.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, match := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| [^|]+ \\|$").FindAllSubmatch(text, -1) {
		name := string(match[1])
		if _, ok := consent.LookUp(name); ok {
			continue // a row of another table
		}
		found++
		if _, ok := consent.Unseen(name); !ok {
			t.Errorf("consent %s is not refused", name)
		}
	}
	if found != 6 {
		t.Errorf("%d platforms found, want 6", found)
	}
}

func TestDocumentedWordsAreThoseOfTheRules(t *testing.T) {
	text, err := os.ReadFile("docs/consent.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, decode := range []string{"percent", "form <field>", "base64", "from <text>", "gpp", "list [<separators>]", "pairs <outer> <inner>", "json", "tcf"} {
		if tableRow(text, "| `decode "+regexp.QuoteMeta(decode)+"` |") == "" {
			t.Errorf("no row for decode %s", decode)
		}
	}
	for _, line := range [][2]string{
		{"", "equals a b"}, {"list", "has a b"}, {"pairs , :", "pair a"}, {"pairs , :", "pair a b"},
		{"json", "json a equals b"}, {"json", "json a contains b"}, {"json", "json a non_empty"}, {"json", "json a exists"}, {"json", "json a missing"},
		{"tcf", "purposes 1 8"}, {"tcf", "publisher_purposes 1 8"}, {"", "cookie a"}, {"", "cookie a b or equals c"},
	} {
		rule := ConsentRule{Kind: "rule", Cookie: "c", Granted: [][]string{strings.Fields(line[1])}}
		if line[0] != "" {
			rule.Decode = [][]string{strings.Fields(line[0])}
		}
		if _, err := rule.compile(); err != nil {
			t.Error(err)
		}
		if test, _, _ := strings.Cut(line[1], " "); !bytes.Contains(text, []byte("\n| `"+test+" ")) {
			t.Errorf("no row for %s", test)
		}
	}
}

// The log examples of docs/privacy.md, with the logs written to a file.
func TestDocumentedLogsHoldNoVisitor(t *testing.T) {
	for _, example := range []string{"request>headers>Sec-Gpc delete", "log_credentials"} {
		t.Run(example, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			b := blockWith(t, "docs/privacy.md", example)
			port := loadDocumented(t, strings.ReplaceAll(b.text, "log {\n", "log {\noutput file "+file+"\n"),
				http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret"})
					pageOrigin(w, r)
				}))
			fields := map[string]string{"Cookie": "theme=shown; kapa_web_id=secret; OptanonConsent=secret"}
			if example != "log_credentials" {
				fields["X-User-Id"], fields["X-User-Email"], fields["Sec-GPC"] = "secret", "secret", "1"
			}
			askDocumented(t, port, fields)
			if err := caddy.Stop(); err != nil { // all is written then
				t.Fatal(err)
			}
			logged, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(logged, []byte(`"uri":"/tickets/new"`)) || bytes.Contains(logged, []byte("theme=shown")) != (example == "log_credentials") {
				t.Errorf("the log is not the one expected: %s", logged)
			}
			if bytes.Contains(logged, []byte("secret")) || bytes.Contains(logged, []byte("Sec-Gpc")) {
				t.Errorf("the log says who it was: %s", logged)
			}
		})
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]*))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// anchors are the names by which a document's headings are linked to, as
// GitHub makes them.
func anchors(text []byte) (names []string) {
	for _, h := range heading.FindAllSubmatch(text, -1) {
		name := strings.ReplaceAll(strings.ToLower(string(h[1])), " ", "-")
		names = append(names, regexp.MustCompile(`[^\w-]`).ReplaceAllString(name, ""))
	}
	return names
}

func TestDocumentedLinksLeadSomewhere(t *testing.T) {
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range link.FindAllSubmatch(text, -1) {
			path, anchor := string(l[1]), string(l[2])
			if strings.Contains(path, ":") {
				continue // elsewhere
			}
			target := cmp.Or(path, filepath.Base(document))
			there, err := os.ReadFile(filepath.Join(filepath.Dir(document), target))
			if err != nil {
				t.Errorf("%s: %v", document, err)
			} else if anchor != "" && !slices.Contains(anchors(there), anchor) {
				t.Errorf("%s: %s has no heading for #%s", document, target, anchor)
			}
		}
	}
}

// The index has every page.
func TestTheIndexHasEveryDocument(t *testing.T) {
	const index = "docs/README.md"
	text, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range documents(t) {
		path, err := filepath.Rel(filepath.Dir(index), document)
		if err != nil {
			t.Fatal(err)
		}
		if row := "](" + filepath.ToSlash(path) + ") | "; document != index && !strings.Contains(string(text), row) {
			t.Errorf("no row for %s", document)
		}
	}
}

// The example in JSON is valid, has every setting of the handler, and is what
// Caddy makes of the Caddyfile beside it.
func TestTheExampleInJSON(t *testing.T) {
	t.Setenv("KAPA_INTEGRATION_ID", "abc")
	example, err := os.ReadFile("examples/kapa_deflector.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(quietConfig(t, example)); err != nil {
		t.Error(err)
	}
	source, err := os.ReadFile("examples/kapa_deflector.caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(source, nil)
	if err != nil || warnings != nil {
		t.Fatal(err, warnings)
	}
	var handlers []map[string]any
	read := func(raw []byte) string {
		var config any
		if err := json.Unmarshal(raw, &config); err != nil {
			t.Fatal(err)
		}
		handlers = append(handlers, rewriteHandler(t, config))
		rewritten, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		return string(rewritten)
	}
	if got, want := read(example), read(adapted); !equalJSON(t, got, want) {
		t.Errorf("the example is\n%s\nthe Caddyfile makes\n%s", got, want)
	}
	for field := range reflect.TypeFor[Handler]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if _, ok := handlers[0][name]; !ok && field.IsExported() {
			t.Errorf("the example has no %s", name)
		}
	}
}

// rewriteHandler writes the one handler of ours within v as Go does, so that a
// duration is the same in words and in numbers, and returns it.
func rewriteHandler(t *testing.T, v any) (found map[string]any) {
	t.Helper()
	var members []any
	switch v := v.(type) {
	case []any:
		members = v
	case map[string]any:
		if v["handler"] == "kapa_deflector" {
			raw, _ := json.Marshal(v)
			var h Handler
			if err := json.Unmarshal(raw, &h); err != nil {
				t.Fatal(err)
			}
			raw, _ = json.Marshal(&h)
			if err := json.Unmarshal(raw, &v); err != nil { // over what is there
				t.Fatal(err)
			}
			return v
		}
		members = slices.Collect(maps.Values(v))
	}
	for _, member := range members {
		if h := rewriteHandler(t, member); h != nil {
			found = h
		}
	}
	return found
}

// A pattern that no test has passes as well as one that all have.
func TestDocumentedTestsAndBenchmarksExist(t *testing.T) {
	command := regexp.MustCompile(`go (?:-C (\w+) )?test (?:(\./\S+|\.) )?-run (\w+)(?: -bench (\w+))?`)
	found := 0
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range command.FindAllStringSubmatch(string(text), -1) {
			found++
			function := `Test\w*` + strings.TrimPrefix(c[3], "Test")
			if c[4] != "" {
				function = `Benchmark\w*` + c[4]
			}
			files, err := filepath.Glob(filepath.Join(c[1], c[2], "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(files, func(file string) bool {
				text, err := os.ReadFile(file)
				return err == nil && regexp.MustCompile(`(?m)^func `+function).Match(text)
			}) {
				t.Errorf("%s: %s: there is no %s", document, c[0], function)
			}
		}
	}
	if found < 7 {
		t.Errorf("%d commands", found)
	}
}
