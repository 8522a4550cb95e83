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

	live        bool            // live_consent
	watcherOnly *page.Insertion // what pages get without consent; nil unless live
}

// plan decides, before r goes on, what the response to r gets if it is a page. It
// also returns what r says about consent.
func (b *block) plan(r *http.Request) (p page.Plan, found consent.Finding, err error) {
	found = b.consent.find(r)
	destination, gate := document.DestinationOf(r)
	if b.isQuestion(r) {
		destination, gate = document.Document, "" // it is answered with what the document would get
	}
	p = page.Plan{
		Destination: destination,
		Outcome:     outcome.OtherPage,
		Vary:        b.consent.vary(),
		Policy:      &b.policy,
	}
	if found.Verdict == consent.Denied && destination != document.Other {
		p.ID = page.DeleteID
	}
	if p.Covered, err = b.covers(r); err != nil || !p.Covered {
		return p, found, err
	}

	switch {
	case found.Verdict == consent.Granted:
		b.insert(&p, b.tracked, outcome.Injected, r)
	case b.untracked != nil:
		b.insert(&p, b.untracked, outcome.Untracked, r)
	case found.Verdict == consent.Denied:
		p.Outcome = outcome.Denied
	default:
		p.Outcome = outcome.NoConsent
	}
	if p.Insertion == nil && destination != document.Other && found.Verdict != consent.Granted && !b.consent.isGPC(r) {
		p.Insertion = b.watcherOnly
	}
	changes := p.Insertion != nil
	if destination == document.Turbo && changes {
		p.Reload, p.Private = true, len(b.consent.rules) > 0
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
		if b.changesDocuments(&p, found.Verdict, r) {
			p.Gate = gate
		}
	}
	return p, found, nil
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
	p.Private = o == outcome.Injected && len(b.consent.rules) > 0 || complete.cookies || complete.Fingerprint || complete.varies
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
		return b.untracked != nil || b.live || hasID(r)
	default:
		return b.untracked != nil || b.live
	}
}

// covers reports whether r's path, before any rewrite, is one of the configured pages.
func (b *block) covers(r *http.Request) (bool, error) {
	if len(b.pages) == 0 {
		return true, nil
	}
	orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if ok && (orig.URL.Path != r.URL.Path || orig.URL.RawPath != r.URL.RawPath) {
		r = r.WithContext(r.Context())
		r.URL = orig.URL
	}
	return b.pages.MatchWithError(r)
}

func replacerOf(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}
