package draft

import (
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
)

// choosePolicy says whether the page's policies need csp extend, and whether that is
// enough.
func (d *drafter) choosePolicy() {
	policies, found := check.PoliciesOf(d.response, d.page, nil)
	if !found {
		return
	}
	blocked := d.blocked(policies)
	if blocked.Allowed {
		d.found("the page's policies let the deflector in as they are")
		return
	}
	policies.Extend(d.extension())
	if d.loader != "" {
		policies.ExtendInline(anyScript)
	}
	if still := d.blocked(policies); !still.Allowed {
		by, _, _ := strings.Cut(still.Directive, " ") // without its list, which is extended here
		what := "add what the deflector needs where the policy is made"
		switch {
		case by == "Integrity-Policy":
			what = "serve your own copy of the bundle, and give script its integrity"
		case by == "connect-src" && d.loader != "":
			what = "add 'self' to it, for the question that the loader asks"
		}
		d.todo("policy: the page's %s blocks the deflector, and csp extend does not help: %s (docs/csp.md)", by, what)
		return
	}
	d.extend = true
	d.found("csp extend, because %s blocks the deflector", check.Short(blocked.Directive))
}

// anyScript stands for the loader, whose bytes depend on the block.
const anyScript = "/* the loader */"

// script is Kapa's script. The loader inserts it, if there is one.
func (d *drafter) script() csp.Script {
	u, _ := csp.ParseURL(kapa.ScriptURL)
	return csp.Script{URL: u, Source: kapa.ScriptURL, Dynamic: d.loader != ""}
}

func (d *drafter) extension() csp.Extension {
	e := csp.Extension{Script: d.script(), Nonce: func() string { return "any" }}
	for directive, sources := range kapa.Sources {
		e.Sources = append(e.Sources, csp.Sources{Directive: directive, Sources: sources})
	}
	return e
}

// blocked returns what the policies say about the deflector: its script, what it connects
// to, and the loader.
func (d *drafter) blocked(policies *csp.Policies) csp.Verdict {
	if v := policies.Script(d.script()); !v.Allowed {
		return v
	}
	for _, to := range check.Kapa.Connects {
		if u, err := csp.ParseURL(to); err == nil {
			if v := policies.Fetch("connect-src", u); !v.Allowed {
				return v
			}
		}
	}
	if d.loader == "" {
		return csp.Verdict{Allowed: true}
	}
	if policies.RequiresTrustedTypes() {
		return csp.Verdict{Directive: "require-trusted-types-for"}
	}
	if at, err := csp.ParseURL(d.response.URL); err == nil { // its question
		if v := policies.Fetch("connect-src", at); !v.Allowed {
			return v
		}
	}
	return policies.Inline(anyScript)
}
