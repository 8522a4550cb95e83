package e2e

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp/kb"
)

// exampleAttributes are those of Caddyfile.example, in its order.
var exampleAttributes = [][2]string{
	{"data-integration-id", "00000000-0000-4000-8000-000000000000"},
	{"data-main-input-query-selector", "#description"},
	{"data-submit-element-query-selector", "#support-form"},
	{"data-submit-element-event-type", "onSubmit"},
	{"data-submit-button-query-selector", "#support-form button[type=submit]"},
	{"data-anchor-element-query-selector", "#support-form"},
}

// A question that is long enough to be answered, and one that is not: Kapa
// answers from 25 characters on.
const (
	longQuestion  = "How do I reset my password?"
	shortQuestion = "It does not work at all." // 24
)

// fillIn fills the form in, as somebody who types.
func (v *visitor) fillIn(question string) {
	v.t.Helper()
	v.write("#email", "visitor@example.com")
	v.write("#subject", "Help")
	v.write("#description", question)
}

const sendButton = "#support-form button[type=submit]"

// ask submits a question and waits for the answer to stand there.
func (v *visitor) ask() {
	v.t.Helper()
	v.fillIn(longQuestion)
	v.click(sendButton)
	v.waitFor(visible("#kapa-stand-in-send"))
}

func TestAFirstVisitHasTheBannerAndNothingElse(t *testing.T) {
	site := sampleWithoutWatcher(t)
	v := newVisitor(t)
	for _, page := range samplePages {
		resp := v.open(site.edge(page.host, page.path))
		if resp.Status != 200 {
			t.Errorf("%s%s: status %d", page.host, page.path, resp.Status)
		}
		if !v.sees("#consent-banner") || !v.sees(".consent-accept") || !v.sees(".consent-refuse") {
			t.Errorf("%s%s: no banner, or one without a choice", page.host, page.path)
		}
		v.wantNoTag()

		got := v.bodyOf(site.edge(page.host, page.path))
		if want := mustGet(t, site.origin(page.host, page.path)).body; got != want {
			t.Errorf("%s%s: the page is not the origin's:\n%s", page.host, page.path, got)
		}
	}
	v.wantNoID()
	v.screenshot("docs")
	v.open(site.edge(support, "/tickets/new"))
	v.screenshot("form")
}

// bodyOf is the page that the browser got, byte for byte.
func (v *visitor) bodyOf(url string) string {
	v.t.Helper()
	r := v.last("GET", url)
	return string(send(v, network.GetResponseBody, network.GetResponseBodyParams{RequestID: r.id}).Body)
}

func TestWithoutConsentEveryPageIsTheOriginsByteForByte(t *testing.T) {
	if browser == nil {
		missing(t, "browser", browserHelp)
	}
	site := sampleWithoutWatcher(t)
	for name, cookie := range map[string]string{
		"no cookie":       "",
		"refused":         "Cookie: cookie_consent=refused",
		"another cookie":  "Cookie: theme=dark",
		"contradictory":   "Cookie: cookie_consent=accepted; cookie_consent=refused",
		"another's value": "Cookie: cookie_consent=accepted2",
	} {
		t.Run(name, func(t *testing.T) {
			var fields []string
			if cookie != "" {
				fields = append(fields, cookie)
			}
			for _, page := range samplePages {
				got := mustGet(t, site.edge(page.host, page.path), fields...)
				want := mustGet(t, site.origin(page.host, page.path), fields...)
				if got.status != want.status || got.body != want.body {
					t.Errorf("%s%s is not the origin's", page.host, page.path)
				}
				for _, line := range got.header["Set-Cookie"] {
					t.Errorf("%s%s sets a cookie: %s", page.host, page.path, line)
				}
				if etag := got.header.Get("Etag"); etag != want.header.Get("Etag") {
					t.Errorf("%s%s has ETag %q, and the origin's %q", page.host, page.path, etag, want.header.Get("Etag"))
				}
			}
		})
	}
}

func TestAcceptingBringsTheDeflectorToTheForm(t *testing.T) {
	v := newVisitor(t)
	v.open(sample.edge(support, "/"))
	v.click(".consent-accept")
	v.screenshot("1-accepted")
	v.click(".consent-close")
	v.wantNoID()
	v.follow(`nav a[href="/tickets/new"]`)

	v.wantTag()
	tag := eval[struct {
		InHead, Last bool
		Names        []string
		Values       map[string]string
	}](v, `(() => {
		const tag = document.querySelector(`+quote(tagSelector)+`);
		return {
			InHead: tag.parentNode === document.head,
			Last: tag.nextSibling === document.head.lastChild && tag.nextSibling.text.includes('Kapa-Deflector'), // but for the watcher
			Names: tag.getAttributeNames(),
			Values: Object.fromEntries([...tag.attributes].map(({ name, value }) => [name, value])),
		};
	})()`)
	if !tag.InHead || !tag.Last {
		t.Errorf("the tag's place: in head %v, last there %v", tag.InHead, tag.Last)
	}
	wantNames, wantValues := []string{"async", "src"}, map[string]string{
		"async": "",
		"src":   "/shared/kapa-support-form-deflector.bundle.js",
	}
	for _, a := range exampleAttributes {
		wantNames = append(wantNames, a[0])
		wantValues[a[0]] = a[1]
	}
	if !slices.Equal(tag.Names, wantNames) {
		t.Errorf("the attributes are\n%q, want\n%q", tag.Names, wantNames)
	}
	if !maps.Equal(tag.Values, wantValues) {
		t.Errorf("the attributes are\n%q, want\n%q", tag.Values, wantValues)
	}

	// and the script says what it was given
	v.waitFor(visible("#kapa-stand-in"))
	shown := eval[[][2]string](v, `[...document.querySelectorAll('#kapa-stand-in-attributes dd')].map((dd) => [dd.dataset.of, dd.textContent])`)
	if !slices.Equal(shown, exampleAttributes) {
		t.Errorf("the script was given\n%q, want\n%q", shown, exampleAttributes)
	}
	if status := v.text("#kapa-stand-in-status"); !strings.Contains(status, "Ready") {
		t.Errorf("the deflector is not ready: %s", status)
	}
	if ids := v.text("#kapa-stand-in-ids"); ids != v.id().Value {
		t.Errorf("the script sees the id %q, want %q", ids, v.id().Value)
	}
	v.screenshot("2-form")
}

func TestTheIDIsOneThatKapasScriptCanUse(t *testing.T) {
	v := newVisitor(t)
	v.open(sample.edge(support, "/"))
	v.accept()
	v.open(sample.edge(support, "/tickets/new"))

	id := v.id()
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id.Value) {
		t.Errorf("the id is %q, want a UUID of version 4", id.Value)
	}
	if id.Domain != ".acme.localhost" || id.Path != "/" {
		t.Errorf("it is for %s%s, want .acme.localhost/", id.Domain, id.Path)
	}
	if id.HTTPOnly || id.SameSite != network.CookieSameSiteLax {
		t.Errorf("HttpOnly is %v and SameSite %s, want false and Lax", id.HTTPOnly, id.SameSite)
	}
	const day = 24 * time.Hour
	if left := time.Until(time.Unix(int64(id.Expires), 0)); left < 398*day || left > 400*day {
		t.Errorf("it lives for %v, want 399 days", left)
	}
}

func TestNothingButTheTagChangesThePage(t *testing.T) {
	// what is left of a page without what the deflector put there
	const ownDOM = `(() => {
		const copy = document.documentElement.cloneNode(true);
		const watchers = [...copy.querySelectorAll('script')].filter((e) => e.text.includes('Kapa-Deflector'));
		[...watchers, ...copy.querySelectorAll('script[data-integration-id], #kapa-stand-in')].forEach((e) => e.remove());
		return document.doctype.name + copy.outerHTML;
	})()`

	for name, scripts := range map[string]bool{"as parsed": false, "with scripts": true} {
		t.Run(name, func(t *testing.T) {
			v := newVisitor(t)
			v.open(sample.edge(support, "/"))
			v.accept()
			send(v, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts})

			dom := func(url string) string {
				v.open(url)
				if scripts {
					v.waitFor(`document.documentElement.style.getPropertyValue('--consent-banner-height')`)
					if v.path() == "/tickets/new-late" {
						v.waitFor(visible("#support-form"))
					}
				}
				return eval[string](v, ownDOM)
			}
			for _, page := range samplePages {
				got := dom(sample.edge(page.host, page.path))
				if v.hasTag() != page.form {
					t.Errorf("%s%s: tag %v, want %v", page.host, page.path, v.hasTag(), page.form)
				}
				if want := dom(sample.origin(page.host, page.path)); got != want {
					t.Errorf("%s%s: the page is\n%s\nwithout the plugin\n%s", page.host, page.path, got, want)
				}
			}
		})
	}
}

func TestTheIDIsTheSameOnAllSubdomainsAndForever(t *testing.T) {
	v := newVisitor(t)
	v.open(sample.edge(support, "/"))
	v.accept()
	v.follow(`nav a[href="/tickets/new"]`)
	v.wantTag()
	id := v.id().Value

	v.follow(`nav a[href="/to/docs"]`)
	v.follow(`nav a[href="/contact"]`)
	v.wantTag()
	v.wantID(id)
	if shown := v.text("#kapa-stand-in-ids"); shown != id {
		t.Errorf("on the other site the script sees %q, want %q", shown, id)
	}
	v.screenshot("docs")
	v.reload()
	v.wantTag()
	v.wantID(id)

	// a question has Kapa's script write the id anew
	v.ask()
	v.wantID(id)
	if sameSite := v.id().SameSite; sameSite != network.CookieSameSiteStrict {
		t.Errorf("the stand-in has not written the id: SameSite is %s", sameSite)
	}
	v.reload()
	v.wantID(id)
	v.open(sample.edge(support, "/tickets/new"))
	v.wantTag()
	v.wantID(id)
	if shown := v.text("#kapa-stand-in-ids"); shown != id {
		t.Errorf("back on the first site the script sees %q, want %q", shown, id)
	}
}

func TestAShortQuestionGoesStraightThrough(t *testing.T) {
	v := newVisitor(t)
	v.open(sample.edge(support, "/"))
	v.accept()
	v.open(sample.edge(support, "/tickets/new"))
	v.wantTag()
	v.fillIn(shortQuestion)
	v.follow(sendButton)
	v.wantSent("/tickets", shortQuestion)
}

func TestALongQuestionIsAnsweredFirst(t *testing.T) {
	v := newVisitor(t)
	v.open(sample.edge(support, "/"))
	v.accept()
	v.open(sample.edge(support, "/tickets/new"))
	v.wantTag()
	v.fillIn(longQuestion)
	v.click(sendButton)
	v.waitFor(visible("#kapa-stand-in-answer"))
	v.screenshot("1-answering")
	v.waitFor(visible("#kapa-stand-in-send"))
	v.screenshot("2-answered")
	if v.path() != "/tickets/new" || v.sent("POST") != 0 {
		t.Errorf("the form was sent before the visitor said so")
	}

	t.Log("send it anyway")
	v.follow("#kapa-stand-in-send")
	v.wantSent("/tickets", longQuestion)
	v.screenshot("3-sent")
}

func TestAnAnswerThatHelpedSendsNothing(t *testing.T) {
	v := newVisitor(t)
	v.open(sample.edge(docs, "/"))
	v.accept()
	v.open(sample.edge(docs, "/contact"))
	v.wantTag()
	v.fillIn(longQuestion)
	v.press(kb.Tab)
	v.press(kb.Enter) // on the send button, by keyboard
	v.waitFor(visible("#kapa-stand-in-solved"))
	v.click("#kapa-stand-in-solved")
	v.waitFor(`document.querySelector('#kapa-stand-in-status').textContent.includes('not sent')`)
	v.screenshot("solved")
	if v.path() != "/contact" || v.sent("POST") != 0 {
		t.Errorf("the form was sent")
	}
}

// wantSent checks that the visitor's form arrived with this question.
func (v *visitor) wantSent(action, question string) {
	v.t.Helper()
	if v.path() != action+"/thanks" {
		v.t.Errorf("after sending, the visitor is at %s", v.path())
	}
	var sent []string
	v.mu.Lock()
	for _, r := range v.requests {
		if r.method == "POST" {
			sent = append(sent, r.body)
		}
	}
	v.mu.Unlock()
	want := url.Values{"email": {"visitor@example.com"}, "subject": {"Help"}, "description": {question}}
	if len(sent) != 1 {
		v.t.Fatalf("the form was sent %d times", len(sent))
	}
	if got, err := url.ParseQuery(sent[0]); err != nil || got.Encode() != want.Encode() {
		v.t.Errorf("sent was %s, want %s", sent[0], want.Encode())
	}
}

func TestAFormThatIsDrawnLate(t *testing.T) {
	t.Run("accepted", func(t *testing.T) {
		v := newVisitor(t)
		v.open(sample.edge(support, "/"))
		v.accept()
		v.follow(`nav a[href="/tickets/new-late"]`)
		v.wantTag()
		if got := eval[string](v, `document.querySelector(`+quote(tagSelector)+`).dataset.renderOnLoad`); got != "false" {
			t.Errorf("data-render-on-load is %q, want false", got)
		}
		v.waitFor(`document.querySelector('#kapa-stand-in-status').textContent.includes('Ready')`)
		v.id()
		v.ask()
		v.screenshot("answered")
		v.follow("#kapa-stand-in-send")
		v.wantSent("/tickets", longQuestion)
	})
	t.Run("refused", func(t *testing.T) {
		v := newVisitor(t)
		v.open(sample.edge(support, "/"))
		v.refuse()
		v.follow(`nav a[href="/tickets/new-late"]`)
		v.waitFor(visible("#support-form"))
		v.wantNoTag()
		v.fillIn(longQuestion)
		v.follow(sendButton)
		v.wantSent("/tickets", longQuestion)
		v.wantNoID()
	})
	t.Run("undecided", func(t *testing.T) {
		v := newVisitor(t)
		v.open(sample.edge(support, "/tickets/new-late"))
		v.waitFor(visible("#support-form"))
		v.wantNoTag()
		v.fillIn(longQuestion)
		v.follow(sendButton)
		v.wantSent("/tickets", longQuestion)
		v.wantNoID()
	})
}
