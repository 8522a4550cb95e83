package csp

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// A URL is what policies see of one: no user, no query, no fragment.
type URL struct {
	Scheme string // "" for a path on the page's own site
	Host   string // in lower case
	Port   int    // 0 for the scheme's default
	Path   string // percent-encoded, with a solidus at its beginning
}

// ParseURL reads an absolute URL, or a path on the page's own site.
func ParseURL(s string) (URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return URL{}, err
	}
	u = (&url.URL{Path: "/"}).ResolveReference(u) // without dot segments
	parsed := URL{Scheme: strings.ToLower(u.Scheme), Host: strings.ToLower(u.Hostname()), Path: u.EscapedPath()}
	if u.Opaque != "" || (parsed.Scheme == "") != (parsed.Host == "") {
		return URL{}, errors.New("neither an absolute URL nor a path")
	}
	if parsed.Path == "" {
		parsed.Path = "/"
	}
	if u.Port() != "" {
		if parsed.Port, err = strconv.Atoi(u.Port()); err != nil {
			return URL{}, err
		}
	}
	if parsed.Port == defaultPort(parsed.Scheme) {
		parsed.Port = 0
	}
	return parsed, nil
}

// StaysOn reports whether a path on the page's own site is one still where a base
// element of the page has this href, as it stands in the source. In doubt it is
// not: browsers read URLs otherwise than net/url where something is odd about them.
func StaysOn(href string, page URL) bool {
	if strings.HasPrefix(href, "//") || strings.ContainsFunc(href, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '&' }) {
		return false
	}
	u, err := ParseURL(href)
	return err == nil && (u.Scheme == "" || u.Scheme == page.Scheme && u.Host == page.Host && u.port() == page.port())
}

// on returns u as the page at page has it.
func (u URL) on(page URL) URL {
	if u.Scheme == "" {
		u.Scheme, u.Host, u.Port = page.Scheme, page.Host, page.Port
	}
	return u
}

func (u URL) port() int {
	if u.Port != 0 {
		return u.Port
	}
	return defaultPort(u.Scheme)
}

// portText is the port as a URL in its normal form has it, "" for the default.
func (u URL) portText() string {
	if u.Port == 0 || u.Port == defaultPort(u.Scheme) {
		return ""
	}
	return strconv.Itoa(u.Port)
}

// Origin is what stands before the path in the URL's text.
func (u URL) Origin() string {
	text := u.Scheme + "://" + u.Host
	if strings.Contains(u.Host, ":") {
		text = u.Scheme + "://[" + u.Host + "]"
	}
	if port := u.portText(); port != "" {
		text += ":" + port
	}
	return text
}

func defaultPort(scheme string) int {
	switch scheme {
	case "http", "ws":
		return 80
	case "https", "wss":
		return 443
	default:
		return 0
	}
}

// source is the source expression for u alone on the page at that place, "" if
// there is none: a path that ends with a solidus would stand for all below it.
//
// A path on the page's own site has an expression without a scheme, which stands
// for the page's: nobody has to know it, behind a proxy that ends TLS.
func (u URL) source(page URL) string {
	text := u.Scheme + "://"
	if u.Scheme == "" {
		u, text = u.on(page), ""
	}
	if u.Scheme == "" || strings.HasSuffix(u.Path, "/") {
		return ""
	}
	text += u.Host
	if u.Port != 0 {
		text += ":" + strconv.Itoa(u.Port)
	}
	// 2.3.1: what separates directives and policies has to be encoded
	text += strings.NewReplacer(";", "%3B", ",", "%2C").Replace(u.Path)
	if s, ok := parseSource(text); !ok || !s.matches(u, u) {
		return ""
	}
	return text
}

// A source is a scheme-source or a host-source (2.3.1).
type source struct {
	scheme  string // in lower case, "" for the page's
	anyHost bool   // "*." before the host, or "*" for it
	host    string // in lower case, "" for none
	port    int    // 0 for the scheme's default
	anyPort bool
	path    string // percent-decoded, "" for any
}

// parseSource reads a host-source or scheme-source, and nothing else: "*" is
// the former, and stands for more where it stands alone.
func parseSource(text string) (s source, ok bool) {
	rest := text
	if i := strings.IndexAny(text, ":/"); i >= 0 && text[i] == ':' {
		scheme := text[:i]
		switch after := text[i+1:]; {
		case after == "":
			s.scheme = strings.ToLower(scheme)
			return s, isScheme(scheme)
		case after[0] == '/':
			if !strings.HasPrefix(after, "//") || !isScheme(scheme) {
				return s, false
			}
			s.scheme, rest = strings.ToLower(scheme), after[2:]
		}
	}

	host := rest
	if i := strings.IndexAny(rest, ":/"); i >= 0 {
		host, rest = rest[:i], rest[i:]
	} else {
		rest = ""
	}
	if host, s.anyHost = strings.CutPrefix(host, "*"); s.anyHost && host != "" {
		var dot bool
		if host, dot = strings.CutPrefix(host, "."); !dot || host == "" {
			return s, false
		}
	}
	s.host = strings.ToLower(host)
	if !isHost(s.host) && !(s.anyHost && host == "") {
		return s, false
	}

	if strings.HasPrefix(rest, ":") {
		port, path, _ := strings.Cut(rest[1:], "/")
		if len(port)+1 < len(rest) {
			path = "/" + path
		}
		rest = path
		if port == "*" {
			s.anyPort = true
		} else if n, err := strconv.ParseUint(port, 10, 31); err == nil {
			s.port = int(n)
		} else {
			return s, false
		}
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i] // not in the grammar; browsers ignore it
	}
	s.path = decodePath(rest)
	return s, true
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}

// isHost reports whether a lower-case s is made of letters, digits, hyphens and
// single dots, of which the root's may be one.
func isHost(s string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
		}) {
			return false
		}
	}
	return true
}

// decodePath decodes what is percent-encoded; both sides are compared so.
func decodePath(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}

// matches reports whether u matches the expression on a page at that place
// (6.7.2.8). Redirects are not known here; after one, paths do not count.
//
// An http expression matches https as well, if the port, too, is the default
// one or left open. That is Chromium's condition: the text has none on ports.
func (s source) matches(u, page URL) bool {
	scheme := s.scheme
	if scheme == "" {
		scheme = page.Scheme
	}
	upgraded := scheme == "http" && u.Scheme == "https" || scheme == "ws" && u.Scheme == "wss" // 6.7.2.9
	if scheme != u.Scheme && !upgraded {
		return false
	}
	if s.host == "" && !s.anyHost {
		return true
	}
	return s.matchesHost(u.Host) && s.matchesPort(u, upgraded) && s.matchesPath(u.Path)
}

// matchesHost is "host-part matches" (6.7.2.10).
func (s source) matchesHost(host string) bool {
	if s.anyHost {
		return s.host == "" || strings.HasSuffix(host, "."+s.host)
	}
	return host == s.host
}

// matchesPort is "port-part matches" (6.7.2.11).
func (s source) matchesPort(u URL, upgraded bool) bool {
	switch {
	case s.anyPort:
		return true
	case s.port == 0:
		return u.port() == defaultPort(u.Scheme)
	case upgraded:
		return s.port == 80 && u.port() == 443
	default:
		return s.port == u.port()
	}
}

// matchesPath is "path-part matches" (6.7.2.12).
func (s source) matchesPath(path string) bool {
	if s.path == "" {
		return true
	}
	path = decodePath(path)
	if strings.HasSuffix(s.path, "/") {
		return strings.HasPrefix(path, s.path)
	}
	return path == s.path
}
