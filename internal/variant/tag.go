// Package variant keeps caches and conditional requests from taking a changed page
// for another one.
//
// A page with an insertion and the same page without it are two representations of
// one resource (RFC 9110 section 3.2), and so are pages whose insertions differ.
// The header of each says so: by its entity tag, its Vary and its Cache-Control.
package variant

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Mark begins what is appended to the entity tag of a changed page,
// before the closing quote. A hash of the bytes inserted follows, so that no
// tag validates a page with other bytes (RFC 9110 section 8.8.3.3). Caddy's
// encode, outside, appends its own suffix behind and cuts it off first.
//
// A page whose tag depends on what else the origin says in its answer, as on a
// nonce, has no suffix and no entity tag: that of the origin does not speak for
// these bytes.
const (
	Mark   = "-kapa-"
	length = len(Mark) + 16 + len(`"`)
)

// Suffix is what ends the entity tags of pages that get html.
func Suffix(html []byte) string {
	hash := sha256.Sum256(html)
	return Mark + hex.EncodeToString(hash[:8]) + `"`
}

// Cut cuts the suffix from an entity tag, if it has one.
func Cut(tag string) (origin, suffix string) {
	n := len(tag) - length
	if n < 1 || !strings.HasPrefix(tag[n:], Mark) || tag[len(tag)-1] != '"' {
		return tag, ""
	}
	return tag[:n] + `"`, tag[n:]
}

// tagsFor returns what a list of entity tags says about the origin's page:
// those of the variant with this suffix without it, and none of another. For
// an unsafe method the suffix of any is cut. "*" speaks for no variant.
func tagsFor(lines []string, suffix string, unsafe bool) string {
	var out []string
	for _, tag := range entityTags(strings.Join(lines, ",")) {
		origin, has := Cut(tag)
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
