package kapadeflector

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// A page with the tag and the same page without it are two representations of
// one resource (RFC 9110 section 3.2). This file keeps caches and conditional
// requests from taking the one for the other.

// variantFields are the request fields that are edited where the answer may be
// changed: the origin is to send bytes that can be read, and all of them. The
// copy that a conditional request speaks of may be the other variant.
var variantFields = [...]string{"Accept-Encoding", "If-None-Match", "If-Modified-Since", "If-Range", "Range"}

// variantRequest edits a request's header for the way to the origin, and puts
// it back for handlers that run afterwards, such as error routes.
type variantRequest struct {
	saved    [len(variantFields)][]string
	identity [1]string
}

func (v *variantRequest) edit(h http.Header) {
	for i, field := range variantFields {
		v.saved[i] = h[field]
		delete(h, field)
	}
	v.identity[0] = "identity"
	h["Accept-Encoding"] = v.identity[:]
}

func (v *variantRequest) restore(h http.Header) {
	for i, field := range variantFields {
		delete(h, field)
		if v.saved[i] != nil {
			h[field] = v.saved[i]
		}
	}
}

// describeVariant edits the header of a page into which added bytes go: what
// described the origin's bytes is taken away. The length is kept exact while
// all of the header is still to be sent, else exact is false and it goes.
func describeVariant(h http.Header, added int, exact bool) {
	length, err := strconv.ParseInt(first(h["Content-Length"]), 10, 64)
	if exact && err == nil && h["Trailer"] == nil {
		h["Content-Length"] = []string{strconv.FormatInt(length+int64(added), 10)}
	} else {
		delete(h, "Content-Length")
	}
	for _, field := range []string{
		"Etag", "Last-Modified", "Accept-Ranges",
		"Digest", "Content-Digest", "Repr-Digest", "Content-Md5",
	} {
		delete(h, field)
	}
}

// makePrivate keeps the answer with header h out of shared caches, and has
// private ones ask before they use it again. RFC 9111 section 7.3: Set-Cookie
// alone does not do that.
func makePrivate(h http.Header) {
	if !httpguts.HeaderValuesContainsToken(h["Cache-Control"], "no-store") {
		h["Cache-Control"] = []string{"private, no-cache"}
	}
	for field := range h {
		// fields that outrank Cache-Control in the caches they are for (RFC
		// 9213), and the one that it outranks
		if strings.HasSuffix(field, "Cdn-Cache-Control") || field == "Surrogate-Control" ||
			field == "X-Accel-Expires" || field == "Expires" {
			delete(h, field)
		}
	}
}

// addVary adds field to the Vary header, unless it is there.
func addVary(h http.Header, field string) {
	if !httpguts.HeaderValuesContainsToken(h["Vary"], field) && !httpguts.HeaderValuesContainsToken(h["Vary"], "*") {
		h["Vary"] = append(h["Vary"], field)
	}
}
