package page

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A held header would take up what its handler sets after the body as trailers,
// since a trailer is announced in the header and then set in the same map (see
// http.ResponseWriter). Without us the header would have left before.

// trailers are the fields that a header announces as trailers, as they were when
// the header was complete: nil for those that it did not have itself.
type trailers http.Header

// announced returns what h announces, nil if it announces nothing.
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

// setApart puts the announced fields of h back to what they were in the header,
// and returns a function that undoes that.
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
