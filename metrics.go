package kapadeflector

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/page"
)

// metrics are Prometheus counters, each looked up once, at load. Their labels come
// from closed lists and hold no data of visitors.
type metrics struct {
	responses [outcome.Count]prometheus.Counter
	idCookies [idActionCount]prometheus.Counter
	choices   [choiceCount]prometheus.Counter
}

// choice is what a visitor has answered to consent ask.
type choice uint8

const (
	choiceYes choice = iota
	choiceNo
	choiceCount
)

// String returns the choice as metrics and logs name it.
func (c choice) String() string { return [...]string{choiceYes: "yes", choiceNo: "no"}[c] }

// idAction is what was done about a visitor's id.
type idAction uint8

const (
	idSet     idAction = iota // a new id
	idRenewed                 // the visitor's id, sent again
	idDeleted
	idActionCount
)

// String returns the action as metrics name it.
func (a idAction) String() string {
	return [...]string{idSet: "set", idRenewed: "renewed", idDeleted: "deleted"}[a]
}

// newMetrics registers the counters. Caddy has one registry for each config that it
// loads, so all handlers of a config share the counters.
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
	choices, err := register(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "caddy", Subsystem: "kapa_deflector", Name: "choices_total",
		Help: "Answers of visitors to the question of consent ask.",
	}, []string{"choice"}))
	if err != nil {
		return m, err
	}
	for o := outcome.Undecided + 1; o < outcome.Count; o++ {
		m.responses[o] = responses.WithLabelValues(o.String())
	}
	for a := range idActionCount {
		m.idCookies[a] = idCookies.WithLabelValues(a.String())
	}
	for c := range choiceCount {
		m.choices[c] = choices.WithLabelValues(c.String())
	}
	return m, nil
}

// count counts a response that ended in o.
func (m *metrics) count(o outcome.Outcome) {
	if c := m.responses[o]; c != nil {
		c.Inc()
	}
}

// register registers v. If another handler has registered the same counter, it
// returns that one.
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

// The placeholders for access logs: a request's outcome and, if there is no consent,
// the reason.
const (
	outcomePlaceholder = "http.kapa_deflector.outcome"
	reasonPlaceholder  = "http.kapa_deflector.reason"
)

// record gives the outcome of r's response to logs. It hands the replacer Stringers
// rather than strings, so that nothing is allocated unless a log uses them.
func record(logger *zap.Logger, r *http.Request, o outcome.Outcome, reason consent.Reason) {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set(outcomePlaceholder, o)
		repl.Set(reasonPlaceholder, reason)
	}
	if c := logger.Check(zapcore.DebugLevel, "response"); c != nil {
		c.Write(zap.Stringer("outcome", o), zap.Stringer("reason", reason))
	}
}

// notices are what a block has logged for the operator.
type notices struct {
	logged    [page.NoticeCount]atomic.Bool
	uncovered atomic.Bool // of the id

	uncoveredChoice atomic.Bool
}

// noticeTexts are the log lines. A block logs a line once, because it would be the
// same for each response. It logs lines marked each with each response: those at
// Debug, and those about one response alone.
var noticeTexts = [page.NoticeCount]struct {
	level zapcore.Level
	each  bool
	text  string
}{
	page.ScriptBlocked: {zap.DebugLevel, true, "the page's policy blocks the script"},
	page.LoaderBlocked: {zap.DebugLevel, true, "the page's policy blocks the loader"},
	page.Undecodable:   {zap.ErrorLevel, true, "aborting the response: the origin's compressed page cannot be decoded"},
	page.UserBlocked: {zap.WarnLevel, false,
		"the page's Content-Security-Policy blocks the inline script that hands user over; the tag is inserted without it"},
	page.QuestionsBlocked: {zap.WarnLevel, false,
		"the page's Content-Security-Policy does not let the deflector ask its questions"},
	page.FingerprintBlocked: {zap.WarnLevel, false,
		"the page's Content-Security-Policy blocks the script that the deflector loads for fingerprints"},
	page.TrustedTypes: {zap.WarnLevel, false,
		"the page requires Trusted Types, under which the deflector may fail when it writes into the page"},
	page.EmbedderPolicy: {zap.WarnLevel, false,
		"the page has Cross-Origin-Embedder-Policy: require-corp, or Document-Isolation-Policy: isolate-and-require-corp: " +
			"browsers block the script unless its server sends Cross-Origin-Resource-Policy: cross-origin, " +
			"or sends Access-Control-Allow-Origin and script has crossorigin anonymous"},
	page.PolicyOverridden: {zap.ErrorLevel, false,
		"a header directive replaced the Content-Security-Policy of a page with the tag, and the new one blocks the tag or a script beside it; " +
			"a deletion defers the whole header block: move deletions into a header block of their own"},
	page.PrivacyOverridden: {zap.ErrorLevel, false,
		"a header directive replaced Cache-Control on a page that is for one visitor alone; " +
			"a deletion defers the whole header block: move deletions into a header block of their own"},
}

// log logs a notice; d says more about this response.
func (n *notices) log(logger *zap.Logger, notice page.Notice, d page.Detail) {
	line := &noticeTexts[notice]
	text := line.text
	if !line.each {
		if !n.logged[notice].CompareAndSwap(false, true) {
			return
		}
		text += loggedOnce
	}
	c := logger.Check(line.level, text)
	if c == nil {
		return
	}
	var fields []zap.Field
	if d.Host != "" {
		fields = append(fields, zap.String("host", d.Host))
	}
	if d.Blocked.Directive != "" {
		fields = append(fields, zap.String("directive", d.Blocked.Directive), zap.Bool("in_meta", d.Blocked.InMeta))
	}
	if d.Err != nil {
		fields = append(fields, zap.Error(d.Err))
	}
	c.Write(fields...)
}

// warnUncovered warns that the configured cookie domain does not cover a request's host.
func (n *notices) warnUncovered(logger *zap.Logger) {
	if n.uncovered.CompareAndSwap(false, true) {
		logger.Warn("no id is set: cookie domain does not cover the request's host" + loggedOnce)
	}
}

// warnUncoveredChoice warns that the domain of consent ask does not cover a request's
// host.
func (n *notices) warnUncoveredChoice(logger *zap.Logger) {
	if n.uncoveredChoice.CompareAndSwap(false, true) {
		logger.Warn("consent ask: no answer is kept: domain does not cover the request's host" + loggedOnce)
	}
}

const loggedOnce = "; logged once"
