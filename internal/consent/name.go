package consent

import (
	"regexp"
	"strings"
)

// matchName reports whether a cookie's name fits a pattern. Names are compared
// exactly; a "*" stands for one or more letters and digits, such as the number
// of an account that a platform puts into its cookies' names.
func matchName(pattern, name string) bool {
	for {
		before, after, star := strings.Cut(pattern, "*")
		if !star {
			return name == pattern
		}
		if !strings.HasPrefix(name, before) {
			return false
		}
		name = name[len(before):]
		rest := strings.TrimLeftFunc(name, isAlphanumeric)
		if rest == name {
			return false
		}
		pattern, name = after, rest
	}
}

// nameExpression is the pattern as a regular expression for whole names.
func nameExpression(pattern string) string {
	return strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, "[A-Za-z0-9]+")
}

// checkPattern finds stars that would not end where the rest of a name begins.
func checkPattern(pattern string) bool {
	for {
		_, after, star := strings.Cut(pattern, "*")
		if !star {
			return true
		}
		if after != "" && (after[0] == '*' || isAlphanumeric(rune(after[0]))) {
			return false
		}
		pattern = after
	}
}

func isAlphanumeric(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
