package pages

import (
	"bytes"
	"compress/gzip"
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
	const (
		based      = `<!doctype html><head><link rel=icon href=data:,><base href="http://127.0.0.1:9/"></head><p>x</p>`
		ownScripts = `[...document.scripts].every((s) => !s.src || new URL(s.src).host === location.host)`
	)
	pages := []struct {
		name, html, contentType string
		field                   string // a further one, as "Name: value"
		tagged                  bool
		want                    string // in JavaScript; true for nothing in particular
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
		{"a label of gzip on plain bytes", "<!doctype html><head><title>t</title></head><p>x</p>", "text/html; charset=utf-8", "Content-Encoding: gzip", true, `document.querySelector('p').textContent === 'x'`},
		{"gzip, whatever was asked for", zipped("<!doctype html><head><title>t</title></head><p>x</p>"), "text/html; charset=utf-8", "Content-Encoding: gzip", true, `document.querySelector('p').textContent === 'x'`},
		{"a base of another host", based, "text/html; charset=utf-8", "", true, ownScripts},
		{"a base of another host, and a nonce", based, "text/html; charset=utf-8", "Content-Security-Policy: script-src 'nonce-abc'", true,
			ownScripts + ` && document.querySelector('script[data-integration-id]').nonce === 'abc'`},
		{"a base of another host, and 'self'", based, "text/html; charset=utf-8", "Content-Security-Policy: script-src 'self'", true, ownScripts},
		{"a base of another host, which alone is allowed", based, "text/html; charset=utf-8", "Content-Security-Policy: script-src http://127.0.0.1:9", false, ownScripts},
	}
	origin := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/page/"))
		if err != nil { // the browser's own wish for an icon
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", pages[i].contentType)
		html := pages[i].html
		if name, value, ok := strings.Cut(pages[i].field, ": "); ok {
			w.Header().Set(name, value)
			if value == "gzip" && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && strings.HasPrefix(html, "<") {
				html = zipped(html) // the label is right only for those who ask for gzip
			}
		}
		_, _ = io.WriteString(w, html)
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
			testenv.Eventually(t, "the choice is kept", func() bool { return len(v.Cookies("cookie_consent")) == 1 })
			v.Open(url)
			if page.tagged {
				v.WantTag()
			} else {
				v.WantNoTag()
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

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s) // a bytes.Buffer never fails
	_ = z.Close()
	return b.String()
}
