package page

import (
	"net/http"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// describe makes h, which is about to leave, describe the response, and reports
// whether it took the response out of shared caches. changed says that the body
// gets the insertion, exact that all of it is still to be written. c is nil unless
// the response is a page that may be changed.
func (t *task) describe(h http.Header, d decision, c *change, changed, exact bool) (private bool) {
	p := t.plan
	is304 := d.outcome == outcome.NotModified
	if d.html || is304 && p.covers304(t.request) {
		variant.AddVary(h, p.Vary) // RFC 9110 section 15.4.5: a 304 says it too
		if gate := p.gate(changed); gate != "" {
			variant.AddVary(h, gate)
		}
	}
	forwarded := c != nil && c.permit.forwarded
	relabelled := c != nil && isLabelledGzip(h) && (c.body.isText() || t.request.Method == http.MethodHead)
	switch {
	case changed:
		variant.Describe(h, c.permit.suffix, len(c.permit.html), exact && c.body.decoder == nil)
		c.permit.send(h)
		private = t.personalize(h, c.permit.secret)
		t.reportEmbedder(h)
		c.sent = policiesIn(h)
	case is304 && p.suffix() != "" && t.request.Header["If-None-Match"] != nil:
		// the request's tags, cut for this variant, were what it answers to
		variant.Stamp(h, p.suffix())
		// the policies of a 304 replace those that are stored (RFC 9111 section
		// 3.2); a page with a nonce never gets one
		if p.Policy.Extend {
			permit := t.permit(source{header: h, editable: true}, nil)
			permit.send(h)
			forwarded = permit.forwarded
		}
		private = t.personalize(h, false)
	case c != nil && c.body.decoder != nil: // and nothing to insert after all
		variant.Describe(h, "", 0, false) // what follows is no variant that we know
	}
	if relabelled {
		delete(h, "Content-Encoding")
	}
	if forwarded { // the page depends on whoever wrote these fields
		variant.MakePrivate(h)
	}
	return private || forwarded
}

// personalize adds what a page with the insertion, or a 304 for one, says to its
// visitor alone, and reports whether that takes it out of shared caches. secret says
// that the page holds what nobody else may see.
func (t *task) personalize(h http.Header, secret bool) (private bool) {
	given := t.plan.ID == GiveID && t.visitor.GiveID(h)
	if private = given || secret || t.plan.Private; private {
		variant.MakePrivate(h)
	}
	return private
}

// deleteID deletes the id of a visitor who has denied consent, takes the response
// out of shared caches then, and reports whether there was an id.
func (t *task) deleteID(h http.Header) bool {
	if t.plan.ID != DeleteID || !t.visitor.DeleteID(h) {
		return false
	}
	variant.MakePrivate(h)
	return true
}

// isLabelledGzip reports whether h says that the body is gzip.
func isLabelledGzip(h http.Header) bool { return document.IsGzip(h["Content-Encoding"]) }
