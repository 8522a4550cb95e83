package prompt

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// checkWithAxe fails the test for everything that axe finds.
func checkWithAxe(v *testenv.Visitor, state string) {
	v.T.Helper()
	source, err := os.ReadFile(testenv.Module(v.T, "axe-core", "axe.min.js"))
	if err != nil {
		v.T.Fatal(err)
	}
	testenv.Eval[bool](v, string(source)+"; true")
	for _, violation := range testenv.Eval[[]string](v, `axe.run({ resultTypes: ['violations'] }).then(({ violations }) =>
		violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => id + ': ' + html + '\n' + failureSummary)))`) {
		v.T.Errorf("%s: %s", state, violation)
	}
	if checked := testenv.Eval[int](v, `axe.run('kapa-deflector-consent', { resultTypes: ['passes'] }).then(({ passes }) => passes.length)`); checked == 0 {
		v.T.Error("axe has not looked at the prompt")
	}
}

// emulate has the browser prefer something.
func emulate(v *testenv.Visitor, name, value string) {
	v.T.Helper()
	testenv.Send(v, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: name, Value: value}},
	})
}

// In three languages, light and dark, on a desktop, on a phone and at 200 %: nothing is
// cut off, and axe finds nothing.
func TestThePromptIsEasyToRead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, language, css, color string
		width                      int64
		scale                      float64
	}{
		{"wide", "en", plain, "#2b6cb0", 1280, 1},
		{"wide-dark", "de", dark, "#ffcc00", 1280, 1},
		{"phone", "de", plain, "#ffff00", 320, 1},
		{"phone-dark-rtl", "ar", dark, "rebeccapurple", 360, 1},
		{"rtl", "ar", plain, "", 800, 1},
		{"zoomed", "en", plain, "#2b6cb0", 640, 2},
		{"large-text", "fr", plain + "html{font-size:200%}body{font-size:1rem}", "#2b6cb0", 640, 1},
		{"dark-system", "en", plain + `@media(prefers-color-scheme:dark){body{background:#000;color:#fff}}`, "#000", 900, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := site{language: tc.language, css: tc.css}.mount(t)
			testenv.Do(v, chromedp.EmulateViewport(tc.width, 900, chromedp.EmulateScale(tc.scale)))
			if tc.name == "dark-system" {
				emulate(v, "prefers-color-scheme", "dark")
			}
			check := func(state string) {
				t.Helper()
				checkWithAxe(v, state)
				if wide := testenv.Eval[int64](v, `document.documentElement.scrollWidth`); wide > tc.width {
					t.Errorf("%s: the page is %d pixels wide, and the window %d", state, wide, tc.width)
				}
				for _, label := range testenv.Eval[[]string](v, `[...root().querySelectorAll('button, p, a')].filter((e) => e.checkVisibility() &&
					(e.scrollWidth > e.clientWidth && e.localName !== 'a' || e.localName === 'button' && e.clientHeight < 40)).map((e) => e.innerText)`) {
					t.Errorf("%s: there is too little room for %q", state, label)
				}
				v.Screenshot(state)
			}
			show(v, contentOf(tc.language, "", tc.color))
			check("asked")
			show(v, contentOf(tc.language, "yes", tc.color))
			check("yes")
			v.Click(change)
			check("changing")
			show(v, contentOf(tc.language, "no", tc.color))
			check("no")
		})
	}
}

// Refusing is as easy as accepting: the same size, the same look, the same step.
func TestYesAndNoAreEquals(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]site{
		"plain": {}, "dark": {css: dark},
		"coloured":            {css: plain + host + `{--kapa-deflector-button-color:#fff;--kapa-deflector-button-background:#036;--kapa-deflector-accent:red}`},
		"buttons of the site": {css: plain + `button:first-of-type{background:green;font-size:2em}button{opacity:.5}`},
		"a flex form":         {css: plain + `main{display:flex;flex-direction:column}`},
		"a grid":              {css: plain + `main{display:grid;grid-template-columns:1fr 1fr}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := s.mount(t)
			for _, width := range []int64{1280, 320} {
				testenv.Do(v, chromedp.EmulateViewport(width, 900))
				for _, language := range []string{"de", "fr", "ar"} {
					show(v, contentOf(language, "", "#ff0"))
					for _, difference := range testenv.Eval[[]string](v, `(() => {
						const a = getComputedStyle(part('accept')), b = getComputedStyle(part('refuse'));
						const names = [...a].filter((name) => a.getPropertyValue(name) !== b.getPropertyValue(name));
						const [r, s] = [part('accept'), part('refuse')].map((e) => e.getBoundingClientRect());
						if (r.width !== s.width || r.height !== s.height || r.width < 100) names.push('size');
						if (part('accept').parentNode !== part('refuse').parentNode) names.push('place');
						return names;
					})()`) {
						t.Errorf("%d pixels, %s: they differ in %s", width, language, difference)
					}
				}
			}
			testenv.Eval[bool](v, `(part('accept').focus(), true)`)
			v.Press(kb.Tab)
			wantFocus(v, "refuse")
		})
	}
}

func TestTheKeyboardIsEnoughForThePrompt(t *testing.T) {
	t.Parallel()
	v := site{}.mount(t)
	show(v, contentOf("en", "", ""))
	way := func(want string) {
		t.Helper()
		for name := range strings.FieldsSeq(want) {
			v.Press(kb.Tab)
			wantFocus(v, name)
			if !testenv.Eval[bool](v, `(() => {
				const e = document.activeElement.shadowRoot?.activeElement ?? document.activeElement;
				return e.matches(':focus-visible') && parseFloat(getComputedStyle(e).outlineWidth) > 0 && getComputedStyle(e).outlineStyle !== 'none';
			})()`) {
				t.Errorf("the focus on %s cannot be seen", name)
			}
		}
	}
	way("a accept refuse email")
	testenv.Eval[bool](v, `(document.activeElement.blur(), getSelection().removeAllRanges(), part('accept').focus(), true)`)
	v.Press(kb.Enter)
	if got := testenv.Eval[[]string](v, `chosen`); strings.Join(got, " ") != "yes" {
		t.Fatalf("chosen: %q", got)
	}
	wantFocus(v, "accept")
	show(v, contentOf("en", "yes", ""))
	wantFocus(v, "change")
	if v.Sees(question) || v.Sees(accept) || v.Text(status) != "You have agreed to the assistant." {
		t.Errorf("after a yes the prompt says %q", testenv.Eval[string](v, `root().querySelector('.box').innerText`))
	}
	way("email")

	t.Log("and to change the answer")
	testenv.Eval[bool](v, `(part('change').focus(), true)`)
	v.Press(" ")
	wantFocus(v, "change")
	if !v.Sees(question) || testenv.Eval[string](v, `part('change').ariaExpanded`) != "true" {
		t.Error("the question does not come back")
	}
	way("a accept refuse")
	v.Press(" ")
	show(v, contentOf("en", "no", ""))
	wantFocus(v, "change")
	if v.Sees(question) || v.Text(status) != "You have refused the assistant." || testenv.Eval[string](v, `part('change').ariaExpanded`) != "false" {
		t.Errorf("after a no the prompt says %q", testenv.Eval[string](v, `root().querySelector('.box').innerText`))
	}
	v.Press(kb.Enter)
	v.Press(kb.Enter)
	if v.Sees(question) {
		t.Error("the second press does not close the question")
	}
	if got := testenv.Eval[[]string](v, `chosen`); strings.Join(got, " ") != "yes no" {
		t.Fatalf("chosen: %q", got)
	}
}

// What a screen reader is told.
func TestNamesAndRoles(t *testing.T) {
	t.Parallel()
	v := site{language: "de"}.mount(t)
	show(v, contentOf("de", "", ""))
	type node struct{ Role, Name, Value string }
	tree := func() (lines []string) {
		for _, n := range testenv.Eval[[]node](v, `[...root().querySelectorAll('[role], button, a')].filter((e) => e.checkVisibility()).map((e) => ({
			Role: e.getAttribute('role') ?? e.localName,
			Name: e.getAttribute('aria-labelledby') ? root().getElementById(e.getAttribute('aria-labelledby')).textContent : e.textContent,
		}))`) {
			lines = append(lines, n.Role+" "+n.Name)
		}
		return lines
	}
	title := "Darf ein KI-Assistent eine Antwort vorschlagen, bevor dieses Formular abgeschickt wird?"
	want := "group " + title + "|status |a Datenschutzerklärung (öffnet einen neuen Tab)|button Ja, mit Assistent|button Nein, ohne Assistent"
	if got := strings.Join(tree(), "|"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	v.Click(refuse)
	testenv.Eval[bool](v, `(window.live = root().querySelector('[role=status]'), true)`)
	show(v, contentOf("de", "no", ""))
	if !testenv.Eval[bool](v, `live === root().querySelector('[role=status]')`) {
		t.Error("the live region was there only after the choice, so that it is not read out")
	}
	want = "group " + title + "|status Sie haben den Assistenten abgelehnt.|button Antwort ändern"
	if got := strings.Join(tree(), "|"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for _, tc := range []struct{ page, lang, dir string }{{"de", "de", "ltr"}, {"ar", "ar", "rtl"}, {"pl", "en", "ltr"}} {
		show(v, contentOf(tc.page, "", ""))
		if got := testenv.Eval[string](v, `root().firstChild.lang + ' ' + getComputedStyle(part('accept')).direction`); got != tc.lang+" "+tc.dir {
			t.Errorf("on a page in %s: %s", tc.page, got)
		}
	}
}

// The focus is the visitor's.
func TestTheFocusIsNeverStolenOrLost(t *testing.T) {
	t.Parallel()
	v := site{}.mount(t)
	v.Click("#description")
	show(v, contentOf("en", "", ""))
	wantFocus(v, "description")
	testenv.Do(v, chromedp.KeyEvent("abc"))

	t.Log("the visitor goes on writing before the choice is confirmed")
	v.Click(accept)
	wantFocus(v, "accept")
	v.Click("#description")
	testenv.Do(v, chromedp.KeyEvent("def"))
	show(v, contentOf("en", "yes", ""))
	testenv.Do(v, chromedp.KeyEvent("ghi"))
	wantFocus(v, "description")
	if got := testenv.Eval[string](v, `document.querySelector('#description').value`); len(got) != 9 {
		t.Errorf("written: %q", got)
	}

	t.Log("Safari focuses no button that is clicked")
	v.Click(change)
	v.Click(refuse)
	testenv.Eval[bool](v, `(part('refuse').blur(), true)`)
	show(v, contentOf("en", "no", ""))
	wantFocus(v, "change")

	t.Log("the visitor answers in another tab")
	v.Click(change)
	testenv.Eval[bool](v, `(part('accept').focus(), true)`)
	show(v, contentOf("en", "yes", ""))
	wantFocus(v, "change")

	t.Log("the answer is too old, and the visitor is asked again")
	show(v, contentOf("en", "", ""))
	wantFocus(v, "box")

	t.Log("the same answer again, as after another question of the loader's")
	testenv.Eval[bool](v, `(part('refuse').focus(), true)`)
	show(v, contentOf("en", "", ""))
	wantFocus(v, "refuse")
	testenv.Eval[bool](v, `(part('question').querySelector('a').focus(), true)`)
	show(v, contentOf("en", "", ""))
	wantFocus(v, "a")
}

// While the edge has not confirmed a choice there is no second one.
func TestWaitingForTheEdge(t *testing.T) {
	t.Parallel()
	v := site{}.mount(t)
	state := func() string {
		return testenv.Eval[string](v, `[part('accept').ariaDisabled, part('refuse').ariaDisabled, chosen.join('+')].join(' ') + ': ' + root().querySelector('[role=status]').textContent`)
	}
	want := func(want string) {
		t.Helper()
		if got := state(); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	const failed = "Your answer could not be saved. Please try again."
	show(v, contentOf("en", "", ""))
	want("false false : ")
	v.Click(accept)
	want("true true yes: ")
	v.Click(refuse)
	v.Click(accept)
	want("true true yes: ")
	wantFocus(v, "accept")

	t.Log("an answer to an earlier question confirms nothing")
	show(v, contentOf("en", "", ""))
	want("true true yes: ")

	t.Log("no answer comes")
	testenv.Eval[bool](v, `(wait(), true)`)
	want("false false yes: " + failed)
	wantFocus(v, "accept")
	show(v, contentOf("en", "", ""))
	want("false false yes: " + failed)
	v.Screenshot("failed")
	v.Click(refuse)
	want("true true yes+no: ")
	show(v, contentOf("en", "no", ""))
	want("false false yes+no: You have refused the assistant.")

	t.Log("it comes late")
	v.Click(change)
	v.Click(accept)
	testenv.Eval[bool](v, `(wait(), true)`)
	want("false false yes+no+yes: " + failed)
	show(v, contentOf("en", "yes", ""))
	want("false false yes+no+yes: You have agreed to the assistant.")
	if v.Sees(question) {
		t.Error("the question is still open")
	}
}

// Those who see colours of their own see buttons as buttons, and the focus.
func TestForcedColours(t *testing.T) {
	t.Parallel()
	v := site{css: plain + host + `{--kapa-deflector-button-color:#fff;--kapa-deflector-button-background:#036}`}.mount(t)
	emulate(v, "forced-colors", "active")
	v.WaitFor(`matchMedia('(forced-colors: active)').matches`)
	show(v, contentOf("en", "", "#ff0"))
	testenv.Eval[bool](v, `(part('question').querySelector('a').focus(), true)`)
	v.Press(kb.Tab)
	v.Screenshot("asked")
	for _, problem := range testenv.Eval[[]string](v, `['accept', 'refuse'].flatMap((name) => {
		const style = getComputedStyle(part(name)), back = getComputedStyle(document.body).backgroundColor, found = [];
		if (style.borderTopWidth !== '2px' || style.borderTopColor === back) found.push(name + ' has no border: ' + style.borderTop);
		if (style.color === style.backgroundColor) found.push(name + ' cannot be read');
		if (part(name).matches(':focus') && (style.outlineStyle !== 'solid' || style.outlineColor === style.backgroundColor)) found.push(name + ' does not show the focus');
		return found;
	})`) {
		t.Error(problem)
	}
	v.Click(accept)
	if got := testenv.Eval[string](v, `(() => {
		const gray = document.createElement('i');
		document.body.append(gray);
		gray.style.setProperty('color', 'GrayText');
		const same = getComputedStyle(gray).color === getComputedStyle(part('accept')).color;
		gray.remove();
		return same ? '' : getComputedStyle(part('accept')).color;
	})()`); got != "" {
		t.Errorf("a button that waits looks like one that does not: %s", got)
	}
}

// Nothing in it moves, whatever the visitor prefers.
func TestNothingMoves(t *testing.T) {
	t.Parallel()
	v := site{}.mount(t)
	emulate(v, "prefers-reduced-motion", "no-preference")
	show(v, contentOf("en", "yes", ""))
	v.Click(change)
	v.Click(refuse)
	show(v, contentOf("en", "no", ""))
	if got := testenv.Eval[[]string](v, `[document.querySelector('kapa-deflector-consent'), ...root().querySelectorAll('*')].filter((e) => {
		const { animationName, transitionDuration, scrollBehavior } = getComputedStyle(e);
		return animationName !== 'none' || parseFloat(transitionDuration) || scrollBehavior !== 'auto';
	}).map((e) => e.outerHTML).concat(document.getAnimations().map(String))`); len(got) > 0 {
		t.Errorf("these move: %q", got)
	}
}
