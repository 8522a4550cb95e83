package kapadeflector

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
)

func init() {
	caddy.RegisterModule(MatchConsent{})
}

// MatchConsent matches requests of visitors who have consented, by the same
// rules as the kapa_deflector handler. Refusals do not match, nor do consent
// cookies that are missing, malformed or contradictory.
//
// A response that depends on the matcher depends on the request's Cookie and
// Sec-GPC fields. Give it `Vary: Cookie, Sec-GPC` and a `Cache-Control` that keeps
// it out of shared caches.
type MatchConsent struct {
	// The rules. At least one is required, and a visitor must satisfy all of them.
	Rules []ConsentRule `json:"rules,omitempty"`

	// Whether requests with Global Privacy Control (`Sec-GPC: 1`) never match. If
	// true, responses that depend on the matcher need `Vary: Sec-GPC`. Default: true.
	HonorGPC *bool `json:"honor_gpc,omitempty"`

	consent consentReader
}

// CaddyModule returns the Caddy module information.
func (MatchConsent) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.matchers.consent",
		New: func() caddy.Module { return new(MatchConsent) },
	}
}

// Provision sets up m.
func (m *MatchConsent) Provision(_ caddy.Context) error {
	return m.compile(resolveConsent(m.Rules))
}

func (m *MatchConsent) compile(rules []ConsentRule) (err error) {
	if err := checkMatched(rules); err != nil {
		return err
	}
	m.consent, err = newConsentReader(rules, m.HonorGPC)
	return err
}

// checkMatched finds rules that have no meaning in a matcher.
func checkMatched(rules []ConsentRule) error {
	if len(rules) == 0 {
		return errors.New("the consent matcher has no rules: write consent <platform>, or consent cookie <name> [<value>...]")
	}
	if isNotRequired(rules) {
		return errors.New("consent not_required would match every request: leave the matcher out")
	}
	for _, rule := range rules {
		if _, ok := consent.SeenByPage(rule.Kind); ok || rule.Kind == consentAsk {
			return fmt.Errorf("consent %s works in kapa_deflector only, with loader; no other request says what the visitor has chosen: %s", rule.Kind, mirrorCookie)
		}
	}
	return nil
}

// Match returns true if r's visitor has consented.
func (m MatchConsent) Match(r *http.Request) bool {
	return m.consent.find(r, nil).Verdict == consent.Granted
}

// MatchWithError returns true if r's visitor has consented.
func (m MatchConsent) MatchWithError(r *http.Request) (bool, error) {
	return m.Match(r), nil
}

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens. Syntax:
//
//	consent cookie <name> [<value>...] {
//	    honor_gpc on|off
//	}
//	consent <platform> [<category>...] {
//	    cookie    <name>
//	    honor_gpc on|off
//	}
//	consent rule <cookie> {
//	    decode    <step>
//	    answered  <test>
//	    granted   <test>
//	    honor_gpc on|off
//	}
//
// If a named matcher has several consent lines, a visitor must satisfy all of them.
func (m *MatchConsent) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		if d.CountRemainingArgs() == 0 {
			return d.WrapErr(checkMatched(nil))
		}
		rule, err := parseConsentLine(d, map[string]func(*caddyfile.Dispenser) error{
			"honor_gpc": func(d *caddyfile.Dispenser) error { return parseOnOff(d, &m.HonorGPC) },
		})
		if err != nil {
			return err
		}
		m.Rules = append(m.Rules, rule)
		if err := checkMatched(m.Rules); err != nil {
			return d.WrapErr(err)
		}
	}
	if err := checkConsent(m.Rules); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// CELLibrary makes the matcher a function of expressions. Its arguments are the words
// of one consent line:
//
//	expression consent('onetrust', 'C0002')
func (MatchConsent) CELLibrary(_ caddy.Context) (cel.Library, error) {
	return caddyhttp.CELMatcherImpl(
		"consent",
		"consent_match_request_list",
		[]*cel.Type{cel.ListType(cel.StringType)},
		func(data ref.Val) (caddyhttp.RequestMatcherWithError, error) {
			words, err := data.ConvertToNative(reflect.TypeFor[[]string]())
			if err != nil {
				return nil, err
			}
			rule, err := parseConsentRule(words.([]string))
			if err != nil {
				return nil, err
			}
			// the expression has filled in the placeholders; words that came
			// from a request must not be resolved again
			m := new(MatchConsent)
			return m, m.compile([]ConsentRule{rule})
		},
	)
}

// Interface guards
var (
	_ caddy.Provisioner                 = (*MatchConsent)(nil)
	_ caddyhttp.RequestMatcherWithError = (*MatchConsent)(nil)
	_ caddyfile.Unmarshaler             = (*MatchConsent)(nil)
	_ caddyhttp.CELLibraryProducer      = (*MatchConsent)(nil)
)
