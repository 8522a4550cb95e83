package check

import (
	"slices"
	"strconv"
	"strings"
)

// cacheFields are those in which caches say that a response was theirs.
var cacheFields = []string{
	"Cf-Cache-Status", "X-Cache", "X-Cache-Status", "X-Proxy-Cache", "X-Vercel-Cache", "X-Nc", "Cdn-Cache", "Cache-Status", "Server-Timing",
}

// FromCache is the field by which the response shows that it came out of a shared
// cache, "" if it does not. Where that cache stands it does not show: Caddy
// passes on what one behind it has said.
func (a *Response) FromCache() string {
	for _, field := range cacheFields {
		for _, line := range a.Header[field] {
			for member := range strings.SplitSeq(strings.ToLower(line), ",") {
				if saysHit(field, member) {
					return field + ": " + line
				}
			}
		}
	}
	if age, err := strconv.Atoi(a.Header.Get("Age")); err == nil && age > 0 {
		return "Age: " + strconv.Itoa(age) // RFC 9111 section 5.1
	}
	return ""
}

// saysHit reports whether a member of such a field, in lower case, says that
// there was something in the cache.
func saysHit(field, member string) bool {
	name, params, _ := strings.Cut(member, ";")
	switch {
	case field == "Cache-Status": // RFC 9211; fwd=stale is none
		return slices.ContainsFunc(strings.Split(params, ";"), func(p string) bool { return strings.TrimSpace(p) == "hit" })
	case field == "Server-Timing" && strings.TrimSpace(name) != "cdn-cache":
		return false // what else is timed there is the origin's own affair
	}
	for word := range strings.FieldsFuncSeq(member, func(r rune) bool { return !isWord(r) }) {
		if word == "stale" || word == "updating" || word == "revalidated" || strings.HasSuffix(word, "hit") {
			return true
		}
	}
	return false
}

func isWord(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '_' || r == '-'
}

// fromFront is the field by which a response shows a cache that stands in front
// of Caddy, "" if it shows none. Its place is shown by what Caddy alone decides:
// whether there is a tag, which at an address that no cache can know is another
// matter, and the id, which two visitors share. afresh is that response, if any.
func (j *judge) fromFront(a, afresh *Response) string {
	if a == nil || !j.sharesID(a) && !j.differsInTag(a, afresh) {
		return ""
	}
	return a.FromCache()
}

func (j *judge) differsInTag(a, afresh *Response) bool {
	return afresh != nil && afresh.Status == a.Status && afresh.isHTML() &&
		(len(readPage(a.Body, j.deflector).tags) > 0) != (len(readPage(afresh.Body, j.deflector).tags) > 0)
}

// sharesID reports whether a response sets the id that another one sets, too.
func (j *judge) sharesID(a *Response) bool {
	id := j.idOf(a)
	return id != "" && slices.ContainsFunc([]*Response{j.site.With, j.site.Without, j.site.Again}, func(other *Response) bool {
		return other != nil && other != a && j.idOf(other) == id
	})
}

// noteCache says of a response that a cache had it, and that nothing shows where
// that cache stands.
func (j *judge) noteCache(a *Response, about string) {
	if from := a.FromCache(); from != "" {
		j.note(codeCacheSeen, about, "the page came out of a cache, by its %s. If that cache stands behind Caddy, all is well: Caddy passes such fields on. "+
			"If it stands in front, it must not keep this page: let it pass the page by, or heed Cache-Control and Vary", short(from))
	}
}
