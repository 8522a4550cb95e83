package kapadeflector

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/experiment"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
)

// Experiment keeps the deflector from a part of the visitors who have consented, so that
// their tickets can be compared with those of the others. Which part a visitor belongs to
// is a hash of the visitor's id. It needs `loader`, and `renew` in `cookie`.
type Experiment struct {
	// How many of a hundred visitors do not get the deflector: more than 0 and less
	// than 100. Required.
	Holdout float64 `json:"holdout,omitempty"`

	// The paths to which the form is sent, in the syntax of the path matcher. A POST to
	// one of them counts as a submission if the response is a redirect. One that a
	// script sends also counts if its status is 2xx. Each must begin with `/` or `*`. They
	// are compared with the path that the visitor asked for, before any rewrite.
	// Required.
	Submissions []string `json:"submissions,omitempty"`
}

// check finds mistakes in the settings.
func (e Experiment) check() error {
	switch {
	case e.Holdout == 0:
		return errors.New("experiment has no holdout: write holdout <percent>, such as holdout 10%")
	case !(e.Holdout > 0 && e.Holdout < 100):
		return fmt.Errorf("experiment holdout is %g: must be above 0 and below 100", e.Holdout)
	case len(e.Submissions) == 0:
		return errors.New("experiment has no submissions: write submissions <path>..., with the paths to which the form is sent")
	default:
		return nil
	}
}

// checkExperiment finds settings under which an experiment would say nothing.
func (h *Handler) checkExperiment() error {
	platform := seenByPage(h.Consent)
	switch {
	case h.Experiment == nil:
		return nil
	case h.Loader == "":
		return errors.New("experiment needs loader, whose questions are the views of the form: add the line loader")
	case hasKind(h.Consent, consentAsk):
		return errors.New("experiment contradicts consent ask, which promises the assistant to those who say yes: remove one of them")
	case platform != "":
		return fmt.Errorf("experiment counts a form only if its request shows consent, and only the page can see the answer of %s: %s", platform, mirrorCookie)
	case h.WithoutConsent == withoutConsentUntracked:
		return errors.New("experiment contradicts without_consent untracked, where visitors without an id get the deflector too: remove one of them")
	case h.Cookie != nil && h.Cookie.Off:
		return errors.New("experiment needs the visitor's id: remove cookie off")
	case h.Cookie == nil || !h.Cookie.Renew:
		return errors.New("experiment needs renew in cookie: Kapa's script rewrites the id of visitors who have the deflector, Safari forgets what scripts write after 7 days, and only these visitors would then change sides: write cookie { renew }")
	case neverTracksByCookie(h.Attributes):
		return fmt.Errorf("experiment needs the visitor's id: remove %s false", kapa.CookieTracking)
	case mayTakeFingerprints(h.Attributes):
		return fmt.Errorf("experiment needs the visitor's id, which is not set with fingerprints: remove %s", kapa.FingerprintTracking)
	default:
		return nil
	}
}

// An experimenter is an Experiment, prepared by Provision.
type experimenter struct {
	assignment  experiment.Assignment
	submissions caddyhttp.MatchPath
	views, sent armCounters
}

// armCounters count by arm and bucket.
type armCounters [experiment.ArmCount][experiment.BucketCount]prometheus.Counter

// newExperimenter returns the experimenter with the settings e.
func newExperimenter(ctx caddy.Context, e Experiment) (*experimenter, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	paths, err := provisionPaths(ctx, e.Submissions)
	if err != nil {
		return nil, fmt.Errorf("experiment submissions: %w", err)
	}
	x := &experimenter{assignment: experiment.NewAssignment(e.Holdout / 100), submissions: paths}
	for _, c := range []struct {
		name, help string
		counters   *armCounters
	}{
		{"form_views_total", "Forms shown to visitors with an id under an experiment.", &x.views},
		{"submissions_total", "Forms sent by visitors with an id under an experiment.", &x.sent},
	} {
		vec, err := register(ctx.GetMetricsRegistry(), prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "caddy", Subsystem: "kapa_deflector", Name: c.name, Help: c.help,
		}, []string{"arm", "bucket"}))
		if err != nil {
			return nil, err
		}
		for a := range experiment.ArmCount {
			for b := range experiment.BucketCount {
				c.counters[a][b] = vec.WithLabelValues(a.String(), strconv.Itoa(b))
			}
		}
	}
	return x, nil
}

// view counts a view of the form by the visitor with this id, and reports whether the
// visitor is held out. salt is the integration's id, so that experiments do not share
// arms.
func (e *experimenter) view(id, salt string) (heldOut bool) {
	a, bucket := e.assignment.Of(id, salt)
	e.views[a][bucket].Inc()
	return a == experiment.Holdout
}

// watch returns a handler that passes on to next, and counts what next answers if r
// sends the form.
func (b *block) watch(r *http.Request, next caddyhttp.Handler) caddyhttp.Handler {
	e := b.experimenter
	if e == nil || r.Method != http.MethodPost {
		return next
	}
	if is, err := matchesOriginal(e.submissions, r); err != nil || !is {
		return next
	}
	id := readIDs(r.Header["Cookie"]).first
	if id == "" || b.consent.find(r, nil).Verdict != consent.Granted {
		return next
	}
	return caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		status := &statusWriter{ResponseWriterWrapper: caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
		err := next.ServeHTTP(status, r)
		if err == nil && isAccepted(r, status.status) && siblingsOf(r).question == nil {
			a, bucket := e.assignment.Of(id, b.tracked.integrationID(r))
			e.sent[a][bucket].Inc()
		}
		return err
	})
}

// isAccepted reports whether a form that r sends was accepted, by the status of the
// response. A site that has taken a form redirects, scripts such as Turbo's too. One that
// shows it again, because of a mistake in it, answers a navigation with 200 as well.
func isAccepted(r *http.Request, status int) bool {
	if 300 <= status && status <= 399 {
		return status != http.StatusNotModified
	}
	destination, _ := document.DestinationOf(r)
	byScript := destination != document.Document && destination != document.Unknown
	return byScript && (status == 0 || 200 <= status && status <= 299)
}

// A statusWriter notes the final status.
type statusWriter struct {
	caddyhttp.ResponseWriterWrapper
	status int // 0 if the handler has not called WriteHeader, which means 200
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}
