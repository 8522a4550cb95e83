package kapadeflector

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
)

// visit is what is known of one request before it goes on to the origin.
type visit struct {
	handler  *Handler
	request  *http.Request
	siblings *siblings
	own      siblings // of the first block

	onPage    bool // one of the configured pages was asked for
	question  bool // of the watcher, and not for a page
	asked     asked
	gateField string // the field that speaks against a document, if one does
	finding   consent.Finding

	insertion insertion  // what a document gets; html is nil for nothing
	behind    *insertion // what it gets once Turbo has loaded it in full
	outcome   outcome    // what a document of this visit comes to
}

// read reads the request.
func (v *visit) read() (err error) {
	h, r := v.handler, v.request
	v.outcome = outcomeOtherPage
	v.asked, v.gateField = askedFor(r)
	v.finding = h.consent.find(r)

	if v.onPage, err = h.isPage(r); err != nil || !v.onPage {
		return err
	}
	if v.question = h.asksLive(r); v.question {
		v.asked, v.gateField = askedDocument, ""
	}
	switch {
	case v.finding.Verdict == consent.Granted:
		v.insert(h.tracked, outcomeInjected)
	case h.untracked != nil:
		v.insert(h.untracked, outcomeUntracked)
	case v.finding.Verdict == consent.Denied:
		v.outcome = outcomeDenied
	default:
		v.outcome = outcomeNoConsent
	}
	if v.insertion.html == nil && v.asked != askedOther && v.finding.Verdict != consent.Granted && !h.consent.isGPC(r) {
		v.insertion = h.watcherOnly
	}
	if v.asked == askedAny && v.insertion.suffix != "" && namesVariant(r.Header, v.insertion.suffix) {
		v.asked, v.gateField = askedMaybe, "" // the client has the page with this insertion
	}
	if v.insertion.html != nil && v.asked == askedTurbo {
		behind := v.insertion
		v.insertion, v.behind = turboReload, &behind
	}
	return nil
}

// turboReload has Turbo load the page in full, with what belongs into it:
// https://turbo.hotwired.dev/reference/attributes#meta-tags
var turboReload = func() insertion {
	html := []byte(`<meta name="turbo-visit-control" content="reload">`)
	return insertion{html: html, suffix: variantSuffix(html)}
}()

// isPage reports whether r asked for one of the configured pages, going by the
// path before rewrites.
func (h *Handler) isPage(r *http.Request) (bool, error) {
	if len(h.pages) == 0 {
		return true, nil
	}
	orig, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if ok && (orig.URL.Path != r.URL.Path || orig.URL.RawPath != r.URL.RawPath) {
		r = r.WithContext(r.Context())
		r.URL = orig.URL
	}
	return h.pages.MatchWithError(r)
}

// insert completes t, which gives a document the outcome o.
func (v *visit) insert(t *tag, o outcome) {
	v.outcome = o
	if v.asked == askedOther {
		return // and no document
	}
	var err error
	if v.insertion, err = t.complete(replacerOf(v.request)); err != nil {
		v.outcome = outcomeIncomplete
		v.insertion = insertion{}
	}
}

func replacerOf(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}

// mayBeChanged reports whether the answer gets an insertion if it is a page.
func (v *visit) mayBeChanged() bool {
	return v.insertion.html != nil
}

// variant is the suffix of the only entity tags that count for the answer, "" if
// the origin's do.
func (v *visit) variant() string {
	if v.asked == askedAny {
		return ""
	}
	return v.insertion.suffix
}

// inserted is what becomes of the answer with the insertion.
func (v *visit) inserted() outcome {
	if v.behind != nil {
		return outcomeAnswered
	}
	return v.outcome
}

// isPrivate reports whether the page with the insertion is for its visitor
// alone, so that no shared cache may keep it.
func (v *visit) isPrivate() bool {
	return (v.outcome == outcomeInjected || v.behind != nil) && len(v.handler.consent.rules) > 0 ||
		v.insertion.cookies || v.insertion.fingerprint || v.insertion.varies
}

// gate is the field by which caches must tell the answer to this request from
// the document at the same address, "" if they need not: where that has the
// tag and this has not, or takes an id away. changed says that this has the tag.
func (v *visit) gate(changed bool) string {
	switch v.asked {
	case askedOther, askedTurbo:
		if v.changesDocuments() {
			return v.gateField
		}
	case askedAny: // what a document's request would not have been answered with
		if v.mayBeChanged() && !changed {
			return v.gateField
		}
	}
	return ""
}

// isUntagged reports whether a document of this visit gets no tag for want of
// consent, whatever else there is about it.
func (v *visit) isUntagged() bool {
	return v.outcome == outcomeNoConsent || v.outcome == outcomeDenied
}

// decided is o, what is in the way of an insertion, or the want of consent where
// that is decided before: it was for the watcher then.
func (v *visit) decided(o outcome) outcome {
	if o > outcomeDenied && v.isUntagged() {
		return v.outcome
	}
	return o
}

// changesDocuments reports whether a document that the visitor opens is changed,
// or takes an id away.
func (v *visit) changesDocuments() bool {
	switch v.finding.Verdict {
	case consent.Granted:
		return v.outcome != outcomeIncomplete
	case consent.Denied:
		return v.handler.untracked != nil || v.handler.watcherOnly.html != nil || v.hasID()
	default:
		return v.handler.untracked != nil || v.handler.watcherOnly.html != nil
	}
}

// mayBeForPage reports whether a 304, which says no type, may be for a page.
// Browsers ask so too about the copy from before consent, and keep it by the
// Vary of the answer, which therefore must not lack the gate.
func (v *visit) mayBeForPage() bool {
	return v.asked != askedOther || v.gate(false) != "" && mayFetchPage(v.request.Header)
}

// newID returns the Set-Cookie values by which the visitor gets an id with the
// changed page that has the header h.
func (v *visit) newID(h http.Header) []string {
	if v.finding.Verdict != consent.Granted || v.request.Method == http.MethodHead ||
		!v.insertion.cookies || v.insertion.fingerprint || setsID(h) {
		return nil
	}
	lines, covered := v.handler.cookie.idChange(v.request)
	if !covered && v.handler.warnedUncovered.CompareAndSwap(false, true) {
		v.handler.logger.Warn("no id is set: cookie domain does not cover the request's host; said once")
	}
	switch {
	case lines == nil:
	case readIDs(v.request.Header["Cookie"]).first == "":
		v.handler.metrics.idCookies[idSet].Inc()
	default:
		v.handler.metrics.idCookies[idRenewed].Inc()
	}
	return lines
}

// hasID reports whether the request carried the id's cookie, whatever its value.
func (v *visit) hasID() bool {
	return readIDs(v.request.Header["Cookie"]).present
}

// forgetID deletes the id of a visitor who has denied consent, in the answer
// to a request for a document, keeps that answer out of shared caches, and
// reports whether it did.
func (v *visit) forgetID(h http.Header) bool {
	if v.finding.Verdict != consent.Denied || v.asked == askedOther ||
		!v.onPage && v.siblings.claimed || !v.hasID() {
		return false
	}
	if v.request.Method == http.MethodHead { // says what GET would, and changes nothing
		makePrivate(h)
		return true
	}
	said := true // by another block, or before a flush
	for _, line := range v.handler.cookie.idDeletion(v.request) {
		if !slices.Contains(h["Set-Cookie"], line) {
			h["Set-Cookie"] = append(h["Set-Cookie"], line)
			said = false
		}
	}
	makePrivate(h)
	if !said {
		v.handler.metrics.idCookies[idDeleted].Inc()
	}
	return true
}

// keepID takes back what forgetID has said.
func (v *visit) keepID(h http.Header) {
	lines := slices.DeleteFunc(h["Set-Cookie"], func(line string) bool {
		return slices.Contains(v.handler.cookie.idDeletion(v.request), line)
	})
	if h["Set-Cookie"] = lines; len(lines) == 0 {
		delete(h, "Set-Cookie")
	}
}

// end makes the outcome known. failed says that the response is left to an error
// route. What a block there makes of it is told, but not counted: it is one
// response.
func (v *visit) end(o outcome, failed bool) {
	s := v.siblings
	told := s.told
	if !v.onPage && (told || s.claimed) {
		return // another block says what became of it
	}
	if !v.onPage || failed {
		s.told = true
	}
	if failed {
		s.claimed = false // for a block in an error route
	}
	v.handler.record(v.request, o, v.finding.Reason)
	if !told {
		v.handler.metrics.count(o)
	}
}

// siblings is what the blocks of a site have made of one request so far. The
// first that it fits claims it. One that fits none is told of by the last.
//
// The first block puts it into the request's variables before the request goes
// on, and they are not written afterwards: a transport that dials for a request
// may still read them when the request has ended, and a map that is read and
// written at once ends the process. (Where only an error route has a block that
// is late, as it is for Caddy's own directives there.)
type siblings struct{ claimed, told bool }

const siblingsVar = "kapa_deflector.siblings"

// siblingsOf returns r's, nil if this is the first block.
func siblingsOf(r *http.Request) *siblings {
	s, _ := caddyhttp.GetVar(r.Context(), siblingsVar).(*siblings)
	return s
}

func (v *visit) joinSiblings() {
	if v.siblings = siblingsOf(v.request); v.siblings == nil {
		v.siblings = &v.own
		caddyhttp.SetVar(v.request.Context(), siblingsVar, v.siblings)
	}
}
