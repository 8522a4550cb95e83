package csp

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// A URL is the part of a URL that policies compare: no user, no query, no fragment.
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

// StaysOn reports whether a path still leads to the page's own site if a base element
// of the page has this href, as it stands in the source. In doubt it returns false,
// because browsers and net/url read odd URLs differently.
func StaysOn(href string, page URL) bool {
	if strings.HasPrefix(href, "//") || strings.ContainsFunc(href, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '&' }) {
		return false
	}
	u, err := ParseURL(href)
	return err == nil && (u.Scheme == "" || u.Scheme == page.Scheme && u.Host == page.Host && u.port() == page.port())
}

// on returns u with the scheme and host of the page if u is only a path.
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

// portText returns the port as in the URL's normal form: "" for the default port.
func (u URL) portText() string {
	if u.Port == 0 || u.Port == defaultPort(u.Scheme) {
		return ""
	}
	return strconv.Itoa(u.Port)
}

// Origin returns the text of the URL before its path.
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

// source returns the source expression that matches only u on that page, "" if there
// is none: a path that ends with a solidus would match everything below it.
//
// For a path on the page's own site, the expression has no scheme, because Caddy may
// not know the scheme behind a proxy that terminates TLS.
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
	// 2.3.1: the separators of directives and policies must be encoded
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

// parseSource reads a host-source or scheme-source, and nothing else. It reads "*" as
// a host-source; [list.allows] knows that it matches more.
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

// isHost reports whether s, in lower case, has only letters, digits, hyphens and
// single dots. It may end with the dot of the DNS root.
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

// decodePath decodes percent-encoded characters. Paths are compared decoded.
func decodePath(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}

// matches reports whether u matches the expression on that page (6.7.2.8). It does
// not know redirects, after which browsers ignore the path.
//
// An http expression also matches https if its port is missing, any or the default.
// The condition on the port is Chromium's; the specification has none.
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
