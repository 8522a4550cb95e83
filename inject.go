package kapadeflector

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/page"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// A block is one kapa_deflector block of the configuration, prepared by Provision.
// Serving requests does not change it, except for what its notices have logged.
type block struct {
	logger  *zap.Logger
	metrics metrics
	notices notices

	pages     caddyhttp.MatchPath // empty: every page
	consent   consentReader
	cookie    Cookie
	policy    page.Policy
	tracked   *tag
	untracked *tag // nil with without_consent skip

	loader *pageLoader // nil without loader
	asker  *asker      // nil without consent ask

	experimenter *experimenter // nil without experiment
}

// plan decides, before r goes on, what the response to r gets if it is a page: the tag,
// if the visitor has consented. covered says that pages cover r.
func (b *block) plan(r *http.Request, covered bool, verdict consent.Verdict) page.Plan {
	destination, gate := document.DestinationOf(r)
	p := page.Plan{
		Covered:     covered,
		Destination: destination,
		Outcome:     outcome.OtherPage,
		Vary:        b.consent.vary(),
		Policy:      &b.policy,
	}
	if verdict == consent.Denied && destination != document.Other {
		p.ID = page.DeleteID
	}
	if !covered {
		return p
	}

	switch {
	case verdict == consent.Granted:
		b.insert(&p, b.tracked, outcome.Injected, r)
	case b.untracked != nil:
		b.insert(&p, b.untracked, outcome.Untracked, r)
	default:
		p.Outcome = withoutTag(verdict)
	}
	changes := p.Insertion != nil
	if destination == document.Turbo && changes {
		p.Reload, p.Private = true, b.consent.isRequired()
		if p.ID == page.GiveID {
			p.ID = page.KeepID // the full page gives it
		}
	}
	switch destination {
	case document.Any:
		if changes && variant.Names(r.Header, p.Insertion.Suffix) {
			p.Destination = document.Unknown // the client revalidates a page with this insertion
		} else if changes {
			p.Gate = gate
		}
	case document.Other, document.Turbo:
		if b.changesDocuments(&p, verdict, r) {
			p.Gate = gate
		}
	}
	p.Identity = changes && p.Destination != document.Any
	return p
}

// withoutTag is the outcome of a page that has no tag because of this verdict.
func withoutTag(verdict consent.Verdict) outcome.Outcome {
	if verdict == consent.Denied {
		return outcome.Denied
	}
	return outcome.NoConsent
}

// insert has documents under p get t, with the outcome o. If a required attribute is
// empty for r, they get nothing, with the outcome Incomplete.
func (b *block) insert(p *page.Plan, t *tag, o outcome.Outcome, r *http.Request) {
	p.Outcome = o
	if p.Destination == document.Other {
		return
	}
	complete, err := t.complete(replacerOf(r))
	if err != nil {
		p.Outcome = outcome.Incomplete
		return
	}
	p.Insertion = &complete.Insertion
	p.Private = o == outcome.Injected && b.consent.isRequired() || complete.cookies || complete.Fingerprint || complete.varies
	if o == outcome.Injected && complete.cookies && !complete.Fingerprint {
		p.ID = page.GiveID
	}
}

// changesDocuments reports whether this visitor would get a changed document at r's
// address, or one that deletes the id.
func (b *block) changesDocuments(p *page.Plan, verdict consent.Verdict, r *http.Request) bool {
	switch verdict {
	case consent.Granted:
		return p.Outcome != outcome.Incomplete
	case consent.Denied:
		return b.untracked != nil || hasID(r)
	default:
		return b.untracked != nil
	}
}

// covers reports whether r's path, before any rewrite, is one of the configured pages.
func (b *block) covers(r *http.Request) (bool, error) {
	if len(b.pages) == 0 {
		return true, nil
	}
	return matchesOriginal(b.pages, r)
}

// matchesOriginal reports whether r's path, before any rewrite, matches paths.
func matchesOriginal(paths caddyhttp.MatchPath, r *http.Request) (bool, error) {
	orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if ok && (orig.URL.Path != r.URL.Path || orig.URL.RawPath != r.URL.RawPath) {
		r = r.WithContext(r.Context())
		r.URL = orig.URL
	}
	return paths.MatchWithError(r)
}

func replacerOf(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}
