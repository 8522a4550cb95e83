package kapadeflector

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/page"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/placeholder"
)

// CSP says how a page's Content-Security-Policy is treated. Such a policy may block
// scripts of hosts that it does not name. A page whose policy still blocks the
// deflector's script is left as it is.
type CSP struct {
	// `reuse` gives the inserted scripts the nonce of the page's own scripts, if
	// they need one. `extend` does the same, and adds to the policies in the
	// response's header what the deflector needs. `off` neither reads nor edits
	// policies. Default: `reuse`.
	Mode string `json:"mode,omitempty"`

	// What the deflector loads and connects to: for each directive, the sources that
	// `extend` adds where the policy restricts them. They are hosts or schemes for
	// `connect-src`, `font-src`, `frame-src`, `img-src`, `media-src` and `style-src`,
	// and hosts for `script-src`. A list replaces the default list of its directive;
	// an empty list adds nothing. Only with `extend`. Default: the hosts that Kapa
	// documents. For `script-src` the default list is empty, because the URL of the
	// script is added anyway; it is https://metrics.kapa.ai if the tag has
	// `data-user-analytics-fingerprint-enabled` and it is not `false`.
	Sources map[string][]string `json:"sources,omitempty"`
}

const (
	cspReuse  = "reuse"
	cspExtend = "extend"
	cspOff    = "off"
)

// cspDirectives are the directives that may have sources.
var cspDirectives = []string{"connect-src", "font-src", "frame-src", "img-src", "media-src", "script-src", "style-src"}

// check finds mistakes in the settings. text says that they are a Caddyfile's text,
// in which sources that await load are not checked.
func (c CSP) check(text bool) error {
	switch c.Mode {
	case "", cspReuse, cspExtend, cspOff:
	default:
		return fmt.Errorf("csp is %q: must be %s, %s or %s", c.Mode, cspReuse, cspExtend, cspOff)
	}
	if c.Sources != nil && c.Mode != cspExtend {
		return fmt.Errorf("csp sources have no effect without csp %s: write csp extend, or remove the sources", cspExtend)
	}
	for _, directive := range slices.Sorted(maps.Keys(c.Sources)) {
		if !slices.Contains(cspDirectives, directive) {
			return fmt.Errorf("csp directive %q: must be one of %s", directive, strings.Join(cspDirectives, ", "))
		}
		for _, source := range c.Sources[directive] {
			if text && placeholder.AwaitsLoad(source) {
				continue
			}
			if err := checkSource(directive, source); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkSource refuses sources that would allow more than a host or a scheme.
func checkSource(directive, source string) error {
	switch {
	case strings.HasPrefix(strings.ToLower(source), "'nonce-"), strings.HasPrefix(strings.ToLower(source), "'sha"):
		return fmt.Errorf("csp %s %s: a nonce or a hash would switch 'unsafe-inline' off where the site's own scripts rely on it; must be a host or a scheme", directive, source)
	case strings.HasPrefix(source, "'"):
		return fmt.Errorf("csp %s %s: a keyword would allow more than the deflector needs; must be a host or a scheme", directive, source)
	case !csp.IsSource(source):
		return fmt.Errorf("csp %s %q: must be a scheme, such as data:, or a host, such as https://proxy.example.com", directive, source)
	case directive == "script-src" && !csp.NamesHost(source):
		return fmt.Errorf("csp script-src %s: scripts of every host would be allowed; name the host", source)
	default:
		return nil
	}
}

// resolved returns c with {env.*}, {file.*} and {system.*} filled in.
func (c CSP) resolved() CSP {
	sources := c.Sources
	c.Sources = nil
	for directive, list := range sources {
		if c.Sources == nil {
			c.Sources = make(map[string][]string)
		}
		c.Sources[directive] = nil
		for _, source := range list {
			c.Sources[directive] = append(c.Sources[directive], placeholder.Resolve(source))
		}
	}
	return c
}

// provision returns the rules for pages that get the script. fingerprint says that
// the tag may let the deflector take fingerprints.
func (c CSP) provision(script Script, fingerprint bool) (rules page.Policy, err error) {
	c = c.resolved()
	if err := c.check(false); err != nil {
		return rules, err
	}
	url, err := csp.ParseURL(script.URL)
	if err != nil {
		return rules, err
	}
	rules = page.Policy{
		Off:    c.Mode == cspOff,
		Extend: c.Mode == cspExtend,
		Script: csp.Script{URL: url, Integrity: script.Integrity, CORS: script.CrossOrigin != ""},
	}
	if url.Scheme != "" {
		rules.Script.Source = script.URL
	}
	for _, directive := range cspDirectives {
		list, own := c.Sources[directive]
		if !own {
			list = kapa.Sources[directive]
		}
		if list != nil {
			rules.Sources = append(rules.Sources, csp.Sources{Directive: directive, Sources: list})
		}
		if directive == "connect-src" && len(list) > 0 {
			rules.Questions, _ = csp.ParseURL(list[0]) // a wildcard or a scheme is no URL
		}
	}
	if _, own := c.Sources["script-src"]; !own && fingerprint {
		rules.FingerprintSources = append(slices.Clone(rules.Sources),
			csp.Sources{Directive: "script-src", Sources: []string{"https://" + kapa.MetricsHost}})
	}
	return rules, nil
}
