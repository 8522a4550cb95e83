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
type outcome string

// The outcomes, in the order in which they are decided: what kind of response
// it is, whether it is a document, who consented, and what the page allowed.
const (
	outcomeUpgrade   outcome = "upgrade"    // a tunnel or another protocol
	outcomeOtherPage outcome = "other_page" // not one of the configured pages

	outcomeNoBody      outcome = "no_body"      // HEAD, 204, 205, or nothing was written
	outcomeRedirect    outcome = "redirect"     // 3xx
	outcomeNotModified outcome = "not_modified" // 304
	outcomePartial     outcome = "partial"      // 206, Content-Range
	outcomeNotHTML     outcome = "not_html"     // not text/html

	outcomeAttachment  outcome = "attachment"   // to be saved, not shown
	outcomeCharset     outcome = "charset"      // ASCII bytes do not mean ASCII in it
	outcomeEncoded     outcome = "encoded"      // compressed by the origin
	outcomeNoTransform outcome = "no_transform" // RFC 9111 section 5.2.2.6
	outcomeNotDocument outcome = "not_document" // a fragment, or fetched by script

	outcomeNoConsent  outcome = "no_consent" // the visitor has not said yes
	outcomeDenied     outcome = "denied"     // the visitor has said no
	outcomeIncomplete outcome = "incomplete" // a required attribute was empty

	outcomeAMP            outcome = "amp"             // AMP pages allow no such script
	outcomeAlreadyPresent outcome = "already_present" // the page loads the deflector itself
	outcomeNoAnchor       outcome = "no_anchor"       // the page ended before its head did
	outcomeInjected       outcome = "injected"
	outcomeUntracked      outcome = "untracked" // injected, without identifiers

	outcomeError   outcome = "error"   // a handler behind returned an error
	outcomeAborted outcome = "aborted" // the response was broken off
)

// The placeholders that hold a request's outcome and, where there is no
// consent, the reason, for access logs.
const (
	outcomePlaceholder = "http.kapa_deflector.outcome"
	reasonPlaceholder  = "http.kapa_deflector.reason"
)

// record makes the outcome of r's response known.
func (h *Handler) record(r *http.Request, o outcome, reason consent.Reason) {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		repl.Set(outcomePlaceholder, string(o))
		repl.Set(reasonPlaceholder, string(reason))
	}
	if c := h.logger.Check(zapcore.DebugLevel, "response"); c != nil {
		c.Write(zap.String("outcome", string(o)), zap.String("reason", string(reason)))
	}
}
