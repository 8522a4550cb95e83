package check

import (
	"regexp"
	"strings"

	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
)

// checkMissing says why a page has no tag. Nobody having asked for one is no
// fault.
func (j *judge) checkMissing() {
	reason, text := j.whyMissing()
	j.report.Tag.Reason = reason
	if reason == reasonNoCookie {
		j.note(codeNoCookie, aboutTag, "%s", text)
		return
	}
	j.finding(codeTagMissing, aboutTag, "%s", text)
	if reason == reasonNotCovered || reason == reasonNoConsent {
		j.noteCache(j.response, aboutTag)
	}
}

// whyMissing is the likeliest reason, going by what the directive looks at and
// in its order: the kind of response, the document, the head, and consent last.
func (j *judge) whyMissing() (reason Reason, text string) {
	a := j.response
	if reason, text := whyNoPage(a); reason != "" {
		return reason, text
	}
	if j.looksLikeLogin() {
		return reasonLogin, "the site asks for a login at " + place(a) + ": pass the cookie of a session too, with another --cookie"
	}
	if reason, text := whyNotChanged(a); reason != "" {
		return reason, text
	}
	if reason, text := whyNotInHead(a, j.deflector.ScriptFile); reason != "" {
		return reason, text
	}
	if blocked := j.blockedScript(j.deflector.Script); blocked != "" {
		if blocked == "Integrity-Policy" || blocked == "Connection-Allowlist" {
			return reasonCSPBlocked, "the page's " + blocked + " blocks the script, and the directive loosens no such field: allow the script there"
		}
		return reasonCSPBlocked, "the page's Content-Security-Policy blocks the script by its " + blocked + ", and the directive loosens none unless it says csp extend"
	}
	if from := j.fromFront(j.site.With, j.site.WithAfresh); from != "" {
		return reasonCached, "the page came out of a cache (" + short(from) + ") that hands visitors with consent the page of those without: " +
			"purge it, and let it pass this page by, or heed Vary: Cookie"
	}
	if !a.variesByCookie() {
		text := "nothing shows that kapa_deflector ran for " + place(a) + ", since Vary: Cookie is missing: the address is not in its pages, " +
			"another site block or a directive ordered ahead answered, or something in front took the field away"
		if j.page.first(atom.Frameset) != nil {
			text += ". The page is a frameset: the form is in one of its frames, " + j.page.frameAddress()
		}
		return reasonNotCovered, text
	}
	if j.site.With == nil {
		return reasonNoCookie, "asked without consent, which is as it should be: to see what a visitor who has consented gets, " +
			"pass the banner's cookie, --cookie name=value"
	}
	if len(j.site.Cookies) == 0 {
		return reasonNoConsent, "the page can get the tag, but a visitor without cookies does not: the directive asks for consent. " +
			"Ask without --consent-not-required, and pass the banner's cookie, --cookie name=value"
	}
	return reasonNoConsent, "the page can get the tag, but the cookies " + strings.Join(j.site.Cookies, ", ") + " were not taken for consent: " +
		"compare name and value with the consent lines, exactly and as the browser sends them. Or another block, with another consent line, claims the page"
}

// whyNoPage finds answers that are no page.
func whyNoPage(a *Response) (reason Reason, text string) {
	switch {
	case a.Header.Get("Cf-Mitigated") == "challenge":
		return reasonChallenge, "a bot protection in front of the site answered instead of it (Cf-Mitigated: challenge); ask from where it lets you through"
	case a.isRedirect():
		return reasonRedirect, "the site redirects to " + withoutQuery(a.Header.Get("Location")) + ", and was not followed: it is another site, or there is no end to it. " +
			"If it is for a login, pass the cookie of a session too, with another --cookie"
	case a.Status == 204 || a.Status == 205 || a.Status == 206:
		return reasonStatus, "a response with status " + statusOf(a) + " has no whole page in it"
	case a.Status == 401 || a.Status == 403:
		return reasonLogin, "the site answered " + statusOf(a) + ": pass the cookie of a session too, with another --cookie"
	case a.Status >= 500:
		return reasonStatus, "the site answered " + statusOf(a) + ": what stands behind Caddy failed, and pages of handle_errors are outside of the directive"
	case a.Status == 404 && !a.variesByCookie():
		return reasonStatus, "the site answered " + statusOf(a) + ": is this the form's address?"
	case len(a.Body) == 0:
		return reasonEmpty, "the response is empty, as Caddy's is where no site block is for the host, and no directive for the address"
	case !a.isHTML():
		return reasonNotHTML, "the response's Content-Type is " + either(short(a.Header.Get("Content-Type")), "missing") + ", and only text/html gets the tag: correct it at the origin"
	default:
		return "", ""
	}
}

// whyNotChanged finds pages whose header forbids a change, or makes it
// impossible.
func whyNotChanged(a *Response) (reason Reason, text string) {
	disposition, _, _ := strings.Cut(a.Header.Get("Content-Disposition"), ";")
	switch {
	case strings.EqualFold(strings.TrimSpace(disposition), "attachment"):
		return reasonAttachment, "the page is a download (Content-Disposition: attachment)"
	case strings.HasPrefix(a.charset(), "utf-16") || a.charset() == "iso-2022-jp":
		return reasonCharset, "the page is in " + a.charset() + ": serve it in UTF-8"
	case a.has("Cache-Control", "no-transform"):
		return reasonNoTransform, "the response forbids changes (Cache-Control: no-transform): drop it at the origin, or with header_down in reverse_proxy"
	case a.Header["Signature-Input"] != nil:
		return reasonNoTransform, "the response is signed (Signature-Input), so that a change would break it"
	case a.Header["Content-Encoding"] != nil:
		return reasonEncoded, "the response is compressed as " + a.list("Content-Encoding") + ", which was not asked for: switch that off at the origin, " +
			"and let Caddy's encode compress"
	default:
		return "", ""
	}
}

// whyNotInHead finds pages whose head has no place for the tag, by the same
// scanner that the directive looks for it with.
func whyNotInHead(a *Response, file string) (reason Reason, text string) {
	var s head.Scanner
	s.Reset(file)
	if a.charset() != "" {
		s.TrustEncoding()
	}
	_, found := s.Feed(a.Body)
	if !found {
		_, found = s.End()
	}
	switch {
	case s.Unusable():
		return reasonCharset, "the page is in UTF-16 or ISO-2022-JP: serve it in UTF-8"
	case s.AMP():
		return reasonAMP, "the page is AMP, which allows no scripts of one's own: put the form on a plain page"
	case !found:
		return reasonNoAnchor, "the page ends within its head, in a tag, a comment, or an element such as <script> or <title> that is not closed: correct it"
	default:
		return "", ""
	}
}

var loginPath = regexp.MustCompile(`(?i)\b(log|sign)[-_]?(in|on)\b|\b(sso|oauth2?|saml|auth|authenticate|session)\b`)

// looksLikeLogin reports whether the site shows a login instead of the form: a
// field for a password and none for a description, or an address like one's.
func (j *judge) looksLikeLogin() bool {
	return j.page.asksForPassword() && j.page.first(atom.Textarea) == nil ||
		j.response.Redirects > 0 && loginPath.MatchString(j.response.address().Path)
}
