package engines

import (
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

const (
	form     = "/tickets/new"
	lateForm = "/tickets/new-late"
	app      = "/app/" // whose link "Contact" leads to a form
	contact  = "/app/contact"
	patient  = "/patient" // a form whose deflector waits for the visitor
	home     = "/"
)

// What the loader does for a visitor, in each engine.
var scenarios = []struct {
	name string
	play func(v *visitor)
}{
	{"no consent", func(v *visitor) {
		v.open(form)
		v.wantAnswers(1)
		v.wantPlainForm()
		v.send()
	}},
	{"consent before", func(v *visitor) {
		v.open(home)
		v.Accept()
		v.open(form)
		v.wantDeflector()
		v.wantID()
		v.beDeflected()
	}},
	{"consent on the page", func(v *visitor) {
		v.open(form)
		v.wantAnswers(1)
		v.FillIn(testenv.LongQuestion)
		v.Accept()
		v.wantDeflector()
		v.wantID()
		v.wantSamePage()
		v.wantQuestion(testenv.LongQuestion)
		v.beDeflected()
	}},
	{"refusal", func(v *visitor) {
		v.open(form)
		v.wantAnswers(1)
		v.Refuse()
		v.wantAnswers(2)
		v.wantPlainForm()
		v.wantSamePage()
		v.send()
	}},
	{"a late form", func(v *visitor) {
		v.open(home)
		v.Accept()
		v.open(lateForm)
		v.wantDeflector()
		v.wantID()
		v.beDeflected()
	}},
	{"navigated", func(v *visitor) {
		v.open(app)
		v.Accept()
		v.wantPlainPage()
		v.Click("#contact")
		v.wantDeflector()
		v.wantID()
		v.wantSamePage()
		v.beDeflected()
	}},
	{"navigated, consent on the page", func(v *visitor) {
		v.open(app)
		v.Click("#contact")
		v.wantAnswers(1)
		v.wantPlainForm()
		v.Accept()
		v.wantDeflector()
		v.wantID()
		v.wantSamePage()
		v.beDeflected()
	}},
	{"a form that the site draws anew", func(v *visitor) {
		v.open(home)
		v.Accept()
		v.open(contact)
		v.wantDeflector()
		v.drawAnew()
		v.wantDeflector()
		v.wantSamePage()
		v.beDeflected()
	}},
	{"left and returned", func(v *visitor) {
		v.open(home)
		v.Accept()
		v.open(contact)
		v.wantDeflector()
		v.Click("#home")
		v.WaitFor(`!document.querySelector('#support-form')`)
		v.Travel("back")
		v.wantDeflector()
		v.wantSamePage()
		v.beDeflected()
	}},
	{"back-forward cache, accepted elsewhere", func(v *visitor) {
		v.open(form)
		v.wantAnswers(1)
		v.Follow(`nav a[href="/"]`)
		v.Accept()
		v.back()
		v.wantDeflector()
		v.wantID()
		v.wantSamePage()
		v.beDeflected()
	}},
	{"back-forward cache, refused elsewhere", func(v *visitor) {
		v.open(home)
		v.Accept()
		v.open(form)
		v.wantDeflector()
		v.Follow(`nav a[href="/"]`)
		v.Refuse()
		v.wantNoID()
		v.back()
		v.wantReloaded()
		v.wantAnswers(1)
		v.wantPlainForm()
		v.send()
	}},
	{"withdrawal, the form untouched", func(v *visitor) {
		v.open(home)
		v.Accept()
		v.open(form)
		v.wantDeflector()
		v.wantID()
		v.withdraw()
		v.wantReloaded()
		v.wantAnswers(1)
		v.wantPlainForm()
		v.send()
	}},
	{"withdrawal, the form filled in", func(v *visitor) {
		v.open(home)
		v.Accept()
		v.open(form)
		v.wantDeflector()
		v.wantID()
		v.Ask()
		v.withdraw()
		v.wantAnswers(2)
		v.wantNoID()
		v.wantSamePage()
		v.wantQuestion(testenv.LongQuestion)
		v.Ask() // the script still runs, and writes an id with each question
		v.wantNoID()
	}},
	{"withdrawal on a page without a form", func(v *visitor) {
		v.open(home)
		v.Accept()
		v.open(form)
		v.wantID()
		v.open(home)
		v.withdraw()
		v.wantNoID()
		v.wantSamePage()
		v.wantPlainPage()
	}},
	{"only when the visitor touches the form", func(v *visitor) {
		v.open(home)
		v.Accept()
		v.open(patient)
		v.wantAnswers(1)
		v.focusByScript()
		v.wantNothingLoaded()
		v.Click("#description")
		v.wantDeflector()
		v.beDeflected()
	}},
}

func TestLoader(t *testing.T) {
	site := startSite(t)
	for _, engine := range testenv.Engines {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			for _, s := range scenarios {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					// Firefox keeps no page that is left while it asks the edge.
					for try := 1; !(&visitor{testenv.NewVisitorIn(t, engine), site}).plays(s.play); try++ {
						if try == 5 {
							testenv.Missing(t, "browser that restores a page as it was left", "use one with a back-forward cache")
						}
					}
				})
			}
		})
	}
}
