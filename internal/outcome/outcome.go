// Package outcome names what can become of a response under the directive.
package outcome

// An Outcome is what became of one response. The list is closed. Outcomes hold no
// data of visitors, so they may be logged and counted.
type Outcome uint8

// The outcomes, in the order in which they are decided: what kind of response
// it is, whether it is a document, whether the visitor has consented, and
// whether the page allows the insertion. The first that applies counts.
// HeaderOverridden, Error and Aborted replace any other.
const (
	Undecided Outcome = iota // nothing so far forbids the insertion

	Upgrade     // a tunnel or another protocol
	Answered    // a page that Turbo is told to load in full, or the refusal of another site's question
	OtherPage   // not one of the configured pages
	NoBody      // HEAD of a page, 204, 205, or nothing was written
	Redirect    // 3xx
	NotModified // 304
	Partial     // 206, or with Content-Range
	NotHTML     // the media type is not text/html

	Attachment  // the browser saves it instead of showing it
	Charset     // its encoding does not keep ASCII
	NoTransform // RFC 9111 section 5.2.2.6 forbids a change
	NotDocument // a fragment, or a page that a script fetched

	NoConsent  // the visitor has not said yes
	Denied     // the visitor has said no
	Incomplete // a required attribute was empty
	Encoded    // compressed in a coding other than gzip

	AMP            // AMP pages allow no such script
	AlreadyPresent // the page itself loads the deflector
	NoAnchor       // the page ended within its head
	CSPBlocked     // a policy of the page blocks the script
	HeldOut        // an experiment keeps the deflector from this visitor
	Injected       // the page has the tag
	Untracked      // the page has the tag, with Kapa's identifiers switched off
	Loader         // the page has the loader

	HeaderOverridden // a header directive replaced fields that the page with the tag needs

	Error   // a handler behind returned an error
	Aborted // the response ended before it was complete

	Count // the number of outcomes, with Undecided
)

var names = [Count]string{
	Undecided:        "",
	Upgrade:          "upgrade",
	Answered:         "answered",
	OtherPage:        "other_page",
	NoBody:           "no_body",
	Redirect:         "redirect",
	NotModified:      "not_modified",
	Partial:          "partial",
	NotHTML:          "not_html",
	Attachment:       "attachment",
	Charset:          "charset",
	NoTransform:      "no_transform",
	NotDocument:      "not_document",
	NoConsent:        "no_consent",
	Denied:           "denied",
	Incomplete:       "incomplete",
	Encoded:          "encoded",
	AMP:              "amp",
	AlreadyPresent:   "already_present",
	NoAnchor:         "no_anchor",
	CSPBlocked:       "csp_blocked",
	HeldOut:          "held_out",
	Injected:         "injected",
	Untracked:        "untracked",
	Loader:           "loader",
	HeaderOverridden: "header_overridden",
	Error:            "error",
	Aborted:          "aborted",
}

// String returns the outcome as logs and metrics name it.
func (o Outcome) String() string { return names[o] }
