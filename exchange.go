package kapadeflector

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/authority"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/loader"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/page"
)

// An exchange is one request under a block, and its response. It is the writer's
// page.Visitor. All its parts are in one struct, for one allocation.
type exchange struct {
	block    *block
	request  *http.Request
	finding  consent.Finding
	plan     page.Plan
	writer   page.Writer
	question *loader.Question // nil unless this block answers the request itself
	covered  bool             // the request's path is one of the block's pages
	siblings *siblings        // shared with the request's other blocks
	own      siblings         // what siblings points to if this is the first block
}

// newExchange begins an exchange. The first block that sees r announces siblings;
// later ones find them.
func newExchange(b *block, r *http.Request) *exchange {
	x := &exchange{block: b, request: r, siblings: siblingsOf(r)}
	if x.siblings == nil {
		x.siblings = &x.own
		x.own.question = loader.Take(r)
		x.own.announce(r)
	}
	return x
}

// makePlan makes the plan for a page and, if the block covers the request, claims the
// request.
func (x *exchange) makePlan() (err error) {
	b, r := x.block, x.request
	x.finding = b.consent.find(r, x.siblings.question)
	if x.covered, err = b.covers(r); err != nil {
		return err
	}
	x.siblings.claimed = x.covered
	switch q := x.siblings.question; {
	case q != nil && (x.covered || b.isOwn(q)):
		x.question = q
		x.plan.Covered, x.siblings.claimed = true, true
	case b.loader == nil:
		x.plan = b.plan(r, x.covered, x.finding.Verdict)
	default:
		x.plan = b.loaderPlan(r, x.finding.Verdict)
		if !x.covered {
			x.plan.Covered, x.plan.Spare = x.siblings.reserve(), true
		}
	}
	return nil
}

// isOurs reports whether the response is this block's, and not another's.
func (x *exchange) isOurs() bool {
	return x.plan.Covered && !(x.plan.Spare && x.siblings.claimed)
}

// serve passes the request on and carries out the plan.
func (x *exchange) serve(w http.ResponseWriter, next caddyhttp.Handler) (err error) {
	defer func() { x.end(x.writer.Outcome(), err) }() // also when a handler panics
	return x.writer.Serve(w, x.request, next, &x.plan, x)
}

// tunnel passes a CONNECT on, whose response is never a page.
func (x *exchange) tunnel(w http.ResponseWriter, next caddyhttp.Handler) (err error) {
	x.plan.Covered, x.siblings.claimed = true, true // other blocks need not look at it
	o := outcome.Aborted                            // if next panics
	defer func() { x.end(o, err) }()
	err = next.ServeHTTP(w, x.request)
	if o = outcome.Upgrade; err != nil {
		o, _ = page.Failure(err)
	}
	return err
}

// end logs and counts the outcome. After an error, an error route makes the response.
// A block in that route logs its own outcome too, but does not count it, because
// there is only one response.
func (x *exchange) end(o outcome.Outcome, err error) {
	s, ours := x.siblings, x.isOurs()
	reported := s.reported
	if !ours && (reported || s.claimed) {
		return // another block reports it
	}
	if !ours || err != nil {
		s.reported = true
	}
	if err != nil { // so that a block in the error route can claim the request
		s.claimed, s.reserved = false, false
	}
	record(x.block.logger, x.request, o, x.finding.Reason)
	if !reported {
		x.block.metrics.count(o)
	}
}

// PageURL implements [page.Visitor].
func (x *exchange) PageURL() (seen, named csp.URL) {
	return authority.Seen(x.request).PageURL(), authority.Named(x.request).PageURL()
}

// IsClaimed implements [page.Visitor].
func (x *exchange) IsClaimed() bool { return x.siblings.claimed }

// GiveID implements [page.Visitor].
func (x *exchange) GiveID(h http.Header) bool {
	if x.request.Method == http.MethodHead || setsID(h) {
		return false
	}
	lines, covered := x.block.idCookie(x).idChange(x.request)
	if !covered {
		x.block.notices.warnUncovered(x.block.logger)
	}
	if lines == nil {
		return false
	}
	h["Set-Cookie"] = append(h["Set-Cookie"], lines...)
	action := idSet
	if readIDs(x.request.Header["Cookie"]).first != "" {
		action = idRenewed
	}
	x.block.metrics.idCookies[action].Inc()
	return true
}

// idCookie says how the visitor gets an id: as configured, but under consent ask for no
// longer than the visitor's answer counts. An answer that is given now sets the id anew.
func (b *block) idCookie(x *exchange) Cookie {
	c := b.cookie
	if b.asker == nil {
		return c
	}
	left := caddy.Duration(b.asker.choice.Remaining(x.request.Header["Cookie"]))
	if x.question != nil && x.question.Choice != "" {
		left, c.Renew = b.asker.cookie.MaxAge, true
	}
	c.MaxAge = min(c.MaxAge, left)
	return c
}

// DeleteID implements [page.Visitor].
func (x *exchange) DeleteID(h http.Header) bool {
	if !x.isOurs() && x.siblings.claimed || !hasID(x.request) {
		return false
	}
	if x.request.Method == http.MethodHead {
		return true // the response is private as GET's is, but a HEAD does not delete
	}
	if x.block.cookie.deleteID(h, x.request) {
		x.block.metrics.idCookies[idDeleted].Inc()
	}
	return true
}

// KeepID implements [page.Visitor].
func (x *exchange) KeepID(h http.Header) {
	deletion := x.block.cookie.idDeletion(x.request)
	h["Set-Cookie"] = slices.DeleteFunc(h["Set-Cookie"], func(line string) bool { return slices.Contains(deletion, line) })
	if len(h["Set-Cookie"]) == 0 {
		delete(h, "Set-Cookie")
	}
}

// Report implements [page.Visitor].
func (x *exchange) Report(n page.Notice, d page.Detail) {
	x.block.notices.log(x.block.logger, n, d)
}

var _ page.Visitor = (*exchange)(nil)
