package pages

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// What only a browser can judge: with the tag it must make the same of a page as
// without it (issue 13).
func TestPagesAreUndisturbed(t *testing.T) {
	t.Parallel()
	padding := strings.Repeat("<i></i>", 80) // the tag pushes what follows past byte 1024
	pages := []struct {
		name, html, contentType, coding string
		tagged                          bool
		want                            string // of look, in JavaScript; true for nothing in particular
	}{
		{"a charset behind the anchor", "<!doctype html><head><div>" + padding + `<meta charset="utf-8"></div><p>Größe</p>`, "text/html", "", true,
			`document.characterSet === 'UTF-8' && document.querySelector('p').textContent === 'Größe'`},
		{"the long form of one", "<!doctype html><head><div>" + padding + `<meta http-equiv="Content-Type" content="text/html; charset=utf-8"></div><p>Größe</p>`, "text/html", "", true,
			`document.characterSet === 'UTF-8' && document.querySelector('p').textContent === 'Größe'`},
		{"another charset behind the anchor", "<!doctype html><head><div>" + padding + `<meta charset="windows-1251"></div><p>x</p>`, "text/html", "", false,
			`document.characterSet === 'windows-1251'`},
		{"a NUL before the doctype", "\x00<!doctype html><head><title>t</title></head><p>x</p>", "text/html; charset=utf-8", "", false, `true`},
		{"a boundary of React's in the head", `<!doctype html><html><head><title>t</title><!--$?--><template id="B:0"></template><!--/$--></head><body><p>x</p></body></html>`,
			"text/html; charset=utf-8", "", true, `document.getElementById('B:0').previousSibling.data === '$?' && document.getElementById('B:0').nextSibling.data === '/$'`},
		{"a label of gzip on plain bytes", "<!doctype html><head><title>t</title></head><p>x</p>", "text/html; charset=utf-8", "gzip", true, `document.querySelector('p').textContent === 'x'`},
		{"a base of another host", `<!doctype html><head><link rel=icon href=data:,><base href="http://127.0.0.1:9/"></head><p>x</p>`, "text/html; charset=utf-8", "", true,
			`[...document.scripts].every((s) => !s.src || new URL(s.src).host === location.host)`},
	}
	origin := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/page/"))
		if err != nil { // the browser's own wish for an icon
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", pages[i].contentType)
		if coding := pages[i].coding; coding != "" && strings.Contains(r.Header.Get("Accept-Encoding"), "identity") {
			w.Header().Set("Content-Encoding", coding) // which nothing was compressed by
		}
		_, _ = io.WriteString(w, pages[i].html)
	}))
	c := testenv.StartCaddy(t, fmt.Sprintf(`
http://`+testenv.Support+`:{$EDGE_PORT} {
	kapa_deflector {`+testenv.Required+`
		script /shared`+testenv.StandIn+`
		consent cookie cookie_consent accepted
	}
	reverse_proxy /shared/* 127.0.0.1:%d
	reverse_proxy %s
}`, testenv.Sample(t).SitePort, origin))

	const look = `[document.characterSet, document.compatMode, document.querySelector('p').textContent, document.title].join('|')`
	for i, page := range pages {
		t.Run(page.name, func(t *testing.T) {
			t.Parallel()
			v := testenv.NewVisitor(t)
			url := c.Edge(testenv.Support, "/page/"+strconv.Itoa(i))
			v.Open(url)
			v.WantNoTag()
			without := testenv.Eval[string](v, look)
			testenv.Eval[bool](v, `(document.cookie = 'cookie_consent=accepted; Path=/', true)`)
			v.Open(url)
			if v.HasTag() != page.tagged {
				t.Errorf("the tag is there: %t", v.HasTag())
			}
			if with := testenv.Eval[string](v, look); with != without {
				t.Errorf("with consent %q, without %q", with, without)
			}
			if !testenv.Eval[bool](v, page.want) {
				t.Errorf("not so: %s; %q", page.want, without)
			}
		})
	}
}
