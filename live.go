package kapadeflector

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/escape"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/page"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// Under live_consent, consent that is given or withdrawn on a page takes effect on
// that page. A small script in the page, the watcher (live.js), sends a question to
// the page's own address when consent cookies change. The block answers it by the
// same rules as it serves a page.

//go:embed live.min.js
var liveScript string

// liveField marks the watcher's question, and our answer to it, so that the watcher
// can tell the answer from other responses, such as a service worker's. Pages of
// other origins cannot send the field without a CORS preflight (Fetch,
// "CORS-safelisted request-header").
const (
	liveField    = "Kapa-Deflector"
	liveQuestion = "consent"
	liveAnswer   = "answer"
)

// newWatcher returns the watcher's element. tagged says that the page has the tag.
func newWatcher(rules []consent.Rule, tagged bool) string {
	var b strings.Builder
	b.WriteString(page.InlineOpen + strings.TrimSuffix(liveScript, "\n") + "(")
	escape.JSON(&b, cookiePattern(rules))
	if tagged {
		b.WriteString(",1)")
	} else {
		b.WriteString(",0)")
	}
	b.WriteString(page.InlineClose)
	return b.String()
}

// watcherAlone returns the insertion for visitors who have not consented.
func watcherAlone(rules []consent.Rule) *page.Insertion {
	html := []byte(newWatcher(rules, false))
	return &page.Insertion{HTML: html, Suffix: variant.Suffix(html), Watcher: len(html)}
}

// cookiePattern returns a JavaScript regular expression for the names of the cookies
// that the rules read.
func cookiePattern(rules []consent.Rule) string {
	var names []string
	for _, rule := range rules {
		for _, name := range rule.Cookies() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return strings.Join(names, "|")
}

// isQuestion reports whether r is the watcher's question; answer refuses one from
// another site.
func (b *block) isQuestion(r *http.Request) bool {
	return b.live && r.Method == http.MethodGet && r.Header.Get(liveField) == liveQuestion
}

// isQuestion reports whether the request is the watcher's question about a covered
// page.
func (x *exchange) isQuestion() bool { return x.plan.Covered && x.block.isQuestion(x.request) }

// answer answers the watcher's question: 200 with the tag for a visitor who has
// consented, 204 for any other visitor. It sets or deletes the id as a page would.
func (x *exchange) answer(w http.ResponseWriter) outcome.Outcome {
	h := w.Header()
	h["Cache-Control"] = []string{"no-store"}
	variant.MakePrivate(h) // removes fields for CDNs that would outrank no-store
	// A service worker that stores every response must not store this one in place
	// of the page: https://www.w3.org/TR/service-workers/#cache-put
	h["Vary"] = []string{"*"}
	// https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
	if site := x.request.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		w.WriteHeader(http.StatusForbidden)
		return outcome.Answered
	}
	h[liveField] = []string{liveAnswer}
	body := x.answeredTag()
	if body != "" && x.plan.ID == page.GiveID {
		x.GiveID(h)
	}
	if x.plan.ID == page.DeleteID {
		x.DeleteID(h)
	}
	if body == "" {
		w.WriteHeader(http.StatusNoContent)
		return outcome.Answered
	}
	h["Content-Type"] = []string{"application/json"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	if _, err := w.Write([]byte(body)); err != nil { // the client is gone
		return outcome.Aborted
	}
	return outcome.Answered
}

// answeredTag returns the tag as the watcher reads it, "" if the visitor gets none.
func (x *exchange) answeredTag() string {
	if x.plan.Outcome != outcome.Injected { // incomplete, or without consent
		return ""
	}
	f, err := x.block.tracked.fill(replacerOf(x.request))
	if err != nil {
		return ""
	}
	var b strings.Builder
	b.WriteString(`{"script":[`)
	for i, a := range f.attrs {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('[')
		escape.JSON(&b, a.Name)
		b.WriteByte(',')
		escape.JSON(&b, a.Value)
		b.WriteByte(']')
	}
	b.WriteByte(']')
	if f.user != nil || f.metadata != nil {
		b.WriteString(`,"user":`)
		writeObject(&b, f.user)
	}
	if f.metadata != nil {
		b.WriteString(`,"metadata":`)
		writeObject(&b, f.metadata)
	}
	b.WriteByte('}')
	return b.String()
}
