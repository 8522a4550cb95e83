package loader

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp/kb"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// When Kapa's script loads.

// startEdge is an edge with a start, whose bundle is counted.
type startEdge struct {
	*edge
	bundles *counter
}

func newStartEdge(t *testing.T, start string, own pages) startEdge {
	t.Helper()
	bundles := new(counter)
	return startEdge{newEdgeOf(t, `
	kapa_deflector {`+testenv.Required+consentLine+pagesLine+`
		script /own`+testenv.StandIn+`
		loader `+start+`
	}`, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".js") {
			bundles.add()
			http.Redirect(w, r, "/shared"+testenv.StandIn, http.StatusFound)
			return
		}
		own.ServeHTTP(w, r)
	})), bundles}
}

func TestInteraction(t *testing.T) {
	t.Parallel()
	const other = `<form id="other"><input id="search"><button type="button" id="find">Find</button></form><p id="text">text</p>`
	own := pages{
		"form":  testenv.FormPage("", other),
		"focus": strings.Replace(testenv.FormPage("", ""), "<textarea", "<textarea autofocus", 1),
		"frame": strings.Replace(testenv.FormPage("", ""), "<textarea id=\"description\" name=\"description\"></textarea>", `<iframe id="editor" srcdoc="<body contenteditable style=height:5em>"></iframe>`, 1),
		"empty": empty(""),
	}
	for name, tc := range map[string]struct {
		touches func(v *visitor)
		loads   bool
	}{
		"typing in the main input":        {func(v *visitor) { v.run(`document.querySelector('#description').focus()`); v.Press("x") }, true},
		"clicking the main input":         {func(v *visitor) { v.Click("#description") }, true},
		"clicking another field":          {func(v *visitor) { v.Click("#email") }, true},
		"clicking the form beside fields": {func(v *visitor) { v.clickAt("#support-form", 1) }, true},
		"touching the main input":         {func(v *visitor) { v.tap("#description") }, true},
		"walking through it by keyboard":  {func(v *visitor) { v.run(`document.querySelector('#email').focus()`); v.Press(kb.Tab) }, true},
		"a focus that the page sets":      {func(v *visitor) { v.run(`document.querySelector('#description').focus()`) }, false},
		"a click that the page makes":     {func(v *visitor) { v.run(`document.querySelector('#description').click()`) }, false},
		"a text that the page writes": {func(v *visitor) {
			v.run(`const input = document.querySelector('#description'); input.value = 'x'; input.dispatchEvent(new InputEvent('input', { bubbles: true, inputType: 'insertText' }))`)
		}, false},
		"an event that the page makes": {func(v *visitor) {
			v.run(`document.querySelector('#description').dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }))`)
		}, false},
		"clicking and typing in other form": {func(v *visitor) { v.Write("#search", "x"); v.Click("#find") }, false},
		"clicking elsewhere on the page":    {func(v *visitor) { v.Click("#text") }, false},
		"typing nowhere":                    {func(v *visitor) { v.Press("x") }, false},
		"pointing at it":                    {func(v *visitor) { v.pointAt("#description") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := interaction(t, own)
			v := e.visitor(t, "/own/page/form")
			v.have(yes)
			v.arrive()
			v.wantAsked(1, "untouched")
			v.ID()
			v.WantNoTag()
			tc.touches(v)
			if !tc.loads {
				v.wantAsked(1, name)
				v.WantNoTag()
				v.Click("#description")
			}
			v.wantDeflector(1)
			v.Ask()
			v.wantRenders(1)
			v.wantAsked(1, "in the end")
		})
	}

	t.Run("autofocus is none", func(t *testing.T) {
		t.Parallel()
		e := interaction(t, own)
		v := e.visitor(t, "/own/page/focus")
		v.have(yes)
		v.arrive()
		v.WaitFor(`document.activeElement.id === 'description'`)
		v.wantAsked(1, "focused")
		v.WantNoTag()
		v.Press("x")
		v.wantDeflector(1)
	})

	t.Run("nothing is requested of Kapa before it", func(t *testing.T) {
		t.Parallel()
		e := newStartEdge(t, "interaction", own)
		v := e.visitor(t, "/own/page/form")
		v.have(yes)
		v.arrive()
		v.wantAsked(1, "untouched")
		if n := e.bundles.value(); n != 0 {
			t.Errorf("the script was requested %d times", n)
		}
		v.Click("#description")
		v.wantDeflector(1)
		if n := e.bundles.value(); n != 1 {
			t.Errorf("the script was requested %d times", n)
		}
	})

	t.Run("before consent it counts, too", func(t *testing.T) {
		t.Parallel()
		e := interaction(t, own)
		v := e.visitor(t, "/own/page/form")
		v.arrive()
		v.Write("#description", "x")
		v.wantAsked(1, "undecided")
		v.wantNothing()
		v.set(yes)
		v.wantDeflector(1)
		v.ID()
	})

	t.Run("before the page has loaded it counts, too", func(t *testing.T) {
		t.Parallel()
		e := interaction(t, own)
		v := e.visitor(t, "/own/page/form")
		v.have(yes)
		// nothing of what is typed here is after load
		v.before(`
			const { get } = Object.getOwnPropertyDescriptor(Document.prototype, 'readyState');
			window.ready = false;
			Object.defineProperty(Document.prototype, 'readyState', { get() { return ready ? get.call(this) : 'interactive' }, configurable: true });
			addEventListener('load', (event) => ready || event.stopImmediatePropagation(), true)`)
		v.arrive()
		v.Click("#description")
		v.wantAsked(0, "loading")
		v.run(`ready = true; dispatchEvent(new Event('load'))`)
		v.wantDeflector(1)
	})

	t.Run("a form that is drawn late waits for its own", func(t *testing.T) {
		t.Parallel()
		e := interaction(t, own)
		v := e.visitor(t, "/own/page/empty")
		v.have(yes)
		v.arrive()
		v.clickAt("body", 1)
		v.run(`draw()`)
		v.wantAsked(1, "drawn")
		v.WantNoTag()
		v.Click("#description")
		v.wantDeflector(1)
		v.run(`remove(); draw()`)
		v.wantDeflector(2)
	})

	t.Run("in a frame it counts, too", func(t *testing.T) {
		t.Parallel()
		e := newEdgeOf(t, block(strings.Replace(testenv.Required, `"#description"`, `"#editor ifr>> body"`, 1)+consentLine+pagesLine+"\n\t\tloader interaction"), own)
		v := e.visitor(t, "/own/page/frame")
		v.have(yes)
		v.arrive()
		v.wantAsked(1, "untouched")
		v.WantNoTag()
		v.Click("#editor")
		v.wantDeflector(1)
	})
}

// interaction starts an edge that waits for the visitor to touch the form.
func interaction(t *testing.T, own pages) *edge {
	t.Helper()
	return newEdge(t, consentLine+pagesLine+"\n\t\tloader interaction", own)
}

// clickAt clicks into the corner of an element.
func (v *visitor) clickAt(selector string, inset float64) {
	v.T.Helper()
	at := v.corner(selector)
	for _, kind := range []input.DispatchMouseEventType{input.DispatchMouseEventTypeMousePressed, input.DispatchMouseEventTypeMouseReleased} {
		testenv.Send(v.Visitor, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: at.X + inset, Y: at.Y + inset, Button: input.MouseButtonLeft, ClickCount: 1})
	}
}

func (v *visitor) tap(selector string) {
	v.T.Helper()
	at := v.corner(selector)
	testenv.Send(v.Visitor, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: input.DispatchTouchEventTypeTouchStart, TouchPoints: []*input.TouchPoint{{X: at.X + 5, Y: at.Y + 5}}})
	testenv.Send(v.Visitor, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: input.DispatchTouchEventTypeTouchEnd, TouchPoints: []*input.TouchPoint{}})
}

func (v *visitor) pointAt(selector string) {
	v.T.Helper()
	at := v.corner(selector)
	testenv.Send(v.Visitor, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: at.X + 5, Y: at.Y + 5})
}

func (v *visitor) corner(selector string) (at struct{ X, Y float64 }) {
	v.T.Helper()
	return testenv.Eval[struct{ X, Y float64 }](v.Visitor, `(({ x, y }) => ({ X: x, Y: y }))(document.querySelector(`+testenv.Quote(selector)+`).getBoundingClientRect())`)
}

// load does not wait for an idle moment, and idle does. Neither comes before the page has
// loaded.
func TestLoadAndIdle(t *testing.T) {
	t.Parallel()
	for _, start := range []string{"load", "idle"} {
		t.Run(start, func(t *testing.T) {
			t.Parallel()
			e := newStartEdge(t, start, pages{"form": testenv.FormPage(`<script>
				window.order = [];
				const real = fetch;
				window.fetch = (...question) => { order.push('question'); return real(...question) };
				window.idle = [];
				window.requestIdleCallback = (call) => idle.push(call);
				addEventListener('load', () => order.push('load'));
			</script>`, `<script src="/shared/consent-banner.js" async></script>`)})
			v := e.visitor(t, "/own/page/form")
			v.have(yes)
			v.arrive()
			if start == "idle" {
				v.WaitFor(`idle.length > 0`)
				v.wantAsked(0, "loaded, and never idle")
				v.WantNoTag()
				v.run(`idle.forEach((call) => call())`)
			}
			v.wantDeflector(1)
			if order := testenv.Eval[[]string](v.Visitor, `order`); strings.Join(order, " ") != "load question" {
				t.Errorf("the order is %q", order)
			}
			v.Ask()
			v.wantAsked(1, "in the end")
		})
	}
}
