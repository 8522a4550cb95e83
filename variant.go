package kapadeflector

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/list"
)

// A page with the tag and the same page without it are two representations of
// one resource (RFC 9110 section 3.2), and so are the pages of two visitors
// whose tags differ. This file keeps caches and conditional requests from
// taking the one for the other.

// variantMark begins what is appended to the entity tag of a changed page,
// before the closing quote. A hash of the bytes inserted follows, so that no
// tag validates a page with other bytes (RFC 9110 section 8.8.3.3). Caddy's
// encode, outside, appends its own suffix behind and cuts it off first.
//
// A page whose tag depends on what else the origin says in its answer, as on a
// nonce, has no suffix and no entity tag: that of the origin does not speak for
// these bytes.
const (
	variantMark   = "-kapa-"
	variantLength = len(variantMark) + 16 + len(`"`)
)

// variantSuffix is what ends the entity tags of pages that get html.
func variantSuffix(html []byte) string {
	hash := sha256.Sum256(html)
	return variantMark + hex.EncodeToString(hash[:8]) + `"`
}

// cutVariant cuts the suffix from an entity tag, if it has one.
func cutVariant(tag string) (origin, suffix string) {
	n := len(tag) - variantLength
	if n < 1 || !strings.HasPrefix(tag[n:], variantMark) || tag[len(tag)-1] != '"' {
		return tag, ""
	}
	return tag[:n] + `"`, tag[n:]
}

// variantFields are the request fields that may be edited on the way to the
// origin: those by which a client asks whether the copy that it has is still
// good, and what keeps an answer from being read and changed.
var variantFields = [...]string{"If-None-Match", "If-Match", "If-Range", "If-Modified-Since", "Range", "Accept-Encoding"}

// variantRequest is what a request's header was before it was edited for the way
// to the origin, for handlers that run afterwards, such as error routes.
type variantRequest struct {
	saved    [len(variantFields)][]string // nil for those that were not there
	identity [1]string                    // what Accept-Encoding became, if it did
}

// editRequest leaves of h what the origin can answer for the variant with this
// suffix, "" for its own page. unsafe says that the method may change the
// resource: it is the resource then that the tags name, whatever its variant.
// nil comes back where there was nothing to do.
func editRequest(h http.Header, suffix string, unsafe bool) *variantRequest {
	if suffix == "" && !hasVariants(h) {
		return nil
	}
	v := new(variantRequest)
	conditional := false
	for i, field := range variantFields {
		v.saved[i] = h[field]
		conditional = conditional || v.saved[i] != nil && field != "Accept-Encoding"
	}
	if conditional {
		editConditions(h, suffix, unsafe)
	}
	if suffix != "" {
		v.identity[0] = "identity"
		h["Accept-Encoding"] = v.identity[:]
	}
	return v
}

// editConditions leaves of the conditions in h those that the origin can answer
// for the variant.
func editConditions(h http.Header, suffix string, unsafe bool) {
	for _, field := range []string{"If-None-Match", "If-Match", "If-Range"} {
		before := h[field]
		if before == nil {
			continue
		}
		tags := tagsFor(before, suffix, unsafe || field == "If-Match" && first(before) == "*")
		switch {
		case tags != "":
			h[field] = []string{tags}
		case field == "If-Match":
			h[field] = []string{`"-"`} // which matches nothing
		default:
			delete(h, field)
			// not even by its date; with If-None-Match it did not count
			// (RFC 9110 section 13.1.3)
			delete(h, "If-Modified-Since")
			if field == "If-Range" {
				delete(h, "Range")
			}
		}
	}
	if suffix != "" && !unsafe {
		delete(h, "If-Modified-Since")
		delete(h, "If-Range")
		delete(h, "Range")
	}
}

// hasVariants reports whether h names a variant of ours.
func hasVariants(h http.Header) bool { return namesVariant(h, variantMark) }

// namesVariant reports whether h names the variant with this suffix.
func namesVariant(h http.Header, suffix string) bool {
	for _, field := range [...]string{"If-None-Match", "If-Match", "If-Range"} {
		for _, line := range h[field] {
			if strings.Contains(line, suffix) {
				return true
			}
		}
	}
	return false
}

// tagsFor returns what a list of entity tags says about the origin's page:
// those of the variant with this suffix without it, and none of another. For
// an unsafe method the suffix of any is cut. "*" speaks for no variant.
func tagsFor(lines []string, suffix string, unsafe bool) string {
	var out []string
	for _, tag := range entityTags(strings.Join(lines, ",")) {
		origin, has := cutVariant(tag)
		if unsafe || has == suffix && (tag != "*" || suffix == "") {
			out = append(out, origin)
		}
	}
	return strings.Join(out, ", ")
}

// entityTags splits a list of them; a comma may stand inside their quotes (RFC
// 9110 section 8.8.3).
func entityTags(s string) (tags []string) {
	for s != "" {
		end, quoted := len(s), false
		for i := range len(s) {
			if s[i] == '"' {
				quoted = !quoted
			} else if s[i] == ',' && !quoted {
				end = i
				break
			}
		}
		if tag := strings.TrimSpace(s[:end]); tag != "" {
			tags = append(tags, tag)
		}
		s = s[min(end+1, len(s)):]
	}
	return tags
}

// restore puts h back.
func (v *variantRequest) restore(h http.Header) {
	if v == nil {
		return
	}
	if v.identity[0] != "" {
		delete(h, "Accept-Encoding")
	}
	for i, field := range variantFields {
		if v.saved[i] != nil {
			h[field] = v.saved[i]
		}
	}
}

// describeVariant edits the header of a page into which added bytes go, whose
// entity tag ends with suffix, "" for a page without one. The length is kept
// exact while all of the body is still to be written.
func describeVariant(h http.Header, suffix string, added int, exact bool) {
	length, err := strconv.ParseInt(first(h["Content-Length"]), 10, 64)
	if exact && err == nil {
		h["Content-Length"] = []string{strconv.FormatInt(length+int64(added), 10)}
	} else {
		delete(h, "Content-Length")
	}
	for _, field := range []string{"Accept-Ranges", "Digest", "Content-Digest", "Repr-Digest", "Content-Md5"} {
		delete(h, field)
	}
	markVariant(h, suffix)
}

// markVariant lets the validators in h, of a changed page or of a 304 for one,
// speak for that variant alone. A date cannot.
func markVariant(h http.Header, suffix string) {
	delete(h, "Last-Modified")
	tag := strings.TrimSpace(first(h["Etag"]))
	if suffix == "" || len(tag) < 2 || tag[len(tag)-1] != '"' {
		delete(h, "Etag")
		return
	}
	h["Etag"] = []string{tag[:len(tag)-1] + suffix}
}

// makePrivate keeps the answer with header h out of shared caches, and has
// private ones ask before they use it again. RFC 9111 section 7.3: Set-Cookie
// alone does not do that.
func makePrivate(h http.Header) {
	switch lines := h["Cache-Control"]; {
	case forbidsStoring(lines):
	case list.Has(lines, "no-transform"): // it binds others on the way
		h["Cache-Control"] = []string{"private, no-cache, no-transform"}
	default:
		h["Cache-Control"] = []string{"private, no-cache"}
	}
	for field := range h {
		if outranksCacheControl(field) || field == "Expires" {
			delete(h, field)
		}
	}
}

// forbidsStoring reports whether no cache may keep what says so in its
// Cache-Control. With must-understand, many pass over no-store (RFC 9111
// section 5.2.2.3).
func forbidsStoring(lines []string) bool {
	return list.Has(lines, "no-store") && !list.Has(lines, "must-understand")
}

// outranksCacheControl reports whether caches for which field is meant go by it
// (RFC 9213 section 2, and what vendors had before).
func outranksCacheControl(field string) bool {
	return strings.HasSuffix(field, "-Cache-Control") || field == "Surrogate-Control" || field == "Edge-Control" || field == "X-Accel-Expires"
}

// isPrivate reports whether shared caches keep away from an answer with header
// h, as makePrivate leaves it.
func isPrivate(h http.Header) bool {
	for field := range h {
		if outranksCacheControl(field) {
			return false
		}
	}
	return list.Has(h["Cache-Control"], "private") || forbidsStoring(h["Cache-Control"])
}

// pageFields describe a page's body and how long it may be kept; without the
// page they describe nothing.
var pageFields = []string{
	"Content-Length", "Content-Encoding", "Content-Type", "Content-Disposition", "Content-Language",
	"Etag", "Last-Modified", "Accept-Ranges", "Cache-Control", "Expires",
	"Digest", "Content-Digest", "Repr-Digest", "Content-Md5", "Trailer",
}

// addVary adds fields, separated by ", ", to the Vary header, unless they are
// there. All of it is one line then: nginx before 1.23 heeds only the last of
// several.
func addVary(h http.Header, fields string) {
	if len(h["Vary"]) == 0 {
		h["Vary"] = []string{fields}
		return
	}
	for field := range strings.SplitSeq(fields, ", ") {
		lines := h["Vary"]
		if list.Has(lines, field) || list.Has(lines, "*") {
			continue
		}
		if before := strings.Trim(strings.Join(lines, ", "), ", \t"); before != "" {
			field = before + ", " + field
		}
		h["Vary"] = []string{field}
	}
}
