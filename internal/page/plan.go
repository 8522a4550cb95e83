// Package page puts an insertion into an HTML page on its way to the visitor.
//
// A [Plan] says what the page gets. It is made before the request goes on to the
// origin, and nobody writes to it afterwards. A [Writer] carries it out: it takes
// the response of the handler behind it, decides once what becomes of it, and
// passes it on. What the two need to know of the visitor when the header leaves,
// they ask a [Visitor].
//
// The package knows no configuration and no handler.
package page

import (
	"net/http"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
)

// A Plan is what is decided about the response to one request before the request
// goes on. The zero Plan changes nothing.
type Plan struct {
	// Covered reports whether the request's path is one of the configured pages.
	// If it is not, nothing goes in, and the outcome is other_page.
	Covered bool

	// Destination is what the request's own fields say that the response is for.
	Destination document.Destination

	// Outcome is that of a document which nothing else speaks against.
	Outcome outcome.Outcome

	// Insertion is what a document gets, nil for nothing.
	Insertion *Insertion

	// Reload says that Turbo Drive fetches the page and cannot run scripts that it
	// has run before. The page then gets an element that has Turbo load it in
	// full, if the insertion may go into that full page.
	Reload bool

	// Private says that the page with the insertion is for its visitor alone.
	Private bool

	// Vary names the request fields by which documents under the directive differ,
	// separated by ", ".
	Vary string

	// Gate is one more such field, "" for none: the one by which the request does
	// not show itself to be for a document, if the document at the same address is
	// changed and this response may not be.
	Gate string

	// ID is what the response does about the visitor's id.
	ID IDChange

	// Policy is how the insertion gets along with the page's policies.
	Policy *Policy
}

// IDChange is what a response does about the visitor's id.
type IDChange uint8

// What can be done about the id. A new id is minted when the header leaves.
const (
	KeepID   IDChange = iota
	GiveID            // with a page that has the insertion
	DeleteID          // with any final response
)

// A Visitor answers for the visitor when the response's header is about to leave.
type Visitor interface {
	// PageURL returns the page's address as the visitor's browser sees it, and as
	// the request itself names it. They differ where a trusted proxy forwards
	// another one. The zero URL stands for one that is unknown.
	PageURL() (seen, named csp.URL)

	// GiveID adds to h the Set-Cookie lines by which the visitor has an id, and
	// reports whether there were any to add.
	GiveID(h http.Header) bool

	// DeleteID adds to h the Set-Cookie lines that delete the visitor's id, unless
	// h has them, and reports whether the visitor has an id.
	DeleteID(h http.Header) bool

	// KeepID takes back from h what DeleteID added.
	KeepID(h http.Header)

	// Report tells the operator something about the site.
	Report(n Notice, d Detail)
}

// changes reports whether the response gets something if it is a page.
func (p *Plan) changes() bool { return p.Insertion != nil }

// insertion is what goes into the response itself.
func (p *Plan) insertion() *Insertion {
	if p.Reload && p.changes() {
		return &reload
	}
	return p.Insertion
}

// suffix is what ends the entity tags that count for the response, "" if the
// origin's own do: a request that may not be for a page keeps its conditions.
func (p *Plan) suffix() string {
	if !p.changes() || p.Destination == document.Any {
		return ""
	}
	return p.insertion().Suffix
}

// gate returns the gate that counts for a response that was changed, or was not.
func (p *Plan) gate(changed bool) string {
	if changed && p.Destination == document.Any {
		return "" // the document's request would have got the same
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

// withoutConsent reports whether a document gets no tag because its visitor has
// not consented. Under live_consent it gets the watcher all the same.
func (p *Plan) withoutConsent() bool {
	return p.Outcome == outcome.NoConsent || p.Outcome == outcome.Denied
}

// unchanged returns the outcome of a document that is left alone because of o. A
// lack of consent takes precedence over what is decided after it.
func (p *Plan) unchanged(o outcome.Outcome) outcome.Outcome {
	if o > outcome.Denied && p.withoutConsent() {
		return p.Outcome
	}
	return o
}

// covers304 reports whether a 304, which names no media type, may be for a page.
// Browsers also revalidate the copy from before consent, and keep it by the
// fields of the 304, which therefore must not lack the gate in its Vary.
func (p *Plan) covers304(r *http.Request) bool {
	return p.Destination != document.Other || p.Gate != "" && document.MayFetchPage(r.Header)
}
