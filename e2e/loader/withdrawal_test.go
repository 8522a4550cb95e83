package loader

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// A withdrawal takes the id away at once. A script that runs cannot be stopped: the page
// is loaded again if that loses nothing.
func TestWithdrawal(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", pages{"empty": empty("")})
	const form = "/tickets/new"
	accepted := func(t *testing.T, path string, prepare func(*visitor)) *visitor {
		t.Helper()
		v := e.visitor(t, path)
		prepare(v)
		v.have(yes)
		v.arrive()
		if strings.HasPrefix(path, "/own/page/empty") {
			v.run(`draw()`)
		}
		v.wantDeflector(1)
		v.ID()
		return v
	}
	asItComes := func(*visitor) {}

	everyBrowser(t, "with the form untouched, the page is loaded again", func(t *testing.T, prepare func(*visitor)) {
		t.Parallel()
		v := accepted(t, form, prepare)
		v.ChangeMind()
		v.Click(".consent-refuse")
		v.mustBeReloaded()
		v.wantIDGone()
		v.wantAsked(3, "accepted, withdrawn, loaded again")
		v.mustBeMarked() // it was loaded again once
		v.wantNothing()
		v.FillIn(testenv.LongQuestion)
		v.Follow(testenv.SendButton)
		v.WantSent("/tickets", testenv.LongQuestion)
	})

	everyBrowser(t, "once the visitor has typed, the page stays, and the id is taken again when Kapa's script writes one", func(t *testing.T, prepare func(*visitor)) {
		t.Parallel()
		v := accepted(t, form, prepare)
		v.Write("#description", "What I have typed so far")
		v.Refuse()
		v.wantIDGone()
		v.mustBeMarked()
		if got := testenv.Eval[string](v.Visitor, `document.querySelector('#description').value`); got != "What I have typed so far" {
			t.Errorf("in the form there is %q", got)
		}

		v.run(`
			window.written = 0;
			const cookie = Object.getOwnPropertyDescriptor(Document.prototype, 'cookie');
			Object.defineProperty(document, 'cookie', {
				get() { return cookie.get.call(this); },
				set(text) {
					if (/^kapa_web_id=[^;]/.test(text)) written++;
					cookie.set.call(this, text);
				},
			})`)
		for n := range 2 {
			v.Ask()
			v.WaitFor(fmt.Sprintf(`written > %d`, n))
			v.wantIDGone()
			v.mustBeMarked()
		}
		v.Follow("#kapa-stand-in-send")
		v.WantSent("/tickets", testenv.LongQuestion)
		v.WantNoID()
	})

	t.Run("a field elsewhere on the page counts as typed, and a checkbox does not", func(t *testing.T) {
		t.Parallel()
		for field, typed := range map[string]bool{`<input id="other">`: true, `<input id="other" type="checkbox">`: false} {
			v := accepted(t, "/own/page/empty", asItComes)
			v.run(`document.body.insertAdjacentHTML('beforeend', ` + testenv.Quote(field) + `)`)
			v.Click("#other")
			v.Press("x")
			v.set(no)
			v.wantIDGone()
			if typed {
				v.wantAsked(2, "typed")
				v.mustBeMarked()
			} else {
				v.mustBeReloaded()
			}
		}
	})

	t.Run("a form that is drawn later gets no deflector", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty", asItComes)
		v.Write("#description", "typed")
		v.set(no)
		v.wantIDGone()
		v.run(`remove(); draw()`)
		v.wantAsked(2, "another form")
		v.wantRenders(1)
		v.FillIn(testenv.LongQuestion)
		v.Follow(testenv.SendButton)
		v.WantSent("/tickets", testenv.LongQuestion)
		v.WantNoID()
	})

	t.Run("accepting again brings a new id, and the deflector for a new form", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty", asItComes)
		first := v.ID().Value
		v.Write("#description", "typed")
		v.set(no)
		v.wantIDGone()
		v.set(yes)
		testenv.Eventually(t, "there is an id", func() bool { return len(v.Cookies(testenv.IDCookie)) == 1 })
		if v.ID().Value == first {
			t.Error("the id that was withdrawn is back")
		}
		v.wantAsked(3, "yes, no, yes")
		v.wantDeflector(1)
		v.run(`remove(); draw()`)
		v.wantDeflector(2)
	})

	everyBrowser(t, "on a page without the form, the id goes", func(t *testing.T, prepare func(*visitor)) {
		t.Parallel()
		v := e.visitor(t, "/")
		prepare(v)
		v.have(yes)
		v.Open(e.Edge(testenv.Support, form))
		v.mark()
		v.wantDeflector(1)
		v.arrive()
		v.wantAsked(0, "without a form")
		v.ID()
		v.Refuse()
		v.wantIDGone()
		v.wantAsked(1, "withdrawn")
		v.wantAnswer("other_page")
		v.mustBeMarked()
	})

	t.Run("after client-side navigation to a page outside pages, the id goes", func(t *testing.T) {
		t.Parallel()
		for _, typed := range []bool{false, true} {
			v := accepted(t, "/own/page/empty", asItComes)
			if typed {
				v.Write("#description", "typed")
			}
			uri := strings.Replace(v.uri, "/own/page/empty", "/elsewhere", 1)
			v.run(`remove(); history.pushState(null, '', ` + testenv.Quote(uri) + `)`)
			v.wantAskedAt(uri, 0, "still granted")
			if !typed { // it is not one of the origin's, so the visitor must not see it loaded
				v.run(`history.replaceState(null, '', ` + testenv.Quote(strings.Replace(v.uri, "/empty", "/empty/elsewhere", 1)) + `)`)
			}
			v.set(no)
			v.wantIDGone()
			if typed {
				v.wantAskedAt(uri, 1, "withdrawn")
				v.mustBeMarked()
			} else {
				v.Await("the page is loaded again", `!window.marked && document.readyState === 'complete'`)
			}
			v.WantNoID()
		}
	})

	t.Run("which another tab brings", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, form, asItComes)
		other := v.AnotherTab()
		other.Open(e.Edge(testenv.Support, "/"))
		testenv.Eval[string](other, `document.cookie = `+testenv.Quote(no))
		v.wantIDGone()
		v.mustBeReloaded()
		v.wantNothing()
	})
}

// What the edge gave for kapaSettings goes, and what the site has set stays.
func TestWithdrawalTakesTheUserAway(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+`
		user {
			email a@example.com
			unique_client_id "7"
			metadata plan basic
			metadata team help
		}
		loader load`, pages{"form": testenv.FormPage(`<script>window.kapaSettings = { user: { own: 1, metadata: { own: 2 } } }</script>`, "")})
	v := e.visitor(t, "/own/page/form")
	v.have(yes)
	v.arrive()
	v.wantDeflector(1)
	v.WaitFor(`kapaSettings.user.email === 'a@example.com' && kapaSettings.user.metadata.team === 'help'`)
	v.Write("#description", "typed")
	v.run(`kapaSettings.user.metadata.plan = "the site's own"`)
	v.set(no)
	v.wantIDGone()
	v.WaitFor(`!('email' in kapaSettings.user)`)
	if got, want := testenv.Eval[string](v.Visitor, `JSON.stringify(kapaSettings)`), `{"user":{"own":1,"metadata":{"own":2,"plan":"the site's own"}}}`; got != want {
		t.Errorf("kapaSettings is %s\nwant %s", got, want)
	}
	v.mustBeMarked()
}
