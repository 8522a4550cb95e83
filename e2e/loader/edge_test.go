package loader

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// What the loader does on a page, in Chromium.
//
// Its questions are counted at the edge, by the access log. A test that says how many
// there are waits until they have been asked, and then long enough to see that there is
// not one more.

// edge is a Caddy with a loader in front of the sample site, and in front of an origin
// that has further pages under /own/.
type edge struct {
	*testenv.Caddy
	visitors atomic.Int64 // so far; the page of each has an address of its own
}

// consentLine and pagesLine are lines of most blocks.
const (
	consentLine = "\n\t\tconsent cookie cookie_consent accepted"
	pagesLine   = "\n\t\tpages /tickets/new /contact /own/page/*"
)

// newEdge starts an edge whose block has these lines in addition to the selectors and
// the script.
func newEdge(t *testing.T, lines string, own http.Handler) *edge {
	t.Helper()
	return newEdgeOf(t, block(testenv.Required+lines), own)
}

func block(lines string) string {
	return `
	kapa_deflector {` + lines + `
		script /shared` + testenv.StandIn + `
	}`
}

// newEdgeOf starts an edge with these blocks.
func newEdgeOf(t *testing.T, blocks string, own http.Handler) *edge {
	t.Helper()
	return &edge{Caddy: testenv.StartCaddy(t, fmt.Sprintf(`
http://`+testenv.Support+`:{$EDGE_PORT}, http://`+testenv.Docs+`:{$EDGE_PORT} {
	log
	log_append outcome {http.kapa_deflector.outcome}
	encode%s
	reverse_proxy /own/* %s
	reverse_proxy 127.0.0.1:%d
}`, blocks, testenv.Serve(t, own), testenv.Sample(t).SitePort))}
}

// pages is an origin that has these documents at /own/page/<name>, whatever comes
// behind another slash. It has nothing else.
type pages map[string]string

func (p pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/own/page/"), "/")
	html, ok := p[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, html)
}

// empty is a page without a form, in which scripts can draw and remove one.
func empty(body string) string {
	return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title><link rel="icon" href="data:,"></head><body>
<main></main><script>
const main = document.querySelector('main');
const draw = (into = main) => {
	const form = document.createElement('form');
	Object.assign(form, { id: 'support-form', action: '/tickets', method: 'post' });
	form.innerHTML = '<input id="email" name="email"><input id="subject" name="subject"><textarea id="description" name="description"></textarea><button type="submit">Send</button>';
	into.prepend(form);
	return form;
};
const remove = () => document.querySelector('#support-form').remove();
</script>` + body + `</body></html>`
}

// visitor is a visitor of one page, which has an address of its own.
type visitor struct {
	*testenv.Visitor
	edge *edge
	uri  string
	url  string
}

// visitor returns a visitor of the page at path, whose tab has the focus all the time.
// What other tests do with windows goes unnoticed there.
func (e *edge) visitor(t *testing.T, path string) *visitor {
	t.Helper()
	v := e.restless(t, path)
	testenv.Send(v.Visitor, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	return v
}

// restless returns a visitor of the page at path, whose tab may lose the focus and be
// hidden.
func (e *edge) restless(t *testing.T, path string) *visitor {
	t.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	uri := fmt.Sprintf("%s%svisitor=%d", path, separator, e.visitors.Add(1))
	t.Cleanup(func() {
		if t.Failed() {
			for _, r := range append(e.Requests(uri), e.Questions(uri)...) {
				t.Logf("%s %s: status %d, outcome %s", r.Request.Method, r.Request.URI, r.Status, r.Outcome)
			}
		}
	})
	return &visitor{Visitor: testenv.NewVisitor(t), edge: e, uri: uri, url: e.Edge(testenv.Support, uri)}
}

// arrive opens the page, and marks it, so that it is known to be the same from then on.
func (v *visitor) arrive() {
	v.T.Helper()
	v.Open(v.url)
	v.mark()
}

func (v *visitor) mark() { v.T.Helper(); v.run(`window.marked = true`) }

// run runs statements on the page.
func (v *visitor) run(statements string) {
	v.T.Helper()
	testenv.Eval[bool](v.Visitor, `(async () => {`+statements+`; return true; })()`)
}

// before has every page run statements before anything else.
func (v *visitor) before(statements string) {
	v.T.Helper()
	testenv.Send(v.Visitor, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: statements})
}

// noCookieStore takes from the pages what not all browsers have.
func (v *visitor) noCookieStore() {
	v.T.Helper()
	v.before(`Object.defineProperty(window, 'cookieStore', { value: undefined })`)
}

// everyBrowser runs a test with and without CookieStore.
func everyBrowser(t *testing.T, name string, test func(t *testing.T, prepare func(*visitor))) {
	t.Run(name, func(t *testing.T) { test(t, func(*visitor) {}) })
	t.Run(name+", without CookieStore", func(t *testing.T) { test(t, (*visitor).noCookieStore) })
}

// The consent cookie, as scripts write it.
const (
	yes = "cookie_consent=accepted; Path=/"
	no  = "cookie_consent=refused; Path=/"
)

// set writes a cookie as a script of the page does, after a click: browsers without
// CookieStore tell nobody.
func (v *visitor) set(cookie string) {
	v.T.Helper()
	v.run(`
		Object.getOwnPropertyDescriptor(Document.prototype, 'cookie').set.call(document, ` + testenv.Quote(cookie) + `);
		dispatchEvent(new Event('click'))`)
}

// have gives the visitor a cookie before they come to the page.
func (v *visitor) have(cookie string) {
	v.T.Helper()
	v.Open(v.edge.Edge(testenv.Support, "/"))
	v.set(cookie)
}

// mustBeMarked checks that there was no navigation since arrive.
func (v *visitor) mustBeMarked() {
	v.T.Helper()
	if !testenv.Eval[bool](v.Visitor, `window.marked === true`) {
		v.T.Error("the page was loaded anew")
	}
}

// mustBeReloaded waits until the page was loaded anew, and marks it.
func (v *visitor) mustBeReloaded() {
	v.T.Helper()
	v.Await("the page is loaded anew", `!window.marked && document.readyState === 'complete' && location.href === `+testenv.Quote(v.url))
	v.mark()
}

// The deflector

// renders is the JavaScript for how often the deflector was started.
const renders = `(window.KapaStandIn?.log ?? []).filter(({ event }) => event === 'render').length`

// wantDeflector waits for the nth start of the deflector. The page has one tag, it is
// the same page still, and the deflector is started for the form that is there.
func (v *visitor) wantDeflector(n int) {
	v.T.Helper()
	v.WaitFor(renders + fmt.Sprintf(` >= %d`, n))
	v.mustBeMarked()
	v.wantRenders(n)
	if tags := testenv.Eval[int](v.Visitor, `document.querySelectorAll(`+testenv.Quote(testenv.TagSelector)+`).length`); tags != 1 {
		v.T.Errorf("the page has %d tags", tags)
	}
	if missing := testenv.Eval[int](v.Visitor, `KapaStandIn.log.findLast(({ event }) => event === 'render').missing.length`); missing > 0 {
		v.T.Errorf("the deflector was started, and %d of its elements are missing", missing)
	}
}

// wantRenders checks how often the deflector was started.
func (v *visitor) wantRenders(n int) {
	v.T.Helper()
	if got := testenv.Eval[int](v.Visitor, renders); got != n {
		v.T.Errorf("the deflector was started %d times, want %d", got, n)
	}
}

// wantNothing checks that nothing of the deflector's is on the page, nor an id.
func (v *visitor) wantNothing() {
	v.T.Helper()
	v.WantNoTag()
	v.WantNoID()
}

// wantIDGone waits until there is no id.
func (v *visitor) wantIDGone() {
	v.T.Helper()
	testenv.Eventually(v.T, "the id is gone", func() bool { return len(v.Cookies(testenv.IDCookie)) == 0 })
}

// The questions

// quiet is long enough for a question that is not to come: the loader asks once a second
// at most, and looks at the page 200 ms after a change.
const quiet = 1400 * time.Millisecond

// wantAsked waits until the edge was asked n times about the page, and sees that it is
// not asked once more.
func (v *visitor) wantAsked(n int, step string) {
	v.T.Helper()
	v.wantAskedAt(v.uri, n, step)
}

func (v *visitor) wantAskedAt(uri string, n int, step string) {
	v.T.Helper()
	v.awaitAsked(uri, n, step)
	time.Sleep(quiet)
	if got := len(v.edge.Questions(uri)); got != n {
		v.T.Errorf("%s: the edge was asked %d times, want %d", step, got, n)
	}
}

// awaitAsked waits until the edge was asked n times.
func (v *visitor) awaitAsked(uri string, n int, step string) {
	v.T.Helper()
	testenv.Eventually(v.T, fmt.Sprintf("%s: question %d", step, n), func() bool { return len(v.edge.Questions(uri)) >= n })
}

// wantAnswer checks what the edge has answered last about the page.
func (v *visitor) wantAnswer(outcome string) {
	v.T.Helper()
	all := v.edge.Questions(v.uri)
	if len(all) == 0 {
		v.T.Fatal("the edge was not asked")
	}
	if got := all[len(all)-1].Outcome; got != outcome {
		v.T.Errorf("the outcome of the question is %s, want %s", got, outcome)
	}
}

// offline takes the network away, or gives it back.
func (v *visitor) offline(is bool) {
	v.T.Helper()
	testenv.Send(v.Visitor, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: is, DownloadThroughput: -1, UploadThroughput: -1}},
	})
	testenv.Send(v.Visitor, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: is, DownloadThroughput: -1, UploadThroughput: -1})
}

// counter counts what several goroutines do.
type counter struct{ n atomic.Int64 }

func (c *counter) add()       { c.n.Add(1) }
func (c *counter) reset()     { c.n.Store(0) }
func (c *counter) value() int { return int(c.n.Load()) }
