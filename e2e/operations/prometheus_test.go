package operations

import (
	"bufio"
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// prometheus is Prometheus' engine over series in memory.
type prometheus struct {
	now    time.Time
	series map[string]*series
}

type series struct {
	labels  labels.Labels
	samples []chunks.Sample
}

// sample is a value at a time. No histogram is asked for.
type sample struct {
	chunks.Sample
	at    int64 // milliseconds
	value float64
}

func (s sample) T() int64                 { return s.at }
func (s sample) ST() int64                { return 0 }
func (s sample) F() float64               { return s.value }
func (s sample) Type() chunkenc.ValueType { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample      { return s }

// seriesSet is a list of series.
type seriesSet struct {
	storage.SeriesSet // for what can go wrong
	rest              []storage.Series
	at                storage.Series
}

func (s *seriesSet) Next() (ok bool) {
	if ok = len(s.rest) > 0; ok {
		s.at, s.rest = s.rest[0], s.rest[1:]
	}
	return ok
}

func (s *seriesSet) At() storage.Series { return s.at }

func (p *prometheus) add(l labels.Labels, value float64) {
	key := l.String()
	if p.series[key] == nil {
		p.series[key] = &series{labels: l}
	}
	p.series[key].samples = append(p.series[key].samples, sample{at: p.now.UnixMilli(), value: value})
}

// scrape reads the directive's metrics of the edges, now.
func (p *prometheus) scrape(t *testing.T, edges []*testenv.Caddy) {
	t.Helper()
	for i, edge := range edges {
		resp, err := http.Get(edge.Admin("/metrics"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			metric, text, ok := strings.Cut(lines.Text(), "} ")
			if !ok || !strings.HasPrefix(metric, "caddy_kapa_deflector_") {
				continue
			}
			l, err := promQL.ParseMetric(metric + "}")
			if err != nil {
				t.Fatal(err)
			}
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			p.add(labels.NewBuilder(l).Set("instance", strconv.Itoa(i)).Labels(), value)
		}
	}
}

// record evaluates a recording rule, and keeps what it says.
func (p *prometheus) record(t *testing.T, name, expr string) {
	t.Helper()
	for _, s := range p.query(t, expr) {
		p.add(labels.NewBuilder(s.Metric).Set(model.MetricNameLabel, name).Labels(), s.F)
	}
}

// query returns what Prometheus answers now.
func (p *prometheus) query(t *testing.T, expr string) promql.Vector {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: testenv.Patience, Parser: promQL})
	defer engine.Close()
	querier := &storage.MockQuerier{SelectMockFunction: p.find}
	query, err := engine.NewInstantQuery(t.Context(), &storage.MockQueryable{MockQuerier: querier}, nil, expr, p.now)
	if err != nil {
		t.Fatalf("%v in\n%s", err, expr)
	}
	defer query.Close()
	vector, err := query.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatalf("%v in\n%s", err, expr)
	}
	return slices.Clone(vector)
}

// find returns the series that fit all matchers.
func (p *prometheus) find(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for _, s := range p.series {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.labels.Get(m.Name)) }) {
			found = append(found, storage.NewListSeries(s.labels, s.samples))
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return cmp.Compare(a.Labels().String(), b.Labels().String()) })
	return &seriesSet{SeriesSet: storage.EmptySeriesSet(), rest: found}
}
