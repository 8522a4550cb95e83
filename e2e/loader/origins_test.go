package loader

import (
	"io"
	"net/http"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// Only pages of the same origin get an answer, whatever the site allows other origins.
func TestOtherOriginsGetNoAnswer(t *testing.T) {
	t.Parallel()
	const script = `
		window.ask = (url) => fetch(url + '&kapa_deflector=1.0.0.x', { headers: { 'Kapa-Deflector': 'question' }, credentials: 'include' })
			.then((answer) => 'got ' + answer.status, () => 'got nothing')`
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if r.URL.Path == "/own/page/cors" {
			h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Allow-Headers", "Kapa-Deflector")
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, empty(`<script>`+script+`</script>`))
	}))
	for _, tc := range []struct {
		name, path string
		problems   []string
		status     int // of the question; 0 if the browser does not send it
	}{
		{"a site that says nothing of others", "/tickets/new", []string{"blocked by CORS policy", "net::ERR_FAILED", "status 405"}, 0},
		{"a site that allows everybody", "/own/page/cors", []string{"blocked by CORS policy", "net::ERR_FAILED"}, http.StatusForbidden},
	} {
		for name, arrive := range map[string]func(v *visitor){
			"a sibling": func(v *visitor) {
				v.Open(e.Edge(testenv.Docs, "/own/page/sibling"))
				v.set(yes)
			},
			"another site": func(v *visitor) {
				v.have(yes + "; SameSite=None; Secure")
				v.Open(testenv.OtherSite(v.T, "/"))
				v.run(script)
			},
			"a sandboxed frame": func(v *visitor) {
				v.have(yes)
				v.Open(e.Edge(testenv.Support, "/own/page/sibling"))
				v.run(`
					const frame = document.createElement('iframe');
					frame.sandbox = 'allow-scripts';
					const told = new Promise((done) => addEventListener('message', ({ data }) => done(data)));
					frame.srcdoc = '<script>' + ` + testenv.Quote(script) + ` + '; onmessage = async ({ data }) => parent.postMessage(await ask(data), "*")</scr' + 'ipt>';
					document.body.append(frame);
					await new Promise((done) => frame.onload = done);
					window.ask = (url) => (frame.contentWindow.postMessage(url, '*'), told)`)
			},
		} {
			t.Run(tc.name+", "+name, func(t *testing.T) {
				t.Parallel()
				v := e.visitor(t, tc.path)
				arrive(v)
				before := len(v.Cookies(testenv.IDCookie))
				if got := testenv.Eval[string](v.Visitor, `ask(`+testenv.Quote(v.url)+`)`); got != "got nothing" {
					t.Error(got)
				}
				questions := 0
				for _, r := range e.Questions(v.uri) {
					if r.Request.Method == http.MethodGet {
						questions++
						if r.Status != tc.status || r.Outcome != "answered" {
							t.Errorf("status %d, outcome %s", r.Status, r.Outcome)
						}
					}
				}
				if want := min(tc.status, 1); questions != want {
					t.Errorf("%d questions, want %d", questions, want)
				}
				if after := len(v.Cookies(testenv.IDCookie)); after != before {
					t.Errorf("%d ids, then %d", before, after)
				}
				if name != "a sandboxed frame" { // whose console is its own
					v.Expect(tc.problems...)
				}
			})
		}
	}
}
