package loader

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// A script that does not load is tried again when the visitor comes back, and not all
// the time.
func TestTheScriptDoesNotLoad(t *testing.T) {
	t.Parallel()
	var asked, broken = new(counter), new(counter)
	broken.add()
	e := newEdgeOf(t, `
	kapa_deflector {`+testenv.Required+consentLine+pagesLine+`
		script /own`+testenv.StandIn+`
		loader load
	}`, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".js") {
			asked.add()
			if broken.value() > 0 {
				w.Header().Set("Content-Type", "text/javascript")
				w.WriteHeader(http.StatusNotFound)
				return
			}
			http.Redirect(w, r, "/shared"+testenv.StandIn, http.StatusFound)
			return
		}
		pages{"form": testenv.FormPage("", "")}.ServeHTTP(w, r)
	}))
	v := e.visitor(t, "/own/page/form")
	v.Expect("status 404", "Failed to load resource")
	v.have(yes)
	v.arrive()
	testenv.Eventually(t, "the script is asked for", func() bool { return asked.value() > 0 })
	v.wantAsked(1, "broken")
	v.run(`document.body.append('a change')`)
	v.wantAsked(1, "broken, in a page that changes")
	if n := asked.value(); n != 1 {
		t.Errorf("the script was asked for %d times", n)
	}
	v.WantNoTag()
	broken.reset()
	v.run(`dispatchEvent(new Event('focus'))`)
	v.wantDeflector(1)
	v.wantAsked(2, "mended")
}
