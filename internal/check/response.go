package check

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/list"
)

// Response is what a site answered to one request for the page.
type Response struct {
	URL       string // of the page that answered, after redirects
	Redirects int    // how many were followed to it
	Status    int
	Header    http.Header
	Body      []byte // as it was before compression
	Coding    string // by which it was compressed, "" for not at all
	Cut       bool   // the body goes on, and was not read to its end
}

// address is the response's URL. One that cannot be parsed was never asked.
func (a *Response) address() *url.URL {
	u, err := url.Parse(a.URL)
	if err != nil {
		return new(url.URL)
	}
	return u
}

func (a *Response) secure() bool { return a.address().Scheme == "https" }

func (a *Response) isHTML() bool {
	return document.IsHTML(document.ContentType(a.Header["Content-Type"]))
}

// isRedirect reports whether the response leads on to a place that was not asked.
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

// etag is the entity tag without the mark of a weak one, which compares alike
// in If-None-Match (RFC 9110 section 8.8.3.2).
func (a *Response) etag() string { return strings.TrimPrefix(a.Header.Get("Etag"), "W/") }

// list joins the lines of a field as if they were one.
func (a *Response) list(field string) string { return strings.Join(a.Header[field], ", ") }
