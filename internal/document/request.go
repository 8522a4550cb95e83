package document

import (
	"net/http"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/list"
)

// A Destination is what a response is for, by the request's own fields. The word is
// the Fetch Standard's.
type Destination uint8

// The destinations.
const (
	// Other is a fragment, a resource or data. The response is never changed.
	Other Destination = iota
	// Any means that the request accepts HTML and everything else, as requests of
	// curl, players and feed readers do. A page gets the tag. The conditions, Range
	// and Accept-Encoding of the request are left alone, so that a download can
	// resume and a feed reader gets its 304.
	Any
	// Unknown means that the request names HTML. The page itself must show that it is
	// a document.
	Unknown
	// Turbo means that Turbo Drive fetches a page to show it in place of the open one
	// (https://turbo.hotwired.dev/handbook/drive). Scripts that the open page already
	// had do not run again.
	Turbo
	// Document means that the browser opens a page.
	Document
)

// fragmentFields come with requests for a part of a page, or for a page to take a
// part out of. The last one is from httpInclude of Caddy's templates, whose requests
// also have all fields of the visitor's.
var fragmentFields = []string{"Hx-Request", "Turbo-Frame", "X-Pjax", "Caddy-Templates-Include"}

// turboField comes with everything that Turbo fetches, frames and streams included.
const turboField = "X-Turbo-Request-Id"

// DestinationOf returns what the response to r is for. gate is the field that shows
// r to be for no document, "" if there is none. Responses must name it in Vary.
func DestinationOf(r *http.Request) (d Destination, gate string) {
	if !MayShow(r.Method) {
		return Other, ""
	}
	for _, field := range fragmentFields {
		if r.Header[field] != nil {
			return Other, field
		}
	}
	if strings.EqualFold(first(r.Header["X-Requested-With"]), "XMLHttpRequest") {
		return Other, "X-Requested-With"
	}
	if r.Header[turboField] != nil {
		if r.Method != http.MethodPost && acceptsHTML(r.Header["Accept"]) {
			return Turbo, turboField
		}
		return Other, turboField // Turbo shows the response to a form in the open page
	}
	// https://www.w3.org/TR/fetch-metadata/#sec-fetch-dest-header
	dest, mode := first(r.Header["Sec-Fetch-Dest"]), first(r.Header["Sec-Fetch-Mode"])
	fetched := dest == "" || dest == "empty"
	switch {
	case dest == "document", dest == "iframe", dest == "frame":
		return Document, ""
	case fetched && mode == "navigate":
		// A service worker passes a navigation on: no script can make a request of
		// this mode (https://fetch.spec.whatwg.org/#dom-request). An <a download>
		// sends the same, but does not name HTML.
		if namesHTML(r.Header["Accept"]) {
			return Document, ""
		}
		return Other, "Accept"
	case fetched && mode != "":
		return Other, "Sec-Fetch-Mode" // this also differs from the service worker's navigation
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

// first returns the first line of a field, "" if it is absent. http.Header.Get would
// spell the name anew, for each request.
func first(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

// MayShow reports whether the response to a request with this method may be a page
// that is shown.
func MayShow(method string) bool {
	return method == http.MethodGet || method == http.MethodPost || method == http.MethodHead
}

// MayFetchPage reports whether a request that is not for a document may still get
// the bytes of one, as by fetch(), prefetching or htmx.
func MayFetchPage(h http.Header) bool {
	dest := first(h["Sec-Fetch-Dest"])
	return (dest == "" || dest == "empty") && acceptsHTML(h["Accept"])
}

// acceptsHTML reports whether an Accept header allows a page: it is absent, "*/*"
// alone, or names text/html.
func acceptsHTML(lines []string) bool {
	return len(lines) == 0 || len(lines) == 1 && strings.TrimSpace(lines[0]) == "*/*" || namesHTML(lines)
}

// namesHTML reports whether an Accept header names text/html with a q other than 0
// (RFC 9110 section 12.4.2).
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

// Coding returns the coding in which a page can be changed that suits the visitor who
// sends h best: gzip if the visitor takes it, otherwise identity (RFC 9110 section
// 12.5.3).
func Coding(h http.Header) string {
	if TakesGzip(h) {
		return "gzip"
	}
	return "identity"
}

// TakesGzip reports whether the visitor who sends h takes gzip.
func TakesGzip(h http.Header) bool {
	takes := false
	for _, rest := range h["Accept-Encoding"] {
		for rest != "" {
			var member string
			member, rest = list.Cut(rest)
			coding, _, _ := strings.Cut(member, ";")
			coding = strings.TrimSpace(coding)
			q := parameter(member, "q")
			wanted := q == "" || strings.Trim(q, "0.") != ""
			switch {
			case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
				return wanted
			case coding == "*":
				takes = wanted
			}
		}
	}
	return takes
}

// IsUnsafe reports whether a method may change the resource (RFC 9110 section 9.2.1).
func IsUnsafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	default:
		return true
	}
}
