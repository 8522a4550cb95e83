package loader

import (
	"context"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/authority"
)

// A question is a GET for the page's own address, with key, the ID of the script
// and a random word at the end of the query. No cache has that address. Field marks
// the question, because pages of other sites cannot send the field without a CORS
// preflight (Fetch, "CORS-safelisted request-header").
const (
	key      = "kapa_deflector=1." // 1 is the version of this language
	Field    = "Kapa-Deflector"
	question = "question"
)

// A Question is what a loader asks.
type Question struct {
	ID string // of the script that asks

	// SameOrigin reports whether a page of the site itself asks. Nobody else may have
	// the answer.
	SameOrigin bool
}

// Take returns r's question; nil if it has none. It takes the question out of r's
// address, and so does a request that has only lost its field on the way. What is
// left is the address of the page.
func Take(r *http.Request) *Question {
	before, word, found := cutKey(r.URL.RawQuery)
	if !found || r.Method != http.MethodGet {
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
	if r.Header.Get(Field) != question {
		return nil
	}
	id, _, _ := strings.Cut(word, ".")
	return &Question{ID: id, SameOrigin: isSameOrigin(r)}
}

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
// all browsers on http, name only the origin, and not on requests to the same one.
func isSameOrigin(r *http.Request) bool {
	if site := r.Header["Sec-Fetch-Site"]; site != nil {
		return len(site) == 1 && site[0] == "same-origin"
	}
	origin := r.Header["Origin"]
	return origin == nil || len(origin) == 1 && authority.Seen(r).IsOrigin(origin[0])
}
