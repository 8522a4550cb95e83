package page

import (
	"bytes"
	"net/http"
	"strings"
)

// sniffLength is how many bytes of a body net/http looks at to name its type.
const sniffLength = 512

// mayBecomeHTML reports whether more bytes are needed to tell whether a body that
// begins with first is HTML.
func mayBecomeHTML(first []byte) bool {
	text := bytes.TrimLeft(first, "\t\n\f\r ")
	return len(first) < sniffLength && (len(text) == 0 || text[0] == '<') &&
		strings.HasPrefix(http.DetectContentType(first), "text/plain")
}

// isText reports whether a body that begins with p may be text, which a page is
// (https://mimesniff.spec.whatwg.org/#binary-data-byte).
func isText(p []byte) bool { return strings.HasPrefix(http.DetectContentType(p), "text/") }
