package loader

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/authority"
)

// A question is a GET for the page's own address, with key, the ID and the block of the
// script, and a random word at the end of the query. No cache has that address. Field marks
// the question, because pages of other sites cannot send the field without a CORS
// preflight (Fetch, "CORS-safelisted request-header").
const (
	key      = "kapa_deflector=1." // 1 is the version of this language
	Field    = "Kapa-Deflector"
	question = "question"
	yes, no  = "yes", "no"
)

// A Question is what a loader asks.
type Question struct {
	ID, Block string // of the script that asks

	// Reports are what the adapters say, in the form that consent.Report reads; ""
	// without adapters.
	Reports string

	// Language is the page's language (BCP 47), as it stands in the page; "" if it is
	// not known or does not matter.
	Language string

	// Choice is what the visitor has answered to the prompt: yes, no, or "" if they have
	// not been asked or not answered.
	Choice string

	// SameOrigin reports whether a page of the site itself asks. Nobody else may have
	// the answer.
	SameOrigin bool
}

// Take returns r's question; nil if it has none. It takes the question out of r's
// address, and so does a request that has only lost its field on the way. What is
// left is the address of the page.
func Take(r *http.Request) *Question {
	before, word, found := cutKey(r.URL.RawQuery)
	if !found || r.Method != http.MethodGet && r.Method != http.MethodPost {
		return nil
	}
	r.URL.RawQuery = before
	r.RequestURI, _, _ = cutKey(r.RequestURI)
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		u := *original.URL
		u.RawQuery, _, _ = cutKey(u.RawQuery)
		original.URL = &u
		original.RequestURI, _, _ = cutKey(original.RequestURI)
		*r = *r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, original)) // in place, for Caddy's placeholders
	}
	q := read(r.Method, r.Header.Get(Field))
	if q == nil {
		return nil
	}
	q.ID, word, _ = strings.Cut(word, ".")
	q.Block, _, _ = strings.Cut(word, ".")
	q.SameOrigin = isSameOrigin(r)
	return q
}

// read returns the question that the field asks with this method; nil if it asks none.
func read(method, field string) *Question {
	word, rest, _ := strings.Cut(field, "; ")
	q := new(Question)
	switch {
	case len(field) > maxField:
		return nil
	case method == http.MethodGet && word == question:
		q.Reports = rest
	case method == http.MethodPost && (word == yes || word == no):
		q.Choice = word
	default:
		return nil
	}
	for part := range strings.SplitSeq(rest, "; ") {
		if language, ok := strings.CutPrefix(part, "lang="); ok {
			q.Language = language
		}
	}
	return q
}

// maxField is the longest field of a question, in bytes.
const maxField = 1024

// cutKey splits what ends in a question.
func cutKey(s string) (before, word string, found bool) {
	i := strings.LastIndex(s, key)
	if i < 0 || i > 0 && s[i-1] != '&' && s[i-1] != '?' {
		return s, "", false
	}
	word = s[i+len(key):]
	if strings.Contains(word, "&") { // somebody has added to the query
		return s, "", false
	}
	return s[:max(i-1, 0)], word, true
}

// isSameOrigin reports whether a page of the site that r asks has sent r
// (https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header). Older browsers, and
// all browsers on http, name only the origin, and not on a GET to the same one. A POST
// always names it (Fetch, "append a request Origin header").
func isSameOrigin(r *http.Request) bool {
	origin, site := r.Header["Origin"], r.Header["Sec-Fetch-Site"]
	switch {
	case site != nil && (len(site) != 1 || site[0] != "same-origin"):
		return false
	case origin != nil:
		return len(origin) == 1 && authority.Seen(r).IsOrigin(origin[0])
	default:
		return r.Method == http.MethodGet
	}
}
