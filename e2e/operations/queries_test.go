package operations

import (
	"bufio"
	"bytes"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

var promQL = parser.NewParser(parser.Options{})

// The queries of docs/operations.md are such to Prometheus itself, and ask for
// metrics, labels and values that a running Caddy has, and for nothing else.
func TestDocumentedQueries(t *testing.T) {
	has := metricsOf(t, testenv.StartCaddy(t, `
{
	auto_https off
	admin 127.0.0.1:{$SITE_PORT}
	persist_config off
}
http://:{$EDGE_PORT} {
	bind 127.0.0.1
	kapa_deflector {`+testenv.Required+`
		consent cookie cookie_consent accepted
	}
	respond "up"
}`))
	asked := make(map[string]bool) // metrics, and values
	for _, query := range documentedQueries(t) {
		expr, err := promQL.ParseExpr(query)
		if err != nil {
			t.Errorf("%v in\n%s", err, query)
			continue
		}
		if expr.Type() != parser.ValueTypeVector {
			t.Errorf("a %s, of which there is nothing to draw or to alert about:\n%s", expr.Type(), query)
		}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			switch n := node.(type) {
			case *parser.AggregateExpr:
				for _, name := range n.Grouping {
					parser.Inspect(n.Expr, func(node parser.Node, _ []parser.Node) error {
						if s, ok := node.(*parser.VectorSelector); ok && has[s.Name][name] == nil {
							t.Errorf("%s has no label %s, as in\n%s", s.Name, name, query)
						}
						return nil
					})
				}
			case *parser.VectorSelector:
				asked[n.Name] = true
				if has[n.Name] == nil {
					t.Errorf("there is no metric %q, as in\n%s", n.Name, query)
				}
				for _, m := range n.LabelMatchers {
					if m.Name == model.MetricNameLabel {
						continue
					}
					for _, value := range valuesOf(m) {
						asked[value] = true
						if !slices.Contains(has[n.Name][m.Name], value) {
							t.Errorf("%s has no %s %q, as in\n%s", n.Name, m.Name, value, query)
						}
					}
				}
			}
			return nil
		})
	}
	// every metric, and the outcomes that somebody has to do something about
	for _, name := range slices.AppendSeq([]string{"header_overridden", "csp_blocked", "encoded", "incomplete", "error", "aborted"}, maps.Keys(has)) {
		if !asked[name] {
			t.Errorf("no query asks for %s", name)
		}
	}
}

// valuesOf are the values that a matcher names; itself if it is no list of them.
func valuesOf(m *labels.Matcher) []string {
	if values := m.SetMatches(); values != nil { // of =~ and !~
		return values
	}
	return []string{m.Value}
}

// metricsOf are the directive's metrics that c shows at its admin endpoint: the
// values that each label has.
func metricsOf(t *testing.T, c *testenv.Caddy) map[string]map[string][]string {
	t.Helper()
	resp, err := http.Get(c.Admin("/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics := make(map[string]map[string][]string)
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		if !strings.HasPrefix(line, "caddy_kapa_deflector_") {
			continue
		}
		series, err := promQL.ParseMetric(line[:strings.LastIndex(line, " ")])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		name := series.Get(model.MetricNameLabel)
		if metrics[name] == nil {
			metrics[name] = make(map[string][]string)
		}
		series.Range(func(l labels.Label) {
			if l.Name != model.MetricNameLabel {
				metrics[name][l.Name] = append(metrics[name][l.Name], l.Value)
			}
		})
	}
	return metrics
}

// documentedQueries are those of docs/operations.md: blocks of PromQL, and the
// rules of its alerts, which are read as Prometheus does.
func documentedQueries(t *testing.T) (queries []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Repository, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?ms)^```promql\n(.*?)^```$").FindAllSubmatch(text, -1) {
		queries = append(queries, string(block[1]))
	}
	rules := regexp.MustCompile("(?ms)^```yaml\n(groups:\n.*?)^```$").FindSubmatch(text)
	if len(queries) == 0 || rules == nil {
		t.Fatalf("%d queries, and the rules: %q", len(queries), rules)
	}
	// https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr string
				For         model.Duration
				Annotations map[string]string
			}
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(rules[1]))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" || names[rule.Alert] || rule.Annotations["summary"] == "" {
				t.Errorf("an alert without a name of its own, or without a summary: %+v", rule)
			}
			names[rule.Alert] = true
			queries = append(queries, rule.Expr)
		}
	}
	if len(names) == 0 {
		t.Error("there are no alerts")
	}
	return queries
}
