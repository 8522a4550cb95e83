package variant

import (
	"net/http"
	"strconv"
	"strings"
)

// Describe edits the header h of a page whose body grows by added bytes and whose
// entity tag is to end with suffix; "" removes the entity tag. If exact, the whole
// body is still to be written, and Content-Length is adjusted; otherwise it is
// removed.
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

// Stamp makes the validators in h, the header of a changed page or of a 304 for one,
// name this variant alone: it appends suffix to the entity tag and removes the date,
// which cannot name a variant.
func Stamp(h http.Header, suffix string) {
	delete(h, "Last-Modified")
	tag := strings.TrimSpace(h.Get("Etag"))
	if suffix == "" || len(tag) < 2 || tag[len(tag)-1] != '"' {
		delete(h, "Etag")
		return
	}
	h["Etag"] = []string{tag[:len(tag)-1] + suffix}
}

// PageFields are the fields that describe a page's body and how long caches may keep
// it. They are removed if an error takes the place of the page.
var PageFields = []string{
	"Content-Length", "Content-Encoding", "Content-Type", "Content-Disposition", "Content-Language",
	"Etag", "Last-Modified", "Accept-Ranges", "Cache-Control", "Expires",
	"Digest", "Content-Digest", "Repr-Digest", "Content-Md5", "Trailer",
}
