package check

// A Code names one kind of finding or note, for scripts. The lists are closed, and
// docs/kapa-check.md says what to do about each. A released code keeps its name.
type Code string

// The findings.
const (
	codeAttributeMissing       Code = "attribute_missing"        // the deflector does not start without it
	codeAttributePlaceholder   Code = "attribute_placeholder"    // it was not replaced
	codeAttributeValue         Code = "attribute_value"          // not one of those that Kapa documents
	codeBundleIntegrity        Code = "bundle_integrity"         // is not the tag's
	codeBundleUnreachable      Code = "bundle_unreachable"       // or no script
	codeButtonElement          Code = "button_element"           // it cannot be disabled
	codeButtonOutsideForm      Code = "button_outside_form"      // that the tag names
	codeCacheControl           Code = "cache_control"            // the page with the tag may be kept
	codeClientNavigation       Code = "client_navigation"        // shows the form without a new document
	codeConsentNotRecognised   Code = "consent_not_recognised"   // the tag is untracked despite the cookies
	codeCSPConnection          Code = "csp_connection"           // the policy blocks the script's requests
	codeCSPFingerprint         Code = "csp_fingerprint"          // the policy blocks the script for fingerprints
	codeCSPLoader              Code = "csp_loader"               // the policy blocks the loader or its question
	codeCSPScript              Code = "csp_script"               // the policy blocks the deflector's script
	codeCSPUser                Code = "csp_user"                 // the policy blocks the user block's script
	codeEditor                 Code = "editor"                   // takes the place of the field
	codeEmbedderPolicy         Code = "embedder_policy"          // blocks the script
	codeErrorPage              Code = "error_page"               // of the site, with the tag
	codeETagShared             Code = "etag_shared"              // by the pages with and without the tag
	codeEventType              Code = "event_type"               // the element has no such event
	codeFormElsewhere          Code = "form_elsewhere"           // in a frame of another origin
	codeFramework              Code = "framework"                // takes the page over
	codeFrameset               Code = "frameset"                 // a page that shows others
	codeIDDeleted              Code = "id_deleted"               // as for a visitor who has refused
	codeIDDropped              Code = "id_dropped"               // by browsers
	codeIDHTTPOnly             Code = "id_http_only"             // Kapa's script cannot read it
	codeIDMaxAge               Code = "id_max_age"               // none, or more than browsers keep
	codeIDMissing              Code = "id_missing"               // the tag uses one
	codeIDNotSecure            Code = "id_not_secure"            // on https
	codeIDPath                 Code = "id_path"                  // not for all pages
	codeIDShared               Code = "id_shared"                // by two visitors
	codeIDTwice                Code = "id_twice"                 // in one response
	codeIDValue                Code = "id_value"                 // no UUID
	codeIDWithoutConsent       Code = "id_without_consent"       // that nobody gave
	codeInputElement           Code = "input_element"            // it takes no text
	codeLogin                  Code = "login"                    // the tag is on a page that asks for one
	codeNoTagAfterConsent      Code = "no_tag_after_consent"     // a 304 brings back the page from before
	codeNotCompressed          Code = "not_compressed"           // the page with the tag is not, the other is
	codeQuestionLost           Code = "question_lost"            // of the loader, which the edge does not answer
	codePageUnreadable         Code = "page_unreadable"          // nested too deep
	codeScriptBase             Code = "script_base"              // the page's <base> moves it to another host
	codeScriptFile             Code = "script_file"              // of another name
	codeScriptMixedContent     Code = "script_mixed_content"     // http on https
	codeScriptSource           Code = "script_source"            // no address
	codeScriptType             Code = "script_type"              // one that browsers do not run
	codeSelectorBoundary       Code = "selector_boundary"        // of a frame or a shadow root, which it does not cross
	codeSelectorInvalid        Code = "selector_invalid"         // for browsers
	codeSelectorMatchesNothing Code = "selector_matches_nothing" // in the page as it was served
	codeTagAfterWithdrawal     Code = "tag_after_withdrawal"     // a 304 brings back the page from before
	codeTagFromCache           Code = "tag_from_cache"           // that visitors share
	codeTagMissing             Code = "tag_missing"              // see its Reason
	codeTagTwice               Code = "tag_twice"                // in one page
	codeTagUnsteady            Code = "tag_unsteady"             // gone when asked again
	codeTagWithoutConsent      Code = "tag_without_consent"      // that nobody gave
	codeVaryMissing            Code = "vary_missing"             // caches may send the page to every visitor
)

// The notes.
const (
	codeAttributeName         Code = "attribute_name"           // likely misspelt, or of another product
	codeBundlePlain           Code = "bundle_plain"             // it comes without compression
	codeCacheSeen             Code = "cache_seen"               // in front of Caddy, or behind it
	codeConsentInPage         Code = "consent_in_page"          // which only the loader can ask
	codeCookiesNotSent        Code = "cookies_not_sent"         // to the host that a redirect leads to
	codeCSPTrustedTypes       Code = "csp_trusted_types"        // required, and not known of the script
	codeEditorSeen            Code = "editor_seen"              // it may take the place of the field
	codeEmbedderPolicySeen    Code = "embedder_policy_seen"     // it may block the script
	codeFormInFrame           Code = "form_in_frame"            // the tag may belong there
	codeHeldOut               Code = "held_out"                 // from the tag, by an experiment
	codeIDHostOnly            Code = "id_host_only"             // other hosts have other ids
	codeInputOutsideForm      Code = "input_outside_form"       // that the tag names
	codeNoCookie              Code = "no_cookie"                // none was given, so there is no tag
	codeOtherPage             Code = "other_page"               // without cookies the site shows another
	codePageCut               Code = "page_cut"                 // it was not read to its end
	codeSelectorDrawnByScript Code = "selector_drawn_by_script" // not in the page yet
	codeSelectorUntried       Code = "selector_untried"         // only a browser can tell
	codeStatus                Code = "status"                   // of a page with the tag; it may be right
	codeTurbo                 Code = "turbo"                    // the form is loaded in full
	codeTagInBody             Code = "tag_in_body"              // where the directive puts none
	codeUntrackedTag          Code = "untracked_tag"            // without consent, which may be intended
)

// A Reason is the likeliest reason why a page has no tag. This list is closed, too.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	reasonChallenge    Reason = "challenge"     // a bot protection answered
	reasonPastCaddy    Reason = "past_caddy"    // a redirect leads to another port or host, without the directive
	reasonRedirect     Reason = "redirect"      // to another site, or without an end
	reasonStatus       Reason = "status"        // not that of a page, or an error
	reasonLogin        Reason = "login"         // the form is behind one
	reasonNotHTML      Reason = "not_html"      // another Content-Type
	reasonEmpty        Reason = "empty"         // no page
	reasonAttachment   Reason = "attachment"    // a download
	reasonCharset      Reason = "charset"       // ASCII bytes do not mean ASCII in it
	reasonNoTransform  Reason = "no_transform"  // the response forbids changes
	reasonEncoded      Reason = "encoded"       // compressed, although the request did not accept it
	reasonAMP          Reason = "amp"           // which allows no such script
	reasonNoAnchor     Reason = "no_anchor"     // the page ends within its head
	reasonCSPBlocked   Reason = "csp_blocked"   // the page's policy blocks the script
	reasonCached       Reason = "cached"        // a cache in front of Caddy sends one page to all
	reasonQuestionLost Reason = "question_lost" // the loader's question does not reach the edge
	reasonHeldOut      Reason = "held_out"      // an experiment keeps the tag from the visitor
	reasonNotCovered   Reason = "not_covered"   // the directive did not run
	reasonNoCookie     Reason = "no_cookie"     // no cookie was given
	reasonNoConsent    Reason = "no_consent"    // the cookies given do not count as consent
)
