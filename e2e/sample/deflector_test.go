package sample

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// exampleAttributes are those of Caddyfile.example, in its order.
var exampleAttributes = [][2]string{
	{"data-integration-id", "00000000-0000-4000-8000-000000000000"},
	{"data-main-input-query-selector", "#description"},
	{"data-submit-element-query-selector", "#support-form"},
	{"data-submit-element-event-type", "onSubmit"},
	{"data-submit-button-query-selector", "#support-form button[type=submit]"},
	{"data-anchor-element-query-selector", "#support-form"},
	{"data-render-on-load", "false"}, // which is the loader's
}

func TestAFirstVisitHasTheBannerAndNothingElse(t *testing.T) {
	t.Parallel()
	site := sampleWithoutLoader(t)
	v := testenv.NewVisitor(t)
	for _, page := range testenv.SamplePages {
		resp := testenv.Do(v, chromedp.NavigateResponse(site.Edge(page.Host, page.Path)))
		if resp.Status != 200 {
			t.Errorf("%s%s: status %d", page.Host, page.Path, resp.Status)
		}
		if !v.Sees("#consent-banner") || !v.Sees(".consent-accept") || !v.Sees(".consent-refuse") {
			t.Errorf("%s%s: no banner, or one without a choice", page.Host, page.Path)
		}
		v.WantNoTag()

		got := v.BodyOf(site.Edge(page.Host, page.Path))
		if want := testenv.MustGet(t, site.Origin(page.Host, page.Path)).Body; got != want {
			t.Errorf("%s%s: the page is not the origin's:\n%s", page.Host, page.Path, got)
		}
	}
	v.WantNoID()
	v.Screenshot("docs")
	v.Open(site.Edge(testenv.Support, "/tickets/new"))
	v.Screenshot("form")
}

func TestWithoutConsentEveryPageIsTheOriginsByteForByte(t *testing.T) {
	t.Parallel()
	site := sampleWithoutLoader(t)
	for name, cookie := range map[string]string{
		"no cookie":       "",
		"refused":         "Cookie: cookie_consent=refused",
		"another cookie":  "Cookie: theme=dark",
		"contradictory":   "Cookie: cookie_consent=accepted; cookie_consent=refused",
		"another's value": "Cookie: cookie_consent=accepted2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var fields []string
			if cookie != "" {
				fields = append(fields, cookie)
			}
			for _, page := range testenv.SamplePages {
				got := testenv.MustGet(t, site.Edge(page.Host, page.Path), fields...)
				want := testenv.MustGet(t, site.Origin(page.Host, page.Path), fields...)
				if got.Status != want.Status || got.Body != want.Body {
					t.Errorf("%s%s is not the origin's", page.Host, page.Path)
				}
				for _, line := range got.Header["Set-Cookie"] {
					t.Errorf("%s%s sets a cookie: %s", page.Host, page.Path, line)
				}
				if etag := got.Header.Get("Etag"); etag != want.Header.Get("Etag") {
					t.Errorf("%s%s has ETag %q, and the origin's %q", page.Host, page.Path, etag, want.Header.Get("Etag"))
				}
			}
		})
	}
}

func TestAcceptingBringsTheDeflectorToTheForm(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
	v.Click(".consent-accept")
	v.Screenshot("1-accepted")
	v.Click(".consent-close")
	v.WantNoID()
	v.Follow(`nav a[href="/tickets/new"]`)

	v.WantTag()
	tag := testenv.Eval[struct {
		InHead, Last bool
		Names        []string
		Values       map[string]string
	}](v, `(() => {
		const tag = document.querySelector(`+testenv.Quote(testenv.TagSelector)+`);
		return {
			InHead: tag.parentNode === document.head,
			Last: tag === document.head.lastChild,
			Names: tag.getAttributeNames(),
			Values: Object.fromEntries([...tag.attributes].map(({ name, value }) => [name, value])),
		};
	})()`)
	if !tag.InHead || !tag.Last {
		t.Errorf("the tag's place: in head %v, last there %v", tag.InHead, tag.Last)
	}
	var wantNames []string
	wantValues := map[string]string{"src": testenv.Sample(t).Edge(testenv.Support, "/shared/kapa-support-form-deflector.bundle.js")}
	for _, a := range exampleAttributes {
		wantNames = append(wantNames, a[0])
		wantValues[a[0]] = a[1]
	}
	wantNames = append(wantNames, "src")
	if !slices.Equal(tag.Names, wantNames) {
		t.Errorf("the attributes are\n%q, want\n%q", tag.Names, wantNames)
	}
	if !maps.Equal(tag.Values, wantValues) {
		t.Errorf("the attributes are\n%q, want\n%q", tag.Values, wantValues)
	}

	// and the script says what it was given
	v.WaitFor(testenv.Visible("#kapa-stand-in"))
	shown := testenv.Eval[[][2]string](v, `[...document.querySelectorAll('#kapa-stand-in-attributes dd')].map((dd) => [dd.dataset.of, dd.textContent])`)
	if !slices.Equal(shown, exampleAttributes) {
		t.Errorf("the script was given\n%q, want\n%q", shown, exampleAttributes)
	}
	if status := v.Text("#kapa-stand-in-status"); !strings.Contains(status, "Ready") {
		t.Errorf("the deflector is not ready: %s", status)
	}
	if ids := v.Text("#kapa-stand-in-ids"); ids != v.ID().Value {
		t.Errorf("the script sees the id %q, want %q", ids, v.ID().Value)
	}
	v.Screenshot("2-form")
}

func TestTheIDIsOneThatKapasScriptCanUse(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
	v.Accept()
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/tickets/new"))
	v.WantTag()

	id := v.ID()
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
	t.Parallel()
	// what is left of a page without what the deflector put there
	const ownDOM = `(() => {
		const copy = document.documentElement.cloneNode(true);
		const loaders = [...copy.querySelectorAll('script')].filter((e) => e.text.includes('Kapa-Deflector'));
		[...loaders, ...copy.querySelectorAll('script[data-integration-id], #kapa-stand-in')].forEach((e) => e.remove());
		return document.doctype.name + copy.outerHTML;
	})()`

	for name, scripts := range map[string]bool{"as parsed": false, "with scripts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := testenv.NewVisitor(t)
			v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
			v.Accept()
			testenv.Send(v, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts})

			dom := func(url string) string {
				v.Open(url)
				if scripts {
					v.WaitFor(`document.documentElement.style.getPropertyValue('--consent-banner-height')`)
					if v.Path() == "/tickets/new-late" {
						v.WaitFor(testenv.Visible("#support-form"))
					}
				}
				return testenv.Eval[string](v, ownDOM)
			}
			for _, page := range testenv.SamplePages {
				dom(testenv.Sample(t).Edge(page.Host, page.Path))
				deflects := page.Form && scripts
				if deflects {
					v.WantTag()
					v.WaitFor(testenv.Visible("#kapa-stand-in"))
				}
				if v.HasTag() != deflects {
					t.Errorf("%s%s: tag %v, want %v", page.Host, page.Path, v.HasTag(), deflects)
				}
				got := testenv.Eval[string](v, ownDOM)
				if want := dom(testenv.Sample(t).Origin(page.Host, page.Path)); got != want {
					t.Errorf("%s%s: the page is\n%s\nwithout the plugin\n%s", page.Host, page.Path, got, want)
				}
			}
		})
	}
}

func TestTheIDIsTheSameOnAllSubdomainsAndForever(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
	v.Accept()
	v.Follow(`nav a[href="/tickets/new"]`)
	v.WantTag()
	id := v.ID().Value

	v.Follow(`nav a[href="/to/docs"]`)
	v.Follow(`nav a[href="/contact"]`)
	v.WantTag()
	v.WantID(id)
	if shown := v.Text("#kapa-stand-in-ids"); shown != id {
		t.Errorf("on the other site the script sees %q, want %q", shown, id)
	}
	v.Screenshot("docs")
	v.Reload()
	v.WantTag()
	v.WantID(id)

	// a question has Kapa's script write the id anew
	v.Ask()
	v.WantID(id)
	if sameSite := v.ID().SameSite; sameSite != network.CookieSameSiteStrict {
		t.Errorf("the stand-in has not written the id: SameSite is %s", sameSite)
	}
	v.Reload()
	v.WantID(id)
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/tickets/new"))
	v.WantTag()
	v.WantID(id)
	if shown := v.Text("#kapa-stand-in-ids"); shown != id {
		t.Errorf("back on the first site the script sees %q, want %q", shown, id)
	}
}

func TestAShortQuestionGoesStraightThrough(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
	v.Accept()
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/tickets/new"))
	v.WantTag()
	v.FillIn(testenv.ShortQuestion)
	v.Follow(testenv.SendButton)
	v.WantSent("/tickets", testenv.ShortQuestion)
}

func TestALongQuestionIsAnsweredFirst(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
	v.Accept()
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/tickets/new"))
	v.WantTag()
	v.FillIn(testenv.LongQuestion)
	v.Click(testenv.SendButton)
	v.WaitFor(testenv.Visible("#kapa-stand-in-answer"))
	v.Screenshot("1-answering")
	v.WaitFor(testenv.Visible("#kapa-stand-in-send"))
	v.Screenshot("2-answered")
	if v.Path() != "/tickets/new" || v.Sent("POST") != 0 {
		t.Errorf("the form was sent before the visitor said so")
	}

	t.Log("send it anyway")
	v.Follow("#kapa-stand-in-send")
	v.WantSent("/tickets", testenv.LongQuestion)
	v.Screenshot("3-sent")
}

func TestAnAnswerThatHelpedSendsNothing(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	v.Open(testenv.Sample(t).Edge(testenv.Docs, "/"))
	v.Accept()
	v.Open(testenv.Sample(t).Edge(testenv.Docs, "/contact"))
	v.WantTag()
	v.FillIn(testenv.LongQuestion)
	v.Press(kb.Tab)
	v.Press(kb.Enter) // on the send button, by keyboard
	v.WaitFor(testenv.Visible("#kapa-stand-in-solved"))
	v.Click("#kapa-stand-in-solved")
	v.WaitFor(`document.querySelector('#kapa-stand-in-status').textContent.includes('not sent')`)
	v.Screenshot("solved")
	if v.Path() != "/contact" || v.Sent("POST") != 0 {
		t.Errorf("the form was sent")
	}
}

func TestAFormThatIsDrawnLate(t *testing.T) {
	t.Parallel()
	t.Run("accepted", func(t *testing.T) {
		t.Parallel()
		v := testenv.NewVisitor(t)
		v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
		v.Accept()
		v.Follow(`nav a[href="/tickets/new-late"]`)
		v.WantTag()
		if got := testenv.Eval[string](v, `document.querySelector(`+testenv.Quote(testenv.TagSelector)+`).dataset.renderOnLoad`); got != "false" {
			t.Errorf("data-render-on-load is %q, want false", got)
		}
		v.WaitFor(`document.querySelector('#kapa-stand-in-status').textContent.includes('Ready')`)
		v.ID()
		v.Ask()
		v.Screenshot("answered")
		v.Follow("#kapa-stand-in-send")
		v.WantSent("/tickets", testenv.LongQuestion)
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		v := testenv.NewVisitor(t)
		v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
		v.Refuse()
		v.Follow(`nav a[href="/tickets/new-late"]`)
		v.WantAnswer()
		v.WantNoTag()
		v.FillIn(testenv.LongQuestion)
		v.Follow(testenv.SendButton)
		v.WantSent("/tickets", testenv.LongQuestion)
		v.WantNoID()
	})
	t.Run("undecided", func(t *testing.T) {
		t.Parallel()
		v := testenv.NewVisitor(t)
		v.Open(testenv.Sample(t).Edge(testenv.Support, "/tickets/new-late"))
		v.WantAnswer()
		v.WantNoTag()
		v.FillIn(testenv.LongQuestion)
		v.Follow(testenv.SendButton)
		v.WantSent("/tickets", testenv.LongQuestion)
		v.WantNoID()
	})
}
