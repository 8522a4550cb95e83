package consent

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// The tag of a visitor who has consented runs although the platform's script blocker
// would take it for a script without consent. Any other tag is left to the blocker.
func TestPlatformsOwnBlocker(t *testing.T) {
	t.Parallel()
	platforms := []struct {
		host, consent, cookies string
	}{
		{"onetrust", "onetrust", "OptanonConsent=groups=C0002%3A1; OptanonAlertBoxClosed=2026-11-24T09:00:00.000Z"},
		{"cookiebot", "cookiebot", "CookieConsent={statistics:true%2Cmethod:%27explicit%27}"},
		{"iubenda", "iubenda", "_iub_cs-1=%7B%22purposes%22%3A%7B%224%22%3Atrue%7D%7D"},
		{"real-cookie-banner", "real_cookie_banner 15", "real_cookie_banner-v:3_blog:1_path:abc1234=a%3Ab%3A%7B%222%22%3A%5B15%5D%7D"},
		{"consentmanager", "consentmanager 51", "__cmpcpc=__1_51__"},
		{"hu-compliance", "hu_compliance 3", "hu-consent=%7B%22categories%22%3A%7B%223%22%3Atrue%7D%7D"},
	}
	const rule = "rule CookieConsent {\n\t\t\t\tdecode percent\n\t\t\t\tdecode pairs ,{} :\n\t\t\t\tgranted pair statistics true\n\t\t\t}"
	visits := []struct {
		host, consent, cookies string
		runs                   bool
	}{
		{"rule-cookiebot", rule, platforms[1].cookies, false}, // the blocker works, and the rule names no platform
		{"untracked-cookiebot", "cookiebot\n\t\t\twithout_consent untracked", "CookieConsent=0", false},
		{"loader-rule-cookiebot", rule + "\n\t\t\tloader", platforms[1].cookies, false},
	}
	for _, p := range platforms {
		for prefix, lines := range map[string]string{"": "", "loader-": "\n\t\t\tloader"} {
			visits = append(visits, struct {
				host, consent, cookies string
				runs                   bool
			}{prefix + p.host, p.consent + lines, p.cookies, true})
		}
	}
	const own, foreign = "script /kapa", "script http://foreign.localhost:{$EDGE_PORT}/kapa"
	sites := strings.Replace(consentSite("foreign", "blocker", "consent not_required"), "kapa_deflector {", "kapa_deflector {\n\t\t\tpages /none", 1)
	for _, v := range visits {
		sites += strings.Replace(consentSite(v.host, "blocker", "consent "+v.consent), own, foreign, 1)
	}
	edge := testenv.StartCaddy(t, sites)
	for _, visit := range visits {
		t.Run(visit.host, func(t *testing.T) {
			t.Parallel()
			v := testenv.NewVisitor(t)
			v.Open(edge.Edge(visit.host+".localhost", "/"))
			for pair := range strings.SplitSeq(visit.cookies, "; ") {
				testenv.Eval[string](v, `document.cookie = `+testenv.Quote(pair+"; Path=/"))
			}
			v.Open(edge.Edge(visit.host+".localhost", "/?chosen"))
			if !visit.runs {
				v.WaitFor(`blocked.length > 0`)
				v.WaitFor(`document.readyState === 'complete'`)
				if testenv.Eval[bool](v, `'KapaSFD' in window`) {
					t.Error("the deflector runs")
				}
				return
			}
			v.WaitFor(`window.KapaSFD`)
			if blocked := testenv.Eval[[]string](v, `blocked`); len(blocked) > 0 {
				t.Error(fmt.Sprint("blocked: ", blocked))
			}
		})
	}
}
