package loader

import (
	"io"
	"net/http"
	"testing"

	"github.com/chromedp/cdproto/network"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// A choice counts on the page on which it is made.
func TestConsentOnTheForm(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", http.NotFoundHandler())
	const form = "/tickets/new"

	everyBrowser(t, "accepting brings the deflector to the next submit", func(t *testing.T, prepare func(*visitor)) {
		t.Parallel()
		v := e.visitor(t, form)
		prepare(v)
		v.arrive()
		v.wantAsked(1, "undecided")
		v.wantNothing()
		v.FillIn(testenv.LongQuestion)
		v.Click(".consent-accept")
		v.wantDeflector(1)
		v.Click(".consent-close")
		v.Screenshot("accepted")
		id := v.ID()
		if id.HTTPOnly || id.SameSite != network.CookieSameSiteLax || id.Domain != ".acme.localhost" {
			t.Errorf("the id is %s", testenv.AsJSON(id))
		}
		v.Click(testenv.SendButton)
		v.WaitFor(testenv.Visible("#kapa-stand-in-send"))
		v.mustBeMarked()
		if v.Sent("POST") != 0 {
			t.Error("the form was sent before the visitor said so")
		}
		v.WantID(id.Value)
		v.wantRenders(1)
		v.wantAsked(2, "in the end")
		v.Follow("#kapa-stand-in-send")
		v.WantSent("/tickets", testenv.LongQuestion)
	})

	everyBrowser(t, "refusing brings nothing", func(t *testing.T, prepare func(*visitor)) {
		t.Parallel()
		v := e.visitor(t, form)
		prepare(v)
		v.arrive()
		v.awaitAsked(v.uri, 1, "undecided")
		v.Click(".consent-refuse")
		v.wantAsked(2, "refused")
		v.run(`for (const name of ['focus', 'pageshow', 'visibilitychange']) dispatchEvent(new Event(name))`)
		v.Click(".consent-close")
		v.FillIn(testenv.LongQuestion)
		v.wantAsked(2, "while nothing changes")
		v.wantNothing()
		v.Follow(testenv.SendButton)
		v.WantSent("/tickets", testenv.LongQuestion)
		v.wantAsked(2, "after the form was sent")
	})

	t.Run("consent that was given before counts with one question", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, form)
		v.have(yes)
		v.WantNoID()
		v.arrive()
		v.wantDeflector(1)
		id := v.ID().Value
		v.Ask()
		v.wantRenders(1)
		v.WantID(id)
		v.wantAsked(1, "in the end")
		v.wantAnswer("injected")
	})

	t.Run("a refusal from before takes an id away", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, form)
		v.have(no)
		v.arrive()
		v.set("kapa_web_id=6d3c4bd8-29c3-4b8c-8b0e-6fda0b1d4a6f; Path=/; Domain=acme.localhost")
		v.wantIDGone()
		v.WantNoTag()
	})

	t.Run("a refusal from before takes an id away that is written while the edge answers", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, form)
		v.have(no)
		v.before(`
			const real = fetch;
			window.fetch = async (...question) => {
				window.fetch = real;
				const answer = await real(...question);
				document.cookie = 'kapa_web_id=6d3c4bd8-29c3-4b8c-8b0e-6fda0b1d4a6f; Path=/; Domain=acme.localhost';
				return answer;
			}`)
		v.arrive()
		v.wantAsked(2, "with an id")
		v.WantNoID()
	})

	everyBrowser(t, "other cookies are of no interest", func(t *testing.T, prepare func(*visitor)) {
		t.Parallel()
		v := e.visitor(t, form)
		prepare(v)
		v.arrive()
		v.wantAsked(1, "undecided")
		for _, cookie := range []string{"theme=dark", "theme=light", "cookie_consent2=accepted", "my_cookie_consent=accepted", "theme=cookie_consent=accepted", "theme=; Max-Age=0"} {
			v.set(cookie)
		}
		v.wantAsked(1, "other cookies")
		v.set(yes)
		v.wantDeflector(1)
		v.wantAsked(2, "the cookie")
	})

	t.Run("there is at most one question a second", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, form)
		v.arrive()
		v.awaitAsked(v.uri, 1, "undecided")
		seconds := testenv.Eval[float64](v.Visitor, `(async () => {
			const began = performance.now();
			for (let i = 0; i < 200; i++) {
				await cookieStore.set({ name: 'cookie_consent', value: 'no answer ' + i });
				await new Promise((done) => setTimeout(done, 10));
			}
			return (performance.now() - began) / 1000;
		})()`)
		got := len(e.Questions(v.uri))
		if got < 2 || got > int(seconds)+2 {
			t.Errorf("%d questions in %.1f seconds of changes", got, seconds)
		}
		t.Logf("%d questions in %.1f seconds, in which the cookie changed 200 times", got, seconds)
		v.set(yes)
		v.wantDeflector(1)
	})

	everyBrowser(t, "without a network the question waits for it", func(t *testing.T, prepare func(*visitor)) {
		t.Parallel()
		v := e.visitor(t, form)
		prepare(v)
		v.Expect("net::ERR_INTERNET_DISCONNECTED")
		v.arrive()
		v.awaitAsked(v.uri, 1, "undecided")
		v.offline(true)
		v.set(yes)
		testenv.Eventually(t, "the question fails", func() bool { return v.Problems() > 0 })
		v.wantAsked(1, "offline")
		v.WantNoTag()
		failed := v.Problems()
		v.offline(false)
		v.wantDeflector(1)
		v.ID()
		v.wantAsked(2, "online")
		if now := v.Problems(); now != failed {
			t.Errorf("it was asked again and again: %d failures, then %d", failed, now)
		}
	})

	t.Run("an answer of something else than the edge is none", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, form)
		v.arrive()
		v.awaitAsked(v.uri, 1, "undecided")
		v.run(`
			const real = fetch;
			window.fetch = async () => {
				window.fetch = real;
				window.failed = true;
				return new Response('', { status: 503 });
			}`)
		v.set(yes)
		v.WaitFor(`window.failed`)
		v.wantAsked(1, "503")
		v.WantNoTag()
		v.run(`dispatchEvent(new Event('focus'))`)
		v.wantDeflector(1)
		v.wantAsked(2, "the edge is back")
	})

	t.Run("a choice counts though a question has no answer yet", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, form)
		v.arrive()
		v.awaitAsked(v.uri, 1, "undecided")
		v.run(`
			const real = fetch;
			window.fetch = (...question) => new Promise((go) => window.release = go).then(() => {
				window.fetch = real;
				return real(...question);
			})`)
		v.set(no)
		v.WaitFor(`window.release`)
		v.set(yes)
		v.wantAsked(1, "without an answer")
		v.run(`release()`)
		v.wantDeflector(1)
		v.ID()
	})

	t.Run("a banner may load the page again at once", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, form)
		v.arrive()
		v.run(`document.cookie = ` + testenv.Quote(yes) + `; setTimeout(() => location.reload())`)
		v.mustBeReloaded()
		v.wantDeflector(1)
		v.ID()
		before := len(e.Questions(v.uri))
		v.wantAsked(before, "after the reload")
	})
}

// Where scripts see no consent cookie, because it is HttpOnly, the edge is asked again
// when the visitor comes back to the page.
func TestConsentThatScriptsCannotSee(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/own/accept":
			w.Header().Set("Set-Cookie", yes+"; HttpOnly")
		case "/own/refuse":
			w.Header().Set("Set-Cookie", no+"; HttpOnly")
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, testenv.FormPage("", ""))
		}
	}))
	for _, event := range []string{`dispatchEvent(new Event('focus'))`, `dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))`, `document.dispatchEvent(new Event('visibilitychange'))`} {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			v := e.visitor(t, "/own/page/form")
			v.arrive()
			v.wantAsked(1, "undecided")
			v.run(`await fetch('/own/accept')`)
			v.wantAsked(1, "nobody tells the page")
			v.WantNoTag()
			v.run(event)
			v.wantDeflector(1)
			v.ID()
			v.wantAsked(2, "seen again")
			v.run(event)
			v.wantAsked(3, "and again, with the same answer")
			v.wantRenders(1)

			v.run(`await fetch('/own/refuse'); ` + event)
			v.mustBeReloaded()
			v.wantNothing()
		})
	}

	t.Run("the focus of an element is nothing", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, "/own/page/form")
		v.arrive()
		v.wantAsked(1, "undecided")
		v.FillIn(testenv.LongQuestion)
		v.wantAsked(1, "three fields later")
	})

	t.Run("many events make one question a second", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, "/own/page/form")
		v.arrive()
		v.wantAsked(1, "undecided")
		v.run(`for (let i = 0; i < 100; i++) dispatchEvent(new Event('focus'))`)
		v.wantAsked(2, "all at once")
	})
}

// Without a consent cookie to look for there is nothing to ask again for.
func TestConsentIsNotRequired(t *testing.T) {
	t.Parallel()
	e := newEdge(t, "\n\t\tconsent not_required"+pagesLine+"\n\t\tloader load", http.NotFoundHandler())
	v := e.visitor(t, "/tickets/new")
	v.arrive()
	v.wantDeflector(1)
	v.ID()
	v.set(no)
	v.wantAsked(1, "a cookie that is none of its business")
	v.run(`dispatchEvent(new Event('focus'))`)
	v.wantAsked(1, "seen again")
	v.wantRenders(1)
}

// Visitors without consent get the deflector with Kapa's identifiers switched off.
func TestUntracked(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\twithout_consent untracked\n\t\tloader load", http.NotFoundHandler())
	v := e.visitor(t, "/tickets/new")
	v.arrive()
	v.wantDeflector(1)
	attributes := testenv.Eval[map[string]string](v.Visitor, `KapaStandIn.log[0].attributes`)
	for _, name := range []string{"data-user-analytics-cookie-enabled", "data-user-analytics-fingerprint-enabled"} {
		if attributes[name] != "false" {
			t.Errorf("%s is %q", name, attributes[name])
		}
	}
	v.Ask()
	v.WantNoID()
	v.set(no)
	v.wantAsked(2, "refused")
	v.mustBeMarked()
	v.WantNoID()
}

// A browser with Global Privacy Control is asked nothing, where it is honoured. Chromium
// has no switch for it.
func TestGlobalPrivacyControl(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		line    string
		honours bool
	}{{"honor_gpc on", true}, {"honor_gpc off", false}} {
		t.Run(tc.line, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load\n\t\t"+tc.line, pages{"form": testenv.FormPage("", "")})
			v := e.visitor(t, "/own/page/form")
			v.have(yes)
			testenv.Send(v.Visitor, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Sec-GPC": "1"}})
			v.before(`
				Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { value: true });
				window.readings = [];
				for (const name of ['cookie', 'hidden', 'readyState', 'currentScript']) {
					const { get, set } = Object.getOwnPropertyDescriptor(Document.prototype, name);
					Object.defineProperty(Document.prototype, name, { set, get() {
						readings.push(name);
						return get.call(this);
					} });
				}`)
			v.arrive()
			if !tc.honours {
				v.wantDeflector(1)
				v.ID()
				return
			}
			v.wantAsked(0, "under Global Privacy Control")
			v.wantNothing()
			if read := testenv.Eval[[]string](v.Visitor, `readings`); len(read) > 0 {
				t.Errorf("the loader has read %q", read)
			}
			v.set(no)
			v.set(yes)
			v.run(`for (const name of ['focus', 'pageshow', 'visibilitychange']) dispatchEvent(new Event(name))`)
			v.wantAsked(0, "whatever changes")
			v.wantNothing()
		})
	}
}

// Browsers withhold SameSite=Strict cookies from the page that a link on another site
// leads to. The question comes from the page itself.
func TestArrivalFromAnotherSite(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", http.NotFoundHandler())
	for name, tc := range map[string]struct {
		cookie    string
		deflector bool
	}{
		"accepted, SameSite=Strict": {yes + "; SameSite=Strict", true},
		"refused":                   {no, false},
		"undecided":                 {"theme=dark", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := e.visitor(t, "/tickets/new")
			v.have(tc.cookie)
			v.Open(testenv.OtherSite(t, v.url))
			v.Follow("a")
			v.mark()
			v.wantAsked(1, "from another site")
			if !tc.deflector {
				v.wantNothing()
				return
			}
			v.wantDeflector(1)
			v.ID()
			if sent := e.Requests(v.uri)[0].Request.Headers.Get("Cookie"); sent != "" {
				t.Errorf("with the page, the edge was shown %d bytes of cookies", len(sent))
			}
		})
	}
}
