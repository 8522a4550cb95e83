// Package document tells pages that may be changed from everything else, by what
// a request and its response say of themselves.
package document

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/list"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
)

// Kind returns the outcome of a response with this status, header and media type
// if it is no HTML page with a body, and outcome.Undecided if it may be one.
func Kind(status int, h http.Header, contentType string) outcome.Outcome {
	switch {
	case status == http.StatusSwitchingProtocols:
		return outcome.Upgrade
	case status == http.StatusNotModified:
		return outcome.NotModified
	case 300 <= status && status <= 399:
		return outcome.Redirect
	case status == http.StatusPartialContent || h["Content-Range"] != nil:
		return outcome.Partial
	case status == http.StatusNoContent || status == http.StatusResetContent:
		return outcome.NoBody
	case !isMediaType(contentType, "text/html"):
		return outcome.NotHTML
	default:
		return outcome.Undecided
	}
}

// Refusal returns the outcome of an HTML page whose header h forbids a change, and
// outcome.Undecided if it allows one.
func Refusal(h http.Header, contentType string) outcome.Outcome {
	switch {
	case slices.ContainsFunc(h["Content-Disposition"], isAttachment):
		return outcome.Attachment
	case !asciiCompatible(Charset(contentType)):
		return outcome.Charset
	case list.Has(h["Cache-Control"], "no-transform"),
		h["Signature-Input"] != nil: // RFC 9421: what it signs would no longer hold
		return outcome.NoTransform
	case h["Incremental"] != nil && caddyhttp.IsIncremental(h): // RFC 10036: nothing may be held back
		return outcome.NotDocument
	case isEncoded(h["Content-Encoding"]):
		return outcome.Encoded
	default:
		return outcome.Undecided
	}
}

// isAttachment reports whether a Content-Disposition has browsers save the
// response. A type that is not known means attachment (RFC 6266 section 4.2); one
// that is left out does not.
func isAttachment(s string) bool {
	kind, _, _ := strings.Cut(s, ";")
	kind = strings.TrimSpace(kind)
	return kind != "" && !strings.EqualFold(kind, "inline") && !strings.Contains(kind, "=")
}

// isEncoded reports whether a Content-Encoding says that the body is not to be
// read as it is.
func isEncoded(lines []string) bool {
	for _, line := range lines {
		for coding := range strings.SplitSeq(line, ",") {
			if c := strings.TrimSpace(coding); c != "" && !strings.EqualFold(c, "identity") {
				return true
			}
		}
	}
	return false
}

// GzipMagic is the first byte of gzip (RFC 1952 section 2.3.1). No page begins
// with it.
const GzipMagic = 0x1f

// IsGzipMagic reports whether a body that begins with p is gzip.
func IsGzipMagic(p []byte) bool {
	return len(p) >= 2 && p[0] == GzipMagic && p[1] == 0x8b
}

// IsGzip reports whether a Content-Encoding names gzip and nothing else (RFC 9110 section 8.4.1.3).
func IsGzip(lines []string) bool {
	return len(lines) == 1 && (strings.EqualFold(lines[0], "gzip") || strings.EqualFold(lines[0], "x-gzip"))
}
