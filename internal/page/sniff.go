package page

import (
	"bytes"
	"net/http"
	"strings"
)

// sniffLength is how many bytes net/http names a type by.
const sniffLength = 512

// mayBecomeHTML reports whether a body is HTML or not depending on what follows its
// first bytes.
func mayBecomeHTML(first []byte) bool {
	text := bytes.TrimLeft(first, "\t\n\f\r ")
	return len(first) < sniffLength && (len(text) == 0 || text[0] == '<') &&
		strings.HasPrefix(http.DetectContentType(first), "text/plain")
}

// isText reports whether a body that begins with p may be a page
// (https://mimesniff.spec.whatwg.org/#binary-data-byte).
func isText(p []byte) bool { return strings.HasPrefix(http.DetectContentType(p), "text/") }
