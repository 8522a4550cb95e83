package kapadeflector

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// siblings is what the blocks of a site have made of one request so far. It is
// the one thing about a request that changes while the request is under way. The
// first block that fits a request claims it; the last one reports a request that
// no block fits.
//
// The first block puts it into the request's variables before the request goes
// on. The variables are not written afterwards: a transport that dials for a
// request may still read them when the request has ended, and a map that is read
// and written at once ends the process. (A block that stands only in an error
// route comes later, as Caddy's own directives there do.)
type siblings struct{ claimed, reported bool }

const siblingsVar = "kapa_deflector.siblings"

// siblingsOf returns r's siblings, nil if no block has seen r.
func siblingsOf(r *http.Request) *siblings {
	s, _ := caddyhttp.GetVar(r.Context(), siblingsVar).(*siblings)
	return s
}

// announce makes s known to the blocks that come after this one.
func (s *siblings) announce(r *http.Request) { caddyhttp.SetVar(r.Context(), siblingsVar, s) }
