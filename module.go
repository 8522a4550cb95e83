// Package kapadeflector is a Caddy plugin that puts Kapa's Support Form
// Deflector into the pages of an existing support site, for visitors who have
// consented, and gives them one id for all subdomains.
package kapadeflector

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/placeholder"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler puts the script tag of Kapa's Support Form Deflector
// (https://docs.kapa.ai/integrations/support-form-deflector) at the end of the
// head of HTML pages on their way to visitors who have consented, and sets the
// `kapa_web_id` cookie, by which Kapa recognises a visitor, for all subdomains.
//
// Visitors who have not consented get the origin's bytes, unless
// `without_consent` or `live_consent` says otherwise. Compressed pages are
// asked for uncompressed where they may be changed; put `encode` in front. A page
// whose Content-Security-Policy blocks the script is left as it is, unless `csp`
// says that the policy may be extended.
//
// `{env.*}`, `{file.*}` and `{system.*}` placeholders are resolved when the
// configuration is loaded. All others work in attributes and in `user`, and are
// resolved for each request.
type Handler struct {
	// The attributes of the script tag, in the order in which they are
	// written. Required are `data-integration-id`,
	// `data-main-input-query-selector`, `data-submit-element-query-selector`,
	// `data-submit-element-event-type` (`onSubmit` or `onClick`),
	// `data-submit-button-query-selector` and
	// `data-anchor-element-query-selector`. A request for which one of them is
	// empty gets neither tag nor id.
	Attributes []Attribute `json:"attributes,omitempty"`

	// The deflector's bundle. Default: Kapa's, loaded async.
	Script *Script `json:"script,omitempty"`

	// The paths of the pages that get the tag, in the syntax of the path
	// matcher, each with `/` or `*` at its beginning. They are compared with the
	// path that the visitor asked for, before any rewrite. Default: every page.
	Pages []string `json:"pages,omitempty"`

	// How consent is recorded; at least one rule, and all must be satisfied.
	Consent []ConsentRule `json:"consent,omitempty"`

	// What visitors get who have not consented: `skip` for the origin's page,
	// `untracked` for a tag with Kapa's identifiers switched off and no id. It
	// still loads the script and its captcha. Not where consent is not required.
	// Default: `skip`.
	WithoutConsent string `json:"without_consent,omitempty"`

	// Whether a browser that sends Global Privacy Control (`Sec-GPC: 1`) counts
	// as one whose visitor has not consented; an id that is there is left alone.
	// Default: true, but false where consent is not required.
	HonorGPC *bool `json:"honor_gpc,omitempty"`

	// Whether consent that is given, or withdrawn, on a page takes effect on it
	// at once, by a small script in the pages that asks when consent cookies
	// change. Not with `without_consent` `untracked`, nor where consent is not
	// required. Default: false, and a choice counts from the next page on.
	LiveConsent bool `json:"live_consent,omitempty"`

	// How the visitor's id is set. Default: set for the registrable domain,
	// for 399 days.
	Cookie *Cookie `json:"cookie,omitempty"`

	// What the site knows about its visitor, for Kapa. Default: nothing.
	User *User `json:"user,omitempty"`

	// What becomes of a page's Content-Security-Policy. Default: the nonce that
	// the page has is used, and the policy stays as it is.
	CSP *CSP `json:"csp,omitempty"`

	block *block
}

const (
	withoutConsentSkip      = "skip"
	withoutConsentUntracked = "untracked"
)

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.kapa_deflector",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision checks the settings and makes everything that can be made before
// the first request.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	b := &block{logger: ctx.Logger(), live: h.LiveConsent}
	if b.metrics, err = newMetrics(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	var script Script
	if h.Script != nil {
		script = *h.Script
	}
	if script, err = script.provision(); err != nil {
		return fmt.Errorf("script: %w", err)
	}
	if b.pages, err = provisionPages(ctx, h.Pages); err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	if b.consent, err = newConsentReader(resolveConsent(h.Consent), h.HonorGPC); err != nil {
		return fmt.Errorf("consent: %w", err)
	}
	if err := errors.Join(h.checkWithoutConsent(), h.checkLive()); err != nil {
		return err
	}
	if h.Cookie != nil {
		b.cookie = *h.Cookie
	}
	if b.cookie, err = b.cookie.provision(); err != nil {
		return fmt.Errorf("cookie: %w", err)
	}
	var rules CSP
	if h.CSP != nil {
		rules = *h.CSP
	}
	if b.policy, err = rules.provision(script, mayTakeFingerprints(h.Attributes)); err != nil {
		return err
	}
	if err := h.provisionTags(b, script); err != nil {
		return err
	}
	for _, warning := range h.warnings(script) {
		b.logger.Warn(warning)
	}
	h.block = b
	return nil
}

// provisionPages returns the matcher of the configured paths.
func provisionPages(ctx caddy.Context, configured []string) (paths caddyhttp.MatchPath, err error) {
	for _, p := range configured {
		p = placeholder.Resolve(p)
		if err := checkPage(p); err != nil {
			return nil, err
		}
		paths = append(paths, p)
	}
	return paths, paths.Provision(ctx)
}

func checkPage(p string) error {
	if !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "*") {
		return fmt.Errorf("path %q matches nothing: a path must begin with / or *", p)
	}
	if strings.Contains(p, "{") {
		return fmt.Errorf("path %q: request placeholders do not work here", p)
	}
	return nil
}

func (h *Handler) checkWithoutConsent() error {
	switch h.WithoutConsent {
	case "", withoutConsentSkip, withoutConsentUntracked:
	default:
		return fmt.Errorf("without_consent is %q: must be %s or %s", h.WithoutConsent, withoutConsentSkip, withoutConsentUntracked)
	}
	if h.WithoutConsent != "" && isNotRequired(h.Consent) {
		return errors.New("without_consent has no meaning with consent not_required: no visitor is without consent")
	}
	return nil
}

// checkLive finds settings under which there is nothing to watch.
func (h *Handler) checkLive() error {
	switch {
	case !h.LiveConsent:
		return nil
	case h.WithoutConsent == withoutConsentUntracked:
		return errors.New("live_consent has no meaning with without_consent untracked: every visitor's page has the tag already")
	case isNotRequired(h.Consent):
		return errors.New("live_consent has no meaning with consent not_required: there is no consent to wait for")
	default:
		return nil
	}
}

// provisionTags makes what b inserts.
func (h *Handler) provisionTags(b *block, script Script) error {
	if h.User != nil {
		if err := h.User.check(); err != nil {
			return err
		}
	}
	for _, a := range h.Attributes {
		if err := errors.Join(a.checkName(), a.checkValue()); err != nil {
			return fmt.Errorf("attributes: %w", err)
		}
	}
	if err := checkAttributes(h.Attributes); err != nil {
		return fmt.Errorf("attributes: %w", err)
	}
	var watcher string
	if b.live {
		watcher = newWatcher(b.consent.rules, true)
		b.watcherOnly = watcherAlone(b.consent.rules)
	}
	b.tracked = newTag(script, h.Attributes, h.User, false, watcher)
	if empty := b.tracked.emptyRequired(); empty != nil {
		return fmt.Errorf("attributes: required, but empty: %s", strings.Join(empty, ", "))
	}
	if h.WithoutConsent == withoutConsentUntracked {
		b.untracked = newTag(script, h.Attributes, nil, true, "")
	}
	return nil
}

// warnings returns a text for each setting that is legal but seldom meant.
func (h *Handler) warnings(script Script) []string {
	w := script.warnings()
	for _, a := range h.Attributes {
		if meant, ok := kapa.LikelyMeant(a.Name); ok {
			w = append(w, fmt.Sprintf("attributes: %s is passed on as it is; did you mean %s?", a.Name, meant))
		}
		if kapa.IsWidgetAttribute(a.Name) {
			w = append(w, fmt.Sprintf("attributes: %s belongs to Kapa's website widget; the deflector does not read it", a.Name))
		}
	}
	fingerprint := mayTakeFingerprints(h.Attributes)
	if !fingerprint && neverTracksByCookie(h.Attributes) && (h.User != nil || hasAttribute(h.Attributes, kapa.EmailSelector)) {
		w = append(w, "user and "+kapa.EmailSelector+" have no effect while cookie and fingerprint tracking are off: the deflector then sends no identifiers")
	}
	if fingerprint {
		w = append(w, kapa.FingerprintTracking+" is not false: withdrawing consent cannot undo a fingerprint, and no "+kapa.IDCookie+" is set")
	}
	if isNotRequired(h.Consent) {
		w = append(w, "consent not_required: every visitor gets the script and the id without being asked")
	}
	for _, c := range h.Consent {
		if c.Kind == consentCookie && len(c.Values) == 0 {
			w = append(w, fmt.Sprintf("consent cookie %s: its presence alone counts as consent; name the values that mean yes", c.Cookie))
		}
	}
	return w
}

// ServeHTTP passes the request on. If the response is a page that the visitor is
// to get with the tag, it changes the page on its way back.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if s := siblingsOf(r); s != nil && s.claimed { // by another block of the site
		return next.ServeHTTP(w, r)
	}
	x := newExchange(h.block, r)
	if r.Method == http.MethodConnect { // a tunnel; other upgrades show by their 101
		return x.tunnel(w, next)
	}
	if err := x.makePlan(); err != nil {
		x.end(outcome.Error, err)
		return err
	}
	if x.isQuestion() {
		x.end(x.answer(w), nil)
		return nil
	}
	return x.serve(w, next)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
