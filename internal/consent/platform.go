package consent

import (
	"fmt"
	"slices"
	"strings"
)

// A Platform is a row of the table: a consent platform whose answer is in
// cookies that can be read at the edge.
type Platform struct {
	// Name is the platform's name in a configuration.
	Name string
	// Category says what the platform sorts consent by, with an example; ""
	// if it knows only one yes.
	Category string
	// Defaults are the categories asked for if none is named. There are none if
	// each site makes its own categories and has to name them.
	Defaults []string
	// Exempt is the attribute that keeps the platform's own script blocker away
	// from a script element, whatever the platform thinks of the script. It is
	// zero if the platform has no such attribute or none that is known.
	Exempt Attribute
	// Implied is what makes the platform write a yes for visitors who have only
	// scrolled or clicked somewhere; "" if nothing does. Its cookie does not tell.
	Implied string

	optional bool // whether the rules without a category are enough
	rules    []platformRule
	also     string // names of its other cookies, from which no answer is read
}

// An Attribute is one of an HTML element.
type Attribute struct{ Name, Value string }

// A platformRule is a PackedRule in lines, as users write them. {category}
// stands for one category, and {cookie}, in the cookie's name, for that of the
// first rule.
type platformRule struct {
	cookie string
	lines  string
}

const (
	categoryMark = "{category}"
	cookieMark   = "{cookie}"
)

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

// Cookie is the platform's cookie name, or names, unless a configuration names
// another; see [PackedRule]. {category} stands for a category.
func (p Platform) Cookie() string { return p.rules[0].cookie }

// Usage shows how to write a consent line for the platform, after the word
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

// MaxCategories is how many categories a rule may name.
const MaxCategories = 16

// Compile returns the rules that demand consent to all of these categories, or to
// the platform's defaults if there are none. cookie is the name of its cookie on
// this site, "" for the usual one.
func (p Platform) Compile(cookie string, categories []string) ([]Rule, error) {
	if len(categories) == 0 {
		categories = p.Defaults
	}
	if err := p.checkCategories(categories); err != nil {
		return nil, err
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
		rules, err := template.compile(cookie, categories)
		if err != nil {
			return nil, fmt.Errorf("%s %w", p.Name, err)
		}
		compiled = append(compiled, rules...)
	}
	return compiled, nil
}

func (p Platform) checkCategories(categories []string) error {
	switch {
	case p.Category == "" && len(categories) > 0:
		return fmt.Errorf("%s has no categories: its cookie says yes or no to all", p.Name)
	case p.Category != "" && len(categories) == 0 && !p.optional:
		return fmt.Errorf("%s needs a category, since each site makes its own: %s", p.Name, p.Category)
	case len(categories) > MaxCategories:
		return fmt.Errorf("%s: %d categories: must be at most %d", p.Name, len(categories), MaxCategories)
	}
	for i, category := range categories {
		switch {
		case category == "" || category == "or" || slices.Contains(categories[:i], category):
			return fmt.Errorf("%s category %q: it is empty, a word of its own or given twice", p.Name, category)
		case strings.ContainsAny(category, "*{}"):
			return fmt.Errorf("%s category %q: no * and no braces, a category is named in full", p.Name, category)
		}
	}
	return nil
}

// compile returns the template's rules: one for each category if each has a
// cookie of its own, else one that asks for all of them at once.
func (t platformRule) compile(cookie string, categories []string) (rules []Rule, err error) {
	if !strings.Contains(t.cookie+t.lines, categoryMark) {
		categories = []string{""}
	}
	var last *packed
	ownCookies := strings.Contains(t.cookie, categoryMark)
	inName := ownCookies || strings.Contains(t.lines, "cookie "+categoryMark)
	for _, category := range categories {
		if inName && strings.ContainsAny(category, " \t\r\n") {
			return nil, fmt.Errorf("category %q: it stands in a cookie's name, which has no white space", category)
		}
		rule, err := t.fill(cookie, category).compile()
		switch {
		case err != nil:
			if category != "" {
				err = fmt.Errorf("%s: %w", category, err)
			}
			return nil, err
		case last == nil || ownCookies:
			rules = append(rules, rule)
			last = rule
		default:
			last.questions = append(last.questions, rule.questions...)
		}
	}
	return rules, nil
}

// fill puts a category and the cookie's name into the template.
func (t platformRule) fill(cookie, category string) (rule PackedRule) {
	rule.Cookie = strings.ReplaceAll(t.cookie, categoryMark, category)
	if strings.Contains(t.cookie, cookieMark) {
		var names []string
		for name := range strings.FieldsSeq(cookie) {
			names = append(names, strings.ReplaceAll(rule.Cookie, cookieMark, name))
		}
		rule.Cookie = strings.Join(names, " ")
	}
	for line := range strings.Lines(t.lines) {
		words := strings.Fields(line)
		for i, word := range words {
			if i > 1 && words[i-1] == "json" { // a path
				word = strings.ReplaceAll(word, categoryMark, escapeKey(category))
			}
			words[i] = strings.ReplaceAll(word, categoryMark, category)
		}
		if len(words) == 0 {
			continue
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
