package frameworks

import (
	"fmt"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// visitor is on a site. Whatever a framework complains about fails the test.
type visitor struct {
	*testenv.Visitor
	site  site
	caddy *testenv.Caddy
	host  string
}

func newVisitor(t *testing.T, s site, c *testenv.Caddy, host string) *visitor {
	t.Helper()
	return &visitor{testenv.NewVisitor(t), s, c, host}
}

// open loads a page in full, and marks the document.
func (v *visitor) open(path string) {
	v.T.Helper()
	v.Open(v.caddy.Edge(v.host, path))
	v.arrive(path)
	testenv.Eval[bool](v.Visitor, `window.marked = true`)
}

// arrive waits until the page is shown and the framework has taken it over.
func (v *visitor) arrive(path string) {
	v.T.Helper()
	v.Await(v.site.name+" shows "+path, `location.pathname === `+testenv.Quote(path)+`
		&& document.querySelector('h1').textContent.startsWith(`+testenv.Quote(titles[path])+`)
		&& document.readyState === 'complete' && `+v.site.ready)
}

// follow has the framework show another page in the document that is there.
func (v *visitor) follow(link, path string) {
	v.T.Helper()
	v.Click(link)
	v.arriveInPlace(path)
}

func (v *visitor) toForm() { v.T.Helper(); v.follow("#to-form", "/form") }
func (v *visitor) toHome() { v.T.Helper(); v.follow("#to-home", "/") }

// travel goes "back" or "forward", within the document that is there.
func (v *visitor) travel(direction, path string) {
	v.T.Helper()
	v.Travel(direction)
	v.arriveInPlace(path)
}

func (v *visitor) arriveInPlace(path string) {
	v.T.Helper()
	v.arrive(path)
	if !testenv.Eval[bool](v.Visitor, `window.marked === true`) {
		v.T.Errorf("%s has loaded %s in full", v.site.name, path)
	}
}

// choose is what a consent platform does when the visitor has chosen.
func (v *visitor) choose(choice string) {
	v.T.Helper()
	testenv.Eval[bool](v.Visitor, `(document.cookie = 'cookie_consent=`+choice+`; path=/', true)`)
}

const (
	accepted = "accepted"
	refused  = "refused"
)

// bound are the stand-in's renderings for the form that is shown.
const bound = `(window.KapaStandIn?.log ?? []).filter(({ event, elements, missing }) => event === 'render' && missing.length === 0
	&& elements['submit-element'] === document.querySelector('#support-form')
	&& elements['main-input'] === document.querySelector('#description'))`

// wantDeflector waits for the deflector at the form that is shown, and sees that
// it is the only one, and that it was never started without a form.
func (v *visitor) wantDeflector() {
	v.T.Helper()
	v.WaitFor(bound + `.length > 0`)
	v.wantOneDeflector()
	if v.host == beside {
		v.WaitFor(testenv.Visible("#kapa-stand-in-info"))
	}
}

func (v *visitor) wantOneDeflector() {
	v.T.Helper()
	type state struct{ Tags, Runs, Bound, InVain int }
	got := testenv.Eval[state](v.Visitor, `(() => {
		const { log } = KapaStandIn;
		return {
			Tags: document.querySelectorAll(`+testenv.Quote(testenv.TagSelector)+`).length,
			Runs: log.filter(({ event }) => event === 'start' || event === 'ignored').length,
			Bound: `+bound+`.length,
			InVain: log.filter(({ event, missing }) => event === 'render' && missing.length > 0).length,
		};
	})()`)
	if want := (state{Tags: 1, Runs: 1, Bound: 1}); got != want {
		v.T.Errorf("on %s: %+v, want %+v", v.Path(), got, want)
	}
}

// wantNoDeflector waits until the loader has its answer, and sees that nothing comes
// of it.
func (v *visitor) wantNoDeflector() {
	v.T.Helper()
	if v.host != without {
		v.WaitFor(`performance.getEntriesByType('resource').some(({ name, responseEnd }) => name.includes('kapa_deflector=') && responseEnd)`)
	}
	v.WantNoTag()
	v.WantNoID()
}

// wantSentAtOnce sends the form as it is, and nothing intercepts it.
func (v *visitor) wantSentAtOnce() {
	v.T.Helper()
	v.Click(testenv.SendButton)
	v.wantSent()
}

// wantAnswered sends the form as it is, and the deflector intercepts it.
func (v *visitor) wantAnswered() {
	v.T.Helper()
	v.Click(testenv.SendButton)
	v.wantAnswer("visitor@example.com")
	v.Screenshot("answered")
	v.Click("#kapa-stand-in-send")
	v.wantSent()
	if got := testenv.Eval[int](v.Visitor, `KapaStandIn.log.filter(({ event }) => event === 'question').length`); got != 1 {
		v.T.Errorf("the deflector has asked %d times", got)
	}
}

// wantAnswer waits for the deflector's answer, and checks whose question Kapa
// would have been told it is.
func (v *visitor) wantAnswer(email string) {
	v.T.Helper()
	v.WaitFor(testenv.Visible("#kapa-stand-in-send"))
	v.wantOneDeflector()
	if v.Sent("POST") != 0 {
		v.T.Error("the form was sent before the visitor said so")
	}
	got := testenv.Eval[string](v.Visitor, `(({ question, id, user }) => JSON.stringify({ question, id, user }))(KapaStandIn.log.findLast(({ event }) => event === 'question'))`)
	told := ""
	if email != "" {
		told = fmt.Sprintf(`,"email":%q`, email)
	}
	want := fmt.Sprintf(`{"question":%q,"id":%q,"user":{"uniqueClientId":"7"%s}}`, testenv.LongQuestion, v.ID().Value, told)
	if got != want {
		v.T.Errorf("Kapa is told\n%s, want\n%s", got, want)
	}
}

// wantSent waits until the form has arrived, and the framework shows what follows.
func (v *visitor) wantSent() {
	v.T.Helper()
	v.arrive("/tickets/thanks")
	v.WantSent("/tickets", testenv.LongQuestion)
}

// leaveAndRestore goes to another page, chooses there, and comes back to the
// document as it was.
func (v *visitor) leaveAndRestore(choice string) {
	v.T.Helper()
	testenv.Eval[bool](v.Visitor, `(addEventListener('pageshow', ({ persisted }) => { window.restored = persisted }), true)`)
	v.Open(v.caddy.Edge(v.host, "/elsewhere"))
	if choice != "" {
		v.choose(choice)
	}
	v.Travel("back")
	v.arrive("/form")
	if !testenv.Eval[bool](v.Visitor, `window.restored === true`) {
		testenv.Missing(v.T, "browser that restores a page as it was left", testenv.BrowserHelp)
	}
}
