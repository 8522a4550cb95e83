package check

import (
	"net/http"
	"strings"
)

// checkCaching judges how shared caches and browsers may store the page with the tag.
func (j *judge) checkCaching(t tag) {
	a := j.response
	j.report.Caching = Caching{CacheControl: a.list("Cache-Control"), Vary: a.list("Vary"), ETag: a.Header.Get("Etag") != "", Cache: a.FromCache()}
	if t.place == byLoader {
		j.checkLoaderCaching()
		return
	}
	private := !j.site.NotRequired || t.tracks()
	if private {
		j.checkPrivate(a, "the page with the tag")
		j.checkCache(a)
	}
	if w := j.site.Without; w != nil && j.isThePage(w) && w.Coding != "" && a.Coding == "" {
		j.finding(codeNotCompressed, aboutCaching, "the page without the tag is compressed, the page with the tag is not: the origin compresses, "+
			"but the directive asks it not to if it changes the page. Add encode to the site's block")
	}
	j.checkValidators(private)
}

// checkLoaderCaching judges the page with the loader, which caches may give to everybody.
func (j *judge) checkLoaderCaching() {
	a := j.site.Again
	if a == nil {
		return
	}
	j.report.Caching.Revalidation = a.Status
	if a.Status != http.StatusNotModified && findLoader(a.page()) == nil {
		j.finding(codeTagUnsteady, aboutCaching, "a second request got the page without the loader (status %d): several servers have different configurations, or there is a cache", a.Status)
	}
}

// checkCache reports that the page with the tag comes from a shared cache in front of
// Caddy.
func (j *judge) checkCache(a *Response) {
	from := j.fromFront(a, j.site.WithAfresh)
	if from == "" && j.fromFront(j.site.Without, j.site.WithoutAfresh) != "" {
		from = a.FromCache()
	}
	if from == "" {
		j.noteCache(a, aboutCaching)
		return
	}
	j.finding(codeTagFromCache, aboutCaching, "the page with the tag comes from a shared cache (%s)", Short(from))
}

// checkPrivate reports that a cache may give the response to another visitor, or to
// the same one after consent was withdrawn.
func (j *judge) checkPrivate(a *Response, what string) {
	fixed := "a header directive or a CDN has replaced private, no-cache"
	switch {
	case a.has("Cache-Control", "no-store"):
	case !a.has("Cache-Control", "private"):
		j.finding(codeCacheControl, aboutCaching, "shared caches may store %s (Cache-Control: %s): %s", what, either(a.list("Cache-Control"), "none"), fixed)
	case !a.has("Cache-Control", "no-cache", "max-age=0"):
		j.finding(codeCacheControl, aboutCaching, "browsers may show %s without asking again, even after consent was withdrawn (Cache-Control: %s): %s",
			what, a.list("Cache-Control"), fixed)
	}
	for field := range a.Header {
		name := strings.ToLower(field)
		if (strings.HasSuffix(name, "cdn-cache-control") || name == "surrogate-control" || name == "x-accel-expires") &&
			!a.has(field, "private", "no-store") && a.list(field) != "0" {
			j.finding(codeCacheControl, aboutCaching, "caches that use %s may store %s (%s)", field, what, a.list(field))
		}
	}
}

// checkValidators judges the conditional requests.
func (j *judge) checkValidators(private bool) {
	with, without := j.site.With, j.site.Without
	if with.etag() != "" && without != nil && j.isThePage(without) && without.etag() == with.etag() {
		j.finding(codeETagShared, aboutCaching, "the page has the same ETag with the tag and without it: caches and browsers confuse the two")
		return
	}
	if a := j.site.Again; a != nil {
		j.report.Caching.Revalidation = a.Status
		j.checkAgain(a, private)
	}
	if a := j.site.WithdrawnAgain; a != nil && a.Status == http.StatusNotModified {
		j.finding(codeTagAfterWithdrawal, aboutCaching, "without consent, a request with the ETag of the page with the tag gets a 304: "+
			"the visitor's browser still shows the page with the tag")
	}
	if a := j.site.GrantedAgain; a != nil && a.Status == http.StatusNotModified {
		j.finding(codeNoTagAfterConsent, aboutCaching, "with consent, a request with the ETag of the page without the tag gets a 304: "+
			"the visitor's browser still shows the page without the tag")
	}
}

// checkAgain judges the response to a visitor who has a copy of the page.
func (j *judge) checkAgain(a *Response, private bool) {
	switch {
	case a.Status == http.StatusNotModified:
		// the fields of a 304 replace those of the stored page (RFC 9111 section 3.2)
		if private && a.Header["Cache-Control"] != nil && !j.report.has(codeCacheControl) {
			j.checkPrivate(a, "the page with the tag, after its 304,")
		}
	case len(readPage(a, j.deflector).tags) == 0:
		j.finding(codeTagUnsteady, aboutCaching, "a second request with the same cookies got the page without the tag (status %d): "+
			"several servers have different configurations, or there is a cache", a.Status)
	}
	if first, second := j.idOf(j.response), j.idOf(a); first != "" && first == second {
		j.finding(codeIDShared, aboutCaching, "two visitors got the same %s: a cache stores Set-Cookie", j.deflector.Cookie)
	}
}

// idOf returns the id that a response sets, "" for none.
func (j *judge) idOf(a *Response) string {
	for _, c := range idCookies(a, j.deflector.Cookie) {
		if isSet(c) {
			return c.Value
		}
	}
	return ""
}
