package consent

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// A golden is one state of a visitor, as a platform's cookies show it. The files
// in testdata/platforms hold one in each paragraph, in lines of
//
//	state       what the visitor has done, or what is wrong
//	from        where the cookie's shape comes from
//	none        why the platform has no such state; nothing else follows
//	categories  the platform's default if left out; - for none
//	cookie      the platform's default if left out
//	header      one line of the Cookie header
//	holds       the JSON that base64 in it holds, for the reader
//	want        verdict and reason
//
// A line categories before the first state holds for all states without one.
type golden struct {
	state, from, none, cookie, want string
	categories, header, holds       []string
}

func goldensOf(t testing.TB, platform string) (goldens []golden) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "platforms", platform+".golden"))
	if err != nil {
		t.Fatal(err)
	}
	var usual []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("%s: %q is no line of a golden", platform, line)
		}
		switch {
		case name == "state":
			goldens = append(goldens, golden{state: value, categories: usual})
			continue
		case name == "categories" && len(goldens) == 0:
			usual = strings.Fields(value)
			continue
		}
		g := &goldens[len(goldens)-1]
		switch name {
		case "from":
			g.from = value
		case "none":
			g.none = value
		case "categories":
			if g.categories = strings.Fields(value); value == "-" {
				g.categories = nil
			}
		case "cookie":
			g.cookie = value
		case "header":
			g.header = append(g.header, value)
		case "holds":
			g.holds = append(g.holds, value)
		case "want":
			g.want = value
		default:
			t.Fatalf("%s: unknown line %q", platform, line)
		}
	}
	return goldens
}

// states are what every platform's file has to speak of.
var states = []string{
	"never answered",
	"accepted all",
	"accepted analytics only",
	"accepted everything but analytics",
	"refused all",
	"withdrawn",
	"malformed",
	"copies that disagree",
	"older format",
}

func TestPlatforms(t *testing.T) {
	for _, name := range PlatformNames() {
		t.Run(name, func(t *testing.T) {
			platform, _ := LookUp(name)
			goldens := goldensOf(t, name)
			for _, state := range states {
				if !slices.ContainsFunc(goldens, func(g golden) bool { return g.state == state }) {
					t.Errorf("no row says what is found of a visitor who is in the state %q", state)
				}
			}
			for _, g := range goldens {
				if g.none == "" {
					t.Run(g.state, func(t *testing.T) { g.check(t, platform) })
				}
			}
		})
	}
}

func (g golden) check(t *testing.T, platform Platform) {
	rules, err := platform.Compile(g.cookie, g.categories)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Join(g.header, "; ")
	for what, header := range map[string][]string{
		"as it stands":         g.header,
		"among others":         {"_ga=GA1.1.1104500000.1764000000; " + line + "; theme=dark"},
		"without white space":  {strings.ReplaceAll(line, "; ", ";")},
		"a line for each pair": strings.Split(line, "; "),
	} {
		if got := findingText(Find(rules, header)); got != g.want {
			t.Errorf("%s: got %s, want %s", what, got, g.want)
		}
	}
	for _, holds := range g.holds {
		held := base64.StdEncoding.EncodeToString([]byte(holds))
		if raw, err := url.PathUnescape(line); err != nil || !strings.Contains(raw, strings.TrimRight(held, "=")) {
			t.Errorf("the header does not hold %s", holds)
		}
	}
	if g.state == "accepted all" {
		checkOversized(t, platform, rules, g.header)
	}
}

// checkOversized reads a yes of the greatest length for values, if the platform
// could write one, and a longer yes.
func checkOversized(t *testing.T, platform Platform, rules []Rule, header []string) {
	t.Helper()
	var pairs []string
	for c := NewCookies(header); ; {
		name, value, ok := c.Next()
		if !ok {
			break
		}
		if found, ok := PlatformOf(name); ok && found.Name == platform.Name {
			value += strings.Repeat("A", maxValue+1-len(value))
		}
		pairs = append(pairs, name+"="+value)
	}
	if got := Find(rules, []string{strings.Join(pairs, "; ")}); got != malformed {
		t.Errorf("over %d bytes: got %s", maxValue, findingText(got))
	}
}

func findingText(f Finding) string {
	return strings.TrimSpace(f.Verdict.String() + " " + f.Reason.String())
}

func TestEveryGoldenHasAPlatformAndSaysWhatItShould(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "platforms", "*"))
	if err != nil || len(files) != len(PlatformNames()) {
		t.Errorf("%d files for %d platforms, %v", len(files), len(PlatformNames()), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".golden")
		if _, ok := LookUp(name); !ok {
			t.Errorf("%s: there is no such platform", file)
			continue
		}
		seen := make(map[string]bool)
		for _, g := range goldensOf(t, name) {
			switch {
			case seen[g.state]:
				t.Errorf("%s: two rows for %q", name, g.state)
			case g.none == "" && (len(g.header) == 0 || g.want == ""):
				t.Errorf("%s: %q has no header or no finding", name, g.state)
			case g.none == "" && slices.Contains(states, g.state) && g.from == "":
				t.Errorf("%s: %q does not say where its shape comes from", name, g.state)
			}
			seen[g.state] = true
		}
	}
}

// On every platform only an explicit yes is a yes: the required states show it.
func TestOnlyAYesIsGranted(t *testing.T) {
	for _, name := range PlatformNames() {
		for _, g := range goldensOf(t, name) {
			want := map[string]string{
				"accepted all":                      "granted",
				"accepted analytics only":           "granted",
				"accepted everything but analytics": "denied",
				"refused all":                       "denied",
				"never answered":                    "unknown",
				"copies that disagree":              "unknown conflict",
			}[g.state]
			if g.none == "" && !strings.HasPrefix(g.want, want) {
				t.Errorf("%s: %s: %s", name, g.state, g.want)
			}
		}
	}
}

// What is in cookies that only look like a platform's is no answer: their names are
// compared exactly.
func TestLookAlikes(t *testing.T) {
	swapCase := func(c rune) rune {
		if unicode.IsUpper(c) {
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}
	for what, rename := range map[string]func(name string) string{
		"something in front": func(name string) string { return "x" + name },
		"something behind":   func(name string) string { return name + "~" },
		"another case":       func(name string) string { return strings.Map(swapCase, name) },
	} {
		forEachYes(t, func(_ Platform, name, value string) (string, string) {
			return rename(name), value
		}, func(t *testing.T, rules []Rule, header string) {
			if got := Find(rules, []string{header}); got.Verdict != Unknown {
				t.Errorf("%s: %s: got %s", what, header, findingText(got))
			}
		})
	}
}

// A platform's cookie that holds what the platform never writes is no yes.
func TestGarbage(t *testing.T) {
	for _, garbage := range []string{
		"maybe", "TRUE", "%", "%7B%7D", "{}", "[]", "null", `""`, ":", "|", ",,", "true:true", "{", `{"a":1}`, `{"a":true}`, `[true]`,
		"\xff", "\x00", "undefined", "[object Object]", "9999999999999999999999", "{true}", "%2525", "=1", "1=1", "eyJhIjp0cnVlfQ", "__",
	} {
		forEachYes(t, func(platform Platform, name, value string) (string, string) {
			if answers := platform.cookies()[0]; answers.matches(name) {
				return name, garbage
			}
			return name, value
		}, func(t *testing.T, rules []Rule, header string) {
			if got := Find(rules, []string{header}); got.Verdict == Granted {
				t.Errorf("%q is a yes", header)
			}
		})
	}
}

// forEachYes takes each platform's cookies of a visitor who accepted everything,
// changes them, and checks the header that comes out.
func forEachYes(t *testing.T, change func(platform Platform, name, value string) (string, string), check func(t *testing.T, rules []Rule, header string)) {
	for _, platformName := range PlatformNames() {
		platform, _ := LookUp(platformName)
		goldens := goldensOf(t, platformName)
		yes := goldens[slices.IndexFunc(goldens, func(g golden) bool { return g.state == "accepted all" })]
		rules, err := platform.Compile(yes.cookie, yes.categories)
		if err != nil {
			t.Fatal(err)
		}
		var pairs []string
		for c := NewCookies(yes.header); ; {
			name, value, ok := c.Next()
			if !ok {
				break
			}
			name, value = change(platform, name, value)
			pairs = append(pairs, name+"="+value)
		}
		t.Run(platformName, func(t *testing.T) { check(t, rules, strings.Join(pairs, "; ")) })
	}
}

// Exemptions are attributes that HTML takes, and that hold no placeholder.
func TestExemptions(t *testing.T) {
	var exempt []string
	for _, p := range platforms {
		if p.Exempt == (Attribute{}) {
			continue
		}
		exempt = append(exempt, p.Name)
		if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(p.Exempt.Name) || strings.ContainsAny(p.Exempt.Value, `{}"<>&`) {
			t.Errorf("%s: %v", p.Name, p.Exempt)
		}
	}
	if got, want := strings.Join(exempt, " "), "onetrust cookiebot iubenda real_cookie_banner consentmanager hu_compliance"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCategoriesOfPlatforms(t *testing.T) {
	many := make([]string, MaxCategories+1)
	for i := range many {
		many[i] = fmt.Sprint("c", i)
	}
	for _, tc := range []struct {
		name, platform, cookie string
		categories             []string
		want                   string // part of the error; "" for none
	}{
		{"the default", "onetrust", "", nil, ""},
		{"none, where there is no default", "klaro", "", nil, "klaro needs a category, since each site makes its own: the name of a service, such as kapa"},
		{"none, where none is needed", "drupal_eucc", "", nil, ""},
		{"one, where there are none", "insites", "", []string{"x"}, "insites has no categories: its cookie says yes or no to all"},
		{"as many as there may be", "klaro", "", many[1:], ""},
		{"more", "klaro", "", many, "klaro: 17 categories: must be at most 16"},
		{"empty", "klaro", "", []string{""}, `klaro category "": it is empty, a word of its own or given twice`},
		{"a word of its own", "klaro", "", []string{"or"}, `klaro category "or": it is empty, a word of its own or given twice`},
		{"twice", "klaro", "", []string{"a", "a"}, `klaro category "a": it is empty, a word of its own or given twice`},
		{"any", "klaro", "", []string{"*"}, `klaro category "*": no * and no braces, a category is named in full`},
		{"a mark", "klaro", "", []string{"{cookie}"}, `klaro category "{cookie}": no * and no braces, a category is named in full`},
		{"white space, within a value", "axeptio", "", []string{"Facebook Conversion Tracking"}, ""},
		{"white space, within a cookie's name", "complianz", "", []string{"a b"}, `complianz category "a b": it stands in a cookie's name, which has no white space`},
		{"what no cookie's name has", "complianz", "", []string{"a=b"}, `complianz a=b: cookie name "cmplz_a=b": a cookie's name has no white space, = or ;`},
		{"white space, within the name of another cookie", "shopware", "", []string{"a b"}, `shopware category "a b": it stands in a cookie's name, which has no white space`},
		{"a purpose out of range", "tcf", "", []string{"25"}, "tcf 25: granted purposes 25: write purposes <number from 1 to 24>..."},
		{"a cookie of one's own", "complianz", "acme_statistics", nil, ""},
		{"a cookie of one's own for two", "complianz", "acme", []string{"a", "b"}, "complianz keeps each category in a cookie of its own: write {category} where the category stands in the name"},
		{"cookies of one's own for two", "complianz", "acme_{category}", []string{"a", "b"}, ""},
		{"a bad name", "klaro", "a;b", []string{"a"}, `klaro a: cookie name "a;b": a cookie's name has no white space, = or ;`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			platform, ok := LookUp(tc.platform)
			if !ok {
				t.Fatal("no such platform")
			}
			rules, err := platform.Compile(tc.cookie, tc.categories)
			switch {
			case tc.want == "" && (err != nil || len(rules) == 0):
				t.Errorf("got %v, %v", rules, err)
			case tc.want != "" && (err == nil || err.Error() != tc.want):
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// A category is only a name, whatever it contains.
func TestCategoriesAreTakenLiterally(t *testing.T) {
	for _, category := range []string{"kapa.ai", `a\.b`, ".", `\`, "json", "equals", "not", "a b", "$$x", "é", "%41", `"`, "C&A"} {
		klaro, _ := LookUp("klaro")
		rules, err := klaro.Compile("", []string{category})
		if err != nil {
			t.Errorf("%q: %v", category, err)
			continue
		}
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(category)
		for value, want := range map[string]Finding{
			`{"` + quoted + `":true}`:      granted,
			`{"` + quoted + `":false}`:     refused,
			`{"x":{"` + quoted + `":true}`: malformed,
			`{"other":true}`:               unanswered,
		} {
			if got := Find(rules, []string{"klaro=" + url.PathEscape(value)}); got != want {
				t.Errorf("%q in %s: got %v, want %v", category, value, got, want)
			}
		}
	}
}

func TestSeveralCategoriesAskForAll(t *testing.T) {
	klaro, _ := LookUp("klaro")
	rules, err := klaro.Compile("", []string{"a", "b", "c"})
	if err != nil || len(rules) != 1 {
		t.Fatalf("%d rules, %v: one decodes the cookie for all categories", len(rules), err)
	}
	for value, want := range map[string]Finding{
		`{"a":true,"b":true,"c":true}`:  granted,
		`{"a":true,"b":true}`:           unanswered,
		`{"a":true,"b":true,"c":false}`: refused,
		`{"a":true,"c":false}`:          refused,
		`{}`:                            unanswered,
	} {
		if got := Find(rules, []string{"klaro=" + value}); got != want {
			t.Errorf("%s: got %v, want %v", value, got, want)
		}
	}
}

func TestPlatformOf(t *testing.T) {
	for cookie, want := range map[string]string{
		"OptanonConsent":                             "onetrust",
		"OptanonAlertBoxClosed":                      "onetrust",
		"CookieConsent":                              "cookiebot",
		"cookieyes-consent":                          "cookieyes",
		"cky-consent":                                "cookieyes",
		"didomi_token":                               "didomi",
		"_iub_cs-12345678":                           "iubenda",
		"_iub_cs-s12345678":                          "iubenda",
		"_iub_cs-12345678-granular":                  "iubenda",
		"cookieconsent_status":                       "insites",
		"cmapi_cookie_privacy":                       "trustarc",
		"notice_gdpr_prefs":                          "trustarc",
		"notice_behavior":                            "trustarc",
		"cmplz_statistics":                           "complianz",
		"cmplz_rt_marketing":                         "complianz",
		"cmplz_banner-status":                        "complianz",
		"wp_consent_statistics":                      "wp_consent_api",
		"wp_consent_statistics-anonymous":            "wp_consent_api",
		"real_cookie_banner-v:3_blog:1_path:abc1234": "real_cookie_banner",
		"real_cookie_banner-v:3_blog:1_path:abc1234-lang:de": "real_cookie_banner",
		"real_cookie_banner-v:3_blog:1_path:abc1234-tcf":     "real_cookie_banner",
		"borlabs-cookie":                       "borlabs",
		"viewed_cookie_policy":                 "cookie_law_info",
		"cookielawinfo-checkbox-analytics":     "cookie_law_info",
		"cookielawinfo-checkbox-non-necessary": "cookie_law_info",
		"CookieLawInfoConsent":                 "cookie_law_info",
		"moove_gdpr_popup":                     "moove",
		"klaro":                                "klaro",
		"cc_cookie":                            "orestbida",
		"tarteaucitron":                        "tarteaucitron",
		"CookieControl":                        "civic",
		"axeptio_cookies":                      "axeptio",
		"axeptio_authorized_vendors":           "axeptio",
		"CookieScriptConsent":                  "cookie_script",
		"cookiefirst-consent":                  "cookiefirst",
		"CookieInformationConsent":             "cookie_information",
		"__cmpcpcx12345":                       "consentmanager",
		"__cmpcpc":                             "consentmanager",
		"__cmpconsentx12345":                   "consentmanager",
		"_swb_consent_":                        "ketch",
		"_ketch_consent_v1_":                   "ketch",
		"tcm":                                  "transcend",
		"__hs_cookie_cat_pref":                 "hubspot",
		"__hs_opt_out":                         "hubspot",
		"cookie-agreed":                        "drupal_eucc",
		"cookie-agreed-categories":             "drupal_eucc",
		"cookie_notice_accepted":               "cookie_notice",
		"hu-consent":                           "hu_compliance",
		"wpconsent_preferences":                "wpconsent",
		"c15t":                                 "c15t",
		"fs-consent":                           "consent_pro",
		"datagrail_consent_preferences_s":      "datagrail",
		"tracking-preferences":                 "segment",
		"__gitbook_cookie_granted":             "gitbook",
		"website_cookies_bar":                  "odoo",
		"CONSENT_TYPE_PERFORMANCE":             "liferay",
		"USER_CONSENT_CONFIGURED":              "liferay",
		".AspNet.Consent":                      "aspnet",
		"cookie_optin":                         "typo3_sg",
		"cookieadmin_consent":                  "cookieadmin",
		"wpl_user_preference":                  "wplp",
		"wpl_viewed_cookie":                    "wplp",
		"cookie-preference":                    "shopware",
		"user_allowed_save_cookie":             "magento",
		"euconsent-v2":                         "tcf",
		"__gpp":                                "gpp",
		"IABGPP_HDR_GppString":                 "gpp",
		"":                                     "",
		"cookie_consent":                       "",
		"fs-cc":                                "",
		"kapa-enabled":                         "",
		"CookieConsentPolicy":                  "",
		"optanonconsent":                       "",
		"klaro2":                               "",
		"_iub_cs":                              "",
		"xcmplz_statistics":                    "",
		"osano_consentmanager":                 "",
		"real_cookie_banner":                   "",
	} {
		platform, ok := PlatformOf(cookie)
		if ok != (want != "") || platform.Name != want {
			t.Errorf("%q: got %q, %v, want %q", cookie, platform.Name, ok, want)
		}
	}
	// no cookie of a platform's goldens is taken for another platform's
	for _, name := range PlatformNames() {
		for _, g := range goldensOf(t, name) {
			if g.cookie != "" {
				continue
			}
			for c := NewCookies(g.header); ; {
				cookie, _, ok := c.Next()
				if !ok {
					break
				}
				if found, known := PlatformOf(cookie); known && found.Name != name {
					t.Errorf("%s: %s is taken for a cookie of %s", name, cookie, found.Name)
				}
			}
		}
	}
}

func TestUsage(t *testing.T) {
	for name, want := range map[string]string{
		"insites":     "insites",
		"klaro":       "klaro <the name of a service, such as kapa>",
		"onetrust":    "onetrust [<a group's id, such as C0002>]",
		"drupal_eucc": "drupal_eucc [<the machine name of a category>]",
	} {
		platform, _ := LookUp(name)
		if got := platform.Usage(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if _, ok := LookUp("acme"); ok {
		t.Error("there is a platform acme")
	}
}

func TestUnseen(t *testing.T) {
	for _, name := range strings.Fields("usercentrics termly silktide osano sourcepoint shopify") {
		if why, ok := Unseen(name); !ok || why == "" {
			t.Errorf("%s: %q, %v", name, why, ok)
		}
		if _, ok := LookUp(name); ok {
			t.Errorf("%s can be read, and cannot", name)
		}
	}
	if _, ok := Unseen("onetrust"); ok {
		t.Error("onetrust cannot be read")
	}
	for cookie, want := range map[string]string{
		"osano_consentmanager": "osano",
		"consentUUID":          "sourcepoint",
		"_tracking_consent":    "shopify",
		"OptanonConsent":       "",
		"":                     "",
	} {
		name, why, ok := UnseenOf(cookie)
		if name != want || ok != (want != "") || ok != (why != "") {
			t.Errorf("%q: got %q, %q, %v", cookie, name, why, ok)
		}
	}
}
