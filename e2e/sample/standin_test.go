package sample

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// What the tests of this module conclude from the stand-in holds for Kapa's bundle
// only as far as the two behave alike.

// standInTag is the script element as Kapa documents it, with further attributes.
func standInTag(attributes string) string {
	return `<script async data-integration-id="abc" data-main-input-query-selector="#description"
data-submit-element-query-selector="#support-form" data-submit-element-event-type="onSubmit"
data-submit-button-query-selector="#support-form button" data-anchor-element-query-selector="#support-form"
` + attributes + ` src="` + testenv.StandIn + `"></script>`
}

// openStandIn opens a page of its own with the stand-in, which is also to be had
// by any other name.
func openStandIn(t *testing.T, html string) *testenv.Visitor {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(testenv.Repository, "examples", "shared", testenv.StandIn))
	if err != nil {
		t.Fatal(err)
	}
	address := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, ".js"):
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(source)
		case r.Method == http.MethodPost:
			http.Redirect(w, r, "/tickets/thanks", http.StatusSeeOther)
		case r.URL.Path == "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte(html))
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte(testenv.FormPage("", "")))
		}
	}))
	v := testenv.NewVisitor(t)
	v.Open("http://" + strings.Replace(address, "127.0.0.1", testenv.Support, 1) + "/")
	return v
}

// events are those of the stand-in's log.
func events(v *testenv.Visitor) []string {
	v.T.Helper()
	return testenv.Eval[[]string](v, `KapaStandIn.log.map(({ event }) => event)`)
}

func wantEvents(v *testenv.Visitor, want ...string) {
	v.T.Helper()
	if got := events(v); !slices.Equal(got, want) {
		v.T.Errorf("its log is %q, want %q", got, want)
	}
}

func TestTheStandInFindsItsScriptElementByTheFilesName(t *testing.T) {
	t.Parallel()
	for src, found := range map[string]bool{
		testenv.StandIn: true,
		"/kapa-support-form-deflector-v1.2.30.bundle.js":       true,
		"/kapa-support-form-deflector.dev-x1.bundle.js":        true,
		"/kapa-support-form-deflector.dev-x1-v1.2.3.bundle.js": true,
		"/vendor/kapa-support-form-deflector.bundle.js?1":      true,
		"/kapa-widget.bundle.js":                               false,
		"/deflector.js":                                        false,
	} {
		t.Run(src, func(t *testing.T) {
			t.Parallel()
			v := openStandIn(t, testenv.FormPage(strings.Replace(standInTag(""), testenv.StandIn, src, 1), ""))
			if !found {
				v.Expect("No script element has an attribute src")
			}
			testenv.Eventually(t, "it runs", func() bool {
				return v.Problems() > 0 || testenv.Eval[bool](v, `Boolean(window.KapaSFD)`)
			})
			if got := v.Problems() == 0; got != found {
				t.Errorf("found: %t, want %t", got, found)
			}
		})
	}
}

func TestTheStandInStarts(t *testing.T) {
	t.Parallel()
	blocking := strings.Replace(standInTag(""), "async ", "", 1)
	for name, page := range map[string]string{
		"before the form is parsed": testenv.FormPage(blocking, ""),
		"after it":                  testenv.FormPage("", blocking),
		"when all is loaded": testenv.FormPage("", `<script>
addEventListener('load', () => setTimeout(() => document.head.append(document.createRange().createContextualFragment(`+testenv.Quote(standInTag(""))+`))));
</script>`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := openStandIn(t, page)
			v.WaitFor(`window.KapaStandIn?.log.length === 2`)
			wantEvents(v, "start", "render")
			if missing := testenv.Eval[int](v, `KapaStandIn.log[1].missing.length`); missing != 0 {
				t.Errorf("%d selectors find nothing", missing)
			}
		})
	}

	t.Run("once", func(t *testing.T) {
		t.Parallel()
		v := openStandIn(t, testenv.FormPage(standInTag("")+standInTag(""), ""))
		v.WaitFor(`window.KapaStandIn?.log.length === 3`)
		if got := events(v); strings.Count(strings.Join(got, " "), "start") != 1 || !slices.Contains(got, "ignored") {
			t.Errorf("its log is %q", got)
		}
	})

	t.Run("and waits to be told, if the tag says so", func(t *testing.T) {
		t.Parallel()
		v := openStandIn(t, testenv.FormPage(standInTag(`data-render-on-load="false"`), ""))
		v.WaitFor(`window.KapaSFD`)
		wantEvents(v, "start")
		testenv.Eval[bool](v, `(KapaSFD.render(), true)`)
		wantEvents(v, "start", "render")
		v.Ask()
	})
}

func TestTheStandInKnowsTheFormThatWasThereWhenItRendered(t *testing.T) {
	t.Parallel()
	const replace = `(() => {
		const form = document.querySelector('#support-form');
		form.replaceWith(form.cloneNode(true));
		return true;
	})()`
	t.Run("a form in its place is not intercepted", func(t *testing.T) {
		t.Parallel()
		v := openStandIn(t, testenv.FormPage(standInTag(""), ""))
		v.WaitFor(`window.KapaStandIn?.log.length === 2`)
		testenv.Eval[bool](v, replace)
		v.FillIn(testenv.LongQuestion)
		v.Follow(testenv.SendButton)
		v.WantSent("/tickets", testenv.LongQuestion)
	})
	t.Run("until it renders again", func(t *testing.T) {
		t.Parallel()
		v := openStandIn(t, testenv.FormPage(standInTag(""), ""))
		v.WaitFor(`window.KapaStandIn?.log.length === 2`)
		testenv.Eval[bool](v, replace)
		testenv.Eval[bool](v, `(KapaSFD.render(), true)`)
		v.Ask()
		wantEvents(v, "start", "render", "render", "question", "answer")
		v.Follow("#kapa-stand-in-send")
		v.WantSent("/tickets", testenv.LongQuestion)
	})
	t.Run("which for the same form makes two deflectors", func(t *testing.T) {
		t.Parallel()
		v := openStandIn(t, testenv.FormPage(standInTag(""), ""))
		v.WaitFor(`window.KapaStandIn?.log.length === 2`)
		testenv.Eval[bool](v, `(KapaSFD.render(), true)`)
		v.Ask()
		v.Click("#kapa-stand-in-send")
		v.WaitFor(`KapaStandIn.log.filter(({ event }) => event === 'question').length === 2`)
	})
}

func TestTheStandInFindsElementsInFramesAndShadowRoots(t *testing.T) {
	t.Parallel()
	body := `<iframe id="frame" srcdoc="<p id=editor contenteditable></p>"></iframe><div id="host"></div><div id="mail"></div><script>
const [host, mail] = ['host', 'mail'].map((id) => document.getElementById(id).attachShadow({ mode: 'open' }));
host.innerHTML = '<div id="inner"></div>';
host.querySelector('#inner').attachShadow({ mode: 'open' }).innerHTML = '<p id="anchor">anchor</p>';
mail.innerHTML = '<b id="address"> visitor@example.com </b>';
</script>`
	tag := strings.NewReplacer(
		`"#description"`, `"#frame ifr>> #editor"`,
		`data-anchor-element-query-selector="#support-form"`, `data-anchor-element-query-selector="#host shadow>> #inner sr>> #anchor"`,
	).Replace(standInTag(`data-render-on-load="false" data-user-email-query-selector="#mail shadow>> #address"`))
	v := openStandIn(t, testenv.FormPage(tag, body))
	v.WaitFor(`window.KapaSFD`)
	testenv.Eval[bool](v, `(document.querySelector('#frame').contentDocument.querySelector('#editor').textContent = `+testenv.Quote(testenv.LongQuestion)+`, KapaSFD.render(), true)`)
	v.Click(testenv.SendButton)
	v.WaitFor(`KapaStandIn.log.length === 4`)
	wantEvents(v, "start", "render", "question", "answer")
	got := testenv.Eval[struct{ Question, Email, Beside string }](v, `(() => {
		const { question, user } = KapaStandIn.log[2];
		const inner = document.querySelector('#host').shadowRoot.querySelector('#inner').shadowRoot;
		return { Question: question, Email: user.email, Beside: inner.querySelector('#anchor').nextSibling.id };
	})()`)
	if got.Question != testenv.LongQuestion || got.Email != "visitor@example.com" || got.Beside != "kapa-stand-in-answer" {
		t.Errorf("%+v", got)
	}
}

func TestTheStandInAnswersQuestionsOf25Characters(t *testing.T) {
	t.Parallel()
	for length, answers := range map[int]bool{0: false, 24: false, 25: true, 26: true} {
		for _, event := range []string{"onSubmit", "onClick"} {
			t.Run(fmt.Sprintf("%s, %d", event, length), func(t *testing.T) {
				t.Parallel()
				tag := standInTag("")
				if event == "onClick" {
					tag = strings.NewReplacer(`onSubmit`, event, `submit-element-query-selector="#support-form"`, `submit-element-query-selector="#support-form button"`).Replace(tag)
				}
				v := openStandIn(t, testenv.FormPage(tag, ""))
				v.WaitFor(`window.KapaStandIn?.log.length === 2`)
				question := strings.Repeat("x", length)
				v.FillIn(question)
				if answers {
					v.Click(testenv.SendButton)
					held := testenv.Eval[bool](v, `document.querySelector('#support-form button').disabled || KapaStandIn.log.some(({ event }) => event === 'answer')`)
					v.WaitFor(testenv.Visible("#kapa-stand-in-send"))
					free := testenv.Eval[bool](v, `!document.querySelector('#support-form button').disabled`)
					if !held || !free {
						t.Errorf("the submit button is disabled while it answers: %t, and not afterwards: %t", held, free)
					}
					v.Follow("#kapa-stand-in-send")
				} else {
					v.Follow(testenv.SendButton)
				}
				v.WantSent("/tickets", question)
			})
		}
	}
}

func TestTheStandInKeepsTheIDAsKapasScriptDoes(t *testing.T) {
	t.Parallel()
	for attributes, keeps := range map[string]bool{
		``: true,
		`data-user-analytics-cookie-enabled="true"`:       true,
		`data-user-analytics-cookie-enabled="false"`:      false,
		`data-user-analytics-fingerprint-enabled="true"`:  false,
		`data-user-analytics-fingerprint-enabled="false"`: true,
	} {
		t.Run(attributes, func(t *testing.T) {
			t.Parallel()
			v := openStandIn(t, testenv.FormPage(standInTag(attributes), ""))
			v.WaitFor(`window.KapaStandIn?.log.length === 2`)
			v.WantNoID() // before there is a question
			v.Ask()
			if !keeps {
				v.WantNoID()
				return
			}
			id := v.ID()
			const day = 24 * time.Hour
			left := time.Until(time.Unix(int64(id.Expires), 0))
			if id.Domain != ".acme.localhost" || id.Path != "/" || id.SameSite != "Strict" || !id.Secure || id.HTTPOnly || left < 398*day || left > 400*day {
				t.Errorf("the id is %s", testenv.AsJSON(id))
			}
			v.Click(testenv.SendButton)
			v.WaitFor(`KapaStandIn.log.filter(({ event }) => event === 'answer').length === 2`)
			v.WantID(id.Value)
		})
	}
}

func TestTheStandInTakesTheAddressFromTheForm(t *testing.T) {
	t.Parallel()
	const known = `<script>window.kapaSettings = { user: { email: 'known@example.com', uniqueClientId: '7' } }</script>`
	for name, scenario := range map[string]struct{ attributes, typed, want string }{
		"not told where":  {``, "typed@example.com", "known@example.com"},
		"an address":      {`data-user-email-query-selector="#email"`, "typed@example.com", "typed@example.com"},
		"an empty field":  {`data-user-email-query-selector="#email"`, "", ""},
		"no such element": {`data-user-email-query-selector="#nowhere"`, "typed@example.com", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := openStandIn(t, testenv.FormPage(known+standInTag(scenario.attributes), ""))
			v.WaitFor(`window.KapaStandIn?.log.length === 2`)
			if got := testenv.Eval[string](v, `kapaSettings.user.email`); got != "known@example.com" {
				t.Errorf("before there is a question, the address is %q", got)
			}
			v.Write("#description", testenv.LongQuestion)
			if scenario.typed != "" {
				v.Write("#email", scenario.typed)
			}
			v.Click(testenv.SendButton)
			v.WaitFor(`KapaStandIn.log.length === 4`)
			got := testenv.Eval[struct{ Email, UniqueClientID, Settings string }](v, `(({ user }) => (
				{ Email: user.email ?? '', UniqueClientID: user.uniqueClientId, Settings: kapaSettings.user.email ?? '' }))(KapaStandIn.log[2])`)
			if got.Email != scenario.want || got.Settings != scenario.want || got.UniqueClientID != "7" {
				t.Errorf("it was told %+v, want the address %q", got, scenario.want)
			}
		})
	}
}

func TestTheStandInDrawsTheTextThatStandsBeforeAQuestion(t *testing.T) {
	t.Parallel()
	v := openStandIn(t, testenv.FormPage(standInTag(`data-pre-submit-info-text="Answered &lt;at once>"`), ""))
	v.WaitFor(testenv.Visible("#kapa-stand-in-info"))
	if got := v.Text("#kapa-stand-in-info"); got != "Answered <at once>" {
		t.Errorf("it says %q", got)
	}
	v.Ask()
	if v.Sees("#kapa-stand-in-info") {
		t.Error("it stands there with the answer")
	}
}
