package kapa

import "testing"

func TestTypos(t *testing.T) {
	for _, tc := range []struct{ name, meant string }{
		{"data-integration-ids", "data-integration-id"}, // one more at the end
		{"data-iintegration-id", "data-integration-id"}, // one twice
		{"data-intgration-id", "data-integration-id"},   // one dropped
		{"ata-integration-id", "data-integration-id"},   // the first dropped
		{"data-integration-i", "data-integration-id"},   // the last dropped
		{"data-integration_id", "data-integration-id"},  // one changed
		{"data-intagretion-id", ""},                     // two, apart
		{"data-integratoin-id", "data-integration-id"},  // neighbours changed
		{"data-integration-di", "data-integration-id"},  // the last two
		{"data-submit-element-event-typ", "data-submit-element-event-type"},
		{"data-submit-elements-query-selector", "data-submit-element-query-selector"},
		{"data-font-size-xxl", "data-font-size-xl"},
		{"data-anchor-query-selector", ""}, // a word is missing
		{"data-integration", ""},
		{"data-integration-key", ""},
		{"data-", ""},
		{"data-brand-new", ""},
		// names as Kapa gives parts of the answer box: none is near another
		{"data-answer-box-color", ""},
		{"data-answer-box-header-title-color", ""},
		{"data-answer-box-header-title-font-size", ""},
		{"data-answer-box-border-radius", ""},
	} {
		meant, ok := LikelyMeant(tc.name)
		if meant != tc.meant || ok != (tc.meant != "") {
			t.Errorf("%s: got %q %v, want %q", tc.name, meant, ok, tc.meant)
		}
	}
	for _, name := range DocumentedAttributes {
		if meant, ok := LikelyMeant(name); ok {
			t.Errorf("%s is documented, but taken for a typo of %s", name, meant)
		}
		if IsWidgetAttribute(name) {
			t.Errorf("%s is documented, but taken for another product's", name)
		}
		// every single slip of the pen is noticed, and its origin named
		for i := range name {
			for slip, changed := range map[string]string{
				"dropped": name[:i] + name[i+1:],
				"twice":   name[:i+1] + name[i:],
				"changed": name[:i] + "~" + name[i+1:],
			} {
				if !oneTypo(changed, name) || !oneTypo(name, changed) {
					t.Errorf("%s: %s at %d is not one typo", name, slip, i)
				}
			}
			if i > 0 && name[i] != name[i-1] {
				if changed := name[:i-1] + name[i:i+1] + name[i-1:i] + name[i+1:]; !oneTypo(changed, name) {
					t.Errorf("%s is not one typo", changed)
				}
			}
		}
	}
	for _, two := range [][2]string{{"abcd", "badc"}, {"abc", "cba"}, {"abc", "a"}, {"abcd", "axyd"}, {"ab", ""}, {"abcde", "xbcdy"}} {
		if oneTypo(two[0], two[1]) || oneTypo(two[1], two[0]) {
			t.Errorf("%q is more than one typo away", two)
		}
	}
}
