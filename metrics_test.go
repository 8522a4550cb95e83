package kapadeflector

import (
	"fmt"
	"strings"
	"testing"
)

// Two handlers in one config count together, a config that is loaded again
// counts anew, and every response counts once.
func TestMetrics(t *testing.T) {
	const site = `http://support.acme.com:HTTP {
		handle /metrics {
			metrics
		}
		kapa_deflector {
			` + requiredLines + consentLine + `
			pages /tickets/new
		}
		kapa_deflector {
			` + requiredLines + consentLine + `
			pages /contact
			cookie {
				renew
			}
		}
		handle {
			header Content-Type text/html
			respond "` + page + `"
		}
	}`
	const withID = "; kapa_web_id=" + idA
	for range 2 {
		s := startCaddy(t, site)
		for _, ask := range []struct{ path, cookies string }{
			{"/tickets/new", granted},
			{"/contact", granted},
			{"/contact", granted + withID},
			{"/tickets/new", denied},
			{"/tickets/new", denied + withID},
			{"/tickets/new", unknown},
			{"/", granted},
		} {
			s.get("h1", ask.path, "Cookie: "+ask.cookies)
		}
		_, body := s.get("h1", "/metrics")
		for line, want := range map[string]int{
			`responses_total{outcome="injected"}`:    3,
			`responses_total{outcome="denied"}`:      2,
			`responses_total{outcome="no_consent"}`:  1,
			`responses_total{outcome="other_page"}`:  1, // of "/", and of one handler
			`responses_total{outcome="csp_blocked"}`: 0,
			`id_cookies_total{action="set"}`:         2,
			`id_cookies_total{action="renewed"}`:     1,
			`id_cookies_total{action="deleted"}`:     1,
		} {
			if !strings.Contains(body, fmt.Sprintf("caddy_kapa_deflector_%s %d\n", line, want)) {
				t.Errorf("not %s %d", line, want)
			}
		}
		if t.Failed() {
			for line := range strings.Lines(body) {
				if strings.Contains(line, "kapa") {
					t.Log(line)
				}
			}
		}
	}
}
