package loader

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// What a browser does with pages: it shows several, keeps those that were left, and loads
// those that may come. Pages that nobody sees ask nothing and load nothing.

// anotherTab opens a tab in the visitor's window, which hides the visitor's.
func (v *visitor) anotherTab() *testenv.Visitor {
	v.T.Helper()
	tab := v.AnotherTab(chromedp.WithNewWindow(false))
	tab.ToFront()
	testenv.Eventually(v.T, "the first tab is hidden", func() bool { return testenv.Eval[bool](v.Visitor, `document.hidden`) })
	return tab
}

func TestAPageInTheBackground(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", pages{"form": testenv.FormPage("", "")})

	everyBrowser(t, "hears of a choice when it is seen again", func(t *testing.T, prepare func(*visitor)) {
		t.Parallel()
		v := e.restless(t, "/own/page/form")
		prepare(v)
		v.have("theme=dark; Path=/")
		v.arrive()
		v.awaitAsked(v.uri, 1, "undecided")
		other := v.anotherTab()
		other.Open(e.Edge(testenv.Support, "/"))
		before := len(e.Questions(v.uri))
		other.Accept()
		v.wantAsked(before, "in the background")
		v.WantNoTag()
		v.ToFront()
		v.wantDeflector(1)
		v.ID()
		v.wantAsked(before+1, "seen again")

		other.ToFront()
		testenv.Eventually(t, "the first tab is hidden", func() bool { return testenv.Eval[bool](v.Visitor, `document.hidden`) })
		other.Refuse()
		v.wantAsked(before+1, "in the background again")
		v.mustBeMarked()
		v.ToFront()
		v.mustBeReloaded()
		v.wantIDGone()
	})

	t.Run("does not ask what was to be asked when it was hidden", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, "/own/page/form")
		v.have(yes)
		v.arrive()
		v.wantDeflector(1)
		v.run(`window.hide = (is) => {
			Object.defineProperty(Document.prototype, 'hidden', { get: () => is, configurable: true });
			document.dispatchEvent(new Event('visibilitychange'));
		}`)
		// two changes: the second question has to wait for a second
		v.Write("#description", "typed")
		v.set(no)
		v.awaitAsked(v.uri, 2, "refused")
		v.wantIDGone()
		v.run(`
			document.cookie = ` + testenv.Quote(yes) + `;
			await new Promise((done) => setTimeout(done, 100));
			hide(true)`)
		asked := len(e.Questions(v.uri))
		v.wantAsked(asked, "hidden")
		v.run(`hide(false)`)
		v.wantAsked(3, "seen again")
	})

	t.Run("waits for the visitor when it is opened there", func(t *testing.T) {
		t.Parallel()
		v := e.restless(t, "/own/page/form")
		v.have(yes)
		tab := v.AnotherTab(chromedp.WithNewWindow(false))
		v.ToFront()
		tab.Open(v.url)
		if !testenv.Eval[bool](tab, `document.hidden`) {
			testenv.Missing(t, "browser that opens a page in the background", testenv.BrowserHelp)
		}
		v.wantAsked(0, "in the background")
		tab.ToFront()
		tab.WaitFor(renders + ` === 1`)
		v.wantAsked(1, "seen")
	})
}

func TestAPageThatIsKeptAsItWasLeft(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", http.NotFoundHandler())
	back := func(v *visitor) {
		v.T.Helper()
		v.run(`window.left = true`)
		v.Travel("back")
		v.Await("the tab goes back", `location.href === `+testenv.Quote(v.url)+` && document.readyState === 'complete' && (!window.left || window.restored)`)
		if !testenv.Eval[bool](v.Visitor, `Boolean(window.restored)`) {
			testenv.Missing(v.T, "browser that restores a page as it was left", testenv.BrowserHelp)
		}
	}
	leave := func(v *visitor) {
		v.T.Helper()
		v.run(`addEventListener('pageshow', (e) => window.restored = e.persisted)`)
		v.Follow(`nav a[href="/"]`)
	}

	everyBrowser(t, "hears of a yes", func(t *testing.T, prepare func(*visitor)) {
		t.Parallel()
		v := e.visitor(t, "/tickets/new")
		prepare(v)
		v.arrive()
		v.awaitAsked(v.uri, 1, "undecided")
		leave(v)
		v.Accept()
		v.wantAsked(1, "elsewhere")
		back(v)
		v.wantDeflector(1)
		v.ID()
		v.wantAsked(2, "restored")
	})

	everyBrowser(t, "hears of a no", func(t *testing.T, prepare func(*visitor)) {
		t.Parallel()
		v := e.visitor(t, "/tickets/new")
		prepare(v)
		v.have(yes)
		v.arrive()
		v.wantDeflector(1)
		leave(v)
		v.Refuse()
		v.wantIDGone()
		v.wantAsked(1, "elsewhere")
		v.run(`window.left = true`)
		v.Travel("back")
		v.Await("the page is loaded again", `location.href === `+testenv.Quote(v.url)+` && document.readyState === 'complete' && !window.left && !window.marked`)
		v.wantNothing()
	})

	t.Run("keeps its deflector, and asks nothing", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, "/tickets/new")
		v.have(yes)
		v.arrive()
		v.wantDeflector(1)
		leave(v)
		back(v)
		v.wantAsked(1, "restored")
		v.wantRenders(1)
		v.Ask()
	})
}

// A page that is only fetched asks nothing.
func TestAPageThatIsFetchedAhead(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", pages{"form": testenv.FormPage("", "")})
	v := e.visitor(t, "/own/page/form")
	v.Open(e.Edge(testenv.Support, "/"))
	v.run(`
		const rules = document.createElement('script');
		rules.type = 'speculationrules';
		rules.textContent = JSON.stringify({ prefetch: [{ urls: [` + testenv.Quote(v.uri) + `], eagerness: 'immediate' }] });
		document.head.append(rules);
		const link = document.createElement('a');
		Object.assign(link, { href: ` + testenv.Quote(v.uri) + `, id: 'ahead', textContent: 'to the form' });
		document.querySelector('main').prepend(link)`)
	v.waitForSpeculation("prefetch")
	v.Accept()
	v.wantAsked(0, "fetched ahead")
	v.WantNoID()
	v.Follow("#ahead")
	v.mark()
	if len(e.Requests(v.uri)) != 1 {
		testenv.Missing(t, "browser that shows what it has fetched ahead", testenv.BrowserHelp)
	}
	v.wantDeflector(1)
	v.ID()
	v.wantAsked(1, "shown")
}

// waitForSpeculation waits until the browser has asked for the page ahead.
func (v *visitor) waitForSpeculation(how string) {
	v.T.Helper()
	for deadline := time.Now().Add(testenv.Patience); ; time.Sleep(20 * time.Millisecond) {
		if slices.ContainsFunc(v.edge.Requests(v.uri), func(r testenv.LoggedRequest) bool {
			return strings.Contains(r.Request.Headers.Get("Sec-Purpose"), how)
		}) {
			return
		}
		if time.Now().After(deadline) {
			testenv.Missing(v.T, "browser with speculation rules for "+how, testenv.BrowserHelp)
		}
	}
}

// A page that is prerendered asks nothing and loads nothing until it is shown. Chromium
// prerenders nothing in a tab that is watched by a debugger: all happens in a tab of its
// own, which tells the visitor's.
func TestAPageThatIsPrerendered(t *testing.T) {
	t.Parallel()
	var bundles counter
	e := newEdgeOf(t, `
	kapa_deflector {`+testenv.Required+consentLine+pagesLine+`
		script /own`+testenv.StandIn+`
		loader load
	}`, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".js") {
			bundles.add()
			http.Redirect(w, r, "/shared"+testenv.StandIn, http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/own/teller":
			_, _ = io.WriteString(w, empty(`<a id="start" target="_blank" rel="noopener" href="starter?`+r.URL.RawQuery+`">Start</a><script>
const channel = new BroadcastChannel('drawn' + location.search), told = {};
channel.onmessage = (e) => Object.assign(told, e.data);
</script>`))
		case "/own/starter":
			_, _ = io.WriteString(w, empty(`<script type="speculationrules">{"prerender": [{"urls": ["page/drawn?`+r.URL.RawQuery+`"], "eagerness": "immediate"}]}</script><script>
new BroadcastChannel('drawn' + location.search).onmessage = () => { location.href = 'page/drawn' + location.search };
</script>`))
		default:
			_, _ = io.WriteString(w, testenv.FormPage("", `<script>
const channel = new BroadcastChannel('drawn' + location.search);
const shown = () => channel.postMessage({ shown: true, prerendered: performance.getEntriesByType('navigation')[0].activationStart > 0 });
if (document.prerendering) document.addEventListener('prerenderingchange', shown);
else shown();
fetch('drawing' + location.search);
setInterval(() => `+renders+` && channel.postMessage({ renders: `+renders+` }), 50);
</script>`))
		}
	}))
	for _, accepted := range []bool{true, false} {
		t.Run(fmt.Sprintf("accepted meanwhile: %t", accepted), func(t *testing.T) {
			v := e.visitor(t, "/own/page/drawn")
			v.Open(e.Edge(testenv.Support, strings.Replace(v.uri, "page/drawn", "teller", 1)))
			before := bundles.value()
			v.Click("#start")
			v.waitForSpeculation("prerender")
			testenv.Eventually(t, "the page's scripts run", func() bool { return len(e.Requests(strings.Replace(v.uri, "drawn", "drawing", 1))) > 0 })
			if accepted {
				v.set(yes)
			}
			v.wantAsked(0, "prerendered")
			if n := bundles.value(); n != before {
				t.Error("Kapa's script was requested")
			}
			v.run(`channel.postMessage('go')`)
			v.WaitFor(`told.shown`)
			if !testenv.Eval[bool](v.Visitor, `told.prerendered`) {
				testenv.Missing(t, "browser that prerenders pages", testenv.BrowserHelp)
			}
			v.awaitAsked(v.uri, 1, "shown")
			if accepted {
				v.WaitFor(`told.renders === 1`)
				v.ID()
			} else {
				v.WantNoID()
			}
			if n := len(e.Requests(v.uri)); n != 1 {
				t.Errorf("the page was loaded %d times", n)
			}
		})
	}
}
