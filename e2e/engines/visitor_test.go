package engines

import (
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// visitor is a visitor of the site.
type visitor struct {
	*testenv.Visitor
	site *testenv.Caddy
}

// open opens a page, and marks it, so that it is known to be the same one from then on.
// If the browser restores it later, the session remembers that.
func (v *visitor) open(path string) {
	v.T.Helper()
	v.Open(v.site.Edge(testenv.Support, path))
	testenv.Eval[bool](v.Visitor, `(addEventListener('pageshow', () => { sessionStorage.restored = 'yes'; }), window.marked = true)`)
}

// wantSamePage checks that the page was not loaded anew.
func (v *visitor) wantSamePage() {
	v.T.Helper()
	if !testenv.Eval[bool](v.Visitor, `window.marked === true`) {
		v.T.Error("the page was loaded anew")
	}
}

// wantReloaded waits until the page has been loaded anew.
func (v *visitor) wantReloaded() {
	v.T.Helper()
	v.Await("the page is loaded anew", `!window.marked && document.readyState === 'complete'`)
}

// notRestored is what back panics with if the browser has not kept the page.
type notRestored struct{}

// back goes back to a page as the browser has kept it. The page may then load itself
// anew.
func (v *visitor) back() {
	v.T.Helper()
	testenv.Eval[bool](v.Visitor, `window.elsewhere = true`)
	v.Travel("back")
	v.Await("the browser goes back", `!window.elsewhere && (sessionStorage.restored || !window.marked && document.readyState === 'complete')`)
	if !testenv.Eval[bool](v.Visitor, `sessionStorage.restored === 'yes'`) {
		panic(notRestored{})
	}
}

// plays reports whether a scenario can be played to its end.
func (v *visitor) plays(scenario func(v *visitor)) (whole bool) {
	defer func() {
		if reason := recover(); reason == (notRestored{}) {
			whole = false
		} else if reason != nil {
			panic(reason)
		}
	}()
	scenario(v)
	return true
}

// withdraw refuses after all, and does not close the banner: a page that is loaded anew
// has none.
func (v *visitor) withdraw() {
	v.T.Helper()
	v.ChangeMind()
	v.Click(".consent-refuse")
}

// wantAnswers waits until the edge has answered the page n times.
func (v *visitor) wantAnswers(n int) {
	v.T.Helper()
	v.WaitFor(`performance.getEntriesByType('resource').filter(({ name }) => name.includes('kapa_deflector=')).length >= ` + testenv.AsJSON(n))
}

// wantDeflector waits until the form has its one deflector.
func (v *visitor) wantDeflector() {
	v.T.Helper()
	const renders = `(window.KapaStandIn?.log ?? []).filter(({ event }) => event === 'render')`
	const ofForm = renders + `.filter(({ elements }) => elements['submit-element'] === document.querySelector('#support-form'))`
	v.WaitFor(`document.querySelector('#support-form') && ` + ofForm + `.length > 0`)
	if n := testenv.Eval[int](v.Visitor, ofForm+`.length`); n != 1 {
		v.T.Errorf("the form has %d deflectors", n)
	}
	if n := testenv.Eval[int](v.Visitor, renders+`.filter(({ missing }) => missing.length).length`); n != 0 {
		v.T.Errorf("%d times the deflector was started without a form", n)
	}
	if n := testenv.Eval[int](v.Visitor, `document.querySelectorAll(`+testenv.Quote(testenv.TagSelector)+`).length`); n != 1 {
		v.T.Errorf("the page has %d tags", n)
	}
}

// wantPlainPage checks that nothing of the deflector's is on the page.
func (v *visitor) wantPlainPage() {
	v.T.Helper()
	v.WantNoTag()
	v.WantNoID()
}

// wantPlainForm checks that the page has the form, and nothing of the deflector's.
func (v *visitor) wantPlainForm() {
	v.T.Helper()
	v.WaitFor(testenv.Visible("#support-form"))
	v.wantPlainPage()
}

// wantNothingLoaded checks that nothing of Kapa's was requested.
func (v *visitor) wantNothingLoaded() {
	v.T.Helper()
	v.WantNoTag()
	if n := testenv.Eval[int](v.Visitor, `performance.getEntriesByType('resource').filter(({ name }) => name.includes(`+testenv.Quote(testenv.StandIn)+`)).length`); n != 0 {
		v.T.Errorf("Kapa's script was requested %d times", n)
	}
}

// send sends the form, which nothing intercepts.
func (v *visitor) send() {
	v.T.Helper()
	v.FillIn(testenv.LongQuestion)
	v.Follow(testenv.SendButton)
	v.wantThanks()
}

// beDeflected asks a question, gets an answer, and sends the form all the same.
func (v *visitor) beDeflected() {
	v.T.Helper()
	v.Ask()
	v.Screenshot("deflected")
	v.wantQuestion(testenv.LongQuestion)
	v.Follow("#kapa-stand-in-send")
	v.wantThanks()
}

func (v *visitor) wantThanks() {
	v.T.Helper()
	if path := v.Path(); path != "/tickets/thanks" {
		v.T.Errorf("after sending, the visitor is at %s", path)
	}
}

// wantQuestion checks what stands in the form.
func (v *visitor) wantQuestion(want string) {
	v.T.Helper()
	if got := testenv.Eval[string](v.Visitor, `document.querySelector('#description').value`); got != want {
		v.T.Errorf("the question has become %q, was %q", got, want)
	}
}

// wantID waits for the id.
func (v *visitor) wantID() {
	v.T.Helper()
	testenv.Eventually(v.T, "there is an id", func() bool { return len(v.Cookies(testenv.IDCookie)) == 1 })
}

// wantNoID waits until there is no id.
func (v *visitor) wantNoID() {
	v.T.Helper()
	testenv.Eventually(v.T, "there is no id", func() bool { return len(v.Cookies(testenv.IDCookie)) == 0 })
}

// drawAnew has the app replace its form.
func (v *visitor) drawAnew() {
	v.T.Helper()
	testenv.Eval[bool](v.Visitor, `(draw(), true)`)
}

// focusByScript has the page set the focus, which is no touch.
func (v *visitor) focusByScript() {
	v.T.Helper()
	testenv.Eval[bool](v.Visitor, `(document.querySelector('#description').focus(), true)`)
}

// An expression whose page is left meanwhile comes to something on the next page.
func TestVisitorOnAPageThatIsLeft(t *testing.T) {
	site := startSite(t)
	for _, engine := range testenv.Engines {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			v := &visitor{testenv.NewVisitorIn(t, engine), site}
			v.open(home)
			if !testenv.Eval[bool](v.Visitor, `sessionStorage.left ? true : new Promise(() => {
				sessionStorage.left = 'yes';
				setTimeout(() => location.reload(), 100);
			})`) {
				t.Error("it came to false")
			}
		})
	}
}
