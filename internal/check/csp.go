package check

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
)

// policiesFor returns the policies that apply to the page's element n, or all of them
// if n is nil.
func (j *judge) policiesFor(n *html.Node) (p *csp.Policies, found bool) {
	if l := j.page.loader; l != nil && n != nil && n.Parent == nil { // which the loader puts in
		n = l.node
	}
	return PoliciesOf(j.response, j.page.Page, n)
}

// PoliciesOf returns the policies of a page that apply to its element n, or all of them if
// n is nil. found is false if it has none.
func PoliciesOf(a *Response, page *dom.Page, n *html.Node) (p *csp.Policies, found bool) {
	h, metas := a.Header, metaPolicies(page, n)
	lines, integrity, connections := h["Content-Security-Policy"], h["Integrity-Policy"], h["Connection-Allowlist"]
	address, err := csp.ParseURL(a.URL)
	if err != nil || len(lines)+len(metas)+len(integrity)+len(connections) == 0 {
		return nil, false
	}
	p = csp.Read(address, lines, nil)
	p.AddIntegrity(integrity)
	p.AddConnections(connections)
	for _, content := range metas {
		p.AddMeta(html.EscapeString(content))
	}
	return p, true
}

// metaPolicies returns the policies in the page's meta elements, or only those before
// n if it is not nil.
func metaPolicies(p *dom.Page, n *html.Node) (contents []string) {
	for e := range p.Elements {
		if e == n {
			return contents
		}
		name := dom.Value(e, "http-equiv")
		content, ok := dom.Attribute(e, "content")
		if ok && e.DataAtom == atom.Meta && dom.Place(e) == "head" && strings.EqualFold(strings.TrimSpace(name), "content-security-policy") {
			contents = append(contents, content)
		}
	}
	return contents
}

// blockedScript returns the directive that blocks a script on the page, "" for none.
func (j *judge) blockedScript(src string) string {
	policies, found := j.policiesFor(nil)
	u, err := csp.ParseURL(src)
	if !found || err != nil {
		return ""
	}
	return policies.Script(csp.Script{URL: u, Source: src}).Directive
}

// checkPolicy judges whether the page's policies allow the script to load and to work.
func (j *judge) checkPolicy(t tag) {
	policies, found := j.policiesFor(t.node)
	if !found {
		return
	}
	j.report.CSP.Present = true
	blocks := func(code Code, directive, format string, args ...any) {
		j.report.CSP.Blocks = append(j.report.CSP.Blocks, directive)
		j.finding(code, aboutPolicy, "%s "+format, append([]any{Short(directive)}, args...)...)
	}

	src, err := j.tagAddress(t)
	if err != nil {
		return // checkTag has reported it
	}
	u, err := csp.ParseURL(src.String())
	if err != nil {
		return
	}
	_, crossOrigin := dom.Attribute(t.node, "crossorigin")
	script := csp.Script{URL: u, Source: src.String(), Integrity: t.attr("integrity"), CORS: crossOrigin}
	nonce := t.attr("nonce")
	if t.place == byLoader {
		if v := j.checkLoaderPolicy(policies); !v.Allowed {
			blocks(codeCSPLoader, v.Directive, "blocks the loader or its question: the policy needs %s in script-src, and 'self' in connect-src", j.report.Loader.Hash)
			return
		}
		script.Dynamic, nonce = true, dom.Value(j.page.loader.node, "nonce")
	}
	if v := policies.ScriptWith(nonce, script); !v.Allowed {
		what := "blocks the script: the deflector does not start"
		switch {
		case v.Directive == "Integrity-Policy":
			what += ". Serve your own copy, and give script an integrity and a crossorigin"
		case policies.Script(script).Allowed:
			what = "requires a nonce that the tag does not have: the deflector does not start"
		}
		blocks(codeCSPScript, v.Directive, "%s", what)
		return
	}
	for _, to := range j.deflector.Connects {
		if u, err := csp.ParseURL(to); err == nil {
			if v := policies.Fetch("connect-src", u); !v.Allowed {
				blocks(codeCSPConnection, v.Directive, "blocks the deflector's requests to %s, so it gets no answers. Add the hosts that Kapa lists", u.Host)
				return
			}
		}
	}
	if t.usesFingerprint() {
		if v := policies.Loads(csp.URL{Scheme: "https", Host: "metrics.kapa.ai", Path: "/"}); !v.Allowed {
			blocks(codeCSPFingerprint, v.Directive, "blocks the script from metrics.kapa.ai that the deflector needs for fingerprints: "+
				"add that host, or switch fingerprints off")
		}
	}
	if n := settingsBefore(t.node); n != nil {
		nonce := dom.Value(n, "nonce")
		if v := policies.InlineWith(nonce, n.FirstChild.Data); !v.Allowed {
			blocks(codeCSPUser, v.Directive, "blocks the inline script with the data of the user block")
		}
	}
	if policies.RequiresTrustedTypes() {
		j.note(codeCSPTrustedTypes, aboutPolicy, "the page requires Trusted Types, and it is not known whether Kapa's script works under them: "+
			"look at the browser's console")
	}
}

// settingsBefore returns the inline script before the tag, with the data of the user
// block; nil if there is none.
func settingsBefore(n *html.Node) *html.Node {
	n = n.PrevSibling
	if n == nil || n.DataAtom != atom.Script || n.FirstChild == nil || !strings.Contains(n.FirstChild.Data, "kapaSettings") {
		return nil
	}
	return n
}
