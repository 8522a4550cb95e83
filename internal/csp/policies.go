package csp

import (
	"cmp"
	"slices"
	"strings"
)

// The limits for a page's policies. If they exceed one, the page counts as one that
// allows nothing, and its policies are not edited.
const (
	maxText     = 64 << 10 // bytes of all policies together
	maxPolicies = 64
	maxNonces   = 32 // that are tried
)

// Policies are all policies of one page: those of its header, and those of the meta
// elements in its head.
type Policies struct {
	page   URL
	lines  []line
	metas  []policy
	unread bool // they exceed a limit, or AddUnread was called

	integrity   bool     // scripts need integrity and crossorigin
	connections []string // URL patterns, one of which must match; nil if there is no list
}

// A line is one line of a header field.
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
		// 2.2.2: a comma separates policies, and never occurs in one
		for member := range strings.SplitSeq(text, ",") {
			l.members = append(l.members, parse(member, l.reportOnly, false))
		}
		p.lines = append(p.lines, l)
	}
	return p
}

// AddMeta adds the policies of a meta element. source is its content attribute as it
// stands in the page's source; AddMeta decodes the character references. The
// policies govern what comes after the element (3.3).
//
// The specification allows only one policy here. Chromium splits at commas, as in a
// header.
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

// AddUnread says that the page has a policy that was not read. The page then counts
// as one that allows nothing.
func (p *Policies) AddUnread() { p.unread = true }

// Header returns the lines of both fields, byte for byte as they were read, with the
// additions of [Policies.Extend].
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

// A Verdict says whether a page's enforced policies allow something.
type Verdict struct {
	Allowed bool
	Nonce   string // the value that the nonce attribute must have; "" if none is needed

	// If not Allowed: the directive that blocks, such as "script-src 'self'", or the
	// name of another header field that does; and whether the directive is in a
	// meta element, which is not edited.
	Directive string
	InMeta    bool
}

// Script says whether the page may load the script and run it, if its element
// stands in the page's source.
//
// Policies that only report count, too: of the nonces that satisfy all enforced
// policies, the verdict has the one that causes the fewest reports.
func (p *Policies) Script(s Script) Verdict {
	allows := func(l list, nonce string) bool { return l.allowsScript(s, nonce, p.page) }
	return p.ScriptWith(p.bestNonce(scriptElements, allows), s)
}

// Inline says whether the page may run an inline script with this content, if
// its element stands in the page's source.
func (p *Policies) Inline(content string) Verdict {
	return p.judge(scriptElements, func(l list, nonce string) bool { return l.allowsInline(content, nonce) })
}

// ScriptWith is like Script, for an element that already has this nonce attribute,
// "" for none.
func (p *Policies) ScriptWith(nonce string, s Script) Verdict {
	v := p.judgeWith(scriptElements, nonce, func(l list, nonce string) bool { return l.allowsScript(s, nonce, p.page) })
	if by := p.blocksScript(s); v.Allowed && by != "" {
		return Verdict{Directive: by}
	}
	return v
}

// InlineWith is like Inline, for an element that already has this nonce attribute,
// "" for none.
func (p *Policies) InlineWith(nonce, content string) Verdict {
	return p.judgeWith(scriptElements, nonce, func(l list, nonce string) bool { return l.allowsInline(content, nonce) })
}

// Loads says whether a script that the page runs may load another from that URL.
func (p *Policies) Loads(u URL) Verdict {
	if p.integrity {
		return Verdict{Directive: integrityField} // the other script may have no integrity metadata
	}
	return p.fetch(scriptElements, u, func(l list) bool {
		return l.strictDynamic() || !l.voidsURLs() && l.allows(u, p.page)
	})
}

// Fetch says whether the page may load the URL for the kind that a directive governs:
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

// kindOf returns the name of the most specific directive for what a directive governs.
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

// judge asks all policies, with the nonce that satisfies most of them. allows is
// called with the list that governs.
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

// bestNonce returns the nonce that satisfies the most policies. Those in meta elements
// count first, because they cannot be edited; then the enforced ones of the header;
// then those that only report. If no nonce is better than none, it returns "".
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

// nonces returns the nonces in the lists that govern kind.
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
