package check

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

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

// managed are fields that a --header must not set: the survey sets them, or something
// else has an option for them.
var managed = map[string]string{
	"Cookie": "use --cookie", "Host": "write the host into the URL", "If-None-Match": "the command sets it itself",
	"Accept-Encoding": "the command sets it itself", "Connection": "it is not sent", "Content-Length": "there is no body",
	"Transfer-Encoding": "there is no body",
}

// HeaderFields reads header fields, each as "Name: value".
func HeaderFields(typed []string) (http.Header, error) {
	h := make(http.Header)
	for i, field := range typed {
		name, value, ok := strings.Cut(field, ":")
		value = strings.TrimSpace(value)
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		switch {
		case !ok || !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("--header number %d is no name: value", i+1)
		case !httpguts.ValidHeaderFieldValue(value):
			return nil, fmt.Errorf("--header number %d holds a control character", i+1)
		case managed[name] != "":
			return nil, fmt.Errorf("--header %s: %s", name, managed[name])
		}
		h.Add(name, value)
	}
	return h, nil
}
