// Package document tells pages that may be changed from all other responses, by the
// header fields of the request and of the response.
package document

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/list"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
)

// Kind returns outcome.Undecided for a response that may be an HTML page with a
// body, by its status, header and media type. For any other it returns the outcome.
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

// Refusal returns outcome.Undecided for an HTML page whose header h allows a change.
// For any other page it returns the outcome.
func Refusal(h http.Header, contentType string) outcome.Outcome {
	switch {
	case slices.ContainsFunc(h["Content-Disposition"], isAttachment):
		return outcome.Attachment
	case !asciiCompatible(Charset(contentType)):
		return outcome.Charset
	case list.Has(h["Cache-Control"], "no-transform"),
		h["Signature-Input"] != nil: // RFC 9421: a change would break the signature
		return outcome.NoTransform
	case h["Incremental"] != nil && caddyhttp.IsIncremental(h): // RFC 10036: no byte may be held back
		return outcome.NotDocument
	case isEncoded(h["Content-Encoding"]):
		return outcome.Encoded
	default:
		return outcome.Undecided
	}
}

// isAttachment reports whether a Content-Disposition makes browsers save the
// response. An unknown type means attachment (RFC 6266 section 4.2), a missing one
// does not.
func isAttachment(s string) bool {
	kind, _, _ := strings.Cut(s, ";")
	kind = strings.TrimSpace(kind)
	return kind != "" && !strings.EqualFold(kind, "inline") && !strings.Contains(kind, "=")
}

// isEncoded reports whether a Content-Encoding names any coding but identity.
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

// GzipMagic is the first byte of gzip (RFC 1952 section 2.3.1). No page begins with
// this byte.
const GzipMagic = 0x1f

// IsGzipMagic reports whether a body that begins with p is gzip.
func IsGzipMagic(p []byte) bool {
	return len(p) >= 2 && p[0] == GzipMagic && p[1] == 0x8b
}

// IsGzip reports whether a Content-Encoding names gzip and nothing else (RFC 9110 section 8.4.1.3).
func IsGzip(lines []string) bool {
	return len(lines) == 1 && (strings.EqualFold(lines[0], "gzip") || strings.EqualFold(lines[0], "x-gzip"))
}
