package variant

import (
	"net/http"
	"strconv"
	"strings"
)

// Describe edits the header of a page into which added bytes go, whose
// entity tag ends with suffix, "" for a page without one. The length is kept
// exact while all of the body is still to be written.
func Describe(h http.Header, suffix string, added int, exact bool) {
	length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if exact && err == nil {
		h["Content-Length"] = []string{strconv.FormatInt(length+int64(added), 10)}
	} else {
		delete(h, "Content-Length")
	}
	for _, field := range []string{"Accept-Ranges", "Digest", "Content-Digest", "Repr-Digest", "Content-Md5"} {
		delete(h, field)
	}
	Stamp(h, suffix)
}

// Stamp lets the validators in h, of a changed page or of a 304 for one,
// speak for that variant alone. A date cannot.
func Stamp(h http.Header, suffix string) {
	delete(h, "Last-Modified")
	tag := strings.TrimSpace(h.Get("Etag"))
	if suffix == "" || len(tag) < 2 || tag[len(tag)-1] != '"' {
		delete(h, "Etag")
		return
	}
	h["Etag"] = []string{tag[:len(tag)-1] + suffix}
}

// PageFields describe a page's body and how long it may be kept; without the
// page they describe nothing.
var PageFields = []string{
	"Content-Length", "Content-Encoding", "Content-Type", "Content-Disposition", "Content-Language",
	"Etag", "Last-Modified", "Accept-Ranges", "Cache-Control", "Expires",
	"Digest", "Content-Digest", "Repr-Digest", "Content-Md5", "Trailer",
}
