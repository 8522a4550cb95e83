package kapadeflector

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
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

// Cookie is how the visitor's id, the kapa_web_id cookie, is set.
//
// It is always `Path=/`, `Secure` when the visitor's connection is HTTPS, and
// never `HttpOnly`, since the deflector's script reads it.
type Cookie struct {
	// Set no id. A denied visitor's id is still deleted. Default: false.
	Off bool `json:"off,omitempty"`

	// The Domain attribute, which says where else the visitor has the same id:
	// a domain that covers the site's hosts, or `host` for the request's host
	// alone. Default: the registrable domain of the request's host, so that
	// all subdomains share the id.
	Domain string `json:"domain,omitempty"`

	// How long browsers keep the id: at least a second, and at most 400 days,
	// which is where they cut it off. Default: 399 days, as Kapa's script does.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// The SameSite attribute: `lax`, `strict` or `none`. With `none`, visitors
	// without HTTPS get no id, since browsers would not keep it. Default:
	// `lax`, with which the id is seen when a visitor comes from another site.
	SameSite string `json:"same_site,omitempty"`

	// Send an id that the visitor already has again with each page, so that it
	// does not run out while it is used. Default: false.
	Renew bool `json:"renew,omitempty"`
}

const (
	defaultMaxAge = 399 * 24 * time.Hour
	// RFC 6265bis section 5.5 has browsers cap a cookie's life there.
	longestMaxAge = 400 * 24 * time.Hour

	hostOnly = "host"
)

var sameSites = map[string]http.SameSite{
	"lax":    http.SameSiteLaxMode,
	"strict": http.SameSiteStrictMode,
	"none":   http.SameSiteNoneMode,
}

// check finds mistakes in the settings.
func (c Cookie) check() error {
	if c.Off && c != (Cookie{Off: true}) {
		return errors.New("off stands alone: an id that is not set has no domain, max_age, same_site or renew")
	}
	if age := time.Duration(c.MaxAge); age != 0 && (age < time.Second || age > longestMaxAge) {
		return fmt.Errorf("max_age is %s: must be 1s to 400d (9600h), where browsers cut it off", age)
	}
	if c.SameSite != "" && sameSites[c.SameSite] == 0 {
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
		return fmt.Errorf("domain %q: write it without the leading dot; subdomains are covered as it is", c.Domain)
	case kind != authority.Name || host != c.Domain:
		return fmt.Errorf("domain %q: must be a domain name in lower case, in its ASCII form (xn--...), or %q", c.Domain, hostOnly)
	}
	if suffix, _ := publicsuffix.PublicSuffix(host); suffix == host {
		return fmt.Errorf("domain %q is a public suffix, for which browsers keep no cookie: write a domain below it, or %q", c.Domain, hostOnly)
	}
	return nil
}

// provision returns c as it is used: checked, with placeholders resolved and the
// defaults filled in.
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
// Nothing is written where an id may exist that the request does not show:
// Kapa's script writes it SameSite=Strict, which browsers hide when a link is
// followed from another site. A page that is only fetched ahead sets none.
func (c Cookie) idChange(r *http.Request) (lines []string, covered bool) {
	if c.Off || r.Header.Get("Sec-Fetch-Site") == "cross-site" || isPrefetch(r.Header) {
		return nil, true
	}
	ids := readIDs(r.Header["Cookie"])
	if ids.first != "" && !ids.differ && !c.Renew {
		return nil, true // adopted as it is
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
		// two cookies of one name: the one without a Domain hides or is
		// hidden by the shared one (RFC 6265bis section 5.7, step 23)
		lines = append(lines, c.line(site, "", "", -1))
	case !c.Renew:
		return nil, true
	}
	return append(lines, c.line(site, id, domain, int(time.Duration(c.MaxAge)/time.Second))), true
}

// idDeletion returns the Set-Cookie values that take the visitor's id away:
// as a host-only cookie and for every domain that the edge or Kapa's script
// (which takes the registrable domain) may have set it for.
func (c Cookie) idDeletion(r *http.Request) []string {
	site := authority.Seen(r)
	domains := []string{""}
	for _, c := range []Cookie{c, {}} {
		if domain, covered := c.domainFor(site); covered && !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	slices.Reverse(domains)
	lines := make([]string, len(domains))
	for i, domain := range domains {
		lines[i] = c.line(site, "", domain, -1)
	}
	return lines
}

// line is one Set-Cookie value; an age below zero deletes.
func (c Cookie) line(site authority.Site, id, domain string, age int) string {
	cookie := http.Cookie{
		Name:     kapa.IDCookie,
		Value:    id,
		Path:     "/",
		Domain:   domain,
		MaxAge:   age,
		SameSite: sameSites[c.SameSite],
		Secure:   site.HTTPS,
	}
	if c.SameSite == "none" && !site.HTTPS {
		cookie.SameSite = 0 // browsers would not even take the deletion
	}
	if strings.Contains(domain, "_") { // net/http drops it, though browsers take it
		cookie.Domain = ""
		return strings.Replace(cookie.String(), "; Path=/", "; Path=/; Domain="+domain, 1)
	}
	return cookie.String()
}

// domainFor returns the Domain attribute for a visitor of v's host, "" for
// none, and whether the configured domain covers that host.
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

// isPrefetch reports whether the page is fetched before anyone asked to see
// it: https://wicg.github.io/nav-speculation/prefetch.html#sec-purpose-header
func isPrefetch(h http.Header) bool {
	return strings.HasPrefix(h.Get("Sec-Purpose"), "prefetch") || h.Get("Purpose") == "prefetch"
}

// ids is what a request shows of the visitor's id.
type ids struct {
	first   string // the first valid one
	differ  bool   // whether another value came with it
	present bool   // whether the cookie came at all, whatever its value
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
			found.differ = found.present // by one that is no id
		case found.first != "" && value != found.first:
			found.differ = true
		}
		found.present = true
	}
}

// isID reports whether s is a UUID in its 36 characters, other than the nil
// UUID (RFC 9562 section 5.9). Whoever wrote it, in whatever case or version.
func isID(s string) bool {
	if len(s) != 36 {
		return false
	}
	id, err := uuid.Parse(s)
	return err == nil && id != uuid.Nil
}

// setsID reports whether the answer with header h sets the id itself.
func setsID(h http.Header) bool {
	return slices.ContainsFunc(h["Set-Cookie"], func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return strings.TrimSpace(name) == kapa.IDCookie
	})
}

// hasID reports whether r carries the id's cookie, whatever its value.
func hasID(r *http.Request) bool { return readIDs(r.Header["Cookie"]).present }

// deleteID adds to h the Set-Cookie lines that delete the id, and reports whether
// any was missing: another block, or an early flush, may have added them.
func (c Cookie) deleteID(h http.Header, r *http.Request) (added bool) {
	for _, line := range c.idDeletion(r) {
		if !slices.Contains(h["Set-Cookie"], line) {
			h["Set-Cookie"] = append(h["Set-Cookie"], line)
			added = true
		}
	}
	return added
}
