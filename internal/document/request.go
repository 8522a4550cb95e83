package document

import (
	"net/http"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/list"
)

// A Destination is what a request's own fields say that its response is for, in
// the word of the Fetch Standard.
type Destination uint8

// The destinations.
const (
	// Other: a fragment, a resource, data; never changed.
	Other Destination = iota
	// Any: the request says nothing about what it is for, as those of curl,
	// players and feed readers. A page gets the tag; but a download must resume
	// and a feed must get its 304, so that the conditions, the range and the
	// codings of such a request stay the client's own.
	Any
	// Unknown: the request names HTML, and the response itself has to show that
	// it is a document.
	Unknown
	// Turbo: Turbo Drive fetches a page, to show it in place of the one that
	// is there (https://turbo.hotwired.dev/handbook/drive). Scripts in it that
	// the page before had already do not run again.
	Turbo
	// Document: the browser says that it is opening a page.
	Document
)

// fragmentFields are sent by what fetches a part of a page, or a whole one to take
// parts out of it: the last by httpInclude of Caddy's templates, whose requests
// have the visitor's own fields beside it.
var fragmentFields = []string{"Hx-Request", "Turbo-Frame", "X-Pjax", "Caddy-Templates-Include"}

// turboField comes with everything that Turbo fetches, frames and streams included.
const turboField = "X-Turbo-Request-Id"

// DestinationOf returns what the response to r is for. Where a field of r speaks
// against a document, gate is its name: caches must tell such requests by it.
func DestinationOf(r *http.Request) (d Destination, gate string) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead {
		return Other, ""
	}
	for _, field := range fragmentFields {
		if r.Header[field] != nil {
			return Other, field
		}
	}
	if strings.EqualFold(r.Header.Get("X-Requested-With"), "XMLHttpRequest") {
		return Other, "X-Requested-With"
	}
	if r.Header[turboField] != nil {
		if r.Method != http.MethodPost && acceptsHTML(r.Header["Accept"]) {
			return Turbo, turboField
		}
		return Other, turboField // the response to a form stays on the page
	}
	// https://www.w3.org/TR/fetch-metadata/#sec-fetch-dest-header
	dest, mode := r.Header.Get("Sec-Fetch-Dest"), r.Header.Get("Sec-Fetch-Mode")
	fetched := dest == "" || dest == "empty"
	switch {
	case dest == "document", dest == "iframe", dest == "frame":
		return Document, ""
	case fetched && mode == "navigate":
		// From a service worker that passes a navigation on: no script can make
		// a request of this mode (https://fetch.spec.whatwg.org/#dom-request).
		// Or from <a download>, which names no HTML.
		if namesHTML(r.Header["Accept"]) {
			return Document, ""
		}
		return Other, "Accept"
	case fetched && mode != "":
		return Other, "Sec-Fetch-Mode" // in which the service worker's differs too
	case dest != "":
		return Other, "Sec-Fetch-Dest"
	}
	switch accept := r.Header["Accept"]; {
	case namesHTML(accept):
		return Unknown, ""
	case acceptsHTML(accept):
		return Any, "Accept"
	default:
		return Other, "Accept"
	}
}

// MayFetchPage reports whether a request that is not for a document may be for
// the bytes of one: as by fetch(), prefetching, or htmx.
func MayFetchPage(h http.Header) bool {
	dest := h.Get("Sec-Fetch-Dest")
	return (dest == "" || dest == "empty") && acceptsHTML(h["Accept"])
}

// acceptsHTML reports whether an Accept header leaves room for a page: it is
// absent, "*/*" alone, or names text/html, as browsers do.
func acceptsHTML(lines []string) bool {
	return len(lines) == 0 || len(lines) == 1 && strings.TrimSpace(lines[0]) == "*/*" || namesHTML(lines)
}

// namesHTML reports whether an Accept header names text/html, and not to say
// that it is unwelcome (RFC 9110 section 12.4.2).
func namesHTML(lines []string) bool {
	for _, rest := range lines {
		for rest != "" {
			var member string
			member, rest = list.Cut(rest)
			q := parameter(member, "q")
			if isMediaType(member, "text/html") && (q == "" || strings.Trim(q, "0.") != "") {
				return true
			}
		}
	}
	return false
}

// IsUnsafe reports whether a method may change what it is applied to (RFC 9110
// section 9.2.1).
func IsUnsafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	default:
		return true
	}
}
