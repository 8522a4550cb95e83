package kapadeflector

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/loader"
)

// siblings is what the blocks of a site share about one request. Nothing else about
// a request changes while the request is under way. The first block that covers the
// request claims it. If none does, the first block with a loader has reserved its
// page, and otherwise the last block reports it.
//
// The first block puts siblings into the request's variables before the request
// goes on, and no block writes the variables after that. A transport that dials for
// the request may still read them when the request has ended, and a map that is read
// and written at the same time ends the process. (A block that stands only in an
// error route writes them later, as Caddy's own directives there do.)
type siblings struct {
	claimed, reserved, reported bool

	question *loader.Question // what the request asks, if it is a loader's
}

// reserve reserves the request's page for a loader. It reports whether no other block
// has done so.
func (s *siblings) reserve() bool {
	free := !s.reserved
	s.reserved = true
	return free
}

const siblingsVar = "kapa_deflector.siblings"

// siblingsOf returns r's siblings, nil if no block has seen r.
func siblingsOf(r *http.Request) *siblings {
	s, _ := caddyhttp.GetVar(r.Context(), siblingsVar).(*siblings)
	return s
}

// announce makes s known to the blocks that come after this one.
func (s *siblings) announce(r *http.Request) { caddyhttp.SetVar(r.Context(), siblingsVar, s) }
