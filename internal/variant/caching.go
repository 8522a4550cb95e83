package variant

import (
	"net/http"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/list"
)

// MakePrivate keeps the answer with header h out of shared caches, and has
// private ones ask before they use it again. RFC 9111 section 7.3: Set-Cookie
// alone does not do that.
func MakePrivate(h http.Header) {
	switch lines := h["Cache-Control"]; {
	case forbidsStoring(lines):
	case list.Has(lines, "no-transform"): // it binds others on the way
		h["Cache-Control"] = []string{"private, no-cache, no-transform"}
	default:
		h["Cache-Control"] = []string{"private, no-cache"}
	}
	for field := range h {
		if outranksCacheControl(field) || field == "Expires" {
			delete(h, field)
		}
	}
}

// forbidsStoring reports whether no cache may keep what says so in its
// Cache-Control. With must-understand, many pass over no-store (RFC 9111
// section 5.2.2.3).
func forbidsStoring(lines []string) bool {
	return list.Has(lines, "no-store") && !list.Has(lines, "must-understand")
}

// outranksCacheControl reports whether caches for which field is meant go by it
// (RFC 9213 section 2, and what vendors had before).
func outranksCacheControl(field string) bool {
	return strings.HasSuffix(field, "-Cache-Control") || field == "Surrogate-Control" || field == "Edge-Control" || field == "X-Accel-Expires"
}

// IsPrivate reports whether shared caches keep away from an answer with header
// h, as MakePrivate leaves it.
func IsPrivate(h http.Header) bool {
	for field := range h {
		if outranksCacheControl(field) {
			return false
		}
	}
	return list.Has(h["Cache-Control"], "private") || forbidsStoring(h["Cache-Control"])
}

// AddVary adds fields, separated by ", ", to the Vary header, unless they are
// there. All of it is one line then: nginx before 1.23 heeds only the last of
// several.
func AddVary(h http.Header, fields string) {
	if len(h["Vary"]) == 0 {
		h["Vary"] = []string{fields}
		return
	}
	for field := range strings.SplitSeq(fields, ", ") {
		lines := h["Vary"]
		if list.Has(lines, field) || list.Has(lines, "*") {
			continue
		}
		if before := strings.Trim(strings.Join(lines, ", "), ", \t"); before != "" {
			field = before + ", " + field
		}
		h["Vary"] = []string{field}
	}
}
