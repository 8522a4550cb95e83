package kapadeflector

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/list"
)

// asked is what a request's own fields say about the answer that is wanted.
type asked uint8

const (
	// askedOther: a fragment, a resource, data; never changed.
	askedOther asked = iota
	// askedAny: the request says nothing about what it is for, as those of curl,
	// players and feed readers. A page gets the tag; but a download must resume
	// and a feed must get its 304, so that the conditions, the range and the
	// codings of such a request stay the client's own.
	askedAny
	// askedMaybe: the request names HTML, and the answer itself has to show that
	// it is a document.
	askedMaybe
	// askedTurbo: Turbo Drive fetches a page, to show it in place of the one that
	// is there (https://turbo.hotwired.dev/handbook/drive). Scripts in it that
	// the page before had already do not run again.
	askedTurbo
	// askedDocument: the browser says that it is opening a page.
	askedDocument
)

// fragmentFields are sent by what fetches a part of a page, or a whole one to take
// parts out of it: the last by httpInclude of Caddy's templates, whose requests
// have the visitor's own fields beside it.
var fragmentFields = []string{"Hx-Request", "Turbo-Frame", "X-Pjax", "Caddy-Templates-Include"}

// turboField comes with all that Turbo fetches, frames and streams included.
const turboField = "X-Turbo-Request-Id"

// askedFor judges r. field is the one that speaks against a document, which a
// cache then has to tell such requests by, if there is one.
func askedFor(r *http.Request) (a asked, field string) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead {
		return askedOther, ""
	}
	for _, field := range fragmentFields {
		if r.Header[field] != nil {
			return askedOther, field
		}
	}
	if strings.EqualFold(first(r.Header["X-Requested-With"]), "XMLHttpRequest") {
		return askedOther, "X-Requested-With"
	}
	if r.Header[turboField] != nil {
		if r.Method != http.MethodPost && acceptsHTML(r.Header["Accept"]) {
			return askedTurbo, turboField
		}
		return askedOther, turboField // what a form was answered with stays on the page
	}
	// https://www.w3.org/TR/fetch-metadata/#sec-fetch-dest-header
	dest, mode := first(r.Header["Sec-Fetch-Dest"]), first(r.Header["Sec-Fetch-Mode"])
	fetched := dest == "" || dest == "empty"
	switch {
	case dest == "document", dest == "iframe", dest == "frame":
		return askedDocument, ""
	case fetched && mode == "navigate":
		// From a service worker that passes a navigation on: no script can make
		// a request of this mode (https://fetch.spec.whatwg.org/#dom-request).
		// Or from <a download>, which names no HTML.
		if namesHTML(r.Header["Accept"]) {
			return askedDocument, ""
		}
		return askedOther, "Accept"
	case fetched && mode != "":
		return askedOther, "Sec-Fetch-Mode" // in which the service worker's differs too
	case dest != "":
		return askedOther, "Sec-Fetch-Dest"
	}
	switch accept := r.Header["Accept"]; {
	case namesHTML(accept):
		return askedMaybe, ""
	case acceptsHTML(accept):
		return askedAny, "Accept"
	default:
		return askedOther, "Accept"
	}
}

// mayFetchPage reports whether a request that is not for a document may be for
// the bytes of one: as by fetch(), prefetching, or htmx.
func mayFetchPage(h http.Header) bool {
	dest := first(h["Sec-Fetch-Dest"])
	return (dest == "" || dest == "empty") && acceptsHTML(h["Accept"])
}

// acceptsHTML reports whether an Accept header leaves room for a page: it is
// absent, "*/*" alone, or names text/html, as browsers do.
func acceptsHTML(lines []string) bool {
	return len(lines) == 0 || len(lines) == 1 && strings.TrimSpace(lines[0]) == "*/*" || namesHTML(lines)
}

// namesHTML reports whether an Accept header names text/html, and not to say
// that it is unwelcome (RFC 9110 section 12.4.2).
func namesHTML(lines []string) bool {
	for _, rest := range lines {
		for rest != "" {
			var member string
			member, rest = list.Cut(rest)
			q := parameter(member, "q")
			if isMediaType(member, "text/html") && (q == "" || strings.Trim(q, "0.") != "") {
				return true
			}
		}
	}
	return false
}

// isUnsafe reports whether a method may change what it is applied to (RFC 9110
// section 9.2.1).
func isUnsafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	default:
		return true
	}
}

// responseKind is the outcome for an answer with this status, header and media
// type that is no HTML page with a body, undecided if it may be one.
func responseKind(status int, h http.Header, contentType string) outcome {
	switch {
	case status == http.StatusSwitchingProtocols:
		return outcomeUpgrade
	case status == http.StatusNotModified:
		return outcomeNotModified
	case 300 <= status && status <= 399:
		return outcomeRedirect
	case status == http.StatusPartialContent || h["Content-Range"] != nil:
		return outcomePartial
	case status == http.StatusNoContent || status == http.StatusResetContent:
		return outcomeNoBody
	case !isMediaType(contentType, "text/html"):
		return outcomeNotHTML
	default:
		return undecided
	}
}

// documentGate is the outcome for an HTML page with header h that must not be
// changed, undecided if it may be.
func documentGate(h http.Header, contentType string) outcome {
	switch {
	case slices.ContainsFunc(h["Content-Disposition"], isAttachment):
		return outcomeAttachment
	case !asciiCompatible(charsetOf(contentType)):
		return outcomeCharset
	case list.Has(h["Cache-Control"], "no-transform"),
		h["Signature-Input"] != nil: // RFC 9421: what it signs would no longer hold
		return outcomeNoTransform
	case h["Incremental"] != nil && caddyhttp.IsIncremental(h): // RFC 10036: nothing may be held back
		return outcomeNotDocument
	case isEncoded(h["Content-Encoding"]):
		return outcomeEncoded
	default:
		return undecided
	}
}

// contentTypeOf returns the Content-Type that browsers go by: of several lines,
// the last one that is a type, with the charset of one before if it is the same
// type (https://fetch.spec.whatwg.org/#concept-header-extract-mime-type). Several
// types on one line are none: browsers disagree about them.
func contentTypeOf(lines []string) (contentType string) {
	for _, line := range lines {
		if strings.Contains(line, ",") {
			if member, _ := list.Cut(line); member != strings.TrimSpace(line) {
				return ""
			}
		}
		if len(lines) == 1 {
			return line
		}
		essence := essenceOf(line)
		kind, subtype, _ := strings.Cut(essence, "/")
		switch {
		case !httpguts.ValidHeaderFieldName(kind), !httpguts.ValidHeaderFieldName(subtype), essence == "*/*":
			// no type
		case strings.EqualFold(essence, essenceOf(contentType)) && parameter(line, "charset") == "":
			// the charset before it still holds
		default:
			contentType = line
		}
	}
	return contentType
}

// isMediaType compares a Content-Type, or a member of Accept, with want,
// without its parameters and in any case (RFC 9110 section 8.3.1).
func isMediaType(s, want string) bool { return strings.EqualFold(essenceOf(s), want) }

// essenceOf returns a media type without its parameters.
func essenceOf(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.Trim(s, httpSpace)
}

// httpSpace is https://fetch.spec.whatwg.org/#http-whitespace.
const httpSpace = " \t\r\n"

// parameter returns the first parameter of this name of a media type, "" if
// there is none (https://mimesniff.spec.whatwg.org/#parsing-a-mime-type).
func parameter(mediaType, name string) string {
	_, rest, _ := strings.Cut(mediaType, ";")
	for rest != "" {
		end := strings.IndexAny(rest, ";=")
		if end < 0 {
			return ""
		}
		key, isFlag := strings.Trim(rest[:end], httpSpace), rest[end] == ';'
		rest = rest[end+1:]
		if isFlag {
			continue
		}
		var value string
		if value, rest = cutValue(rest); value != "" && strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// cutValue cuts the value of a parameter, and what is behind it up to the next
// parameter, off s.
func cutValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ";")
		return strings.Trim(value, httpSpace), rest
	}
	s = s[1:]
	end := strings.IndexAny(s, `"\`)
	if end < 0 {
		return s, ""
	}
	if s[end] == '\\' {
		var b strings.Builder
		for end = 0; end < len(s) && s[end] != '"'; end++ {
			if s[end] == '\\' && end+1 < len(s) {
				end++
			}
			b.WriteByte(s[end])
		}
		value = b.String()
	} else {
		value = s[:end]
	}
	_, rest, _ = strings.Cut(s[min(end, len(s)):], ";")
	return value, rest
}

// isAttachment reads a Content-Disposition: a type that is not known is to be
// treated as attachment (RFC 6266 section 4.2); one that is left out is not.
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

// isGzipMagic reports whether a body that begins with p is compressed (RFC 1952
// section 2.3.1). No page begins so.
func isGzipMagic(p []byte) bool {
	return len(p) >= 2 && p[0] == 0x1f && p[1] == 0x8b
}

// isGzip reports whether gzip is the one coding (RFC 9110 section 8.4.1.3).
func isGzip(lines []string) bool {
	return len(lines) == 1 && (strings.EqualFold(lines[0], "gzip") || strings.EqualFold(lines[0], "x-gzip"))
}

// charsetOf returns the label of an encoding that a Content-Type names, "" if
// there is none. What browsers may or may not take for a part of it is cut off.
func charsetOf(contentType string) string {
	return strings.Trim(parameter(contentType, "charset"), httpSpace+"\f\"'")
}

// asciiCompatible reports whether ASCII bytes mean ASCII in the encoding that
// has this label (https://encoding.spec.whatwg.org/#names-and-labels). Only
// UTF-16, ISO-2022-JP and "replacement" are not.
func asciiCompatible(label string) bool {
	if label == "" || strings.EqualFold(label, "utf-8") {
		return true
	}
	for _, other := range []string{
		"utf-16", "utf-16le", "utf-16be", "unicode", "unicodefeff", "unicodefffe", "csunicode", "ucs-2", "iso-10646-ucs-2",
		"iso-2022-jp", "csiso2022jp",
		"replacement", "hz-gb-2312", "iso-2022-kr", "csiso2022kr", "iso-2022-cn", "iso-2022-cn-ext",
	} {
		if strings.EqualFold(label, other) {
			return false
		}
	}
	return true
}

// first is the first line of a field that is looked up by its canonical name.
func first(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}
