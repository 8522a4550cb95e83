package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const browserHelp = "install Chromium or Chrome so that chromium, chromium-browser or google-chrome is in PATH"

// patience is how long a test waits for something that ought to happen.
const patience = 15 * time.Second

// visitor is a person at a browser of their own, with nobody else's cookies.
//
// Whatever goes wrong on a page, a script's error, a failed request, a dialog,
// fails the test in the end, unless it was expected.
type visitor struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	requests []request
	fields   map[network.RequestID][]network.Headers // of its requests, one after the other
	answers  map[network.RequestID]int               // how many came
	problems []string
	expected []string
}

// request is one that the browser sent; after a redirect comes another.
type request struct {
	id     network.RequestID
	method string
	url    string
	body   string
	header network.Headers // as it went over the wire; only from last
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	if browser == nil {
		missing(t, "browser", browserHelp)
	}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	v := &visitor{t: t, fields: make(map[network.RequestID][]network.Headers), answers: make(map[network.RequestID]int)}
	v.must(chromedp.Listen(ctx, v.notice))

	v.ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	do(v, chromedp.EmulateViewport(1280, 800))
	send(v, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}, // nothing moves away from a click
	})
	t.Cleanup(v.checkProblems)
	return v
}

func (v *visitor) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// do runs one action, and does not wait for it forever.
func do[T any](v *visitor, action chromedp.Action[T]) T {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	v.must(err)
	return result
}

// send sends one command of the DevTools protocol.
func send[P, R any](v *visitor, command cdp.Command[P, R], params P) R {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	v.must(err)
	return result
}

// eval returns what a JavaScript expression comes to on the page.
func eval[T any](v *visitor, expression string) T {
	v.t.Helper()
	return do(v, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// quote writes s as JavaScript.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// open goes to an address as if it was typed, and waits until it is loaded.
func (v *visitor) open(url string) *network.Response {
	v.t.Helper()
	return do(v, chromedp.NavigateResponse(url))
}

func (v *visitor) reload() *network.Response {
	v.t.Helper()
	return v.followed(chromedp.Reload())
}

// follow clicks something that leads to another page, and waits until that is
// loaded.
func (v *visitor) follow(selector string) *network.Response {
	v.t.Helper()
	return v.followed(v.clicking(selector))
}

func (v *visitor) followed(action chromedp.Action[chromedp.Void]) *network.Response {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	resp, err := chromedp.RunResponse(ctx, action)
	v.must(err)
	return resp
}

// click clicks something that can be seen.
func (v *visitor) click(selector string) {
	v.t.Helper()
	do(v, v.clicking(selector))
}

func (v *visitor) clicking(selector string) chromedp.Action[chromedp.Void] {
	v.t.Helper()
	v.waitFor(visible(selector))
	at := eval[struct {
		X, Y float64
		Hit  string
	}](v, `(async () => {
		const e = document.querySelector(`+quote(selector)+`);
		const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
		const place = () => {
			e.scrollIntoView({ block: 'center' });
			const r = e.getClientRects()[0];
			return { X: r.x + r.width / 2, Y: r.y + r.height / 2 };
		};
		let at = place();
		for (let same = 0, tries = 0; same < 2 && tries < 100; tries++) { // nobody clicks what still moves
			await frame();
			const now = place();
			same = now.X === at.X && now.Y === at.Y ? same + 1 : 0;
			at = now;
		}
		const top = document.elementFromPoint(at.X, at.Y);
		return { ...at, Hit: e.contains(top) ? '' : top?.outerHTML.slice(0, 100) ?? 'nothing' };
	})()`)
	if at.Hit != "" {
		v.t.Fatalf("%s cannot be clicked: over it is %s", selector, at.Hit)
	}
	return chromedp.MouseClickXY(at.X, at.Y)
}

// write types text into a field, in place of what is there.
func (v *visitor) write(selector, text string) {
	v.t.Helper()
	v.click(selector)
	eval[bool](v, `document.querySelector(`+quote(selector)+`).select() ?? true`)
	do(v, chromedp.KeyEvent(text))
}

func (v *visitor) press(key string) {
	v.t.Helper()
	do(v, chromedp.KeyEvent(key))
}

// waitFor waits until an expression is true on the page.
func (v *visitor) waitFor(expression string) {
	v.t.Helper()
	for deadline := time.Now().Add(patience); !eval[bool](v, `Boolean(`+expression+`)`); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			v.t.Fatalf("waited in vain for %s\non %s:\n%s", expression, eval[string](v, `location.href`), eval[string](v, `document.body.innerText`))
		}
	}
}

func visible(selector string) string {
	return `document.querySelector(` + quote(selector) + `)?.checkVisibility()`
}

func (v *visitor) sees(selector string) bool {
	v.t.Helper()
	return eval[bool](v, `Boolean(`+visible(selector)+`)`)
}

// text is what an element says.
func (v *visitor) text(selector string) string {
	v.t.Helper()
	return eval[string](v, `document.querySelector(`+quote(selector)+`).innerText`)
}

func (v *visitor) path() string {
	v.t.Helper()
	return eval[string](v, `location.pathname`)
}

// Cookies

const idCookie = "kapa_web_id"

// cookies are all of that name in the visitor's browser that any host of c
// could see.
func (v *visitor) cookies(c *caddy, name string) []*network.Cookie {
	v.t.Helper()
	urls := []string{c.edge("localhost", "/"), c.edge(support, "/"), c.edge(docs, "/")}
	found := send(v, network.GetCookies, network.GetCookiesParams{URLs: urls}).Cookies
	return slices.DeleteFunc(found, func(cookie *network.Cookie) bool { return cookie.Name != name })
}

// id is the visitor's one id.
func (v *visitor) id() *network.Cookie {
	v.t.Helper()
	ids := v.cookies(sample, idCookie)
	if len(ids) != 1 {
		v.t.Fatalf("the visitor has %d ids, want one: %v", len(ids), asJSON(ids))
	}
	return ids[0]
}

func (v *visitor) wantNoID() {
	v.t.Helper()
	if ids := v.cookies(sample, idCookie); len(ids) > 0 {
		v.t.Errorf("the visitor has an id: %v", asJSON(ids))
	}
}

func (v *visitor) wantID(want string) {
	v.t.Helper()
	if got := v.id().Value; got != want {
		v.t.Errorf("the visitor's id has become %s, was %s", got, want)
	}
}

func asJSON(x any) string {
	b, err := json.Marshal(x)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// The deflector

const tagSelector = `script[data-integration-id]`

func (v *visitor) hasTag() bool {
	v.t.Helper()
	return eval[bool](v, `document.querySelector(`+quote(tagSelector)+`) !== null`)
}

func (v *visitor) wantTag() {
	v.t.Helper()
	if !v.hasTag() {
		v.t.Errorf("no tag in %s", eval[string](v, `location.href`))
		return
	}
	v.waitFor(`window.KapaSFD`)
}

func (v *visitor) wantNoTag() {
	v.t.Helper()
	if v.hasTag() {
		v.t.Errorf("there is a tag in %s", eval[string](v, `location.href`))
	}
	if eval[bool](v, `'KapaSFD' in window || 'kapaSettings' in window`) {
		v.t.Errorf("something of the deflector's is in %s", eval[string](v, `location.href`))
	}
}

// The banner

func (v *visitor) accept() { v.t.Helper(); v.choose(".consent-accept", "accepted") }
func (v *visitor) refuse() { v.t.Helper(); v.choose(".consent-refuse", "refused") }

func (v *visitor) choose(button, choice string) {
	v.t.Helper()
	if !v.sees("#consent-banner") {
		v.changeMind()
	}
	v.click(button)
	v.wantChoice(choice)
	v.click(".consent-close")
	v.waitFor(`!` + visible("#consent-banner"))
}

func (v *visitor) changeMind() {
	v.t.Helper()
	v.click(".consent-change")
	v.waitFor(visible(".consent-accept"))
}

func (v *visitor) wantChoice(want string) {
	v.t.Helper()
	got := v.cookies(sample, "cookie_consent")
	if len(got) != 1 || got[0].Value != want {
		v.t.Errorf("the choice that is kept is %s, want %s", asJSON(got), want)
	}
}

// What happens on the way

// notice takes down what the browser reports.
func (v *visitor) notice(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	problem := func(format string, args ...any) {
		v.problems = append(v.problems, fmt.Sprintf(format, args...))
	}
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		problem("exception in %s: %s", e.ExceptionDetails.URL, text)
	case *runtime.EventConsoleAPICalled:
		switch e.Type {
		case runtime.ConsoleAPICalledTypeError, runtime.ConsoleAPICalledTypeWarning, runtime.ConsoleAPICalledTypeAssert:
			problem("console.%s: %s", e.Type, asJSON(e.Args))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			problem("%s: %s (%s)", e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case *page.EventJavascriptDialogOpening:
		problem("dialog on %s: %s", e.URL, e.Message)
		go func() { // the page waits for it
			_, _ = chromedp.Call(v.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
		}()

	case *network.EventRequestWillBeSent:
		r := request{id: e.RequestID, method: e.Request.Method, url: e.Request.URL}
		for _, entry := range e.Request.PostDataEntries {
			r.body += string(entry.Bytes)
		}
		v.requests = append(v.requests, r)
	case *network.EventRequestWillBeSentExtraInfo: // before the event above, or after it
		v.fields[e.RequestID] = append(v.fields[e.RequestID], e.Headers)
	case *network.EventResponseReceivedExtraInfo:
		v.answers[e.RequestID]++
	case *network.EventLoadingFailed:
		if !e.Canceled {
			problem("request failed: %s %s%s", v.urlOf(e.RequestID), e.ErrorText, e.BlockedReason)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			problem("status %d: %s", e.Response.Status, e.Response.URL)
		}
	}
}

func (v *visitor) urlOf(id network.RequestID) string {
	for _, r := range v.requests {
		if r.id == id {
			return r.url
		}
	}
	return "(unknown)"
}

// last is the last request with this method that went to that address, once it
// is answered.
func (v *visitor) last(method, url string) request {
	v.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if r, ok := v.findLast(method, url); ok {
			return r
		}
	}
	v.t.Fatalf("the browser never sent %s %s", method, url)
	return request{}
}

func (v *visitor) findLast(method, url string) (found request, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	hops := make(map[network.RequestID]int) // a redirect keeps the id
	for _, r := range v.requests {
		hop := hops[r.id]
		hops[r.id]++
		if r.method == method && r.url == url && hop < len(v.fields[r.id]) && hop < v.answers[r.id] {
			found, ok = r, true
			found.header = v.fields[r.id][hop]
		}
	}
	return found, ok
}

// sent counts the requests with this method.
func (v *visitor) sent(method string) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.requests {
		if r.method == method {
			n++
		}
	}
	return n
}

// field is one of the request's fields, whatever its case.
func (r request) field(name string) string {
	for key, value := range r.header {
		if strings.EqualFold(key, name) {
			return fmt.Sprint(value)
		}
	}
	return ""
}

// expect says that something will go wrong, and has to.
func (v *visitor) expect(problems ...string) {
	v.expected = append(v.expected, problems...)
}

// checkProblems fails the test for what went wrong.
func (v *visitor) checkProblems() {
	v.t.Helper()
	if v.t.Failed() {
		v.screenshot("failed")
	}
	if v.ctx.Err() == nil {
		eval[bool](v, `true`) // whatever happened before is reported before the answer
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, expected := range v.expected {
		if !slices.ContainsFunc(v.problems, func(p string) bool { return strings.Contains(p, expected) }) {
			v.t.Errorf("did not happen on the page: %s", expected)
		}
	}
	for _, problem := range v.problems {
		if !slices.ContainsFunc(v.expected, func(e string) bool { return strings.Contains(problem, e) }) {
			v.t.Errorf("on the page: %s", problem)
		}
	}
}

// screenshot leaves a picture of what the visitor sees, if anybody wants it.
func (v *visitor) screenshot(name string) {
	v.t.Helper()
	dir := os.Getenv("KAPA_SCREENSHOTS")
	if dir == "" {
		return
	}
	v.must(os.MkdirAll(dir, 0o750))
	file := strings.ReplaceAll(v.t.Name(), "/", "-") + "-" + name + ".png"
	v.must(os.WriteFile(filepath.Join(dir, file), do(v, chromedp.CaptureScreenshot()), 0o600))
}
