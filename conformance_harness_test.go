package kapadeflector

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

func TestConformance(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "page.html"), longPage)
	write(t, filepath.Join(root, "huge.html"), hugePage)
	write(t, filepath.Join(root, "zipped.html"), longPage)
	write(t, filepath.Join(root, "zipped.html.gz"), zipped(longPage))
	write(t, filepath.Join(root, "template.html"), strings.Replace(longPage, "t</title>", "{{.Req.URL.Path}}</title>", 1))
	write(t, filepath.Join(root, "data.json"), `{"html":"<head></head>"}`)

	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		exchangeOf(r).origin(w, r)
	}))
	t.Cleanup(origin.Close)

	var config strings.Builder
	config.WriteString("https://*.acme.com:TLS {\nabort\n}\n") // one certificate for all
	sites := differentSites()
	for i, site := range sites {
		for _, wrap := range wraps {
			for _, kapa := range []bool{false, true} {
				host := hostOf(i, wrap, kapa)
				fmt.Fprintf(&config, "http://%s:HTTP, https://%[1]s:TLS {\nconformance_outside\n%s\n}\n", host,
					strings.NewReplacer("ROOT", root, "ORIGIN", strings.TrimPrefix(origin.URL, "http://"), "NOBODY", "127.0.0.1:1").
						Replace(expand(site, wrap, kapa)))
			}
		}
	}
	s := startCaddy(t, config.String())
	clients := map[string]*http.Client{"h1": s.client("h1", "127.0.0.1"), "h2": s.client("h2", "127.0.0.1"), "h3": s.h3client()}

	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			for _, wrap := range wraps {
				for _, protocol := range []string{"h1", "h2", "h3"} {
					if sc.cannot[wrap] != "" || sc.cannot[protocol] != "" {
						continue
					}
					t.Run(wrap+" "+protocol, func(t *testing.T) {
						x := &trial{T: t, scenario: sc, number: slices.Index(sites, siteOf(sc)), server: s, client: clients[protocol], wrap: wrap, protocol: protocol}
						if sc.run != nil {
							sc.run(x)
							return
						}
						for _, cookie := range []string{unknown, denied} {
							plain, got := x.ask(false, cookie), x.ask(true, cookie)
							x.same(plain, got)
							if sc.outcome == "" && got.err == nil && !variesByCookie(got.header) {
								x.Errorf("%s: Vary: %q, though others get another page", cookie, got.header["Vary"])
							}
						}
						want := sc.want
						if want == nil {
							want = (*trial).tagged
						}
						plain := x.ask(false, granted)
						x.outcome = sc.outcome
						if x.outcome == "" {
							x.outcome = "injected"
						}
						want(x, plain, x.ask(true, granted))
					})
				}
			}
		})
	}
}

// wraps are the handlers in front of the directive.
var wraps = []string{"bare", "encode"}

// siteOf is the Caddyfile text of a scenario.
func siteOf(sc scenario) string {
	switch {
	case sc.site != "":
		return sc.site
	case sc.inside != nil:
		return insideSite
	default:
		return proxySite
	}
}

// differentSites are those of all scenarios.
func differentSites() (list []string) {
	for _, sc := range scenarios {
		if site := siteOf(sc); !slices.Contains(list, site) {
			list = append(list, site)
		}
	}
	return list
}

func hostOf(site int, wrap string, kapa bool) string {
	return fmt.Sprintf("%s-%d-%t.acme.com", wrap, site, kapa)
}

// expand replaces ENCODE and KAPA in a site; "KAPA(...)" has more lines.
func expand(site, wrap string, kapa bool) string {
	site = expandOne(site, "ENCODE", wrap == "encode", "encode {\ngzip")
	return expandOne(site, "KAPA", kapa, "kapa_deflector {\n"+requiredLines+consentLine)
}

func expandOne(site, name string, present bool, block string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(site, name)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		lines := ""
		if strings.HasPrefix(after, "(") {
			lines, after, _ = strings.Cut(after[1:], ")")
		}
		if present {
			b.WriteString(block + "\n" + lines + "\n}\n")
		}
		site = after
	}
}

// h3client speaks HTTP/3 to s.
func (s *server) h3client() *http.Client {
	transport := &http3.Transport{
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		Dial: func(ctx context.Context, _ string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, "127.0.0.1:"+s.tls, tlsConfig, config)
		},
	}
	s.t.Cleanup(func() { transport.Close() })
	return &http.Client{
		Transport:     transport,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// trial is one scenario in one surrounding over one protocol.
type trial struct {
	*testing.T
	scenario
	server         *server
	number         int // of its site
	client         *http.Client
	wrap, protocol string
	outcome        string // expected of the next requests, "" for any
}

// result is what a client got.
type result struct {
	status  int
	header  http.Header
	trailer http.Header
	hints   []textproto.MIMEHeader
	body    string // decoded, if Caddy compressed it
	length  int64  // Content-Length, -1 if there was none
	err     error  // how it broke off
}

// exchange is what the parts of one request share: the client here, and the
// handlers, which find it by a request field.
type sharedExchange struct {
	scenario
	next    chan struct{} // the client has what the origin sent
	outcome chan string   // when Caddy is done
}

var (
	exchanges   sync.Map
	exchangeIDs atomic.Int64
)

func exchangeOf(r *http.Request) *sharedExchange {
	ex, _ := exchanges.Load(r.Header.Get("X-Exchange"))
	return ex.(*sharedExchange)
}

// newRequest returns the request of a browser that opens a page. fields replace the
// browser's fields of the same name; an empty one removes the field.
func (x *trial) newRequest(kapa bool, method, path string, body io.Reader, fields ...string) (*http.Request, *sharedExchange) {
	scheme := "https"
	if x.protocol == "h1" {
		scheme = "http"
	}
	r, err := http.NewRequestWithContext(x.Context(), method, scheme+"://"+hostOf(x.number, x.wrap, kapa)+path, body)
	if err != nil {
		x.Fatal(err)
	}
	id := itoa(int(exchangeIDs.Add(1)))
	ex := &sharedExchange{x.scenario, make(chan struct{}, 1), make(chan string, 1)}
	exchanges.Store(id, ex)
	x.Cleanup(func() { exchanges.Delete(id) })

	h := r.Header
	h.Set("X-Exchange", id)
	h.Set("Accept", "text/html,*/*;q=0.8")
	h.Set("Sec-Fetch-Dest", "document")
	h.Set("Accept-Encoding", "gzip")
	for _, field := range append(slices.Clone(x.fields), fields...) {
		name, value, _ := strings.Cut(field, ": ")
		switch {
		case value == "":
			h.Del(name)
		case name == "Cookie":
			h.Add(name, value)
		default:
			h.Set(name, value)
		}
	}
	return r, ex
}

// send sends one request, and checks what it went over.
func (x *trial) send(kapa bool, method, path string, body io.Reader, fields ...string) (*http.Response, *sharedExchange, error) {
	x.Helper()
	r, ex := x.newRequest(kapa, method, path, body, fields...)
	resp, err := x.client.Do(r)
	if err == nil && fmt.Sprint("h", resp.ProtoMajor) != x.protocol {
		x.Errorf("spoke %s", resp.Proto)
	}
	return resp, ex, err
}

// ask sends the scenario's request to the site with or without the directive
// and takes the whole response.
func (x *trial) ask(kapa bool, cookie string, fields ...string) (a result) {
	x.Helper()
	method, path, body := "GET", "/", io.Reader(nil)
	if x.method != "" {
		method = x.method
	}
	if x.path != "" {
		path = x.path
	}
	if x.form != "" {
		body = strings.NewReader(x.form)
	}
	if cookie != "" {
		fields = append(fields, "Cookie: "+cookie)
	}
	r, ex := x.newRequest(kapa, method, path, body, fields...)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			a.hints = append(a.hints, h)
			return nil
		},
	}))
	defer func() {
		if kapa && cookie == granted {
			x.ended(ex, x.outcome)
		}
	}()
	resp, err := x.client.Do(r)
	if err != nil {
		a.err = err
		return a
	}
	defer resp.Body.Close()
	if fmt.Sprint("h", resp.ProtoMajor) != x.protocol {
		x.Errorf("spoke %s", resp.Proto)
	}
	a.status, a.header, a.length = resp.StatusCode, resp.Header, resp.ContentLength

	raw := &counter{Reader: resp.Body}
	from := io.Reader(raw)
	if method != "HEAD" && a.header.Get("Content-Encoding") == "gzip" {
		if from, err = gzip.NewReader(raw); err != nil {
			a.err = err
			return a
		}
	}
	var b bytes.Buffer
	for i, step := range x.steps {
		if i == len(x.steps)-1 {
			break
		}
		if kapa && cookie == granted && x.outcome == "injected" {
			step = strings.Replace(step, "</head>", staticTag+"</head>", 1)
		}
		if _, err := io.CopyN(&b, from, int64(len(step))); err != nil || !strings.HasSuffix(b.String(), step) {
			x.Fatalf("%v; got %q, flushed was %q", err, b.String(), step)
		}
		ex.next <- struct{}{}
	}
	_, a.err = io.Copy(&b, from)
	a.body, a.trailer = b.String(), resp.Trailer
	if a.err == nil && a.length >= 0 && a.length != raw.n && method != "HEAD" && a.status != 304 {
		x.Errorf("Content-Length %d of %d", a.length, raw.n)
	}
	return a
}

// ended waits until Caddy is done with an exchange, and compares its outcome.
func (x *trial) ended(ex *sharedExchange, want string) {
	x.Helper()
	select {
	case got := <-ex.outcome:
		if want != "" && got != want {
			x.Errorf("outcome %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		x.Error("Caddy does not end")
	}
}

type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}
