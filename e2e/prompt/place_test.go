package prompt

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// where says in which element the prompt stands, and before which one.
func where(v *testenv.Visitor) string {
	v.T.Helper()
	return testenv.Eval[string](v, `(() => {
		const all = document.querySelectorAll('kapa-deflector-consent'), name = (e) => e ? e.id || e.localName : 'nothing';
		if (all.length !== 1) return all.length + ' prompts';
		return name(all[0].parentElement) + ' before ' + name(all[0].nextElementSibling);
	})()`)
}

func wantPlace(v *testenv.Visitor, want string) {
	v.T.Helper()
	if got := where(v); got != want {
		v.T.Errorf("the prompt stands in %s, want %s", got, want)
	}
}

// The prompt stands before the anchor element, or before the nearest element around it
// where it can be used.
func TestWhereThePromptStands(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, body, want string }{
		{"a form", `<main id="m"><form id="anchor"></form></main>`, "m before anchor"},
		{"a field in a form", `<form id="f"><div id="d"><textarea id="anchor"></textarea></div></form>`, "d before anchor"},
		{"a cell", `<div id="d"><table id="t"><tbody><tr><td id="anchor">x</td></tr></tbody></table></div>`, "d before t"},
		{"a row", `<div id="d"><table id="t"><tr id="anchor"><td>x</td></tr></table></div>`, "d before t"},
		{"in a cell", `<table><tr><td id="c"><form id="anchor"></form></td></tr></table>`, "c before anchor"},
		{"an item", `<div id="d"><ul id="l"><li id="anchor">x</li></ul></div>`, "d before l"},
		{"in an item", `<ol><li id="i"><div id="anchor"></div></li></ol>`, "i before anchor"},
		{"a term", `<div id="d"><dl id="l"><dt id="anchor">x</dt><dd>y</dd></dl></div>`, "d before l"},
		{"an option", `<div id="d"><select id="s"><optgroup label="g"><option id="anchor">x</option></optgroup></select></div>`, "d before s"},
		{"in a label", `<div id="d"><label id="l"><span><input id="anchor"></span></label></div>`, "d before l"},
		{"in a button", `<div id="d"><button id="b"><span id="anchor">x</span></button></div>`, "d before b"},
		{"in a label in an item in a list", `<div id="d"><ul id="l"><label><li id="anchor">x</li></label></ul></div>`, "d before l"},
		{"in a paragraph", `<div id="d"><p id="p"><em><input id="anchor"></em></p></div>`, "d before p"},
		{"in a row of boxes", `<div id="d"><div id="r"><aside></aside><form id="anchor"></form></div></div>`, "d before r"},
		{"in a column of boxes", `<div id="c"><form id="anchor"></form></div>`, "c before anchor"},
		{"the body", `<div id="first"></div>`, "body before first"},
		{"in a frame", `<div id="d"><iframe id="f" src="/frame"></iframe></div>`, "d before f"},
		{"nowhere", `<div id="first"></div>`, "body before first"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := site{body: tc.body, css: plain + `#r,#c{display:flex}#c{flex-direction:column}`}.mount(t)
			anchor := `document.querySelector('#anchor')`
			switch tc.name {
			case "the body":
				anchor = `document.body`
			case "in a frame":
				anchor = `document.querySelector('iframe').contentDocument.querySelector('#inner')`
			case "nowhere":
				anchor = `1`
			}
			for range 3 {
				testenv.Eval[bool](v, `(show(`+contentOf("en", "", "")+`, [1, 1, 1, `+anchor+`]), true)`)
				wantPlace(v, tc.want)
			}
		})
	}
}

// The form comes and goes, and the prompt with it.
func TestThePromptFollowsTheForm(t *testing.T) {
	t.Parallel()
	v := site{}.mount(t)
	content := contentOf("en", "", "")
	show(v, content)
	v.Click(accept)
	wantPlace(v, "main before support-form")

	t.Log("a framework draws the form anew")
	testenv.Eval[bool](v, `(() => {
		const form = document.querySelector('#support-form'), next = form.cloneNode(true);
		form.replaceWith(next);
		return true;
	})()`)
	show(v, content)
	wantPlace(v, "main before support-form")
	if got := testenv.Eval[string](v, `part('accept').ariaDisabled`); got != "true" {
		t.Error("the choice is forgotten")
	}

	t.Log("and all that is around it")
	testenv.Eval[bool](v, `(document.querySelector('main').replaceWith(document.querySelector('main').cloneNode(true)), true)`)
	testenv.Eval[bool](v, `(document.querySelectorAll('kapa-deflector-consent').forEach((e) => e.remove()), true)`)
	show(v, content)
	wantPlace(v, "main before support-form")

	t.Log("somebody takes the prompt away")
	testenv.Eval[bool](v, `(document.querySelector('kapa-deflector-consent').remove(), true)`)
	show(v, content)
	wantPlace(v, "main before support-form")

	t.Log("the form moves elsewhere")
	testenv.Eval[bool](v, `(document.querySelector('header').append(document.querySelector('#support-form')), true)`)
	show(v, content)
	wantPlace(v, "header before support-form")

	t.Log("something else comes between them, and the prompt stays, with the focus")
	testenv.Eval[bool](v, `(part('refuse').focus(), document.querySelector('#support-form').before(Object.assign(document.createElement('hr'), { id: 'line' })), true)`)
	show(v, content)
	wantPlace(v, "header before line")
	wantFocus(v, "refuse")

	t.Log("the form goes")
	testenv.Eval[bool](v, `(document.querySelector('#support-form').remove(), show(`+content+`, undefined), show(`+content+`, null), true)`)
	if got := where(v); got != "0 prompts" {
		t.Error(got)
	}

	t.Log("there is nothing to ask any more")
	testenv.Eval[bool](v, `(document.querySelector('main').replaceChildren(Object.assign(document.createElement('form'), { id: 'support-form' })), true)`)
	show(v, content)
	wantPlace(v, "main before support-form")
	show(v, `undefined`)
	if got := where(v); got != "0 prompts" {
		t.Error(got)
	}
}

// Selectors that browsers' tools write count siblings. With the prompt before the form
// they find nothing.
func TestSelectorsThatCountSiblings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ selector, want string }{
		{"main > :nth-child(2)", "main before nothing"},
		{"main > form:nth-child(2):last-child", "0 prompts"}, // there is no place for it
	} {
		v := site{}.mount(t)
		testenv.Eval[bool](v, `(window.look = () => {
			const form = document.querySelector(`+testenv.Quote(tc.selector)+`);
			show(`+contentOf("en", "", "")+`, form?.id === 'support-form' ? find() : null);
		}, true)`)
		var places []string
		for range 8 {
			testenv.Eval[bool](v, `(look(), true)`)
			places = append(places, where(v))
		}
		if last := places[len(places)-1]; last != tc.want || places[len(places)-2] != tc.want {
			t.Errorf("%s: %q, want %s", tc.selector, places, tc.want)
		}
	}
}

// The prompt may stand within the form, which knows nothing of it.
func TestTheSitesFormHearsNothing(t *testing.T) {
	t.Parallel()
	v := site{body: strings.Replace(form, `<label for="description">`, `<div id="anchor"></div><label for="description">`, 1)}.mount(t)
	testenv.Eval[bool](v, `(() => {
		window.heard = [];
		const events = 'click dblclick mousedown mouseup pointerdown pointerup keydown keypress keyup focusin focusout input change submit touchstart touchend';
		for (const type of events.split(' ')) for (const target of [document.querySelector('#support-form'), document])
			target.addEventListener(type, (event) => heard.push(type + ' ' + (event.key ?? '')));
		return true;
	})()`)
	testenv.Eval[bool](v, `(show(`+contentOf("en", "", "")+`, find('#anchor')), true)`)
	wantPlace(v, "support-form before anchor")
	v.Click(accept)
	testenv.Eval[bool](v, `(show(`+contentOf("en", "yes", "")+`, find('#anchor')), true)`)
	for _, key := range []string{kb.Enter, " ", kb.Tab, kb.Escape} {
		v.Press(key)
	}
	got := testenv.Eval[[]string](v, `heard.filter((e) => !/Tab|Escape|focus/.test(e))`)
	if len(got) > 0 || v.Path() != "/" || v.Sent("POST") != 0 {
		t.Errorf("the form heard %q, and the visitor is at %s", got, v.Path())
	}
	if all := strings.Join(testenv.Eval[[]string](v, `heard`), ", "); !strings.Contains(all, "keydown Tab") || !strings.Contains(all, "keydown Escape") {
		t.Errorf("a dialog would not hear Tab and Escape: %s", all)
	}
	if got := testenv.Eval[int](v, `document.querySelector('#support-form').elements.length`); got != 3 {
		t.Errorf("the form has %d fields, and had 3", got)
	}
	if got := testenv.Eval[string](v, `[...new FormData(document.querySelector('#support-form')).keys()].join()`); got != "email,description" {
		t.Errorf("the form sends %s", got)
	}
}

// The site's rules for everything do not make the prompt illegible.
func TestTheSitesStyles(t *testing.T) {
	t.Parallel()
	v := site{css: plain + `main{text-transform:uppercase;white-space:nowrap;line-height:0;text-indent:5em;letter-spacing:1em;text-align:center;font-style:italic}
p{margin:0;display:none}button{display:none}.title{color:#fff}[hidden]{display:block}`}.mount(t)
	show(v, contentOf("en", "", ""))
	for _, part := range []string{question, accept, refuse} {
		if !v.Sees(part) {
			t.Errorf("%s is not seen", part)
		}
	}
	if got := testenv.Eval[string](v, `(() => {
		const s = getComputedStyle(root().querySelector('.title'));
		return [s.textTransform, s.whiteSpace, s.textIndent, s.letterSpacing, s.textAlign, s.fontStyle, s.color, parseFloat(s.lineHeight) >= 16].join(' ');
	})()`); got != "none normal 0px normal start normal rgb(26, 26, 26) true" {
		t.Error(got)
	}
	if v.Sees(change) {
		t.Error("the hidden button is seen")
	}
}

// Sites reach the prompt by its parts and its custom properties.
func TestHooksForStyles(t *testing.T) {
	t.Parallel()
	v := site{css: plain + host + `{margin:0;--kapa-deflector-accent:rgb(1,2,3);--kapa-deflector-color:rgb(4,5,6);--kapa-deflector-background:rgb(250,250,250);
--kapa-deflector-button-color:rgb(7,8,9);--kapa-deflector-button-background:rgb(240,240,240)}
` + host + `::part(question){font-family:monospace}` + host + `::part(accept),` + host + `::part(refuse){border-radius:9px}` + host + `::part(change){border-width:5px}`}.mount(t)
	show(v, contentOf("en", "yes", "#ff0"))
	if got := testenv.Eval[string](v, `(() => {
		const box = getComputedStyle(root().querySelector('.box')), of = (name) => getComputedStyle(part(name));
		return [box.borderLeftColor, box.color, box.backgroundColor, of('accept').color, of('refuse').backgroundColor,
			of('question').fontFamily, of('accept').borderRadius, of('refuse').borderRadius, of('change').borderTopWidth].join('|');
	})()`); got != "rgb(1, 2, 3)|rgb(4, 5, 6)|rgb(250, 250, 250)|rgb(7, 8, 9)|rgb(240, 240, 240)|monospace|9px|9px|5px" {
		t.Error(got)
	}

	for color, want := range map[string]string{"#ff0": "rgb(255, 255, 0)", "": "rgb(26, 26, 26)", "red; } * { display: none": "rgb(26, 26, 26)"} {
		v := site{}.mount(t)
		show(v, contentOf("en", "", color))
		if got := testenv.Eval[string](v, `getComputedStyle(root().querySelector('.box')).borderLeftColor`); got != want || !v.Sees(accept) {
			t.Errorf("data-project-color %q: %s", color, got)
		}
	}
}

// Names in the page hide properties of the document, and <base> leads elsewhere.
func TestNamesInThePage(t *testing.T) {
	t.Parallel()
	var names strings.Builder
	for name := range strings.FieldsSeq("body createElement activeElement adoptedStyleSheets documentElement querySelector defaultView") {
		names.WriteString(`<form name="` + name + `"></form>`)
	}
	v := site{body: names.String() + form}.mount(t)
	testenv.Eval[bool](v, `(() => {
		const one = (selector) => Document.prototype.querySelector.call(document, selector);
		show(`+contentOf("en", "", "")+`, [one('#description'), one('#support-form'), one('#send'), one('#support-form')]);
		const link = one('kapa-deflector-consent').shadowRoot.querySelector('a');
		if (link.href !== location.origin + '/privacy' || link.rel !== 'noopener') throw new Error(link.outerHTML);
		const host = one('kapa-deflector-consent');
		if (host.nextElementSibling.id !== 'support-form') throw new Error(host.parentNode.outerHTML);
		return true;
	})()`)
}
