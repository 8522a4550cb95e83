package kapadeflector

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

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

// ConsentRule says how a visitor's consent is recorded.
type ConsentRule struct {
	// What records it: `cookie` for a cookie that says yes or no in one plain
	// value, or `not_required` where the site needs no consent, which stands
	// alone and is for handlers only.
	Kind string `json:"kind,omitempty"`

	// The cookie's name, compared exactly. For `cookie`.
	Cookie string `json:"cookie,omitempty"`

	// The values that mean yes, compared raw and exactly; any other value that
	// is not empty means no. Without values, the cookie's presence means yes,
	// unless the value is a plain refusal (`0`, `false`, `no`, `denied`, ...)
	// or more than one plain word. For `cookie`.
	Values []string `json:"values,omitempty"`
}

const (
	consentCookie      = "cookie"
	consentNotRequired = "not_required"
)

var consentKinds = []string{consentCookie, consentNotRequired}

// parseConsentRule reads the words of one consent line.
func parseConsentRule(words []string) (ConsentRule, error) {
	if len(words) == 0 {
		return ConsentRule{}, fmt.Errorf("consent says nothing: allowed are %s", strings.Join(consentKinds, ", "))
	}
	rule, args := ConsentRule{Kind: words[0]}, words[1:]
	if rule.Kind == consentNotRequired && len(args) > 0 {
		return rule, errors.New("consent not_required stands alone, without further words")
	}
	if len(args) > 0 {
		rule.Cookie, args = args[0], args[1:]
	}
	if len(args) > 0 {
		rule.Values = args
	}
	return rule, rule.check()
}

// requestPlaceholder tells a placeholder that is left from the braces of a
// cookie's raw JSON.
var requestPlaceholder = regexp.MustCompile(`\{(http|time|vars)\.[^{}]*\}`)

// check finds mistakes in the rule's own text.
func (c ConsentRule) check() error {
	switch c.Kind {
	case consentNotRequired:
		if c.Cookie != "" || c.Values != nil {
			return errors.New("consent not_required has no cookie and no values")
		}
		return nil
	case consentCookie:
	default:
		return fmt.Errorf("consent kind %q: allowed are %s", c.Kind, strings.Join(consentKinds, ", "))
	}

	switch {
	case c.Cookie == "":
		return errors.New("consent cookie has no name: write consent cookie <name> [<value>...]")
	case requestPlaceholder.MatchString(c.Cookie):
		return fmt.Errorf("consent cookie name %q: request placeholders do not work here", c.Cookie)
	case strings.ContainsAny(c.Cookie, "=; \t\r\n"):
		return fmt.Errorf("consent cookie name %q: a cookie's name has no white space, = or ;", c.Cookie)
	}
	for _, value := range c.Values {
		switch {
		case requestPlaceholder.MatchString(value):
			return fmt.Errorf("consent cookie %s: value %q: request placeholders do not work here", c.Cookie, value)
		case value == "":
			return fmt.Errorf("consent cookie %s: an empty value is no answer and cannot mean yes", c.Cookie)
		case strings.TrimSpace(value) != value || strings.ContainsAny(value, ";\r\n"):
			return fmt.Errorf("consent cookie %s: no cookie has the value %q: a value holds no ; and no white space at its ends", c.Cookie, value)
		}
	}
	return nil
}

// resolved returns c with the placeholders of load time filled in.
func (c ConsentRule) resolved() ConsentRule {
	c.Cookie = resolve(c.Cookie)
	c.Values = slices.Clone(c.Values)
	for i, value := range c.Values {
		c.Values[i] = resolve(value)
	}
	return c
}

// compileConsent checks rules, the only ones of a handler or matcher, and
// makes them ready to be asked. No rules come back where consent is not
// required.
func compileConsent(rules []ConsentRule) ([]consent.Rule, error) {
	if err := checkConsent(rules); err != nil {
		return nil, err
	}
	var compiled []consent.Rule
	for _, rule := range rules {
		if err := rule.check(); err != nil {
			return nil, err
		}
		if rule.Kind == consentCookie {
			compiled = append(compiled, consent.Cookie{Name: rule.Cookie, Values: rule.Values})
		}
	}
	return compiled, nil
}

// resolveConsent returns rules with the placeholders of load time filled in.
func resolveConsent(rules []ConsentRule) []ConsentRule {
	resolved := make([]ConsentRule, len(rules))
	for i, rule := range rules {
		resolved[i] = rule.resolved()
	}
	return resolved
}

// checkConsent finds what is wrong with the list as a whole.
func checkConsent(rules []ConsentRule) error {
	if len(rules) == 0 {
		return errors.New("there is no consent line: write consent cookie <name> [<value>...], or, where the law asks for no consent, consent not_required")
	}
	if len(rules) > 1 && isNotRequired(rules) {
		return errors.New("consent not_required stands alone: remove it or the other consent lines")
	}
	for i, rule := range rules {
		if rule.Kind == consentCookie && slices.ContainsFunc(rules[:i], func(c ConsentRule) bool { return c.Cookie == rule.Cookie }) {
			return fmt.Errorf("consent cookie %s is given twice, and both lines would have to be satisfied: list all values that mean yes in one", rule.Cookie)
		}
	}
	return nil
}

func isNotRequired(rules []ConsentRule) bool {
	return slices.ContainsFunc(rules, func(c ConsentRule) bool { return c.Kind == consentNotRequired })
}

// MatchConsent matches requests of visitors who have consented, by the same
// rules as the kapa_deflector handler: explicit refusals, missing, malformed
// and contradictory answers do not match.
//
// What is served by it depends on the Cookie header: give it
// `Vary: Cookie` and a `Cache-Control` that keeps shared caches away.
type MatchConsent struct {
	// The rules, all of which must be satisfied.
	Rules []ConsentRule `json:"rules,omitempty"`

	rules []consent.Rule
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
	m.rules, err = compileConsent(rules)
	return err
}

// checkMatched finds what has no meaning in a matcher.
func checkMatched(rules []ConsentRule) error {
	if len(rules) == 0 {
		return errors.New("the consent matcher has no rules: write consent cookie <name> [<value>...]")
	}
	if isNotRequired(rules) {
		return errors.New("consent not_required would match every request: leave the matcher out")
	}
	return nil
}

// Match returns true if r's visitor has consented.
func (m MatchConsent) Match(r *http.Request) bool {
	return consent.Find(m.rules, r.Header["Cookie"]).Verdict == consent.Granted
}

// MatchWithError returns true if r's visitor has consented.
func (m MatchConsent) MatchWithError(r *http.Request) (bool, error) {
	return m.Match(r), nil
}

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens. Syntax:
//
//	consent cookie <name> [<value>...]
//
// Several of one named matcher must all be satisfied.
func (m *MatchConsent) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	for d.Next() {
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.WrapErr(checkMatched(nil))
		}
		rule, err := parseConsentRule(args)
		if err != nil {
			return d.WrapErr(err)
		}
		m.Rules = append(m.Rules, rule)
		if err := checkMatched(m.Rules); err != nil {
			return d.WrapErr(err)
		}
		if err := noBlock(d, "the consent matcher"); err != nil {
			return err
		}
	}
	if err := checkConsent(m.Rules); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// CELLibrary gives expressions the matcher as a function of the words of one
// line, such as:
//
//	expression consent('cookie', 'cookie_consent', 'accepted')
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
			// what was a placeholder, the expression has filled in; words
			// that came from a request must not be resolved again
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
