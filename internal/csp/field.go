package csp

import (
	"slices"
	"strconv"
	"strings"

	"github.com/dunglas/httpsfv"
)

// Two more response fields restrict the scripts that a page may load. This package
// does not read Integrity-Policy-Report-Only and Connection-Allowlist-Report-Only,
// because they block nothing.
const (
	integrityField  = "Integrity-Policy"
	connectionField = "Connection-Allowlist"
)

// AddIntegrity adds the lines of the field Integrity-Policy
// (https://www.w3.org/TR/sri-2/#integrity-policy-section). Browsers ignore a
// malformed field.
func (p *Policies) AddIntegrity(lines []string) {
	if lines == nil {
		return
	}
	members, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil {
		return
	}
	contains := func(key, token string) bool {
		member, _ := members.Get(key)
		list, _ := member.(httpsfv.InnerList)
		return slices.ContainsFunc(list.Items, func(item httpsfv.Item) bool { return item.Value == httpsfv.Token(token) })
	}
	_, named := members.Get("sources")
	p.integrity = p.integrity || contains("blocked-destinations", "script") && (!named || contains("sources", "inline"))
}

// AddConnections adds the lines of the field Connection-Allowlist
// (https://wicg.github.io/connection-allowlists). A malformed field allows nothing,
// also in Chromium.
func (p *Policies) AddConnections(lines []string) {
	if strings.Join(lines, "") == "" {
		return
	}
	p.connections = make([]string, 0)
	members, err := httpsfv.UnmarshalList(lines)
	if err != nil || len(members) == 0 {
		return
	}
	list, _ := members[0].(httpsfv.InnerList) // Chromium reads only the first member
	for _, item := range list.Items {
		switch value := item.Value.(type) {
		case httpsfv.Token:
			if value == "response-origin" {
				p.connections = append(p.connections, p.page.Origin())
			}
		case string:
			p.connections = append(p.connections, value)
		}
	}
}

// blocksScript returns the name of the field that blocks the script, "" for none.
func (p *Policies) blocksScript(s Script) string {
	switch {
	case p.integrity && (!s.CORS || !hasMetadata(s.Integrity)):
		return integrityField
	case p.blocksConnection(s.URL):
		return connectionField
	default:
		return ""
	}
}

func (p *Policies) blocksConnection(u URL) bool {
	u = u.on(p.page)
	return p.connections != nil && !slices.ContainsFunc(p.connections, u.matchesPattern)
}

// hasMetadata reports whether an integrity attribute contains a hash with an
// algorithm that browsers know.
func hasMetadata(integrity string) bool {
	for word := range strings.FieldsSeq(integrity) {
		word, _, _ = strings.Cut(word, "?") // options
		if _, ok := parseHash(word); ok {
			return true
		}
	}
	return false
}

// matchesPattern reports whether u matches a URL pattern
// (https://urlpattern.spec.whatwg.org/) of plain text and asterisks. A pattern with
// groups, names or modifiers is not supported and matches nothing: in doubt, the
// script counts as blocked.
func (u URL) matchesPattern(pattern string) bool {
	if pattern == u.Origin() { // an IPv6 host has brackets, which patterns use otherwise
		return true
	}
	scheme, rest, ok := strings.Cut(pattern, "://")
	if !ok || strings.ContainsAny(pattern, `{}()[]?#+\`) {
		return false
	}
	host, path, hasPath := strings.Cut(rest, "/")
	host, port, _ := strings.Cut(host, ":")
	if port == strconv.Itoa(defaultPort(scheme)) {
		port = "" // as in the URL's normal form
	}
	return matchesWildcards(scheme, u.Scheme) && matchesWildcards(strings.ToLower(host), u.Host) &&
		(port == "*" || port == u.portText()) && (!hasPath || matchesWildcards("/"+path, u.Path))
}

// matchesWildcards compares text with a pattern in which an asterisk stands for
// any text.
func matchesWildcards(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(text, first) {
		return false
	}
	text = text[len(first):]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, last)
}
