package testenv

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

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/webdriver"
)

// Visitor is a person at a browser of their own, with nobody else's cookies.
type Visitor struct {
	T   *testing.T
	Ctx context.Context // of chromedp, if the browser is Chromium
	tab webdriver.Tab

	mu       sync.Mutex
	requests []Request
	fields   map[network.RequestID][]network.Headers // of its requests, one after the other
	answers  map[network.RequestID]int               // how many came
	problems []string
	expected []string
}

// Request is one that the browser sent; after a redirect comes another.
type Request struct {
	ID     network.RequestID
	method string
	url    string
	body   string
	Header network.Headers // as it went over the wire; only from Last
}

// NewVisitor is a visitor to whom nothing bad may happen: a script's error, a
// failed request, a dialog or a line in the console fails the test in the end,
// unless it was expected.
func NewVisitor(t *testing.T) *Visitor {
	t.Helper()
	v := NewTab(t)
	v.fields, v.answers = make(map[network.RequestID][]network.Headers), make(map[network.RequestID]int)
	v.Listen(v.notice)
	Do(v, chromedp.EmulateViewport(1280, 800))
	Send(v, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}, // nothing moves away from a click
	})
	t.Cleanup(v.checkProblems)
	return v
}

// NewTab is a visitor to whom anything may happen.
func NewTab(t *testing.T) *Visitor {
	t.Helper()
	ctx, cancel := chromedp.NewContext(Browser(t), chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	v := &Visitor{T: t, Ctx: ctx, tab: chromiumTab{}}
	v.Must(chromedp.Do(ctx)) // opens the tab for longer than one action
	return v
}

// AnotherTab is one that shares the visitor's cookies and cache.
func (v *Visitor) AnotherTab(options ...chromedp.ContextOption) *Visitor {
	v.T.Helper()
	ctx, cancel := chromedp.NewContext(v.Ctx, options...)
	v.T.Cleanup(cancel)
	v.Must(chromedp.Do(ctx)) // opens the tab for longer than one action
	return &Visitor{T: v.T, Ctx: ctx, tab: chromiumTab{}}
}

// Listen has listener called with what the browser reports about the tab.
func (v *Visitor) Listen(listener func(event any)) {
	v.T.Helper()
	v.Must(chromedp.Listen(v.Ctx, listener))
}

// ToFront shows the tab, which hides the others of its window.
func (v *Visitor) ToFront() {
	v.T.Helper()
	Send(v, page.BringToFront, cdp.Empty{})
	v.WaitFor(`!document.hidden`)
}

// Must fails the test if there is an error.
func (v *Visitor) Must(err error) {
	v.T.Helper()
	if err != nil {
		v.T.Fatal(err)
	}
}

// patient is a context for one thing that the browser is asked to do: nobody waits
// for it forever.
func (v *Visitor) patient() (context.Context, context.CancelFunc) {
	return context.WithTimeout(v.Ctx, Patience)
}

// Do runs one action in Chromium.
func Do[T any](v *Visitor, action chromedp.Action[T]) T {
	v.T.Helper()
	ctx, cancel := v.patient()
	defer cancel()
	result, err := chromedp.Run(ctx, action)
	v.Must(err)
	return result
}

// Send sends one command of the DevTools protocol to Chromium.
func Send[P, R any](v *Visitor, command cdp.Command[P, R], params P) R {
	v.T.Helper()
	ctx, cancel := v.patient()
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	v.Must(err)
	return result
}

// Eval returns what a JavaScript expression comes to on the page. If that page is left
// meanwhile, as when the loader reloads it, then the next page evaluates it anew.
func Eval[T any](v *Visitor, expression string) T {
	v.T.Helper()
	result, err := eval[T](v, expression)
	v.Must(err)
	return result
}

func eval[T any](v *Visitor, expression string) (result T, err error) {
	ctx, cancel := v.patient()
	defer cancel()
	value, err := v.tab.Evaluate(ctx, expression)
	for webdriver.Left(err) && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
		value, err = v.tab.Evaluate(ctx, expression)
	}
	if err != nil {
		return result, err
	}
	if err := json.Unmarshal(value, &result); err != nil {
		return result, fmt.Errorf("%s is %q: %w", expression, value, err)
	}
	return result, nil
}

// Quote writes s as JavaScript.
func Quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Open goes to an address as if it was typed, and waits until it is loaded.
func (v *Visitor) Open(url string) {
	v.T.Helper()
	ctx, cancel := v.patient()
	defer cancel()
	v.Must(v.tab.Navigate(ctx, url))
}

// Reload reloads the page, and waits until it is loaded.
func (v *Visitor) Reload() {
	v.T.Helper()
	ctx, cancel := v.patient()
	defer cancel()
	v.Must(v.tab.Reload(ctx))
}

// Follow clicks something that leads to another page, and waits until that is
// loaded.
func (v *Visitor) Follow(selector string) {
	v.T.Helper()
	x, y := v.place(selector)
	v.Followed(func(ctx context.Context) error { return v.tab.Click(ctx, x, y) })
}

// Followed does something that leads to another page, and waits until that is loaded.
func (v *Visitor) Followed(do func(context.Context) error) {
	v.T.Helper()
	ctx, cancel := v.patient()
	defer cancel()
	v.Must(v.tab.Follow(ctx, do))
}

// BodyOf is the page that the browser got, byte for byte.
func (v *Visitor) BodyOf(url string) string {
	v.T.Helper()
	return v.Answer(v.Last("GET", url))
}

// Answer is the body of the answer to a request, once the browser has it: the header
// comes first.
func (v *Visitor) Answer(r Request) (body string) {
	v.T.Helper()
	Eventually(v.T, "the browser has the body of "+r.url, func() bool {
		ctx, cancel := v.patient()
		defer cancel()
		got, err := chromedp.Call(ctx, network.GetResponseBody, network.GetResponseBodyParams{RequestID: r.ID})
		body = string(got.Body)
		return err == nil
	})
	return body
}

// Click clicks something that can be seen.
func (v *Visitor) Click(selector string) {
	v.T.Helper()
	x, y := v.place(selector)
	ctx, cancel := v.patient()
	defer cancel()
	v.Must(v.tab.Click(ctx, x, y))
}

// place is where something that can be seen can be clicked.
func (v *Visitor) place(selector string) (x, y float64) {
	v.T.Helper()
	v.WaitFor(Visible(selector))
	at := Eval[struct {
		X, Y float64
		Hit  string
	}](v, `(async () => {
		const e = `+element(selector)+`;
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
		const top = e.getRootNode().elementFromPoint(at.X, at.Y);
		return { ...at, Hit: e.contains(top) ? '' : top?.outerHTML.slice(0, 100) ?? 'nothing' };
	})()`)
	if at.Hit != "" {
		v.T.Fatalf("%s cannot be clicked: over it is %s", selector, at.Hit)
	}
	return at.X, at.Y
}

// Write types text into a field, in place of what is there.
func (v *Visitor) Write(selector, text string) {
	v.T.Helper()
	v.Click(selector)
	Eval[bool](v, element(selector)+`.select() ?? true`)
	ctx, cancel := v.patient()
	defer cancel()
	v.Must(v.tab.Type(ctx, text))
}

// Press presses a key, which may be one of chromedp's, in Chromium.
func (v *Visitor) Press(key string) {
	v.T.Helper()
	Do(v, chromedp.KeyEvent(key))
}

// WaitFor waits until an expression is true on the page.
func (v *Visitor) WaitFor(expression string) {
	v.T.Helper()
	for deadline := time.Now().Add(Patience); !Eval[bool](v, `Boolean(`+expression+`)`); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			v.T.Fatalf("waited in vain for %s\non %s:\n%s", expression, Eval[string](v, `location.href`), Eval[string](v, `document.body.innerText`))
		}
	}
}

// Await waits until an expression is true, while the tab goes from one page to
// another: no page answers while it is being left.
func (v *Visitor) Await(what, expression string) {
	v.T.Helper()
	Eventually(v.T, what, func() bool {
		ok, err := eval[bool](v, "Boolean("+expression+")")
		return err == nil && ok
	})
}

// Travel goes "back" or "forward" in the tab's history, and does not wait.
func (v *Visitor) Travel(direction string) {
	v.T.Helper()
	Eval[bool](v, `(setTimeout(() => history.`+direction+`()), true)`)
}

// Visible is the JavaScript for whether an element can be seen.
func Visible(selector string) string { return element(selector) + `?.checkVisibility()` }

// element is the JavaScript for the first element that a selector finds on the
// page, or else in the shadow root of an answer of the stand-in's or of the plugin's own
// question for consent.
func element(selector string) string {
	return `(document.querySelector(` + Quote(selector) + `) ?? [...document.querySelectorAll('#kapa-stand-in-answer, kapa-deflector-consent')]
		.map((host) => host.shadowRoot?.querySelector(` + Quote(selector) + `)).find(Boolean))`
}

// Sees reports whether an element can be seen.
func (v *Visitor) Sees(selector string) bool {
	v.T.Helper()
	return Eval[bool](v, `Boolean(`+Visible(selector)+`)`)
}

// Text is what an element says.
func (v *Visitor) Text(selector string) string {
	v.T.Helper()
	return Eval[string](v, element(selector)+`.innerText`)
}

// Path is the path of the page that is open.
func (v *Visitor) Path() string {
	v.T.Helper()
	return Eval[string](v, `location.pathname`)
}

// Cookies

// IDCookie is the cookie that holds the id.
const IDCookie = "kapa_web_id"

// Cookies are all of that name in the visitor's browser that any of the sample's
// hosts could see, in WebKit those that the page's host can. A cookie is for all ports
// of its host.
func (v *Visitor) Cookies(name string) []*network.Cookie {
	v.T.Helper()
	ctx, cancel := v.patient()
	defer cancel()
	found, err := v.tab.Cookies(ctx)
	v.Must(err)
	return slices.DeleteFunc(found, func(cookie *network.Cookie) bool { return cookie.Name != name })
}

// ID is the visitor's one id.
func (v *Visitor) ID() *network.Cookie {
	v.T.Helper()
	ids := v.Cookies(IDCookie)
	if len(ids) != 1 {
		v.T.Fatalf("the visitor has %d ids, want one: %v", len(ids), AsJSON(ids))
	}
	return ids[0]
}

// WantNoID checks that there is no id.
func (v *Visitor) WantNoID() {
	v.T.Helper()
	if ids := v.Cookies(IDCookie); len(ids) > 0 {
		v.T.Errorf("the visitor has an id: %v", AsJSON(ids))
	}
}

// WantID checks that there is this one id.
func (v *Visitor) WantID(want string) {
	v.T.Helper()
	if got := v.ID().Value; got != want {
		v.T.Errorf("the visitor's id has become %s, was %s", got, want)
	}
}

// AsJSON is x as a message shows it.
func AsJSON(x any) string {
	b, err := json.Marshal(x)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// The deflector

// HasTag reports whether the page has the tag.
func (v *Visitor) HasTag() bool {
	v.T.Helper()
	return Eval[bool](v, `document.querySelector(`+Quote(TagSelector)+`) !== null`)
}

// WantTag waits until the page has the tag and its script has run. A loader puts it in
// some time after the page has loaded.
func (v *Visitor) WantTag() {
	v.T.Helper()
	v.WaitFor(`document.querySelector(` + Quote(TagSelector) + `) && window.KapaSFD`)
}

// WantAnswer waits until the loader of the page that is open has been answered.
func (v *Visitor) WantAnswer() {
	v.T.Helper()
	v.WaitFor(`performance.getEntriesByType('resource').some(({ name }) => name.includes('kapa_deflector='))`)
}

// WantNoTag checks that the page has nothing of the deflector.
func (v *Visitor) WantNoTag() {
	v.T.Helper()
	if v.HasTag() {
		v.T.Errorf("there is a tag in %s", Eval[string](v, `location.href`))
	}
	if Eval[bool](v, `'KapaSFD' in window || 'kapaSettings' in window`) {
		v.T.Errorf("something of the deflector's is in %s", Eval[string](v, `location.href`))
	}
}

// What happens on the way

// notice takes down what the browser reports.
func (v *Visitor) notice(event any) {
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
			problem("console.%s: %s", e.Type, AsJSON(e.Args))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			problem("%s: %s (%s)", e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case *page.EventJavascriptDialogOpening:
		problem("dialog on %s: %s", e.URL, e.Message)
		go func() { // the page waits for it
			_, _ = chromedp.Call(v.Ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
		}()

	case *network.EventRequestWillBeSent:
		r := Request{ID: e.RequestID, method: e.Request.Method, url: e.Request.URL}
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

func (v *Visitor) urlOf(id network.RequestID) string {
	for _, r := range v.requests {
		if r.ID == id {
			return r.url
		}
	}
	return "(unknown)"
}

// Last is the last request with this method that went to that address, once it
// is answered.
func (v *Visitor) Last(method, url string) Request {
	v.T.Helper()
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if r, ok := v.findLast(method, url); ok {
			return r
		}
	}
	v.T.Fatalf("the browser never sent %s %s", method, url)
	return Request{}
}

func (v *Visitor) findLast(method, url string) (found Request, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	hops := make(map[network.RequestID]int) // a redirect keeps the id
	for _, r := range v.requests {
		hop := hops[r.ID]
		hops[r.ID]++
		if r.method == method && r.url == url && hop < len(v.fields[r.ID]) && hop < v.answers[r.ID] {
			found, ok = r, true
			found.Header = v.fields[r.ID][hop]
		}
	}
	return found, ok
}

// Requests are the addresses that contain text, in the order of the requests.
func (v *Visitor) Requests(text string) (urls []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.requests {
		if strings.Contains(r.url, text) {
			urls = append(urls, r.url)
		}
	}
	return urls
}

// Sent counts the requests with this method.
func (v *Visitor) Sent(method string) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.requests {
		if r.method == method {
			n++
		}
	}
	return n
}

// Field is one of the request's fields, whatever its case.
func (r Request) Field(name string) string {
	for key, value := range r.Header {
		if strings.EqualFold(key, name) {
			return fmt.Sprint(value)
		}
	}
	return ""
}

// Expect says that something will go wrong, and has to.
func (v *Visitor) Expect(problems ...string) {
	v.expected = append(v.expected, problems...)
}

// Problems is how many things went wrong so far, expected or not.
func (v *Visitor) Problems() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.problems)
}

// checkProblems fails the test for what went wrong.
func (v *Visitor) checkProblems() {
	v.T.Helper()
	if v.T.Failed() {
		v.Screenshot("failed")
	}
	if v.Ctx.Err() == nil {
		Eval[bool](v, `true`) // whatever happened before is reported before the answer
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, expected := range v.expected {
		if !slices.ContainsFunc(v.problems, func(p string) bool { return strings.Contains(p, expected) }) {
			v.T.Errorf("did not happen on the page: %s", expected)
		}
	}
	for _, problem := range v.problems {
		if !slices.ContainsFunc(v.expected, func(e string) bool { return strings.Contains(problem, e) }) {
			v.T.Errorf("on the page: %s", problem)
		}
	}
}

// Screenshot leaves a picture of what the visitor sees, if anybody wants it.
func (v *Visitor) Screenshot(name string) {
	v.T.Helper()
	dir := os.Getenv("KAPA_SCREENSHOTS")
	if dir == "" {
		return
	}
	v.Must(os.MkdirAll(dir, 0o750))
	file := strings.ReplaceAll(v.T.Name(), "/", "-") + "-" + name + ".png"
	ctx, cancel := v.patient()
	defer cancel()
	png, err := v.tab.Screenshot(ctx)
	v.Must(err)
	v.Must(os.WriteFile(filepath.Join(dir, file), png, 0o600))
}
