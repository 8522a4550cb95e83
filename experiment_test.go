package kapadeflector

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/experiment"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
)

const experimentLines = loaderLines + "pages /tickets/*\ncookie {\nrenew\n}\nexperiment {\nholdout 30%\nsubmissions /tickets /api/*\n}\n"

func valueOf(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

// total adds up all counters.
func total(t testing.TB, counters armCounters) (arms [experiment.ArmCount]float64) {
	t.Helper()
	for a := range experiment.ArmCount {
		for _, c := range counters[a] {
			arms[a] += valueOf(t, c)
		}
	}
	return arms
}

// idOf returns an id in that arm.
func idOf(t testing.TB, h *Handler, want experiment.Arm) string {
	t.Helper()
	for {
		id := uuid.NewString()
		if a, _ := h.block.experimenter.assignment.Of(id, "abc"); a == want {
			return id
		}
	}
}

// A held-out visitor is told "none", as any other, and keeps the id, or gets one.
func TestHeldOut(t *testing.T) {
	h := newHandler(t, experimentLines)
	deflector, holdout := idOf(t, h, experiment.Deflector), idOf(t, h, experiment.Holdout)
	for _, tc := range []struct {
		name, cookies, path string
		kind                string
		ids                 int
		outcome             outcome.Outcome
		views               [experiment.ArmCount]float64
	}{
		{"with the deflector", granted + "; kapa_web_id=" + deflector, "/tickets/new", "tag", 1, outcome.Injected, [experiment.ArmCount]float64{1, 0}},
		{"held out", granted + "; kapa_web_id=" + holdout, "/tickets/new", "none", 1, outcome.HeldOut, [experiment.ArmCount]float64{0, 1}},
		{"held out, without consent", unknown + "; kapa_web_id=" + holdout, "/tickets/new", "no-consent", 0, outcome.NoConsent, [experiment.ArmCount]float64{}},
		{"held out, elsewhere", granted + "; kapa_web_id=" + holdout, "/", "none", 0, outcome.OtherPage, [experiment.ArmCount]float64{}},
	} {
		before := total(t, h.block.experimenter.views)
		r := questionOf(t, h, "https://support.example.com"+tc.path, "Cookie: "+tc.cookies)
		resp := serve(t, h, r, noOrigin(t))
		if got := resp.Header.Get("Kapa-Deflector"); got != tc.kind || len(idLines(resp)) != tc.ids {
			t.Errorf("%s: %s, %q", tc.name, got, idLines(resp))
		}
		if o, _ := outcomeOf(r); o != tc.outcome {
			t.Errorf("%s: outcome %s", tc.name, o)
		}
		after := total(t, h.block.experimenter.views)
		for a := range experiment.ArmCount {
			if after[a]-before[a] != tc.views[a] {
				t.Errorf("%s: %v views in the arm %s, want %v", tc.name, after[a]-before[a], a, tc.views[a])
			}
		}
	}

	// a visitor without an id gets one, and the arm of that id, with the first answer
	var arms [experiment.ArmCount]int
	for range 200 {
		r := questionOf(t, h, "https://support.example.com/tickets/new", "Cookie: "+granted)
		resp := serve(t, h, r, noOrigin(t))
		a, _ := h.block.experimenter.assignment.Of(idIn(resp.Header), "abc")
		arms[a]++
		if got := resp.Header.Get("Kapa-Deflector"); (got == "none") != (a == experiment.Holdout) {
			t.Errorf("the arm %s is told %s", a, got)
		}
	}
	if arms[experiment.Holdout] == 0 || arms[experiment.Deflector] == 0 {
		t.Errorf("%v", arms)
	}
}

// What counts as a form that was sent.
func TestSubmissions(t *testing.T) {
	h := newHandler(t, experimentLines)
	id := idOf(t, h, experiment.Holdout)
	const navigation, script = "Sec-Fetch-Dest: document", "Sec-Fetch-Dest: empty"
	failure := func(http.ResponseWriter, *http.Request) error { return errors.New("broken") }
	implied := func(w http.ResponseWriter, _ *http.Request) error { _, err := w.Write([]byte("{}")); return err }
	for _, tc := range []struct {
		name, method, path, cookies, by string
		next                            caddyhttp.HandlerFunc
		counted                         bool
	}{
		{"a form that is taken", "POST", "/tickets", granted, navigation, answer(303, "", ""), true},
		{"an older redirect", "POST", "/tickets", granted, navigation, answer(302, "", ""), true},
		{"a form that is shown again", "POST", "/tickets", granted, navigation, answer(422, "text/html", samplePage), false},
		{"a form that is shown again with 200", "POST", "/tickets", granted, navigation, answer(200, "text/html", samplePage), false},
		{"by script", "POST", "/api/tickets", granted, script, answer(201, "application/json", "{}"), true},
		{"by script, with no status named", "POST", "/api/tickets", granted, script, implied, true},
		{"by a script that follows the redirect, as Turbo's", "POST", "/tickets", granted, script, answer(303, "", ""), true},
		{"by script, with a mistake", "POST", "/api/tickets", granted, script, answer(400, "application/json", "{}"), false},
		{"an error", "POST", "/tickets", granted, navigation, failure, false},
		{"another path", "POST", "/search", granted, navigation, answer(303, "", ""), false},
		{"another method", "GET", "/tickets", granted, navigation, answer(303, "", ""), false},
		{"without consent", "POST", "/tickets", unknown, navigation, answer(303, "", ""), false},
		{"after a no", "POST", "/tickets", denied, navigation, answer(303, "", ""), false},
	} {
		before := total(t, h.block.experimenter.sent)
		r := newRequest(t, tc.method, tc.path, "Cookie: "+tc.cookies+"; kapa_web_id="+id)
		name, value := "Sec-Fetch-Dest", tc.by[len("Sec-Fetch-Dest: "):]
		r.Header.Set(name, value)
		if value == "empty" {
			r.Header.Set("Sec-Fetch-Mode", "cors")
		}
		_ = h.ServeHTTP(httptest.NewRecorder(), r, tc.next)
		want := 0.0
		if tc.counted {
			want = 1
		}
		if got := total(t, h.block.experimenter.sent)[experiment.Holdout] - before[experiment.Holdout]; got != want {
			t.Errorf("%s: counted %s times", tc.name, strconv.FormatFloat(got, 'f', -1, 64))
		}
	}

	// a block behind one that claims the page counts too, and a visitor without an id does not
	first := newHandler(t, consentLine)
	before := total(t, h.block.experimenter.sent)
	r := newRequest(t, "POST", "/tickets", "Cookie: "+granted+"; kapa_web_id="+id)
	serve(t, first, r, through(h, answer(303, "", "")))
	if total(t, h.block.experimenter.sent)[experiment.Holdout]-before[experiment.Holdout] != 1 {
		t.Error("behind another block: not counted")
	}
	r = newRequest(t, "POST", "/tickets", "Cookie: "+granted)
	serve(t, h, r, answer(303, "", ""))
	if total(t, h.block.experimenter.sent)[experiment.Holdout]-before[experiment.Holdout] != 1 {
		t.Error("without an id: counted")
	}
}

// A visitor who answers another block's consent ask sends no form.
func TestChoicesAreNoSubmissions(t *testing.T) {
	h := newHandler(t, experimentLines)
	asks := newHandler(t, "consent ask {\npolicy /privacy\n}\nloader\n")
	id := idOf(t, h, experiment.Holdout)
	before := total(t, h.block.experimenter.sent)
	r := chooses(t, asks, "/tickets", "yes", "Cookie: "+granted+"; kapa_web_id="+id)
	if resp := serve(t, h, r, through(asks, noOrigin(t))); resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", resp.StatusCode)
	}
	if total(t, h.block.experimenter.sent) != before {
		t.Error("counted")
	}
}
