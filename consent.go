package kapadeflector

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/loader"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/placeholder"
)

// ConsentRule says where a visitor's consent is recorded, and how to read it.
type ConsentRule struct {
	// What records consent. It must be `cookie` for a cookie that says yes or no in
	// one plain value; a consent platform, such as `onetrust`, or a format, `tcf` or
	// `gpp` (the list is at
	// https://github.com/kapadeflector/caddy-kapa-deflector/blob/main/docs/consent.md#platforms);
	// `rule` for a cookie that `decode`, `answered` and `granted` explain; `ask` for a
	// question of the plugin's own at the form, which allows no other rule beside it; or
	// `not_required` where the site needs no consent, which allows no other rule
	// beside it and works in the handler only. Required.
	Kind string `json:"kind,omitempty"`

	// The cookie's name, compared exactly. Required for `cookie` and `rule`. Except
	// for `cookie`, it may be several names separated by white space, `*` stands for
	// any number of letters and digits, and `{category}` stands for the category
	// where a platform has one cookie for each category. Default: the platform's
	// usual cookie.
	Cookie string `json:"cookie,omitempty"`

	// The values that mean yes, compared exactly and without decoding. Any other
	// value that is not empty means no. Without values, the cookie's presence means
	// yes, unless its value is a plain refusal (`0`, `false`, `no`, `denied`, ...)
	// or more than one plain word. For `cookie` only.
	Values []string `json:"values,omitempty"`

	// The categories, services or purposes, in the platform's own terms. The visitor
	// must have consented to all of them. Default: the platform's category for
	// analytics, if it has one. For platforms only.
	Categories []string `json:"categories,omitempty"`

	// The steps that decode the cookie's value. Each step is a list of words, such
	// as `["percent"]` or `["json"]`; steps and tests are at
	// https://github.com/kapadeflector/caddy-kapa-deflector/blob/main/docs/consent.md#consent-rule.
	// Default: none; the value is one word. For `rule` only.
	Decode [][]string `json:"decode,omitempty"`

	// The tests that tell whether the visitor has made a choice: a value is a choice
	// if it passes all of them. Each test is a list of words, such as
	// `["json", "status", "exists"]`. Default: any value that is not empty is a
	// choice. For `rule` only.
	Answered [][]string `json:"answered,omitempty"`

	// The tests that tell a yes from a no: a choice is a yes if its value passes all
	// of them. Each test is a list of words, such as
	// `["json", "status", "equals", "yes"]`. Required for `rule`. For `rule` only.
	Granted [][]string `json:"granted,omitempty"`

	// The question. Required for `ask`. For `ask` only.
	Ask *Ask `json:"ask,omitempty"`
}

const (
	consentCookie      = "cookie"
	consentPacked      = "rule"
	consentAsk         = "ask"
	consentNotRequired = "not_required"
)

// consentKinds are the words that may follow consent.
func consentKinds() string {
	return strings.Join(slices.Concat([]string{consentCookie, consentPacked, consentAsk, consentNotRequired}, consent.PlatformNames(), consent.PagePlatformNames()), ", ")
}

// parseConsentRule reads the words of one consent line.
func parseConsentRule(words []string) (ConsentRule, error) {
	if len(words) == 0 {
		return ConsentRule{}, fmt.Errorf("consent is empty: must be one of %s", consentKinds())
	}
	rule, args := ConsentRule{Kind: words[0]}, words[1:]
	switch rule.Kind {
	case consentNotRequired:
		if len(args) > 0 {
			return rule, errors.New("consent not_required takes no further words")
		}
	case consentAsk:
		if len(args) > 0 {
			return rule, errors.New("consent ask takes no further words, but a block: write policy <url> in it")
		}
		rule.Ask = new(Ask)
	case consentPacked:
		if len(args) != 1 {
			return rule, errors.New("write consent rule <cookie>, and a block with decode, answered and granted lines")
		}
		rule.Cookie = args[0]
	case consentCookie:
		if len(args) > 0 {
			rule.Cookie, args = args[0], args[1:]
		}
		if len(args) > 0 {
			rule.Values = args
		}
	default:
		if len(args) > 0 {
			rule.Categories = args
		}
	}
	return rule, nil
}

// requestPlaceholder matches a request placeholder, and not the braces of a cookie's
// raw JSON.
var requestPlaceholder = regexp.MustCompile(`\{(http|time|vars)\.[^{}]*\}`)

// compile checks the rule and returns it in the form that requests are judged by. It
// returns no rule for not_required.
func (c ConsentRule) compile() ([]consent.Rule, error) {
	for _, word := range c.words() {
		if requestPlaceholder.MatchString(*word) {
			return nil, fmt.Errorf("consent %s: %q: request placeholders do not work here", c.Kind, *word)
		}
	}
	if err := c.checkFields(); err != nil {
		return nil, err
	}
	switch c.Kind {
	case consentNotRequired:
		return nil, nil
	case consentAsk:
		if c.Ask == nil {
			return nil, Ask{}.check()
		}
		return nil, c.Ask.check()
	case consentCookie:
		if err := c.checkCookie(); err != nil {
			return nil, err
		}
		return []consent.Rule{consent.Cookie{Name: c.Cookie, Values: c.Values}}, nil
	case consentPacked:
		rule, err := consent.PackedRule{Cookie: c.Cookie, Decode: c.Decode, Answered: c.Answered, Granted: c.Granted}.Compile()
		if err != nil {
			return nil, fmt.Errorf("consent rule %s: %w", c.Cookie, err)
		}
		return []consent.Rule{rule}, nil
	}
	if _, ok := consent.SeenByPage(c.Kind); ok {
		_, err := c.adapter()
		return nil, err
	}
	platform, ok := consent.LookUp(c.Kind)
	if !ok {
		return nil, unknownKind(c.Kind)
	}
	rules, err := platform.Compile(c.Cookie, c.Categories)
	if err != nil {
		return nil, fmt.Errorf("consent %w", err)
	}
	return rules, nil
}

// adapter returns what a loader needs to ask the page for the answer of a platform that
// only the page can see.
func (c ConsentRule) adapter() (loader.Adapter, error) {
	category, _ := consent.SeenByPage(c.Kind)
	a := loader.Adapter{Platform: c.Kind, Categories: c.Categories}
	if a.Categories == nil && category != "" {
		a.Categories = []string{category}
	}
	switch {
	case c.Cookie != "":
		return a, fmt.Errorf("consent %s has no cookie: the loader asks the page for its answer", c.Kind)
	case len(a.Categories) == 0:
		return a, fmt.Errorf("consent %s names no service: write consent %s <service>, as it is called there", c.Kind, c.Kind)
	case len(a.Categories) > consent.MaxCategories:
		return a, fmt.Errorf("consent %s has %d services: must be at most %d", c.Kind, len(a.Categories), consent.MaxCategories)
	case slices.ContainsFunc(a.Categories, isBlank):
		return a, fmt.Errorf("consent %s has an empty service", c.Kind)
	}
	return a, nil
}

// mirrorCookie is the advice for platforms whose consent no server can read.
const mirrorCookie = "let its callback write a plain cookie, document.cookie = 'kapa_consent=yes; Path=/; Max-Age=15552000; SameSite=Lax; Secure', " +
	"and kapa_consent=no after a refusal or withdrawal, and write consent cookie kapa_consent yes (docs/consent.md)"

func unknownKind(kind string) error {
	if why, ok := consent.Unseen(kind); ok {
		return fmt.Errorf("consent %s cannot be read here, because %s: %s", kind, why, mirrorCookie)
	}
	return fmt.Errorf("consent kind %q: must be one of %s", kind, consentKinds())
}

// checkFields finds fields that belong to another kind of rule.
func (c ConsentRule) checkFields() error {
	_, isPlatform := consent.LookUp(c.Kind)
	if !isPlatform {
		_, isPlatform = consent.SeenByPage(c.Kind)
	}
	for _, f := range []struct {
		name         string
		given, meant bool
	}{
		{"cookie", c.Cookie != "", c.Kind != consentNotRequired && c.Kind != consentAsk},
		{"values", c.Values != nil, c.Kind == consentCookie},
		{"categories", c.Categories != nil, isPlatform},
		{"decode", c.Decode != nil, c.Kind == consentPacked},
		{"answered", c.Answered != nil, c.Kind == consentPacked},
		{"granted", c.Granted != nil, c.Kind == consentPacked},
		{"ask", c.Ask != nil, c.Kind == consentAsk},
	} {
		if f.given && !f.meant && (isPlatform || c.isKind()) {
			return fmt.Errorf("consent %s has no %s", c.Kind, f.name)
		}
	}
	return nil
}

func (c ConsentRule) isKind() bool {
	return c.Kind == consentCookie || c.Kind == consentPacked || c.Kind == consentAsk || c.Kind == consentNotRequired
}

// checkCookie finds mistakes in a rule for a plain cookie.
func (c ConsentRule) checkCookie() error {
	switch {
	case c.Cookie == "":
		return errors.New("consent cookie has no name: write consent cookie <name> [<value>...]")
	case strings.ContainsAny(c.Cookie, "=; \t\r\n"):
		return fmt.Errorf("consent cookie name %q: a cookie's name has no white space, = or ;", c.Cookie)
	}
	if platform, known := consent.PlatformOf(c.Cookie); known && len(c.Values) == 0 {
		return fmt.Errorf("consent cookie %s: that cookie also exists after a refusal; to read its value, write consent %s", c.Cookie, platform.Usage())
	}
	if name, why, unseen := consent.UnseenOf(c.Cookie); unseen && len(c.Values) == 0 {
		if _, ok := consent.SeenByPage(name); ok {
			return fmt.Errorf("consent cookie %s is of %s, whose answer only the page can see: write consent %s and loader", c.Cookie, name, name)
		}
		return fmt.Errorf("consent cookie %s is of %s, whose consent cannot be read here, because %s: %s", c.Cookie, name, why, mirrorCookie)
	}
	for _, value := range c.Values {
		switch {
		case value == "":
			return fmt.Errorf("consent cookie %s: an empty value cannot mean yes", c.Cookie)
		case strings.TrimSpace(value) != value || strings.ContainsAny(value, ";\r\n"):
			return fmt.Errorf("consent cookie %s: the value %q must not hold ; or begin or end with white space", c.Cookie, value)
		}
	}
	return nil
}

// words returns pointers to all words of the rule except its kind.
func (c *ConsentRule) words() []*string {
	words := []*string{&c.Cookie}
	for _, list := range slices.Concat([][]string{c.Values, c.Categories}, c.Decode, c.Answered, c.Granted) {
		for i := range list {
			words = append(words, &list[i])
		}
	}
	if c.Ask != nil {
		words = append(words, c.Ask.words()...)
	}
	return words
}

// clone returns a copy that shares no word with c.
func (c ConsentRule) clone() ConsentRule {
	c.Values, c.Categories, c.Ask = slices.Clone(c.Values), slices.Clone(c.Categories), c.Ask.clone()
	for _, lines := range []*[][]string{&c.Decode, &c.Answered, &c.Granted} {
		*lines = slices.Clone(*lines)
		for i, words := range *lines {
			(*lines)[i] = slices.Clone(words)
		}
	}
	return c
}

// checkText checks the rule, unless a word of it awaits load.
func (c ConsentRule) checkText() error {
	for _, word := range c.words() {
		if placeholder.AwaitsLoad(*word) {
			return nil
		}
	}
	_, err := c.compile()
	return err
}

// resolveConsent returns rules with {env.*}, {file.*} and {system.*} filled in.
func resolveConsent(rules []ConsentRule) []ConsentRule {
	resolved := make([]ConsentRule, len(rules))
	for i, rule := range rules {
		resolved[i] = rule.clone()
		for _, word := range resolved[i].words() {
			*word = placeholder.Resolve(*word)
		}
		if ask := resolved[i].Ask; ask != nil {
			ask.resolveTexts()
		}
	}
	return resolved
}

// checkConsent finds what is wrong with the list as a whole.
func checkConsent(rules []ConsentRule) error {
	if len(rules) == 0 {
		return errors.New("there is no consent line: write consent cookie <name> [<value>...], consent <platform>, consent ask if the site asks nobody yet or, where the law asks for no consent, consent not_required; to find out which, accept the site's banner in a private window and look up the cookie that it sets (docs/consent.md)")
	}
	for _, kind := range []string{consentNotRequired, consentAsk} {
		if len(rules) > 1 && hasKind(rules, kind) {
			return fmt.Errorf("consent %s stands alone: remove it or the other consent lines", kind)
		}
	}
	for i, rule := range rules {
		twice := slices.ContainsFunc(rules[:i], func(c ConsentRule) bool { return c.Kind == rule.Kind && c.Cookie == rule.Cookie })
		switch {
		case twice && rule.Kind == consentCookie:
			return fmt.Errorf("consent cookie %s is given twice, and both lines would have to be satisfied: list all values that mean yes in one line", rule.Cookie)
		case twice && rule.Kind != consentPacked:
			return fmt.Errorf("consent %s is given twice: list all that visitors must consent to in one line", rule.Kind)
		}
	}
	return nil
}

func isNotRequired(rules []ConsentRule) bool { return hasKind(rules, consentNotRequired) }

func hasKind(rules []ConsentRule, kind string) bool {
	return slices.ContainsFunc(rules, func(c ConsentRule) bool { return c.Kind == kind })
}

// seenByPage returns the first kind in rules whose answer only pages can see, "" if there
// is none.
func seenByPage(rules []ConsentRule) string {
	for _, rule := range rules {
		if _, ok := consent.SeenByPage(rule.Kind); ok {
			return rule.Kind
		}
	}
	return ""
}

// consentReader says who has consented.
type consentReader struct {
	rules  []consent.Rule   // what cookies say
	pages  []loader.Adapter // the platforms whose answers only pages can see
	choice *consent.Choice  // the answer to consent ask; nil without it
	gpc    bool             // whether Sec-GPC is honoured
}

// newConsentReader checks rules, which are all rules of a handler or a matcher, and
// returns their reader. If honorGPC is nil, GPC counts unless consent is not required.
func newConsentReader(rules []ConsentRule, honorGPC *bool) (reader consentReader, err error) {
	if err := checkConsent(rules); err != nil {
		return reader, err
	}
	for _, rule := range rules {
		compiled, err := rule.compile()
		if err != nil {
			return reader, err
		}
		reader.rules = append(reader.rules, compiled...)
		if _, ok := consent.SeenByPage(rule.Kind); ok {
			adapter, err := rule.adapter()
			if err != nil {
				return reader, err
			}
			reader.pages = append(reader.pages, adapter)
		}
	}
	reader.gpc = !isNotRequired(rules)
	if honorGPC != nil {
		reader.gpc = *honorGPC
	}
	return reader, nil
}

// isRequired reports whether visitors must have consented.
func (c consentReader) isRequired() bool { return len(c.rules)+len(c.pages) > 0 || c.choice != nil }

// find returns what r says about its visitor's consent. q is what r asks if a loader
// sends it, nil otherwise: only then does r say what the page sees, or what the visitor
// has just chosen. Global Privacy Control makes a yes doubtful, and so the verdict
// unknown. It is no refusal that would delete an id, because its browser sends it with
// every request.
func (c consentReader) find(r *http.Request, q *loader.Question) consent.Finding {
	if q != nil && !q.SameOrigin {
		q = nil
	}
	found := consent.Finding{Verdict: consent.Granted}
	if len(c.rules) > 0 {
		found = consent.Find(c.rules, r.Header["Cookie"])
	}
	for _, adapter := range c.pages {
		var reports string
		if q != nil {
			reports = q.Reports
		}
		found = consent.Careful(found, consent.Report(reports, adapter.Platform))
	}
	if c.choice != nil {
		found = c.choice.Find(r.Header["Cookie"])
		if q != nil && q.Choice != "" {
			found = consent.Chosen(q.Choice == "yes")
		}
	}
	if found.Verdict == consent.Granted && c.isGPC(r) {
		return consent.Finding{Verdict: consent.Unknown, Reason: consent.GPC}
	}
	return found
}

// vary names the request fields that find reads, for Vary.
func (c consentReader) vary() string {
	if c.gpc {
		return "Cookie, Sec-GPC"
	}
	return "Cookie"
}

// isGPC reports whether r's browser sends a Global Privacy Control that counts.
func (c consentReader) isGPC(r *http.Request) bool { return c.gpc && hasGPC(r.Header) }

// hasGPC reports whether a line is exactly 1. Any other value has no meaning:
// https://w3c.github.io/gpc/#the-sec-gpc-header-field-for-http-requests
func hasGPC(h http.Header) bool { return slices.Contains(h["Sec-Gpc"], "1") }
