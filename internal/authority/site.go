// Package authority reads the host and port at which a visitor's browser asked (RFC
// 9110 section 7.2).
package authority

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
)

// A Site is where a browser asked.
type Site struct {
	Host  string // lower case, without port and trailing dot
	Kind  Kind
	Port  int // 0 for the scheme's default
	HTTPS bool
}

// Seen returns where r's browser asked. It goes by X-Forwarded-* from a trusted
// proxy only. Where proxies made a list of it, the first member is what the browser
// asked for; a lie in it harms only the liar, whose browser keeps no cookie for
// another's domain.
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

// Named returns where r itself says that it was asked, whatever a proxy says.
func Named(r *http.Request) Site { return newSite(r.Host, r.TLS != nil) }

func newSite(host string, https bool) Site {
	s := Site{HTTPS: https, Port: parsePort(host, https)}
	s.Host, s.Kind = Parse(host)
	return s
}

// PageURL returns the address of a page on the site, as far as policies go by it:
// without its path. It is the zero URL if the host is no legal one.
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

// A Kind is what a host is to cookies.
type Kind uint8

// The kinds.
const (
	Invalid Kind = iota
	IP           // an address
	Single       // one label, such as localhost
	Rooted       // a domain name with the root's dot: browsers refuse a Domain there
	Name         // a domain name
)

// Parse returns a host in lower case, without its port and the root's dot, and its
// kind. A host that is no legal one comes back as "".
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
	if len(host) > 253 { // RFC 1035 section 2.3.4, without the root's dot
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
		return host, IP // 127.1: browsers read a number at the end as an address
	case labels == 1:
		return host, Single
	case rooted:
		return host, Rooted
	default:
		return host, Name
	}
}

// mayBeAddress spares the names of most sites two attempts to parse them as an
// address, whose errors allocate.
func mayBeAddress(s string) bool {
	return s != "" && ('0' <= s[0] && s[0] <= '9' || s[0] == '[') || strings.Count(s, ":") > 1
}

func notInHostname(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
