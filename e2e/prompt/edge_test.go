package prompt

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/chromedp/chromedp"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// An origin is the site behind the edge. It takes down what it is asked.
type origin struct {
	page     string
	header   http.Header
	bundle   string            // in place of Kapa's
	scripts  map[string]string // by path
	mu       sync.Mutex
	requests []string // methods and URIs
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.requests = append(o.requests, r.Method+" "+r.RequestURI)
	o.mu.Unlock()
	script, ok := o.scripts[r.URL.Path]
	if r.URL.Path == testenv.StandIn {
		script, ok = o.bundle, true
	}
	if ok {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, script)
		return
	}
	for name, values := range o.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, o.page)
}

// count counts the requests that contain text.
func (o *origin) count(text string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.requests {
		if strings.Contains(r, text) {
			n++
		}
	}
	return n
}

// started is a bundle that only says for which form it was started.
const started = `window.KapaSFD = { render() { window.rendered = document.querySelector('#support-form'); } };`

func standIn(t *testing.T) string {
	t.Helper()
	code, err := os.ReadFile(filepath.Join(testenv.Repository, "examples/shared/kapa-support-form-deflector.bundle.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(code)
}

// start runs an edge that asks at the host testenv.Support. lines stand in consent ask.
func (o *origin) start(t *testing.T, lines string) *testenv.Caddy {
	t.Helper()
	return testenv.StartCaddy(t, askingSite(testenv.Support, lines, testenv.Serve(t, o)))
}

func askingSite(host, lines, origin string) string {
	return `
http://` + host + `:{$EDGE_PORT} {
	kapa_deflector {` + testenv.Required + `
		script ` + testenv.StandIn + `
		pages /tickets/*
		loader load
		consent ask {
			policy /privacy
			` + lines + `
		}
	}
	reverse_proxy ` + origin + `
}`
}

func today() int { return int(time.Now().Unix() / 86400) }

// choice is the cookie in which the edge keeps the visitor's answer.
func choice(v *testenv.Visitor) string {
	v.T.Helper()
	cookies := v.Cookies("kapa_deflector_choice")
	if len(cookies) != 1 {
		return testenv.AsJSON(cookies)
	}
	answer, _, _ := strings.Cut(cookies[0].Value, ".")
	return answer
}

// A site without a banner, and without a line of its own for consent.
func TestTheVisitorAnswers(t *testing.T) {
	t.Parallel()
	o := &origin{page: testenv.FormPage("", ""), bundle: standIn(t)}
	c := o.start(t, "version v1")
	v := testenv.NewVisitor(t)
	v.Open(c.Edge(testenv.Support, "/tickets/new"))
	v.WaitFor(testenv.Visible(accept))
	v.WantNoTag()
	v.WantNoID()
	if n := o.count(testenv.StandIn); n != 0 || choice(v) != "[]" {
		t.Errorf("before an answer: Kapa's script was asked for %d times, and the choice is %s", n, choice(v))
	}
	v.Screenshot("asked")

	t.Log("yes: the deflector works on this page")
	v.FillIn(testenv.LongQuestion)
	v.Click(accept)
	v.WaitFor(`window.KapaSFD`)
	wantFocus(v, "change")
	if got := choice(v); got != "yes" {
		t.Errorf("the choice is %s", got)
	}
	if v.ID() == nil {
		t.Error("no id")
	}
	if at := where(v); at != "main before support-form" {
		t.Error(at)
	}
	v.Click(testenv.SendButton)
	v.WaitFor(testenv.Visible("#kapa-stand-in-send"))
	v.Screenshot("answered")

	t.Log("the next page does not ask")
	v.Reload()
	v.WaitFor(`window.KapaSFD`)
	v.WaitFor(testenv.Visible(change))
	if v.Sees(question) {
		t.Error("the visitor is asked again")
	}
	posts := v.Sent("POST")

	t.Log("the visitor changes the answer: the page is loaded again, without the deflector")
	testenv.Eval[bool](v, `window.before = true`)
	v.Click(change)
	v.Click(refuse)
	v.Await("another page", `!window.before && document.readyState === 'complete'`)
	v.WaitFor(testenv.Visible(change))
	v.WantNoTag()
	v.WantNoID()
	if got := choice(v); got != "no" || v.Text(status) != "You have refused the assistant." {
		t.Errorf("the choice is %s, and the prompt says %q", got, v.Text(status))
	}
	asked := o.count(testenv.StandIn)
	v.Reload()
	v.WaitFor(testenv.Visible(change))
	v.WantNoTag()
	if v.Sees(question) || o.count(testenv.StandIn) != asked || v.Sent("POST") != posts+1 {
		t.Errorf("after a no: asked again: %v, %d times for Kapa's script, %d POSTs", v.Sees(question), o.count(testenv.StandIn)-asked, v.Sent("POST")-posts)
	}
	if n := o.count("POST"); n != 0 {
		t.Errorf("the origin got %d POSTs", n)
	}

	t.Log("outside of pages nobody is asked")
	v.Open(c.Edge(testenv.Support, "/elsewhere"))
	v.WaitFor(`document.readyState === 'complete'`)
	if got := where(v); got != "0 prompts" {
		t.Error(got)
	}
}

// A withdrawal while there is something written leaves the page as it is.
func TestAWithdrawalLosesNothingThatIsWritten(t *testing.T) {
	t.Parallel()
	o := &origin{page: testenv.FormPage("", ""), bundle: started}
	c := o.start(t, "")
	v := testenv.NewVisitor(t)
	v.Open(c.Edge(testenv.Support, "/tickets/new"))
	v.Click(accept)
	v.WaitFor(`window.KapaSFD`)
	v.FillIn(testenv.LongQuestion)
	v.Click(change)
	v.Click(refuse)
	v.WaitFor(`document.querySelector('kapa-deflector-consent').shadowRoot.querySelector('[role=status]').textContent === 'You have refused the assistant.'`)
	v.WantNoID()
	if got := testenv.Eval[string](v, `document.querySelector('#description').value`); got != testenv.LongQuestion {
		t.Errorf("written: %q", got)
	}
	wantFocus(v, "change")
}

// A no counts as long as a yes, and for the question that was asked.
func TestWhenTheVisitorIsAskedAgain(t *testing.T) {
	t.Parallel()
	o := &origin{page: testenv.FormPage("", ""), bundle: started}
	address := testenv.Serve(t, o)
	c := testenv.StartCaddy(t, askingSite(testenv.Support, "version v1\nmax_age 30d", address)+askingSite(testenv.Docs, "version v2\nmax_age 30d", address))
	for _, tc := range []struct {
		name, host, choice string
		asked              bool
	}{
		{"never asked", testenv.Support, "", true},
		{"no, today", testenv.Support, "no.v1." + strconv.Itoa(today()), false},
		{"no, 29 days ago", testenv.Support, "no.v1." + strconv.Itoa(today()-29), false},
		{"no, 30 days ago", testenv.Support, "no.v1." + strconv.Itoa(today()-30), true},
		{"yes, 30 days ago", testenv.Support, "yes.v1." + strconv.Itoa(today()-30), true},
		{"no to another version", testenv.Docs, "no.v1." + strconv.Itoa(today()), true},
		{"yes to another version", testenv.Docs, "yes.v1." + strconv.Itoa(today()), true},
		{"something malformed", testenv.Support, "yes", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := testenv.NewVisitor(t)
			v.Open(c.Edge(tc.host, "/elsewhere"))
			if tc.choice != "" {
				testenv.Eval[bool](v, `(document.cookie = 'kapa_deflector_choice=`+tc.choice+`; path=/', true)`)
			}
			v.Open(c.Edge(tc.host, "/tickets/new"))
			v.WaitFor(`document.querySelector('kapa-deflector-consent')`)
			if v.Sees(question) != tc.asked || v.Sees(change) == tc.asked {
				t.Errorf("asked: %v", v.Sees(question))
			}
			v.WantNoTag()
		})
	}
	if n := o.count(testenv.StandIn); n != 0 {
		t.Errorf("Kapa's script was asked for %d times", n)
	}
}

// Other sites cannot answer in the visitor's place.
func TestOnlyTheSiteItselfAnswers(t *testing.T) {
	t.Parallel()
	o := &origin{page: testenv.FormPage("", ""), bundle: started}
	address := testenv.Serve(t, o)
	c := testenv.StartCaddy(t, askingSite(testenv.Support, "", address)+"\nhttp://"+testenv.Docs+":{$EDGE_PORT} {\n\treverse_proxy "+address+"\n}")
	v := testenv.NewTab(t)
	var questions []string
	v.Open(c.Edge(testenv.Support, "/tickets/new"))
	v.WaitFor(testenv.Visible(accept))
	questions = testenv.Eval[[]string](v, `performance.getEntriesByType('resource').map((e) => e.name).filter((name) => name.includes('kapa_deflector='))`)
	if len(questions) == 0 {
		t.Fatal("no question")
	}
	for _, from := range []string{c.Edge(testenv.Docs, "/"), testenv.OtherSite(t, "/")} {
		v.Open(from)
		for _, mode := range []string{"cors", "no-cors"} {
			testenv.Eval[bool](v, `fetch(`+testenv.Quote(questions[0])+`, { method: 'POST', mode: '`+mode+`', credentials: 'include',
				headers: `+map[string]string{"cors": `{ 'Kapa-Deflector': 'yes' }`, "no-cors": `{}`}[mode]+` }).then(() => true, () => true)`)
		}
		if got := choice(v); got != "[]" {
			t.Errorf("%s has answered: %s", from, got)
		}
	}
	v.Open(c.Edge(testenv.Support, "/tickets/new"))
	v.WaitFor(testenv.Visible(accept))
	v.WantNoTag()
}

// A page may outlive its configuration. The site itself gets no POST then.
func TestAStalePageNeverPostsToTheOrigin(t *testing.T) {
	t.Parallel()
	o := &origin{page: testenv.FormPage("", ""), bundle: started}
	address := testenv.Serve(t, o)
	global := "{\n\tauto_https off\n\tpersist_config off\n\tadmin 127.0.0.1:{$SITE_PORT}\n}\n"
	c := testenv.StartCaddy(t, global+askingSite(testenv.Support, "", address))
	for name, site := range map[string]string{
		"the block is gone": "http://" + testenv.Support + ":{$EDGE_PORT} {\n\treverse_proxy " + address + "\n}",
		"another question":  askingSite(testenv.Support, "\npolicy /elsewhere\n", address),
	} {
		t.Log(name)
		v := testenv.NewVisitor(t)
		if err := c.Load(t.Context(), global+askingSite(testenv.Support, "", address)); err != nil {
			t.Fatal(err)
		}
		v.Open(c.Edge(testenv.Support, "/tickets/new"))
		v.WaitFor(testenv.Visible(accept))
		if name == "another question" {
			site = strings.Replace(site, "policy /privacy\n", "", 1)
			site = strings.Replace(site, "loader load", "loader idle", 1) // another loader
			v.Expect("status 403", "status of 403")
		}
		if err := c.Load(t.Context(), global+site); err != nil {
			t.Fatal(err)
		}
		before := len(v.Requests("kapa_deflector="))
		v.Click(accept)
		testenv.Eventually(t, "the page asks once more", func() bool { return len(v.Requests("kapa_deflector=")) > before })
		v.WaitFor(`document.readyState === 'complete'`)
		if got := choice(v); got != "[]" || o.count("POST") != 0 {
			t.Errorf("the choice is %s, and the origin got %d POSTs", got, o.count("POST"))
		}
		v.WantNoTag()
	}
}

// Under a strict policy.
func TestThePromptUnderAStrictPolicy(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]string{
		"nonce":          "default-src 'none'; script-src 'nonce-abc'; style-src 'self'; connect-src 'self'; img-src data:",
		"strict-dynamic": "script-src 'nonce-abc' 'strict-dynamic'; object-src 'none'; base-uri 'none'; style-src 'self'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &origin{page: testenv.FormPage(`<script nonce="abc">0</script>`, ""), bundle: started, header: http.Header{"Content-Security-Policy": {policy}}}
			c := o.start(t, "")
			v := testenv.NewVisitor(t) // to whom no violation may happen
			v.Open(c.Edge(testenv.Support, "/tickets/new"))
			v.WaitFor(testenv.Visible(accept))
			if got := testenv.Eval[string](v, `getComputedStyle(document.querySelector('kapa-deflector-consent').shadowRoot.querySelector('[part=accept]')).borderTopWidth`); got != "2px" {
				t.Errorf("it has no styles: %s", got)
			}
			v.Click(accept)
			v.WaitFor(`window.rendered === document.querySelector('#support-form')`)
		})
	}
}

// bundled is a script with React of a version, and app in it.
func bundled(t *testing.T, suffix, app string) string {
	t.Helper()
	testenv.Module(t, "react-dom"+suffix)
	dir, err := filepath.Abs(filepath.Join(testenv.Repository, "e2e"))
	if err != nil {
		t.Fatal(err)
	}
	alias := map[string]string{}
	if suffix != "" {
		alias = map[string]string{"react": "react" + suffix, "react-dom": "react-dom" + suffix}
	}
	result := api.Build(api.BuildOptions{
		Stdin:  &api.StdinOptions{Contents: app, ResolveDir: dir},
		Bundle: true, Alias: alias, LogLevel: api.LogLevelSilent,
		Define: map[string]string{"process.env.NODE_ENV": `"development"`},
	})
	if len(result.Errors) > 0 {
		t.Fatal(result.Errors[0].Text)
	}
	return string(result.OutputFiles[0].Contents)
}

// reactApp takes the page over. redraw draws the form anew, without removes it.
const reactApp = `
import { createElement as h, useEffect, useState } from 'react';
import { hydrateRoot } from 'react-dom/client';
function App() {
	const [n, set] = useState(0);
	useEffect(() => {
		window.redraw = () => set((n) => n + 1);
		window.without = () => set(-1);
		window.hydrated = true;
	});
	return h('main', null, h('h1', null, 'Support'), n > 1 && h('p', null, 'Version ' + n), n >= 0 && h('form', { id: 'support-form', key: n },
		h('input', { id: 'email', name: 'email' }), h('input', { id: 'subject', name: 'subject' }),
		h('textarea', { id: 'description', name: 'description' }), h('button', { type: 'submit' }, 'Send')));
}
window.hydrate = () => hydrateRoot(document.getElementById('root'), h(App));
if (!document.documentElement.dataset.late) window.hydrate();
`

func reactPage(attribute string) string {
	return `<!doctype html><html lang="en"` + attribute + `><head><meta charset="utf-8"><title>t</title><link rel="icon" href="data:,"><script src="/app.js" defer></script></head><body>` +
		`<div id="root"><main><h1>Support</h1><form id="support-form"><input id="email" name="email"><input id="subject" name="subject"><textarea id="description" name="description"></textarea><button type="submit">Send</button></form></main></div></body></html>`
}

// React hydrates the page, draws the form anew, and takes it away, with the prompt
// beside it.
func TestReactWithThePrompt(t *testing.T) {
	t.Parallel()
	for version, suffix := range map[string]string{"18": "-18", "19": ""} {
		t.Run("React "+version, func(t *testing.T) {
			t.Parallel()
			o := &origin{page: reactPage(""), bundle: started, scripts: map[string]string{"/app.js": bundled(t, suffix, reactApp)}}
			c := o.start(t, "")
			v := testenv.NewVisitor(t) // to whom an error of hydration may not happen
			v.Open(c.Edge(testenv.Support, "/tickets/new"))
			v.WaitFor(`window.hydrated`)
			v.WaitFor(testenv.Visible(accept))
			for range 3 {
				testenv.Eval[bool](v, `(window.last = document.querySelector('#support-form'), redraw(), true)`)
				v.WaitFor(`document.querySelector('#support-form') !== last && document.querySelector('kapa-deflector-consent')?.nextElementSibling === document.querySelector('#support-form')`)
			}
			testenv.Eval[bool](v, `(without(), true)`)
			v.WaitFor(`!document.querySelector('#support-form') && !document.querySelector('kapa-deflector-consent')`)
			testenv.Eval[bool](v, `(redraw(), true)`)
			v.WaitFor(testenv.Visible(accept))
			v.Click(accept)
			v.WaitFor(`window.rendered && rendered === document.querySelector('#support-form')`)
			testenv.Eval[bool](v, `(redraw(), true)`)
			v.WaitFor(`rendered !== last && rendered === document.querySelector('#support-form')`)
			wantPlace(v, "main before support-form")
			if v.Sees(question) || !v.Sees(change) {
				t.Error("the answer is forgotten")
			}
		})
	}
}

// Where React takes the page over only after the prompt stands there, it draws the page
// anew; the prompt comes back.
func TestReactThatComesLate(t *testing.T) {
	t.Parallel()
	o := &origin{page: reactPage(` data-late="1"`), bundle: started, scripts: map[string]string{"/app.js": bundled(t, "", reactApp)}}
	c := o.start(t, "")
	v := testenv.NewTab(t)
	v.Open(c.Edge(testenv.Support, "/tickets/new"))
	v.WaitFor(testenv.Visible(accept))
	testenv.Eval[bool](v, `(window.last = document.querySelector('#support-form'), hydrate(), true)`)
	v.WaitFor(`window.hydrated`)
	v.WaitFor(`document.querySelector('kapa-deflector-consent')?.nextElementSibling === document.querySelector('#support-form')`)
	v.Click(accept)
	v.WaitFor(`window.rendered && rendered === document.querySelector('#support-form')`)
}

// The page's language, also with a region, is that of the prompt.
func TestThePromptInTheLanguageOfThePage(t *testing.T) {
	t.Parallel()
	page := strings.Replace(testenv.FormPage("", ""), `lang="en"`, `lang="de-AT"`, 1)
	o := &origin{page: page, bundle: started}
	c := o.start(t, "language de-AT {\n\t\t\t\taccept \"Ja, gern\"\n\t\t\t}")
	v := testenv.NewVisitor(t)
	testenv.Do(v, chromedp.EmulateViewport(390, 800))
	v.Open(c.Edge(testenv.Support, "/tickets/new"))
	v.WaitFor(testenv.Visible(accept))
	if got := v.Text(accept) + "|" + v.Text(refuse); got != "Ja, gern|Nein, ohne Assistent" {
		t.Error(got)
	}
	if text := v.Text(question); !strings.Contains(text, "Darf ein KI-Assistent") || !strings.Contains(text, "acme.localhost") {
		t.Error(text)
	}
	v.Screenshot("asked")
}
