package kapadeflector

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
)

// The header fields that hold policies (CSP3 sections 3.1, 3.2), and those that
// block scripts beside them (see package csp).
const (
	cspField        = "Content-Security-Policy"
	cspReportField  = "Content-Security-Policy-Report-Only"
	integrityField  = "Integrity-Policy"
	connectionField = "Connection-Allowlist"
)

// permit is what a page's policies make of the insertion.
type permit struct {
	html   []byte // what goes in; nil if the script is blocked
	suffix string // of the page's entity tag; "" if the bytes depend on the answer
	secret bool   // some nonce is in html
	// Whether the page would be another one without X-Forwarded-Host and -Proto,
	// which no cache tells requests apart by.
	forwarded bool

	// of the deflector's script, of the inline one that hands user over, and of
	// the watcher
	verdicts [3]csp.Verdict
	policies *csp.Policies // those of the page, extended; nil if it has none
	extended bool          // the header's are to be replaced by them
}

// A head is what a page says of itself before the insertion.
type pageHead struct {
	header   http.Header // to be sent, or as it was sent
	editable bool        // the header is still to be sent
	scanner  *head.Scanner
}

// permit asks the policies of the page, those of its header and of the meta
// elements in its source, whether the insertion may go in. mint makes nonces, nil
// if there can be none.
func (v *visit) permit(page pageHead, mint func() string) permit {
	seen, named := visitorOf(v.request), visitorNamed(v.request.Host, v.request.TLS != nil)
	if seen != named && mint != nil {
		mint = sync.OnceValue(mint)
	}
	p := v.permitFor(page, pageURL(seen), mint)
	if seen != named {
		other := v.permitFor(page, pageURL(named), mint)
		p.forwarded = !p.equals(&other)
	}
	v.logPermit(&p)
	return p
}

// permitFor is permit for a page that the visitor's browser has at that address.
func (v *visit) permitFor(page pageHead, at csp.URL, mint func() string) permit {
	rules, in := &v.handler.policy, v.insertion
	allowed := csp.Verdict{Allowed: true}
	p := permit{html: in.html, suffix: in.suffix, verdicts: [3]csp.Verdict{allowed, allowed, allowed}}
	if v.behind != nil {
		in = *v.behind // a reload for nothing is none
	}
	origin := ""
	if in.src > 0 && rules.script.URL.Scheme == "" && page.movesPaths(at) {
		origin = at.Origin()
	}
	if p.policies = page.policies(at); p.policies == nil || rules.off {
		p.policies = nil
		if origin != "" && v.behind == nil {
			p.html, p.suffix = in.with(origin, p.verdicts), ""
		}
		return p
	}

	script := rules.script
	script.Unnonceable = in.unnonceable
	if page.editable && rules.extend {
		extension := csp.Extension{Script: script, Sources: rules.sources, Nonce: mint}
		if rules.fingerprint != nil && (in.fingerprint || v.isUntagged()) {
			extension.Sources = rules.fingerprint
		}
		if in.inline > 0 {
			extension.Inline = in.userContent()
		}
		p.policies.Extend(extension)
		if in.live > 0 && mayAsk(p.policies, at).Allowed {
			p.policies.ExtendInline(in.liveContent())
		}
		p.extended = true
	}

	verdict, inline, live := p.policies.Script(script), allowed, allowed
	if in.inline > 0 {
		inline = p.policies.Inline(in.userContent())
	}
	if in.live > 0 {
		live = permitLive(p.policies, at, in.liveContent())
		if live.Nonce == "" {
			live.Nonce = verdict.Nonce // which it hands on to the script
		}
	}
	p.verdicts = [3]csp.Verdict{verdict, inline, live}
	if !verdict.Allowed {
		p.html, p.suffix, p.extended = nil, "", false
		return p
	}
	p.secret = verdict.Nonce != "" || inline.Nonce != "" || live.Nonce != ""
	if p.secret || !inline.Allowed || !live.Allowed || origin != "" {
		p.html, p.suffix = in.with(origin, p.verdicts), ""
	}
	switch {
	case len(p.html) == 0:
		p.html, p.suffix, p.extended = nil, "", false
	case v.behind != nil: // no script itself
		p = permit{html: v.insertion.html, suffix: v.insertion.suffix}
	}
	return p
}

// policies are those of the page, nil if it has none.
func (page pageHead) policies(at csp.URL) *csp.Policies {
	h, complete := page.header, true
	var metas []string
	if page.scanner != nil {
		metas, complete = page.scanner.Policies()
	}
	if h[cspField] == nil && h[cspReportField] == nil && h[integrityField] == nil && h[connectionField] == nil && metas == nil && complete {
		return nil
	}
	p := csp.Read(at, h[cspField], h[cspReportField])
	p.AddIntegrity(h[integrityField])
	p.AddConnections(h[connectionField])
	for _, source := range metas {
		p.AddMeta(source)
	}
	if !complete {
		p.AddUnread()
	}
	return p
}

// movesPaths reports whether the page's <base href> may have paths on the page's
// own site loaded from another.
func (page pageHead) movesPaths(at csp.URL) bool {
	if page.scanner == nil {
		return false
	}
	href, found := page.scanner.Base()
	return found && !csp.StaysOn(href, at)
}

// equals reports whether visitors get the same page by both.
func (p *permit) equals(other *permit) bool {
	return bytes.Equal(p.html, other.html) && p.extended == other.extended &&
		(!p.extended || p.policies.Equal(other.policies))
}

// logPermit says what the policies block.
func (v *visit) logPermit(p *permit) {
	if p.policies == nil {
		return
	}
	for i, what := range [...]string{"the script", "", "live_consent"} {
		verdict := p.verdicts[i]
		if verdict.Allowed || what == "" {
			continue
		}
		if c := v.handler.logger.Check(zapcore.DebugLevel, "the page's policy blocks "+what); c != nil {
			c.Write(zap.String("directive", verdict.Directive), zap.Bool("in_meta", verdict.InMeta))
		}
	}
	if p.html != nil {
		v.warnOfPolicies(p.policies, p.verdicts[1])
	}
}

// runs reports whether all that was inserted by p runs under what gives now.
func (p *permit) runs(now permit) bool {
	for i, was := range p.verdicts {
		if is := now.verdicts[i]; was.Allowed && (!is.Allowed || is.Nonce != "" && is.Nonce != was.Nonce) {
			return false
		}
	}
	return now.html != nil
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

// pageURL is where the visitor's browser is, as far as policies care.
func pageURL(v visitor) csp.URL {
	if v.hostKind == hostInvalid {
		return csp.URL{}
	}
	scheme := "http"
	if v.https {
		scheme = "https"
	}
	return csp.URL{Scheme: scheme, Host: v.host, Port: v.port, Path: "/"}
}

// What surrounds the content of the inline script.
const (
	inlineOpen  = "<script>"
	inlineClose = "</script>"
)

// userContent is the content of the inline script that hands user over.
func (in *insertion) userContent() string {
	return string(in.html[len(inlineOpen) : in.inline-len(inlineClose)])
}

// liveContent is the content of the watcher.
func (in *insertion) liveContent() string {
	return string(in.html[len(in.html)-in.live+len(inlineOpen) : len(in.html)-len(inlineClose)])
}

// with returns the bytes with the nonces of the verdicts, with the inline scripts
// as far as they may run, and with this origin before the script's address.
func (in *insertion) with(origin string, verdicts [3]csp.Verdict) []byte {
	verdict, inline, live := verdicts[0], verdicts[1], verdicts[2]
	var b bytes.Buffer
	b.Grow(len(in.html) + 3*len(` nonce=""`) + len(origin) + len(verdict.Nonce) + len(inline.Nonce) + len(live.Nonce))
	script, watcher := in.inline, len(in.html)-in.live
	if inline.Allowed {
		writeWithNonce(&b, in.html[:script], inline.Nonce)
	}
	if origin == "" {
		writeWithNonce(&b, in.html[script:watcher], verdict.Nonce)
	} else {
		writeWithNonce(&b, in.html[script:in.src], verdict.Nonce)
		b.WriteString(origin)
		b.Write(in.html[in.src:watcher])
	}
	if live.Allowed {
		writeWithNonce(&b, in.html[watcher:], live.Nonce)
	}
	return b.Bytes()
}

// writeWithNonce writes a script element with a nonce, "" for none. A nonce that
// counts is base64, so that there is nothing in it to escape.
func writeWithNonce(b *bytes.Buffer, element []byte, nonce string) {
	if rest, ok := bytes.CutPrefix(element, []byte("<script")); ok && nonce != "" {
		b.WriteString(`<script nonce="` + nonce + `"`)
		element = rest
	}
	b.Write(element)
}

// voidsNonce reports whether an attribute's value makes browsers ignore the nonce
// of the element (CSP3 section 6.7.3.1).
func voidsNonce(value string) bool {
	if !strings.Contains(value, "<") {
		return false
	}
	value = strings.ToLower(value)
	return strings.Contains(value, "<script") || strings.Contains(value, "<style")
}

// policyWarnings remembers what was said, for it is said once.
type policyWarnings struct {
	inline, connect, fingerprint, trustedTypes, embedder, overridden atomic.Bool
}

// warnOfPolicies says what a policy that lets the script in will still block.
func (v *visit) warnOfPolicies(policies *csp.Policies, inline csp.Verdict) {
	h := v.handler
	if !inline.Allowed && h.policyWarned.inline.CompareAndSwap(false, true) {
		h.logger.Warn("the page's Content-Security-Policy blocks the inline script that hands user over; the tag goes without it; said once",
			zap.String("directive", inline.Directive))
	}
	if h.policy.proxy.Scheme != "" && !h.policyWarned.connect.Load() {
		if connect := policies.Fetch("connect-src", h.policy.proxy); !connect.Allowed && h.policyWarned.connect.CompareAndSwap(false, true) {
			h.logger.Warn("the page's Content-Security-Policy does not let the deflector ask its questions; said once",
				zap.String("host", h.policy.proxy.Host), zap.String("directive", connect.Directive))
		}
	}
	if v.insertion.fingerprint && !h.policyWarned.fingerprint.Load() {
		if script := policies.Loads(metricsURL); !script.Allowed && h.policyWarned.fingerprint.CompareAndSwap(false, true) {
			h.logger.Warn("the page's Content-Security-Policy blocks the script that the deflector loads for fingerprints; said once",
				zap.String("host", metricsURL.Host), zap.String("directive", script.Directive))
		}
	}
	if policies.RequiresTrustedTypes() && h.policyWarned.trustedTypes.CompareAndSwap(false, true) {
		h.logger.Warn("the page requires Trusted Types, under which the deflector may fail when it writes into the page; said once")
	}
}

// warnOfEmbedder says that a page with header h takes scripts of other origins
// only from servers that say so
// (https://html.spec.whatwg.org/multipage/browsers.html#coep,
// https://wicg.github.io/document-isolation-policy/).
func (v *visit) warnOfEmbedder(h http.Header) {
	rules := &v.handler.policy
	if !demandsCORP(h) || rules.script.URL.Scheme == "" || rules.script.CORS ||
		!v.handler.policyWarned.embedder.CompareAndSwap(false, true) {
		return
	}
	v.handler.logger.Warn("the page has Cross-Origin-Embedder-Policy: require-corp, or Document-Isolation-Policy: isolate-and-require-corp: " +
		"browsers block the script unless its server sends Cross-Origin-Resource-Policy: cross-origin, " +
		"or sends Access-Control-Allow-Origin and script has crossorigin anonymous; said once")
}

func demandsCORP(h http.Header) bool {
	for field, demand := range map[string]string{
		"Cross-Origin-Embedder-Policy": "require-corp",
		"Document-Isolation-Policy":    "isolate-and-require-corp",
	} {
		if value, _, _ := strings.Cut(first(h[field]), ";"); strings.TrimSpace(value) == demand {
			return true
		}
	}
	return false
}

// sentPolicies are the lines of the fields, as this writer left them.
type sentPolicies [4][]string

func policiesIn(h http.Header) sentPolicies {
	return sentPolicies{h[cspField], h[cspReportField], h[integrityField], h[connectionField]}
}

// checkPolicies finds out whether a handler further out has replaced the policies
// by others, under which an inserted script does not run.
func (rw *responseWriter) checkPolicies() {
	h, v := rw.Header(), &rw.visit
	if rw.edit == nil || rw.edit.permit.html == nil || rw.outcome != v.inserted() || v.isUntagged() || v.handler.policy.off {
		return
	}
	if now := policiesIn(h); slices.EqualFunc(now[:], rw.edit.policies[:], slices.Equal[[]string]) {
		return
	}
	if rw.edit.permit.runs(v.permit(pageHead{header: h, scanner: &rw.edit.scanner}, nil)) {
		return
	}
	rw.outcome = outcomeHeaderOverridden
	if v.handler.policyWarned.overridden.CompareAndSwap(false, true) {
		v.handler.logger.Error("a header directive replaced the Content-Security-Policy of a page with the tag by one that blocks it, or a script beside it; " +
			"put its deletions, which defer the whole block, into a header block of their own; said once")
	}
}
