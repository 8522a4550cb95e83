// Package page puts an insertion into an HTML page on its way to the visitor.
//
// A [Plan] says what the page gets. It is made before the request goes on to the
// origin, and nobody writes to it afterwards. A [Writer] carries it out: it takes
// the response of the handler behind it, decides once what becomes of the response,
// and passes it on. When the header leaves, the writer asks a [Visitor] for the
// visitor's address and id.
//
// The package knows neither the configuration nor the handler.
package page

import (
	"net/http"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// A Plan is what is decided about a response before the request goes on. The zero
// Plan changes nothing.
type Plan struct {
	// Covered reports whether the page gets anything at this address. If it does
	// not, nothing goes in, and the outcome is other_page.
	Covered bool

	// Spare says that the page gets the insertion only if the visitor's
	// [Visitor.IsClaimed] does not report that the page is another's.
	Spare bool

	// Destination is what the response is for, by the request's own fields.
	Destination document.Destination

	// Outcome is the outcome of the response if it is a document and nothing in it
	// forbids the insertion.
	Outcome outcome.Outcome

	// Insertion is what a document gets; nil if it gets nothing.
	Insertion *Insertion

	// Reload says that Turbo Drive fetches the page, and does not run again scripts
	// that the page before had. In place of the insertion, the page gets an element
	// that has Turbo load it in full, unless the page's policies block the insertion.
	Reload bool

	// Identity says that the origin is asked for a page without compression.
	Identity bool

	// Private says that only this visitor may get the page with the insertion.
	Private bool

	// Vary names the request fields by which documents under the directive differ,
	// separated by ", "; "" if they are the same for all.
	Vary string

	// Gate is one more such field, "" for none. The request has this field, or lacks
	// it, because it is not for a document. Gate is set where the document at the
	// same address is changed and this response may not be.
	Gate string

	// ID is what the response does about the visitor's id.
	ID IDChange

	// Policy says how to treat the page's policies.
	Policy *Policy
}

// IDChange is what a response does about the visitor's id.
type IDChange uint8

// What a response can do about the id. A new id is minted when the header leaves.
const (
	KeepID   IDChange = iota
	GiveID            // a page with the insertion gives the visitor an id
	DeleteID          // any final response deletes it
)

// A Visitor knows what the writer needs to know of the visitor when the header is
// about to leave.
type Visitor interface {
	// PageURL returns the page's address as the visitor's browser sees it, and as
	// the request itself names it. They differ where a trusted proxy forwards
	// another one. An unknown address is the zero URL.
	PageURL() (seen, named csp.URL)

	// IsClaimed reports whether something else puts its insertion into the page.
	IsClaimed() bool

	// GiveID adds to h the Set-Cookie lines that give the visitor an id, or renew
	// it. It reports whether it added any.
	GiveID(h http.Header) bool

	// DeleteID adds to h the Set-Cookie lines that delete the visitor's id, unless
	// h has them. It reports whether the visitor has an id.
	DeleteID(h http.Header) bool

	// KeepID removes from h the lines that DeleteID added.
	KeepID(h http.Header)

	// Report tells the operator about the response.
	Report(n Notice, d Detail)
}

// covers reports whether the page is still this plan's, and gets anything.
func (t *task) covers() bool {
	return t.plan.Covered && !(t.plan.Spare && t.visitor.IsClaimed())
}

// edit says how the request is edited for the origin.
func (p *Plan) edit(r *http.Request) variant.Edit {
	return variant.Edit{Suffix: p.suffix(), Identity: p.Identity, Unsafe: document.IsUnsafe(r.Method), Spare: p.Spare}
}

// changes reports whether the response gets something if it is a page.
func (p *Plan) changes() bool { return p.Insertion != nil }

// insertion is what goes into this response, as opposed to a full page that Turbo
// loads afterwards.
func (p *Plan) insertion() *Insertion {
	if p.Reload && p.changes() {
		return &reload
	}
	return p.Insertion
}

// suffix is the end of the response's entity tag if the response is changed. It is
// "" for a destination of Any, because such a request keeps its conditions.
func (p *Plan) suffix() string {
	if !p.changes() || p.Destination == document.Any {
		return ""
	}
	return p.insertion().Suffix
}

// gate returns the gate for the Vary of a response that was changed, or was not.
func (p *Plan) gate(changed bool) string {
	if changed && p.Destination == document.Any {
		return "" // a request for the document gets the same response
	}
	return p.Gate
}

// changed is the outcome of a response that got the insertion.
func (p *Plan) changed() outcome.Outcome {
	if p.Reload {
		return outcome.Answered
	}
	return p.Outcome
}

// withoutConsent reports whether a document gets nothing because its visitor has
// not consented.
func (p *Plan) withoutConsent() bool {
	return p.Outcome == outcome.NoConsent || p.Outcome == outcome.Denied
}

// unchanged returns the outcome of a document that is left alone because of o. The
// plan's own outcome takes precedence if it says that consent is missing and o is
// decided later than consent.
func (p *Plan) unchanged(o outcome.Outcome) outcome.Outcome {
	if o > outcome.Denied && p.withoutConsent() {
		return p.Outcome
	}
	return o
}

// misses reports whether a document that is left alone because of o misses the loader
// for a reason that may not apply to another request for it.
func (p *Plan) misses(o outcome.Outcome) bool {
	return p.changes() && p.Insertion.Loader != "" && (o == outcome.Encoded || o == outcome.CSPBlocked)
}

// covers304 reports whether a 304, which names no media type, may be for a page and
// so needs the plan's Vary. A fetch() may revalidate a page that the browser stored
// before the visitor consented. Its copy takes over the Vary of the 304, which must
// then name the gate.
func (p *Plan) covers304(r *http.Request) bool {
	return p.Destination != document.Other || p.Gate != "" && document.MayFetchPage(r.Header)
}
