// Package kapa holds what Kapa documents about the Support Form Deflector:
// https://docs.kapa.ai/integrations/support-form-deflector
package kapa

import (
	"slices"
	"strings"
)

// What Kapa documents about the deflector, under
// https://docs.kapa.ai/integrations/support-form-deflector.
const (
	ScriptURL  = "https://widget.kapa.ai/kapa-support-form-deflector.bundle.js"
	ScriptFile = "kapa-support-form-deflector.bundle.js"

	// MetricsHost is where the deflector loads a script from to take fingerprints.
	MetricsHost = "metrics.kapa.ai"

	// IDCookie is the cookie in which Kapa's scripts keep the visitor's id:
	// https://docs.kapa.ai/integrations/support-form-deflector/user-tracking
	IDCookie = "kapa_web_id"

	EventType           = "data-submit-element-event-type"
	EmailSelector       = "data-user-email-query-selector"
	CookieTracking      = "data-user-analytics-cookie-enabled"
	FingerprintTracking = "data-user-analytics-fingerprint-enabled"
)

// RequiredAttributes are those that the deflector does not start without.
var RequiredAttributes = []string{
	"data-integration-id",
	"data-main-input-query-selector",
	"data-submit-element-query-selector",
	EventType,
	"data-submit-button-query-selector",
	"data-anchor-element-query-selector",
}

// AttributeValues are the attributes that take one of a few words.
var AttributeValues = map[string][]string{
	EventType:              {"onClick", "onSubmit"},
	CookieTracking:         {"true", "false"},
	FingerprintTracking:    {"true", "false"},
	"data-render-on-load":  {"true", "false"},
	"data-handoff-enabled": {"true", "false"},
}

// DocumentedAttributes are all names that Kapa's pages spell out. Others are
// passed on as they are, so that a new one needs no release of this plugin.
var DocumentedAttributes = append(slices.Clone(RequiredAttributes),
	"data-render-on-load",
	"data-query-cache-timeout",
	"data-option-to-cancel-answer-delay",
	"data-option-to-cancel-answer-hint-text",
	CookieTracking,
	FingerprintTracking,
	EmailSelector,
	"data-handoff-enabled",
	"data-project-color",
	"data-hyperlink-color",
	"data-font-family",
	"data-font-size-xs",
	"data-font-size-sm",
	"data-font-size-md",
	"data-font-size-lg",
	"data-font-size-xl",
	"data-answer-box-header-title-text",
	"data-answer-box-loading-texts",
	"data-post-cancel-answer-text",
	"data-skipped-answer-text",
	"data-pre-submit-info-text",
	"data-post-submit-info-text",
)

// widgetAttributes belong to Kapa's website widget, which is another product.
// A trailing "-" stands for every name that begins so.
var widgetAttributes = []string{"data-website-id", "data-project-name", "data-project-logo", "data-consent-"}

// IsWidgetAttribute reports whether name is one of widgetAttributes.
func IsWidgetAttribute(name string) bool {
	return slices.ContainsFunc(widgetAttributes, func(w string) bool {
		return name == w || strings.HasSuffix(w, "-") && strings.HasPrefix(name, w)
	})
}

// LikelyMeant returns the documented attribute that name is one typo away
// from, if it is none itself.
func LikelyMeant(name string) (string, bool) {
	if slices.Contains(DocumentedAttributes, name) {
		return "", false
	}
	for _, known := range DocumentedAttributes {
		if oneTypo(name, known) {
			return known, true
		}
	}
	return "", false
}

// oneTypo reports whether a becomes b by one inserted, dropped or changed
// character, or by two neighbours changing places.
func oneTypo(a, b string) bool {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1 ||
		len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}

// Sources are the hosts that the deflector needs besides its bundle's:
// https://docs.kapa.ai/integrations/understanding-csp-cors. That page names no
// directives; these are what the hosts' own documentation asks for. The
// captchas' scripts are left out: to allow all of www.google.com/recaptcha/ is to
// allow what can run a page's own markup as code.
var Sources = map[string][]string{
	"connect-src": {
		"https://proxy.kapa.ai", "https://kapa-widget-proxy-la7dkmplpq-uc.a.run.app", "https://metrics.kapa.ai",
		"https://www.google.com/recaptcha/", "https://hcaptcha.com", "https://*.hcaptcha.com",
	},
	"frame-src": {"https://www.google.com/recaptcha/", "https://recaptcha.google.com/recaptcha/", "https://hcaptcha.com", "https://*.hcaptcha.com"},
	"img-src":   {"https://www.gstatic.com/recaptcha/"},
	"style-src": {"https://hcaptcha.com", "https://*.hcaptcha.com"},
}
