package csp

import (
	"cmp"
	"slices"
	"strings"
)

// What is read of a page's policies at most. Beyond it the page counts as one
// that allows nothing, and is not edited.
const (
	maxText     = 64 << 10 // bytes of all policies together
	maxPolicies = 64
	maxNonces   = 32 // that are tried
)

// Policies are all that govern one page: those of its header, and those of the
// meta elements in its head.
type Policies struct {
	page   URL
	lines  []line
	metas  []policy
	unread bool // there are more, or longer ones, than are read

	integrity   bool     // scripts need integrity and crossorigin
	connections []string // URL patterns, of which one has to match; nil for no list
}

// A line is one of a header field.
type line struct {
	reportOnly bool
	members    []policy // between its commas
}

// Read reads the lines of the header fields Content-Security-Policy and
// Content-Security-Policy-Report-Only of the page at that URL.
func Read(page URL, enforced, reportOnly []string) *Policies {
	p := &Policies{page: page}
	room, count := maxText, maxPolicies
	for i := range len(enforced) + len(reportOnly) {
		l := line{reportOnly: i >= len(enforced)}
		var text string
		if l.reportOnly {
			text = reportOnly[i-len(enforced)]
		} else {
			text = enforced[i]
		}
		room -= len(text)
		count -= 1 + strings.Count(text, ",")
		if room < 0 || count < 0 {
			return &Policies{page: page, unread: true}
		}
		// 2.2.2: a comma separates policies, and can be nowhere in them
		for member := range strings.SplitSeq(text, ",") {
			l.members = append(l.members, parse(member, l.reportOnly, false))
		}
		p.lines = append(p.lines, l)
	}
	return p
}

// AddMeta adds the policies of a meta element, given the content attribute as
// the page's source has it: character references in it are decoded here. They
// govern what comes after it (3.3).
//
// The text knows no lists here; Chromium splits at commas as in a header.
func (p *Policies) AddMeta(source string) {
	if len(source) > maxText {
		p.unread = true
		return
	}
	content := decodeAttribute(source)
	if len(p.metas)+1+strings.Count(content, ",") > maxPolicies {
		p.unread = true
		return
	}
	for member := range strings.SplitSeq(content, ",") {
		p.metas = append(p.metas, parse(member, false, true))
	}
}

// AddUnread says that there is a policy that was not read. What it may forbid
// counts as forbidden.
func (p *Policies) AddUnread() { p.unread = true }

// Header returns the lines of both fields, byte for byte as they were read but
// for what [Policies.Extend] has added.
func (p *Policies) Header() (enforced, reportOnly []string) {
	for _, l := range p.lines {
		var texts []string
		for _, member := range l.members {
			texts = append(texts, member.text)
		}
		text := strings.Join(texts, ",")
		if l.reportOnly {
			reportOnly = append(reportOnly, text)
		} else {
			enforced = append(enforced, text)
		}
	}
	return enforced, reportOnly
}

// Equal reports whether both have the same Header.
func (p *Policies) Equal(other *Policies) bool {
	return slices.EqualFunc(p.lines, other.lines, func(a, b line) bool {
		return slices.EqualFunc(a.members, b.members, func(a, b policy) bool { return a.text == b.text })
	})
}

// all calls yield with each policy.
func (p *Policies) all(yield func(*policy) bool) {
	for i := range p.lines {
		for j := range p.lines[i].members {
			if !yield(&p.lines[i].members[j]) {
				return
			}
		}
	}
	for i := range p.metas {
		if !yield(&p.metas[i]) {
			return
		}
	}
}

// A Verdict is what a page's enforced policies come to.
type Verdict struct {
	Allowed bool
	Nonce   string // with this value of the nonce attribute; "" for none needed

	// If not allowed: the directive that blocks, such as "script-src 'self'", or
	// another field of the header, and whether it is in a meta element, where nobody
	// can edit it.
	Directive string
	InMeta    bool
}

// Script says whether the page may load the script and run it, if its element
// stands in the page's source.
//
// Reports count, too: among the nonces that all enforced policies allow it is
// one with which the most of the others have nothing to report.
func (p *Policies) Script(s Script) Verdict {
	allows := func(l list, nonce string) bool { return l.allowsScript(s, nonce, p.page) }
	return p.ScriptWith(p.bestNonce(scriptElements, allows), s)
}

// Inline says whether the page may run an inline script with this content, if
// its element stands in the page's source.
func (p *Policies) Inline(content string) Verdict {
	return p.judge(scriptElements, func(l list, nonce string) bool { return l.allowsInline(content, nonce) })
}

// ScriptWith and InlineWith are Script and Inline for an element that is there
// already, with this value of its nonce attribute, "" for none.
func (p *Policies) ScriptWith(nonce string, s Script) Verdict {
	v := p.judgeWith(scriptElements, nonce, func(l list, nonce string) bool { return l.allowsScript(s, nonce, p.page) })
	if by := p.blocksScript(s); v.Allowed && by != "" {
		return Verdict{Directive: by}
	}
	return v
}

func (p *Policies) InlineWith(nonce, content string) Verdict {
	return p.judgeWith(scriptElements, nonce, func(l list, nonce string) bool { return l.allowsInline(content, nonce) })
}

// Loads says whether a script that the page runs may load another from that URL.
func (p *Policies) Loads(u URL) Verdict {
	if p.integrity {
		return Verdict{Directive: integrityField} // which nobody knows it to have
	}
	return p.fetch(scriptElements, u, func(l list) bool {
		return l.strictDynamic() || !l.voidsURLs() && l.allows(u, p.page)
	})
}

// Fetch says whether the page may load the URL as what the directive is about:
// connect-src, font-src, frame-src, img-src, media-src or style-src.
func (p *Policies) Fetch(directive string, u URL) Verdict {
	return p.fetch(kindOf(directive), u, func(l list) bool { return l.allows(u, p.page) })
}

func (p *Policies) fetch(kind string, u URL, allows func(l list) bool) Verdict {
	v := p.judgeWith(kind, "", func(l list, _ string) bool { return allows(l) })
	if v.Allowed && p.blocksConnection(u) {
		return Verdict{Directive: connectionField}
	}
	return v
}

// kindOf is what a directive is about that a site would name.
func kindOf(directive string) string {
	switch directive {
	case "script-src":
		return scriptElements
	case "style-src":
		return styleElements
	default:
		return directive
	}
}

// RequiresTrustedTypes reports whether scripts on the page cannot write HTML or
// script URLs as plain text (https://w3c.github.io/trusted-types/).
func (p *Policies) RequiresTrustedTypes() bool {
	for policy := range p.all {
		d := policy.find("require-trusted-types-for")
		if d != nil && !policy.reportOnly && d.sources.any(func(word string) bool { return word == "'script'" }) {
			return true
		}
	}
	return false
}

// judge asks all policies, with the nonce that pleases most of them. allows is
// about the list that governs.
func (p *Policies) judge(kind string, allows func(l list, nonce string) bool) Verdict {
	return p.judgeWith(kind, p.bestNonce(kind, allows), allows)
}

// judgeWith asks all policies, with this nonce.
func (p *Policies) judgeWith(kind, nonce string, allows func(l list, nonce string) bool) Verdict {
	if p.unread {
		return Verdict{Directive: "policies too long to be read"}
	}
	for policy := range p.all {
		if d := policy.blocks(kind, nonce, allows); d != nil && !policy.reportOnly {
			return Verdict{Directive: d.String(), InMeta: policy.meta}
		}
	}
	return Verdict{Allowed: true, Nonce: nonce}
}

// blocks returns the directive by which the policy blocks, nil if it does not.
func (p *policy) blocks(kind, nonce string, allows func(l list, nonce string) bool) *directive {
	if kind == scriptElements && p.forbidsScripts() {
		return p.find("sandbox")
	}
	d := p.governing(kind)
	if d == nil || allows(d.sources, nonce) {
		return nil
	}
	return d
}

// bestNonce returns the nonce with which the most policies allow: of those in
// meta elements first, which cannot be edited, then of the enforced ones of the
// header, then of those that only report. Where none does better, it is "".
func (p *Policies) bestNonce(kind string, allows func(l list, nonce string) bool) (best string) {
	score := func(nonce string) (s [3]int) {
		for policy := range p.all {
			if policy.blocks(kind, nonce, allows) != nil {
				continue
			}
			switch {
			case policy.meta:
				s[0]++
			case !policy.reportOnly:
				s[1]++
			default:
				s[2]++
			}
		}
		return s
	}
	nonces := p.nonces(kind)
	if nonces == nil {
		return ""
	}
	most := score("")
	for _, nonce := range nonces {
		if s := score(nonce); slices.CompareFunc(s[:], most[:], cmp.Compare[int]) > 0 {
			best, most = nonce, s
		}
	}
	return best
}

// nonces are those in the lists that govern.
func (p *Policies) nonces(kind string) (found []string) {
	for policy := range p.all {
		d := policy.governing(kind)
		if d == nil {
			continue
		}
		for word := range strings.FieldsSeq(string(d.sources)) {
			nonce := nonceOf(word)
			if nonce == "" || slices.Contains(found, nonce) {
				continue
			}
			if found = append(found, nonce); len(found) == maxNonces {
				return found
			}
		}
	}
	return found
}
