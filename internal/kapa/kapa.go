// Package kapa holds what Kapa documents about the Support Form Deflector:
// https://docs.kapa.ai/integrations/support-form-deflector
package kapa

import (
	"slices"
	"strings"
)

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
	IntegrationID       = "data-integration-id"
	ProjectColor        = "data-project-color"
	RenderOnLoad        = "data-render-on-load"
	CookieTracking      = "data-user-analytics-cookie-enabled"
	FingerprintTracking = "data-user-analytics-fingerprint-enabled"
)

// RequiredAttributes are the attributes without which the deflector does not start.
var RequiredAttributes = []string{
	IntegrationID,
	"data-main-input-query-selector",
	"data-submit-element-query-selector",
	EventType,
	"data-submit-button-query-selector",
	"data-anchor-element-query-selector",
}

// FormSelectors are the attributes whose selectors must find something before the
// deflector can start: those of the main input, the submit element, the submit button
// and the anchor element.
var FormSelectors = [4]string{
	"data-main-input-query-selector",
	"data-submit-element-query-selector",
	"data-submit-button-query-selector",
	"data-anchor-element-query-selector",
}

// AttributeValues lists, for attributes that take one of a few words, those words.
var AttributeValues = map[string][]string{
	EventType:              {"onClick", "onSubmit"},
	CookieTracking:         {"true", "false"},
	FingerprintTracking:    {"true", "false"},
	"data-render-on-load":  {"true", "false"},
	"data-handoff-enabled": {"true", "false"},
}

// DocumentedAttributes are all names in Kapa's documentation. Other names are passed
// on as they are, so that a new one needs no release of this plugin.
var DocumentedAttributes = append(slices.Clone(RequiredAttributes),
	RenderOnLoad,
	"data-query-cache-timeout",
	"data-option-to-cancel-answer-delay",
	"data-option-to-cancel-answer-hint-text",
	CookieTracking,
	FingerprintTracking,
	EmailSelector,
	"data-handoff-enabled",
	ProjectColor,
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
// A name that ends with "-" stands for all names with this prefix.
var widgetAttributes = []string{"data-website-id", "data-project-name", "data-project-logo", "data-consent-"}

// IsWidgetAttribute reports whether name is one of widgetAttributes.
func IsWidgetAttribute(name string) bool {
	return slices.ContainsFunc(widgetAttributes, func(w string) bool {
		return name == w || strings.HasSuffix(w, "-") && strings.HasPrefix(name, w)
	})
}

// LikelyMeant returns the documented attribute from which name differs by one typo.
// It returns false if there is none, or if name is documented itself.
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

// oneTypo reports whether a and b differ by one inserted, dropped or changed
// character, or by two neighbouring characters that changed places.
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

// Sources are the hosts that the deflector needs, beside its bundle's:
// https://docs.kapa.ai/integrations/understanding-csp-cors. That page names no
// directives, so these come from the hosts' own documentation. The captchas' scripts
// are left out, because some scripts under www.google.com/recaptcha/ run markup of
// the page as code.
var Sources = map[string][]string{
	"connect-src": {
		"https://proxy.kapa.ai", "https://kapa-widget-proxy-la7dkmplpq-uc.a.run.app", "https://metrics.kapa.ai",
		"https://www.google.com/recaptcha/", "https://hcaptcha.com", "https://*.hcaptcha.com",
	},
	"frame-src": {"https://www.google.com/recaptcha/", "https://recaptcha.google.com/recaptcha/", "https://hcaptcha.com", "https://*.hcaptcha.com"},
	"img-src":   {"https://www.gstatic.com/recaptcha/"},
	"style-src": {"https://hcaptcha.com", "https://*.hcaptcha.com"},
}
