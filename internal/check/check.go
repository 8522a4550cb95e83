// Package check judges what a running site answers to a visitor, with consent
// and without: recorded answers go in, findings come out. It asks nothing
// itself.
//
// A finding is a fault, or so likely one that someone has to look; a note is
// what may well be right, and is worth knowing when it is not.
package check

import (
	"fmt"
	"strings"
)

// Site is what was asked, and what was answered. A nil response was not asked for.
type Site struct {
	URL         string   // as it was asked for, after a scheme was added
	Cookies     []string // the names of the cookies that speak for consent
	NotRequired bool     // nobody is asked for consent: there is no Without

	With    *Response // to a visitor with those cookies
	Without *Response // to a visitor without any cookie

	// The same at an address that no cache can know, for one that came out of a
	// cache.
	WithAfresh    *Response
	WithoutAfresh *Response

	// The same once more, with If-None-Match and the entity tag of ...
	Again          *Response // With, asked with the cookies
	WithdrawnAgain *Response // With, asked without
	GrantedAgain   *Response // Without, asked with the cookies
}

// judge is a check on its way.
type judge struct {
	site      Site
	deflector Deflector
	report    *Report

	response    *Response // the one with the tag, or that should have had it
	page        *page
	withoutPage *page // nil if there is none
}

// Judge checks a site. At least one of With and Without was asked for.
func Judge(s Site, d Deflector) *Report {
	j := &judge{site: s, deflector: d, report: newReport(s)}
	if s.Without != nil {
		j.withoutPage = readPage(s.Without.Body, d)
		j.report.WithoutConsent = j.summarize(s.Without, j.withoutPage)
	}
	j.response, j.page = s.Without, j.withoutPage
	if s.With != nil {
		j.response, j.page = s.With, readPage(s.With.Body, d)
		j.report.WithConsent = j.summarize(s.With, j.page)
	}

	if j.page.tooDeep {
		j.finding(codePageUnreadable, "tag", "the page nests its elements more than 512 deep, and was not read")
	} else if s.With != nil {
		j.checkWith()
	} else {
		j.checkMissing()
	}
	if s.Without != nil {
		j.checkWithout()
	}
	j.checkVary()
	if len(j.report.Findings) > 0 {
		j.report.Result = ResultFindings
	}
	return j.report
}

// checkWith judges what a visitor who has consented gets.
func (j *judge) checkWith() {
	if len(j.page.tags) == 0 {
		j.checkMissing()
		return
	}
	t := j.page.tags[0]
	j.checkTag(t)
	j.checkAttributes(t)
	switch status := j.response.Status; {
	case status == 404 || status == 410 || status >= 500:
		j.finding(codeErrorPage, aboutTag, "the tag is on a page with which the site answers %s: is this the form's address?", statusOf(j.response))
	case j.looksLikeLogin():
		j.finding(codeLogin, aboutTag, "the tag is on a page that asks for a login: pass the cookie of a session too, with another --cookie, to see the form")
	default:
		if status < 200 || status > 299 {
			j.note(codeStatus, aboutTag, "the page came with status %s", statusOf(j.response))
		}
		j.checkSelectors(t)
	}
	j.checkPolicy(t)
	if !j.isForAll() {
		j.checkCookie(t)
		j.checkCaching(t)
	}
	if j.response.Cut {
		j.note(codePageCut, "tag", "only the first %d MiB of the page were read", len(j.response.Body)>>20)
	}
}

// isForAll reports whether the tag is the one that a visitor without cookies
// gets, so that the directive has done nothing for this one. A cache that hands
// it to all is another matter.
func (j *judge) isForAll() bool {
	if j.withoutPage == nil || len(j.withoutPage.tags) == 0 {
		return false
	}
	other := j.withoutPage.tags[0]
	return other.tracks() && len(j.page.tags) == 1 && j.fromFront(j.site.Without, j.site.WithoutAfresh) == "" || !other.tracks() && !j.page.tags[0].tracks()
}

// checkWithout judges what a visitor without any cookie gets.
func (j *judge) checkWithout() {
	a := j.site.Without
	if len(j.withoutPage.tags) > 0 {
		j.checkTagWithout(j.withoutPage.tags[0])
	}
	if j.report.Tag.Present && !j.isThePage(a) {
		j.note(codeOtherPage, aboutWithout, "without cookies the site shows another page (%s, %s), so that the form's own was not seen without consent",
			withoutQuery(a.URL), statusOf(a))
	}
	if j.idOf(a) != "" {
		j.finding(codeIDWithoutConsent, aboutWithout, "a visitor without any cookie is given a %s", j.deflector.Cookie)
	}
}

// isThePage reports whether a response is the one that is judged, or its other
// variant: without cookies a site may show a login instead.
func (j *judge) isThePage(a *Response) bool {
	return a.URL == j.response.URL && a.Status == j.response.Status && !a.isRedirect()
}

// checkVary finds pages that a cache may take for everybody's. Where nothing at
// all shows that the directive ran, that has been said.
func (j *judge) checkVary() {
	var lacking []string // Vary
	for _, asked := range []struct {
		response *Response
		how      string
	}{{j.site.With, aboutWith}, {j.site.Without, aboutWithout}} {
		if a := asked.response; a != nil && j.isThePage(a) && a.isHTML() && !a.variesByCookie() {
			lacking = append(lacking, asked.how)
		}
	}
	if lacking != nil && (j.report.Tag.Present || j.report.Tag.Reason == reasonNoConsent) {
		j.finding(codeVaryMissing, aboutCaching, "Vary: Cookie is missing %s, and the directive puts it on every page: a header directive "+
			"or a CDN has taken it away, and a cache may hand the page to everybody", strings.Join(lacking, " and "))
	}
}

// checkTagWithout judges a tag that comes without consent: some configurations
// want it so.
func (j *judge) checkTagWithout(t tag) {
	switch with := j.consentedTag(); {
	case t.tracks():
		why := "the page's own template has it, or the directive says consent not_required (then pass --consent-not-required)"
		if from := j.fromFront(j.site.Without, j.site.WithoutAfresh); from != "" {
			why = "it came out of a cache (" + short(from) + "), which hands one visitor's page to all: purge it, and let it heed Vary and Cache-Control"
		} else {
			j.noteCache(j.site.Without, aboutWithout)
		}
		j.finding(codeTagWithoutConsent, aboutWithout, "a visitor without any cookie gets the tag: %s", why)
	case with != nil && !with.tracks():
		j.finding(codeConsentNotRecognised, aboutTag, "with the cookies %s the tag is the one that visitors without consent get, "+
			"with tracking switched off: compare name and value with the consent line", strings.Join(j.site.Cookies, ", "))
	default:
		j.note(codeUntrackedTag, aboutWithout, "visitors without consent get the tag with tracking switched off, as without_consent untracked says")
	}
}

// consentedTag is the tag that a visitor with consent gets, nil for none.
func (j *judge) consentedTag() *tag {
	if j.site.With == nil || len(j.page.tags) == 0 {
		return nil
	}
	return &j.page.tags[0]
}

func (j *judge) finding(code Code, about, format string, args ...any) {
	j.report.Findings = append(j.report.Findings, Finding{code, about, clean(fmt.Sprintf(format, args...))})
}

func (j *judge) note(code Code, about, format string, args ...any) {
	j.report.Notes = append(j.report.Notes, Finding{code, about, clean(fmt.Sprintf(format, args...))})
}
