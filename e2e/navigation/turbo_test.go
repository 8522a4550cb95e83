package navigation

import (
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/chromedp/cdproto/input"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// Turbo Drive follows links by fetching pages and showing them in the document
// that is there already, in which no tag would come to run. These are the visits
// of a site that has the real library.

// turboOrigin serves the site. The form is at /form.
func turboOrigin(t *testing.T) (address string) {
	t.Helper()
	library, err := os.ReadFile(testenv.Module(t, "@hotwired", "turbo", "dist", "turbo.es2017-umd.js"))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	script := func(path, text string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, text)
		})
	}
	script("/turbo.js", string(library))
	script(testenv.StandIn, "window.KapaSFD = {}; window.ran = (window.ran ?? 0) + 1;")
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { writeTurboPage(w, http.StatusOK, r.URL.Path) })
	mux.HandleFunc("POST /invalid", func(w http.ResponseWriter, _ *http.Request) {
		writeTurboPage(w, http.StatusUnprocessableEntity, "/form, to be corrected")
	})
	mux.HandleFunc("POST /valid", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/form", http.StatusSeeOther)
	})
	return testenv.Serve(t, mux)
}

func writeTurboPage(w http.ResponseWriter, status int, title string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, turboPage(title))
}

func turboPage(title string) string {
	return `<!doctype html><html><head><title>` + title + `</title><link rel="icon" href="data:,">
<script src="/turbo.js" defer></script></head><body><h1>` + title + `</h1>
<p><a id="to-home" href="/">home</a> <a id="to-article" href="/article">an article</a>
<a id="to-form" href="/form">the form</a> <a id="to-field" href="/form#description">its field</a></p>
<turbo-frame id="part"><p id="part-of">` + title + `</p><a id="in-frame" href="/form">the form, in here</a></turbo-frame>
<form method="post"><textarea id="description"></textarea>
<button id="invalid" formaction="/invalid">send</button> <button id="valid" formaction="/valid">send</button></form>
</body></html>`
}

func turboCaddy(t *testing.T) *testenv.Caddy {
	t.Helper()
	origin := turboOrigin(t)
	return testenv.StartCaddy(t, `
http://`+testenv.Support+`:{$EDGE_PORT} {
	kapa_deflector {`+testenv.Required+`
		pages /form /invalid
		script `+testenv.StandIn+`
		consent cookie cookie_consent accepted
	}
	reverse_proxy `+origin+`
}
http://localhost:{$EDGE_PORT} {
	respond "up"
}`)
}

// turboVisitor is on a page of the site.
type turboVisitor struct {
	*testenv.Visitor
	caddy *testenv.Caddy
}

func newTurboVisitor(t *testing.T, c *testenv.Caddy, choice string) *turboVisitor {
	t.Helper()
	v := &turboVisitor{testenv.NewVisitor(t), c}
	v.Open(c.Edge(testenv.Support, "/"))
	if choice != "" {
		testenv.Eval[bool](v.Visitor, `(document.cookie = 'cookie_consent=`+choice+`; path=/', true)`)
		testenv.Eventually(t, "the choice is kept", func() bool { return len(v.Cookies("cookie_consent")) == 1 })
	}
	v.arrive("/", true)
	return v
}

// arrive waits until the page with this title is shown, loaded in full or put by
// Turbo into the document that was there, which has the mark of the last arrival.
func (v *turboVisitor) arrive(title string, loaded bool) {
	v.T.Helper()
	there := `document.readyState === 'complete' && document.querySelector('h1').textContent === ` + testenv.Quote(title) + `
		&& !document.documentElement.hasAttribute('data-turbo-preview') && !document.documentElement.hasAttribute('aria-busy')`
	what := "Turbo shows "
	if loaded {
		what, there = "the browser loads ", there+` && !window.marked`
	} else {
		there += ` && window.marked`
	}
	v.Await(what+title, there)
	testenv.Eval[bool](v.Visitor, `window.marked = true`)
}

// wantUntouched checks that the last answer from there is the origin's.
func (v *turboVisitor) wantUntouched(method, path, title string) {
	v.T.Helper()
	r := v.Last(method, v.caddy.Edge(testenv.Support, path))
	if r.Field("X-Turbo-Request-Id") == "" {
		v.T.Errorf("it was not Turbo that asked for %s", path)
	}
	if body := v.Answer(r); body != turboPage(title) {
		v.T.Errorf("%s is not the origin's:\n%s", path, body)
	}
}

// wantRunning checks that the page has one tag, whose script has run once.
func (v *turboVisitor) wantRunning() {
	v.T.Helper()
	v.WantTag()
	if tags := testenv.Eval[int](v.Visitor, `document.querySelectorAll(`+testenv.Quote(testenv.TagSelector)+`).length`); tags != 1 {
		v.T.Errorf("there are %d tags", tags)
	}
	if ran := testenv.Eval[int](v.Visitor, `window.ran`); ran != 1 {
		v.T.Errorf("the script ran %d times", ran)
	}
}

func TestTurbo(t *testing.T) {
	t.Parallel()
	c := turboCaddy(t)
	t.Run("with consent the form is loaded in full", func(t *testing.T) {
		t.Parallel()
		v := newTurboVisitor(t, c, "accepted")
		v.Click("#to-article")
		v.arrive("/article", false) // the site is one of Turbo's
		v.WantNoTag()
		v.WantNoID()
		v.Click("#to-form")
		v.arrive("/form", true)
		v.wantRunning()
		v.ID()
		if last := v.Last(http.MethodGet, c.Edge(testenv.Support, "/form")); last.Field("Sec-Fetch-Dest") != "document" {
			t.Errorf("the form came by a request for %q", last.Field("Sec-Fetch-Dest"))
		}
	})
	t.Run("a link to a place in the form's page", func(t *testing.T) {
		t.Parallel()
		v := newTurboVisitor(t, c, "accepted")
		v.Click("#to-field")
		v.arrive("/form", true)
		v.wantRunning()
		v.ID()
	})
	t.Run("a link that Turbo has fetched ahead", func(t *testing.T) {
		t.Parallel()
		v := newTurboVisitor(t, c, "accepted")
		v.hover("#to-form")
		if ahead := v.Last(http.MethodGet, c.Edge(testenv.Support, "/form")); ahead.Field("X-Sec-Purpose") != "prefetch" {
			t.Fatalf("Turbo has not fetched it ahead: %v", ahead.Header)
		}
		v.WantNoID()
		v.Click("#to-form")
		v.arrive("/form", true)
		v.wantRunning()
		v.ID()
	})
	t.Run("within the site, back and forward", func(t *testing.T) {
		t.Parallel()
		v := newTurboVisitor(t, c, "accepted")
		v.Click("#to-form")
		v.arrive("/form", true)
		v.wantRunning()
		v.Click("#to-article")
		v.arrive("/article", false)
		v.Travel("back")
		v.arrive("/form", false)
		v.wantRunning()
		v.Travel("forward")
		v.arrive("/article", false)
		v.Click("#to-form")
		v.arrive("/form", true)
		v.wantRunning()
	})
	t.Run("the form anew, by a link to it or by a refresh, is loaded in full", func(t *testing.T) {
		t.Parallel()
		v := newTurboVisitor(t, c, "accepted")
		v.Click("#to-form")
		v.arrive("/form", true)
		v.Click("#to-form")
		v.arrive("/form", true) // Turbo would put another form in place of the one that the script knows
		v.wantRunning()
		v.refresh()
		v.arrive("/form", true) // which the edge cannot tell from the link
		v.wantRunning()
	})
	t.Run("a frame is left alone", func(t *testing.T) {
		t.Parallel()
		v := newTurboVisitor(t, c, "accepted")
		v.Click("#in-frame")
		v.WaitFor(`document.querySelector('#part-of').textContent === '/form'`)
		v.arrive("/", false)
		v.wantUntouched(http.MethodGet, "/form", "/form")
		v.WantNoTag()
		v.WantNoID()
	})
	t.Run("a form that was answered with 422 stays on the page", func(t *testing.T) {
		t.Parallel()
		v := newTurboVisitor(t, c, "accepted")
		v.Click("#to-form")
		v.arrive("/form", true)
		v.wantRunning()
		v.Expect("status 422: "+c.Edge(testenv.Support, "/invalid"), "status of 422 (Unprocessable Entity) ("+c.Edge(testenv.Support, "/invalid"))
		v.Click("#invalid")
		v.arrive("/form, to be corrected", false)
		v.wantUntouched(http.MethodPost, "/invalid", "/form, to be corrected")
		v.wantRunning() // still
	})
	t.Run("a form that leads to one of the pages", func(t *testing.T) {
		t.Parallel()
		v := newTurboVisitor(t, c, "accepted")
		v.Click("#valid")
		v.arrive("/form", true)
		v.wantRunning()
		v.ID()
	})

	for _, choice := range []string{"", "refused"} {
		t.Run("without consent Turbo shows the origin's page, "+choice, func(t *testing.T) {
			t.Parallel()
			v := newTurboVisitor(t, c, choice)
			v.Click("#to-form")
			v.arrive("/form", false)
			v.wantUntouched(http.MethodGet, "/form", "/form")
			v.WantNoTag()
			v.WantNoID()
			v.refresh()
			v.WaitFor(`window.refreshed`)
			v.arrive("/form", false)
			v.wantUntouched(http.MethodGet, "/form", "/form")
			v.Click("#to-home")
			v.arrive("/", false)
			v.Travel("back")
			v.arrive("/form", false)
			v.WantNoTag()
		})
		t.Run("consent on the form counts with a link to the form itself, "+choice, func(t *testing.T) {
			t.Parallel()
			v := newTurboVisitor(t, c, choice)
			v.Click("#to-form")
			v.arrive("/form", false)
			testenv.Eval[bool](v.Visitor, `(document.cookie = 'cookie_consent=accepted; path=/', true)`)
			v.Click("#to-form")
			v.arrive("/form", true)
			v.wantRunning()
			v.ID()
		})
	}
}

// hover points at something, for as long as Turbo wants it.
func (v *turboVisitor) hover(selector string) {
	v.T.Helper()
	at := testenv.Eval[struct{ X, Y float64 }](v.Visitor, `(() => {
		const r = document.querySelector(`+testenv.Quote(selector)+`).getClientRects()[0];
		return { X: r.x + r.width / 2, Y: r.y + r.height / 2 };
	})()`)
	testenv.Send(v.Visitor, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: at.X, Y: at.Y})
}

// refresh has Turbo show the page as it is by now, by changing what is there.
func (v *turboVisitor) refresh() {
	v.T.Helper()
	testenv.Eval[bool](v.Visitor, `(() => {
		window.refreshed = false;
		addEventListener('turbo:load', () => { window.refreshed = true }, { once: true });
		setTimeout(() => Turbo.session.refresh(location.href, { method: 'morph' }));
		return true;
	})()`)
}
