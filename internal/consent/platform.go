package consent

import (
	"fmt"
	"slices"
	"strings"
)

// A Platform is a row of the table: a consent platform whose answer is in
// cookies that can be read at the edge.
type Platform struct {
	// Name is how the platform is called in a configuration.
	Name string
	// Category says what the platform sorts consent by, with an example; ""
	// where it knows only one yes.
	Category string
	// Defaults are the categories asked for where none is named; none where
	// each site makes its own and has to name it.
	Defaults []string

	optional bool // whether the rules without a category will do
	rules    []platformRule
}

// A platformRule is a PackedRule in lines, as users write them. {category}
// stands for one category, and {cookie} for the name of the first rule's cookie.
type platformRule struct {
	cookie string
	lines  string
}

// LookUp returns the platform with this name.
func LookUp(name string) (Platform, bool) {
	i := slices.IndexFunc(platforms, func(p Platform) bool { return p.Name == name })
	if i < 0 {
		return Platform{}, false
	}
	return platforms[i], true
}

// PlatformNames returns all names, in the table's order.
func PlatformNames() (names []string) {
	for _, p := range platforms {
		names = append(names, p.Name)
	}
	return names
}

// PlatformOf returns the platform whose answer is in a cookie of this name, by
// default; no pattern there fits two.
func PlatformOf(cookie string) (Platform, bool) {
	for _, p := range platforms {
		for _, rule := range p.rules {
			if matchName(strings.NewReplacer("{category}", "*", "{cookie}", p.rules[0].cookie).Replace(rule.cookie), cookie) {
				return p, true
			}
		}
	}
	return Platform{}, false
}

// Cookie is the name of the platform's cookie, where a configuration names no
// other; "*" in it stands for letters and digits, {category} for a category.
func (p Platform) Cookie() string { return p.rules[0].cookie }

// Usage is how a consent line for the platform is written, behind the word
// consent.
func (p Platform) Usage() string {
	switch {
	case p.Category == "":
		return p.Name
	case p.Defaults == nil && !p.optional:
		return p.Name + " <" + p.Category + ">"
	default:
		return p.Name + " [<" + p.Category + ">]"
	}
}

const (
	categoryMark = "{category}"
	cookieMark   = "{cookie}"
)

// maxCategories is how many categories a rule may name, each of which reads the
// cookie once.
const maxCategories = 16

// Compile returns the rules for these categories, all of which have to be
// consented to, or for the platform's own if there are none. cookie is the name
// of its cookie on this site, "" for the usual one.
func (p Platform) Compile(cookie string, categories []string) ([]Rule, error) {
	switch {
	case p.Category == "" && len(categories) > 0:
		return nil, fmt.Errorf("%s has no categories: its cookie says yes or no to all", p.Name)
	case p.Category != "" && len(categories) == 0 && p.Defaults == nil && !p.optional:
		return nil, fmt.Errorf("%s needs a category, since each site makes its own: %s", p.Name, p.Category)
	case len(categories) > maxCategories:
		return nil, fmt.Errorf("%s: %d categories, allowed are %d", p.Name, len(categories), maxCategories)
	}
	if len(categories) == 0 {
		categories = p.Defaults
	}
	for i, category := range categories {
		if category == "" || category == "or" || slices.Contains(categories[:i], category) {
			return nil, fmt.Errorf("%s category %q: it is empty, a word of its own or given twice", p.Name, category)
		}
	}
	if cookie == "" {
		cookie = p.Cookie()
	} else if strings.Contains(p.Cookie(), categoryMark) && !strings.Contains(cookie, categoryMark) && len(categories) > 1 {
		return nil, fmt.Errorf("%s keeps each category in a cookie of its own: write %s where the category stands in the name", p.Name, categoryMark)
	}

	var compiled []Rule
	for i, template := range p.rules {
		if i == 0 {
			template.cookie = cookie
		}
		each := categories
		if !strings.Contains(template.cookie+template.lines, categoryMark) {
			each = []string{""}
		}
		for _, category := range each {
			rule, err := template.fill(cookie, category).Compile()
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", p.Name, category, err)
			}
			compiled = append(compiled, rule)
		}
	}
	return compiled, nil
}

// fill puts a category and the cookie's name where they stand in the template.
func (t platformRule) fill(cookie, category string) (rule PackedRule) {
	names := strings.NewReplacer(categoryMark, category, cookieMark, cookie)
	rule.Cookie = names.Replace(t.cookie)
	for line := range strings.Lines(t.lines) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		for i, word := range words {
			if i > 1 && words[i-1] == "json" { // a path
				word = strings.ReplaceAll(word, categoryMark, escapeKey(category))
			}
			words[i] = names.Replace(word)
		}
		switch words[0] {
		case "decode":
			rule.Decode = append(rule.Decode, words[1:])
		case "answered":
			rule.Answered = append(rule.Answered, words[1:])
		case "granted":
			rule.Granted = append(rule.Granted, words[1:])
		}
	}
	return rule
}

// unseen are platforms that give the edge nothing to read, and why.
var unseen = map[string]string{
	"usercentrics": "it keeps its answer in the browser's storage, which no request shows",
	"termly":       "it keeps its answer in the browser's storage, which no request shows",
	"silktide":     "it keeps its answer in the browser's storage, which no request shows",
	"osano":        "its cookie is encrypted (for the older open-source cookieconsent, write insites)",
	"sourcepoint":  "its cookie holds nothing but an id; where it keeps a TC string, write tcf",
	"shopify":      "it sets its consent cookie no longer",
}

// Unseen says why the edge cannot read the answer of the platform with this
// name; ok is false if it is not known for that.
func Unseen(name string) (why string, ok bool) {
	why, ok = unseen[name]
	return why, ok
}
