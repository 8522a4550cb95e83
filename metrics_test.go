package kapadeflector

import (
	"fmt"
	"strings"
	"testing"
)

// Two handlers in one config share counters, a reloaded config starts from zero, and
// every response counts once.
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
			respond "` + samplePage + `"
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

// A page of an error route with a block of its own is one response. It counts as the
// error that led there. That block's outcome is in the placeholders, and an id that it
// sets counts.
func TestMetricsOfErrorRoutes(t *testing.T) {
	for name, tc := range map[string]struct {
		pages, inErrors string
		want            string
		ids             int
	}{
		"the same page":               {"/tickets/new", "/tickets/new", `error"} 1`, 1},
		"a page in the error route":   {"/elsewhere", "/tickets/new", `error"} 1`, 1},
		"another in the error route":  {"/tickets/new", "/elsewhere", `error"} 1`, 0},
		"neither of the two is asked": {"/elsewhere", "/elsewhere", `error"} 1`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			block := func(pages string) string {
				return "kapa_deflector {\n" + requiredLines + consentLine + "pages " + pages + "\n}\n"
			}
			s := startCaddy(t, `http://support.acme.com:HTTP {
				handle /metrics {
					metrics
				}
				handle {
					`+block(tc.pages)+`
					error 503
				}
				handle_errors {
					`+block(tc.inErrors)+`
					header Content-Type text/html
					respond "`+samplePage+`"
				}
			}`)
			resp, _ := s.get("h1", "/tickets/new", "Cookie: "+granted)
			if got := len(idLines(resp)); got != tc.ids {
				t.Errorf("%d ids, want %d", got, tc.ids)
			}
			var counted []string
			_, body := s.get("h1", "/metrics")
			for line := range strings.Lines(body) {
				what, isOutcome := strings.CutPrefix(strings.TrimSpace(line), `caddy_kapa_deflector_responses_total{outcome="`)
				if isOutcome && !strings.HasSuffix(what, " 0") {
					counted = append(counted, what)
				}
			}
			if got := strings.Join(counted, ", "); got != tc.want {
				t.Errorf("counted: %s, want %s", got, tc.want)
			}
		})
	}
}
