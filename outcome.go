package kapadeflector

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
)

// outcome is what became of one response. The list is closed, and no outcome
// holds anything that came from a visitor: it may be logged and counted.
type outcome uint8

// The outcomes, in the order in which they are decided: what kind of response
// it is, whether it is a document, who consented, and what the page allowed. The
// first that applies counts, but for the last three, which replace any other.
const (
	undecided outcome = iota

	outcomeUpgrade     // a tunnel or another protocol
	outcomeAnswered    // a question of ours, or a page that Turbo is to load in full
	outcomeOtherPage   // not one of the configured pages
	outcomeNoBody      // HEAD of a page, 204, 205, or nothing was written: a 404 left to an error route too
	outcomeRedirect    // 3xx
	outcomeNotModified // 304
	outcomePartial     // 206, Content-Range
	outcomeNotHTML     // not text/html

	outcomeAttachment  // to be saved, not shown
	outcomeCharset     // ASCII bytes do not mean ASCII in it
	outcomeNoTransform // RFC 9111 section 5.2.2.6
	outcomeNotDocument // a fragment, or fetched by script

	outcomeNoConsent  // the visitor has not said yes
	outcomeDenied     // the visitor has said no
	outcomeIncomplete // a required attribute was empty
	outcomeEncoded    // compressed by the origin, though it was asked not to

	outcomeAMP            // AMP pages allow no such script
	outcomeAlreadyPresent // the page loads the deflector itself
	outcomeNoAnchor       // the page ended before its head did
	outcomeCSPBlocked     // a Content-Security-Policy forbids the script
	outcomeInjected
	outcomeUntracked        // injected, without identifiers
	outcomeHeaderOverridden // a header directive undid what the tag needs

	outcomeError   // a handler behind returned an error, of 5xx or without a status
	outcomeAborted // the response was broken off

	outcomeCount
)

// String returns the outcome as logs and metrics name it.
func (o outcome) String() string {
	return [...]string{
		undecided:               "",
		outcomeUpgrade:          "upgrade",
		outcomeAnswered:         "answered",
		outcomeOtherPage:        "other_page",
		outcomeNoBody:           "no_body",
		outcomeRedirect:         "redirect",
		outcomeNotModified:      "not_modified",
		outcomePartial:          "partial",
		outcomeNotHTML:          "not_html",
		outcomeAttachment:       "attachment",
		outcomeCharset:          "charset",
		outcomeEncoded:          "encoded",
		outcomeNoTransform:      "no_transform",
		outcomeNotDocument:      "not_document",
		outcomeNoConsent:        "no_consent",
		outcomeDenied:           "denied",
		outcomeIncomplete:       "incomplete",
		outcomeAMP:              "amp",
		outcomeAlreadyPresent:   "already_present",
		outcomeNoAnchor:         "no_anchor",
		outcomeCSPBlocked:       "csp_blocked",
		outcomeInjected:         "injected",
		outcomeUntracked:        "untracked",
		outcomeHeaderOverridden: "header_overridden",
		outcomeError:            "error",
		outcomeAborted:          "aborted",
	}[o]
}

// The placeholders that hold a request's outcome and, where there is no
// consent, the reason, for access logs.
const (
	outcomePlaceholder = "http.kapa_deflector.outcome"
	reasonPlaceholder  = "http.kapa_deflector.reason"
)

// record makes the outcome of r's response known. The replacer takes the names
// from String when they are asked for, so that nothing is allocated here.
func (h *Handler) record(r *http.Request, o outcome, reason consent.Reason) {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set(outcomePlaceholder, o)
		repl.Set(reasonPlaceholder, reason)
	}
	if c := h.logger.Check(zapcore.DebugLevel, "response"); c != nil {
		c.Write(zap.Stringer("outcome", o), zap.Stringer("reason", reason))
	}
}
