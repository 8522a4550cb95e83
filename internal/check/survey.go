package check

import (
	"bufio"
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

// What one request may cost.
const (
	surveyTime      = 30 * time.Second
	surveyBody      = 16 << 20
	surveyHeader    = 1 << 20
	surveyRedirects = 10
)

// surveyFields are those of a browser that opens a page whose address was
// typed (https://www.w3.org/TR/fetch-metadata/). Browsers accept br as well: to
// read it would take one more dependency, in every Caddy with this plugin, and a
// site that has br has gzip for those who do not.
var surveyFields = map[string]string{
	"User-Agent":                "Mozilla/5.0 (compatible; caddy-kapa-check)",
	"Accept":                    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
	"Accept-Encoding":           "gzip, zstd",
	"Accept-Language":           "en",
	"Sec-Fetch-Dest":            "document",
	"Sec-Fetch-Mode":            "navigate",
	"Sec-Fetch-Site":            "none",
	"Sec-Fetch-User":            "?1",
	"Upgrade-Insecure-Requests": "1",
}

// A Survey asks a running site for a page, as visitors.
type Survey struct{ Transport http.RoundTripper }

// NewSurvey returns a survey over the network. If insecure is true, it accepts any
// certificate.
func NewSurvey(insecure bool) Survey {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return Survey{&http.Transport{
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
// consented, and then whether what came is still good. If
// notRequired, nobody needs consent, and no visitor comes without the cookies.
func (s Survey) Ask(ctx context.Context, address *url.URL, cookies string, notRequired bool) (Site, error) {
	site := Site{URL: address.String(), Cookies: cookieNames(cookies), NotRequired: notRequired}
	stranger, consented := newGuest(s, ""), newGuest(s, cookies)

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
	site.WithAfresh = consented.visitAfresh(ctx, site.With)
	site.WithoutAfresh = stranger.visitAfresh(ctx, site.Without)
	return site, nil
}

// askAgain asks for the page as those do who have a copy.
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

// A guest is a visitor with cookies: those given, and those that redirects set
// on the way. What the page itself sets is not kept, so that each visit is a
// first one.
type guest struct {
	survey  Survey
	cookies string
	jar     http.CookieJar
}

func newGuest(s Survey, cookies string) *guest {
	jar, _ := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List}) // it has no error to return
	return &guest{survey: s, cookies: cookies, jar: jar}
}

// visit opens a page and follows redirects, as long as they stay on the site
// and do not leave https.
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

// revisit asks for a page that the guest has a copy of, with this entity tag.
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

// visitAfresh opens a page that came out of a cache at an address that no cache
// can know, for what the site itself answers. It returns nil for others, and if
// the site does not like the address: then nothing is known.
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

func (g *guest) request(ctx context.Context, address *url.URL, etag string) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, surveyTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, value := range surveyFields {
		r.Header.Set(name, value)
	}
	if cookies := g.cookieHeader(address); cookies != "" {
		r.Header["Cookie"] = []string{cookies}
	}
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
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
		URL:    address.String(),
		Status: resp.StatusCode,
		Header: resp.Header,
		Body:   body[:min(len(body), surveyBody)],
		Coding: coding,
		Cut:    len(body) > surveyBody,
	}, nil
}

// largestWindow is what browsers allow a zstd frame (RFC 9659).
const largestWindow = 8 << 20

// decompressed is the body as it was before it was compressed by coding, "" for
// not at all. Another coding than were asked for stays, and in the header, too.
func decompressed(resp *http.Response) (content io.ReadCloser, coding string, err error) {
	body := bufio.NewReader(resp.Body)
	if _, err := body.Peek(1); err == io.EOF {
		return io.NopCloser(body), "", nil // as that of a 304
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
		return nil, "", fmt.Errorf("the response is not the %s that it says it is: %w", coding, err)
	}
	resp.Header.Del("Content-Encoding")
	resp.Header.Del("Content-Length")
	return content, coding, nil
}

// cookieHeader is what the guest sends to that address.
func (g *guest) cookieHeader(address *url.URL) string {
	cookies := g.cookies
	for _, c := range g.jar.Cookies(address) {
		if !slices.Contains(cookieNames(g.cookies), c.Name) {
			cookies = strings.TrimPrefix(cookies+"; "+c.Name+"="+c.Value, "; ")
		}
	}
	return cookies
}

// cookieNames are the names in a Cookie header.
func cookieNames(header string) (names []string) {
	for pair := range strings.SplitSeq(header, ";") {
		if name, _, ok := strings.Cut(pair, "="); ok {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// redirect is where a response sends its visitor, nil for nowhere.
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

// isSameSite reports whether visitors' cookies may go from the one address to
// the other.
func isSameSite(a, b *url.URL) bool {
	if strings.EqualFold(a.Hostname(), b.Hostname()) {
		return true
	}
	siteA, errA := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(a.Hostname()))
	siteB, errB := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(b.Hostname()))
	return errA == nil && errB == nil && siteA == siteB && net.ParseIP(a.Hostname()) == nil
}

// explain says more about errors for which there is something to do.
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
