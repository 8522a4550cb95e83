package kapadeflector

import (
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

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
		if err := parse(d); err != nil {
			return rule, err
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

func (h *Handler) parseHonorGPC(d *caddyfile.Dispenser) error {
	if err := parseOnOff(d, &h.HonorGPC); err != nil {
		return err
	}
	return noBlock(d, "honor_gpc")
}

func (h *Handler) parseLiveConsent(d *caddyfile.Dispenser) error {
	if h.LiveConsent {
		return d.Err("live_consent is given twice")
	}
	if d.NextArg() {
		return d.Errf("unexpected %q: live_consent has no value", d.Val())
	}
	h.LiveConsent = true
	return noBlock(d, "live_consent")
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
