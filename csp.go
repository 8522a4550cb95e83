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

// cspDirectives are those that sources can be given for.
var cspDirectives = []string{"connect-src", "font-src", "frame-src", "img-src", "media-src", "script-src", "style-src"}

// check finds mistakes in the settings, leaving out what awaits load if text
// says that it is a Caddyfile's.
func (c CSP) check(text bool) error {
	switch c.Mode {
	case "", cspReuse, cspExtend, cspOff:
	default:
		return fmt.Errorf("csp is %q: must be %s, %s or %s", c.Mode, cspReuse, cspExtend, cspOff)
	}
	if c.Sources != nil && c.Mode != cspExtend {
		return fmt.Errorf("csp sources have no meaning without csp %s: nothing is added to a policy", cspExtend)
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

// checkSource refuses what would do more than let a host in.
func checkSource(directive, source string) error {
	switch {
	case strings.HasPrefix(strings.ToLower(source), "'nonce-"), strings.HasPrefix(strings.ToLower(source), "'sha"):
		return fmt.Errorf("csp %s %s: a nonce or a hash would switch 'unsafe-inline' off where the site's own scripts rely on it; must be a host or a scheme", directive, source)
	case strings.HasPrefix(source, "'"):
		return fmt.Errorf("csp %s %s: a keyword would stand for more than what the deflector needs; must be a host or a scheme", directive, source)
	case !csp.IsSource(source):
		return fmt.Errorf("csp %s %q: must be a scheme, such as data:, or a host, such as https://proxy.example.com", directive, source)
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
			c.Sources[directive] = append(c.Sources[directive], placeholder.Resolve(source))
		}
	}
	return c
}

// provision returns the rules for pages that get the script. fingerprint says that
// the tag of some request lets the deflector take a fingerprint.
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
			rules.Questions, _ = csp.ParseURL(list[0]) // a wildcard or a scheme is none
		}
	}
	if _, own := c.Sources["script-src"]; !own && fingerprint {
		rules.FingerprintSources = append(slices.Clone(rules.Sources),
			csp.Sources{Directive: "script-src", Sources: []string{"https://" + kapa.MetricsHost}})
	}
	return rules, nil
}
