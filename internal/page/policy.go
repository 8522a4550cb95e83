package page

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
)

// The header fields that hold policies (CSP3 sections 3.1, 3.2), and those that
// block scripts beside them (see package csp).
const (
	cspField        = "Content-Security-Policy"
	cspReportField  = "Content-Security-Policy-Report-Only"
	integrityField  = "Integrity-Policy"
	connectionField = "Connection-Allowlist"
)

// A Policy says how insertions get along with the policies of pages. It is made
// at load.
type Policy struct {
	Off    bool // policies are neither read nor edited
	Extend bool // what they lack is added to them

	Script    csp.Script    // the deflector's
	Questions csp.URL       // where its questions go; the zero URL if that is unknown
	Sources   []csp.Sources // what it loads and connects to, for Extend

	// FingerprintSources take the place of Sources for a tag that may take
	// fingerprints. Without them, Sources have the last word.
	FingerprintSources []csp.Sources
}

// A permit is what a page's policies make of its insertion.
type permit struct {
	html   []byte // what goes in; nil if the script is blocked
	suffix string // of the page's entity tag; "" if the bytes depend on the response
	secret bool   // html holds a nonce

	// forwarded says that the page would be another one without X-Forwarded-Host and
	// -Proto, by which no cache tells requests apart.
	forwarded bool

	verdicts verdicts
	policies *csp.Policies // of the page, extended; nil if it has none
	extended bool          // they take the place of the header's
}

// verdicts say which of the inserted scripts a page's policies let in.
type verdicts struct{ script, user, watcher csp.Verdict }

// A source is what a page says of itself before the insertion.
type source struct {
	header   http.Header // to be sent, or as it was sent
	editable bool        // the header is still to be sent
	scanner  *head.Scanner
}

// permit asks the policies of the page, those of its header and of the meta
// elements in its source, whether the insertion may go in. mint makes nonces; it is
// nil if there can be none.
func (t *task) permit(s source, mint func() string) permit {
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

// permitAt is permit for a page that the visitor's browser has at that address.
func (plan *Plan) permitAt(at csp.URL, s source, mint func() string) permit {
	rules, in, direct := plan.Policy, plan.Insertion, plan.insertion()
	allowed := csp.Verdict{Allowed: true}
	p := permit{html: direct.HTML, suffix: direct.Suffix, verdicts: verdicts{allowed, allowed, allowed}}
	origin := "" // to be written before the script's path
	if in.Src > 0 && rules.Script.URL.Scheme == "" && s.movesPaths(at) {
		origin = at.Origin()
	}
	if rules.Off || !s.hasPolicies() {
		if origin != "" && !plan.Reload {
			p.html, p.suffix = in.with(origin, p.verdicts), ""
		}
		return p
	}

	p.policies = s.policies(at)
	script := rules.Script
	script.Unnonceable = in.Unnonceable
	if s.editable && rules.Extend {
		plan.extend(p.policies, at, script, mint)
		p.extended = true
	}
	v := &p.verdicts
	v.script = p.policies.Script(script)
	if in.User > 0 {
		v.user = p.policies.Inline(in.userContent())
	}
	if in.Watcher > 0 {
		if v.watcher = permitWatcher(p.policies, at, in.watcherContent()); v.watcher.Nonce == "" {
			v.watcher.Nonce = v.script.Nonce // which it hands on to the script
		}
	}
	if !v.script.Allowed {
		p.html, p.suffix, p.extended = nil, "", false
		return p
	}
	p.secret = v.script.Nonce != "" || v.user.Nonce != "" || v.watcher.Nonce != ""
	if p.secret || !v.user.Allowed || !v.watcher.Allowed || origin != "" {
		p.html, p.suffix = in.with(origin, *v), ""
	}
	switch {
	case len(p.html) == 0:
		p.html, p.suffix, p.extended = nil, "", false
	case plan.Reload: // it is no script, and no use if the full page gets nothing
		return permit{html: direct.HTML, suffix: direct.Suffix}
	}
	return p
}

// extend adds to policies what the insertion needs.
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
	if in.Watcher > 0 && mayAsk(policies, at).Allowed {
		policies.ExtendInline(in.watcherContent())
	}
}

// hasPolicies reports whether anything of the page may block a script.
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

// policies returns the policies of the page at that address.
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

// movesPaths reports whether the page's <base href> may have paths on the page's
// own site loaded from another.
func (s source) movesPaths(at csp.URL) bool {
	if s.scanner == nil {
		return false
	}
	href, found := s.scanner.Base()
	return found && !csp.StaysOn(href, at)
}

// mayAsk says whether the policies of a page at that address let the watcher ask,
// and put the script in.
func mayAsk(policies *csp.Policies, at csp.URL) csp.Verdict {
	if policies.RequiresTrustedTypes() {
		return csp.Verdict{Directive: "require-trusted-types-for"}
	}
	return policies.Fetch("connect-src", at)
}

// permitWatcher says whether the page's policies let the watcher do what it is
// for, and with which nonce it runs.
func permitWatcher(policies *csp.Policies, at csp.URL, content string) csp.Verdict {
	verdict := policies.Inline(content)
	if ask := mayAsk(policies, at); verdict.Allowed && !ask.Allowed {
		return ask
	}
	return verdict
}

// equals reports whether visitors get the same page by both.
func (p *permit) equals(other *permit) bool {
	return bytes.Equal(p.html, other.html) && p.extended == other.extended &&
		(!p.extended || p.policies.Equal(other.policies))
}

// runs reports whether all that was inserted by p runs under the policies of now.
func (p *permit) runs(now permit) bool {
	stillRuns := func(was, is csp.Verdict) bool {
		return !was.Allowed || is.Allowed && (is.Nonce == "" || is.Nonce == was.Nonce)
	}
	return now.html != nil && stillRuns(p.verdicts.script, now.verdicts.script) &&
		stillRuns(p.verdicts.user, now.verdicts.user) && stillRuns(p.verdicts.watcher, now.verdicts.watcher)
}

// send puts the policies into h, in place of those that were read from it.
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

// reportPermit reports what the page's policies block.
func (t *task) reportPermit(p *permit) {
	policies, v := p.policies, &p.verdicts
	if policies == nil {
		return
	}
	if !v.script.Allowed {
		t.visitor.Report(ScriptBlocked, Detail{Blocked: v.script})
	}
	if !v.watcher.Allowed {
		t.visitor.Report(WatcherBlocked, Detail{Blocked: v.watcher})
	}
	if p.html == nil {
		return
	}
	if !v.user.Allowed {
		t.visitor.Report(UserBlocked, Detail{Blocked: v.user})
	}
	if questions := t.plan.Policy.Questions; questions.Scheme != "" {
		if verdict := policies.Fetch("connect-src", questions); !verdict.Allowed {
			t.visitor.Report(QuestionsBlocked, Detail{Blocked: verdict, Host: questions.Host})
		}
	}
	if t.plan.Insertion.Fingerprint {
		if verdict := policies.Loads(fingerprintScript); !verdict.Allowed {
			t.visitor.Report(FingerprintBlocked, Detail{Blocked: verdict, Host: fingerprintScript.Host})
		}
	}
	if policies.RequiresTrustedTypes() {
		t.visitor.Report(TrustedTypes, Detail{})
	}
}

// fingerprintScript is where the deflector loads a script from to take fingerprints.
var fingerprintScript = csp.URL{Scheme: "https", Host: kapa.MetricsHost, Path: "/"}

// reportEmbedder reports that a page with header h takes scripts of other origins
// only from servers that allow it.
func (t *task) reportEmbedder(h http.Header) {
	script := t.plan.Policy.Script
	if script.URL.Scheme != "" && !script.CORS && demandsCORP(h) {
		t.visitor.Report(EmbedderPolicy, Detail{})
	}
}

// demandsCORP reports whether header h has browsers demand
// Cross-Origin-Resource-Policy of scripts of other origins
// (https://html.spec.whatwg.org/multipage/browsers.html#coep,
// https://wicg.github.io/document-isolation-policy/).
func demandsCORP(h http.Header) bool {
	demands := func(field, word string) bool {
		value, _, _ := strings.Cut(h.Get(field), ";")
		return strings.TrimSpace(value) == word
	}
	return demands("Cross-Origin-Embedder-Policy", "require-corp") || demands("Document-Isolation-Policy", "isolate-and-require-corp")
}

// policyLines are the lines of the fields, as they left this writer.
type policyLines [4][]string

func policiesIn(h http.Header) policyLines {
	return policyLines{h[cspField], h[cspReportField], h[integrityField], h[connectionField]}
}

// scriptsStillRun reports whether the scripts that were inserted by c run under the
// policies in h, which a handler further out may have replaced.
func (t *task) scriptsStillRun(h http.Header, c *change) bool {
	if t.plan.withoutConsent() || t.plan.Policy.Off {
		return true
	}
	if now := policiesIn(h); slices.EqualFunc(now[:], c.sent[:], slices.Equal[[]string]) {
		return true
	}
	return c.permit.runs(t.permit(source{header: h, scanner: &c.scanner}, nil))
}
