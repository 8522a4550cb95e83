// Package variant keeps caches and conditional requests from confusing a changed
// page with another variant of it.
//
// A page with an insertion and the same page without it are two representations of
// one resource (RFC 9110 section 3.2). So are two pages with different insertions.
// The header of each says so in its entity tag, its Vary and its Cache-Control.
package variant

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Mark begins the suffix that a changed page's entity tag gets before its closing
// quote. A hash of the inserted bytes follows, so that an entity tag validates only
// pages with the same bytes (RFC 9110 section 8.8.3.3). Caddy's encode, in front,
// appends its own suffix behind ours and cuts it off before we see the request.
//
// If the inserted bytes depend on the response, as on a nonce in it, the page has no
// suffix and no entity tag, because the origin's entity tag does not cover them.
const (
	Mark   = "-kapa-"
	length = len(Mark) + 16 + len(`"`)
)

// Suffix returns the end of the entity tags of pages that get html.
func Suffix(html []byte) string {
	hash := sha256.Sum256(html)
	return Mark + hex.EncodeToString(hash[:8]) + `"`
}

// Cut splits an entity tag into the origin's and our suffix, "" if it has none.
func Cut(tag string) (origin, suffix string) {
	n := len(tag) - length
	if n < 1 || !strings.HasPrefix(tag[n:], Mark) || tag[len(tag)-1] != '"' {
		return tag, ""
	}
	return tag[:n] + `"`, tag[n:]
}

// etags returns a list of entity tags as the origin knows them: it cuts the suffix
// from those of the variant, and leaves out those of others. If the edit is Unsafe, or
// any is true, it cuts any suffix and leaves out none. "*" names the origin's own page
// alone.
func (e Edit) etags(lines []string, any bool) string {
	var out []string
	for _, tag := range entityTags(strings.Join(lines, ",")) {
		origin, has := Cut(tag)
		switch {
		case e.Unsafe || any || has == e.Suffix && (tag != "*" || e.Suffix == ""):
			out = append(out, origin)
		case e.Spare && has != "":
			out = append(out, tag)
		}
	}
	return strings.Join(out, ", ")
}

// entityTags splits a list of entity tags. A comma may stand inside their quotes (RFC
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
