package kapadeflector

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are Prometheus counters, each looked up once, at load. Their labels
// are of closed lists, and nothing that came from a visitor is among them.
type metrics struct {
	responses [outcomeCount]prometheus.Counter
	idCookies [idActionCount]prometheus.Counter
}

// idAction is what was done about a visitor's id.
type idAction uint8

const (
	idSet     idAction = iota // a new one
	idRenewed                 // one that was there, sent again
	idDeleted
	idActionCount
)

// String returns the action as metrics name it.
func (a idAction) String() string {
	return [...]string{idSet: "set", idRenewed: "renewed", idDeleted: "deleted"}[a]
}

// newMetrics registers the counters. Caddy has a registry for each config that
// it loads, and all handlers in one config count together.
func newMetrics(registry prometheus.Registerer) (m metrics, err error) {
	responses, err := register(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "kapa_deflector", Name: "responses_total",
		Help: "Responses under the kapa_deflector directive, by what became of them.",
	}, []string{"outcome"}))
	if err != nil {
		return m, err
	}
	idCookies, err := register(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "kapa_deflector", Name: "id_cookies_total",
		Help: "Responses that set, renewed or deleted a visitor's kapa_web_id cookie.",
	}, []string{"action"}))
	if err != nil {
		return m, err
	}
	for o := undecided + 1; o < outcomeCount; o++ {
		m.responses[o] = responses.WithLabelValues(o.String())
	}
	for a := range idActionCount {
		m.idCookies[a] = idCookies.WithLabelValues(a.String())
	}
	return m, nil
}

// count counts a response that ended in o.
func (m *metrics) count(o outcome) {
	if c := m.responses[o]; c != nil {
		c.Inc()
	}
}

// register returns v, or the collector that another handler has registered.
func register(registry prometheus.Registerer, v *prometheus.CounterVec) (*prometheus.CounterVec, error) {
	err := registry.Register(v)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if before, ok := already.ExistingCollector.(*prometheus.CounterVec); ok {
			return before, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return v, nil
}
