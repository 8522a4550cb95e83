package variant

import (
	"net/http"
	"strings"
)

// requestFields are the request fields that may be edited on the way to the
// origin: those by which a client asks whether the copy that it has is still
// good, and what keeps an answer from being read and changed.
var requestFields = [...]string{"If-None-Match", "If-Match", "If-Range", "If-Modified-Since", "Range", "Accept-Encoding"}

// Request is what a request's header was before it was edited for the way
// to the origin, for handlers that run afterwards, such as error routes.
type Request struct {
	saved    [len(requestFields)][]string // nil for those that were not there
	identity [1]string                    // what Accept-Encoding became, if it did
}

// EditRequest leaves of h what the origin can answer for the variant with this
// suffix, "" for its own page. unsafe says that the method may change the
// resource: it is the resource then that the tags name, whatever its variant.
// nil comes back where there was nothing to do.
func EditRequest(h http.Header, suffix string, unsafe bool) *Request {
	if suffix == "" && !hasVariants(h) {
		return nil
	}
	v := new(Request)
	conditional := false
	for i, field := range requestFields {
		v.saved[i] = h[field]
		conditional = conditional || v.saved[i] != nil && field != "Accept-Encoding"
	}
	if conditional {
		editConditions(h, suffix, unsafe)
	}
	if suffix != "" {
		v.identity[0] = "identity"
		h["Accept-Encoding"] = v.identity[:]
	}
	return v
}

// editConditions leaves of the conditions in h those that the origin can answer
// for the variant.
func editConditions(h http.Header, suffix string, unsafe bool) {
	for _, field := range []string{"If-None-Match", "If-Match", "If-Range"} {
		before := h[field]
		if before == nil {
			continue
		}
		tags := tagsFor(before, suffix, unsafe || field == "If-Match" && before[0] == "*")
		switch {
		case tags != "":
			h[field] = []string{tags}
		case field == "If-Match":
			h[field] = []string{`"-"`} // which matches nothing
		default:
			delete(h, field)
			// not even by its date; with If-None-Match it did not count
			// (RFC 9110 section 13.1.3)
			delete(h, "If-Modified-Since")
			if field == "If-Range" {
				delete(h, "Range")
			}
		}
	}
	if suffix != "" && !unsafe {
		delete(h, "If-Modified-Since")
		delete(h, "If-Range")
		delete(h, "Range")
	}
}

// hasVariants reports whether h names a variant of ours.
func hasVariants(h http.Header) bool { return Names(h, Mark) }

// Names reports whether a condition in h names the variant with this suffix, which
// is not "".
func Names(h http.Header, suffix string) bool {
	for _, field := range [...]string{"If-None-Match", "If-Match", "If-Range"} {
		for _, line := range h[field] {
			if strings.Contains(line, suffix) {
				return true
			}
		}
	}
	return false
}

// Restore puts h back.
func (v *Request) Restore(h http.Header) {
	if v == nil {
		return
	}
	if v.identity[0] != "" {
		delete(h, "Accept-Encoding")
	}
	for i, field := range requestFields {
		if v.saved[i] != nil {
			h[field] = v.saved[i]
		}
	}
}
