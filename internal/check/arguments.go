package check

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/authority"
)

// ParseAddress reads the URL of a page. The scheme is optional.
func ParseAddress(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "https://" + s
		if u, err := url.Parse(s); err == nil && authority.IsLoopback(u.Hostname()) {
			u.Scheme = "http"
			s = u.String()
		}
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("the URL cannot be parsed") // the error would repeat all of it
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return nil, fmt.Errorf("the URL %q: must begin with http:// or https:// and name a host", u.Redacted())
	}
	u.Fragment = ""
	return u, nil
}

// CookieHeader joins cookies as a browser sends them. It accepts every value that a
// header field can carry.
func CookieHeader(typed []string) (string, error) {
	for i, c := range typed {
		name, _, ok := strings.Cut(c, "=")
		if !ok || strings.TrimSpace(name) == "" {
			return "", fmt.Errorf("--cookie number %d is no name=value", i+1)
		}
		if strings.ContainsFunc(c, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", fmt.Errorf("--cookie number %d holds a control character", i+1)
		}
	}
	return strings.Join(typed, "; "), nil
}
