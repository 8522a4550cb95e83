package loader

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

const scriptNonce = "c2FtcGxl"

// Under a policy the loader is in the page only if it can do its work: run, ask, and put
// Kapa's script in.
func TestPolicies(t *testing.T) {
	t.Parallel()
	policies := map[string]struct {
		header string
		works  bool
	}{
		"nonce":          {"script-src 'nonce-" + scriptNonce + "'; connect-src 'self'", true},
		"strict-dynamic": {"script-src 'nonce-" + scriptNonce + "' 'strict-dynamic'; object-src 'none'; base-uri 'none'", true},
		"no-connect":     {"connect-src 'none'", false},
		"connects-away":  {"connect-src https://api.example", false},
		"no-inline":      {"script-src 'self'", false},
		"trusted-types":  {"require-trusted-types-for 'script'", false},
	}
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/own/page/")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policies[name].header)
		_, _ = io.WriteString(w, testenv.FormPage("", ""))
	}))
	for name, policy := range policies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := e.visitor(t, "/own/page/"+name)
			v.have(yes)
			v.arrive()
			if got := strings.Contains(v.BodyOf(v.url), "kapa_deflector=1"); got != policy.works {
				t.Fatalf("loader: %t, want %t", got, policy.works)
			}
			if !policy.works {
				v.wantAsked(0, "without the loader")
				v.wantNothing()
				return
			}
			v.wantDeflector(1)
			if got := testenv.Eval[string](v.Visitor, `document.querySelector(`+testenv.Quote(testenv.TagSelector)+`).nonce`); got != scriptNonce {
				t.Errorf("the tag's nonce is %q", got)
			}
			v.Ask()
			v.wantAsked(1, "in the end")
		})
	}
}

// With csp extend the policy lets the loader in by its hash, also where it has no nonce.
func TestExtendedPolicies(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tcsp extend\n\t\tloader load", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'")
		_, _ = io.WriteString(w, testenv.FormPage("", ""))
	}))
	v := e.visitor(t, "/own/page/form")
	v.have(yes)
	v.arrive()
	v.wantDeflector(1)
	v.ID()
	v.wantAsked(1, "in the end")
}
