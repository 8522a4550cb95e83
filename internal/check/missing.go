package check

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/authority"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
)

// checkMissing says why a page has no tag. If no cookie was passed, that is no fault.
func (j *judge) checkMissing() {
	reason, text := j.whyMissing()
	j.report.Tag.Reason = reason
	if reason == reasonNoCookie {
		j.note(codeNoCookie, aboutTag, "%s", text)
		return
	}
	if reason == reasonQuestionLost || reason == reasonHeldOut { // checkLoader has reported it
		return
	}
	j.finding(codeTagMissing, aboutTag, "%s", text)
	if reason == reasonNotCovered || reason == reasonNoConsent {
		j.noteCache(j.response, aboutTag)
	}
}

// whyMissing returns the likeliest reason. It checks in the order of the directive:
// the kind of response, its header, the head, and consent last.
func (j *judge) whyMissing() (reason Reason, text string) {
	a := j.response
	if reason, text := whyPastCaddy(j.site.URL, a); reason != "" {
		return reason, text
	}
	if reason, text := whyNoPage(a); reason != "" {
		return reason, text
	}
	if j.looksLikeLogin() {
		return reasonLogin, "the site asks for a login at " + place(a) + titled(j.page.Page) + ": also pass the session cookie, with another --cookie"
	}
	if reason, text := whyNotChanged(a); reason != "" {
		return reason, text
	}
	if reason, text := whyNotInHead(a, j.deflector.ScriptFile); reason != "" {
		return reason, text
	}
	if blocked := j.blockedScript(j.deflector.Script); blocked != "" {
		if blocked == "Integrity-Policy" || blocked == "Connection-Allowlist" {
			return reasonCSPBlocked, "the page's " + blocked + " blocks the script, and the directive does not extend this field: allow the script there"
		}
		return reasonCSPBlocked, "the page's Content-Security-Policy blocks the script by its " + blocked + ", and the directive extends no policy without csp extend"
	}
	if j.page.loader != nil {
		return j.whyNoTagFromLoader()
	}
	if from := j.fromFront(j.site.With, j.site.WithAfresh); from != "" {
		return reasonCached, "the page comes from a cache (" + Short(from) + ") that sends visitors with consent the page for those without: " +
			"purge it, and exclude this page from it or make it respect Vary: Cookie"
	}
	if !a.variesByCookie() {
		text := "nothing shows that kapa_deflector ran for " + place(a) + ", because Vary: Cookie is missing: its pages do not include this path, " +
			"another site block or an earlier directive responded, or something in front of Caddy removed the field"
		if j.page.First(atom.Frameset) != nil {
			text += ". The page is a frameset: the form is in one of its frames, " + j.page.frameAddress()
		}
		return reasonNotCovered, text
	}
	if j.site.With == nil {
		return reasonNoCookie, noCookieText
	}
	return j.whyNoConsent()
}

const noCookieText = "there is no tag without consent, as intended. To see the tag, pass the banner's cookie, --cookie name=value"

// whyNoConsent says that the directive took nothing for consent.
func (j *judge) whyNoConsent() (reason Reason, text string) {
	if len(j.site.Cookies) == 0 {
		return reasonNoConsent, "the page can get the tag, but not for a visitor without cookies: the directive requires consent. " +
			"Omit --consent-not-required, and pass the banner's cookie, --cookie name=value"
	}
	return reasonNoConsent, "the page can get the tag, but the cookies " + strings.Join(j.site.Cookies, ", ") + " were not taken for consent: " +
		"compare name and value, exactly as the browser sends them, with the consent lines. Or another block, with other consent lines, claims the page"
}

// whyPastCaddy finds redirects to an address that is likely the origin's own.
func whyPastCaddy(asked string, a *Response) (reason Reason, text string) {
	from, err := url.Parse(asked)
	to := a.Address()
	if a.isRedirect() {
		to = redirect(a.Address(), a)
	}
	if err != nil || to == nil || to.Host == from.Host || a.variesByCookie() {
		return "", ""
	}
	inside := isInside(to.Hostname()) && !isInside(from.Hostname())
	if !inside && (!strings.EqualFold(to.Hostname(), from.Hostname()) || to.Port() == "" && from.Port() == "") {
		return "", ""
	}
	return reasonPastCaddy, "the site redirects from " + Short(from.Host) + " to " + Short(to.Host) + ", where nothing shows that kapa_deflector runs: the origin writes its own address " +
		"into Location, and visitors leave Caddy. Tell the origin its public address, or correct the field with header_down Location in reverse_proxy"
}

// isInside reports whether a host is an address or a name of a private network.
func isInside(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".internal") || strings.HasSuffix(host, ".local") || authority.IsLoopback(host)
}

// whyNoPage finds responses that are not a page.
func whyNoPage(a *Response) (reason Reason, text string) {
	switch {
	case a.Header.Get("Cf-Mitigated") == "challenge":
		return reasonChallenge, "a bot protection responded instead of the site (Cf-Mitigated: challenge): run kapa-check where it lets you through"
	case a.isRedirect():
		return reasonRedirect, "the site redirects to " + withoutQuery(a.Header.Get("Location")) + ", which was not followed: it leads to another site, or there are too many redirects. " +
			"If it leads to a login, also pass the session cookie, with another --cookie"
	case a.Status == 204 || a.Status == 205 || a.Status == 206:
		return reasonStatus, "a response with status " + statusOf(a) + " does not contain a whole page"
	case a.Status == 401 || a.Status == 403:
		return reasonLogin, "the site answered " + statusOf(a) + titled(a.page()) + ": also pass the session cookie, with another --cookie"
	case a.Status >= 500:
		return reasonStatus, "the site answered " + statusOf(a) + titled(a.page()) + ": the origin failed, and the directive does not change pages of handle_errors"
	case a.Status == 404 && !a.variesByCookie():
		return reasonStatus, "the site answered " + statusOf(a) + titled(a.page()) + ": is this the address of the form?"
	case len(a.Body) == 0:
		return reasonEmpty, "the response is empty: Caddy sends an empty one if no site block matches the host, or no directive handles the path"
	case !a.isHTML():
		return reasonNotHTML, "the response's Content-Type is " + either(Short(a.Header.Get("Content-Type")), "missing") + ", but only text/html gets the tag: correct it at the origin"
	default:
		return "", ""
	}
}

// whyNotChanged finds pages whose header forbids a change or makes it impossible.
func whyNotChanged(a *Response) (reason Reason, text string) {
	disposition, _, _ := strings.Cut(a.Header.Get("Content-Disposition"), ";")
	switch {
	case strings.EqualFold(strings.TrimSpace(disposition), "attachment"):
		return reasonAttachment, "the page is a download (Content-Disposition: attachment)"
	case strings.HasPrefix(a.charset(), "utf-16") || a.charset() == "iso-2022-jp":
		return reasonCharset, "the page is in " + a.charset() + ": serve it in UTF-8"
	case a.has("Cache-Control", "no-transform"):
		return reasonNoTransform, "the response forbids changes (Cache-Control: no-transform): remove that at the origin, or with header_down in reverse_proxy"
	case a.Header["Signature-Input"] != nil:
		return reasonNoTransform, "the response is signed (Signature-Input), and a change would invalidate the signature"
	case a.Header["Content-Encoding"] != nil:
		return reasonEncoded, "the response is compressed as " + a.list("Content-Encoding") + ", which the request did not accept: switch that off at the origin, " +
			"and use Caddy's encode"
	default:
		return "", ""
	}
}

// whyNotInHead finds pages that have no anchor for the tag. It uses the same scanner
// as the directive.
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
		return reasonAMP, "the page is AMP, which does not allow other scripts: put the form on a plain page"
	case !found:
		return reasonNoAnchor, "the page ends in its head, inside a tag, a comment, or an element such as <script> or <title> that is not closed: close it"
	default:
		return "", ""
	}
}

var loginPath = regexp.MustCompile(`(?i)\b(log|sign)[-_]?(in|on)\b|\b(sso|oauth2?|saml|auth|authenticate|session)\b`)

// looksLikeLogin reports whether the site shows a login instead of the form: a
// password field without a description field, or a redirect to a login's path.
func (j *judge) looksLikeLogin() bool { return looksLikeLogin(j.response, j.page.Page) }

func looksLikeLogin(a *Response, p *dom.Page) bool {
	return p.AsksForPassword() && p.First(atom.Textarea) == nil ||
		a.Redirects > 0 && loginPath.MatchString(a.Address().Path)
}

// NoForm says why a response is not the page of a form, "" if it may be one.
func (a *Response) NoForm() string {
	if reason, text := whyNoPage(a); reason != "" {
		return text
	}
	p := a.page()
	switch {
	case p.Unreadable != "":
		return "the page was not read, because " + p.Unreadable
	case a.Status < 200 || a.Status > 299:
		return "the site answered " + statusOf(a) + titled(p) + ": is this the address of the form?"
	case looksLikeLogin(a, p):
		return "the site asks for a login at " + place(a) + titled(p) + ": also pass the session cookie, with another --cookie"
	default:
		return ""
	}
}

// titled returns words that quote the page's title, "" if it has none.
func titled(p *dom.Page) string {
	if title := p.Title(); title != "" {
		return ", with the page \"" + Short(title) + "\""
	}
	return ""
}
