package check

import (
	"slices"
	"strconv"
	"strings"
)

// cacheFields are the fields in which caches say that a response was stored.
var cacheFields = []string{
	"Cf-Cache-Status", "X-Cache", "X-Cache-Status", "X-Proxy-Cache", "X-Vercel-Cache", "X-Nc", "Cdn-Cache", "Cache-Status", "Server-Timing",
}

// FromCache returns the field by which the response shows that it comes from a shared
// cache, "" if no field does. The field does not show where the cache is: Caddy
// passes on the fields of a cache behind it.
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

// saysHit reports whether a member of such a field, in lower case, says that the
// response was stored.
func saysHit(field, member string) bool {
	name, params, _ := strings.Cut(member, ";")
	switch {
	case field == "Cache-Status": // RFC 9211; fwd=stale is no hit
		return slices.ContainsFunc(strings.Split(params, ";"), func(p string) bool { return strings.TrimSpace(p) == "hit" })
	case field == "Server-Timing" && strings.TrimSpace(name) != "cdn-cache":
		return false // other metrics are not about caches
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

// fromFront returns the field by which a response shows a cache in front of Caddy, ""
// if there is none. Such a cache repeats what Caddy decides for each request: two
// visitors have the same id, or the response afresh, at a URL that is in no cache,
// differs in whether it has the tag. afresh may be nil.
func (j *judge) fromFront(a, afresh *Response) string {
	if a == nil || !j.sharesID(a) && !j.differsInTag(a, afresh) {
		return ""
	}
	return a.FromCache()
}

func (j *judge) differsInTag(a, afresh *Response) bool {
	return afresh != nil && afresh.Status == a.Status && afresh.isHTML() &&
		(len(readPage(a, j.deflector).tags) > 0) != (len(readPage(afresh, j.deflector).tags) > 0)
}

// sharesID reports whether another response sets the same id.
func (j *judge) sharesID(a *Response) bool {
	id := j.idOf(a)
	return id != "" && slices.ContainsFunc([]*Response{j.site.With, j.site.Without, j.site.Again}, func(other *Response) bool {
		return other != nil && other != a && j.idOf(other) == id
	})
}

// noteCache notes that a response comes from a cache, and that it is not known
// whether the cache is in front of Caddy.
func (j *judge) noteCache(a *Response, about string) {
	if from := a.FromCache(); from != "" {
		j.note(codeCacheSeen, about, "the page comes from a cache, according to its %s. If that cache is behind Caddy, this is fine: Caddy passes the field on. "+
			"If it is in front of Caddy, it must not store this page: exclude the page from it, or make it respect Cache-Control and Vary", Short(from))
	}
}
