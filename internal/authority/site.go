// Package authority reads the host and port that a visitor's browser sent its request
// to (RFC 9110 section 7.2).
package authority

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
)

// A Site is the host and port that a browser sent its request to.
type Site struct {
	Host  string // in lower case, without the port and a trailing dot
	Kind  Kind
	Port  int // 0 for the scheme's default
	HTTPS bool
}

// Seen returns the site that r's browser sees. It reads X-Forwarded-* only from a
// trusted proxy, and of a list only the first member, which is what the browser sent.
// A visitor who forges it harms nobody else: browsers refuse cookies for a foreign
// domain.
func Seen(r *http.Request) Site {
	host, https := r.Host, r.TLS != nil
	if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted {
		if h := firstMember(r.Header, "X-Forwarded-Host"); h != "" {
			host = h
		}
		if proto := firstMember(r.Header, "X-Forwarded-Proto"); proto != "" {
			https = strings.EqualFold(proto, "https")
		}
	}
	return newSite(host, https)
}

// Named returns the site that r itself names. It ignores X-Forwarded-*.
func Named(r *http.Request) Site { return newSite(r.Host, r.TLS != nil) }

func newSite(host string, https bool) Site {
	s := Site{HTTPS: https, Port: parsePort(host, https)}
	s.Host, s.Kind = Parse(host)
	return s
}

// IsOrigin reports whether an Origin field names the site (RFC 6454 section 7).
func (s Site) IsOrigin(origin string) bool {
	page := s.PageURL()
	if s.Kind == Rooted { // an origin of its own
		page.Host += "."
	}
	u, err := csp.ParseURL(origin)
	return err == nil && page != csp.URL{} && u.Origin() == page.Origin()
}

// PageURL returns the address of a page on the site, without the page's own path,
// which policies do not look at. It is the zero URL if the host is invalid.
func (s Site) PageURL() csp.URL {
	if s.Kind == Invalid {
		return csp.URL{}
	}
	scheme := "http"
	if s.HTTPS {
		scheme = "https"
	}
	return csp.URL{Scheme: scheme, Host: s.Host, Port: s.Port, Path: "/"}
}

// parsePort returns the port in a Host field, 0 for the scheme's default port.
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

// A Kind is the kind of a host, by which cookies differ.
type Kind uint8

// The kinds.
const (
	Invalid Kind = iota
	IP           // an address
	Single       // one label, such as localhost
	Rooted       // a domain name with a trailing dot, for which browsers refuse a Domain
	Name         // a domain name
)

// Parse returns the host of a Host field, in lower case and without the port and a
// trailing dot, and its kind. It returns "" if the host is invalid.
func Parse(s string) (host string, kind Kind) {
	if mayBeAddress(s) {
		if addr, err := netip.ParseAddrPort(s); err == nil {
			return addr.Addr().String(), IP
		}
		if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
			return addr.String(), IP
		}
	}
	host, _, _ = strings.Cut(s, ":")
	host, rooted := strings.CutSuffix(strings.ToLower(host), ".")
	if len(host) > 253 { // RFC 1035 section 2.3.4, without the trailing dot
		return "", Invalid
	}
	labels := 0
	var last string
	for last = range strings.SplitSeq(host, ".") {
		if last == "" || len(last) > 63 || strings.ContainsFunc(last, notInHostname) {
			return "", Invalid
		}
		labels++
	}
	switch {
	case strings.Trim(last, "0123456789") == "":
		return host, IP // browsers take a name that ends with a number, as 127.1, for an address
	case labels == 1:
		return host, Single
	case rooted:
		return host, Rooted
	default:
		return host, Name
	}
}

// mayBeAddress reports whether s may be an IP address. Parsing a domain name as one
// would fail, and the errors allocate.
func mayBeAddress(s string) bool {
	return s != "" && ('0' <= s[0] && s[0] <= '9' || s[0] == '[') || strings.Count(s, ":") > 1
}

func notInHostname(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
