package check

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// idCookies returns the cookies with the visitor's id that a response sets or deletes.
func idCookies(a *Response, name string) (found []*http.Cookie) {
	for _, line := range a.Header["Set-Cookie"] {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == name {
			found = append(found, c)
		}
	}
	return found
}

// isSet reports whether the cookie is set, not deleted.
func isSet(c *http.Cookie) bool {
	return c.MaxAge >= 0 && (c.MaxAge > 0 || c.RawExpires == "" || c.Expires.After(time.Unix(0, 0).AddDate(1, 0, 0)))
}

// checkCookie judges the visitor's id, and whether a browser would keep it.
func (j *judge) checkCookie(t tag) {
	name := j.deflector.Cookie
	from := j.response
	if t.place == byLoader {
		from = j.answer.Response
	}
	all := idCookies(from, name)
	set := slices.DeleteFunc(slices.Clone(all), func(c *http.Cookie) bool { return !isSet(c) })
	switch {
	case len(set) == 0:
		j.checkNoCookie(t, len(all) > 0)
		return
	case len(set) > 1:
		j.finding(codeIDTwice, aboutID, "one response sets %s %d times: the origin or another handler sets it, too", name, len(set))
	}

	c, host := set[0], j.response.Address().Hostname()
	found := len(j.report.Findings)
	j.checkKept(c, host)
	j.report.IDCookie = idCookie(c, len(j.report.Findings) == found)
	j.checkUse(c, host)
}

// checkNoCookie judges a tag that comes without an id.
func (j *judge) checkNoCookie(t tag, deleted bool) {
	name := j.deflector.Cookie
	switch {
	case deleted:
		j.finding(codeIDDeleted, aboutID, "the response deletes %s, as after a refusal", name)
	case !t.usesCookie():
		j.report.IDCookie.Why = "none, because the tag does not use it"
	case slices.Contains(j.site.Cookies, name):
		j.report.IDCookie.Why = "the visitor already has one"
	default:
		j.finding(codeIDMissing, aboutID, "the tag uses %s, but the response does not set it: cookie { domain ... } does not cover %s, or a CDN removes Set-Cookie. "+
			"If the directive has cookie off, also pass --cookie %[1]s=<a UUID>", name, j.response.Address().Hostname())
	}
}

// longestCookie is the limit for name and value together, longestAge for the Max-Age
// (RFC 6265bis sections 5.6 and 5.5).
const (
	longestCookie = 4096
	longestAge    = 400 * 24 * 3600
)

var uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// checkKept finds what makes browsers drop the cookie (RFC 6265bis section 5.7).
func (j *judge) checkKept(c *http.Cookie, host string) {
	domain := cookieDomain(c)
	suffix, _ := publicsuffix.PublicSuffix(domain)
	switch {
	case len(c.Name)+len(c.Value) > longestCookie:
		j.finding(codeIDDropped, aboutID, "browsers drop it: it is longer than %d bytes", longestCookie)
	case c.Secure && !j.response.secure() && !isLoopback(host):
		j.finding(codeIDDropped, aboutID, "browsers drop it: it is Secure, but the page came over http. Serve the page over https, or tell Caddy that "+
			"this visitor uses http (X-Forwarded-Proto of the proxy in front)")
	case c.SameSite == http.SameSiteNoneMode && !c.Secure:
		j.finding(codeIDDropped, aboutID, "browsers drop it: SameSite=None needs Secure")
	case domain != "" && domain != host && !covers(domain, host):
		j.finding(codeIDDropped, aboutID, "browsers drop it: Domain=%s does not cover %s", Short(domain), host)
	case domain != "" && domain != host && suffix == domain:
		j.finding(codeIDDropped, aboutID, "browsers drop it: Domain=%s is a public suffix", Short(domain))
	}
}

// checkUse reports what limits the use of a cookie that browsers keep.
func (j *judge) checkUse(c *http.Cookie, host string) {
	if !uuid.MatchString(c.Value) {
		j.finding(codeIDValue, aboutID, "its value is not a UUID: something other than the directive sets it")
	}
	if c.HttpOnly {
		j.finding(codeIDHTTPOnly, aboutID, "it is HttpOnly: Kapa's script cannot read it and creates another id")
	}
	if j.response.secure() && !c.Secure {
		j.finding(codeIDNotSecure, aboutID, "the page came over https, but the cookie is not Secure: Caddy does not know about the https, "+
			"because the proxy that terminates TLS is not in trusted_proxies")
	}
	if c.Path != "" && c.Path != "/" {
		j.finding(codeIDPath, aboutID, "Path=%s: other pages do not see the id", Short(c.Path))
	}
	switch {
	case c.MaxAge > longestAge:
		j.finding(codeIDMaxAge, aboutID, "Max-Age is %d days, but browsers keep cookies for at most 400 days", c.MaxAge/(24*3600))
	case c.MaxAge == 0 && c.RawExpires == "":
		j.finding(codeIDMaxAge, aboutID, "it has no Max-Age, so it ends with the browser's session")
	}
	if cookieDomain(c) == "" {
		if registrable, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil && !isAddress(host) {
			j.note(codeIDHostOnly, aboutID, "it is only for %s, so visitors have another id on other hosts of %s", host, registrable)
		}
	}
}

// cookieDomain returns the Domain attribute without the leading dot, which browsers ignore.
func cookieDomain(c *http.Cookie) string { return strings.ToLower(strings.TrimPrefix(c.Domain, ".")) }

// covers reports whether host is below domain (RFC 6265bis section 5.1.3).
func covers(domain, host string) bool {
	return !isAddress(host) && strings.HasSuffix(host, "."+domain)
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// isLoopback reports whether browsers trust the host without https
// (https://w3c.github.io/webappsec-secure-contexts/#is-origin-trustworthy).
func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// idCookie returns what the report may show of the cookie.
func idCookie(c *http.Cookie, kept bool) IDCookie {
	sameSite := map[http.SameSite]string{http.SameSiteLaxMode: "Lax", http.SameSiteStrictMode: "Strict", http.SameSiteNoneMode: "None"}
	return IDCookie{
		Set: true, Kept: kept, Domain: cookieDomain(c), Path: c.Path, MaxAge: c.MaxAge,
		Secure: c.Secure, HTTPOnly: c.HttpOnly, SameSite: sameSite[c.SameSite], Valid: uuid.MatchString(c.Value),
	}
}
