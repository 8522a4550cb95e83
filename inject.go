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

// A block is one kapa_deflector block of the configuration, as Provision has made
// it ready. It never changes while requests are served.
type block struct {
	logger  *zap.Logger
	metrics metrics
	notices notices

	pages     caddyhttp.MatchPath // empty for every page
	consent   consentReader
	cookie    Cookie
	policy    page.Policy
	tracked   *tag
	untracked *tag // nil with without_consent skip

	live        bool            // live_consent
	watcherOnly *page.Insertion // without consent; nil unless live_consent is on
}

// plan decides, before r goes on, what a page in answer to r gets. All that
// happens to the response goes by it.
func (b *block) plan(r *http.Request) (p page.Plan, found consent.Finding, err error) {
	found = b.consent.find(r)
	destination, gate := document.DestinationOf(r)
	if b.isQuestion(r) {
		destination, gate = document.Document, "" // its answer is what the document would get
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
	if destination == document.Turbo && p.Insertion != nil {
		p.Reload, p.Private = true, len(b.consent.rules) > 0
		if p.ID == page.GiveID {
			p.ID = page.KeepID // until the full page comes
		}
	}
	switch destination {
	case document.Any:
		if p.Insertion != nil && variant.Names(r.Header, p.Insertion.Suffix) {
			p.Destination = document.Unknown // the client has the page with this insertion
		} else if p.Insertion != nil {
			p.Gate = gate
		}
	case document.Other, document.Turbo:
		if b.changesDocuments(&p, found.Verdict, r) {
			p.Gate = gate
		}
	}
	return p, found, nil
}

// insert puts t into p. A document that gets it has the outcome o.
func (b *block) insert(p *page.Plan, t *tag, o outcome.Outcome, r *http.Request) {
	p.Outcome = o
	if p.Destination == document.Other {
		return // no document
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

// changesDocuments reports whether a document that the visitor opens at r's
// address is changed, or deletes an id.
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

// covers reports whether r asked for one of the configured pages, by the path
// before any rewrite.
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
