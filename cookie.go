package kapadeflector

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/uuid"
	"golang.org/x/net/publicsuffix"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/authority"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/placeholder"
)

// Cookie says how the visitor's id, the `kapa_web_id` cookie, is set.
//
// The cookie always has `Path=/`, has `Secure` if the visitor's connection is HTTPS,
// and never has `HttpOnly`, because the deflector's script reads it.
type Cookie struct {
	// Whether to set no id. A denied visitor's id is still deleted. Default: false.
	Off bool `json:"off,omitempty"`

	// The Domain attribute: a domain that covers the site's hosts, so that all
	// hosts below it share the id, or `host` for the request's host alone. Default:
	// the registrable domain of the request's host, so that all subdomains share
	// the id.
	Domain string `json:"domain,omitempty"`

	// How long browsers keep the id, from 1 second to 400 days, which is the longest
	// time that browsers allow. Default: 399 days, as in Kapa's script.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// The SameSite attribute: `lax`, `strict` or `none`. With `none`, visitors
	// without HTTPS get no id, because browsers would refuse the cookie. Default:
	// `lax`, so that the id also comes with a visit from a link on another site.
	SameSite string `json:"same_site,omitempty"`

	// Whether each page sets the visitor's existing id again, so that it does not
	// expire while it is in use. Default: false.
	Renew bool `json:"renew,omitempty"`
}

const (
	defaultMaxAge = 399 * 24 * time.Hour
	// longestMaxAge is where browsers cap a cookie's lifetime (RFC 6265bis section 5.5).
	longestMaxAge = 400 * 24 * time.Hour

	hostOnly = "host"
)

// sameSites are the values of the SameSite attribute by the words of the setting.
var sameSites = map[string]string{"lax": "Lax", "strict": "Strict", "none": "None"}

// check finds mistakes in the settings.
func (c Cookie) check() error {
	if c.Off && c != (Cookie{Off: true}) {
		return errors.New("off allows no domain, max_age, same_site or renew, because no id is set")
	}
	if age := time.Duration(c.MaxAge); age != 0 && (age < time.Second || age > longestMaxAge) {
		return fmt.Errorf("max_age is %s: must be 1s to 400d (9600h), where browsers cut it off", age)
	}
	if c.SameSite != "" && sameSites[c.SameSite] == "" {
		return fmt.Errorf("same_site is %q: must be lax, strict or none", c.SameSite)
	}
	return c.checkDomain()
}

func (c Cookie) checkDomain() error {
	if c.Domain == "" || c.Domain == hostOnly {
		return nil
	}
	host, kind := authority.Parse(c.Domain)
	switch {
	case strings.Contains(c.Domain, "{"):
		return fmt.Errorf("domain %q: request placeholders do not work here; without the line it is the registrable domain of each request's host", c.Domain)
	case kind == authority.IP || kind == authority.Single:
		return fmt.Errorf("domain %q: cookies of an address or a single name have no domain: write %q", c.Domain, hostOnly)
	case strings.HasPrefix(c.Domain, "."):
		return fmt.Errorf("domain %q: remove the leading dot; subdomains are covered without it", c.Domain)
	case kind != authority.Name || host != c.Domain:
		return fmt.Errorf("domain %q: must be a domain name in lower case, in its ASCII form (xn--...), or %q", c.Domain, hostOnly)
	}
	if suffix, _ := publicsuffix.PublicSuffix(host); suffix == host {
		return fmt.Errorf("domain %q is a public suffix, for which browsers keep no cookie: write a domain below it, or %q", c.Domain, hostOnly)
	}
	return nil
}

// provision returns c checked, with placeholders resolved and defaults filled in.
func (c Cookie) provision() (_ Cookie, err error) {
	if c.Domain, err = placeholder.ResolveSetting("domain", c.Domain); err != nil {
		return c, err
	}
	if err := c.check(); err != nil {
		return c, err
	}
	if c.MaxAge == 0 {
		c.MaxAge = caddy.Duration(defaultMaxAge)
	}
	if c.SameSite == "" {
		c.SameSite = "lax"
	}
	return c, nil
}

// idChange returns the Set-Cookie values that give the visitor of r an id, if
// any are needed. covered is false if the configured domain does not cover
// the host, so that no id can be set.
//
// A visitor who follows a link from another site gets no id, because there may be one
// that the request does not show: Kapa's script writes it with SameSite=Strict. Nor
// does a prefetched page give one.
func (c Cookie) idChange(r *http.Request) (lines []string, covered bool) {
	if c.Off || r.Header.Get("Sec-Fetch-Site") == "cross-site" || isPrefetch(r.Header) {
		return nil, true
	}
	ids := readIDs(r.Header["Cookie"])
	if ids.first != "" && !ids.differ && !c.Renew {
		return nil, true // the visitor keeps this id
	}
	site := authority.Seen(r)
	if site.Kind == authority.Invalid || c.SameSite == "none" && !site.HTTPS {
		return nil, true
	}
	domain, covered := c.domainFor(site)
	if !covered {
		return nil, false
	}

	id := ids.first
	switch twin := ids.differ && domain != ""; {
	case id == "":
		fresh, err := uuid.NewRandom()
		if err != nil {
			return nil, true
		}
		id = fresh.String()
	case twin:
		// two cookies with this name, one of them without a Domain: browsers
		// keep both (RFC 6265bis section 5.7, step 23), so that one is deleted
		lines = append(lines, c.line(site, kapa.IDCookie, "", "", -1))
	case !c.Renew:
		return nil, true
	}
	return append(lines, c.line(site, kapa.IDCookie, id, domain, int(time.Duration(c.MaxAge)/time.Second))), true
}

// idDeletion returns the Set-Cookie values that delete the visitor's id.
func (c Cookie) idDeletion(r *http.Request) (lines []string) {
	site := authority.Seen(r)
	for _, domain := range c.domainsFor(site) {
		lines = append(lines, c.line(site, kapa.IDCookie, "", domain, -1))
	}
	return lines
}

// domainsFor returns the Domain attributes that a cookie of site may have: the
// registrable domain, which Kapa's script uses, the configured one, and "" for none.
func (c Cookie) domainsFor(site authority.Site) []string {
	domains := []string{""}
	for _, c := range []Cookie{c, {}} {
		if domain, covered := c.domainFor(site); covered && !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	slices.Reverse(domains)
	return domains
}

// line returns one Set-Cookie value (RFC 6265 section 4.1.1). name, value and domain
// need no escaping. An age below zero deletes the cookie.
func (c Cookie) line(site authority.Site, name, value, domain string, age int) string {
	b := make([]byte, 0, 160)
	b = append(b, name+"="+value+"; Path=/"...)
	if domain != "" {
		b = append(b, "; Domain="+domain...)
	}
	b = append(b, "; Max-Age="...)
	b = strconv.AppendInt(b, int64(max(age, 0)), 10)
	if site.HTTPS {
		b = append(b, "; Secure"...)
	}
	if c.SameSite != "none" || site.HTTPS { // otherwise browsers would not even take the deletion
		b = append(b, "; SameSite="+sameSites[c.SameSite]...)
	}
	return string(b)
}

// domainFor returns the Domain attribute for a cookie of site, "" for none, and
// whether the configured domain covers site.
func (c Cookie) domainFor(site authority.Site) (domain string, covered bool) {
	switch {
	case c.Domain == hostOnly:
		return "", true
	case c.Domain != "":
		covered = site.Host == c.Domain || site.Kind >= authority.Rooted && strings.HasSuffix(site.Host, "."+c.Domain)
		if site.Kind == authority.Rooted {
			return "", covered
		}
		return c.Domain, covered
	case site.Kind != authority.Name:
		return "", true
	}
	registrable, err := publicsuffix.EffectiveTLDPlusOne(site.Host)
	if err != nil { // a public suffix itself
		return "", true
	}
	return registrable, true
}

// isPrefetch reports whether the browser fetches the page before the visitor opens it:
// https://wicg.github.io/nav-speculation/prefetch.html#sec-purpose-header
func isPrefetch(h http.Header) bool {
	return strings.HasPrefix(h.Get("Sec-Purpose"), "prefetch") || h.Get("Purpose") == "prefetch"
}

// ids is what a request's cookies say about the visitor's id.
type ids struct {
	first   string // the first valid id
	differ  bool   // the cookie also came with another value
	present bool   // the cookie came, whatever its value
}

func readIDs(lines []string) (found ids) {
	cookies := consent.NewCookies(lines)
	for {
		value, ok := cookies.NextNamed(kapa.IDCookie)
		if !ok {
			return found
		}
		switch {
		case found.first == "" && isID(value):
			found.first = value
			found.differ = found.present // the value before it was no id
		case found.first != "" && value != found.first:
			found.differ = true
		}
		found.present = true
	}
}

// isID reports whether s is a UUID of 36 characters, in any case and of any version,
// but not the nil UUID (RFC 9562 section 5.9).
func isID(s string) bool {
	if len(s) != 36 {
		return false
	}
	id, err := uuid.Parse(s)
	return err == nil && id != uuid.Nil
}

// setsID reports whether h already sets the id.
func setsID(h http.Header) bool {
	return slices.ContainsFunc(h["Set-Cookie"], func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return strings.TrimSpace(name) == kapa.IDCookie
	})
}

// idIn returns the id that h gives, "" if it gives none.
func idIn(h http.Header) string {
	for _, line := range h["Set-Cookie"] {
		value, given := strings.CutPrefix(line, kapa.IDCookie+"=")
		if value, _, _ = strings.Cut(value, ";"); given && isID(value) {
			return value
		}
	}
	return ""
}

// hasID reports whether r has the id's cookie, whatever its value.
func hasID(r *http.Request) bool { return readIDs(r.Header["Cookie"]).present }

// deleteID adds to h the Set-Cookie lines that delete the id, and reports whether it
// added any. Another block or an early flush may have added them before.
func (c Cookie) deleteID(h http.Header, r *http.Request) (added bool) {
	for _, line := range c.idDeletion(r) {
		if !slices.Contains(h["Set-Cookie"], line) {
			h["Set-Cookie"] = append(h["Set-Cookie"], line)
			added = true
		}
	}
	return added
}
