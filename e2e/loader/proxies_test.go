package loader

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// What stands between the page and the edge may take away what makes a question. Then
// nothing happens, and nothing is asked again and again.
func TestProxiesThatSpoilTheQuestion(t *testing.T) {
	t.Parallel()
	var origin struct {
		sync.Mutex
		queries []string
	}
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin.Lock()
		origin.queries = append(origin.queries, r.URL.RawQuery)
		origin.Unlock()
		pages{"form": testenv.FormPage("", "")}.ServeHTTP(w, r)
	}))
	for name, spoil := range map[string]func(r *http.Request){
		"without the field": func(r *http.Request) { r.Header.Del("Kapa-Deflector") },
		"without the query": func(r *http.Request) { r.URL.RawQuery = "" },
		"with a query that goes on": func(r *http.Request) {
			if strings.Contains(r.URL.RawQuery, "kapa_deflector") {
				r.URL.RawQuery += "&from=proxy"
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked counter
			proxy := testenv.Serve(t, &httputil.ReverseProxy{
				Rewrite: func(r *httputil.ProxyRequest) {
					if r.In.Header.Get("Kapa-Deflector") != "" {
						asked.add()
					}
					r.Out.URL.Scheme, r.Out.URL.Host = "http", fmt.Sprintf("127.0.0.1:%d", e.EdgePort)
					r.Out.Host = r.In.Host
					spoil(r.Out)
				},
			})
			v := e.visitor(t, "/own/page/form")
			v.have(yes)
			v.Open("http://" + strings.Replace(proxy, "127.0.0.1", testenv.Support, 1) + v.uri)
			v.mark()
			testenv.Eventually(t, "the loader asks", func() bool { return asked.value() > 0 })
			v.run(`document.body.append('a change')`)
			time.Sleep(quiet)
			v.run(`dispatchEvent(new Event('focus'))`)
			time.Sleep(quiet)
			if n := asked.value(); n != 1 {
				t.Errorf("the loader asked %d times", n)
			}
			v.wantNothing()
			v.set(no)
			testenv.Eventually(t, "the loader asks again", func() bool { return asked.value() > 1 })
			v.wantNothing()
			v.mustBeMarked()
		})
	}
	t.Cleanup(func() { // when the parallel subtests have ended
		for _, query := range origin.queries {
			if strings.Contains(query, "kapa_deflector") && !strings.Contains(query, "from=proxy") {
				t.Errorf("the origin has seen %s", query)
			}
		}
	})
}

// A page may outlive its block, in a cache or in an open tab: its questions are then
// requests for the page.
func TestTheBlockIsRemoved(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", pages{"form": testenv.FormPage("", "")})
	kept := testenv.MustGet(t, e.Edge(testenv.Support, "/own/page/form")).Body
	if !strings.Contains(kept, "kapa_deflector=1") {
		t.Fatal("the page has no loader")
	}
	var questions counter
	site := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("the site gets %s", r.Method)
		}
		if r.URL.Query().Has("kapa_deflector") {
			questions.add()
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, kept)
	}))
	v := e.visitor(t, "/own/page/form")
	v.have(yes)
	v.Open("http://" + strings.Replace(site, "127.0.0.1", testenv.Support, 1) + v.uri)
	v.mark()
	testenv.Eventually(t, "the site is asked", func() bool { return questions.value() > 0 })
	v.run(`remove = () => document.querySelector('#support-form'); document.body.append('a change'); dispatchEvent(new Event('focus'))`)
	v.wantAsked(0, "without the block")
	if n := questions.value(); n != 1 {
		t.Errorf("the site was asked %d times", n)
	}
	v.wantNothing()
	v.mustBeMarked()
}

// A page may outlive its configuration, too: another loader's questions bring no tag.
func TestTheConfigurationChanges(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", pages{"form": testenv.FormPage("", "")})
	other := newEdge(t, consentLine+pagesLine+"\n\t\tloader interaction", pages{"form": testenv.FormPage("", "")})
	kept := testenv.MustGet(t, e.Edge(testenv.Support, "/own/page/form")).Body
	proxy := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Kapa-Deflector") == "" && strings.HasPrefix(r.URL.Path, "/own/page") {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, kept)
			return
		}
		(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "http", fmt.Sprintf("127.0.0.1:%d", other.EdgePort)
			p.Out.Host = p.In.Host
		}}).ServeHTTP(w, r)
	}))
	v := other.visitor(t, "/own/page/form")
	v.have(yes)
	v.Open("http://" + strings.Replace(proxy, "127.0.0.1", testenv.Support, 1) + v.uri)
	v.mark()
	v.wantAsked(1, "with the loader of another configuration")
	v.wantAnswer("other_page")
	v.wantNothing()
	v.set(no)
	v.wantAsked(2, "refused")
}
