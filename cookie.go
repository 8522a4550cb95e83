package kapadeflector

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"
	"golang.org/x/net/publicsuffix"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
)

// idCookie is the cookie in which Kapa's scripts keep the visitor's id:
// https://docs.kapa.ai/integrations/support-form-deflector/user-tracking
const idCookie = "kapa_web_id"

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
		return fmt.Errorf("max_age is %s: allowed are 1s to 400d (9600h), where browsers cut it off", age)
	}
	if c.SameSite != "" && sameSites[c.SameSite] == 0 {
		return fmt.Errorf("same_site is %q: allowed are lax, strict, none", c.SameSite)
	}
	return c.checkDomain()
}

func (c Cookie) checkDomain() error {
	if c.Domain == "" || c.Domain == hostOnly {
		return nil
	}
	host, kind := parseHost(c.Domain)
	switch {
	case strings.Contains(c.Domain, "{"):
		return fmt.Errorf("domain %q: request placeholders do not work here; without the line it is the registrable domain of each request's host", c.Domain)
	case kind == hostIP || kind == hostSingle:
		return fmt.Errorf("domain %q: cookies of an address or a single name have no domain: write %q", c.Domain, hostOnly)
	case strings.HasPrefix(c.Domain, "."):
		return fmt.Errorf("domain %q: write it without the leading dot; subdomains are covered as it is", c.Domain)
	case kind != hostName || host != c.Domain:
		return fmt.Errorf("domain %q: allowed are a domain name in lower case, as the wire has it (xn--...), and %q", c.Domain, hostOnly)
	}
	if suffix, _ := publicsuffix.PublicSuffix(host); suffix == host {
		return fmt.Errorf("domain %q is a public suffix, for which browsers keep no cookie: write a domain below it, or %q", c.Domain, hostOnly)
	}
	return nil
}

// withDefaults returns c with the defaults filled in.
func (c Cookie) withDefaults() Cookie {
	if c.MaxAge == 0 {
		c.MaxAge = caddy.Duration(defaultMaxAge)
	}
	if c.SameSite == "" {
		c.SameSite = "lax"
	}
	return c
}

// idChange returns the Set-Cookie values that give the visitor of r an id, if
// any are needed. covered is false if the configured domain does not cover
// the host, so that no id can be set.
//
// Nothing is written where an id may exist that the request does not show:
// Kapa's script writes it SameSite=Strict, which browsers hide when a link is
// followed from another site. A page that is only fetched ahead sets none.
func (c Cookie) idChange(r *http.Request) (lines []string, covered bool) {
	if c.Off || first(r.Header["Sec-Fetch-Site"]) == "cross-site" || isPrefetch(r.Header) {
		return nil, true
	}
	ids := readIDs(r.Header["Cookie"])
	if ids.first != "" && !ids.differ && !c.Renew {
		return nil, true // adopted as it is
	}
	v := visitorOf(r)
	if v.hostKind == hostInvalid || c.SameSite == "none" && !v.https {
		return nil, true
	}
	domain, covered := c.domainFor(v)
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
		lines = append(lines, c.line(v, "", "", -1))
	case !c.Renew:
		return nil, true
	}
	return append(lines, c.line(v, id, domain, int(time.Duration(c.MaxAge)/time.Second))), true
}

// idDeletion returns the Set-Cookie values that take the visitor's id away:
// as a host-only cookie and for every domain that the edge or Kapa's script
// (which takes the registrable domain) may have set it for.
func (c Cookie) idDeletion(r *http.Request) []string {
	v := visitorOf(r)
	domains := []string{""}
	for _, c := range []Cookie{c, {}} {
		if domain, covered := c.domainFor(v); covered && !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	slices.Reverse(domains)
	lines := make([]string, len(domains))
	for i, domain := range domains {
		lines[i] = c.line(v, "", domain, -1)
	}
	return lines
}

// line is one Set-Cookie value; an age below zero deletes.
func (c Cookie) line(v visitor, id, domain string, age int) string {
	cookie := http.Cookie{
		Name:     idCookie,
		Value:    id,
		Path:     "/",
		MaxAge:   age,
		SameSite: sameSites[c.SameSite],
		Secure:   v.https,
	}
	if c.SameSite == "none" && !v.https {
		cookie.SameSite = 0 // browsers would not even take the deletion
	}
	s := cookie.String()
	if domain == "" {
		return s
	}
	// net/http drops a Domain with an underscore, which browsers take
	return strings.Replace(s, "; Path=/", "; Path=/; Domain="+domain, 1)
}

// domainFor returns the Domain attribute for a visitor of v's host, "" for
// none, and whether the configured domain covers that host.
func (c Cookie) domainFor(v visitor) (domain string, covered bool) {
	switch {
	case c.Domain == hostOnly:
		return "", true
	case c.Domain != "":
		covered = v.host == c.Domain || v.hostKind >= hostRooted && strings.HasSuffix(v.host, "."+c.Domain)
		if v.hostKind == hostRooted {
			return "", covered
		}
		return c.Domain, covered
	case v.hostKind != hostName:
		return "", true
	}
	registrable, err := publicsuffix.EffectiveTLDPlusOne(v.host)
	if err != nil { // a public suffix itself
		return "", true
	}
	return registrable, true
}

// visitor is where a request came from, as the visitor's browser sees it.
type visitor struct {
	host     string
	hostKind hostKind
	port     int // 0 for the scheme's default
	https    bool
}

// visitorOf believes X-Forwarded-* from a trusted proxy only. Where proxies
// made a list of it, the first member is what the browser asked for; a lie in
// it costs only the liar, whose browser keeps no cookie for another's domain.
func visitorOf(r *http.Request) visitor {
	host, https := r.Host, r.TLS != nil
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		if h := firstMember(r.Header, "X-Forwarded-Host"); h != "" {
			host = h
		}
		if proto := firstMember(r.Header, "X-Forwarded-Proto"); proto != "" {
			https = strings.EqualFold(proto, "https")
		}
	}
	return visitorNamed(host, https)
}

// visitorNamed is the visitor of a host, as a Host field names it.
func visitorNamed(host string, https bool) visitor {
	v := visitor{https: https}
	v.host, v.hostKind = parseHost(host)
	v.port = parsePort(host, https)
	return v
}

// parsePort returns the port of a host, 0 if it has none but the default one.
func parsePort(s string, https bool) int {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return 0
	}
	port, err := strconv.Atoi(s[colon+1:])
	if err != nil || https && port == 443 || !https && port == 80 {
		return 0
	}
	return port
}

func firstMember(h http.Header, field string) string {
	first, _, _ := strings.Cut(h.Get(field), ",")
	return strings.TrimSpace(first)
}

// hostKind says what a Host field names, as far as cookies care.
type hostKind uint8

const (
	hostInvalid hostKind = iota
	hostIP               // an address
	hostSingle           // one label, such as localhost
	hostRooted           // a domain name with the root's dot: browsers refuse a Domain there
	hostName             // a domain name
)

// parseHost lower-cases a host and takes its port and the root's dot away.
func parseHost(s string) (host string, kind hostKind) {
	if mayBeAddress(s) {
		if addr, err := netip.ParseAddrPort(s); err == nil {
			return addr.Addr().String(), hostIP
		}
		if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
			return addr.String(), hostIP
		}
	}
	host, _, _ = strings.Cut(s, ":")
	host, rooted := strings.CutSuffix(strings.ToLower(host), ".")
	if len(host) > 253 { // RFC 1035 section 2.3.4, without the root's dot
		return "", hostInvalid
	}
	labels := 0
	var last string
	for last = range strings.SplitSeq(host, ".") {
		if last == "" || len(last) > 63 || strings.ContainsFunc(last, notInHostname) {
			return "", hostInvalid
		}
		labels++
	}
	switch {
	case strings.Trim(last, "0123456789") == "":
		return host, hostIP // 127.1: browsers read a number at the end as an address
	case labels == 1:
		return host, hostSingle
	case rooted:
		return host, hostRooted
	default:
		return host, hostName
	}
}

// mayBeAddress spares the names of most sites two errors, which allocate.
func mayBeAddress(s string) bool {
	return s != "" && ('0' <= s[0] && s[0] <= '9' || s[0] == '[') || strings.Count(s, ":") > 1
}

func notInHostname(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// isPrefetch reports whether the page is fetched before anyone asked to see
// it: https://wicg.github.io/nav-speculation/prefetch.html#sec-purpose-header
func isPrefetch(h http.Header) bool {
	return strings.HasPrefix(first(h["Sec-Purpose"]), "prefetch") || first(h["Purpose"]) == "prefetch"
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
		value, ok := cookies.NextNamed(idCookie)
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
		return strings.TrimSpace(name) == idCookie
	})
}
