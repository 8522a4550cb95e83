package page

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"sync"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
)

// The header fields that hold policies (CSP3 sections 3.1, 3.2), and two others
// that block scripts (see package csp).
const (
	cspField        = "Content-Security-Policy"
	cspReportField  = "Content-Security-Policy-Report-Only"
	integrityField  = "Integrity-Policy"
	connectionField = "Connection-Allowlist"
)

// A Policy says how to treat the policies of pages. It is made at load.
type Policy struct {
	Off    bool // policies are neither read nor edited
	Extend bool // sources and nonces that the policies lack are added to them

	Script    csp.Script    // the deflector's script
	Questions csp.URL       // where its questions go; the zero URL if that is unknown
	Sources   []csp.Sources // what it loads and connects to, for Extend

	// FingerprintSources replace Sources for a tag that may take fingerprints. If
	// nil, Sources apply to every tag.
	FingerprintSources []csp.Sources
}

// A permit says what a page's policies let in, and how.
type permit struct {
	html   []byte // what goes in; nil if the script is blocked
	suffix string // the end of the page's entity tag; "" if the bytes depend on the response
	secret bool   // html holds a nonce

	// forwarded says that the page depends on X-Forwarded-Host or -Proto, by which
	// caches do not tell requests apart.
	forwarded bool

	verdicts verdicts
	policies *csp.Policies // the page's, extended; nil if it has none
	extended bool          // policies replace those in the header
}

// verdicts say which scripts a page's policies let in. That the page has no such
// script counts as allowed.
type verdicts struct{ script, user, loader csp.Verdict }

// A source is where a page's policies stand: its header and its head.
type source struct {
	header   http.Header
	editable bool          // the header is not sent yet
	scanner  *head.Scanner // nil for a response without a body
}

// permit asks the page's policies, those in the header and those in meta elements,
// whether the insertion may go in. mint makes nonces; it is nil if none may be made.
func (t *task) permit(s source, mint func() string) permit {
	if t.plan.Insertion.Loader != "" {
		mint = nil // it needs none, and its bytes stay the same
	}
	seen, named := t.visitor.PageURL()
	if seen != named && mint != nil {
		mint = sync.OnceValue(mint)
	}
	p := t.plan.permitAt(seen, s, mint)
	if named != seen {
		other := t.plan.permitAt(named, s, mint)
		p.forwarded = !p.equals(&other)
	}
	t.reportPermit(&p)
	return p
}

// permitAt returns the permit for a page whose address in the browser is at.
func (plan *Plan) permitAt(at csp.URL, s source, mint func() string) permit {
	rules, in := plan.Policy, plan.Insertion
	p := permit{html: in.HTML, suffix: in.Suffix, verdicts: noPolicies}
	if !rules.Off && s.hasPolicies() {
		script := rules.Script
		script.Unnonceable, script.Dynamic = in.Unnonceable, in.Loader != ""
		p.policies = s.policies(at)
		if p.extended = s.editable && rules.Extend; p.extended {
			plan.extend(p.policies, at, script, mint)
		}
		p.verdicts = in.judge(p.policies, at, script)
	}
	origin := "" // goes before the script's path
	if in.Src > 0 && rules.Script.URL.Scheme == "" && s.movesPaths(at) {
		origin = at.Origin()
	}
	v := &p.verdicts
	nonced := v.script.Nonce != "" || v.user.Nonce != ""
	// the loader's nonce is the page's own: whoever may have the page may have it
	p.secret = nonced && in.Loader == ""
	if nonced || !v.user.Allowed || origin != "" {
		p.html, p.suffix = in.with(origin, *v), ""
	}
	switch {
	case !v.script.Allowed || !v.loader.Allowed:
		p.html, p.suffix, p.extended = nil, "", false
	case plan.Reload: // a meta element, which no policy blocks; the full page will get its own permit
		return permit{html: reload.HTML, suffix: reload.Suffix}
	}
	return p
}

// noPolicies are the verdicts of a page without policies.
var noPolicies = verdicts{csp.Verdict{Allowed: true}, csp.Verdict{Allowed: true}, csp.Verdict{Allowed: true}}

// judge asks the policies of a page at that address about each script.
func (in *Insertion) judge(policies *csp.Policies, at csp.URL, script csp.Script) verdicts {
	v := noPolicies
	v.script = policies.Script(script)
	if in.User > 0 {
		v.user = policies.Inline(in.userContent())
	}
	if in.Loader != "" {
		v.loader = permitLoader(policies, at, in.Loader)
		if nonce := v.loader.Nonce; nonce != "" {
			v.script = policies.ScriptWith(nonce, script) // the loader gives its nonce to the script
		}
	}
	return v
}

// extend adds to policies what they lack to let the insertion in.
func (plan *Plan) extend(policies *csp.Policies, at csp.URL, script csp.Script, mint func() string) {
	rules, in := plan.Policy, plan.Insertion
	extension := csp.Extension{Script: script, Sources: rules.Sources, Nonce: mint}
	if rules.FingerprintSources != nil && (in.Fingerprint || plan.withoutConsent()) {
		extension.Sources = rules.FingerprintSources
	}
	if in.User > 0 {
		extension.Inline = in.userContent()
	}
	policies.Extend(extension)
	if in.Loader != "" && mayAsk(policies, at).Allowed {
		policies.ExtendInline(in.Loader)
	}
}

// hasPolicies reports whether the page has, or may have, a policy.
func (s source) hasPolicies() bool {
	h := s.header
	if h[cspField] != nil || h[cspReportField] != nil || h[integrityField] != nil || h[connectionField] != nil {
		return true
	}
	if s.scanner == nil {
		return false
	}
	metas, complete := s.scanner.Policies()
	return metas != nil || !complete
}

// policies returns the policies of the page, whose address is at.
func (s source) policies(at csp.URL) *csp.Policies {
	h := s.header
	p := csp.Read(at, h[cspField], h[cspReportField])
	p.AddIntegrity(h[integrityField])
	p.AddConnections(h[connectionField])
	if s.scanner != nil {
		metas, complete := s.scanner.Policies()
		for _, meta := range metas {
			p.AddMeta(meta)
		}
		if !complete {
			p.AddUnread()
		}
	}
	return p
}

// movesPaths reports whether the page's <base href> may have browsers load a path
// from another site than the page's own.
func (s source) movesPaths(at csp.URL) bool {
	if s.scanner == nil {
		return false
	}
	href, found := s.scanner.Base()
	return found && !csp.StaysOn(href, at)
}

// mayAsk says whether the policies of a page, whose address is at, let the loader
// send its question and insert the script.
func mayAsk(policies *csp.Policies, at csp.URL) csp.Verdict {
	if policies.RequiresTrustedTypes() {
		return csp.Verdict{Directive: "require-trusted-types-for"}
	}
	return policies.Fetch("connect-src", at)
}

// permitLoader says whether the page's policies let the loader run and ask, and with
// which nonce.
func permitLoader(policies *csp.Policies, at csp.URL, content string) csp.Verdict {
	verdict := policies.Inline(content)
	if ask := mayAsk(policies, at); verdict.Allowed && !ask.Allowed {
		return ask
	}
	return verdict
}

// equals reports whether both permits lead to the same page.
func (p *permit) equals(other *permit) bool {
	return bytes.Equal(p.html, other.html) && p.extended == other.extended &&
		(!p.extended || p.policies.Equal(other.policies))
}

// runs reports whether all scripts that p let in run under the policies of now too.
func (p *permit) runs(now permit) bool {
	stillRuns := func(was, is csp.Verdict) bool {
		return !was.Allowed || is.Allowed && (is.Nonce == "" || is.Nonce == was.Nonce)
	}
	return now.html != nil && stillRuns(p.verdicts.script, now.verdicts.script) &&
		stillRuns(p.verdicts.user, now.verdicts.user) && stillRuns(p.verdicts.loader, now.verdicts.loader)
}

// send replaces the policies in h by the extended ones.
func (p *permit) send(h http.Header) {
	if !p.extended {
		return
	}
	enforced, reportOnly := p.policies.Header()
	if enforced != nil {
		h[cspField] = enforced
	}
	if reportOnly != nil {
		h[cspReportField] = reportOnly
	}
}

// newNonce makes a nonce of 128 random bits (CSP3 section 7.1).
func newNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}

// policyLines are the lines of the four fields that hold policies.
type policyLines [4][]string

func policiesIn(h http.Header) policyLines {
	return policyLines{h[cspField], h[cspReportField], h[integrityField], h[connectionField]}
}

// scriptsStillRun reports whether the inserted scripts run under the policies in h,
// which a handler in front may have replaced.
func (t *task) scriptsStillRun(h http.Header, c *change) bool {
	if t.plan.withoutConsent() || t.plan.Policy.Off {
		return true
	}
	if now := policiesIn(h); slices.EqualFunc(now[:], c.sent[:], slices.Equal[[]string]) {
		return true
	}
	return c.permit.runs(t.permit(source{header: h, scanner: &c.scanner}, nil))
}
