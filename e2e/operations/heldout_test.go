package operations

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/experiment"
)

// idOf returns an id of that arm.
func idOf(arm experiment.Arm) string {
	for n := 0; ; n++ {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012x", n)
		if a, _ := experiment.NewAssignment(experimentShare).Of(id, "abc"); a == arm {
			return id
		}
	}
}

// What an experiment is to visitors in a browser: some get the deflector and some do not,
// the form works for all, everybody keeps their id, and both sides are counted.
func TestVisitorsUnderAnExperiment(t *testing.T) {
	var kapa atomic.Int32 // requests for Kapa's script
	origin := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/kapa-support-form-deflector.bundle.js":
			kapa.Add(1)
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprint(w, `window.KapaSFD = { render() {} }`)
		case r.Method == http.MethodPost:
			http.Redirect(w, r, "/thanks", http.StatusSeeOther)
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, testenv.FormPage("", ""))
		}
	}))
	site := strings.Replace(experimentEdge, "loader\n", "loader load\nscript /kapa-support-form-deflector.bundle.js\n", 1)
	site = site[:strings.Index(site, "\t@sent")] + "\treverse_proxy " + origin + "\n}"
	edge := testenv.StartCaddy(t, site)
	form := edge.Edge(testenv.Support, "/tickets/new")
	for _, arm := range []experiment.Arm{experiment.Deflector, experiment.Holdout} {
		t.Run(arm.String(), func(t *testing.T) {
			before := kapa.Load()
			v, id := testenv.NewVisitor(t), idOf(arm)
			v.Open(form)
			for _, cookie := range []string{"kapa_web_id=" + id, "cookie_consent=accepted"} {
				testenv.Eval[string](v, `document.cookie = `+testenv.Quote(cookie+"; path=/; domain=acme.localhost; max-age=1000"))
			}
			counted := func(counter string) (n float64) {
				p := &prometheus{series: make(map[string]*series)}
				p.scrape(t, []*testenv.Caddy{edge})
				for _, s := range p.series {
					if s.labels.Get("__name__") == "caddy_kapa_deflector_"+counter && s.labels.Get("arm") == arm.String() {
						n += s.samples[0].F()
					}
				}
				return n
			}
			testenv.Eventually(t, "the view is counted", func() bool { return counted("form_views_total") == 1 })
			if arm == experiment.Deflector {
				v.WaitFor(`window.KapaSFD`)
			}
			v.Write("#description", "It does not print.")
			if arm == experiment.Holdout {
				v.WantNoTag()
			}
			v.Follow("#support-form button")
			if v.Path() != "/thanks" {
				t.Errorf("after the form: %s", v.Path())
			}
			testenv.Eventually(t, "the submission is counted", func() bool { return counted("submissions_total") == 1 })
			v.WantID(id)
			if asked := kapa.Load() != before; asked != (arm == experiment.Deflector) {
				t.Errorf("Kapa's script was asked for: %v", asked)
			}
		})
	}
}
