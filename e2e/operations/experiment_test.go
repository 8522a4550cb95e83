package operations

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"go.yaml.in/yaml/v3"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/experiment"
)

// experimentShare is the holdout of docs/experiment.md.
const experimentShare = 0.1

// experimentEdge is an edge under the experiment of docs/experiment.md.
const experimentEdge = `
{
	auto_https off
	admin 127.0.0.1:{$SITE_PORT}
	persist_config off
}
http://:{$EDGE_PORT} {
	bind 127.0.0.1
	kapa_deflector {` + testenv.Required + `
		pages /tickets/new
		consent cookie cookie_consent accepted
		loader
		cookie {
			renew
		}
		experiment {
			holdout 10%
			submissions /tickets
		}
	}
	@sent {
		method POST
		path /tickets
	}
	header @sent Location /thanks
	respond @sent 303
	header Content-Type text/html
	respond "<!doctype html><title>t</title>"
}`

// The documented rules and queries, run by Prometheus' engine over what three edges
// count, say the same as the documented arithmetic over what the visitors have done. One
// edge is restarted meanwhile. All edges put a visitor on the same side.
func TestTheDocumentedResult(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var edges [3]*testenv.Caddy
	for i := range edges {
		edges[i] = testenv.StartCaddy(t, experimentEdge)
	}
	question := regexp.MustCompile(`kapa_deflector=1\.\w+\.`).FindString(testenv.MustGet(t, edges[0].Edge("localhost", "/tickets/new")).Body)
	p := &prometheus{now: time.Unix(1_800_000_000, 0), series: make(map[string]*series)}
	p.scrape(t, edges[:])

	var views, sent experiment.Counts
	assignment := experiment.NewAssignment(experimentShare)
	for day := range 2 {
		for n := range 200 {
			id := fmt.Sprintf("%08x-0000-4000-8000-%012x", random.Uint32(), random.Uint64N(1<<48))
			arm, bucket := assignment.Of(id, "abc")
			asked := edges[random.IntN(len(edges)):][:1]
			if n%5 == 0 {
				asked = edges[:]
			}
			for _, edge := range asked {
				views[arm][bucket]++
				if got := ask(t, edge, question, id); got != [...]string{experiment.Deflector: "tag", experiment.Holdout: "none"}[arm] {
					t.Errorf("a visitor of the arm %s is told %q", arm, got)
				}
			}
			for range random.IntN(4) * random.IntN(3) { // none, mostly
				sent[arm][bucket]++
				send(t, edges[random.IntN(len(edges))], id)
			}
		}
		p.now = p.now.Add(24 * time.Hour)
		p.scrape(t, edges[:])
		if day == 0 {
			if err := edges[1].Stop(); err != nil {
				t.Fatal(err)
			}
			if err := edges[1].Restart(); err != nil {
				t.Fatal(err)
			}
			p.now = p.now.Add(15 * time.Second)
			p.scrape(t, edges[:])
		}
	}

	want := sent.Estimate(experimentShare)
	t.Logf("%d series; %+v", len(p.series), want)
	rules, queries := documentedExperiment(t)
	for _, rule := range rules {
		p.record(t, rule.Record, rule.Expr)
	}
	for name, want := range map[string]float64{
		"ratio":           want.Ratio,
		"stderr":          want.StdErr,
		"deflected":       1 - want.Ratio,
		"deflected_lower": 1 - want.Upper,
		"deflected_upper": 1 - want.Lower,
	} {
		wantVector(t, name, p.query(t, "kapa_experiment:"+name), map[string]float64{"": want})
	}
	if len(queries) != 2 {
		t.Fatalf("%d queries", len(queries))
	}
	wantVector(t, "views", p.query(t, queries[0]), map[string]float64{"": views.Estimate(experimentShare).Ratio})
	wantVector(t, "tickets for each view", p.query(t, queries[1]), map[string]float64{
		"deflector": total(sent[experiment.Deflector]) / total(views[experiment.Deflector]),
		"holdout":   total(sent[experiment.Holdout]) / total(views[experiment.Holdout]),
	})
}

func total(buckets [experiment.BucketCount]float64) (sum float64) {
	for _, n := range buckets {
		sum += n
	}
	return sum
}

// wantVector compares a vector with the wanted value of each arm.
func wantVector(t *testing.T, what string, got promql.Vector, want map[string]float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %v", what, got)
	}
	for _, sample := range got {
		w, ok := want[sample.Metric.Get("arm")]
		if !ok || !(math.Abs(sample.F-w) < 1e-9*math.Abs(w)) {
			t.Errorf("%s is %v, want %v", what, sample.F, w)
		}
	}
}

// ask sends the loader's question for a visitor who has consented, and returns what the
// edge says.
func ask(t *testing.T, edge *testenv.Caddy, question, id string) string {
	t.Helper()
	resp := do(t, http.MethodGet, edge.Edge("localhost", "/tickets/new?")+question+"x", id, "Kapa-Deflector: question", "Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors")
	return resp.Header.Get("Kapa-Deflector")
}

// send sends a form.
func send(t *testing.T, edge *testenv.Caddy, id string) {
	t.Helper()
	resp := do(t, http.MethodPost, edge.Edge("localhost", "/tickets"), id, "Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate")
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("sending the form: %s", resp.Status)
	}
}

// do sends a request of a visitor who has consented, with further fields.
func do(t *testing.T, method, url, id string, fields ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range append(fields, "Sec-Fetch-Site: same-origin", "Cookie: cookie_consent=accepted; kapa_web_id="+id) {
		name, value, _ := strings.Cut(field, ": ")
		req.Header.Set(name, value)
	}
	resp, err := testenv.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp
}

type experimentRule struct{ Record, Expr string }

// documentedExperiment returns the recording rules and the queries of docs/experiment.md.
func documentedExperiment(t *testing.T) (rules []experimentRule, queries []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Repository, "docs", "experiment.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?ms)^```promql\n(.*?)^```$").FindAllSubmatch(text, -1) {
		queries = append(queries, string(block[1]))
	}
	block := regexp.MustCompile("(?ms)^```yaml\n(groups:\n.*?)^```$").FindSubmatch(text)
	if block == nil {
		t.Fatal("no rules")
	}
	// https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
	var file struct {
		Groups []struct {
			Name     string
			Interval model.Duration
			Rules    []experimentRule
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(block[1])))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil || len(file.Groups) != 1 {
		t.Fatal(file, err)
	}
	return file.Groups[0].Rules, queries
}
