package fleet

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// Many machines: the plugin keeps no state between requests, so that any Caddy
// of a fleet serves any visitor alike, and none of them is missed.

// fleet is a balancer before three edges, which come and go, before an origin.
type fleet struct {
	balancer *testenv.Caddy
	sent     string // the balancer's access log
	edges    [3]*fleetEdge
	numbered atomic.Int64  // requests of visitors
	breakOff chan struct{} // ends what the origin has of /half

	mu    sync.Mutex
	kills []*kill
}

// fleetEdge is a Caddy with the plugin. Its ports outlive its process.
type fleetEdge struct {
	*testenv.Caddy
	config      string
	generations int // of its configuration
}

// address is what the balancer knows the edge by.
func (e *fleetEdge) address() string { return "127.0.0.1:" + strconv.Itoa(e.EdgePort) }

// kill is when edges were ended without notice; to is zero while it lasts.
type kill struct {
	edges    []*fleetEdge
	from, to time.Time
}

// The fleet's sites, and the pages of both: the tag belongs into the forms.
var (
	fleetHosts = []string{"a.acme.localhost", "b.acme.localhost"}
	fleetPages = []string{"/", "/articles/1", "/tickets/new", "/contact"}
)

func fleetForm(path string) bool { return path == "/tickets/new" || path == "/contact" }

// A page's head, and where the tag belongs.
const (
	fleetHead = "<!doctype html><html><head><title>t</title>"
	fleetBody = "</head><body><p>b</p>"
)

// fleetPage is what the origin has at that place.
func fleetPage(host, path string) string {
	return fleetHead + "<meta name=place content=\"" + host + path + "\">" + fleetBody + strings.Repeat("<p>"+host+path+"</p>\n", 500)
}

// serveOrigin answers as sites do: some pages in one go, some bit by bit, and
// with a 304 where the visitor's copy is good. Only /half never ends well.
func (f *fleet) serveOrigin(w http.ResponseWriter, r *http.Request) {
	page := fleetPage(r.Host, r.URL.Path)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Etag", `"`+r.Host+strings.ReplaceAll(r.URL.Path, "/", ".")+`"`)
	h.Set("Cache-Control", "no-cache")
	if r.Header.Get("If-None-Match") == h.Get("Etag") {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if r.URL.Path == "/half" {
		_, _ = io.WriteString(w, page[:len(page)/2])
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-f.breakOff:
		}
		panic(http.ErrAbortHandler)
	}
	if r.URL.Path == "/contact" {
		head := strings.Index(page, "</head>")
		_, _ = io.WriteString(w, page[:head])
		_ = http.NewResponseController(w).Flush()
		time.Sleep(10 * time.Millisecond)
		_, _ = io.WriteString(w, page[head:])
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(page)))
	_, _ = io.WriteString(w, page)
}

// newFleet starts all of it. TLS ends at the balancer, as it does in clouds:
// what the edges know of their visitors is what it says in X-Forwarded-*.
//
// Visitors number their requests, and the balancer logs each number with the
// edge that it asked last: also where that edge said nothing, or where what it
// said never left the balancer.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{breakOff: make(chan struct{})}
	origin := testenv.Serve(t, http.HandlerFunc(f.serveOrigin))
	upstreams := ""
	for i := range f.edges {
		f.edges[i] = newFleetEdge(t, i, origin)
		upstreams += " " + f.edges[i].address()
	}
	f.sent = filepath.Join(t.TempDir(), "access.log")
	f.balancer = testenv.StartCaddy(t, `
{
	admin off
	persist_config off
	auto_https disable_redirects
	skip_install_trust
	local_certs
}
https://`+fleetHosts[0]+`:{$EDGE_PORT}, https://`+fleetHosts[1]+`:{$EDGE_PORT} {
	log {
		output file `+f.sent+` {
			roll_disabled
		}
		format filter {
			request>tls delete
		}
	}
	handle_errors {
		header X-Asked {http.reverse_proxy.upstream.hostport}
		respond {http.error.status_code}
	}
	reverse_proxy`+upstreams+` {
		header_down X-Asked {http.reverse_proxy.upstream.hostport}
		lb_policy random
		lb_try_duration 5s
		lb_try_interval 50ms
		health_uri /healthz
		health_interval 200ms
		health_timeout 2s
	}
}`)
	return f
}

// transport leads visitors to the balancer, when all of the fleet answers.
func (f *fleet) transport(t *testing.T, connections int) *http.Transport {
	t.Helper()
	transport := &http.Transport{
		DisableCompression: true, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: connections,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+strconv.Itoa(f.balancer.EdgePort))
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	testenv.Eventually(t, "the balancer has its certificates and its edges", func() bool {
		for _, host := range fleetHosts {
			resp, err := (&http.Client{Transport: transport, Timeout: time.Second}).Get("https://" + host + "/")
			if err != nil {
				return false
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return false
			}
		}
		return true
	})
	return transport
}

// number numbers a request of a visitor.
func (f *fleet) number(req *http.Request) (number string) {
	number = strconv.FormatInt(f.numbered.Add(1), 10)
	req.Header.Set("X-Number", number)
	return number
}

func newFleetEdge(t *testing.T, number int, origin string) *fleetEdge {
	t.Helper()
	e := &fleetEdge{config: `
{
	auto_https off
	admin 127.0.0.1:{$SITE_PORT}
	persist_config off
	grace_period 5s
	servers {
		trusted_proxies static 127.0.0.1
	}
}
http://:{$EDGE_PORT} {
	bind 127.0.0.1
	header X-Edge ` + strconv.Itoa(number) + `.0
	respond /healthz 200
	kapa_deflector {` + testenv.Required + `
		pages /tickets/new /contact
		consent cookie cookie_consent accepted
	}
	reverse_proxy ` + origin + `
}`}
	e.Caddy = testenv.StartCaddy(t, e.config)
	return e
}

// revive starts an edge that has ended, on the ports that it had.
func (e *fleetEdge) revive(t *testing.T) {
	t.Helper()
	if err := e.Restart(); err != nil {
		t.Errorf("starting an edge again: %v", err)
	}
}

// reload gives the edge another configuration while it serves.
func (e *fleetEdge) reload(t *testing.T) {
	t.Helper()
	e.generations++
	config := strings.ReplaceAll(e.config, ".0\n", "."+strconv.Itoa(e.generations)+"\n")
	if err := e.Load(t.Context(), config); err != nil {
		t.Errorf("reloading an edge: %v", err)
	}
}

// kill ends edges as a power cut does.
func (f *fleet) kill(t *testing.T, edges ...*fleetEdge) {
	t.Helper()
	f.mu.Lock()
	k := &kill{edges: edges, from: time.Now()} // known before the first visitor notices
	f.kills = append(f.kills, k)
	f.mu.Unlock()
	for _, e := range edges {
		if err := e.Kill(); err != nil {
			t.Error(err)
		}
	}
	f.mu.Lock()
	k.to = time.Now()
	f.mu.Unlock()
}

// asked is the address of the edge to which the balancer sent that request last;
// "" if it sent it to none.
func (f *fleet) asked(t *testing.T, number string) string {
	t.Helper()
	mark := []byte(`"X-Number":["` + number + `"]`)
	for deadline := time.Now().Add(testenv.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		log, err := os.ReadFile(f.sent)
		if err != nil {
			t.Error(err)
			return ""
		}
		for line := range bytes.Lines(log) {
			var entry struct {
				Header http.Header `json:"resp_headers"`
			}
			if bytes.Contains(line, mark) && json.Unmarshal(line, &entry) == nil {
				return entry.Header.Get("X-Asked")
			}
		}
	}
	t.Errorf("request %s is not in the balancer's log", number)
	return ""
}

// wasInFlight reports whether that edge was killed between these times.
func (f *fleet) wasInFlight(edge string, from, to time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.kills {
		if k.from.Before(to) && (k.to.IsZero() || from.Before(k.to)) &&
			slices.ContainsFunc(k.edges, func(e *fleetEdge) bool { return e.address() == edge }) {
			return true
		}
	}
	return false
}

// disturb kills, restarts and reloads edges, so many times around.
func (f *fleet) disturb(t *testing.T, times int) (kills, restarts, reloads int) {
	pause := func() { time.Sleep(300 * time.Millisecond) } // for load to meet the state
	for i := range times {
		e, next := f.edges[i%3], f.edges[(i+1)%3]

		f.kill(t, e)
		pause()
		next.reload(t) // while the fleet is short of one
		pause()
		e.revive(t)
		pause()

		if err := next.Stop(); err != nil { // as an update does
			t.Error(err)
		}
		pause()
		next.revive(t)
		pause()

		f.kill(t, e, next) // one is left
		pause()
		e.revive(t)
		next.revive(t)
		pause()
		e.reload(t)
		pause()
		kills, restarts, reloads = kills+3, restarts+1, reloads+2
	}
	return kills, restarts, reloads
}

// TestAFleetServesEveryVisitorAlike sends visitors of every kind through both
// sites while edges are killed, restarted and reloaded.
func TestAFleetServesEveryVisitorAlike(t *testing.T) {
	const (
		workers  = 24
		visitors = 400
	)
	times := 2
	if os.Getenv("CI") != "" {
		times = 3
	}
	f := newFleet(t)
	transport := f.transport(t, workers)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var (
		load    sync.WaitGroup
		arrived atomic.Int64
		calm    atomic.Bool // the disturbances are over
		count   fleetCount
	)
	for range workers {
		load.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				n := int(arrived.Add(1))
				if calm.Load() && n > visitors {
					arrived.Add(-1)
					return
				}
				newFleetVisitor(t, f, transport, &count, n).live(ctx)
			}
		})
	}
	kills, restarts, reloads := f.disturb(t, times)
	calm.Store(true)
	load.Wait()
	if ctx.Err() != nil {
		t.Error("it took too long")
	}
	t.Logf("%d visitors of %d kinds; %d edges killed, %d restarted, %d reloaded; %s", arrived.Load(), len(fleetLives), kills, restarts, reloads, &count)
	count.check(t)
	if most := workers * len(f.kills); count.inFlight > most {
		t.Errorf("%d pages were lost, and no more than %d can have been in flight", count.inFlight, most)
	}
}

// fleetCount is what all visitors saw together.
type fleetCount struct {
	mu                                            sync.Mutex
	pages, tagged, notModified, minted, forgotten int
	inFlight                                      int // lost with an edge that was killed
	edges                                         map[string]int
	switched                                      int // from one edge to another, from a visitor's page to the next
}

func (c *fleetCount) String() string {
	return fmt.Sprintf("%d pages, %d of them tagged, %d by 304, %d times another edge than before; %d ids set, %d deleted; %d lost in flight on a killed edge; by edge and configuration: %v",
		c.pages, c.tagged, c.notModified, c.switched, c.minted, c.forgotten, c.inFlight, c.edges)
}

// check fails where what was to be shown did not come up.
func (c *fleetCount) check(t *testing.T) {
	if c.tagged == 0 || c.notModified == 0 || c.minted == 0 || c.forgotten == 0 || c.switched < c.pages/3 {
		t.Error("the visitors did not meet everything that they were sent for")
	}
	reloaded := false
	for edge := range c.edges {
		reloaded = reloaded || !strings.HasSuffix(edge, ".0")
	}
	if len(c.edges) < 4 || !reloaded {
		t.Errorf("not all edges and configurations were met: %v", c.edges)
	}
}

// What is excused is what an edge had in hand when it was killed, and nothing
// that another one loses meanwhile.
func TestAFleetIsExcusedOnlyForKilledEdges(t *testing.T) {
	f := newFleet(t)
	client := &http.Client{Transport: f.transport(t, 1), Timeout: testenv.Patience}
	for _, tc := range []struct {
		name    string
		lose    func(asked, another *fleetEdge) (killed *fleetEdge)
		excused bool
	}{
		{"its edge is killed", func(asked, _ *fleetEdge) *fleetEdge {
			f.kill(t, asked)
			return asked
		}, true},
		{"another edge is killed", func(_, another *fleetEdge) *fleetEdge {
			f.kill(t, another)
			close(f.breakOff)
			return another
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, siteURL(fleetHosts[0], "/half").String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			number, began := f.number(req), time.Now()
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			i := int(resp.Header.Get("X-Edge")[0] - '0')
			asked, another := f.edges[i], f.edges[(i+1)%3]
			defer tc.lose(asked, another).revive(t)
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("nothing was lost")
			}
			edge := f.asked(t, number)
			if edge != asked.address() {
				t.Errorf("the balancer asked %q, and %s answered", edge, asked.address())
			}
			if got := f.wasInFlight(edge, began, time.Now()); got != tc.excused {
				t.Errorf("excused: %v, want %v", got, tc.excused)
			}
		})
	}
}
