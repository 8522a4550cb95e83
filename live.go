package kapadeflector

import (
	_ "embed"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
)

// Consent that is given, or withdrawn, on a page takes effect on that page by a
// watcher in it, a small script (live.js) that asks here when cookies change.
// Who has consented is decided here, as for any page.

//go:embed live.min.js
var liveScript string

// The field by which the watcher asks, and by which it knows the answer from
// whatever else may answer it, such as a service worker. No page of another
// origin can send it without being allowed to first (Fetch, "CORS-safelisted
// request-header").
const (
	liveField    = "Kapa-Deflector"
	liveQuestion = "consent"
	liveAnswer   = "answer"
)

// checkLive finds settings under which there is nothing to watch.
func (h *Handler) checkLive() error {
	switch {
	case !h.LiveConsent:
		return nil
	case h.WithoutConsent == withoutConsentUntracked:
		return errors.New("live_consent has no meaning with without_consent untracked: every visitor's page has the tag already")
	case isNotRequired(h.Consent):
		return errors.New("live_consent has no meaning with consent not_required: there is no consent to wait for")
	default:
		return nil
	}
}

// watcher is the element of the watcher for a page that has the deflector's
// script, or that is to have it.
func (h *Handler) watcher(tagged bool) string {
	if !h.LiveConsent {
		return ""
	}
	var b strings.Builder
	b.WriteString(inlineOpen + strings.TrimSuffix(liveScript, "\n") + "(")
	escapeJSON(&b, cookiePattern(h.consent.rules))
	if tagged {
		b.WriteString(",1)")
	} else {
		b.WriteString(",0)")
	}
	b.WriteString(inlineClose)
	return b.String()
}

// watcherAlone is what a page gets whose visitor has not consented, nothing
// without live_consent.
func (h *Handler) watcherAlone() insertion {
	html := []byte(h.watcher(false))
	if len(html) == 0 {
		return insertion{}
	}
	return insertion{html: html, live: len(html), suffix: variantSuffix(html)}
}

// cookiePattern is a regular expression, of JavaScript's, for the names of the
// cookies that the rules read.
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

// asksLive reports whether r is the watcher's question. Whether it may be
// answered is for answerLive to say.
func (h *Handler) asksLive(r *http.Request) bool {
	return h.LiveConsent && r.Method == http.MethodGet && first(r.Header[liveField]) == liveQuestion
}

// answerLive answers the watcher's question: 200 with the tag for a visitor who
// has consented, 204 for any other, and in each case the cookies that a page
// would have come with.
func (v *visit) answerLive(w http.ResponseWriter) outcome {
	h := w.Header()
	h["Cache-Control"] = []string{"no-store"}
	makePrivate(h) // what was set early for CDNs outranks it
	// Service workers that keep whatever they get must not keep this in place of
	// the page: https://www.w3.org/TR/service-workers/#cache-put
	h["Vary"] = []string{"*"}
	// https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
	if site := first(v.request.Header["Sec-Fetch-Site"]); site != "" && site != "same-origin" {
		w.WriteHeader(http.StatusForbidden)
		return outcomeAnswered
	}
	h[liveField] = []string{liveAnswer}
	body, cookies := v.liveTag(h)
	if cookies != nil {
		h["Set-Cookie"] = append(h["Set-Cookie"], cookies...)
	}
	v.forgetID(h)
	if body == "" {
		w.WriteHeader(http.StatusNoContent)
		return outcomeAnswered
	}
	h["Content-Type"] = []string{"application/json"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	if _, err := w.Write([]byte(body)); err != nil { // the client is gone
		return outcomeAborted
	}
	return outcomeAnswered
}

// liveTag is the tag as the watcher reads it, "" if the visitor gets none, with
// the Set-Cookie values that go with it.
func (v *visit) liveTag(h http.Header) (body string, cookies []string) {
	if v.outcome != outcomeInjected { // incomplete, or without consent
		return "", nil
	}
	f, err := v.handler.tracked.fill(replacerOf(v.request))
	if err != nil {
		return "", nil
	}
	var b strings.Builder
	b.WriteString(`{"script":[`)
	for i, a := range f.attrs {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('[')
		escapeJSON(&b, a.Name)
		b.WriteByte(',')
		escapeJSON(&b, a.Value)
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
	return b.String(), v.newID(h)
}

// mayAsk says whether the policies of a page at that address let the watcher ask,
// and put the script in.
func mayAsk(policies *csp.Policies, at csp.URL) csp.Verdict {
	if policies.RequiresTrustedTypes() {
		return csp.Verdict{Directive: "require-trusted-types-for"}
	}
	return policies.Fetch("connect-src", at)
}

// permitLive says whether the page's policies let the watcher do what it is for,
// and with which nonce it runs.
func permitLive(policies *csp.Policies, at csp.URL, content string) csp.Verdict {
	if ask := mayAsk(policies, at); !ask.Allowed {
		if verdict := policies.Inline(content); !verdict.Allowed {
			return verdict
		}
		return ask
	}
	return policies.Inline(content)
}
