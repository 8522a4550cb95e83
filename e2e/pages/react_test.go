package pages

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// reactPage is what react.cjs says of a version of React.
type reactPage struct {
	Page   []string // before and after the boundary in the head completes
	Client string   // the script
}

func renderReact(t *testing.T, suffix string) (p reactPage) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		testenv.Missing(t, "node", "install Node.js")
	}
	testenv.Module(t, "react-dom"+suffix)
	cmd := exec.Command("node", "react.cjs", suffix)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	if err != nil {
		t.Fatalf("react.cjs: %v", err)
	}
	if len(p.Page) != 2 || !strings.Contains(p.Page[0], `<!--$?--><template id="B:0"></template><!--/$--></head>`) {
		t.Fatalf("no boundary is pending in the head: %q", p.Page)
	}
	return p
}

// React hydrates a page that it streams, and completes the boundary in its head,
// with the tag as without it (issue 13).
func TestReactCompletesABoundaryInTheHead(t *testing.T) {
	t.Parallel()
	versions := map[string]string{"18": "-18", "19": ""} // the suffixes of the packages' names
	var caddyfile strings.Builder
	for version, suffix := range versions {
		react := renderReact(t, suffix)
		hydrated := make(chan struct{})
		origin := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/client.js", testenv.StandIn:
				w.Header().Set("Content-Type", "text/javascript")
				script := react.Client
				if r.URL.Path == testenv.StandIn {
					script = "window.KapaSFD = {}"
				}
				_, _ = io.WriteString(w, script)
			case "/hydrated": // one page waits for this
				select {
				case hydrated <- struct{}{}:
				case <-r.Context().Done():
				}
			case "/page":
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = io.WriteString(w, react.Page[0])
				_ = http.NewResponseController(w).Flush()
				select {
				case <-hydrated:
					_, _ = io.WriteString(w, react.Page[1])
				case <-r.Context().Done():
				}
			}
		}))
		caddyfile.WriteString(`
http://react-` + version + `.acme.localhost:{$EDGE_PORT} {
	kapa_deflector {` + testenv.Required + `
		pages /page
		script ` + testenv.StandIn + `
		consent cookie cookie_consent accepted
	}
	reverse_proxy ` + origin + `
}`)
	}
	c := testenv.StartCaddy(t, caddyfile.String())
	for version := range versions {
		t.Run("React "+version, func(t *testing.T) {
			t.Parallel()
			v := testenv.NewVisitor(t) // to whom an error of hydration may not happen
			complete := func() {
				t.Helper()
				v.Open(c.Edge("react-"+version+".acme.localhost", "/page"))
				v.WaitFor(`window.completed`)
				if got := testenv.Eval[string](v, `document.head.outerHTML`); strings.Contains(got, "<!--$?-->") || strings.Contains(got, "B:0") {
					t.Errorf("the boundary is pending: %s", got)
				}
				if n := testenv.Eval[int](v, `document.querySelectorAll('meta[name=late]').length`); n != 1 {
					t.Errorf("what came late is there %d times", n)
				}
				v.Click("button")
				v.WaitFor(`window.clicked`)
			}
			complete()
			v.WantNoTag()
			testenv.Eval[bool](v, `cookieStore.set('cookie_consent', 'accepted').then(() => true)`)
			complete()
			v.WantTag()
		})
	}
}
