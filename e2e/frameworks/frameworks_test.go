// Package frameworks has sites that are made with real frameworks, behind a Caddy
// with loader, and without a line for the deflector in them.
package frameworks

import (
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// The hosts of each site.
const (
	with    = testenv.Support          // with the directive
	beside  = "beside.acme.localhost"  // and with a deflector that draws beside the form as soon as it starts
	without = "without.acme.localhost" // without the directive
)

// start puts Caddy before a site.
func start(t *testing.T, s site) *testenv.Caddy {
	t.Helper()
	origin := s.origin(t)
	host := func(name, directives string) string {
		return `
http://` + name + `:{$EDGE_PORT} {
	@sent {
		method POST
		path /tickets
	}
	redir @sent /tickets/thanks 303
	` + directives + `
	handle_path /shared/* {
		root examples/shared
		file_server
	}
	handle /elsewhere {
		header Content-Type text/html
		respond "<!doctype html><title>Elsewhere</title><link rel=icon href=data:,><h1>Elsewhere</h1>"
	}
	handle {
		` + origin + `
	}
}
`
	}
	block := func(lines string) string {
		return `encode
	kapa_deflector {` + testenv.Required + `
		data-user-email-query-selector "#email"
		script /shared` + testenv.StandIn + `
		pages /form /streamed
		consent cookie cookie_consent accepted
		loader
		user {
			unique_client_id 7
			email known@acme.example
		}
		` + lines + `
	}`
	}
	return testenv.StartCaddy(t, host(with, block(""))+host(beside, block(`data-pre-submit-info-text "Your question is answered at once."`))+host(without, ""))
}

func TestFrameworks(t *testing.T) {
	t.Parallel()
	for _, s := range sites {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, s)
			for name, scenario := range scenarios {
				if scenario.only != "" && scenario.only != s.name {
					continue
				}
				hosts := map[string]string{name: with}
				if scenario.compare != "" {
					hosts[name+", "+scenario.compare] = scenario.compare
				}
				for name, host := range hosts {
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						scenario.run(newVisitor(t, s, c, host))
					})
				}
			}
		})
	}
}

// scenarios are what visitors do.
var scenarios = map[string]struct {
	compare string // a host on which the same happens
	only    string // the site that has the page, if not all do
	run     func(v *visitor)
}{
	"no consent": {compare: without, run: func(v *visitor) {
		v.open("/form")
		v.wantNoDeflector()
		v.FillIn(testenv.LongQuestion)
		v.wantSentAtOnce()
	}},
	"no consent, navigated": {run: func(v *visitor) {
		v.open("/")
		v.toForm()
		v.toHome()
		v.travel("back", "/form")
		v.wantNoDeflector()
		v.FillIn(testenv.LongQuestion)
		v.wantSentAtOnce()
	}},
	"refused": {run: func(v *visitor) {
		v.open("/form")
		v.choose(refused)
		v.toHome()
		v.toForm()
		v.wantNoDeflector()
		v.FillIn(testenv.LongQuestion)
		v.wantSentAtOnce()
	}},
	"consent before": {compare: beside, run: func(v *visitor) {
		v.open("/")
		v.choose(accepted)
		v.open("/form")
		v.wantDeflector()
		v.FillIn(testenv.LongQuestion)
		v.wantAnswered()
	}},
	"consent before, navigated": {run: func(v *visitor) {
		v.open("/")
		v.choose(accepted)
		v.toForm()
		v.wantDeflector()
		v.FillIn(testenv.LongQuestion)
		v.wantAnswered()
	}},
	"consent on the page": {run: func(v *visitor) {
		v.open("/form")
		v.FillIn(testenv.LongQuestion)
		v.choose(accepted)
		v.wantDeflector()
		v.wantAnswered() // of what was typed before
	}},
	"consent on the page, navigated": {run: func(v *visitor) {
		v.open("/")
		v.toForm()
		v.choose(accepted)
		v.wantDeflector()
		v.FillIn(testenv.LongQuestion)
		v.wantAnswered()
	}},
	"left and returned": {compare: beside, run: func(v *visitor) {
		v.open("/")
		v.choose(accepted)
		v.open("/form")
		v.wantDeflector()
		v.toHome()
		v.toForm()
		v.wantDeflector()
		v.toHome()
		v.travel("back", "/form")
		v.wantDeflector()
		v.travel("forward", "/")
		v.toForm()
		v.wantDeflector()
		v.FillIn(testenv.LongQuestion)
		v.wantAnswered()
	}},
	"left and returned after an answer": {run: func(v *visitor) {
		v.open("/")
		v.choose(accepted)
		v.toForm()
		v.wantDeflector()
		v.Ask()
		v.Click("#kapa-stand-in-solved")
		v.toHome()
		v.toForm()
		v.wantDeflector()
		v.Write("#description", testenv.LongQuestion)
		v.Click(testenv.SendButton)
		v.wantAnswer("") // the empty field counts, and not what the site or an earlier question has said
	}},
	"withdrawn": {run: func(v *visitor) {
		v.open("/")
		v.choose(accepted)
		v.toForm()
		v.wantDeflector()
		v.FillIn(testenv.LongQuestion) // so that the page is not loaded again
		v.choose(refused)
		testenv.Eventually(v.T, "the id is gone", func() bool { return len(v.Cookies(testenv.IDCookie)) == 0 })
		v.toHome()
		v.toForm()
		v.FillIn(testenv.LongQuestion)
		v.wantSentAtOnce()
		v.WantNoID()
	}},
	"in the back-forward cache": {run: func(v *visitor) {
		v.open("/")
		v.choose(accepted)
		v.open("/form")
		v.wantDeflector()
		v.leaveAndRestore("")
		v.wantDeflector()
		v.FillIn(testenv.LongQuestion)
		v.wantAnswered()
	}},
	"in the back-forward cache, consent elsewhere": {run: func(v *visitor) {
		v.open("/form")
		v.leaveAndRestore(accepted)
		v.wantDeflector()
		v.FillIn(testenv.LongQuestion)
		v.wantAnswered()
	}},
	"streamed": {compare: beside, only: "Next.js", run: func(v *visitor) {
		v.open("/")
		v.choose(accepted)
		v.open("/streamed")
		v.wantDeflector()
		v.toHome()
		v.follow("#to-streamed", "/streamed")
		v.wantDeflector()
		v.FillIn(testenv.LongQuestion)
		v.wantAnswered()
	}},
}
