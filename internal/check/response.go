package check

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/list"
)

// Response is a site's response to one request for the page.
type Response struct {
	URL       string // after redirects
	Redirects int    // how many were followed to it
	Status    int
	Header    http.Header
	Body      []byte    // as it was before compression
	Coding    string    // how it was compressed, "" if it was not
	Cut       bool      // the body is longer, and only its beginning was read
	parsed    *dom.Page // the body, once it was asked for
	Strange   bool      // the user's cookies were not sent, because they are for another host
}

// page returns the body as parsed by a browser.
func (a *Response) page() *dom.Page {
	if a.parsed == nil {
		a.parsed = dom.Parse(a.Body)
	}
	return a.parsed
}

// Address returns the response's URL. It can always be parsed, because it was requested.
func (a *Response) Address() *url.URL {
	u, err := url.Parse(a.URL)
	if err != nil {
		return new(url.URL)
	}
	return u
}

func (a *Response) secure() bool { return a.Address().Scheme == "https" }

func (a *Response) isHTML() bool {
	return document.IsHTML(document.ContentType(a.Header["Content-Type"]))
}

// isRedirect reports whether the response is a redirect that was not followed.
func (a *Response) isRedirect() bool {
	return 300 <= a.Status && a.Status <= 399 && a.Status != http.StatusNotModified
}

// charset returns the encoding that the Content-Type names, in lower case, "" if it
// names none.
func (a *Response) charset() string {
	return strings.ToLower(document.Charset(document.ContentType(a.Header["Content-Type"])))
}

// has reports whether a field that is a list has one of these members.
func (a *Response) has(field string, members ...string) bool {
	for _, member := range members {
		if list.Has(a.Header[field], member) {
			return true
		}
	}
	return false
}

func (a *Response) variesByCookie() bool { return a.has("Vary", "Cookie", "*") }

// etag returns the entity tag without W/, because If-None-Match compares weakly
// (RFC 9110 section 13.1.2).
func (a *Response) etag() string { return strings.TrimPrefix(a.Header.Get("Etag"), "W/") }

// list joins the lines of a field to one line.
func (a *Response) list(field string) string { return strings.Join(a.Header[field], ", ") }
