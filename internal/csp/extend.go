package csp

import (
	"slices"
	"strings"
)

// IsSource reports whether text is a source expression that stands for URLs: a
// host, with or without a scheme, a port and a path, or a scheme.
func IsSource(text string) bool {
	_, ok := parseSource(text)
	return ok && inValue(text) && !strings.ContainsAny(text, ";"+whitespace)
}

// NamesHost reports whether such an expression names a host, or a domain whose
// subdomains it stands for.
func NamesHost(text string) bool {
	s, ok := parseSource(text)
	return ok && s.host != "" && IsSource(text)
}

// An Extension is what a page is to be allowed besides what it is.
type Extension struct {
	Script  Script
	Inline  string    // the content of an inline script, "" for none
	Sources []Sources // for what the script loads in turn

	// Nonce makes a nonce that nobody can guess, for a policy in which nothing
	// else counts. It is called once at most; nil leaves such policies alone.
	Nonce func() string
}

// Sources are to be allowed under a directive: script-src or one of those that
// [Policies.Fetch] knows.
type Sources struct {
	Directive string
	Sources   []string // each an [IsSource]
}

// Extend adds to the policies of the header, to those that only report as well,
// what they lack to allow e. It never removes a word, and adds to a list only
// what widens it by just that:
//
//   - No policy gets a directive about something that it is silent on.
//   - default-src, and child-src for frames, are not widened: a directive for
//     just this kind gets a copy of their list.
//   - A list that is empty or 'none' stays so. So does default-src 'none' for
//     scripts; for what the script loads it is no answer, but a list that nobody
//     has filled in.
//   - The script gets in by the nonce that is there; by its exact URL else. Only
//     where 'strict-dynamic' voids URLs, and 'unsafe-inline' with them, is a
//     nonce added, a fresh one. In other lists a nonce, or a hash, would void
//     'unsafe-inline', by which the site's own scripts may run. Beside the hash of
//     another URL, the hash of the script's goes with its URL.
//   - The inline script gets in by the nonce that is there; by its hash else.
//     Where it does not get in without, 'unsafe-inline' is void or missing.
//
// Whether all of that is enough, [Policies.Script] and the others say.
func (p *Policies) Extend(e Extension) {
	if p.unread {
		return
	}
	p.extendScript(e)
	if e.Inline != "" {
		p.ExtendInline(e.Inline)
	}
	for _, s := range e.Sources {
		kind := kindOf(s.Directive)
		for policy := range p.editable {
			policy.extendSources(kind, s.Sources, p.page)
		}
	}
}

// editable calls yield with each policy of the header.
func (p *Policies) editable(yield func(*policy) bool) {
	for policy := range p.all {
		if !policy.meta && !yield(policy) {
			return
		}
	}
}

func (p *Policies) extendScript(e Extension) {
	allows := func(l list, nonce string) bool { return l.allowsScript(e.Script, nonce, p.page) }
	nonce, serves := p.servingNonce(allows)
	fresh := !serves && e.Nonce != nil && !e.Script.Unnonceable
	if fresh {
		// the nonce of another policy would let in all that carries it
		nonce = e.Nonce()
	}
	for policy := range p.editable {
		exact := e.Script.URL.source(p.page)
		switch d := policy.missing(nonce, allows); {
		case d == nil:
		case !d.sources.strictDynamic() && exact != "":
			if e.Script.Source != "" && d.sources.voidsURLs() {
				exact += " 'url-sha256-" + sum("sha256", e.Script.Source) + "'"
			}
			policy.add(scriptElements, exact)
		case d.sources.strictDynamic() && fresh:
			policy.add(scriptElements, "'nonce-"+nonce+"'")
		}
	}
}

// missing returns the directive that may get what it lacks to let a script in,
// nil for a policy that lacks nothing, or is left as it is.
func (p *policy) missing(nonce string, allows func(l list, nonce string) bool) *directive {
	d := p.blocks(scriptElements, nonce, allows)
	if d == nil || d.name == "sandbox" || d.sources.isNone() {
		return nil
	}
	return d
}

// servingNonce returns the nonce with which the most policies allow, of those that
// serve where nothing else does: in meta elements, and with 'strict-dynamic'.
// serves is false if there is none.
func (p *Policies) servingNonce(allows func(l list, nonce string) bool) (nonce string, serves bool) {
	best := p.bestNonce(scriptElements, allows)
	for _, nonce := range append([]string{best}, p.nonces(scriptElements)...) {
		serves := true
		for policy := range p.all {
			if policy.meta {
				serves = serves && policy.blocks(scriptElements, nonce, allows) == nil
			} else if d := policy.missing(nonce, allows); d != nil && d.sources.strictDynamic() {
				serves = false
			}
		}
		if serves {
			return nonce, true
		}
	}
	return best, false
}

// ExtendInline is Extend for an inline script with this content alone.
func (p *Policies) ExtendInline(content string) {
	if p.unread {
		return
	}
	allows := func(l list, nonce string) bool { return l.allowsInline(content, nonce) }
	nonce := p.bestNonce(scriptElements, allows)
	for policy := range p.editable {
		if policy.missing(nonce, allows) != nil {
			policy.add(scriptElements, "'sha256-"+sum("sha256", content)+"'")
		}
	}
}

// extendSources adds those of sources that the list in charge of kind does not
// cover yet.
func (p *policy) extendSources(kind string, sources []string, page URL) {
	d := p.governing(kind)
	if d == nil || d.sources.isNone() && (d.name != "default-src" || kind == scriptElements) ||
		kind == scriptElements && (d.sources.strictDynamic() || d.sources.voidsURLs()) {
		return
	}
	covered := make([]bool, len(sources))
	for word := range strings.FieldsSeq(string(d.sources)) {
		for i, s := range sources {
			covered[i] = covered[i] || covers(word, s, page)
		}
	}
	var missing []string
	for i, s := range sources {
		if !covered[i] && !slices.Contains(missing, s) {
			missing = append(missing, s)
		}
	}
	if missing != nil {
		p.add(kind, strings.Join(missing, " "))
	}
}

// covers reports whether a word of a list allows all that the source does. A
// wildcard is compared as if it was a host.
func covers(word, text string, page URL) bool {
	if word == text {
		return true
	}
	s, ok := parseSource(text)
	if !ok || s.scheme == "" || s.host == "" || s.anyPort { // no URL is like that
		return false
	}
	u := URL{Scheme: s.scheme, Host: s.host, Port: s.port, Path: s.path}
	if s.anyHost {
		u.Host = "*." + u.Host
	}
	return list(word).allows(u, page)
}

// add adds words to the list that governs kind: in place, or in a directive for
// kind alone where the one that governs is about other kinds as well.
func (p *policy) add(kind, words string) {
	d := p.governing(kind)
	if d.name == "default-src" || d.name == "child-src" {
		if !p.taken(kind) { // by an invalid one, so that another would not count
			p.addDirective(kind, strings.TrimLeft(d.sources.about(kind)+" "+words, " "))
		}
		return
	}
	at := d.end
	words = " " + words
	p.text = p.text[:at] + words + p.text[at:]
	d.sources += list(words)
	for i := range p.directives {
		if p.directives[i].end >= at {
			p.directives[i].end += len(words)
		}
	}
}

// addDirective adds one behind all others.
func (p *policy) addDirective(name, value string) {
	end := len(strings.TrimRight(p.text, whitespace))
	added := "; " + name + " " + value
	if p.text[end-1] == ';' {
		added = added[1:]
	}
	p.text = p.text[:end] + added + p.text[end:]
	p.directives = append(p.directives, directive{name: name, sources: list(value), end: end + len(added)})
}

// about returns the words of the list that say something about kind.
func (l list) about(kind string) string {
	var words []string
	for word := range strings.FieldsSeq(string(l)) {
		_, isSource := parseSource(word)
		keyword := kind == scriptElements || kind == styleElements || strings.EqualFold(word, "'self'")
		if (isSource || keyword) && !strings.EqualFold(word, "'none'") { // beside others it says nothing
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
