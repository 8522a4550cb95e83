package kapadeflector

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
)

// CSP is what becomes of a page's Content-Security-Policy, which forbids scripts
// of other hosts unless it names them. Where it still blocks the deflector's
// script, the page is left as it is.
type CSP struct {
	// `reuse` gives the inserted scripts the nonce that the page's own scripts
	// have, where they need one. `extend` does so too, and adds to the policies
	// in the response's header what they lack. `off` neither reads nor edits
	// policies. Default: `reuse`.
	Mode string `json:"mode,omitempty"`

	// What the deflector loads and connects to, by directive: hosts and schemes
	// under `connect-src`, `font-src`, `frame-src`, `img-src`, `media-src` and
	// `style-src`, hosts under `script-src`. `extend`, which it is for, allows it
	// where the policy restricts it. A directive that is named here replaces
	// that directive's default list; an empty list allows nothing. Default: the
	// hosts that Kapa documents. For `script-src` that is none, since the bundle's
	// own URL is added anyway, or https://metrics.kapa.ai where the tag has
	// `data-user-analytics-fingerprint-enabled`.
	Sources map[string][]string `json:"sources,omitempty"`
}

const (
	cspReuse  = "reuse"
	cspExtend = "extend"
	cspOff    = "off"
)

// kapaSources are the hosts that the deflector needs besides its bundle's:
// https://docs.kapa.ai/integrations/understanding-csp-cors. That page names no
// directives; these are what the hosts' own documentation asks for. The
// captchas' scripts are left out: to allow all of www.google.com/recaptcha/ is to
// allow what can run a page's own markup as code.
var kapaSources = map[string][]string{
	"connect-src": {
		"https://proxy.kapa.ai", "https://kapa-widget-proxy-la7dkmplpq-uc.a.run.app", "https://metrics.kapa.ai",
		"https://www.google.com/recaptcha/", "https://hcaptcha.com", "https://*.hcaptcha.com",
	},
	"frame-src": {"https://www.google.com/recaptcha/", "https://recaptcha.google.com/recaptcha/", "https://hcaptcha.com", "https://*.hcaptcha.com"},
	"img-src":   {"https://www.gstatic.com/recaptcha/"},
	"style-src": {"https://hcaptcha.com", "https://*.hcaptcha.com"},
}

// metricsURL is where the deflector loads a script from to take fingerprints.
var metricsURL = csp.URL{Scheme: "https", Host: "metrics.kapa.ai", Path: "/"}

// mayTakeFingerprints reports whether the tag of some request has them switched on.
func (h *Handler) mayTakeFingerprints() bool {
	return slices.ContainsFunc(h.Attributes, func(a Attribute) bool {
		s, static := parseValue(a.Value).static()
		return a.Name == attrFingerprint && !(static && s == "false")
	})
}

// cspDirectives are those that sources can be given for.
var cspDirectives = []string{"connect-src", "font-src", "frame-src", "img-src", "media-src", "script-src", "style-src"}

// check finds mistakes in the settings, leaving out what awaits load if text
// says that it is a Caddyfile's.
func (c CSP) check(text bool) error {
	switch c.Mode {
	case "", cspReuse, cspExtend, cspOff:
	default:
		return fmt.Errorf("csp is %q: allowed are %s, %s, %s", c.Mode, cspReuse, cspExtend, cspOff)
	}
	if c.Sources != nil && c.Mode != cspExtend {
		return fmt.Errorf("csp sources have no meaning without csp %s: nothing is added to a policy", cspExtend)
	}
	for _, directive := range slices.Sorted(maps.Keys(c.Sources)) {
		if !slices.Contains(cspDirectives, directive) {
			return fmt.Errorf("csp directive %q: allowed are %s", directive, strings.Join(cspDirectives, ", "))
		}
		for _, source := range c.Sources[directive] {
			if text && awaitsLoad(source) {
				continue
			}
			if err := checkSource(directive, source); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkSource refuses what would do more than let a host in.
func checkSource(directive, source string) error {
	switch {
	case strings.HasPrefix(strings.ToLower(source), "'nonce-"), strings.HasPrefix(strings.ToLower(source), "'sha"):
		return fmt.Errorf("csp %s %s: a nonce or a hash would switch 'unsafe-inline' off where the site's own scripts rely on it; allowed are hosts and schemes", directive, source)
	case strings.HasPrefix(source, "'"):
		return fmt.Errorf("csp %s %s: a keyword would stand for more than what the deflector needs; allowed are hosts and schemes", directive, source)
	case !csp.IsSource(source):
		return fmt.Errorf("csp %s %q: allowed are schemes, such as data:, and hosts, such as https://proxy.example.com", directive, source)
	case directive == "script-src" && !csp.NamesHost(source):
		return fmt.Errorf("csp script-src %s: scripts of every host would be allowed; name the host", source)
	default:
		return nil
	}
}

// resolved returns c with the placeholders of load time filled in.
func (c CSP) resolved() CSP {
	sources := c.Sources
	c.Sources = nil
	for directive, list := range sources {
		if c.Sources == nil {
			c.Sources = make(map[string][]string)
		}
		c.Sources[directive] = nil
		for _, source := range list {
			c.Sources[directive] = append(c.Sources[directive], resolve(source))
		}
	}
	return c
}

// policyRules is what is done about policies, made at load.
type policyRules struct {
	off, extend bool
	script      csp.Script
	sources     []csp.Sources
	fingerprint []csp.Sources // for a tag that may take fingerprints; nil if there is none
	proxy       csp.URL       // where the deflector's questions go
}

// provisionCSP makes the rules for the script of the tag.
func (h *Handler) provisionCSP(script Script) error {
	var c CSP
	if h.CSP != nil {
		c = h.CSP.resolved()
	}
	if err := c.check(false); err != nil {
		return err
	}
	url, err := csp.ParseURL(script.URL)
	if err != nil {
		return err
	}
	h.policy = policyRules{
		off:    c.Mode == cspOff,
		extend: c.Mode == cspExtend,
		script: csp.Script{URL: url, Integrity: script.Integrity, CORS: script.CrossOrigin != ""},
	}
	if url.Scheme != "" {
		h.policy.script.Source = script.URL
	}
	for _, directive := range cspDirectives {
		list, own := c.Sources[directive]
		if !own {
			list = kapaSources[directive]
		}
		if list != nil {
			h.policy.sources = append(h.policy.sources, csp.Sources{Directive: directive, Sources: list})
		}
		if directive == "connect-src" && len(list) > 0 {
			h.policy.proxy, _ = csp.ParseURL(list[0]) // a wildcard or a scheme is none
		}
	}
	if _, own := c.Sources["script-src"]; !own && h.mayTakeFingerprints() {
		h.policy.fingerprint = append(slices.Clone(h.policy.sources), csp.Sources{Directive: "script-src", Sources: []string{metricsURL.Origin()}})
	}
	return nil
}
