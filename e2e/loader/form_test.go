package loader

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// A form gets its deflector whenever it comes, and once.
func TestTheForm(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", pages{
		"empty": empty(""),
		"form":  testenv.FormPage("", ""),
		"own": testenv.FormPage("", `<script async data-integration-id="the page's own" data-main-input-query-selector="#description"
			data-submit-element-query-selector="#support-form" data-submit-element-event-type="onSubmit"
			data-submit-button-query-selector="#support-form button" data-anchor-element-query-selector="#support-form"
			src="/shared`+testenv.StandIn+`"></script>`),
	})
	accepted := func(t *testing.T, path string) *visitor {
		t.Helper()
		v := e.visitor(t, path)
		v.have(yes)
		v.arrive()
		return v
	}
	sends := func(v *visitor) {
		v.T.Helper()
		v.Follow("#kapa-stand-in-send")
		v.WantSent("/tickets", testenv.LongQuestion)
	}

	t.Run("that is drawn late", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty")
		v.wantAsked(0, "without a form")
		v.wantNothing()
		v.run(`draw()`)
		v.wantDeflector(1)
		v.Ask()
		v.wantRenders(1)
		v.wantAsked(1, "with the form")
		sends(v)
	})

	t.Run("that is drawn piece by piece", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty")
		v.run(`
			window.parts = [...draw().children];
			parts.forEach((part) => part.remove())`)
		for i := range 4 {
			v.wantAsked(0, "unfinished")
			v.run(fmt.Sprintf(`document.querySelector('#support-form').append(parts[%d])`, i))
		}
		v.wantDeflector(1)
		v.Ask()
		sends(v)
	})

	t.Run("that gets its names late", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty")
		v.run(`draw().id = ''`)
		v.wantAsked(0, "without its name")
		v.run(`document.querySelector('form').id = 'support-form'`)
		v.wantDeflector(1)
		v.Ask()
		sends(v)
	})

	t.Run("that never comes", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty")
		for i := range 5 {
			v.run(fmt.Sprintf(`main.append(document.createElement('p'), 'paragraph %d')`, i))
		}
		v.set(no)
		v.set(yes)
		v.wantAsked(0, "without a form and without an id")
		v.wantNothing()
	})

	t.Run("that another takes the place of", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty")
		v.run(`draw()`)
		for n := 1; n <= 3; n++ {
			v.wantDeflector(n)
			v.run(`remove(); draw()`)
		}
		v.wantDeflector(4)
		v.Ask()
		v.wantRenders(4)
		v.wantAsked(1, "for all of them")
		sends(v)
	})

	t.Run("whose main input is another one", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/form")
		v.wantDeflector(1)
		v.run(`
			const input = document.querySelector('#description');
			input.replaceWith(input.cloneNode())`)
		v.wantDeflector(2)
	})

	t.Run("whose other parts are other ones", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/form")
		v.wantDeflector(1)
		v.run(`
			const button = document.querySelector('#support-form button');
			button.replaceWith(button.cloneNode(true))`)
		v.wantAsked(1, "with another button")
		v.wantRenders(1)
	})

	t.Run("that is replaced while the question is on its way", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, "/own/page/empty")
		v.have(yes)
		v.arrive()
		v.run(`
			const real = fetch;
			window.fetch = (...question) => new Promise((go) => window.release = go).then(() => {
				window.fetch = real;
				return real(...question);
			});
			draw()`)
		v.WaitFor(`window.release`)
		v.run(`remove(); draw(); release()`)
		v.wantDeflector(1)
		v.Ask()
		v.wantRenders(1)
		v.wantAsked(1, "in the end")
		sends(v)
	})

	t.Run("that leaves and comes back", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty")
		v.run(`draw()`)
		v.wantDeflector(1)
		v.run(`window.form = document.querySelector('#support-form'); remove()`)
		v.wantAsked(1, "without the form")
		v.run(`main.prepend(form)`)
		v.wantAsked(1, "the same elements")
		v.wantRenders(1)
		v.run(`remove()`)
		v.wantAsked(1, "without the form again")
		v.run(`draw()`)
		v.wantDeflector(2)
		v.Ask()
		v.wantRenders(2)
		v.wantAsked(1, "other elements")
		sends(v)
	})

	t.Run("that comes back after another one", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty")
		v.run(`window.first = draw()`)
		v.wantDeflector(1)
		v.run(`remove(); draw()`)
		v.wantDeflector(2)
		v.run(`remove(); main.prepend(first)`)
		v.wantAsked(1, "the first one")
		v.wantRenders(2)
		v.Ask()
		sends(v)
	})

	t.Run("that is drawn anew all the time", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty")
		v.run(`
			draw();
			window.drawing = setInterval(() => { remove(); draw() }, 20)`)
		v.WaitFor(renders + ` > 3`)
		v.run(`clearInterval(drawing)`)
		v.wantAsked(1, "for all of them")
		v.Ask()
		sends(v)
	})

	t.Run("whose page has a deflector of its own", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/own")
		v.wantDeflector(1)
		v.wantAsked(0, "the page's business")
		if got := testenv.Eval[string](v.Visitor, `KapaStandIn.log[0].attributes['data-integration-id']`); got != "the page's own" {
			t.Errorf("it is %s", got)
		}
		v.WantNoID()
	})

	t.Run("whose page gets a deflector of its own meanwhile", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty")
		v.run(`
			const real = fetch;
			window.fetch = async (...question) => {
				const script = document.createElement('script');
				script.src = '/shared` + testenv.StandIn + `?own';
				script.dataset.renderOnLoad = 'false';
				document.head.append(script);
				return real(...question);
			};
			draw()`)
		v.wantAsked(1, "before it came")
		if tags := testenv.Eval[int](v.Visitor, `document.querySelectorAll('script[src*=kapa-support-form]').length`); tags != 1 {
			t.Errorf("there are %d tags", tags)
		}
	})

	t.Run("on a page with the loader twice", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty")
		v.run(`
			const loader = [...document.scripts].find(({ text }) => text.includes('kapa_deflector=1'));
			const copy = document.createElement('script');
			copy.text = loader.text;
			document.body.append(copy);
			draw()`)
		v.wantDeflector(1)
		v.Ask()
		v.wantAsked(1, "twice the loader")
		sends(v)
	})

	t.Run("whose page loses the loader's element", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/empty")
		v.run(`
			[...document.scripts].find(({ text }) => text.includes('kapa_deflector=1')).remove();
			draw()`)
		v.wantDeflector(1)
	})

	t.Run("on a page that changes its address all the time", func(t *testing.T) {
		t.Parallel()
		v := accepted(t, "/own/page/form")
		v.wantDeflector(1)
		v.run(`
			let i = 0;
			window.moving = setInterval(() => {
				history.pushState(null, '', '/own/page/form/' + i++);
				document.title = i;
			}, 50)`)
		v.wantAsked(1, "with the deflector")
		v.wantRenders(1)
		v.run(`clearInterval(moving)`)
		if n := strings.Count(e.Log(), v.uri[strings.Index(v.uri, "?"):]+"&kapa_deflector="); n != 1 {
			t.Errorf("the edge was asked %d times", n)
		}
	})
}

// Visitors come to the form without a full load, and leave it.
func TestClientSideNavigation(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+"\n\t\tpages /own/page/empty/form*\n\t\tloader load", pages{"empty": empty(`<script>
		const go = (path) => {
			history.pushState(null, '', path);
			document.querySelector('#support-form')?.remove();
			if (/form|other/.test(path)) draw();
		};
	</script>`)})
	const away, form = "/own/page/empty", "/own/page/empty/form"
	to := func(path string) string { return `go(` + testenv.Quote(path) + `)` }

	t.Run("with consent", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, away)
		v.have(yes)
		v.arrive()
		v.wantAsked(0, "elsewhere")
		uri := strings.Replace(v.uri, away, form, 1)
		v.run(to(uri))
		v.wantDeflector(1)
		v.ID()
		v.run(to(away))
		v.run(to(uri))
		v.wantDeflector(2)
		v.Ask()
		v.wantRenders(2)
		v.wantAskedAt(uri, 1, "in the end")
		v.Follow("#kapa-stand-in-send")
		v.WantSent("/tickets", testenv.LongQuestion)
	})

	t.Run("a form outside pages gets nothing, and the next one does", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, away+"/other")
		v.have(yes)
		v.arrive()
		v.run(to(v.uri))
		v.wantAsked(1, "outside pages")
		v.wantAnswer("other_page")
		v.wantNothing()
		v.run(to(strings.Replace(v.uri, "other", "form", 1)))
		v.wantDeflector(1)
		v.ID()
	})

	t.Run("the form of a page with the deflector that is shown outside pages gets nothing", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, form)
		v.have(yes)
		v.arrive()
		v.run(`draw()`)
		v.wantDeflector(1)
		uri := strings.Replace(v.uri, "form", "other", 1)
		v.run(to(uri))
		v.wantAskedAt(uri, 1, "outside pages")
		v.wantRenders(1)
		v.FillIn(testenv.LongQuestion)
		v.Follow(testenv.SendButton)
		v.WantSent("/tickets", testenv.LongQuestion)
	})

	everyBrowser(t, "accepted elsewhere, before the visitor comes back to the form", func(t *testing.T, prepare func(*visitor)) {
		t.Parallel()
		v := e.visitor(t, form)
		prepare(v)
		v.arrive()
		v.run(`draw()`)
		v.wantAsked(1, "undecided")
		v.run(to(away))
		v.wantAsked(1, "elsewhere")
		v.set(yes)
		v.wantAsked(1, "accepted, without a form and without an id")
		v.run(to(v.uri))
		v.wantDeflector(1)
		v.ID()
		v.wantAsked(2, "back at the form")
	})

	t.Run("the same form under another address, without consent", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, form)
		v.arrive()
		v.run(`
			draw();
			let i = 0;
			window.moving = setInterval(() => {
				history.pushState(null, '', ` + testenv.Quote(v.uri) + `.replace('form', 'form/' + i++));
				document.title = i;
			}, 50)`)
		seconds := testenv.Eval[float64](v.Visitor, `(async () => {
			const began = performance.now();
			await new Promise((done) => setTimeout(done, 3000));
			clearInterval(moving);
			return (performance.now() - began) / 1000;
		})()`)
		n := strings.Count(e.Log(), v.uri[strings.Index(v.uri, "?"):]+"&kapa_deflector=")
		if n < 1 || n > int(seconds)+2 {
			t.Errorf("%d questions in %.1f seconds", n, seconds)
		}
		v.wantNothing()
	})
}

// What a form gets is fetched anew for each form, if it is about the visitor.
func TestUserIsFreshForEachForm(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+`
		user {
			email {http.request.cookie.mail}
			unique_client_id "7"
			metadata plan {http.request.cookie.plan}
		}
		loader load`, pages{"empty": empty(`<script>window.kapaSettings = { user: { own: 1, metadata: { own: 2 } }, own: 3 }</script>`)})
	settings := func(v *visitor, want string) {
		v.T.Helper()
		if got := testenv.Eval[string](v.Visitor, `JSON.stringify(window.kapaSettings)`); got != want {
			v.T.Errorf("kapaSettings is %s\nwant %s", got, want)
		}
	}
	v := e.visitor(t, "/own/page/empty")
	v.have(yes)
	v.set("mail=a@example.com; Path=/")
	v.set("plan=basic; Path=/")
	v.arrive()
	v.run(`draw()`)
	v.wantDeflector(1)
	settings(v, `{"user":{"own":1,"metadata":{"own":2,"plan":"basic"},"uniqueClientId":"7","email":"a@example.com"},"own":3}`)
	v.set("mail=; Path=/; Max-Age=0")
	v.set("plan=pro; Path=/")
	v.wantAsked(1, "the form is the same")
	v.run(`remove(); draw()`)
	v.wantDeflector(2)
	settings(v, `{"user":{"own":1,"metadata":{"own":2,"plan":"pro"},"uniqueClientId":"7"},"own":3}`)
	v.wantAsked(2, "another form")

	v.run(`window.drawing = setInterval(() => { remove(); draw() }, 20)`)
	seconds := testenv.Eval[float64](v.Visitor, `(async () => {
		const began = performance.now();
		await new Promise((done) => setTimeout(done, 3000));
		clearInterval(drawing);
		return (performance.now() - began) / 1000;
	})()`)
	if n := len(e.Questions(v.uri)); n > int(seconds)+4 {
		t.Errorf("%d questions in %.1f seconds in which the form is another one all the time", n-2, seconds)
	}
	v.FillIn(testenv.LongQuestion)
	v.WaitFor(renders + ` > 2`)
	v.Ask()
}

// Each document has one block's loader: that of the block whose page it is.
func TestSeveralBlocks(t *testing.T) {
	t.Parallel()
	lines := func(id, start string) string {
		return block(strings.Replace(testenv.Required, "abc", id, 1) + consentLine + "\n\t\tpages /own/page/empty/" + id + "\n\t\tloader " + start)
	}
	e := newEdgeOf(t, lines("first", "idle")+lines("second", "load")+lines("third", "idle")+block(testenv.Required+consentLine+"\n\t\tpages /own/page/form"),
		pages{"empty": empty(""), "form": testenv.FormPage("", "")})
	for _, tc := range []struct{ from, to, id string }{
		{"first", "first", "first"}, {"second", "second", "second"}, {"elsewhere", "first", "first"},
		{"third", "third", "third"}, // which has the same script as the first
		{"elsewhere", "second", ""}, {"first", "second", ""}, {"second", "first", ""},
	} {
		t.Run("from "+tc.from+" to "+tc.to, func(t *testing.T) {
			t.Parallel()
			v := e.visitor(t, "/own/page/empty/"+tc.from)
			v.have(yes)
			v.arrive()
			uri := strings.Replace(v.uri, tc.from, tc.to, 1)
			v.run(`history.pushState(null, '', ` + testenv.Quote(uri) + `); draw()`)
			v.wantAskedAt(uri, 1, "at the form")
			if tc.id == "" {
				v.wantNothing()
				return
			}
			v.wantDeflector(1)
			if got := testenv.Eval[string](v.Visitor, `KapaStandIn.log[0].attributes['data-integration-id']`); got != tc.id {
				t.Errorf("the block is %s, want %s", got, tc.id)
			}
		})
	}
	t.Run("a block without loader keeps its tag in the page", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, "/own/page/form")
		v.have(yes)
		v.arrive()
		v.wantDeflector(1)
		v.wantAsked(0, "without loader")
	})
}

// If the user writes data-render-on-load, the loader never starts the deflector.
func TestTheUserStartsTheDeflector(t *testing.T) {
	t.Parallel()
	for value, starts := range map[string]int{"true": 1, "false": 0} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load\n\t\tdata-render-on-load "+value, pages{"empty": empty("")})
			v := e.visitor(t, "/own/page/empty")
			v.have(yes)
			v.arrive()
			v.run(`draw()`)
			v.WaitFor(`window.KapaStandIn`)
			v.wantAsked(1, "with the form")
			v.wantRenders(starts)
			v.run(`remove(); draw()`)
			v.wantAsked(1, "with another form")
			v.wantRenders(starts)
		})
	}
}

// A selector that the loader cannot look for, because the edge writes it for each request
// or only Kapa can read it, is not waited for.
func TestSelectorsThatAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	for name, selector := range map[string]string{
		"written for each request": `"#{http.request.uri.query.field}"`,
		"of Kapa's own language":   `"#description !!"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := strings.Replace(testenv.Required, `data-main-input-query-selector     "#description"`, `data-main-input-query-selector `+selector, 1)
			e := newEdgeOf(t, block(lines+consentLine+pagesLine+"\n\t\tloader"), pages{"empty": empty("")})
			v := e.visitor(t, "/own/page/empty")
			v.uri += "&field=description"
			v.url += "&field=description"
			v.have(yes)
			v.arrive()
			v.run(`draw()`)
			v.WaitFor(`window.KapaStandIn`)
			v.wantAsked(1, "with the form")
			v.wantRenders(1)
		})
	}
}
