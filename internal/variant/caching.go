package variant

import (
	"net/http"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/list"
)

// MakePrivate keeps the response with header h out of shared caches, and has
// private caches revalidate it before each use. Set-Cookie alone does not do that
// (RFC 9111 section 7.3).
func MakePrivate(h http.Header) {
	switch lines := h["Cache-Control"]; {
	case forbidsStoring(lines):
	case list.Has(lines, "no-transform"): // kept for the proxies in front
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

// forbidsStoring reports whether these Cache-Control lines keep the response out of
// every cache. Beside must-understand, caches may ignore no-store (RFC 9111 section
// 5.2.2.3).
func forbidsStoring(lines []string) bool {
	return list.Has(lines, "no-store") && !list.Has(lines, "must-understand")
}

// outranksCacheControl reports whether some caches go by this field rather than by
// Cache-Control (RFC 9213 section 2, and older fields of vendors).
func outranksCacheControl(field string) bool {
	return strings.HasSuffix(field, "-Cache-Control") || field == "Surrogate-Control" || field == "Edge-Control" || field == "X-Accel-Expires"
}

// IsPrivate reports whether h still keeps the response out of shared caches, as
// MakePrivate had it.
func IsPrivate(h http.Header) bool {
	for field := range h {
		if outranksCacheControl(field) {
			return false
		}
	}
	return list.Has(h["Cache-Control"], "private") || forbidsStoring(h["Cache-Control"])
}

// AddVary adds to Vary those of fields, separated by ", ", that it lacks. It joins
// the lines of Vary into one, because nginx before 1.23 reads only the last line.
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
