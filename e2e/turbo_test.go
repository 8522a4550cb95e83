package e2e

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Turbo Drive follows links by fetching pages and showing them in the document
// that is there already, in which no tag would come to run. These are the visits
// of a site that has the real library.

// The same site without live_consent, and with it.
const (
	turboPlain = support
	turboLive  = docs
)

// turboOrigin serves the site. The form is at /form.
func turboOrigin(t *testing.T) (address string) {
	t.Helper()
	library, err := os.ReadFile(filepath.Join("node_modules", "@hotwired", "turbo", "dist", "turbo.es2017-umd.js"))
	if err != nil {
		missing(t, "Turbo", "run npm --prefix e2e ci")
	}
	mux := http.NewServeMux()
	script := func(path, text string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, text)
		})
	}
	script("/turbo.js", string(library))
	script(standIn, "window.KapaSFD = {}; window.ran = (window.ran ?? 0) + 1;")
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { writeTurboPage(w, http.StatusOK, r.URL.Path) })
	mux.HandleFunc("POST /invalid", func(w http.ResponseWriter, _ *http.Request) {
		writeTurboPage(w, http.StatusUnprocessableEntity, "/form, to be corrected")
	})
	mux.HandleFunc("POST /valid", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/form", http.StatusSeeOther)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
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

func turboCaddy(t *testing.T) *caddy {
	t.Helper()
	origin := turboOrigin(t)
	site := func(host, lines string) string {
		return `
http://` + host + `:{$EDGE_PORT} {
	kapa_deflector {` + required + `
		pages /form /invalid
		script ` + standIn + `
		consent cookie cookie_consent accepted
		` + lines + `
	}
	reverse_proxy ` + origin + `
}
`
	}
	return ownCaddy(t, site(turboPlain, "")+site(turboLive, "live_consent")+`
http://localhost:{$EDGE_PORT} {
	respond "up"
}`)
}

// turboVisitor is on a page of the site.
type turboVisitor struct {
	*visitor
	caddy *caddy
	host  string
}

func newTurboVisitor(t *testing.T, c *caddy, host, choice string) *turboVisitor {
	t.Helper()
	v := &turboVisitor{newVisitor(t), c, host}
	v.open(c.edge(host, "/"))
	if choice != "" {
		eval[bool](v.visitor, `(document.cookie = 'cookie_consent=`+choice+`; path=/', true)`)
		eventually(t, "the choice is kept", func() bool { return len(v.cookies(c, "cookie_consent")) == 1 })
	}
	v.arrive("/", true)
	return v
}

// arrive waits until the page with this title is shown, loaded in full or put by
// Turbo into the document that was there, which has the mark of the last arrival.
func (v *turboVisitor) arrive(title string, loaded bool) {
	v.t.Helper()
	there := `document.readyState === 'complete' && document.querySelector('h1').textContent === ` + quote(title) + `
		&& !document.documentElement.hasAttribute('data-turbo-preview') && !document.documentElement.hasAttribute('aria-busy')`
	what := "Turbo shows "
	if loaded {
		what, there = "the browser loads ", there+` && !window.marked`
	} else {
		there += ` && window.marked`
	}
	eventually(v.t, what+title, func() bool {
		ctx, cancel := context.WithTimeout(v.ctx, patience)
		defer cancel()
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+there+")"))
		return err == nil && ok // no page answers while it is being left
	})
	eval[bool](v.visitor, `window.marked = true`)
}

// wantUntouched checks that the last answer from there is the origin's.
func (v *turboVisitor) wantUntouched(method, path, title string) {
	v.t.Helper()
	r := v.last(method, v.caddy.edge(v.host, path))
	if r.field("X-Turbo-Request-Id") == "" {
		v.t.Errorf("it was not Turbo that asked for %s", path)
	}
	body := string(send(v.visitor, network.GetResponseBody, network.GetResponseBodyParams{RequestID: r.id}).Body)
	if body != turboPage(title) {
		v.t.Errorf("%s is not the origin's:\n%s", path, body)
	}
}

// wantRunning checks that the page has one tag, whose script has run once.
func (v *turboVisitor) wantRunning() {
	v.t.Helper()
	v.wantTag()
	if tags := eval[int](v.visitor, `document.querySelectorAll(`+quote(tagSelector)+`).length`); tags != 1 {
		v.t.Errorf("there are %d tags", tags)
	}
	if ran := eval[int](v.visitor, `window.ran`); ran != 1 {
		v.t.Errorf("the script ran %d times", ran)
	}
}

func (v *turboVisitor) hasWatcher() bool {
	v.t.Helper()
	return eval[bool](v.visitor, `[...document.scripts].some((s) => s.text.includes('Kapa-Deflector'))`)
}

func TestTurbo(t *testing.T) {
	if browser == nil {
		missing(t, "browser", browserHelp)
	}
	c := turboCaddy(t)
	for host, name := range map[string]string{turboPlain: "", turboLive: ", with live_consent"} {
		t.Run("with consent the form is loaded in full"+name, func(t *testing.T) {
			v := newTurboVisitor(t, c, host, "accepted")
			v.click("#to-article")
			v.arrive("/article", false) // the site is one of Turbo's
			v.wantNoTag()
			v.wantNoID()
			v.click("#to-form")
			v.arrive("/form", true)
			v.wantRunning()
			v.id()
			if last := v.last(http.MethodGet, c.edge(host, "/form")); last.field("Sec-Fetch-Dest") != "document" {
				t.Errorf("the form came by a request for %q", last.field("Sec-Fetch-Dest"))
			}
		})
		t.Run("a link to a place in the form's page"+name, func(t *testing.T) {
			v := newTurboVisitor(t, c, host, "accepted")
			v.click("#to-field")
			v.arrive("/form", true)
			v.wantRunning()
			v.id()
		})
		t.Run("a link that Turbo has fetched ahead"+name, func(t *testing.T) {
			v := newTurboVisitor(t, c, host, "accepted")
			v.hover("#to-form")
			if ahead := v.last(http.MethodGet, c.edge(host, "/form")); ahead.field("X-Sec-Purpose") != "prefetch" {
				t.Fatalf("Turbo has not fetched it ahead: %v", ahead.header)
			}
			v.wantNoID()
			v.click("#to-form")
			v.arrive("/form", true)
			v.wantRunning()
			v.id()
		})
		t.Run("within the site, back and forward"+name, func(t *testing.T) {
			v := newTurboVisitor(t, c, host, "accepted")
			v.click("#to-form")
			v.arrive("/form", true)
			v.wantRunning()
			v.click("#to-article")
			v.arrive("/article", false)
			v.travel("back")
			v.arrive("/form", false)
			v.wantRunning()
			v.travel("forward")
			v.arrive("/article", false)
			v.click("#to-form")
			v.arrive("/form", true)
			v.wantRunning()
		})
		t.Run("the form anew, by a link to it or by a refresh, is loaded in full"+name, func(t *testing.T) {
			v := newTurboVisitor(t, c, host, "accepted")
			v.click("#to-form")
			v.arrive("/form", true)
			v.click("#to-form")
			v.arrive("/form", true) // Turbo would put another form in place of the one that the script knows
			v.wantRunning()
			v.refresh()
			v.arrive("/form", true) // which the edge cannot tell from the link
			v.wantRunning()
		})
		t.Run("a frame is left alone"+name, func(t *testing.T) {
			v := newTurboVisitor(t, c, host, "accepted")
			v.click("#in-frame")
			v.waitFor(`document.querySelector('#part-of').textContent === '/form'`)
			v.arrive("/", false)
			v.wantUntouched(http.MethodGet, "/form", "/form")
			v.wantNoTag()
			v.wantNoID()
		})
		t.Run("a form that was answered with 422 stays on the page"+name, func(t *testing.T) {
			v := newTurboVisitor(t, c, host, "accepted")
			v.click("#to-form")
			v.arrive("/form", true)
			v.wantRunning()
			v.expect("status 422: "+c.edge(host, "/invalid"), "status of 422 (Unprocessable Entity) ("+c.edge(host, "/invalid"))
			v.click("#invalid")
			v.arrive("/form, to be corrected", false)
			v.wantUntouched(http.MethodPost, "/invalid", "/form, to be corrected")
			v.wantRunning() // still
		})
		t.Run("a form that leads to one of the pages"+name, func(t *testing.T) {
			v := newTurboVisitor(t, c, host, "accepted")
			v.click("#valid")
			v.arrive("/form", true)
			v.wantRunning()
			v.id()
		})
	}

	for _, choice := range []string{"", "refused"} {
		t.Run("without consent Turbo shows the origin's page, "+choice, func(t *testing.T) {
			v := newTurboVisitor(t, c, turboPlain, choice)
			v.click("#to-form")
			v.arrive("/form", false)
			v.wantUntouched(http.MethodGet, "/form", "/form")
			v.wantNoTag()
			v.wantNoID()
			v.refresh()
			v.arrive("/form", false)
			v.wantUntouched(http.MethodGet, "/form", "/form")
			v.click("#to-home")
			v.arrive("/", false)
			v.travel("back")
			v.arrive("/form", false)
			v.wantNoTag()
		})
		t.Run("consent on the form counts with a link to the form itself, "+choice, func(t *testing.T) {
			v := newTurboVisitor(t, c, turboPlain, choice)
			v.click("#to-form")
			v.arrive("/form", false)
			eval[bool](v.visitor, `(document.cookie = 'cookie_consent=accepted; path=/', true)`)
			v.click("#to-form")
			v.arrive("/form", true)
			v.wantRunning()
			v.id()
		})
		t.Run("with live_consent the form is loaded in full, to be watched, "+choice, func(t *testing.T) {
			v := newTurboVisitor(t, c, turboLive, choice)
			if v.hasWatcher() {
				t.Error("a page that is not in pages has the watcher")
			}
			v.click("#to-form")
			v.arrive("/form", true)
			v.wantNoTag()
			v.wantNoID()
			if !v.hasWatcher() {
				t.Fatal("the form has no watcher")
			}
			eval[bool](v.visitor, `(document.cookie = 'cookie_consent=accepted; path=/', true)`)
			v.waitFor(`window.KapaSFD`)
			v.arrive("/form", false) // and is still the same document
			v.wantRunning()
			v.id()
		})
	}
}

// hover points at something, for as long as Turbo wants it.
func (v *visitor) hover(selector string) {
	v.t.Helper()
	at := eval[struct{ X, Y float64 }](v, `(() => {
		const r = document.querySelector(`+quote(selector)+`).getClientRects()[0];
		return { X: r.x + r.width / 2, Y: r.y + r.height / 2 };
	})()`)
	send(v, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: at.X, Y: at.Y})
}

// refresh has Turbo show the page as it is by now, by changing what is there.
func (v *turboVisitor) refresh() {
	v.t.Helper()
	eval[bool](v.visitor, `(setTimeout(() => Turbo.session.refresh(location.href, { method: 'morph' })), true)`)
}

// travel goes back or forward in the tab's history.
func (v *turboVisitor) travel(direction string) {
	v.t.Helper()
	eval[bool](v.visitor, `(setTimeout(() => history.`+direction+`()), true)`)
}
