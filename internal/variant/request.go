package variant

import (
	"net/http"
	"strings"
)

// requestFields are the request fields that EditRequest may edit: the conditions,
// and the fields that ask for a part of a page or for a compressed one.
var requestFields = [...]string{"If-None-Match", "If-Match", "If-Range", "If-Modified-Since", "Range", "Accept-Encoding"}

// A Request holds the fields of a request as they were before EditRequest, for
// handlers that run after the origin, such as error routes.
type Request struct {
	saved    [len(requestFields)][]string // nil for a field that was absent
	identity [1]string                    // the new Accept-Encoding; "" if it was not edited
}

// An Edit says how a request is edited.
type Edit struct {
	Suffix   string // of the variant that the request gets; "" for the origin's own page
	Identity bool   // the origin is asked for a page without compression

	// Unsafe says that the method may change the resource. Entity tags then name the
	// resource, whatever their variant.
	Unsafe bool

	// Spare says that another Edit may follow, for one of the other variants. Their
	// entity tags are kept for it.
	Spare bool
}

// EditRequest edits h so that the origin responds for the variant that e names:
// entity tags of the variant become the origin's, and what the origin cannot respond
// to is removed. It returns nil if h needs no edit.
func EditRequest(h http.Header, e Edit) *Request {
	if e.Suffix == "" && !e.Identity && !hasVariants(h) {
		return nil
	}
	v := new(Request)
	conditional := false
	for i, field := range requestFields {
		v.saved[i] = h[field]
		conditional = conditional || v.saved[i] != nil && field != "Accept-Encoding"
	}
	if conditional {
		editConditions(h, e)
	}
	if e.Identity {
		v.identity[0] = "identity"
		h["Accept-Encoding"] = v.identity[:]
	}
	return v
}

// editConditions edits the conditions in h; see EditRequest.
func editConditions(h http.Header, e Edit) {
	for _, field := range []string{"If-None-Match", "If-Match", "If-Range"} {
		before := h[field]
		if before == nil {
			continue
		}
		tags := e.etags(before, field == "If-Match" && before[0] == "*")
		switch {
		case tags != "":
			h[field] = []string{tags}
		case field == "If-Match":
			h[field] = []string{`"-"`} // matches nothing
		default:
			delete(h, field)
			// it did not count beside If-None-Match, and must not count now (RFC 9110
			// section 13.1.3)
			delete(h, "If-Modified-Since")
			if field == "If-Range" {
				delete(h, "Range")
			}
		}
	}
	if e.Suffix != "" && !e.Unsafe {
		delete(h, "If-Modified-Since")
		delete(h, "If-Range")
		delete(h, "Range")
	}
}

// hasVariants reports whether a condition in h names any of our variants.
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

// Restore undoes EditRequest. It does nothing on a nil Request.
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
