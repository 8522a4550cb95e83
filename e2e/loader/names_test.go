package loader

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// Elements with a name hide the properties of document that have that name, and elements
// with an id are properties of window (HTML, "dom-document-nameditem", "dom-window-nameditem").
func TestNamesInThePage(t *testing.T) {
	t.Parallel()
	var named strings.Builder
	for _, name := range []string{
		"hidden", "prerendering", "cookie", "currentScript", "querySelector", "createElement", "head", "scripts", "readyState",
		"documentElement", "addEventListener", "prototype", "location", "body",
	} {
		named.WriteString(`<img alt="" name="` + name + `"><form name="` + name + `"></form>`)
	}
	for _, id := range []string{
		"KapaSFD", "kapaSettings", "cookieStore", "fetch", "origin", "self", "document", "navigator", "history", "Symbol", "Reflect",
		"requestIdleCallback", "MutationObserver", "kapa_deflector", "form", "script", "WeakMap",
	} {
		named.WriteString(`<div id="` + id + `"></div>`)
	}
	// The deflector has to live with such names, too: this one does.
	stub := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, `
			window.KapaStandIn = { log: [] };
			window.KapaSFD = { render: () => KapaStandIn.log.push({ event: 'render' }) };`)
	})
	own := pages{
		"named": strings.Replace(testenv.FormPage("", named.String()), "<main>", named.String()+"<main>", 1),
		"field": strings.Replace(testenv.FormPage("", ""), `<input id="subject" name="subject">`,
			`<input id="subject" name="subject"><input name="form"><input name="contains"><input name="querySelector"><input name="nodeType">`, 1),
	}
	for _, start := range []string{"idle", "interaction"} {
		mux := http.NewServeMux()
		mux.Handle("/own/page/", own)
		mux.Handle("/own/", stub)
		e := newEdgeOf(t, `
	kapa_deflector {`+testenv.Required+consentLine+pagesLine+`
		script /own`+testenv.StandIn+`
		user {
			email a@example.com
		}
		loader `+start+`
	}`, mux)
		for name := range own {
			everyBrowser(t, start+", "+name, func(t *testing.T, prepare func(*visitor)) {
				t.Parallel()
				v := e.visitor(t, "/own/page/"+name)
				prepare(v)
				v.have(yes)
				v.Open(v.url)
				v.run(`window.marked = true`)
				v.awaitAsked(v.uri, 1, "with the form")
				v.run(`Document.prototype.querySelector.call(document, '#description').focus()`)
				v.Press("typed")
				v.WaitFor(renders + ` === 1`)
				v.mustBeMarked()
				v.ID()
				if got := testenv.Eval[string](v.Visitor, `window.kapaSettings.user.email`); got != "a@example.com" {
					t.Errorf("the address is %q", got)
				}
				v.set(no)
				v.wantIDGone()
				v.mustBeMarked()
			})
		}
	}
}

// A base element does not lead the question or a script of the site to another host.
func TestABaseOfAnotherHost(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", pages{"base": strings.NewReplacer(
		"<meta charset", `<base href="http://elsewhere.localhost:1/x/"><meta charset`, `"/tickets"`, `"http://`+testenv.Support+`/tickets"`,
	).Replace(testenv.FormPage("", ""))})
	v := e.visitor(t, "/own/page/base")
	v.have(yes)
	v.arrive()
	v.wantDeflector(1)
	v.Ask()
	v.wantAsked(1, "in the end")
}
