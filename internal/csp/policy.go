// Package csp reads the Content-Security-Policies of a page. It says whether a script
// that the parser inserts may run there, which nonce it needs, and which directive
// blocks it. It also adds the fewest words that allow the script.
//
// It follows Content Security Policy Level 3 (https://www.w3.org/TR/CSP3/); section
// numbers in comments refer to it. Where Chromium differs from the specification,
// this package follows Chromium, and a comment says so: what counts is whether the
// visitor's browser runs the script.
package csp

import (
	"slices"
	"strings"
)

// A policy is one serialized policy (2.2): a member of a header field's list,
// or the content of a meta element.
type policy struct {
	text       string // as it was written
	directives []directive
	reportOnly bool
	meta       bool
}

// A directive is one that this package knows. If a policy has several with the same
// name, only the first counts.
type directive struct {
	name    string // one of names
	sources list   // its value
	end     int    // where its value ends in the policy's text
	invalid bool   // it has no effect, but its name is taken
}

// names are the directives that are read. No other directive affects the deflector.
var names = []string{
	"default-src", "script-src", scriptElements, "script-src-attr", "style-src", styleElements,
	"connect-src", "font-src", "img-src", "media-src", "frame-src", "child-src",
	"sandbox", "require-trusted-types-for",
}

// whitespace is ASCII whitespace. Nothing else separates words.
const whitespace = "\t\n\f\r "

// parse reads a serialized policy (2.2.1). It keeps the text, which is what is sent.
func parse(text string, reportOnly, meta bool) policy {
	p := policy{text: text, reportOnly: reportOnly, meta: meta}
	p.directives = make([]directive, 0, min(strings.Count(text, ";")+1, len(names)))
	for at := 0; at < len(text); {
		end := len(text)
		if i := strings.IndexByte(text[at:], ';'); i >= 0 {
			end = at + i
		}
		p.parseDirective(at, end)
		at = end + 1
	}
	return p
}

// parseDirective reads the directive at text[from:to].
//
// The specification ignores a directive that is not ASCII. Chromium ignores a value
// that has anything other than visible ASCII and white space, and still ignores a
// second directive with that name as a duplicate.
func (p *policy) parseDirective(from, to int) {
	token := strings.Trim(p.text[from:to], whitespace)
	name, value := token, ""
	if i := strings.IndexAny(token, whitespace); i >= 0 {
		name, value = token[:i], token[i:]
	}
	known := slices.IndexFunc(names, func(n string) bool {
		return len(n) == len(name) && strings.EqualFold(n, name) // of one length: ASCII alone
	})
	if known < 0 || p.taken(names[known]) {
		return
	}
	name = names[known]
	d := directive{name: name, end: from + len(strings.TrimRight(p.text[from:to], whitespace))}
	switch {
	case !inValue(value):
		d.invalid = true
	case p.reportOnly && name == "sandbox", // 6.3.2: not monitored
		p.meta && name == "sandbox": // 3.3
		d.invalid = true
	default:
		d.sources = list(strings.Trim(value, whitespace))
	}
	p.directives = append(p.directives, d)
}

// inValue reports whether s can be a part of a directive's value.
func inValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 0x21 || c > 0x7e) && strings.IndexByte(whitespace, c) < 0 || c == ',' {
			return false
		}
	}
	return true
}

func (p *policy) taken(name string) bool {
	return slices.ContainsFunc(p.directives, func(d directive) bool { return d.name == name })
}

// find returns the directive called name, nil if there is none or it has no effect.
func (p *policy) find(name string) *directive {
	for i := range p.directives {
		if d := &p.directives[i]; d.name == name && !d.invalid {
			return d
		}
	}
	return nil
}

// The most specific directives for script and style elements.
const (
	scriptElements = "script-src-elem"
	styleElements  = "style-src-elem"
)

// fallback returns the directive that governs if the one called name is missing
// (6.8.3), "" for none.
func fallback(name string) string {
	switch name {
	case scriptElements, "script-src-attr":
		return "script-src"
	case styleElements:
		return "style-src"
	case "frame-src":
		return "child-src"
	case "default-src":
		return ""
	default:
		return "default-src"
	}
}

// governing returns the directive that governs kind, nil if the policy does not
// restrict it.
func (p *policy) governing(kind string) *directive {
	for name := kind; name != ""; name = fallback(name) {
		if d := p.find(name); d != nil {
			return d
		}
	}
	return nil
}

// forbidsScripts reports whether the policy puts the page into a sandbox
// without scripts (6.3.2).
func (p *policy) forbidsScripts() bool {
	d := p.find("sandbox")
	return d != nil && !d.sources.has("allow-scripts")
}

// String returns the directive in its normal form.
func (d *directive) String() string {
	return strings.Join(append([]string{d.name}, strings.Fields(string(d.sources))...), " ")
}
