package loader

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/profiler"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// What the loader costs. The tests log figures, and judge only what can be counted.

// slowBundle stands in for Kapa's bundle: 2 MB that keep the main thread busy for 700 ms
// (influxdata/docs-v2#7542 measured 2.07 MB and 725 ms).
var slowBundle = "/*" + strings.Repeat("x", 2<<20) + `*/
for (const end = performance.now() + 700; performance.now() < end;);
window.KapaStandIn = { log: [] };
window.KapaSFD = { render: () => KapaStandIn.log.push({ event: 'render' }) };`

// busyScript changes 10,000 nodes a second, and counts how often the page is observed.
const busyScript = `
window.observed = 0;
const { observe } = MutationObserver.prototype;
MutationObserver.prototype.observe = function (...what) { observed++; return observe.apply(this, what) };
window.work = async (seconds) => {
	const nodes = Array.from({ length: 1000 }, () => document.body.appendChild(document.createElement('i')));
	let changed = 0;
	const began = performance.now();
	for (let now; (now = performance.now() - began) < seconds * 1000; await new Promise((done) => setTimeout(done))) {
		for (; changed < now * 10; changed++) {
			const node = nodes[changed % nodes.length];
			if (changed % 2) node.title = changed;
			else node.textContent = changed;
		}
	}
	return changed;
};`

// costEdge is an edge with the same pages on two hosts: without the directive on Docs.
func newCostEdge(t *testing.T, start string, bundles *counter) *edge {
	t.Helper()
	origin := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, testenv.StandIn):
			bundles.add()
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, slowBundle)
		case r.URL.Path == "/own/busy.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, busyScript)
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, strings.Replace(testenv.FormPage(`<script src="/own/busy.js"></script>`, ""), "<main>", "<main><h1>How can we help?</h1>", 1))
		}
	}))
	return &edge{Caddy: testenv.StartCaddy(t, `
http://`+testenv.Support+`:{$EDGE_PORT} {
	log
	kapa_deflector {`+testenv.Required+consentLine+pagesLine+`
		script /own`+testenv.StandIn+`
		loader `+start+`
	}
	reverse_proxy `+origin+`
}
http://`+testenv.Docs+`:{$EDGE_PORT} {
	log
	reverse_proxy `+origin+`
}
http://localhost:{$EDGE_PORT} {
	respond "up"
}`)}
}

// profile returns for how long the page's main thread was in its inline script, which is
// the loader, and in all, while do ran.
func (v *visitor) profile(do func()) (loader, all time.Duration) {
	v.T.Helper()
	testenv.Send(v.Visitor, profiler.Enable, cdp.Empty{})
	testenv.Send(v.Visitor, performance.Enable, performance.EnableParams{})
	testenv.Send(v.Visitor, profiler.SetSamplingInterval, profiler.SetSamplingIntervalParams{Interval: 100})
	before := v.taskDuration()
	testenv.Send(v.Visitor, profiler.Start, cdp.Empty{})
	do()
	p := testenv.Send(v.Visitor, profiler.Stop, cdp.Empty{}).Profile
	all = v.taskDuration() - before
	nodes, inLoader := make(map[int64]*profiler.ProfileNode), make(map[int64]bool)
	for _, node := range p.Nodes {
		nodes[node.ID] = node
	}
	var visit func(node *profiler.ProfileNode, in bool)
	visit = func(node *profiler.ProfileNode, in bool) {
		in = in || strings.Contains(node.CallFrame.URL, "/own/page/")
		inLoader[node.ID] = in
		for _, child := range node.Children {
			visit(nodes[child], in)
		}
	}
	visit(p.Nodes[0], false)
	for i, sample := range p.Samples {
		if inLoader[sample] && i+1 < len(p.TimeDeltas) {
			loader += time.Duration(p.TimeDeltas[i+1]) * time.Microsecond
		}
	}
	return loader, all
}

// taskDuration is for how long the main thread was busy so far.
func (v *visitor) taskDuration() time.Duration {
	v.T.Helper()
	for _, m := range testenv.Send(v.Visitor, performance.GetMetrics, cdp.Empty{}).Metrics {
		if m.Name == "TaskDuration" {
			return time.Duration(m.Value * float64(time.Second))
		}
	}
	v.T.Fatal("the browser does not say for how long it was busy")
	return 0
}

// A page that changes all the time is looked at five times a second, no more.
func TestCostOnABusyPage(t *testing.T) {
	e := newCostEdge(t, "interaction", new(counter))
	const seconds = 4
	for _, host := range []string{testenv.Docs, testenv.Support} {
		v := e.visitor(t, "/own/page/form")
		v.Open(e.Edge(host, v.uri))
		if host == testenv.Support {
			v.wantAsked(1, "with the form")
		}
		before := testenv.Eval[int](v.Visitor, `observed`)
		changed := 0
		began := time.Now()
		loader, all := v.profile(func() { changed = testenv.Eval[int](v.Visitor, fmt.Sprintf(`work(%d)`, seconds)) })
		took := time.Since(began)
		looks := testenv.Eval[int](v.Visitor, `observed`) - before
		t.Logf("%s: %d changes in %v: the main thread was busy for %v, in the loader for %v (%.2f %% of a core); it looked %d times",
			host, changed, took.Round(time.Millisecond), all.Round(time.Millisecond), loader, 100*loader.Seconds()/took.Seconds(), looks)
		if most := int(took.Seconds()*5) + 2; looks > most {
			t.Errorf("it looked at the page %d times, want %d at most", looks, most)
		}
		if (looks > 0) != (host == testenv.Support) {
			t.Errorf("%s: it looked at the page %d times", host, looks)
		}
	}
}

// A page that rests is not looked at.
func TestCostOnAPageThatRests(t *testing.T) {
	t.Parallel()
	e := newCostEdge(t, "load", new(counter))
	v := e.visitor(t, "/own/page/form")
	v.arrive()
	v.wantAsked(1, "with the form")
	before := testenv.Eval[int](v.Visitor, `observed`)
	time.Sleep(2 * quiet)
	if n := testenv.Eval[int](v.Visitor, `observed`) - before; n > 0 {
		t.Errorf("it looked at the page %d times", n)
	}
}

// paint is what a visitor feels of a page that loads.
type paint struct{ LCP, TBT float64 } // milliseconds: largest contentful paint, total blocking time

// With interaction, a page is as fast as without the directive, and nothing of Kapa's is
// loaded. KAPA_VISITS says how often each page is visited. One visit is enough to see
// what is loaded; the times need more.
func TestCostOfLoading(t *testing.T) {
	visits := 1
	if env := os.Getenv("KAPA_VISITS"); env != "" {
		var err error
		if visits, err = strconv.Atoi(env); err != nil || visits < 1 {
			t.Fatalf("KAPA_VISITS is %q, and must be a number of visits, such as 5", env)
		}
	}
	for _, tc := range []struct {
		name, host, start string
		bundles           int
	}{
		{"without the directive", testenv.Docs, "interaction", 0},
		{"loader interaction", testenv.Support, "interaction", 0},
		{"loader idle", testenv.Support, "idle", visits},
	} {
		bundles := new(counter)
		e := newCostEdge(t, tc.start, bundles)
		var paints []paint
		var inLoader []time.Duration
		for range visits {
			v := e.visitor(t, "/own/page/form")
			v.Open(e.Edge(tc.host, "/own/page/form"))
			v.set(yes)
			var p paint
			loader, _ := v.profile(func() {
				v.Open(e.Edge(tc.host, v.uri))
				v.mark()
				if tc.host == testenv.Support {
					v.awaitAsked(v.uri, 1, "with the form")
				}
				if tc.bundles > 0 {
					v.WaitFor(renders + ` === 1`)
				}
				p = testenv.Eval[paint](v.Visitor, `(async () => {
					const entries = (type) => new Promise((done) => {
						const observer = new PerformanceObserver((list) => done(list.getEntries()));
						observer.observe({ type, buffered: true });
						setTimeout(done, 1000, []);
					});
					const [paints, tasks] = [await entries('largest-contentful-paint'), await entries('longtask')];
					return {
						LCP: paints.at(-1)?.startTime ?? 0,
						TBT: tasks.reduce((sum, { duration }) => sum + Math.max(0, duration - 50), 0),
					};
				})()`)
			})
			paints, inLoader = append(paints, p), append(inLoader, loader)
			if tc.bundles == 0 {
				v.WantNoTag()
			}
		}
		slices.Sort(inLoader)
		median := func(of func(paint) float64) float64 {
			var all []float64
			for _, p := range paints {
				all = append(all, of(p))
			}
			slices.Sort(all)
			return all[len(all)/2]
		}
		t.Logf("%s: LCP %.0f ms, total blocking time %.0f ms, main thread in the loader %v (medians of %d visits)", tc.name,
			median(func(p paint) float64 { return p.LCP }), median(func(p paint) float64 { return p.TBT }), inLoader[visits/2], visits)
		// each visitor has been on the page once before consent, and once after it
		if n := bundles.value(); n < tc.bundles || tc.bundles == 0 && n > 0 {
			t.Errorf("%s: Kapa's script was requested %d times, want %d", tc.name, n, tc.bundles)
		}
	}
}
