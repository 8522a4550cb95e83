package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
)

// expectVerdict checks what a visitor with these cookies gets from a documented
// Caddyfile, and the same visitor with an id.
func expectVerdict(t *testing.T, s *server, cookies string, want consent.Verdict, fields ...string) {
	t.Helper()
	const id = "kapa_web_id=4a0f2f9c-7d3e-4b7a-9d57-1f4a2f6f0b11"

	resp, body := s.get("/tickets/new", append(fields, "Cookie: "+cookies)...)
	if tagged := isTagged(body); tagged != (want == consent.Granted) {
		t.Errorf("tag: %t, the visitor is %s", tagged, want)
	}
	if set := len(idLines(resp)) > 0; set != (want == consent.Granted) {
		t.Errorf("id set: %t, the visitor is %s", set, want)
	}
	if want != consent.Granted && body != page {
		t.Errorf("the page is %q", body)
	}
	resp, _ = s.get("/tickets/new", append(fields, "Cookie: "+cookies+"; "+id)...)
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
func TestTheReadmesPlatformsAreReadAsDocumented(t *testing.T) {
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
			if !strings.Contains(read(t, readme), "`"+platform.line+"`") {
				t.Error("the README does not have it")
			}
			s := start(t, whole(t, platform.line+"\n"), pageOrigin)
			for name, visit := range platform.visits {
				t.Run(name, func(t *testing.T) {
					expectVerdict(t, s, visit.cookie, visit.want)
					if visit.want == consent.Granted {
						expectVerdict(t, s, visit.cookie, consent.Unknown, "Sec-GPC: 1")
					}
				})
			}
			resp, _ := s.get("/tickets/new")
			if vary := resp.Header.Get("Vary"); !strings.Contains(vary, "Cookie") || !strings.Contains(vary, "Sec-GPC") {
				t.Errorf("Vary is %q", vary)
			}
		})
	}
}

func TestDocumentedRulesReadWhatTheyAreFor(t *testing.T) {
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
			s := start(t, whole(t, blockWith(t, "consent.md", rule.with).text), pageOrigin)
			for cookie, want := range rule.visits {
				t.Run(cookie, func(t *testing.T) {
					expectVerdict(t, s, cookie, want)
				})
			}
		})
	}
}

// The words that a plain cookie may not hold are those of the list in
// consent.md.
func TestDocumentedWordsOfAPlainCookie(t *testing.T) {
	s := start(t, whole(t, "consent cookie cookie_consent\n"), pageOrigin)
	expectVerdict(t, s, "cookie_consent=Accepted", consent.Granted)
	for begin, want := range map[string]consent.Verdict{"- Words that mean no": consent.Denied, "- Words that mean \"not yet\"": consent.Unknown} {
		_, line, _ := strings.Cut(read(t, "consent.md"), begin)
		line, _, _ = strings.Cut(line, "...")
		words := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1)
		if len(words) < 3 {
			t.Errorf("%q: only %q", begin, words)
		}
		for _, word := range words {
			expectVerdict(t, s, "cookie_consent="+strings.ToUpper(word[1]), want)
		}
	}
}

func TestDocumentedRegionsAskForDifferentThings(t *testing.T) {
	const (
		byItself = "OptanonConsent=groups=C0001%3A1%2CC0002%3A1"
		refused  = "OptanonConsent=groups=C0001%3A1%2CC0002%3A0; OptanonAlertBoxClosed=2026-11-24T09:00:00.000Z"
		accepted = byItself + "; OptanonAlertBoxClosed=2026-11-24T09:00:00.000Z"
	)
	s := start(t, blockWith(t, "consent.md", "@opt_out").text, pageOrigin)
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
			var fields []string
			if visit.country != "" {
				fields = []string{"CF-IPCountry: " + visit.country}
			}
			expectVerdict(t, s, visit.cookie, visit.want, fields...)
			resp, _ := s.get("/tickets/new", append(fields, "Cookie: "+visit.cookie)...)
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
	text := read(t, "consent.md")
	var rows []string
	for _, match := range platformRow.FindAllStringSubmatch(text, -1) {
		rows = append(rows, match[1])
	}
	if names := slices.Concat(consent.PlatformNames(), consent.PagePlatformNames()); !slices.Equal(rows, names) {
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
		if attr := platform.Exempt; attr.Name != "" {
			written := attr.Name + `="` + attr.Value + `"`
			if attr.Value == "" {
				written = attr.Name
			}
			if tableRow(text, "| `"+name+"` | `"+written+"` |") == "" {
				t.Errorf("%s: no row says that its tag has %s", name, written)
			}
		}
	}
}

func TestTheDocsHaveEveryPlatformThatOnlyThePageSees(t *testing.T) {
	text := read(t, "consent.md")
	for _, name := range consent.PagePlatformNames() {
		category, _ := consent.SeenByPage(name)
		row := tableRow(text, "| [^|]+ | `consent "+name+"[ `]")
		if strings.Contains(row, "]`, `"+category+"`, and") != (category != "") || !strings.Contains(row, "`loader`") {
			t.Errorf("%s: the row does not say that the default is %q: %q", name, category, row)
		}
		if tableRow(text, "| `"+name+"` | [^|]+ | [^|]+ | [^|]+ |") == "" {
			t.Errorf("%s: no row says what is asked", name)
		}
		attr := consent.ExemptionFrom(name)
		if attr.Name != "" && tableRow(text, "| `"+name+"` | `"+attr.Name+`="`+attr.Value+"\"` |") == "" {
			t.Errorf("%s: no row says that its tag has %s", name, attr.Name)
		}
	}
}

// tableRow is the first line of text that begins as pattern says, where |
// stands for itself.
func tableRow(text, pattern string) string {
	pattern = strings.ReplaceAll(pattern, "[^|]", "[^\x00]")
	pattern = strings.ReplaceAll(pattern, "|", `\|`)
	pattern = strings.ReplaceAll(pattern, "[^\x00]", "[^|]")
	return regexp.MustCompile("(?m)^" + pattern + ".*$").FindString(text)
}

func TestTheDocsHaveEveryPlatformThatCannotBeSeen(t *testing.T) {
	text := read(t, "consent.md")
	found := 0
	for _, match := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| [^|]+ \\|$").FindAllStringSubmatch(text, -1) {
		name := match[1]
		if _, ok := consent.LookUp(name); ok {
			continue // a row of another table
		}
		found++
		if _, ok := consent.Unseen(name); !ok {
			t.Errorf("consent %s is not refused", name)
		}
		if _, ok := consent.SeenByPage(name); ok {
			t.Errorf("consent %s works with loader", name)
		}
	}
	if found != 2 {
		t.Errorf("%d platforms found, want 2", found)
	}
}

func TestDocumentedWordsAreThoseOfTheRules(t *testing.T) {
	text := read(t, "consent.md")
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
		rule := "consent rule c {\ngranted " + line[1] + "\n"
		if line[0] != "" {
			rule += "decode " + line[0] + "\n"
		}
		if _, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(whole(t, rule+"}\n")), nil); err != nil {
			t.Error(err)
		}
		if test, _, _ := strings.Cut(line[1], " "); !strings.Contains(text, "\n| `"+test+" ") {
			t.Errorf("no row for %s", test)
		}
	}
}
