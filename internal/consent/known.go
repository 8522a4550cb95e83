package consent

import (
	"maps"
	"slices"
	"strings"
)

// PlatformOf returns the platform to which a cookie of this name belongs by
// default. The cookie holds the platform's answer or goes with it. No pattern
// fits the cookies of two platforms.
func PlatformOf(cookie string) (Platform, bool) {
	for _, p := range platforms {
		for _, names := range p.cookies() {
			if names.matches(cookie) {
				return p, true
			}
		}
	}
	return Platform{}, false
}

// cookies are the names of all cookies of the platform.
func (p Platform) cookies() (all []patterns) {
	marks := strings.NewReplacer(categoryMark, "*", cookieMark, p.rules[0].cookie)
	for _, rule := range p.rules {
		all = append(all, newPatterns(strings.Fields(marks.Replace(rule.cookie))))
	}
	return append(all, newPatterns(strings.Fields(p.also)))
}

// An unseenPlatform gives the edge nothing to read.
type unseenPlatform struct {
	name    string
	why     string
	cookies string // names of the cookies that it sets nevertheless
}

const inStorage = "it keeps its answer in the browser's storage, which no request shows"

var unseenPlatforms = []unseenPlatform{
	{"usercentrics", inStorage, ""},
	{"termly", inStorage, ""},
	{"silktide", inStorage, ""},
	{"osano", "its cookie is encrypted (for the older open-source cookieconsent, write insites)", "osano_consentmanager osano_consentmanager_uuid osano_consentmanager_expdate"},
	{"sourcepoint", "its cookie holds nothing but an id; where it keeps a TC string, write tcf", "consentUUID consentDate"},
	{"shopify", "it sets its consent cookie no longer", "_tracking_consent _cmp_a"},
}

// A pagePlatform is one whose answer a loader can ask the page for.
type pagePlatform struct {
	category string // the one that counts if none is named; "" if each site makes its own
	exempt   Attribute
}

var pagePlatforms = map[string]pagePlatform{
	"usercentrics": {},
	"termly":       {category: "analytics", exempt: Attribute{"data-categories", "essential"}},
	"silktide":     {category: "analytics"},
	"osano":        {category: "ANALYTICS"},
}

// PagePlatformNames returns the names of the platforms whose answer a loader can ask the
// page for.
func PagePlatformNames() []string { return slices.Sorted(maps.Keys(pagePlatforms)) }

// SeenByPage reports whether a loader can ask the page for the answer of this platform.
// category is the one that counts if none is named, "" if there is no such.
func SeenByPage(name string) (category string, ok bool) {
	p, ok := pagePlatforms[name]
	return p.category, ok
}

// ExemptionFrom returns the attribute that keeps the script blocker of the platform with
// this name away from a script; it has no name if there is none. See [Platform.Exempt].
func ExemptionFrom(name string) Attribute {
	if p, ok := pagePlatforms[name]; ok {
		return p.exempt
	}
	p, _ := LookUp(name)
	return p.Exempt
}

// Unseen says why the edge cannot read the answer of the platform with this
// name; ok is false if the platform is not on that list.
func Unseen(name string) (why string, ok bool) {
	for _, p := range unseenPlatforms {
		if p.name == name {
			return p.why, true
		}
	}
	return "", false
}

// UnseenOf returns the platform to which a cookie of this name belongs, and why
// the edge cannot read its answer; ok is false if no such platform is known.
func UnseenOf(cookie string) (name, why string, ok bool) {
	for _, p := range unseenPlatforms {
		if newPatterns(strings.Fields(p.cookies)).matches(cookie) {
			return p.name, p.why, true
		}
	}
	return "", "", false
}
