package page

import (
	"net/http"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// describe edits h, which is about to leave, so that it describes the response. It
// reports whether it made the response private. changed says that the body gets the
// insertion, exact that the whole body is still to be written. c is nil unless the
// response is a page that may be changed.
func (t *task) describe(h http.Header, d decision, c *change, changed, exact bool) (private bool) {
	p := t.plan
	is304 := d.outcome == outcome.NotModified
	if d.html || is304 && p.covers304(t.request) {
		if p.Vary != "" {
			variant.AddVary(h, p.Vary) // on a 304 too (RFC 9110 section 15.4.5)
		}
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
		// the origin compared entity tags without our suffix; the visitor's copy has it
		variant.Stamp(h, p.suffix())
		// the policies of a 304 replace the stored ones (RFC 9111 section 3.2). No
		// nonce is needed: a page with one has no entity tag, and so gets no 304.
		if p.Policy.Extend {
			permit := t.permit(source{header: h, editable: true}, nil)
			permit.send(h)
			forwarded = permit.forwarded
		}
		private = t.personalize(h, false)
	case c != nil && c.body.decoder != nil: // decoded, and nothing is inserted
		variant.Describe(h, "", 0, false) // the origin's validators are for the gzip
	}
	if relabelled {
		delete(h, "Content-Encoding")
		if t.request.Method == http.MethodHead {
			delete(h, "Content-Length") // GET's depends on what the body turns out to be
		}
	}
	// Whoever wrote the forwarded fields could put a page into caches. And a cache must
	// not give a document that missed the loader to requests that would get it.
	if forwarded || d.missed {
		variant.MakePrivate(h)
		private = true
	}
	return private
}

// personalize gives the visitor an id where the plan says so, and makes the response
// private if it is for this visitor alone. It reports whether it did. h is the header
// of a page with the insertion, or of a 304 for one. secret says that the page holds a
// nonce.
func (t *task) personalize(h http.Header, secret bool) (private bool) {
	given := t.plan.ID == GiveID && t.visitor.GiveID(h)
	if private = given || secret || t.plan.Private; private {
		variant.MakePrivate(h)
	}
	return private
}

// deleteID deletes the id of a visitor who has denied consent, and makes the response
// private. It reports whether there was an id.
func (t *task) deleteID(h http.Header) bool {
	if t.plan.ID != DeleteID || !t.visitor.DeleteID(h) {
		return false
	}
	variant.MakePrivate(h)
	return true
}

// isLabelledGzip reports whether h says that the body is gzip.
func isLabelledGzip(h http.Header) bool { return document.IsGzip(h["Content-Encoding"]) }
