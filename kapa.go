package kapadeflector

import (
	"slices"
	"strings"
)

// What Kapa documents about the deflector, under
// https://docs.kapa.ai/integrations/support-form-deflector.
const (
	kapaScriptURL  = "https://widget.kapa.ai/kapa-support-form-deflector.bundle.js"
	kapaScriptFile = "kapa-support-form-deflector.bundle.js"

	attrEventType   = "data-submit-element-event-type"
	attrEmail       = "data-user-email-query-selector"
	attrCookies     = "data-user-analytics-cookie-enabled"
	attrFingerprint = "data-user-analytics-fingerprint-enabled"
)

// requiredAttributes are those that the deflector does not start without.
var requiredAttributes = []string{
	"data-integration-id",
	"data-main-input-query-selector",
	"data-submit-element-query-selector",
	attrEventType,
	"data-submit-button-query-selector",
	"data-anchor-element-query-selector",
}

// attributeValues are the attributes that take one of a few words.
var attributeValues = map[string][]string{
	attrEventType:          {"onClick", "onSubmit"},
	attrCookies:            {"true", "false"},
	attrFingerprint:        {"true", "false"},
	"data-render-on-load":  {"true", "false"},
	"data-handoff-enabled": {"true", "false"},
}

// documentedAttributes are all names that Kapa's pages spell out. Others are
// passed on as they are, so that a new one needs no release of this plugin.
var documentedAttributes = append(slices.Clone(requiredAttributes),
	"data-render-on-load",
	"data-query-cache-timeout",
	"data-option-to-cancel-answer-delay",
	"data-option-to-cancel-answer-hint-text",
	attrCookies,
	attrFingerprint,
	attrEmail,
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

// isWidgetAttribute reports whether name is one of widgetAttributes.
func isWidgetAttribute(name string) bool {
	return slices.ContainsFunc(widgetAttributes, func(w string) bool {
		return name == w || strings.HasSuffix(w, "-") && strings.HasPrefix(name, w)
	})
}

// likelyMeant returns the documented attribute that name is one typo away
// from, if it is none itself.
func likelyMeant(name string) (string, bool) {
	if slices.Contains(documentedAttributes, name) {
		return "", false
	}
	for _, known := range documentedAttributes {
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
