package kapadeflector

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"go.uber.org/zap"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/placeholder"
)

func init() {
	httpcaddyfile.RegisterDirective("kapa_deflector", parseCaddyfile)
	// behind encode, which compresses the changed page, and in front of all
	// directives that make or change pages
	httpcaddyfile.RegisterDirectiveOrder("kapa_deflector", httpcaddyfile.After, "encode")
}

// parseCaddyfile is what httpcaddyfile.RegisterHandlerDirective makes of a handler's
// parser, with a look at the matcher.
func parseCaddyfile(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	matchers, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	file, line := h.File(), h.Line()
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if handler.Loader != "" {
		if names := dividing(matchers); names != nil {
			caddy.Log().Named("kapa_deflector").Warn("loader: the block's matcher looks at "+strings.Join(names, " and ")+
				", but caches give a page to every request for its address: match paths and hosts only",
				zap.String("file", file), zap.Int("line", line))
		}
	}
	return h.NewRoute(matchers, handler), nil
}

// dividing returns the names of those matchers that divide the requests for one page.
func dividing(matchers caddy.ModuleMap) (names []string) {
	for _, name := range []string{"client_ip", "consent", "header", "header_regexp", "method", "query", "remote_ip"} {
		if matchers[name] != nil {
			names = append(names, name)
		}
	}
	return names
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	kapa_deflector [<matcher>] {
//	    data-integration-id                <value>
//	    data-main-input-query-selector     <selector>
//	    data-submit-element-query-selector <selector>
//	    data-submit-element-event-type     onClick|onSubmit
//	    data-submit-button-query-selector  <selector>
//	    data-anchor-element-query-selector <selector>
//	    data-<any other name>              <value>
//	    script <url> {
//	        integrity   <hashes>
//	        crossorigin anonymous|use-credentials
//	        loading     async|defer
//	    }
//	    pages <path>...
//	    consent cookie <name> [<value>...]
//	    consent <platform> [<category>...] {
//	        cookie <name>
//	    }
//	    consent rule <cookie> {
//	        decode   <step>
//	        answered <test>
//	        granted  <test>
//	    }
//	    consent ask {
//	        policy  <url>
//	        cookie  <name>
//	        domain  <domain>
//	        max_age <duration>
//	        version <word>
//	        text|accept|refuse|change <text>
//	        language <tag> {
//	            text|accept|refuse|change <text>
//	        }
//	    }
//	    consent not_required
//	    without_consent skip|untracked
//	    honor_gpc on|off
//	    loader [load|idle|interaction]
//	    cookie off
//	    cookie {
//	        domain    <domain>|host
//	        max_age   <duration>
//	        same_site lax|strict|none
//	        renew
//	    }
//	    user {
//	        unique_client_id <value>
//	        email            <value>
//	        metadata <key>   <value>
//	    }
//	    csp reuse|extend|off
//	    csp extend {
//	        <directive> <source>...|none
//	    }
//	    experiment {
//	        holdout     <percent>
//	        submissions <path>...
//	    }
//	}
//
// The six data- attributes named above and at least one consent line are required.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.Errf("unexpected %q: settings go into a block", d.Val())
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if isDataAttribute(name) {
			if err := h.parseAttribute(d); err != nil {
				return err
			}
			continue
		}
		parse, ok := h.subdirectives()[name]
		if !ok {
			return unrecognized(d, "subdirective", "data-*", "script", "pages", "consent", "without_consent", "honor_gpc", "loader", "cookie", "user", "csp", "experiment")
		}
		if err := parse(d); err != nil {
			return err
		}
	}

	// only at the end of the block is it known what is missing
	if err := checkAttributes(h.Attributes); err != nil {
		return d.WrapErr(err)
	}
	if err := checkConsent(h.Consent); err != nil {
		return d.WrapErr(err)
	}
	if err := errors.Join(h.checkWithoutConsent(), h.checkLoader(), h.checkExperiment()); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (h *Handler) subdirectives() map[string]func(*caddyfile.Dispenser) error {
	return map[string]func(*caddyfile.Dispenser) error{
		"script":          h.parseScript,
		"pages":           h.parsePages,
		"consent":         h.parseConsent,
		"without_consent": h.parseWithoutConsent,
		"honor_gpc":       h.parseHonorGPC,
		"loader":          h.parseLoader,
		"live_consent":    parseLiveConsent,
		"cookie":          h.parseCookie,
		"user":            h.parseUser,
		"csp":             h.parseCSP,
		"experiment":      h.parseExperiment,
	}
}

func isDataAttribute(name string) bool {
	return len(name) >= 5 && strings.EqualFold(name[:5], "data-")
}

func (h *Handler) parseAttribute(d *caddyfile.Dispenser) error {
	a := Attribute{Name: d.Val()}
	if hasAttribute(h.Attributes, a.Name) {
		return d.Errf("%s is given twice", strings.ToLower(a.Name))
	}
	if err := a.checkName(); err != nil {
		return d.WrapErr(err)
	}
	switch args := d.RemainingArgs(); len(args) {
	case 0:
		return d.Errf(`%s has no value; one that begins with # is a comment unless it is quoted: %s "#..."`, a.Name, a.Name)
	case 1:
		a.Value = args[0]
	default:
		return d.Errf(`%s has %d values; one that holds spaces must be quoted: %s "%s"`, a.Name, len(args), a.Name, strings.Join(args, " "))
	}
	if !placeholder.AwaitsLoad(a.Value) {
		if err := a.checkValue(); err != nil {
			return d.WrapErr(err)
		}
		if isBlank(a.Value) && slices.Contains(kapa.RequiredAttributes, a.Name) {
			return d.Errf("%s is required, but empty", a.Name)
		}
	}
	h.Attributes = append(h.Attributes, a)
	return noBlock(d, a.Name)
}

func (h *Handler) parseScript(d *caddyfile.Dispenser) error {
	if h.Script != nil {
		return d.Err("script is given twice")
	}
	s := new(Script)
	if err := oneArg(d, &s.URL); err != nil {
		return err
	}
	fields := s.fields()
	delete(fields, "url")
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		field, ok := fields[d.Val()]
		if !ok {
			return unrecognized(d, "script option", "integrity", "crossorigin", "loading")
		}
		if *field != "" {
			return d.Errf("script %s is given twice", d.Val())
		}
		if d.Val() == "integrity" { // several hashes make one value
			*field = strings.Join(d.RemainingArgs(), " ")
			if *field == "" {
				return d.Err("integrity names no hash: write sha384-... or leave the line out")
			}
		} else if err := oneArg(d, field); err != nil {
			return err
		}
		if err := s.checkText(); err != nil {
			return d.WrapErr(err)
		}
		if err := noBlock(d, "a script option"); err != nil {
			return err
		}
	}
	h.Script = s
	if err := s.checkText(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// checkText checks the settings that do not await load.
func (s Script) checkText() error {
	for _, field := range s.fields() {
		if placeholder.AwaitsLoad(*field) {
			*field = ""
		}
	}
	return s.withDefaults().check()
}

func (h *Handler) parsePages(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Err("pages names no path; without the line, every page gets the tag")
	}
	for _, p := range args {
		if placeholder.AwaitsLoad(p) {
			continue
		}
		if err := checkPath(p); err != nil {
			return d.WrapErr(err)
		}
	}
	h.Pages = append(h.Pages, args...)
	return noBlock(d, "pages")
}

func (h *Handler) parseCookie(d *caddyfile.Dispenser) error {
	if h.Cookie != nil {
		return d.Err("cookie is given twice: write either cookie off or one block")
	}
	h.Cookie = new(Cookie)
	if d.NextArg() {
		if d.Val() != "off" {
			return d.Errf("cookie %s: write cookie off, or a block", d.Val())
		}
		h.Cookie.Off = true
		if d.NextArg() {
			return d.Errf("unexpected %q: cookie off takes no further words", d.Val())
		}
		return noBlock(d, "cookie off")
	}
	empty := true
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		empty = false
		if err := h.Cookie.parseOption(d); err != nil {
			return err
		}
	}
	if empty {
		return d.Err("cookie has no settings: write cookie off, or a block with domain, max_age, same_site, renew")
	}
	return nil
}

func (c *Cookie) parseOption(d *caddyfile.Dispenser) error {
	before, name := *c, d.Val()
	switch name {
	case "domain":
		if err := oneArg(d, &c.Domain); err != nil {
			return err
		}
	case "max_age":
		var arg string
		if err := oneArg(d, &arg); err != nil {
			return err
		}
		age, err := caddy.ParseDuration(arg)
		if err != nil || age == 0 {
			return d.Errf("max_age is %q: must be a duration from 1s to 400d, such as 395d or 720h", arg)
		}
		c.MaxAge = caddy.Duration(age)
	case "same_site":
		if err := oneArg(d, &c.SameSite); err != nil {
			return err
		}
	case "renew":
		if d.NextArg() {
			return d.Errf("unexpected %q: renew has no value", d.Val())
		}
		c.Renew = true
	default:
		return unrecognized(d, "cookie option", "domain", "max_age", "same_site", "renew")
	}
	if name == "domain" && before.Domain != "" || name == "max_age" && before.MaxAge != 0 ||
		name == "same_site" && before.SameSite != "" || name == "renew" && before.Renew {
		return d.Errf("cookie %s is given twice", name)
	}
	text := *c
	if placeholder.AwaitsLoad(text.Domain) {
		text.Domain = ""
	}
	if err := text.check(); err != nil {
		return d.WrapErr(err)
	}
	return noBlock(d, name)
}

func (h *Handler) parseUser(d *caddyfile.Dispenser) error {
	if h.User != nil {
		return d.Err("user is given twice")
	}
	if d.NextArg() {
		return d.Errf("unexpected %q: user takes a block, with unique_client_id, email or metadata", d.Val())
	}
	u := new(User)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch name := d.Val(); name {
		case "unique_client_id", "email":
			field := map[string]*string{"unique_client_id": &u.UniqueClientID, "email": &u.Email}[name]
			if *field != "" {
				return d.Errf("user %s is given twice", name)
			}
			if err := oneArg(d, field); err != nil {
				return err
			}
		case "metadata":
			var key, val string
			if !d.AllArgs(&key, &val) {
				return d.Err("write metadata <key> <value>; a value that holds spaces must be quoted")
			}
			if _, ok := u.Metadata[key]; ok {
				return d.Errf("user metadata %s is given twice", key)
			}
			if u.Metadata == nil {
				u.Metadata = make(map[string]string)
			}
			u.Metadata[key] = val
		default:
			return unrecognized(d, "user option", "unique_client_id", "email", "metadata")
		}
		if err := noBlock(d, "a user option"); err != nil {
			return err
		}
	}
	if err := u.check(); err != nil {
		return d.WrapErr(err)
	}
	h.User = u
	return nil
}

func (h *Handler) parseCSP(d *caddyfile.Dispenser) error {
	if h.CSP != nil {
		return d.Err("csp is given twice")
	}
	c := new(CSP)
	if err := oneArg(d, &c.Mode); err != nil {
		return err
	}
	if err := c.check(true); err != nil {
		return d.WrapErr(err)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if c.Sources == nil {
			c.Sources = make(map[string][]string)
		}
		if err := c.parseSources(d); err != nil {
			return err
		}
	}
	h.CSP = c
	return nil
}

func (c *CSP) parseSources(d *caddyfile.Dispenser) error {
	directive := d.Val()
	if _, ok := c.Sources[directive]; ok {
		return d.Errf("csp %s is given twice", directive)
	}
	sources := d.RemainingArgs()
	switch {
	case len(sources) == 0:
		return d.Errf("csp %s names no source; to add nothing for it, write %s none", directive, directive)
	case len(sources) == 1 && sources[0] == "none":
		sources = []string{}
	}
	c.Sources[directive] = sources
	if err := c.check(true); err != nil {
		return d.WrapErr(err)
	}
	return noBlock(d, directive)
}

func (h *Handler) parseExperiment(d *caddyfile.Dispenser) error {
	if h.Experiment != nil {
		return d.Err("experiment is given twice")
	}
	if d.NextArg() {
		return d.Errf("unexpected %q: experiment takes a block, with holdout and submissions", d.Val())
	}
	e := new(Experiment)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		switch name := d.Val(); name {
		case "holdout":
			var arg string
			if e.Holdout != 0 {
				return d.Err("experiment holdout is given twice")
			}
			if err := oneArg(d, &arg); err != nil {
				return err
			}
			percent, err := strconv.ParseFloat(strings.TrimSuffix(arg, "%"), 64)
			if err != nil || !(percent > 0 && percent < 100) {
				return d.Errf("experiment holdout is %q: must be a percentage above 0 and below 100", arg)
			}
			e.Holdout = percent
		case "submissions":
			paths := d.RemainingArgs()
			if len(paths) == 0 {
				return d.Err("submissions names no path: write the paths to which the form is sent")
			}
			for _, p := range paths {
				if placeholder.AwaitsLoad(p) {
					continue
				}
				if err := checkPath(p); err != nil {
					return d.WrapErr(err)
				}
			}
			e.Submissions = append(e.Submissions, paths...)
		default:
			return unrecognized(d, "experiment option", "holdout", "submissions")
		}
		if err := noBlock(d, "an experiment option"); err != nil {
			return err
		}
	}
	if err := e.check(); err != nil {
		return d.WrapErr(err)
	}
	h.Experiment = e
	return nil
}

// oneArg reads the one argument that a line has.
func oneArg(d *caddyfile.Dispenser, target *string) error {
	name := d.Val()
	if !d.AllArgs(target) {
		return d.Errf("%s takes one value, quoted if it holds spaces or begins with #", name)
	}
	if *target == "" {
		return d.Errf("%s has an empty value", name)
	}
	return nil
}

// noBlock returns an error if a block follows a line that takes none.
func noBlock(d *caddyfile.Dispenser, name string) error {
	err := d.Errf("%s takes no block", name)                            // made here, so that it has this line's number
	if nesting := d.Nesting(); d.NextBlock(nesting) || d.Val() == "}" { // "}" ends an empty block
		return err
	}
	return nil
}

func unrecognized(d *caddyfile.Dispenser, what string, allowed ...string) error {
	return d.WrapErr(fmt.Errorf("unknown %s %q: must be one of %s", what, d.Val(), strings.Join(allowed, ", ")))
}

// Interface guards
var _ caddyfile.Unmarshaler = (*Handler)(nil)

// The syntax of the lines about consent. The consent matcher uses parseConsentLine
// and parseOnOff too.

func (h *Handler) parseConsent(d *caddyfile.Dispenser) error {
	rule, err := parseConsentLine(d, nil)
	if err != nil {
		return err
	}
	h.Consent = append(h.Consent, rule)
	if err := checkConsent(h.Consent); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseConsentLine reads a consent line and its block. further are options that the
// block may have in addition.
func parseConsentLine(d *caddyfile.Dispenser, further map[string]func(*caddyfile.Dispenser) error) (ConsentRule, error) {
	rule, err := parseConsentRule(d.RemainingArgs())
	if err != nil {
		return rule, d.WrapErr(err)
	}
	options := rule.options()
	maps.Copy(options, further)
	if len(options) == 0 {
		if err := rule.checkText(); err != nil {
			return rule, d.WrapErr(err)
		}
		return rule, noBlock(d, "consent "+rule.Kind)
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		parse, ok := options[d.Val()]
		if !ok {
			return rule, unrecognized(d, "consent option", slices.Sorted(maps.Keys(options))...)
		}
		name := d.Val()
		if err := parse(d); err != nil {
			return rule, err
		}
		if name == "language" { // it has a block of its own
			continue
		}
		if err := noBlock(d, "a consent option"); err != nil {
			return rule, err
		}
	}
	if err := rule.checkText(); err != nil {
		return rule, d.WrapErr(err)
	}
	return rule, nil
}

// options returns the parsers of the options that the line's block may have, by name.
func (c *ConsentRule) options() map[string]func(*caddyfile.Dispenser) error {
	switch c.Kind {
	case consentCookie, consentNotRequired:
		return make(map[string]func(*caddyfile.Dispenser) error)
	case consentAsk:
		return c.Ask.options()
	case consentPacked:
		words := func(to *[][]string) func(*caddyfile.Dispenser) error {
			return func(d *caddyfile.Dispenser) error {
				name, args := d.Val(), d.RemainingArgs()
				if len(args) == 0 {
					return d.Errf("consent rule: %s has no words", name)
				}
				*to = append(*to, args)
				return nil
			}
		}
		return map[string]func(*caddyfile.Dispenser) error{
			"decode": words(&c.Decode), "answered": words(&c.Answered), "granted": words(&c.Granted),
		}
	default:
		return map[string]func(*caddyfile.Dispenser) error{
			"cookie": func(d *caddyfile.Dispenser) error {
				if c.Cookie != "" {
					return d.Errf("consent %s: cookie is given twice", c.Kind)
				}
				return oneArg(d, &c.Cookie)
			},
		}
	}
}

// options returns the parsers of the options of consent ask, by name.
func (a *Ask) options() map[string]func(*caddyfile.Dispenser) error {
	options := make(map[string]func(*caddyfile.Dispenser) error)
	for name, field := range a.fields() {
		options[name] = once("consent ask: "+name, field)
	}
	options["max_age"] = func(d *caddyfile.Dispenser) error {
		var arg string
		if err := once("consent ask: max_age", &arg)(d); err != nil {
			return err
		}
		age, err := caddy.ParseDuration(arg)
		if err != nil || age == 0 {
			return d.Errf("consent ask: max_age is %q: must be a duration, such as 180d", arg)
		}
		if a.MaxAge != 0 {
			return d.Err("consent ask: max_age is given twice")
		}
		a.MaxAge = caddy.Duration(age)
		return nil
	}
	options["language"] = a.parseLanguage
	return options
}

func (a *Ask) parseLanguage(d *caddyfile.Dispenser) error {
	var tag string
	if err := oneArg(d, &tag); err != nil {
		return err
	}
	if _, ok := a.Languages[tag]; ok {
		return d.Errf("consent ask: language %s is given twice", tag)
	}
	var texts AskTexts
	fields := texts.fields()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		field, ok := fields[d.Val()]
		if !ok {
			return unrecognized(d, "text", slices.Sorted(maps.Keys(fields))...)
		}
		if err := once("consent ask: language "+tag+" "+d.Val(), field)(d); err != nil {
			return err
		}
		if err := noBlock(d, "a text"); err != nil {
			return err
		}
	}
	if a.Languages == nil {
		a.Languages = make(map[string]AskTexts)
	}
	a.Languages[tag] = texts
	return nil
}

// once returns a parser of a line with one argument, which may stand once.
func once(name string, field *string) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if *field != "" {
			return d.Errf("%s is given twice", name)
		}
		return oneArg(d, field)
	}
}

func (h *Handler) parseHonorGPC(d *caddyfile.Dispenser) error {
	if err := parseOnOff(d, &h.HonorGPC); err != nil {
		return err
	}
	return noBlock(d, "honor_gpc")
}

func (h *Handler) parseLoader(d *caddyfile.Dispenser) error {
	if h.Loader != "" {
		return d.Err("loader is given twice")
	}
	h.Loader = "idle"
	if d.NextArg() {
		h.Loader = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	if err := h.checkLoader(); err != nil {
		return d.WrapErr(err)
	}
	return noBlock(d, "loader")
}

// parseLiveConsent names what took the place of a line of version 0.1 before its
// release.
func parseLiveConsent(d *caddyfile.Dispenser) error {
	return d.Err("live_consent has been removed: write loader, with which a choice also counts on the open page")
}

// parseOnOff reads a line whose argument must be on or off.
func parseOnOff(d *caddyfile.Dispenser, to **bool) error {
	name := d.Val()
	if *to != nil {
		return d.Errf("%s is given twice", name)
	}
	var arg string
	if err := oneArg(d, &arg); err != nil {
		return err
	}
	if arg != "on" && arg != "off" {
		return d.Errf("%s is %q: must be on or off", name, arg)
	}
	*to = new(arg == "on")
	return nil
}

func (h *Handler) parseWithoutConsent(d *caddyfile.Dispenser) error {
	if h.WithoutConsent != "" {
		return d.Err("without_consent is given twice")
	}
	if err := oneArg(d, &h.WithoutConsent); err != nil {
		return err
	}
	if err := h.checkWithoutConsent(); err != nil {
		return d.WrapErr(err)
	}
	return noBlock(d, "without_consent")
}
