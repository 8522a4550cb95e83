package page

import (
	"net/http"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
)

// reportPermit reports what the page's policies block.
func (t *task) reportPermit(p *permit) {
	policies, v := p.policies, &p.verdicts
	if policies == nil {
		return
	}
	if !v.script.Allowed {
		t.visitor.Report(ScriptBlocked, Detail{Blocked: v.script})
	}
	if !v.loader.Allowed {
		t.visitor.Report(LoaderBlocked, Detail{Blocked: v.loader})
	}
	if p.html == nil {
		return
	}
	if !v.user.Allowed {
		t.visitor.Report(UserBlocked, Detail{Blocked: v.user})
	}
	if questions := t.plan.Policy.Questions; questions.Scheme != "" {
		if verdict := policies.Fetch("connect-src", questions); !verdict.Allowed {
			t.visitor.Report(QuestionsBlocked, Detail{Blocked: verdict, Host: questions.Host})
		}
	}
	if t.plan.Insertion.Fingerprint {
		if verdict := policies.Loads(fingerprintScript); !verdict.Allowed {
			t.visitor.Report(FingerprintBlocked, Detail{Blocked: verdict, Host: fingerprintScript.Host})
		}
	}
	if policies.RequiresTrustedTypes() {
		t.visitor.Report(TrustedTypes, Detail{})
	}
}

// fingerprintScript is where the deflector loads a script from to take fingerprints.
var fingerprintScript = csp.URL{Scheme: "https", Host: kapa.MetricsHost, Path: "/"}

// reportEmbedder reports if browsers load the deflector's script into a page with
// header h only if the script's server opts in.
func (t *task) reportEmbedder(h http.Header) {
	script := t.plan.Policy.Script
	if script.URL.Scheme != "" && !script.CORS && demandsCORP(h) {
		t.visitor.Report(EmbedderPolicy, Detail{})
	}
}

// demandsCORP reports whether header h makes browsers demand
// Cross-Origin-Resource-Policy from the servers of other origins' scripts
// (https://html.spec.whatwg.org/multipage/browsers.html#coep,
// https://wicg.github.io/document-isolation-policy/).
func demandsCORP(h http.Header) bool {
	demands := func(field, word string) bool {
		value, _, _ := strings.Cut(h.Get(field), ";")
		return strings.TrimSpace(value) == word
	}
	return demands("Cross-Origin-Embedder-Policy", "require-corp") || demands("Document-Isolation-Policy", "isolate-and-require-corp")
}
