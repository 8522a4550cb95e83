package draft

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
)

// consentLine is the block's consent line, or a comment in its place. `caddy adapt` fails
// on a comment, and says what is missing.
type consentLine struct{ lines []string }

// A platformSign is the address of a platform's script, or what its script or its inline
// settings contain.
type platformSign struct {
	platform string
	address  *regexp.Regexp
	inline   *regexp.Regexp // nil for none
}

func at(platform, address string) platformSign {
	return platformSign{platform: platform, address: regexp.MustCompile(`(?i)` + address)}
}

// platformSigns are looked for in this order. The files of some platforms hold the names of
// others.
var platformSigns = []platformSign{
	at("onetrust", `cdn\.cookielaw\.org|cookie-cdn\.cookiepro\.com|otSDKStub`),
	at("cookiebot", `consent(cdn)?\.cookiebot\.(com|eu)`),
	at("cookieyes", `cdn-cookieyes\.com|/cookie-law-info/lite/`),
	at("cookie_law_info", `/cookie-law-info/|/webtoffee-gdpr-cookie-consent/`),
	at("didomi", `sdk\.privacy-center\.org`),
	at("iubenda", `(cdn|cs)\.iubenda\.com`),
	at("trustarc", `consent\.trustarc\.com|consent\.truste\.com`),
	at("complianz", `/complianz-gdpr`),
	at("real_cookie_banner", `/real-cookie-banner`),
	at("borlabs", `/borlabs-cookie/`),
	at("moove", `/gdpr-cookie-compliance/`),
	at("cookie_notice", `/cookie-notice/`),
	at("hu_compliance", `cdn\.hu-manity\.co`),
	at("wpconsent", `/wpconsent`),
	at("cookieadmin", `/cookieadmin/`),
	at("wplp", `/gdpr-cookie-consent/`),
	at("klaro", `klaro(-no-css)?(\.min)?\.js|/klaro@|/klaro/`),
	at("orestbida", `vanilla-cookieconsent|orestbida|cookieconsent\.(umd|esm)\.js|cookieconsent@[23]`),
	at("insites", `cookieconsent2?[/@0-9.]*(/build)?/cookieconsent(\.min)?\.js`),
	at("tarteaucitron", `tarteaucitron`),
	at("civic", `cc\.cdn\.civiccomputing\.com|cookieControl-[0-9.x]+\.min\.js`),
	at("axeptio", `static\.axept\.io`),
	at("cookie_script", `(cdn|[a-z]+)\.cookie-script\.com`),
	at("cookiefirst", `consent\.cookiefirst\.com`),
	at("cookie_information", `policy\.app\.cookieinformation\.com`),
	at("consentmanager", `consentmanager\.(net|mgr\.consensu\.org)`),
	at("ketch", `global\.ketchcdn\.com`),
	at("transcend", `transcend-cdn\.com|/airgap\.js`),
	at("hubspot", `js(-[a-z0-9]+)?\.hs-banner\.com`),
	at("drupal_eucc", `/eu_cookie_compliance/`),
	at("datagrail", `api\.consentjs\.datagrailpartner|consent\.datagrail`),
	at("consent_pro", `fs-cc|@finsweet/cookie-consent|@finsweet/consent-pro`),
	at("usercentrics", `(app|web\.cmp)\.usercentrics\.eu`),
	at("osano", `cmp\.osano\.com`),
	at("termly", `app\.termly\.io`),
	at("silktide", `silktide-consent-manager`),
	at("sourcepoint", `privacy-mgmt\.com|sp-prod\.net`),
	at("wp_consent_api", `/wp-consent-api/`),
	{"tcf", regexp.MustCompile(`(?i)quantcast\.mgr\.consensu\.org|cmp\.inmobi\.com`), regexp.MustCompile(`\b__tcfapi\b`)},
	{"gpp", regexp.MustCompile(`\bgpp-stub\b`), regexp.MustCompile(`\b__gpp\b`)},
}

// managers are the addresses of tag managers, which may load a platform that the page's
// source does not show.
var managers = []struct{ name, sign string }{
	{"Google Tag Manager", `googletagmanager\.com/(gtm|ns)|\bGTM-[A-Z0-9]{4,}\b|/gtm\.js`},
	{"Tealium", `tags\.tiqcdn\.com`},
	{"Adobe's tags", `assets\.adobedtm\.com`},
	{"Matomo Tag Manager", `/container_\w+\.js`},
	{"Piwik PRO", `containers\.piwik\.pro`},
	{"Ensighten", `nexus\.ensighten\.com`},
	{"Commanders Act", `cdn\.tagcommander\.com`},
}

// banner matches what banners of a site's own are called.
var banner = regexp.MustCompile(`(?i)(cookie|consent|gdpr|ccpa|privacy)[-_]?(banner|consent|notice|bar|law|popup|modal|dialog|overlay|manager|preferences)|consent-control`)

// chooseConsent chooses the consent line.
func (d *drafter) chooseConsent(cookies string) {
	for pair := range strings.SplitSeq(cookies, ";") {
		name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if p, ok := consent.PlatformOf(name); ok {
			d.usePlatform(p.Name, "your cookie "+name+" is its cookie", cookies)
			return
		}
	}
	if d.usePlainCookie(cookies) {
		return
	}
	if name, why := d.platform(); name != "" {
		d.usePlatform(name, why, cookies)
		return
	}
	if mark := d.ownBanner(); mark != "" {
		d.todoConsent("the page has a banner of its own ("+mark+"): accept it in the browser, and look which cookie changes",
			"write consent cookie <name> <value>, or run this again with --cookie <name>=<value>")
		return
	}
	if name := d.manager(); name != "" {
		d.todoConsent(name+" may load a consent platform, which the page's source does not show: open the page in a private window, accept the banner, and look which cookie changes",
			"run this again with --cookie <name>=<value>; if there is no banner, write consent ask")
		return
	}
	d.useQuestion()
}

func (d *drafter) todoConsent(what, then string) {
	comment := strings.NewReplacer("{", "(", "}", ")").Replace(check.Clean(what)) // {$NAME} is replaced in comments, too
	d.consent.lines = []string{"# TODO consent: " + comment}
	d.todo("consent: %s. Then %s", what, then)
}

// platform returns the platform that the page's scripts show, "" for none, and why.
func (d *drafter) platform() (name, why string) {
	var others []string
	for _, s := range platformSigns {
		sign := s.foundIn(d.page)
		switch {
		case sign == "":
		case name == "":
			name, why = s.platform, "the page loads "+sign
		case s.platform != "tcf" && s.platform != "gpp" && s.platform != "wp_consent_api":
			others = append(others, s.platform)
		}
	}
	if others != nil {
		d.found("the page also shows %s: see which of them asks the visitor", strings.Join(others, ", "))
	}
	return name, why
}

// foundIn returns where the sign is in the page, "" if it is not there.
func (s platformSign) foundIn(p *dom.Page) string {
	for n := range p.Elements {
		for _, name := range []string{"src", "href", "data-src"} {
			if address := dom.Value(n, name); address != "" && (n.DataAtom == atom.Script || n.DataAtom == atom.Link) && s.address.MatchString(address) {
				return check.Short(address)
			}
		}
	}
	for _, content := range p.Scripts {
		if s.inline != nil && s.inline.MatchString(content) {
			return "a script with " + s.inline.FindString(content)
		}
		if m := s.address.FindString(content); m != "" { // it writes the script's element
			return check.Short(m)
		}
	}
	return ""
}

// usePlatform writes the line of a platform.
func (d *drafter) usePlatform(name, why, cookies string) {
	if _, unseen := consent.Unseen(name); unseen {
		d.useUnseen(name, why)
		return
	}
	p, ok := consent.LookUp(name)
	if !ok {
		d.todoConsent("the platform is "+name+" ("+why+"), for which there is no line", "docs/consent.md says how to write consent rule")
		return
	}
	rules, err := p.Compile("", nil)
	if err != nil { // it has no default category
		d.todoConsent("consent "+p.Usage()+": "+why, "look up the category in the platform's settings")
		return
	}
	d.consent.lines = []string{"consent " + name}
	d.found("consent %s, because %s", name, why)
	if p.Defaults != nil {
		d.found("consent %s asks for %s; docs/consent.md has the others", name, strings.Join(p.Defaults, " and "))
	}
	if cookies != "" {
		if f := consent.Find(rules, []string{cookies}); f.Verdict != consent.Granted {
			d.todo("consent: your cookies are no consent by this line (%s): copy the Cookie header of a visitor who has accepted", f.Reason)
		}
	}
}

// useUnseen writes the line of a platform that only the page can see.
func (d *drafter) useUnseen(name, why string) {
	category, ok := consent.SeenByPage(name)
	if !ok {
		d.todoConsent(name+" keeps its answer where no line can read it", "docs/consent.md has a way out: platforms that the edge cannot see")
		return
	}
	d.needLoader("%s keeps its answer where only the page can see it", name)
	if category == "" {
		d.todoConsent("consent "+name+" <service>: "+why, "look up the name of the service in the platform's settings")
		return
	}
	d.consent.lines = []string{"consent " + name}
	d.found("consent %s, because %s. It asks for %s", name, why, category)
}

var (
	// consentName matches what consent cookies are called.
	consentName = regexp.MustCompile(`(?i)consent|cookie|gdpr|ccpa|privacy|banner|opt-?in|accept`)
	// word matches a value that can stand in a line, and says nothing of a visitor.
	word = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]{0,23}$|^1$`)
)

// usePlainCookie writes the line of a cookie that no platform has, if there is one among
// the given ones.
func (d *drafter) usePlainCookie(cookies string) bool {
	for pair := range strings.SplitSeq(cookies, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if !consentName.MatchString(name) || !bare.MatchString(name) {
			continue
		}
		if !word.MatchString(value) {
			d.todoConsent("the cookie "+name+" holds more than a plain word", "docs/consent.md says how to write consent rule")
			return true
		}
		d.consent.lines = []string{"consent cookie " + name + " " + value}
		d.found("consent cookie %s, by the cookie that you gave. Refuse in the browser, and see that its value then is another one", name)
		return true
	}
	return false
}

// ownBanner returns what shows a banner that no platform is known for, "" if nothing does.
func (d *drafter) ownBanner() string {
	for n := range d.page.Elements {
		for _, a := range n.Attr {
			switch a.Key {
			case "id", "class", "src", "href", "aria-label":
			default:
				if !strings.HasPrefix(a.Key, "data-") {
					continue
				}
				a.Val = a.Key
			}
			if n.DataAtom != atom.A && banner.MatchString(a.Val) {
				return banner.FindString(a.Val)
			}
		}
	}
	return ""
}

// manager returns the tag manager that the page loads, "" if it loads none.
func (d *drafter) manager() string {
	for _, m := range managers {
		sign := regexp.MustCompile(m.sign)
		for src, content := range d.page.Scripts {
			if sign.MatchString(src) || sign.MatchString(content) {
				return m.name
			}
		}
	}
	return ""
}

var privacyWords = regexp.MustCompile(`(?i)privacy|datenschutz|confidentialit|privacidad|privacidade|riservatezza|data-protection|gegevensbescherming`)

// useQuestion writes consent ask: nothing shows that the site asks by itself.
func (d *drafter) useQuestion() {
	d.found("consent ask, because the page shows neither a consent platform nor a tag manager, which could load one. If the law asks for no consent, write consent not_required")
	d.needLoader("consent ask stands at the form")
	links := d.links(func(text, href string) bool { return privacyWords.MatchString(text + " " + href) })
	links = slices.DeleteFunc(links, func(href string) bool {
		return !bare.MatchString(href) || !strings.HasPrefix(href, "/") && !strings.HasPrefix(href, "https://")
	})
	policy := "# TODO policy <url of your privacy policy>"
	if links != nil {
		policy = "policy " + links[0]
	} else {
		d.todo("consent ask: the page has no link to a privacy policy: write its address where TODO stands")
	}
	d.consent.lines = []string{"consent ask {", "\t" + policy, "}"}
}
