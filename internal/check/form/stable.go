package form

import (
	"regexp"
	"strings"
)

// A grade says how long an id, a name or a class is likely to stay what it is.
type grade uint8

// The grades.
const (
	generated grade = iota // it has a hash, or a number that changes
	counted                // it has a small number, such as field_2
	chosen                 // somebody wrote it
)

// plain matches ids, names and classes that can be written in a selector and in a
// Caddyfile without surprises. Braces would be placeholders.
var plain = regexp.MustCompile(`^[A-Za-z0-9_.:\[\]/-]{1,64}$`)

// makers matches ids and classes that libraries make, by their beginnings.
var makers = regexp.MustCompile(`(?i)^(:|_r_|radix-|headlessui-|react-|mui-|ember\d|yui|ext-(gen|comp|element)|__bvid|j_id|jfor|ui-id-|select2-|el-id-|` +
	`mat-|cdk-|v-\d|mce_|cke_|rc[-_]|chakra-|mantine-|downshift-|tippy-|popper-|svelte-|css-|sc-|jss\d|emotion-|jsx-|style-|uid|uuid|guid|gen-?\d|tmp)`)

// moduleClass matches the classes of CSS modules, as <file>_<class>__<hash>.
var moduleClass = regexp.MustCompile(`^[A-Za-z0-9-]+_[A-Za-z0-9-]+__[A-Za-z0-9+-]{5,6}$`)

// gradeOf returns the grade of an id, a name or a class.
func gradeOf(token string) grade {
	if !plain.MatchString(token) || makers.MatchString(token) || moduleClass.MatchString(token) {
		return generated
	}
	g := chosen
	for word := range strings.FieldsFuncSeq(token, func(r rune) bool { return !isLetter(r) && !isDigit(r) }) {
		switch digits := strings.TrimLeftFunc(word, isLetter); {
		case isHash(word) || len(digits) > 3:
			return generated
		case digits != "":
			g = counted
		}
	}
	return g
}

// isHash reports whether a word looks like random characters: with digits among its
// letters, or with capitals at random places.
func isHash(word string) bool {
	if len(word) < 5 {
		return false
	}
	letters := strings.TrimRightFunc(word, isDigit)
	if strings.ContainsFunc(letters, isDigit) {
		return true
	}
	short := 0 // pieces of one or two letters, such as those of bdVaJa
	for _, piece := range capital.Split(strings.TrimLeftFunc(letters, isUpper), -1) {
		if len(piece) < 2 {
			short++
		}
	}
	return short > 1
}

var capital = regexp.MustCompile(`[A-Z]`)

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || isUpper(r) }
func isUpper(r rune) bool  { return 'A' <= r && r <= 'Z' }
func isDigit(r rune) bool  { return '0' <= r && r <= '9' }

// looks matches classes that say how an element looks, or in which state it is.
var looks = regexp.MustCompile(`(?i)^(-?(m|p)[trblxyse]?-|(w|h|d|flex|grid|text|bg|border|rounded|shadow|col|row|justify|items|self|gap|space|font|leading|tracking|` +
	`max|min|top|left|right|bottom|z|order|float|align|clearfix|hidden|block|inline|relative|absolute|static|fixed|sticky|sr|visually|overflow|cursor|opacity|` +
	`is|has|js|no|ng|was|wp|active|open|init|loaded|ready|valid|invalid|error|success|disabled|hydrated|fade|show|in|collapse|collapsed|expanded|required|` +
	`wide|narrow|small|large|primary|secondary|btn|button|input|field|form|control|container|wrapper|inner|outer|content|main|submit|full|dark|light)(-|$)|.*[:/\[\]].*)`)

// nameClass returns the best class of an attribute to name an element by, "" if none
// is good for that: one without a number, and of those one of several words.
func nameClass(class string) (best string) {
	most := 0
	for c := range strings.FieldsSeq(class) {
		points := 2 * int(gradeOf(c))
		if points == 0 || len(c) < 3 || looks.MatchString(c) {
			continue
		}
		if strings.ContainsAny(c, "-_") {
			points++
		}
		if points > most {
			best, most = c, points
		}
	}
	return best
}
