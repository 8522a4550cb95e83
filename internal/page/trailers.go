package page

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A handler announces a trailer in the header and sets it after the body, in the
// same map (see http.ResponseWriter). While the writer holds the header back, such
// trailers would become part of it.

// trailers are the fields that a header announces as trailers, each with the lines
// that it had in the final header: nil if it had none.
type trailers http.Header

// announced returns the trailers that h announces, nil if there are none.
func announced(h http.Header) trailers {
	var t trailers
	for _, line := range h["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			if t == nil {
				t = make(trailers)
			}
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			t[name] = h[name]
		}
	}
	return t
}

// setApart resets the announced fields of h to the lines that they had in the final
// header. undo sets them to their trailer values again.
func (t trailers) setApart(h http.Header) (undo func()) {
	later := make(http.Header)
	for name, lines := range t {
		if h[name] == nil || slices.Equal(h[name], lines) {
			continue
		}
		later[name] = h[name]
		if lines == nil {
			delete(h, name)
		} else {
			h[name] = lines
		}
	}
	return func() { maps.Copy(h, later) }
}
