package check

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/net/publicsuffix"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/authority"
)

// Limits for one request. The pages that people open are far smaller than 4 MiB; reading
// more would only give a page that decompresses to gigabytes something to do.
const (
	surveyTime      = 20 * time.Second
	surveyBody      = 4 << 20
	surveyHeader    = 1 << 20
	surveyRedirects = 10
)

// surveyFields are the request fields of a browser whose user has followed a link
// (https://www.w3.org/TR/fetch-metadata/). Browsers accept br as well. Decoding it
// would need another dependency, and a site with br also has gzip.
var surveyFields = map[string]string{
	"User-Agent":                "Mozilla/5.0 (compatible; caddy-kapa-check)",
	"Accept":                    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
	"Accept-Encoding":           "gzip, zstd",
	"Accept-Language":           "en",
	"Sec-Fetch-Dest":            "document",
	"Sec-Fetch-Mode":            "navigate",
	"Sec-Fetch-User":            "?1",
	"Upgrade-Insecure-Requests": "1",
}

// A Survey asks a running site for a page, as visitors.
type Survey struct {
	Transport http.RoundTripper

	// Header has further fields for every request to the host that is asked.
	Header http.Header
}

// NewSurvey returns a survey over the network. If insecure is true, it accepts any
// certificate.
func NewSurvey(insecure bool) Survey {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return Survey{Transport: &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			if authority.IsLoopback(r.URL.Hostname()) {
				return nil, nil
			}
			return http.ProxyFromEnvironment(r)
		},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, port, err := net.SplitHostPort(addr); err == nil && strings.HasSuffix(host, ".localhost") {
				addr = net.JoinHostPort("localhost", port) // RFC 6761 section 6.3, as browsers do
			}
			return dialer.DialContext(ctx, network, addr)
		},
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: insecure},
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: surveyHeader,
	}}
}

// Ask asks for the page at that address, without and with the cookies of a visitor who has
// consented, and then with the entity tags of both. If notRequired, the site asks
// nobody for consent, and Ask does not ask without the cookies.
func (s Survey) Ask(ctx context.Context, address *url.URL, cookies string, notRequired bool) (Site, error) {
	site := Site{URL: address.String(), Cookies: cookieNames(cookies), NotRequired: notRequired, secrets: s.secrets(address, cookies)}
	stranger, consented := newGuest(s, address, ""), newGuest(s, address, cookies)

	var err error
	if !notRequired {
		if site.Without, err = stranger.visit(ctx, address); err != nil {
			return site, fmt.Errorf("without cookies: %w", err)
		}
	}
	if notRequired || cookies != "" {
		if site.With, err = consented.visit(ctx, address); err != nil {
			return site, fmt.Errorf("as a visitor with consent: %w", err)
		}
		if err := s.askAgain(ctx, &site, stranger, consented); err != nil {
			return site, err
		}
	}
	if err := s.askTheEdge(ctx, &site, stranger, consented); err != nil {
		return site, err
	}
	site.WithAfresh = consented.visitAfresh(ctx, site.With)
	site.WithoutAfresh = stranger.visitAfresh(ctx, site.Without)
	return site, nil
}

// askTheEdge asks what the loaders of the pages ask, if they have one.
func (s Survey) askTheEdge(ctx context.Context, site *Site, stranger, consented *guest) (err error) {
	if site.WithoutAnswer, err = stranger.ask(ctx, site.Without, nil); err != nil {
		return err
	}
	page := cmp.Or(site.With, site.Without)
	platforms := findLoader(page.page()).adapters()
	if site.With == nil && platforms != nil { // no cookie shows consent there
		site.With = site.Without
	}
	// A new visitor may belong to those from whom an experiment keeps the tag. The next
	// new visitor may not.
	for range mostVisitors {
		site.WithAnswer, err = consented.ask(ctx, site.With, platforms)
		if err != nil || !isHeldOut(site.WithAnswer) {
			return err
		}
		site.HeldOut++
	}
	return nil
}

// mostVisitors is how many new visitors ask until one gets the tag.
const mostVisitors = 8

// Open opens the page at that address, once, with these cookies.
func (s Survey) Open(ctx context.Context, address *url.URL, cookies string) (*Response, error) {
	return newGuest(s, address, cookies).visit(ctx, address)
}

// askAgain asks for the page as a visitor with a copy of it does.
func (s Survey) askAgain(ctx context.Context, site *Site, stranger, consented *guest) (err error) {
	with := site.With.Header.Get("Etag")
	if site.Again, err = consented.revisit(ctx, site.With.URL, with); err != nil || site.Without == nil {
		return err
	}
	if with != "" {
		if site.WithdrawnAgain, err = stranger.revisit(ctx, site.With.URL, with); err != nil {
			return err
		}
	}
	if without := site.Without.Header.Get("Etag"); without != "" && site.Without.URL == site.With.URL {
		site.GrantedAgain, err = consented.revisit(ctx, site.Without.URL, without)
	}
	return err
}

// A guest is a visitor with the given cookies and those that redirects have set. It
// does not keep the cookies of the page itself, so that each visit is a first visit.
type guest struct {
	survey  Survey
	home    *url.URL // the address that it was asked to open
	cookies string
	fields  map[string]string // in place of some of surveyFields; an empty value removes one
	jar     http.CookieJar
}

func newGuest(s Survey, home *url.URL, cookies string) *guest {
	jar, _ := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List}) // it has no error to return
	return &guest{survey: s, home: home, cookies: cookies, jar: jar}
}

// visit opens a page and follows redirects that stay on the site and do not lead from
// https to http.
func (g *guest) visit(ctx context.Context, address *url.URL) (*Response, error) {
	for n := 0; ; n++ {
		response, err := g.request(ctx, address, "")
		if err != nil {
			return nil, err
		}
		response.Redirects = n
		next := redirect(address, response)
		if next == nil || n == surveyRedirects || !isSameSite(address, next) || address.Scheme == "https" && next.Scheme != "https" {
			return response, nil
		}
		g.jar.SetCookies(address, (&http.Response{Header: response.Header}).Cookies())
		if next.User == nil && next.Host == address.Host {
			next.User = address.User
		}
		address = next
	}
}

// revisit asks for a page of which the guest has a copy with this entity tag.
func (g *guest) revisit(ctx context.Context, address, etag string) (*Response, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	response, err := g.request(ctx, u, etag)
	if err != nil {
		return nil, fmt.Errorf("asking again: %w", err)
	}
	return response, nil
}

// visitAfresh asks again for a page that came from a cache, at a URL that is in no
// cache. It returns nil if the page did not come from a cache, or if the request
// fails.
func (g *guest) visitAfresh(ctx context.Context, a *Response) *Response {
	if a == nil || a.FromCache() == "" {
		return nil
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		return nil
	}
	u.RawQuery = strings.TrimPrefix(u.RawQuery+"&kapa-check="+rand.Text(), "&")
	afresh, err := g.request(ctx, u, "")
	if err != nil {
		return nil
	}
	return afresh
}

// request asks for a page, of which the guest has a copy with this entity tag, "" for none.
func (g *guest) request(ctx context.Context, address *url.URL, etag string) (*Response, error) {
	return g.send(ctx, address, func(r *http.Request) {
		if etag != "" {
			r.Header.Set("If-None-Match", etag)
		}
	})
}

// send sends a request, to which change has been applied.
func (g *guest) send(ctx context.Context, address *url.URL, change func(*http.Request)) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, surveyTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, err
	}
	g.setFields(r)
	change(r)
	if address.User != nil {
		password, _ := address.User.Password()
		r.SetBasicAuth(address.User.Username(), password)
	}

	resp, err := g.survey.Transport.RoundTrip(r)
	if err != nil {
		return nil, explain(err)
	}
	defer resp.Body.Close()
	content, coding, err := decompressed(resp)
	if err != nil {
		return nil, explain(err)
	}
	defer content.Close()
	body, err := io.ReadAll(io.LimitReader(content, surveyBody+1))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off after %d bytes: %w", len(body), explain(err))
	}
	return &Response{
		Strange: g.cookies != "" && !g.isHome(address),
		URL:     address.String(),
		Status:  resp.StatusCode,
		Header:  resp.Header,
		Body:    body[:min(len(body), surveyBody)],
		Coding:  coding,
		Cut:     len(body) > surveyBody,
	}, nil
}

// largestWindow is the largest window of a zstd frame that browsers accept (RFC 9659).
const largestWindow = 8 << 20

// decompressed returns the body without its compression, and the coding, "" if it was
// not compressed. A body with a coding that was not accepted stays as it is, and so
// does its header.
func decompressed(resp *http.Response) (content io.ReadCloser, coding string, err error) {
	body := bufio.NewReader(resp.Body)
	if _, err := body.Peek(1); err == io.EOF {
		return io.NopCloser(body), "", nil // such as that of a 304
	}
	coding = strings.ToLower(resp.Header.Get("Content-Encoding"))
	switch coding {
	case "gzip", "x-gzip":
		content, err = gzip.NewReader(body)
	case "zstd":
		var z *zstd.Decoder
		z, err = zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(largestWindow))
		if err == nil {
			content = z.IOReadCloser()
		}
	default:
		return io.NopCloser(body), "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("the response is not compressed with %s, as its Content-Encoding says: %w", coding, err)
	}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	return content, coding, nil
}

// setFields sets the fields of a request. What the user has passed goes to the host that
// it is for: cookies as browsers send host-only ones, to every port (RFC 6265bis section
// 5.8.3), other fields to the one port.
func (g *guest) setFields(r *http.Request) {
	for name, value := range surveyFields {
		r.Header.Set(name, value)
	}
	for name, value := range g.fields {
		if r.Header.Set(name, value); value == "" {
			r.Header.Del(name)
		}
	}
	referer := (&url.URL{Scheme: g.home.Scheme, Host: g.home.Host, Path: "/"}).String()
	r.Header.Set("Referer", referer)
	if r.URL.Host == g.home.Host {
		for name, values := range g.survey.Header {
			r.Header[name] = values
		}
	}
	r.Header.Set("Sec-Fetch-Site", sentFrom(r.Header.Get("Referer"), r.URL))
	if cookies := g.cookieHeader(r.URL); cookies != "" {
		r.Header["Cookie"] = []string{cookies}
	}
}

// sentFrom returns the Sec-Fetch-Site of a link on the page at referer.
func sentFrom(referer string, to *url.URL) string {
	from, err := url.Parse(referer)
	switch {
	case err != nil || from.Host == "":
		return "none"
	case from.Scheme == to.Scheme && strings.EqualFold(from.Host, to.Host):
		return "same-origin"
	case from.Scheme == to.Scheme && isSameSite(from, to):
		return "same-site"
	default:
		return "cross-site"
	}
}

// isHome reports whether the user's cookies may be sent to an address. A browser sends a
// cookie without Domain to no other host, and nothing says that the user's have one.
func (g *guest) isHome(address *url.URL) bool {
	return strings.EqualFold(address.Hostname(), g.home.Hostname())
}

// cookieHeader returns the Cookie field that the guest sends to that address.
func (g *guest) cookieHeader(address *url.URL) string {
	cookies := ""
	if g.isHome(address) {
		cookies = g.cookies
	}
	given := cookieNames(cookies)
	for _, c := range g.jar.Cookies(address) {
		if !slices.Contains(given, c.Name) {
			cookies = strings.TrimPrefix(cookies+"; "+c.Name+"="+c.Value, "; ")
		}
	}
	return cookies
}

// cookieNames returns the names in a Cookie field.
func cookieNames(header string) (names []string) {
	for pair := range strings.SplitSeq(header, ";") {
		if name, _, ok := strings.Cut(pair, "="); ok {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// redirect returns the target of a redirect, nil if the response is none.
func redirect(from *url.URL, a *Response) *url.URL {
	switch a.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil
	}
	location := a.Header.Get("Location")
	next, err := from.Parse(location)
	if err != nil || location == "" || next.Scheme != "http" && next.Scheme != "https" {
		return nil
	}
	next.Fragment = ""
	return next
}

// isSameSite reports whether a visitor's cookies may be sent to both addresses.
func isSameSite(a, b *url.URL) bool {
	if strings.EqualFold(a.Hostname(), b.Hostname()) {
		return true
	}
	siteA, errA := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(a.Hostname()))
	siteB, errB := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(b.Hostname()))
	return errA == nil && errB == nil && siteA == siteB && net.ParseIP(a.Hostname()) == nil
}

// explain adds a hint to errors that the user can mend.
func explain(err error) error {
	var unknown x509.UnknownAuthorityError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &plain):
		return fmt.Errorf("%w: it answers without TLS: ask http://", err)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; --insecure accepts a certificate of Caddy's internal CA", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no whole response within %s", surveyTime)
	default:
		return err
	}
}
