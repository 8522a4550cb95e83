package faults

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"debug/buildinfo"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// What becomes of a tagged page when something goes wrong on the way, when
// there is very much of it, or when Caddy's configuration changes underneath.

// faultyEdge is a Caddy before an origin of the test's own.
type faultyEdge struct {
	*testenv.Caddy
	config string // its Caddyfile
	socket string // where it listens besides
}

// plainHost is the name of a site beside it that lacks only the directive.
const plainHost = "plain.acme.com"

// newFaultyEdge starts Caddy with its admin endpoint, which also tells about
// goroutines, on what the harness has for the sample site's port.
func newFaultyEdge(t *testing.T, origin http.HandlerFunc) *faultyEdge {
	t.Helper()
	upstream := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" { // by which the harness finds out that all is up
			origin(w, r)
		}
	}))
	socket := filepath.Join(t.TempDir(), "edge.sock")
	e := &faultyEdge{socket: socket, config: `
{
	auto_https off
	admin 127.0.0.1:{$SITE_PORT}
	persist_config off
	grace_period 2s
	servers {
		protocols h1 h2c
	}
}
http://:{$EDGE_PORT} {
	bind 127.0.0.1 unix/` + socket + `
	header X-Config A
	kapa_deflector {` + testenv.Required + `
		consent cookie cookie_consent accepted
	}
	reverse_proxy ` + upstream + `
}
http://` + plainHost + `:{$EDGE_PORT} {
	bind 127.0.0.1 unix/` + socket + `
	header X-Config A
	reverse_proxy ` + upstream + `
}`}
	e.Caddy = testenv.StartCaddy(t, e.config)
	return e
}

// protocols are what the edge speaks.
var protocols = []string{"h1", "h2"}

// speaking is a client with connections of its own.
func speaking(t *testing.T, protocol string) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols), MaxIdleConnsPerHost: 64}
	transport.Protocols.SetHTTP1(protocol == "h1")
	transport.Protocols.SetUnencryptedHTTP2(protocol == "h2")
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// open asks for a page as a visitor who has consented.
func (e *faultyEdge) open(ctx context.Context, client *http.Client, path string) (*http.Response, error) {
	return e.openOn(ctx, client, "127.0.0.1", path)
}

func (e *faultyEdge) openOn(ctx context.Context, client *http.Client, host, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.Edge(host, path), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Sec-Fetch-Dest", "document")
	req.Header.Set("Cookie", "cookie_consent=accepted; kapa_web_id=11111111-1111-4111-8111-111111111111")
	return client.Do(req)
}

// bounded is a context for something that may take long, but not forever.
func bounded(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// The page that all of this is about: its head, and where the tag belongs.
const (
	faultyHead = "<!doctype html><html><head><title>t</title>"
	faultyBody = "</head><body><p>b</p>"
)

// The origin, or the visitor, goes away

// An origin that dies leaves a page that is cut short. Its visitor has to see
// that it is: an error, not a page that ends well.
func TestAPageWhoseOriginDiesIsBrokenOff(t *testing.T) {
	deaths := map[string]struct {
		sent   string // of the page
		length bool   // whether its length was told before
	}{
		"before the head":                  {"", false},
		"in the head":                      {faultyHead, false},
		"in the head, with a length":       {faultyHead, true},
		"in a tag of the head":             {faultyHead + "<link rel", false},
		"in the head's end":                {faultyHead + "</hea", false},
		"in a long head":                   {faultyHead + "<style>" + strings.Repeat("/* */", 20<<10), false},
		"behind the head":                  {faultyHead + faultyBody, false},
		"in the body, with a length":       {faultyHead + faultyBody + strings.Repeat("<p>c", 20<<10), true},
		"in the body, and it was gzip":     {"gzip", false},
		"in the body, of unknown length":   {faultyHead + faultyBody + strings.Repeat("<p>c", 20<<10), false},
		"at the end, but for the last </p": {faultyHead + faultyBody + "</body></html", true},
	}
	e := newFaultyEdge(t, func(w http.ResponseWriter, r *http.Request) {
		death := deaths[r.URL.Query().Get("death")]
		w.Header().Set("Content-Type", "text/html")
		if death.length {
			w.Header().Set("Content-Length", strconv.Itoa(len(death.sent)+1))
		}
		if death.sent == "gzip" {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, faultyHead+faultyBody+strings.Repeat("<p>c", 20<<10))
			_ = z.Flush()
		} else {
			_, _ = io.WriteString(w, death.sent)
		}
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // the connection is closed, as when a process is killed
	})
	for _, protocol := range protocols {
		client := speaking(t, protocol)
		for name := range deaths {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				resp, err := e.open(bounded(t, testenv.Patience), client, "/page?death="+strings.ReplaceAll(name, " ", "+"))
				if err != nil {
					t.Logf("no answer: %v", err)
					return
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if errors.Is(err, context.DeadlineExceeded) {
					t.Fatal("the response does not end")
				}
				if err == nil && resp.StatusCode == http.StatusOK {
					t.Errorf("a page of %d bytes that ends well: %.200q %v", len(body), body, resp.Header)
				}
				t.Logf("status %d, %d bytes, %v", resp.StatusCode, len(body), err)
			})
		}
	}
}

// A visitor who leaves, leaves nothing behind.
func TestAVisitorWhoLeavesMidPageLeavesNoGoroutine(t *testing.T) {
	const endless = "/endless"
	endlessText := plainText(64 << 10)
	var started, ended atomic.Int64
	e := newFaultyEdge(t, func(w http.ResponseWriter, r *http.Request) {
		started.Add(1)
		defer ended.Add(1)
		w.Header().Set("Content-Type", "text/html")
		var out io.Writer = w
		if r.URL.Query().Has("gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			out = gzip.NewWriter(w)
		}
		page := faultyHead + faultyBody
		switch {
		case r.URL.Query().Has("nothing"):
			page = ""
		case r.URL.Query().Has("head"):
			page = faultyHead
		}
		if w.Header().Get("Content-Encoding") == "gzip" && !r.URL.Query().Has("stalls") {
			// made once: it is not the origin's work that takes the time
			_ = gzipRepeated(w, page, endlessText, 1<<40)
			return
		}
		_, _ = io.WriteString(out, page)
		if z, ok := out.(*gzip.Writer); ok {
			_ = z.Flush()
		}
		_ = http.NewResponseController(w).Flush()
		if r.URL.Query().Has("stalls") {
			<-r.Context().Done()
			return
		}
		for { // until nobody takes it
			if _, err := w.Write(endlessText); err != nil {
				return
			}
		}
	})
	t.Run("a visitor who stays is seen", func(t *testing.T) { // or what follows would say nothing
		resp, err := e.open(bounded(t, testenv.Patience), speaking(t, "h1"), endless+"?stalls")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if in, stacks := e.InPlugin(t); !in {
			t.Errorf("no goroutine is in the plugin:\n%s", stacks)
		}
	})
	for _, protocol := range protocols {
		for _, page := range []string{"?", "?stalls", "?head&stalls", "?nothing&stalls", "?gzip", "?gzip&stalls", "?gzip&head&stalls"} {
			t.Run(protocol+"/"+page, func(t *testing.T) {
				client := speaking(t, protocol)
				const visitors = 10
				before := started.Load()
				var visits sync.WaitGroup
				for range visitors {
					visits.Go(func() {
						ctx, leave := context.WithCancel(bounded(t, testenv.Patience))
						defer leave()
						if strings.Contains(page, "nothing") { // not even a header comes
							go func() {
								for started.Load()-before < visitors && ctx.Err() == nil {
									time.Sleep(time.Millisecond)
								}
								leave()
							}()
						}
						resp, err := e.open(ctx, client, endless+page)
						if err != nil {
							return
						}
						_, _ = io.CopyN(io.Discard, resp.Body, 20)
						leave()
						resp.Body.Close()
					})
				}
				visits.Wait()
				testenv.Eventually(t, "the origin is told that its visitors left", func() bool {
					return started.Load()-before == visitors && ended.Load() == started.Load()
				})
				e.WantIdle(t)
			})
		}
	}
	t.Logf("%d pages were left", started.Load())
}

// The configuration changes under load

// Reloading is no reason for a visitor to see an error: every response that has
// begun is whole, and every request gets one.
//
// What no handler sees, none can answer: Go's server closes a connection of
// HTTP/1 without a word if it has read a request on it when it is told to shut
// down (net/http, conn.serve: "if c.server.shuttingDown() { return }"), and the
// kernel resets those that wait in the queue of a TCP port that is listened to
// anew. The load therefore comes over a Unix socket, which Caddy hands on, and
// what is closed before the first byte of an answer, and has not reached the
// origin, is asked for again, as browsers, proxies and Go do on connections
// that they had. Such requests are counted apart; the same load on a site
// without the directive, on the same listener at the same time, shows that they
// are not the directive's. All other failures are, and there are to be none.
func TestNoRequestFailsWhileTheConfigurationIsReloaded(t *testing.T) {
	reloads := 30
	if s := os.Getenv("KAPA_RELOADS"); s != "" {
		var err error
		if reloads, err = strconv.Atoi(s); err != nil {
			t.Fatalf("KAPA_RELOADS: %v", err)
		}
	}
	page := faultyHead + faultyBody + strings.Repeat("<p>c</p>", 2<<10)
	var arrived sync.Map // the numbers of the requests that came to the origin
	e := newFaultyEdge(t, func(w http.ResponseWriter, r *http.Request) {
		arrived.Store(r.URL.Query().Get("number"), true)
		w.Header().Set("Content-Type", "text/html")
		half := len(page) / 2
		_, _ = io.WriteString(w, page[:half])
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, page[half:])
	})
	configs := []string{e.config, strings.ReplaceAll(e.config, "X-Config A", "X-Config B")}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var load sync.WaitGroup
	sites := []*reloadedSite{{host: "127.0.0.1", tagged: true}, {host: plainHost}}
	var number atomic.Int64
	for _, protocol := range protocols {
		for _, site := range sites {
			client := speaking(t, protocol)
			client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", e.socket)
			}
			for range 4 {
				load.Go(func() {
					for ctx.Err() == nil {
						site.requests.Add(1)
						for attempt := 1; ; attempt++ {
							id := strconv.FormatInt(number.Add(1), 10)
							trace := new(connectionTrace)
							err := e.wantWhole(trace.into(t.Context()), client, site, "/page?number="+id, page)
							if err == nil {
								if trace.reused.Load() {
									site.reused.Add(1)
								}
								break
							}
							_, seen := arrived.Load(id)
							what := fmt.Sprintf("%s, %s, attempt %d, on connection %d (used before: %v; came to the origin: %v; answered: %v): %v",
								site.host, protocol, attempt, trace.connections.Load(), trace.reused.Load(), seen, trace.answered.Load(), err)
							if !seen && !trace.answered.Load() && attempt < 3 {
								site.unseen.Add(1)
								t.Log(what)
								continue
							}
							t.Error(what)
							if site.failed.Add(1) > 20 {
								cancel()
							}
							break
						}
					}
				})
			}
		}
	}
	for i, tick := 1, time.Tick(200*time.Millisecond); i <= reloads && ctx.Err() == nil; i++ {
		<-tick
		if err := e.Load(t.Context(), configs[i%2]); err != nil {
			t.Errorf("reload %d: %v", i, err)
			break
		}
	}
	cancel()
	load.Wait()
	with, without := sites[0], sites[1]
	t.Logf("%d reloads; with the directive: %s; without: %s", reloads, with, without)
	for _, site := range sites {
		if site.byConfig[0].Load() == 0 || site.byConfig[1].Load() == 0 || site.reused.Load() == 0 {
			t.Errorf("%s: the load did not meet both configurations over connections that are kept", site.host)
		}
	}
	if with.failed.Load() != 0 {
		t.Errorf("%d requests failed for which the directive is answerable", with.failed.Load())
	}
	// chance alone does not spare the one site twenty times
	if with.unseen.Load() >= 20 && without.unseen.Load() == 0 {
		t.Error("only with the directive are connections closed without an answer")
	}
	e.WantIdle(t)
}

// reloadedSite is a site under load, and what became of its requests.
type reloadedSite struct {
	host     string
	tagged   bool
	requests atomic.Int64
	failed   atomic.Int64
	reused   atomic.Int64 // answered on connections that were used before
	unseen   atomic.Int64 // attempts that were closed before any handler saw them
	byConfig [2]atomic.Int64
}

func (s *reloadedSite) String() string {
	return fmt.Sprintf("%d requests, %d failed, %d asked again that no handler had seen; %d on connections that were used before, %d with config A, %d with B",
		s.requests.Load(), s.failed.Load(), s.unseen.Load(), s.reused.Load(), s.byConfig[0].Load(), s.byConfig[1].Load())
}

// wantWhole opens a page of a site and returns an error if anything is wrong
// with it.
func (e *faultyEdge) wantWhole(ctx context.Context, client *http.Client, site *reloadedSite, path, page string) error {
	ctx, cancel := context.WithTimeout(ctx, testenv.Patience)
	defer cancel()
	resp, err := e.openOn(ctx, client, site.host, path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	tag, rest := testenv.CutTag(string(body))
	if resp.StatusCode != http.StatusOK || (tag != "") != site.tagged || rest != page {
		return fmt.Errorf("status %d, tag %q, %d bytes otherwise", resp.StatusCode, tag, len(rest))
	}
	switch resp.Header.Get("X-Config") {
	case "A":
		site.byConfig[0].Add(1)
	case "B":
		site.byConfig[1].Add(1)
	default:
		return fmt.Errorf("the header is of no configuration: %v", resp.Header)
	}
	return nil
}

// connectionTrace tells what connections a request was sent on.
type connectionTrace struct {
	connections atomic.Int64
	reused      atomic.Bool // the last one had been used before
	answered    atomic.Bool // a byte came back
}

func (c *connectionTrace) into(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			c.connections.Add(1)
			c.reused.Store(info.Reused)
		},
		GotFirstResponseByte: func() { c.answered.Store(true) },
	})
}

// Many visitors, and long pages

// Visitors with slow connections, and origins that are slow within the head,
// cost memory for each that is bounded, and nobody else's page.
func TestFiveHundredSlowReadersGetTheirPages(t *testing.T) {
	const (
		readers = 500
		size    = 64 << 10
		bite    = 2 << 10
	)
	pageFor := func(reader string) string {
		page := faultyHead + "<meta name=reader content=" + reader + ">" + faultyBody
		return page + strings.Repeat("r"+reader+" ", size/3)[:size-len(page)]
	}
	var arrived sync.WaitGroup
	arrived.Add(readers)
	e := newFaultyEdge(t, func(w http.ResponseWriter, r *http.Request) {
		page := pageFor(r.URL.Query().Get("reader"))
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, page[:len(faultyHead)+5])
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/slow" {
			arrived.Done()
			arrived.Wait() // all of them are held in the head
		}
		_, _ = io.WriteString(w, page[len(faultyHead)+5:])
	})
	dialer := &net.Dialer{}
	transport := &http.Transport{
		DisableCompression: true, DisableKeepAlives: true, ReadBufferSize: 1 << 10,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err == nil {
				err = conn.(*net.TCPConn).SetReadBuffer(4 << 10) // so that what is not read waits in Caddy
			}
			return conn, err
		},
	}
	client := &http.Client{Transport: transport}
	ctx := bounded(t, 2*time.Minute)

	if err := e.wantPage(ctx, client, "/warm?reader=0", pageFor("0"), nil); err != nil {
		t.Fatal(err)
	}
	before := e.memory(t)

	// All read one bite, and then all the next one.
	rounds := make([]struct {
		begin chan struct{}
		end   sync.WaitGroup
	}, 2*size/bite)
	for i := range rounds {
		rounds[i].begin = make(chan struct{})
		rounds[i].end.Add(readers)
	}
	var done sync.WaitGroup
	var finished atomic.Int64
	for reader := range readers {
		done.Go(func() {
			round := 0
			defer func() {
				for ; round < len(rounds); round++ {
					rounds[round].end.Done()
				}
			}()
			id := strconv.Itoa(reader)
			err := e.wantPage(ctx, client, "/slow?reader="+id, pageFor(id), func(body io.Reader) io.Reader {
				return readerFunc(func(p []byte) (int, error) {
					if round == len(rounds) {
						return 0, errors.New("the page is too long")
					}
					<-rounds[round].begin
					n, err := body.Read(p[:min(len(p), bite)])
					rounds[round].end.Done()
					round++
					return n, err
				})
			})
			if err != nil {
				t.Errorf("reader %d: %v", reader, err)
				return
			}
			finished.Add(1)
		})
	}
	for i := range rounds {
		close(rounds[i].begin)
		rounds[i].end.Wait()
	}
	done.Wait()

	after := e.memory(t)
	grown := after.peak - before.now
	t.Logf("%d of %d readers have their %d KB; Caddy's memory: %d MB before, %d MB at most, %d KB for each",
		finished.Load(), readers, size>>10, before.now>>20, after.peak>>20, grown>>10/readers)
	if limit := e.allowance(t, 150<<20); grown > limit {
		t.Errorf("Caddy's memory grew by %d MB, want at most %d", grown>>20, limit>>20)
	}
	e.WantIdle(t)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// wantPage opens a page that is tagged, reads it as slowly says, and returns
// an error if it is not page with one tag.
func (e *faultyEdge) wantPage(ctx context.Context, client *http.Client, path, page string, slowly func(io.Reader) io.Reader) error {
	resp, err := e.open(ctx, client, path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var r io.Reader = resp.Body
	if slowly != nil {
		r = slowly(r)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if tag, rest := testenv.CutTag(string(body)); tag == "" || rest != page {
		return fmt.Errorf("tag %q, and %d bytes otherwise, want the %d of the page", tag, len(rest), len(page))
	}
	return nil
}

// streamLength is more than twice what Caddy's memory may grow by.
const streamLength = 64 << 20

// However long a page is, Caddy's memory does not grow with it.
func TestLongPagesAreStreamedInConstantMemory(t *testing.T) {
	unit := plainText(1 << 20)

	streams := []struct {
		name    string
		before  string // the tag
		after   string // the tag, and then the unit again and again
		gzipped bool
		tagged  bool
	}{
		{name: "tagged", before: faultyHead, after: faultyBody, tagged: true},
		{name: "a head that never ends", before: faultyHead + "<!--"},
		{name: "gzip", before: faultyHead, after: faultyBody, gzipped: true, tagged: true},
		{name: "gzip of a head that never ends", before: faultyHead + "<!--", gzipped: true},
	}
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			e := newFaultyEdge(t, func(w http.ResponseWriter, r *http.Request) {
				length, _ := strconv.Atoi(r.URL.Query().Get("length"))
				w.Header().Set("Content-Type", "text/html")
				if s.gzipped {
					w.Header().Set("Content-Encoding", "gzip")
					_ = gzipRepeated(w, s.before+s.after, unit, length)
					return
				}
				_, _ = io.WriteString(w, s.before+s.after)
				_, _ = io.Copy(w, &repeated{unit: unit, left: length})
			})
			client := speaking(t, "h1")
			tag := ""
			read := func(length int) (n int64, err error) {
				resp, err := e.open(bounded(t, 5*time.Minute), client, "/stream?length="+strconv.Itoa(length))
				if err != nil {
					return 0, err
				}
				defer resp.Body.Close()
				var text io.Reader = resp.Body
				if resp.Header.Get("Content-Encoding") == "gzip" { // it stays so
					if text, err = gzip.NewReader(resp.Body); err != nil {
						return 0, err
					}
				}
				body := bufio.NewReaderSize(text, 256<<10)
				if s.tagged {
					start, err := body.Peek(4 << 10)
					if err != nil {
						return 0, err
					}
					if tag, _ = testenv.CutTag(string(start)); tag == "" {
						return 0, fmt.Errorf("no tag in %.1000q", start)
					}
				}
				return same(body, io.MultiReader(strings.NewReader(s.before+tag+s.after), &repeated{unit: unit, left: length}))
			}
			if _, err := read(4 << 20); err != nil { // whatever is made once is made
				t.Fatal(err)
			}
			before := e.memory(t)
			n, err := read(streamLength)
			if err != nil {
				t.Fatalf("after %d bytes: %v", n, err)
			}
			after := e.memory(t)
			grown := after.peak - before.now
			t.Logf("%d bytes as they should be; Caddy's memory: %d KB before, %d KB after, at most %d KB",
				n, before.now>>10, after.now>>10, after.peak>>10)
			if limit := e.allowance(t, 30<<20); grown > limit {
				t.Errorf("Caddy's memory grew by %d MB, want at most %d", grown>>20, limit>>20)
			}
		})
	}
}

// plainText is text that does not compress too well, so that it passes for a
// page's.
func plainText(length int) []byte {
	var text bytes.Buffer
	for random := rand.New(rand.NewPCG(1, 2)); text.Len() < length; {
		fmt.Fprintf(&text, "<p>%x</p>\n", random.Uint64())
	}
	return text.Bytes()[:length]
}

// A page that would grow without end when it is searched for the end of its head is
// broken off early.
func TestADecompressionBombIsBrokenOff(t *testing.T) {
	zeros := make([]byte, 1<<20)
	e := newFaultyEdge(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Encoding", "gzip")
		_ = gzipRepeated(w, faultyHead+"<!--", zeros, 8*streamLength)
	})
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			before := e.memory(t)
			n := int64(0)
			resp, err := e.open(bounded(t, time.Minute), speaking(t, protocol), "/bomb")
			if err == nil { // otherwise it is broken off before anything arrives
				defer resp.Body.Close()
				n, err = io.Copy(io.Discard, resp.Body)
			}
			after := e.memory(t)
			t.Logf("%d bytes, then: %v; Caddy's memory: %d KB before, at most %d KB", n, err, before.now>>10, after.peak>>10)
			if err == nil {
				t.Error("the page ends well")
			}
			if n > 32<<20 {
				t.Error("it is not broken off early")
			}
			if grown, limit := after.peak-before.now, e.allowance(t, 30<<20); grown > limit {
				t.Errorf("Caddy's memory grew by %d MB, want at most %d", grown>>20, limit>>20)
			}
		})
	}
	e.WantIdle(t)
}

// repeated is unit again and again, until so many bytes are read.
type repeated struct {
	unit     []byte
	at, left int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.left)], r.unit[r.at:])
	r.left -= n
	r.at = (r.at + n) % len(r.unit)
	return n, nil
}

// gzipRepeated writes, as one gzip member, start and then unit again and again,
// length bytes of it in whole units. A unit is compressed only once: it refers
// to nothing before it, so that its compressed bytes are the same each time.
func gzipRepeated(w io.Writer, start string, unit []byte, length int) error {
	block := func(b []byte) []byte {
		var out bytes.Buffer
		z, _ := flate.NewWriter(&out, flate.BestSpeed)
		_, _ = z.Write(b)
		_ = z.Flush()
		return out.Bytes()
	}
	sum := crc32.NewIEEE()
	write := func(compressed, plain []byte) error {
		_, _ = sum.Write(plain)
		_, err := w.Write(compressed)
		return err
	}
	if _, err := w.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}); err != nil { // RFC 1952 section 2.3
		return err
	}
	if err := write(block([]byte(start)), []byte(start)); err != nil {
		return err
	}
	compressed := block(unit)
	for range length / len(unit) {
		if err := write(compressed, unit); err != nil {
			return err
		}
	}
	end := []byte{1, 0, 0, 0xff, 0xff} // an empty last block
	end = binary.LittleEndian.AppendUint32(end, sum.Sum32())
	end = binary.LittleEndian.AppendUint32(end, uint32(len(start)+length))
	_, err := w.Write(end)
	return err
}

// same reads both to their end and returns an error where they differ.
func same(got, want io.Reader) (n int64, err error) {
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		na, erra := io.ReadFull(got, a)
		nb, errb := io.ReadFull(want, b)
		if !bytes.Equal(a[:na], b[:nb]) {
			return n, errors.Join(errors.New("not what the origin sent"), erra)
		}
		n += int64(na)
		switch {
		case erra == nil && errb == nil:
		case errors.Is(erra, io.EOF) || erra == io.ErrUnexpectedEOF && errb != nil:
			return n, nil
		default:
			return n, erra
		}
	}
}

// memory is what a process has resident, in bytes.
type memory struct{ now, peak int }

func (e *faultyEdge) memory(t *testing.T) memory {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.PID()))
	if err != nil {
		testenv.Missing(t, "measure of a process's memory", "only Linux has it, in /proc")
	}
	field := func(name string) int {
		match := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
		if match == nil {
			t.Fatalf("no %s in\n%s", name, status)
		}
		kb, err := strconv.Atoi(string(match[1]))
		if err != nil {
			t.Fatal(err)
		}
		return kb << 10
	}
	return memory{now: field("VmRSS"), peak: field("VmHWM")}
}

// allowance is limit, or more for a Caddy that the race detector watches,
// which keeps a shadow of several times the memory.
func (e *faultyEdge) allowance(t *testing.T, limit int) int {
	t.Helper()
	binary, err := testenv.CaddyBinary()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range info.Settings {
		if setting.Key == "-race" && setting.Value == "true" {
			return 6 * limit
		}
	}
	return limit
}
