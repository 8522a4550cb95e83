// Package list reads header fields whose value is a list (RFC 9110 section
// 5.6.1).
package list

import "strings"

// Cut splits a list into its first member, which may be empty, and the rest. A comma
// within a quoted string does not separate members (RFC 9110 section 5.6.4).
func Cut(s string) (member, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == ',' && !quoted:
			return trim(s[:i]), s[i+1:]
		}
	}
	return trim(s), ""
}

// Has reports whether a list, which may span several lines, has this member, in any
// case. A member with an argument is another member.
func Has(lines []string, member string) bool {
	for _, rest := range lines {
		for rest != "" {
			var m string
			if m, rest = Cut(rest); strings.EqualFold(m, member) {
				return true
			}
		}
	}
	return false
}

func trim(s string) string { return strings.Trim(s, " \t") }
