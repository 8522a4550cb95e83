package loader

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// Selectors reach into frames and up to the host of a shadow root, as Kapa's do
// (https://docs.kapa.ai/integrations/support-form-deflector/guides/dom-boundaries).

// editor is the page's form with something else in place of the text area.
func editor(html, script string) string {
	return strings.Replace(testenv.FormPage("", "<script>"+script+"</script>"), `<textarea id="description" name="description"></textarea>`, html, 1)
}

func TestAnEditorInAFrame(t *testing.T) {
	t.Parallel()
	const create = `const create = () => {
		const frame = document.createElement('iframe');
		frame.id = 'editor';
		document.querySelector('#subject').after(frame);
		return frame;
	};`
	e := newEdgeOf(t, block(strings.Replace(testenv.Required, `"#description"`, `"#editor ifr>> #text"`, 1)+consentLine+pagesLine+"\n\t\tloader load"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/own/editor" {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, `<!doctype html><title>e</title><body id="text" contenteditable></body>`)
			return
		}
		pages{
			"srcdoc":  editor(`<iframe id="editor" srcdoc="<body id=text contenteditable>"></iframe>`, ""),
			"address": editor(`<iframe id="editor" src="/own/editor"></iframe>`, ""),
			"none":    editor("", create),
		}.ServeHTTP(w, r)
	}))
	// deflects sees that what stands in the frame is a question.
	deflects := func(v *visitor) {
		v.T.Helper()
		v.run(`document.querySelector('#editor').contentDocument.querySelector('#text').textContent = ` + testenv.Quote(testenv.LongQuestion))
		v.Click(testenv.SendButton)
		v.WaitFor(testenv.Visible("#kapa-stand-in-send"))
		v.wantRenders(1)
		v.mustBeMarked()
	}
	for name, tc := range map[string]struct{ page, create string }{
		"that stands in the page":         {"srcdoc", ""},
		"that has an address":             {"address", ""},
		"that is created late":            {"none", `create().srcdoc = '<body id=text contenteditable>'`},
		"that is created late by address": {"none", `create().src = '/own/editor'`},
		"that is written late":            {"none", `const page = create().contentDocument; page.open(); page.write('<body id=text contenteditable>'); page.close()`},
		"whose text is created late": {"none", `
			create();
			await new Promise((done) => setTimeout(done, 1000));
			document.querySelector('#editor').contentDocument.body.innerHTML = '<div id="text" contenteditable></div>'`},
		"whose text gets its name late": {"none", `
			create();
			await new Promise((done) => setTimeout(done, 1000));
			document.querySelector('#editor').contentDocument.body.id = 'text'`},
		"whose document is loaded late": {"none", `
			create();
			await new Promise((done) => setTimeout(done, 1000));
			document.querySelector('#editor').src = '/own/editor'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := e.visitor(t, "/own/page/"+tc.page)
			v.have(yes)
			v.arrive()
			if tc.create != "" {
				v.wantAsked(0, "without the editor")
				v.run(tc.create)
			}
			v.wantDeflector(1)
			deflects(v)
			v.wantAsked(1, "in the end")
		})
	}

	t.Run("whose document is replaced is another form", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, "/own/page/address")
		v.have(yes)
		v.arrive()
		v.wantDeflector(1)
		v.run(`document.querySelector('#editor').contentWindow.location.reload()`)
		v.wantDeflector(2)
	})

	t.Run("in which the visitor has typed", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, "/own/page/address")
		v.have(yes)
		v.arrive()
		v.wantDeflector(1)
		v.Click("#editor")
		v.Press("typed")
		v.set(no)
		v.wantIDGone()
		v.wantAsked(2, "withdrawn")
		v.mustBeMarked()
	})

	t.Run("of another site is not looked into", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, "/own/page/none")
		v.have(yes)
		v.arrive()
		v.run(`create().src = ` + testenv.Quote(testenv.OtherSite(t, "/")))
		v.wantAsked(0, "another site's frame")
		v.wantNothing()
	})
}

func TestAFormInAShadowRoot(t *testing.T) {
	t.Parallel()
	required := strings.NewReplacer(
		`"#description"`, `"#host shadow>> #description"`,
		`"#support-form"`, `"#host shadow>> #support-form"`,
		`"#support-form button"`, `"#host shadow>> #support-form button"`,
	).Replace(testenv.Required)
	e := newEdgeOf(t, block(required+consentLine+pagesLine+"\n\t\tloader load"), pages{"host": empty(`<script>
		const host = () => {
			const host = document.createElement('div');
			host.id = 'host';
			draw(host.attachShadow({ mode: 'open' }));
			main.prepend(host);
			return host;
		};
	</script>`)})
	v := e.visitor(t, "/own/page/host")
	v.have(yes)
	v.arrive()
	v.wantAsked(0, "without the host")
	v.run(`host()`)
	v.wantDeflector(1)
	v.run(`
		const form = document.querySelector('#host').shadowRoot.querySelector('form');
		form.querySelector('#description').value = ` + testenv.Quote(testenv.LongQuestion) + `;
		form.querySelector('button').click()`)
	v.WaitFor(`KapaStandIn.log.some(({ event }) => event === 'answer')`)
	v.mustBeMarked()
	v.wantAsked(1, "in the end")
	v.run(`document.querySelector('#host').remove(); host()`)
	v.wantDeflector(2)
}

// A selector that only Kapa can read is not waited for.
func TestASelectorThatOnlyKapaCanRead(t *testing.T) {
	t.Parallel()
	e := newEdgeOf(t, block(strings.Replace(testenv.Required, `"#support-form button"`, `"#support-form >>> button"`, 1)+consentLine+pagesLine+"\n\t\tloader load"), pages{"empty": empty("")})
	v := e.visitor(t, "/own/page/empty")
	v.have(yes)
	v.arrive()
	v.wantAsked(0, "without a form")
	v.run(`draw()`)
	v.WaitFor(renders + ` === 1`)
	v.wantAsked(1, "with the form")
}

// A page may itself be in a frame.
func TestAPageInAFrame(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		frame := func(attributes string) string {
			return empty(`<script>addEventListener('message', (e) => { window.framed = e.data })</script>
<iframe ` + attributes + ` src="framed?` + r.URL.RawQuery + `"></iframe>`)
		}
		switch r.URL.Path {
		case "/own/page/frame":
			_, _ = io.WriteString(w, frame(""))
		case "/own/page/sandbox":
			_, _ = io.WriteString(w, frame(`sandbox="allow-scripts"`))
		case "/own/page/sandboxed":
			w.Header().Set("Content-Security-Policy", "sandbox allow-scripts")
			_, _ = io.WriteString(w, testenv.FormPage("", ""))
		default:
			_, _ = io.WriteString(w, testenv.FormPage("", `<script>
addEventListener('error', (e) => parent.postMessage('error: ' + e.message, '*'));
addEventListener('load', () => parent.postMessage(document.documentElement.outerHTML, '*'));
</script>`))
		}
	}))

	t.Run("of the same site", func(t *testing.T) {
		t.Parallel()
		v := e.visitor(t, "/own/page/frame")
		v.have(yes)
		v.arrive()
		const framed = `document.querySelector('iframe').contentWindow.`
		v.WaitFor(framed + `KapaStandIn?.log.some(({ event }) => event === 'render')`)
		v.wantAsked(0, "the page around it")
		v.wantAskedAt(strings.Replace(v.uri, "frame", "framed", 1), 1, "the page in the frame")
		v.WantNoTag()
		v.ID()
	})

	// A sandboxed page has no cookies and no origin. It may not ask, and a question would
	// be an error in its console.
	for _, name := range []string{"sandbox", "sandboxed"} {
		t.Run(name+" asks nothing", func(t *testing.T) {
			t.Parallel()
			v := e.visitor(t, "/own/page/"+name)
			v.have(yes)
			v.arrive()
			uri := v.uri
			if name == "sandbox" {
				uri = strings.Replace(v.uri, "sandbox", "framed", 1)
				v.WaitFor(`window.framed`)
				if html := testenv.Eval[string](v.Visitor, `window.framed`); !strings.Contains(html, "kapa_deflector=1") {
					t.Fatalf("no loader in the frame: %s", html)
				}
			}
			v.wantAskedAt(uri, 0, "sandboxed")
			v.WantNoTag()
			v.WantNoID()
		})
	}
}
