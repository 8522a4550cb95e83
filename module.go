// Package kapadeflector is a Caddy plugin that puts Kapa's Support Form
// Deflector into the pages of an existing support site, for visitors who have
// consented, and gives them one id for all subdomains.
package kapadeflector

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/loader"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/placeholder"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler puts the script tag of Kapa's Support Form Deflector
// (https://docs.kapa.ai/integrations/support-form-deflector) at the end of the
// head of HTML pages for visitors who have consented. It also sets the
// `kapa_web_id` cookie for all subdomains, by which Kapa recognises a visitor.
//
// Visitors who have not consented get the origin's bytes, unless `without_consent`
// says otherwise. With `loader`, every page gets the same small script, which puts the
// tag in later. Pages that the origin compresses with gzip stay compressed; put
// `encode` in front of the handler for all others. A page whose
// Content-Security-Policy blocks the script is left as it is, unless `csp` allows the
// handler to extend the policy.
//
// `{env.*}`, `{file.*}` and `{system.*}` placeholders are resolved when the
// configuration is loaded. All others work in attributes and in `user`, and are
// resolved for each request.
type Handler struct {
	// The attributes of the script tag, in the order in which they are
	// written. `data-integration-id`, `data-main-input-query-selector`,
	// `data-submit-element-query-selector`, `data-submit-element-event-type`
	// (`onSubmit` or `onClick`), `data-submit-button-query-selector` and
	// `data-anchor-element-query-selector` are required. If one of these is empty
	// for a request, the page gets no tag and the visitor no id.
	Attributes []Attribute `json:"attributes,omitempty"`

	// The deflector's script. Default: Kapa's, loaded async.
	Script *Script `json:"script,omitempty"`

	// The paths of the pages that get the tag, in the syntax of the path
	// matcher. Each must begin with `/` or `*`. They are compared with the path
	// that the visitor asked for, before any rewrite. Default: every page.
	Pages []string `json:"pages,omitempty"`

	// How consent is recorded. At least one rule is required, and a visitor
	// must satisfy all of them.
	Consent []ConsentRule `json:"consent,omitempty"`

	// What visitors who have not consented get: `skip` for the origin's page, or
	// `untracked` for a tag with Kapa's identifiers switched off, and no id.
	// `untracked` still loads the script and its captcha. An error where consent is
	// not required. Default: `skip`.
	WithoutConsent string `json:"without_consent,omitempty"`

	// Whether a visitor whose browser sends Global Privacy Control
	// (`Sec-GPC: 1`) counts as one who has not consented. An id that the visitor
	// already has is left alone. Default: true, or false where consent is not
	// required.
	HonorGPC *bool `json:"honor_gpc,omitempty"`

	// Whether a small script, the same in every page and for every visitor, takes the
	// place of the tag. When the form is on the page, the script asks the server and
	// puts the tag in. So it works with forms that are drawn late, with client-side
	// navigation, and with consent that is given on the page. The value says when
	// Kapa's script may load: `load` once the page has loaded, `idle` a second later
	// when the browser is idle, or `interaction` when the visitor then touches the
	// form. Default: none; the tag stands in the page.
	Loader string `json:"loader,omitempty"`

	// How the visitor's id is set. Default: for the registrable domain, for
	// 399 days.
	Cookie *Cookie `json:"cookie,omitempty"`

	// What the site knows about the visitor and tells Kapa. Default: nothing.
	User *User `json:"user,omitempty"`

	// How a page's Content-Security-Policy is treated. Default: the tag gets the
	// nonce that the page's own scripts have, and the policy is not changed.
	CSP *CSP `json:"csp,omitempty"`

	// A comparison with visitors who do not get the deflector. Default: none.
	Experiment *Experiment `json:"experiment,omitempty"`

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

// Provision checks the settings and prepares what requests need.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	b := &block{logger: ctx.Logger()}
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
	if b.pages, err = provisionPaths(ctx, h.Pages); err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	rules := resolveConsent(h.Consent)
	if b.consent, err = newConsentReader(rules, h.HonorGPC); err != nil {
		return fmt.Errorf("consent: %w", err)
	}
	if err := errors.Join(h.checkWithoutConsent(), h.checkLoader(), h.checkExperiment()); err != nil {
		return err
	}
	if h.Experiment != nil {
		if b.experimenter, err = newExperimenter(ctx, *h.Experiment); err != nil {
			return err
		}
	}
	if h.Cookie != nil {
		b.cookie = *h.Cookie
	}
	if b.cookie, err = b.cookie.provision(); err != nil {
		return fmt.Errorf("cookie: %w", err)
	}
	if hasKind(rules, consentAsk) {
		b.asker = newAsker(*rules[0].Ask, h.Attributes, h.User, b.cookie)
		b.consent.choice = &b.asker.choice
	}
	var policies CSP
	if h.CSP != nil {
		policies = *h.CSP
	}
	if b.policy, err = policies.provision(script, mayTakeFingerprints(h.Attributes)); err != nil {
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

// provisionPaths returns the matcher of configured paths.
func provisionPaths(ctx caddy.Context, configured []string) (paths caddyhttp.MatchPath, err error) {
	for _, p := range configured {
		p = placeholder.Resolve(p)
		if err := checkPath(p); err != nil {
			return nil, err
		}
		paths = append(paths, p)
	}
	return paths, paths.Provision(ctx)
}

func checkPath(p string) error {
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
		return errors.New("without_consent has no effect with consent not_required, where no visitor is without consent: remove one of them")
	}
	if h.WithoutConsent == withoutConsentUntracked && hasKind(h.Consent, consentAsk) {
		return errors.New("without_consent untracked contradicts consent ask, which promises that nothing of Kapa's is loaded before a yes: remove one of them")
	}
	return nil
}

// checkLoader finds mistakes in the loader setting, what cannot stand beside it, and what
// cannot be without it.
func (h *Handler) checkLoader() error {
	switch {
	case h.Loader == "":
		return h.checkWithoutLoader()
	case !slices.Contains(loader.Starts(), h.Loader):
		return fmt.Errorf("loader is %q: must be load, idle or interaction", h.Loader)
	case h.Script != nil && h.Script.Loading != "":
		return fmt.Errorf("script loading has no effect with loader, which puts the script in when it may load: remove loading %s", h.Script.Loading)
	default:
		return nil
	}
}

// checkWithoutLoader finds kinds of consent that only a loader can ask for.
func (h *Handler) checkWithoutLoader() error {
	for _, rule := range h.Consent {
		if _, ok := consent.SeenByPage(rule.Kind); ok {
			return fmt.Errorf("consent %s needs loader, because only the page can see its answer: add the line loader", rule.Kind)
		}
		if rule.Kind == consentAsk {
			return errors.New("consent ask needs loader, which puts the question into the page: add the line loader")
		}
	}
	return nil
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
	if empty := emptyRequired(h.Attributes); empty != nil {
		return fmt.Errorf("attributes: required, but empty: %s", strings.Join(empty, ", "))
	}
	b.tracked = newTag(script, withExemptions(h.Attributes, h.Consent), h.User)
	if h.WithoutConsent == withoutConsentUntracked {
		b.untracked = newTag(script, withoutIdentifiers(h.Attributes), nil)
	}
	if h.Loader != "" {
		b.loader = newLoader(h.Loader, h.Attributes, b.consent, h.Pages)
	}
	return nil
}

// warnings returns a text for each setting that is allowed but rarely intended.
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
	if h.Experiment != nil {
		w = append(w, "experiment: comparing visitors by "+kapa.IDCookie+" is a purpose of its own: name it in the cookie policy and in the banner (docs/experiment.md)")
	}
	if isNotRequired(h.Consent) {
		w = append(w, "consent not_required: every visitor gets the script and the id without being asked")
	}
	for _, c := range h.Consent {
		if c.Kind == consentCookie && len(c.Values) == 0 {
			w = append(w, fmt.Sprintf("consent cookie %s: its presence alone counts as consent; name the values that mean yes", c.Cookie))
		}
		if platform, ok := consent.LookUp(c.Kind); ok && platform.Implied != "" {
			w = append(w, fmt.Sprintf("consent %s: %s would make the platform write a yes for visitors who have not chosen, and its cookie does not show it; see that this is off", c.Kind, platform.Implied))
		}
	}
	return w
}

// ServeHTTP makes the plan for the request, passes the request on, and carries the
// plan out on the response.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	next = h.block.watch(r, next)
	if s := siblingsOf(r); s != nil && s.claimed { // another block serves it
		return next.ServeHTTP(w, r)
	}
	x := newExchange(h.block, r)
	if r.Method == http.MethodConnect { // a tunnel; the writer sees other upgrades by their 101
		return x.tunnel(w, next)
	}
	if err := x.makePlan(); err != nil {
		x.end(outcome.Error, err)
		return err
	}
	if x.question != nil {
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
