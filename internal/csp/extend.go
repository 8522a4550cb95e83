package csp

import (
	"slices"
	"strings"
)

// IsSource reports whether text is a source expression that matches URLs: a scheme,
// or a host with an optional scheme, port and path.
func IsSource(text string) bool {
	_, ok := parseSource(text)
	return ok && inValue(text) && !strings.ContainsAny(text, ";"+whitespace)
}

// NamesHost reports whether text is such an expression with a host, such as
// example.com or *.example.com.
func NamesHost(text string) bool {
	s, ok := parseSource(text)
	return ok && s.host != "" && IsSource(text)
}

// An Extension is what [Policies.Extend] makes the policies allow.
type Extension struct {
	Script  Script
	Inline  string    // the content of an inline script, "" for none
	Sources []Sources // for what the script itself loads

	// Nonce makes a nonce that nobody can guess, for a policy in which only a
	// nonce counts. It is called at most once. If nil, such policies stay as they
	// are.
	Nonce func() string
}

// Sources are what a directive must allow: script-src, or a directive that
// [Policies.Fetch] knows.
type Sources struct {
	Directive string
	Sources   []string // each an [IsSource]
}

// Extend adds the words that allow e to the policies of the header, including
// those that only report. It never removes a word, and it allows no more than e:
//
//   - A policy gets no directive for a kind that it does not restrict.
//   - default-src does not change, nor does child-src for frames: Extend adds a
//     directive for the one kind, with a copy of their list.
//   - An empty list stays empty, and 'none' stays 'none'. For scripts, default-src
//     'none' stays, too. For what the script loads, default-src 'none' is extended,
//     because it does not show that the site refuses this kind.
//   - The script is allowed by a nonce of the policy, otherwise by its exact URL.
//     Extend adds a fresh nonce only where 'strict-dynamic' makes browsers ignore
//     URLs and 'unsafe-inline'. Elsewhere a nonce or a hash would make browsers
//     ignore 'unsafe-inline', which the site's own scripts may need. If the list
//     has the hash of another URL, Extend adds the script's URL and its hash.
//   - The inline script is allowed by a nonce of the policy, otherwise by its hash.
//     If it needs either, the policy has no 'unsafe-inline' that counts.
//
// [Policies.Script] and the other methods then say whether that is enough.
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
		// a nonce of another policy would allow every element that carries it
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

// missing returns the directive to which words must be added to allow a script. It
// returns nil if the policy allows the script, or must stay as it is.
func (p *policy) missing(nonce string, allows func(l list, nonce string) bool) *directive {
	d := p.blocks(scriptElements, nonce, allows)
	if d == nil || d.name == "sandbox" || d.sources.isNone() {
		return nil
	}
	return d
}

// servingNonce returns a nonce that satisfies all policies in which nothing else can
// help: those in meta elements, and those with 'strict-dynamic'. It prefers the best
// nonce. If no nonce satisfies them, it returns the best one, and serves is false.
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

// ExtendInline is like Extend, for only an inline script with this content.
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

// extendSources adds the sources that the list that governs kind does not cover yet.
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

// covers reports whether a word of a list allows everything that the source text
// allows. A wildcard is compared as if it were a host.
func covers(word, text string, page URL) bool {
	if word == text {
		return true
	}
	s, ok := parseSource(text)
	if !ok || s.scheme == "" || s.host == "" || s.anyPort { // no single URL stands for it
		return false
	}
	u := URL{Scheme: s.scheme, Host: s.host, Port: s.port, Path: s.path}
	if s.anyHost {
		u.Host = "*." + u.Host
	}
	return list(word).allows(u, page)
}

// add adds words to the list that governs kind. If that list governs other kinds
// as well, add copies it to a new directive for kind.
func (p *policy) add(kind, words string) {
	d := p.governing(kind)
	if d.name == "default-src" || d.name == "child-src" {
		if !p.taken(kind) { // if an invalid directive has the name, browsers ignore a second one
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

// addDirective adds a directive after all others.
func (p *policy) addDirective(name, value string) {
	end := len(strings.TrimRight(p.text, whitespace))
	added := "; " + name + " " + value
	if p.text[end-1] == ';' {
		added = added[1:]
	}
	p.text = p.text[:end] + added + p.text[end:]
	p.directives = append(p.directives, directive{name: name, sources: list(value), end: end + len(added)})
}

// about returns the words of the list that have a meaning for kind.
func (l list) about(kind string) string {
	var words []string
	for word := range strings.FieldsSeq(string(l)) {
		_, isSource := parseSource(word)
		keyword := kind == scriptElements || kind == styleElements || strings.EqualFold(word, "'self'")
		if (isSource || keyword) && !strings.EqualFold(word, "'none'") { // beside other words it has no effect
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
