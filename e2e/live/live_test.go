package live

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// Consent that is given, or withdrawn, on a page takes effect on that page.
//
// What the watcher asked is counted at the edge, by its access log. A question
// that must not be asked is waited for some time, and after it comes one that
// must: so it is seen that the watcher was awake, and that the count counts.

// liveEdge is a Caddy with live_consent before the sample site, and before an
// origin that has further pages under /own/.
type liveEdge struct {
	*testenv.Caddy
	visitors atomic.Int64 // so far: the pages of each have an address of their own
}

// loggedBlock is the beginning of a site, up to what its kapa_deflector block
// has in particular.
const loggedBlock = `
	log
	log_append outcome {http.kapa_deflector.outcome}
	encode
	kapa_deflector {` + testenv.Required + `
		script /shared` + testenv.StandIn + `
		consent cookie cookie_consent accepted`

func newLiveEdge(t *testing.T, ownPages http.HandlerFunc) *liveEdge {
	t.Helper()
	return &liveEdge{Caddy: testenv.StartCaddy(t, fmt.Sprintf(`
http://`+testenv.Support+`:{$EDGE_PORT}, http://`+testenv.Docs+`:{$EDGE_PORT} {`+loggedBlock+`
		live_consent
		pages /tickets/new /contact /own/page/*
	}
	reverse_proxy /own/* %s
	reverse_proxy 127.0.0.1:%d
}`, testenv.Serve(t, ownPages), testenv.Sample(t).SitePort))}
}

// isQuestion reports whether the watcher may have sent r, or the browser for it
// to find out whether it may.
func isQuestion(r testenv.LoggedRequest) bool {
	return r.Request.Headers.Get("Kapa-Deflector") != "" ||
		strings.Contains(strings.ToLower(r.Request.Headers.Get("Access-Control-Request-Headers")), "kapa-deflector")
}

func (c *liveEdge) questions(uri string) (n int) {
	for _, r := range c.Requests(uri) {
		if isQuestion(r) {
			n++
		}
	}
	return n
}

// liveVisitor is a visitor of one page, which has an address of its own.
type liveVisitor struct {
	*testenv.Visitor
	edge *liveEdge
	uri  string
	url  string
}

func (c *liveEdge) visitor(t *testing.T, path string) *liveVisitor {
	t.Helper()
	uri := fmt.Sprintf("%s?visitor=%d", path, c.visitors.Add(1))
	t.Cleanup(func() {
		if t.Failed() {
			for _, r := range c.Requests(uri) {
				t.Logf("%s %s: question %t, status %d, outcome %s", r.Request.Method, uri, isQuestion(r), r.Status, r.Outcome)
			}
		}
	})
	return &liveVisitor{Visitor: testenv.NewVisitor(t), edge: c, uri: uri, url: c.Edge(testenv.Support, uri)}
}

// arrive opens the page, and marks it, so that it is known to be the same one
// from then on.
func (v *liveVisitor) arrive() {
	v.T.Helper()
	v.Open(v.url)
	v.mark()
}

func (v *liveVisitor) mark() { v.T.Helper(); testenv.Eval[bool](v.Visitor, `window.marked = true`) }

// wantSamePage checks that there was no navigation since arrive.
func (v *liveVisitor) wantSamePage() {
	v.T.Helper()
	if !testenv.Eval[bool](v.Visitor, `window.marked === true`) {
		v.T.Error("the page was loaded anew")
	}
}

// set writes a cookie as a script of the page.
func (v *liveVisitor) set(cookie string) {
	v.T.Helper()
	testenv.Eval[bool](v.Visitor, `(document.cookie = `+testenv.Quote(cookie)+`, true)`)
}

const (
	yes = "cookie_consent=accepted; Path=/"
	no  = "cookie_consent=refused; Path=/"
)

// wantLiveTag waits for the deflector on the page, which it has once, and which
// is the same page still.
func (v *liveVisitor) wantLiveTag() {
	v.T.Helper()
	v.WaitFor(`window.KapaSFD`)
	v.wantSamePage()
	if n := testenv.Eval[int](v.Visitor, `document.querySelectorAll(`+testenv.Quote(testenv.TagSelector)+`).length`); n != 1 {
		v.T.Errorf("the page has %d tags", n)
	}
}

// wantAsked waits until the edge was asked n times about the page, and sees that
// it is not asked once more.
func (v *liveVisitor) wantAsked(n int, step string) {
	v.T.Helper()
	v.wantAskedAt(v.uri, n, step)
}

func (v *liveVisitor) wantAskedAt(uri string, n int, step string) {
	v.T.Helper()
	testenv.Eventually(v.T, fmt.Sprintf("%s: question %d", step, n), func() bool { return v.edge.questions(uri) >= n })
	time.Sleep(1500 * time.Millisecond) // the watcher itself may wait for a second
	if got := v.edge.questions(uri); got != n {
		v.T.Errorf("%s: the edge was asked %d times, want %d", step, got, n)
	}
}

// wantIDGone waits until there is no id.
func (v *liveVisitor) wantIDGone() {
	v.T.Helper()
	testenv.Eventually(v.T, "the id is gone", func() bool { return len(v.Cookies(testenv.IDCookie)) == 0 })
}

// noCookieStore takes from the pages what not all browsers have.
func (v *liveVisitor) noCookieStore() {
	v.T.Helper()
	testenv.Send(v.Visitor, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `Object.defineProperty(window, 'cookieStore', { value: undefined })`,
	})
}

// anotherTab opens a tab in the visitor's window, which hides the visitor's.
func (v *liveVisitor) anotherTab() *liveVisitor {
	v.T.Helper()
	tab := *v
	tab.Visitor = v.AnotherTab(chromedp.WithNewWindow(false))
	tab.ToFront()
	return &tab
}

// offline takes the network away, or gives it back.
func (v *liveVisitor) offline(is bool) {
	v.T.Helper()
	testenv.Send(v.Visitor, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: is, DownloadThroughput: -1, UploadThroughput: -1}},
	})
	testenv.Send(v.Visitor, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: is, DownloadThroughput: -1, UploadThroughput: -1})
}

// everyBrowser runs a test with and without CookieStore.
func everyBrowser(t *testing.T, name string, test func(t *testing.T, prepare func(*liveVisitor))) {
	t.Run(name, func(t *testing.T) { test(t, func(*liveVisitor) {}) })
	t.Run(name+", without CookieStore", func(t *testing.T) { test(t, (*liveVisitor).noCookieStore) })
}

func TestLiveConsentOnTheForm(t *testing.T) {
	c := newLiveEdge(t, http.NotFound)
	const form = "/tickets/new"

	everyBrowser(t, "accepting brings the deflector to the next submit", func(t *testing.T, prepare func(*liveVisitor)) {
		t.Parallel()
		v := c.visitor(t, form)
		prepare(v)
		v.arrive()
		v.WantNoTag()
		v.FillIn(testenv.LongQuestion)
		v.Click(".consent-accept")
		v.wantLiveTag()
		v.Click(".consent-close")
		v.Screenshot("accepted")
		id := v.ID()
		if id.HTTPOnly || id.SameSite != network.CookieSameSiteLax || id.Domain != ".acme.localhost" {
			t.Errorf("the id is %s", testenv.AsJSON(id))
		}
		v.Click(testenv.SendButton)
		v.WaitFor(testenv.Visible("#kapa-stand-in-send"))
		v.wantSamePage()
		if v.Sent("POST") != 0 {
			t.Error("the form was sent before the visitor said so")
		}
		v.WantID(id.Value)
		v.wantAsked(1, "in the end")

		tag := testenv.Eval[string](v.Visitor, `document.querySelector(`+testenv.Quote(testenv.TagSelector)+`).outerHTML`)
		v.Follow("#kapa-stand-in-send")
		v.WantSent("/tickets", testenv.LongQuestion)
		v.Open(v.url)
		if want := testenv.Eval[string](v.Visitor, `document.querySelector(`+testenv.Quote(testenv.TagSelector)+`).outerHTML`); tag != want {
			t.Errorf("the watcher put in\n%s\nand the edge\n%s", tag, want)
		}
	})

	everyBrowser(t, "refusing brings nothing", func(t *testing.T, prepare func(*liveVisitor)) {
		t.Parallel()
		v := c.visitor(t, form)
		prepare(v)
		v.arrive()
		v.Click(".consent-refuse")
		v.wantAsked(1, "refused")
		testenv.Eval[bool](v.Visitor, `['focus', 'pageshow', 'visibilitychange'].every(name => dispatchEvent(new Event(name)))`)
		v.wantAsked(1, "while nothing changes")
		v.Click(".consent-close")
		v.WantNoTag()
		v.WantNoID()
		v.FillIn(testenv.LongQuestion)
		v.Follow(testenv.SendButton)
		v.WantSent("/tickets", testenv.LongQuestion)
		v.wantAsked(1, "after submit")
	})

	everyBrowser(t, "other cookies are of no interest", func(t *testing.T, prepare func(*liveVisitor)) {
		t.Parallel()
		v := c.visitor(t, form)
		prepare(v)
		v.arrive()
		for _, cookie := range []string{"theme=dark", "theme=light", "cookie_consent2=accepted", "my_cookie_consent=accepted", "theme=cookie_consent=accepted", "theme=; Max-Age=0"} {
			v.set(cookie)
		}
		v.wantAsked(0, "other cookies")
		v.set(yes)
		v.wantLiveTag()
		v.wantAsked(1, "the cookie")
	})

	everyBrowser(t, "withdrawing takes the id away", func(t *testing.T, prepare func(*liveVisitor)) {
		t.Parallel()
		v := c.visitor(t, form)
		prepare(v)
		v.Open(c.Edge(testenv.Support, "/"))
		v.Accept()
		v.arrive()
		v.wantLiveTag()
		v.ID()
		v.wantAsked(0, "still granted")
		v.Refuse()
		v.wantIDGone()
		v.wantAsked(1, "withdrawn")
		v.wantSamePage()

		t.Log("the stand-in, which still runs, writes an id with each question")
		testenv.Eval[bool](v.Visitor, `(() => {
			window.written = 0;
			const cookie = Object.getOwnPropertyDescriptor(Document.prototype, 'cookie');
			Object.defineProperty(document, 'cookie', {
				get() { return cookie.get.call(this); },
				set(text) {
					if (/^kapa_web_id=[^;]/.test(text)) written++;
					cookie.set.call(this, text);
				},
			});
			return true;
		})()`)
		for n := range 2 {
			v.Ask()
			v.WaitFor(fmt.Sprintf(`written > %d`, n))
			v.wantIDGone()
			v.wantSamePage()
		}
		v.Follow("#kapa-stand-in-send")
		v.WantSent("/tickets", testenv.LongQuestion)
		v.WantNoID()
	})

	t.Run("accepting again after withdrawing", func(t *testing.T) {
		t.Parallel()
		v := c.visitor(t, form)
		v.arrive()
		v.set(yes)
		v.wantLiveTag()
		first := v.ID().Value
		v.set(no)
		v.wantIDGone()
		v.set(yes)
		testenv.Eventually(t, "there is an id", func() bool { return len(v.Cookies(testenv.IDCookie)) == 1 })
		v.wantLiveTag()
		v.WantID(v.ID().Value)
		if v.ID().Value == first {
			t.Error("the id that was withdrawn is back")
		}
		v.wantAsked(3, "yes, no, yes")
	})

	t.Run("at most one question a second", func(t *testing.T) {
		t.Parallel()
		v := c.visitor(t, form)
		v.arrive()
		seconds := testenv.Eval[float64](v.Visitor, `(async () => {
			const began = performance.now();
			for (let i = 0; i < 200; i++) {
				await cookieStore.set({ name: 'cookie_consent', value: 'no answer ' + i });
				await new Promise((done) => setTimeout(done, 10));
			}
			return (performance.now() - began) / 1000;
		})()`)
		got := c.questions(v.uri)
		if got < 1 || got > int(seconds)+1 {
			t.Errorf("%d questions in %.1f seconds of changes", got, seconds)
		}
		t.Logf("%d questions in %.1f seconds, in which the cookie changed 200 times", got, seconds)
		v.set(yes)
		v.wantLiveTag()
	})

	// This test and the next are not parallel: a window that opens or closes may
	// give others the focus, at which what is due is asked again.
	everyBrowser(t, "without a network the question has to wait for it", func(t *testing.T, prepare func(*liveVisitor)) {
		v := c.visitor(t, form)
		prepare(v)
		v.Expect("net::ERR_INTERNET_DISCONNECTED")
		v.arrive()
		v.offline(true)
		v.set(yes)
		testenv.Eventually(t, "the question fails", func() bool { return v.Problems() > 0 })
		v.wantAsked(0, "offline")
		v.WantNoTag()
		failed := v.Problems()
		v.offline(false)
		v.wantLiveTag()
		v.ID()
		v.wantAsked(1, "online")
		if now := v.Problems(); now != failed {
			t.Errorf("it was asked again and again: %d failures, then %d", failed, now)
		}
	})

	t.Run("an answer of what stands in for the edge is none", func(t *testing.T) {
		v := c.visitor(t, form)
		v.arrive()
		testenv.Eval[bool](v.Visitor, `(() => {
			const real = fetch;
			window.fetch = async () => {
				window.fetch = real;
				window.failed = true;
				return new Response('', { status: 503 });
			};
			return true;
		})()`)
		v.set(yes)
		v.WaitFor(`window.failed`)
		v.wantAsked(0, "503")
		v.WantNoTag()
		testenv.Eval[bool](v.Visitor, `dispatchEvent(new Event('focus'))`)
		v.wantLiveTag()
		v.wantAsked(1, "the edge is back")
	})

	t.Run("what has to be asked is, though a question has no answer yet", func(t *testing.T) {
		t.Parallel()
		v := c.visitor(t, form)
		v.arrive()
		v.set(yes)
		v.wantLiveTag()
		v.set(no)
		v.wantIDGone()
		v.wantAsked(2, "withdrawn")
		testenv.Eval[bool](v.Visitor, `(() => {
			const real = fetch;
			window.fetch = (...question) => new Promise((go) => window.release = go).then(() => {
				window.fetch = real;
				return real(...question);
			});
			return true;
		})()`)
		v.set("cookie_consent=refused again; Path=/")
		v.WaitFor(`window.release`)
		testenv.Eval[bool](v.Visitor, `(document.querySelector('#support-form').addEventListener('submit', (e) => e.preventDefault()),
			document.querySelector('#support-form').dispatchEvent(new Event('submit', { bubbles: true, cancelable: true })),
			new Promise((done) => setTimeout(done, 1700, true)))`) // until the watcher asks after a submit
		v.wantAsked(2, "without an answer")
		testenv.Eval[bool](v.Visitor, `(release(), true)`)
		v.wantAsked(4, "with an answer")
	})

	t.Run("Sec-GPC", func(t *testing.T) {
		t.Parallel()
		v := c.visitor(t, form)
		testenv.Send(v.Visitor, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Sec-GPC": "1"}})
		v.arrive()
		if got, want := v.BodyOf(v.url), testenv.MustGet(t, testenv.Sample(t).Origin(testenv.Support, v.uri)).Body; got != want {
			t.Errorf("the page is not the origin's:\n%s", got)
		}
		v.Accept()
		v.wantAsked(0, "under Sec-GPC")
		v.WantNoTag()
		v.WantNoID()
	})
}

// What a browser does with pages: it shows several, keeps those that were left,
// and draws ahead those that may come.
func TestLiveConsentInAPageThatIsNotSeen(t *testing.T) {
	c := newLiveEdge(t, http.NotFound)
	const form = "/tickets/new"

	everyBrowser(t, "in the background", func(t *testing.T, prepare func(*liveVisitor)) {
		t.Parallel()
		first := c.visitor(t, form)
		prepare(first)
		first.arrive()
		second := first.anotherTab()
		testenv.Eventually(t, "the first tab is in the background", func() bool { return testenv.Eval[bool](first.Visitor, `document.hidden`) })

		t.Log("accepted in another tab")
		second.Open(c.Edge(testenv.Support, "/"))
		second.Accept()
		first.wantAsked(0, "in the background")
		first.WantNoTag()
		first.ToFront()
		first.wantLiveTag()
		first.ID()
		first.wantAsked(1, "seen again")

		t.Log("and withdrawn there")
		second.ToFront()
		testenv.Eventually(t, "the first tab is in the background", func() bool { return testenv.Eval[bool](first.Visitor, `document.hidden`) })
		second.Refuse()
		first.wantAsked(1, "in the background again")
		first.ToFront()
		first.wantIDGone()
		first.wantAsked(2, "seen once more")
	})

	everyBrowser(t, "kept as it was left", func(t *testing.T, prepare func(*liveVisitor)) {
		t.Parallel()
		v := c.visitor(t, form)
		prepare(v)
		v.arrive()
		testenv.Eval[bool](v.Visitor, `(addEventListener('pageshow', (e) => window.restored = e.persisted), true)`)
		v.Follow(`nav a[href="/"]`)
		v.Accept()
		v.wantAsked(0, "elsewhere")
		testenv.Eval[bool](v.Visitor, `window.left = true`)
		v.Travel("back")
		v.Await("the tab goes back", `location.href === `+testenv.Quote(v.url)+` && document.readyState === 'complete' && (!window.left || window.restored)`)
		if !testenv.Eval[bool](v.Visitor, `Boolean(window.restored)`) {
			testenv.Missing(t, "browser that restores a page as it was left", testenv.BrowserHelp)
		}
		v.wantLiveTag()
		v.ID()
		v.wantAsked(1, "restored")
	})
}

// A page that was fetched ahead may be older than the visitor's answer.
func TestLiveConsentInAPageThatIsFetchedAhead(t *testing.T) {
	c := newLiveEdge(t, liveOwnPages)
	v := c.visitor(t, "/tickets/new")
	v.Open(c.Edge(testenv.Support, "/"))
	testenv.Eval[bool](v.Visitor, `(() => {
		const rules = document.createElement('script');
		rules.type = 'speculationrules';
		rules.textContent = JSON.stringify({ prefetch: [{ urls: [`+testenv.Quote(v.uri)+`], eagerness: 'immediate' }] });
		document.head.append(rules);
		const link = document.createElement('a');
		Object.assign(link, { href: `+testenv.Quote(v.uri)+`, id: 'ahead', textContent: 'to the form' });
		document.querySelector('main').prepend(link);
		return true;
	})()`)
	v.waitForSpeculation("prefetch")
	v.Accept()
	v.wantAsked(0, "fetched ahead")
	v.Follow("#ahead")
	v.mark()
	if len(slices.DeleteFunc(c.Requests(v.uri), isQuestion)) != 1 {
		testenv.Missing(t, "browser that shows what it has fetched ahead", testenv.BrowserHelp)
	}
	v.wantLiveTag()
	v.ID()
	v.wantAsked(1, "shown")
}

// waitForSpeculation waits until the edge was asked for the page ahead.
func (v *liveVisitor) waitForSpeculation(how string) {
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

// A page that is drawn ahead asks nothing until it is shown. Chromium draws none
// ahead in a tab that DevTools has hold of: all happens in a tab of its own, and
// the visitor's is told about it.
func TestLiveConsentInAPageThatIsDrawnAhead(t *testing.T) {
	c := newLiveEdge(t, liveOwnPages)
	for _, accepts := range []bool{true, false} {
		t.Run(fmt.Sprintf("accepted meanwhile: %t", accepts), func(t *testing.T) {
			t.Parallel()
			v := c.visitor(t, "/own/page/drawn")
			v.Open(c.Edge(testenv.Support, strings.Replace(v.uri, "page/drawn", "teller", 1)))
			v.Click("#start")
			v.waitForSpeculation("prerender")
			testenv.Eventually(t, "the page's scripts run", func() bool { return len(c.Requests(strings.Replace(v.uri, "drawn", "drawing", 1))) > 0 })
			want := 0
			if accepts {
				v.set(yes)
				want = 1
			}
			v.wantAsked(0, "drawn ahead")
			testenv.Eval[bool](v.Visitor, `(channel.postMessage('go'), true)`)
			v.WaitFor(`told.shown`)
			if !testenv.Eval[bool](v.Visitor, `told.drawnAhead`) {
				testenv.Missing(t, "browser that draws pages ahead", testenv.BrowserHelp)
			}
			v.wantAsked(want, "shown")
			if accepts {
				v.WaitFor(`told.deflector`)
				v.ID()
			}
			if pages := slices.DeleteFunc(c.Requests(v.uri), isQuestion); len(pages) != 1 {
				t.Errorf("the page was loaded %d times", len(pages))
			}
		})
	}
}

const scriptNonce = "c2FtcGxl"

// liveOwnPages are the pages of the scenarios below, by what they are about.
func liveOwnPages(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	head, body := "", ""
	name := strings.TrimPrefix(r.URL.Path, "/own/page/")
	if policy, ok := livePolicies[name]; ok {
		h.Set("Content-Security-Policy", policy.header)
	}
	switch name {
	case "reload", "reload-later":
		later := map[string]string{"reload": "location.reload()", "reload-later": "setTimeout(() => location.reload(), 1500)"}[name]
		body = `<button id="yes" onclick="document.cookie = '` + yes + `'; ` + later + `">Yes</button>`
	case "/own/teller":
		body = `<a id="start" target="_blank" rel="noopener" href="starter?` + r.URL.RawQuery + `">Start</a><script>
const channel = new BroadcastChannel('drawn'), told = {};
channel.onmessage = (e) => Object.assign(told, e.data);
</script>`
	case "/own/starter":
		body = `<script type="speculationrules">{"prerender": [{"urls": ["page/drawn?` + r.URL.RawQuery + `"], "eagerness": "immediate"}]}</script><script>
new BroadcastChannel('drawn').onmessage = () => { location.href = 'page/drawn' + location.search };
</script>`
	case "drawn":
		// no event but that the page is shown
		head = `<script>Object.defineProperty(window, 'cookieStore', { value: new EventTarget() })</script>`
		body = `<script>
const channel = new BroadcastChannel('drawn');
const shown = () => channel.postMessage({ shown: true, drawnAhead: performance.getEntriesByType('navigation')[0].activationStart > 0 });
if (document.prerendering) document.addEventListener('prerenderingchange', shown);
else shown();
fetch('drawing' + location.search);
setInterval(() => window.KapaSFD && channel.postMessage({ deflector: true }), 50);
</script>`
	case "agree":
		h.Set("Set-Cookie", yes+"; HttpOnly")
	case "frame":
		body = `<script>addEventListener('message', (e) => { window.framed = e.data })</script>
<iframe sandbox="allow-scripts" referrerpolicy="no-referrer" src="framed` + `?` + r.URL.RawQuery + `"></iframe>`
	case "framed":
		body = `<script>
addEventListener('error', (e) => parent.postMessage('error: ' + e.message, '*'));
addEventListener('load', () => parent.postMessage(document.documentElement.outerHTML, '*'));
</script>`
	case "worker", "keeping-worker":
		body = `<script>navigator.serviceWorker.register('` + name + `.js')</script>`
	case "worker.js", "keeping-worker.js":
		h.Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, liveWorkers[name])
		return
	case "cors":
		h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Allow-Headers", "Kapa-Deflector")
	}
	_, _ = io.WriteString(w, testenv.FormPage(head, body))
}

// liveWorkers are service workers. Each says how many questions it has seen.
var liveWorkers = map[string]string{
	"worker.js": liveWorkerStart + `
addEventListener('fetch', (e) => {
	if (e.request.headers.has('Kapa-Deflector')) asked++;
	e.respondWith(new Response('<!doctype html><title>from the worker</title>', { headers: { 'Content-Type': 'text/html' } }));
});`,
	// what many do, so that there is a page without a network
	"keeping-worker.js": liveWorkerStart + `
addEventListener('fetch', (e) => {
	if (e.request.method !== 'GET') return;
	if (e.request.headers.has('Kapa-Deflector')) asked++;
	e.respondWith((async () => {
		const answer = await fetch(e.request);
		const copy = answer.clone();
		e.waitUntil(caches.open('pages').then((cache) => cache.put(e.request, copy)).catch(() => {}));
		return answer;
	})());
});`,
}

const liveWorkerStart = `
let asked = 0;
addEventListener('install', () => skipWaiting());
addEventListener('activate', (e) => e.waitUntil(clients.claim()));
addEventListener('message', (e) => e.ports[0].postMessage(asked));`

// livePolicies are the policies of pages.
var livePolicies = map[string]struct {
	header  string
	watcher bool
}{
	"csp-nonce":          {"script-src 'nonce-" + scriptNonce + "'; connect-src 'self'", true},
	"csp-strict-dynamic": {"script-src 'nonce-" + scriptNonce + "' 'strict-dynamic'; object-src 'none'; base-uri 'none'", true},
	"csp-no-connect":     {"connect-src 'none'", false},
	"csp-connects-away":  {"connect-src https://api.example", false},
	"csp-no-inline":      {"script-src 'self'", false},
	"csp-trusted-types":  {"require-trusted-types-for 'script'", false},
}

func TestLiveConsentUnderAPolicy(t *testing.T) {
	c := newLiveEdge(t, liveOwnPages)
	for name, policy := range livePolicies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := c.visitor(t, "/own/page/"+name)
			v.arrive()
			if got := strings.Contains(v.BodyOf(v.url), "Kapa-Deflector"); got != policy.watcher {
				t.Fatalf("watcher: %t, want %t", got, policy.watcher)
			}
			v.set(yes)
			if !policy.watcher {
				v.wantAsked(0, "no watcher")
				v.WantNoTag()
				return
			}
			v.wantLiveTag()
			if got := testenv.Eval[string](v.Visitor, `document.querySelector(`+testenv.Quote(testenv.TagSelector)+`).nonce`); got != scriptNonce {
				t.Errorf("the tag's nonce is %q", got)
			}
			v.wantAsked(1, "accepted")
			v.set(no)
			v.wantIDGone()
		})
	}
}

func TestLiveConsentOnOtherPages(t *testing.T) {
	c := newLiveEdge(t, liveOwnPages)

	for _, name := range []string{"reload", "reload-later"} {
		t.Run("a banner that reloads the page: "+name, func(t *testing.T) {
			t.Parallel()
			v := c.visitor(t, "/own/page/"+name)
			v.arrive()
			v.Click("#yes")
			testenv.Eventually(t, "the page is reloaded", func() bool {
				pages := slices.DeleteFunc(c.Requests(v.uri), isQuestion)
				return len(pages) == 2
			})
			v.WaitFor(`!window.marked && document.readyState === 'complete'`)
			v.mark()
			v.wantLiveTag()
			v.ID()
			before := c.questions(v.uri)
			if before > 1 {
				t.Errorf("%d questions", before)
			}
			v.wantAsked(before, "after the reload")
		})
	}

	t.Run("from another site, where consent is SameSite=Strict", func(t *testing.T) {
		t.Parallel()
		v := c.visitor(t, "/own/page/strict")
		v.Open(c.Edge(testenv.Support, "/"))
		v.set(yes + "; SameSite=Strict")
		v.Open(testenv.OtherSite(t, v.url))
		v.Follow("a")
		v.mark()
		v.wantLiveTag()
		v.ID()
		v.wantAsked(1, "from another site")
		if page := c.Requests(v.uri)[0]; isQuestion(page) || page.Outcome != "no_consent" {
			t.Errorf("the edge was shown the cookie at once: %+v", page)
		}
	})

	t.Run("from another site, without consent", func(t *testing.T) {
		t.Parallel()
		v := c.visitor(t, "/own/page/stranger")
		v.Open(testenv.OtherSite(t, v.url))
		v.Follow("a")
		v.mark()
		v.wantAsked(0, "from another site")
		v.set(yes)
		v.wantLiveTag()
	})

	t.Run("from another site, after refusal", func(t *testing.T) {
		t.Parallel()
		v := c.visitor(t, "/own/page/refused")
		v.Open(c.Edge(testenv.Support, "/"))
		v.set(no)
		v.Open(testenv.OtherSite(t, v.url))
		v.Follow("a")
		v.wantAsked(1, "from another site")
		v.WantNoTag()
	})

	t.Run("consent that scripts cannot see", func(t *testing.T) {
		t.Parallel()
		v := c.visitor(t, "/own/page/http-only")
		v.arrive()
		testenv.Eval[bool](v.Visitor, `fetch('agree').then(() => true)`)
		v.wantAsked(0, "HttpOnly")
		v.WantNoTag()
		v.Reload()
		v.WantTag()
	})

	t.Run("a sandboxed frame", func(t *testing.T) {
		t.Parallel()
		v := c.visitor(t, "/own/page/frame")
		framed := strings.Replace(v.uri, "frame", "framed", 1)
		v.arrive()
		v.WaitFor(`window.framed`)
		if html := testenv.Eval[string](v.Visitor, `window.framed`); !strings.Contains(html, "Kapa-Deflector") {
			t.Fatalf("no watcher in the frame: %s", html)
		}
		v.set(yes)
		v.wantLiveTag()
		v.wantAsked(1, "the page itself")
		v.wantAskedAt(framed, 0, "its frame")
	})
}

// A service worker may answer the question, or keep its answer.
func TestLiveConsentAndServiceWorkers(t *testing.T) {
	c := newLiveEdge(t, liveOwnPages)
	const asked = `new Promise((done) => {
		const { port1, port2 } = new MessageChannel();
		port1.onmessage = (e) => done(e.data);
		navigator.serviceWorker.controller.postMessage(null, [port2]);
	})`

	everyBrowser(t, "one that has a page for everything", func(t *testing.T, prepare func(*liveVisitor)) {
		t.Parallel()
		v := c.visitor(t, "/own/page/worker")
		prepare(v)
		v.arrive()
		v.WaitFor(`navigator.serviceWorker.controller`)
		v.set(yes)
		testenv.Eventually(t, "the worker is asked", func() bool { return testenv.Eval[int](v.Visitor, asked) > 0 })
		v.wantAsked(0, "behind the worker")
		if n := testenv.Eval[int](v.Visitor, asked); n != 1 {
			t.Errorf("the worker was asked %d times", n)
		}
		v.WantNoTag()
		v.wantSamePage()
		v.set(no)
		testenv.Eventually(t, "the worker is asked again", func() bool { return testenv.Eval[int](v.Visitor, asked) > 1 })
		v.WantNoTag()
	})

	t.Run("one that keeps what it gets", func(t *testing.T) {
		t.Parallel()
		v := c.visitor(t, "/own/page/keeping-worker")
		v.arrive()
		v.WaitFor(`navigator.serviceWorker.controller`)
		testenv.Eval[bool](v.Visitor, `caches.open('pages').then((cache) => cache.add(location.href)).then(() => true)`)
		v.set(yes)
		v.wantLiveTag()
		v.wantAsked(1, "through the worker")
		kept := testenv.Eval[string](v.Visitor, `caches.match(location.href, { ignoreVary: true }).then((page) => page.text())`)
		if !strings.HasPrefix(kept, "<!doctype html>") {
			t.Errorf("in place of the page the worker keeps %s", kept)
		}
	})
}

// Only pages of the same origin get an answer.
func TestLiveConsentAnswersNoOtherOrigin(t *testing.T) {
	c := newLiveEdge(t, liveOwnPages)
	ask := func(v *liveVisitor) string {
		return testenv.Eval[string](v.Visitor, `fetch(`+testenv.Quote(v.url)+`, { headers: { 'Kapa-Deflector': 'consent' }, credentials: 'include' })
			.then((answer) => 'got ' + answer.status, () => 'got nothing')`)
	}
	for _, tc := range []struct {
		name, path string
		problems   []string
		asked      int // by more than a preflight
		status     int
	}{
		{"a site that says nothing of others", "/tickets/new", []string{"blocked by CORS policy", "net::ERR_FAILED", "status 405"}, 0, 0},
		{"a site that allows the field", "/own/page/cors", []string{"blocked by CORS policy", "net::ERR_FAILED"}, 1, 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := c.visitor(t, tc.path)
			v.Open(c.Edge(testenv.Docs, "/"))
			v.Accept()
			if got := ask(v); got != "got nothing" {
				t.Error(got)
			}
			questions := 0
			for _, r := range c.Requests(v.uri) {
				if r.Request.Method == http.MethodGet {
					questions++
					if r.Status != tc.status {
						t.Errorf("status %d, want %d", r.Status, tc.status)
					}
				}
			}
			if questions != tc.asked {
				t.Errorf("%d questions, want %d", questions, tc.asked)
			}
			v.WantNoID()
			v.Expect(tc.problems...)
		})
	}
}
