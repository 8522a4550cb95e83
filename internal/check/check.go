// Package check asks a running site for a page, with consent and without, and judges
// the responses. [Survey.Ask] sends the requests. [Judge] sends none: responses go
// in, a report comes out.
//
// A finding is a fault, or so likely a fault that someone must look at it. A note is
// about something that may be intended.
package check

import (
	"fmt"
	"strings"
)

// Site is the requests and their responses. A nil response was not requested.
type Site struct {
	URL         string   // as requested, with its scheme
	Cookies     []string // the names of the cookies that show consent
	NotRequired bool     // the site asks nobody for consent; Without is nil

	With    *Response // to a visitor with those cookies
	Without *Response // to a visitor without any cookie

	// If the response comes from a cache: the same at a URL that is in no cache.
	WithAfresh    *Response
	WithoutAfresh *Response

	// The same once more, with If-None-Match and the entity tag of ...
	Again          *Response // With, asked with the cookies
	WithdrawnAgain *Response // With, asked without
	GrantedAgain   *Response // Without, asked with the cookies

	// The answers to the question of the loader, if the pages have one.
	WithAnswer    *Response
	WithoutAnswer *Response

	HeldOut int // how many visitors have got an id without the tag before WithAnswer

	Bundle *BundleAnswer // the deflector's script; nil if not requested

	secrets secrets // what the user has passed, which no report shows
}

// judge is the state of a check.
type judge struct {
	site      Site
	deflector Deflector
	secrets   secrets
	report    *Report

	response      *Response // the one that has the tag, or should have it
	page          *page
	answer        *answer // to its loader's question; nil if it has none
	withoutPage   *page   // nil if there is none
	withoutAnswer *answer
}

// Judge checks a site. At least one of With and Without must be set.
func Judge(s Site, d Deflector) *Report {
	j := &judge{site: s, deflector: d, secrets: s.allSecrets(), report: newReport(s)}
	if s.Without != nil {
		j.withoutPage = readPage(s.Without, d)
		j.withoutAnswer = readAnswer(s.WithoutAnswer, d)
		j.report.WithoutConsent = j.summarize(s.Without, j.withoutPage, j.withoutAnswer)
	}
	j.response, j.page, j.answer = s.Without, j.withoutPage, j.withoutAnswer
	if s.With != nil {
		j.response, j.page, j.answer = s.With, readPage(s.With, d), readAnswer(s.WithAnswer, d)
		j.report.WithConsent = j.summarize(s.With, j.page, j.answer)
	}

	if why := j.page.Unreadable; why != "" {
		j.finding(codePageUnreadable, aboutTag, "the page was not read, because %s", why)
	} else if j.checkLoader(); s.With != nil {
		j.checkWith()
	} else {
		j.checkMissing()
	}
	if s.Without != nil {
		j.checkWithout()
	}
	j.noteCookies()
	j.checkVary()
	j.secrets.hideAll(j.report)
	j.report.Result = ResultFine
	if len(j.report.Findings) > 0 {
		j.report.Result = ResultFindings
	}
	return j.report
}

// noteCookies notes that a redirect has led to a host to which the user's cookies were not
// sent.
func (j *judge) noteCookies() {
	if j.response.Strange {
		j.note(codeCookiesNotSent, aboutTag, "your cookies were not sent to %s, to which the site redirects: a browser sends a cookie without Domain to no other host. "+
			"If the cookies are for that host, too, ask for its address", j.response.Address().Host)
	}
}

// checkWith judges what a visitor who has consented gets.
func (j *judge) checkWith() {
	with := tagOf(j.page, j.answer)
	if with == nil {
		j.checkMissing()
		return
	}
	t := *with
	j.checkTag(t)
	j.checkAttributes(t)
	switch status := j.response.Status; {
	case status == 404 || status == 410 || status >= 500:
		j.finding(codeErrorPage, aboutTag, "the page with the tag has status %s%s: is this the address of the form?", statusOf(j.response), titled(j.page.Page))
	case j.looksLikeLogin():
		j.finding(codeLogin, aboutTag, "the page with the tag asks for a login%s: to see the form, also pass the session cookie, with another --cookie", titled(j.page.Page))
	default:
		if status < 200 || status > 299 {
			j.note(codeStatus, aboutTag, "the page has status %s", statusOf(j.response))
		}
		j.checkSelectors(t)
		j.checkFramework(t)
	}
	j.checkPolicy(t)
	j.checkEmbedder(t)
	j.checkBundle(t)
	if !j.isForAll() {
		j.checkCookie(t)
		j.checkCaching(t)
	}
	if j.response.Cut {
		j.note(codePageCut, aboutTag, "only the first %d MiB of the page were checked", len(j.response.Body)>>20)
	}
}

// isForAll reports whether a visitor without cookies gets the same tag, so that the
// directive has done nothing for this visitor. It returns false if the reason is a
// cache.
func (j *judge) isForAll() bool {
	other := tagOf(j.withoutPage, j.withoutAnswer)
	if other == nil {
		return false
	}
	if j.page.loader != nil {
		return other.tracks()
	}
	return other.tracks() && len(j.page.tags) == 1 && j.fromFront(j.site.Without, j.site.WithoutAfresh) == "" || !other.tracks() && !j.page.tags[0].tracks()
}

// checkWithout judges what a visitor without any cookie gets.
func (j *judge) checkWithout() {
	a := j.site.Without
	if t := tagOf(j.withoutPage, j.withoutAnswer); t != nil {
		j.checkTagWithout(*t)
	}
	if j.report.Tag.Present && !j.isThePage(a) {
		j.note(codeOtherPage, aboutWithout, "without cookies the site sends another page (%s, %s), so the form's page was not checked without consent",
			withoutQuery(a.URL), statusOf(a))
	}
	if j.idOf(a) != "" || j.withoutAnswer != nil && j.idOf(j.withoutAnswer.Response) != "" {
		j.finding(codeIDWithoutConsent, aboutWithout, "a visitor without any cookie gets a %s", j.deflector.Cookie)
	}
}

// isThePage reports whether a response is a variant of the page that is judged.
// Without cookies a site may send a login page instead.
func (j *judge) isThePage(a *Response) bool {
	return a.URL == j.response.URL && a.Status == j.response.Status && !a.isRedirect()
}

// checkVary reports pages that a cache may send to every visitor. If nothing shows
// that the directive ran, whyMissing has reported that already.
func (j *judge) checkVary() {
	var lacking []string // Vary
	for _, asked := range []struct {
		response *Response
		how      string
	}{{j.site.With, aboutWith}, {j.site.Without, aboutWithout}} {
		if a := asked.response; a != nil && j.isThePage(a) && a.isHTML() && !a.variesByCookie() && j.page.loader == nil {
			lacking = append(lacking, asked.how)
		}
	}
	if lacking != nil && (j.report.Tag.Present || j.report.Tag.Reason == reasonNoConsent) {
		j.finding(codeVaryMissing, aboutCaching, "Vary: Cookie is missing %s, although the directive adds it to every page: a header directive "+
			"or a CDN has removed it, and a cache may send the page to every visitor", strings.Join(lacking, " and "))
	}
}

// checkTagWithout judges a tag that a visitor without consent gets. Some
// configurations intend that.
func (j *judge) checkTagWithout(t tag) {
	switch with := j.consentedTag(); {
	case t.tracks():
		why := "it is in the page's own template, or the directive has consent not_required (then pass --consent-not-required)"
		if from := j.fromFront(j.site.Without, j.site.WithoutAfresh); from != "" {
			why = "the page comes from a cache (" + Short(from) + ") that sends one visitor's page to all: purge it, and make it respect Vary and Cache-Control"
		} else {
			j.noteCache(j.site.Without, aboutWithout)
		}
		j.finding(codeTagWithoutConsent, aboutWithout, "a visitor without any cookie gets the tag: %s", why)
	case with != nil && !with.tracks():
		j.finding(codeConsentNotRecognised, aboutTag, "with the cookies %s the page has the tag for visitors without consent, "+
			"with tracking switched off: compare name and value with the consent line", strings.Join(j.site.Cookies, ", "))
	default:
		j.note(codeUntrackedTag, aboutWithout, "visitors without consent get the tag with tracking switched off, as without_consent untracked requires")
	}
}

// consentedTag is the tag that a visitor with consent gets, nil for none.
func (j *judge) consentedTag() *tag {
	if j.site.With == nil {
		return nil
	}
	return tagOf(j.page, j.answer)
}

// tagOf returns the tag that a visitor gets, in the page or by its loader; nil for none.
func tagOf(p *page, a *answer) *tag {
	switch {
	case p != nil && len(p.tags) > 0:
		return &p.tags[0]
	case a != nil:
		return a.tag
	default:
		return nil
	}
}

func (j *judge) finding(code Code, about, format string, args ...any) {
	j.report.Findings = append(j.report.Findings, Finding{code, about, j.text(format, args)})
}

func (j *judge) note(code Code, about, format string, args ...any) {
	j.report.Notes = append(j.report.Notes, Finding{code, about, j.text(format, args)})
}

// text formats args, some of which come from the site, which may repeat a secret.
func (j *judge) text(format string, args []any) string {
	for i, arg := range args {
		if s, ok := arg.(string); ok {
			args[i] = j.secrets.hide(s)
		}
	}
	return Clean(fmt.Sprintf(format, args...))
}
