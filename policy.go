package kapadeflector

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
)

// The header fields that hold policies (CSP3 sections 3.1, 3.2).
const (
	cspField       = "Content-Security-Policy"
	cspReportField = "Content-Security-Policy-Report-Only"
)

// permit is what a page's policies make of the insertion.
type permit struct {
	html   []byte // what goes in; nil if the script is blocked
	suffix string // of the page's entity tag; "" if the bytes depend on the answer
	secret bool   // some nonce is in html

	// of the deflector's script, of the inline one that hands user over, and of
	// the watcher
	verdicts [3]csp.Verdict
	policies *csp.Policies // to be sent with it; nil for those that are there
}

// permit asks the policies in h, the header of a page or what was sent of it,
// and those of meta elements in the page's source. editable says that the header is
// still to be sent; mint makes nonces, nil if there can be none.
func (v *visit) permit(h http.Header, metas []string, complete, editable bool, mint func() string) permit {
	rules, in := &v.handler.policy, v.insertion
	allowed := csp.Verdict{Allowed: true}
	p := permit{html: in.html, suffix: in.suffix, verdicts: [3]csp.Verdict{allowed, allowed, allowed}}
	if v.behind != nil {
		in = *v.behind // a reload for nothing is none
	}
	if rules.off || h[cspField] == nil && h[cspReportField] == nil && metas == nil && complete {
		return p
	}
	policies := csp.Read(pageURL(v.request), h[cspField], h[cspReportField])
	for _, source := range metas {
		policies.AddMeta(source)
	}
	if !complete {
		policies.AddUnread()
	}
	script := rules.script
	script.Unnonceable = in.unnonceable
	if editable && rules.extend {
		extension := csp.Extension{Script: script, Sources: rules.sources, Nonce: mint}
		if in.inline > 0 {
			extension.Inline = in.userContent()
		}
		policies.Extend(extension)
		if in.live > 0 && v.mayAsk(policies).Allowed {
			policies.ExtendInline(in.liveContent())
		}
		p.policies = policies
	}

	verdict := policies.Script(script)
	if !verdict.Allowed {
		if c := v.handler.logger.Check(zapcore.DebugLevel, "the page's policy blocks the script"); c != nil {
			c.Write(zap.String("directive", verdict.Directive), zap.Bool("in_meta", verdict.InMeta))
		}
		return permit{}
	}
	inline, live := allowed, allowed
	if in.inline > 0 {
		inline = policies.Inline(in.userContent())
	}
	if in.live > 0 {
		live = v.permitLive(policies, in.liveContent())
		if live.Nonce == "" {
			live.Nonce = verdict.Nonce // which it hands on to the script
		}
	}
	if verdict.Nonce != "" || inline.Nonce != "" || live.Nonce != "" || !inline.Allowed || !live.Allowed {
		p.html, p.suffix = in.with(verdict.Nonce, inline, live), ""
		p.secret = verdict.Nonce != "" || inline.Nonce != "" || live.Nonce != ""
	}
	p.verdicts = [3]csp.Verdict{verdict, inline, live}
	switch {
	case len(p.html) == 0:
		return permit{}
	case v.behind != nil: // no script itself
		return permit{html: v.insertion.html, suffix: v.insertion.suffix}
	}
	v.warnOfPolicies(policies, inline)
	return p
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
	if p.policies == nil {
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
func pageURL(r *http.Request) csp.URL {
	v := visitorOf(r)
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

// with returns the bytes with a nonce for the deflector's script, and with the
// inline scripts as far as they may run.
func (in *insertion) with(nonce string, inline, live csp.Verdict) []byte {
	var b bytes.Buffer
	b.Grow(len(in.html) + 3*len(` nonce=""`) + len(nonce) + len(inline.Nonce) + len(live.Nonce))
	script, watcher := in.inline, len(in.html)-in.live
	if inline.Allowed {
		writeWithNonce(&b, in.html[:script], inline.Nonce)
	}
	writeWithNonce(&b, in.html[script:watcher], nonce)
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
	inline, connect, trustedTypes, embedder, overridden atomic.Bool
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
	if policies.RequiresTrustedTypes() && h.policyWarned.trustedTypes.CompareAndSwap(false, true) {
		h.logger.Warn("the page requires Trusted Types, under which the deflector may fail when it writes into the page; said once")
	}
}

// warnOfEmbedder says that a page with header h takes scripts of other origins
// only from servers that say so
// (https://html.spec.whatwg.org/multipage/browsers.html#coep).
func (v *visit) warnOfEmbedder(h http.Header) {
	rules := &v.handler.policy
	value, _, _ := strings.Cut(first(h["Cross-Origin-Embedder-Policy"]), ";")
	if strings.TrimSpace(value) != "require-corp" || rules.script.URL.Scheme == "" || rules.crossOrigin ||
		!v.handler.policyWarned.embedder.CompareAndSwap(false, true) {
		return
	}
	v.handler.logger.Warn("the page has Cross-Origin-Embedder-Policy: require-corp: " +
		"browsers block the script unless its server sends Cross-Origin-Resource-Policy: cross-origin, " +
		"or sends Access-Control-Allow-Origin and script has crossorigin anonymous; said once")
}

// sentPolicies are the lines of both fields, as this writer left them.
type sentPolicies [2][]string

func policiesIn(h http.Header) sentPolicies {
	return sentPolicies{h[cspField], h[cspReportField]}
}

// checkPolicies finds out whether a handler further out has replaced the policies
// by others, under which an inserted script does not run.
func (rw *responseWriter) checkPolicies() {
	h, v := rw.Header(), &rw.visit
	if rw.edit == nil || rw.edit.permit.html == nil || rw.outcome != v.inserted() || v.isUntagged() || v.handler.policy.off {
		return
	}
	if now := policiesIn(h); slices.Equal(now[0], rw.edit.policies[0]) && slices.Equal(now[1], rw.edit.policies[1]) {
		return
	}
	metas, complete := rw.edit.scanner.Policies()
	if rw.edit.permit.runs(v.permit(h, metas, complete, false, nil)) {
		return
	}
	rw.outcome = outcomeHeaderOverridden
	if v.handler.policyWarned.overridden.CompareAndSwap(false, true) {
		v.handler.logger.Error("a header directive replaced the Content-Security-Policy of a page with the tag by one that blocks it, or a script beside it; " +
			"put its deletions, which defer the whole block, into a header block of their own; said once")
	}
}
