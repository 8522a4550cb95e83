package consent

import "strings"

// Cookies walks through the cookie pairs of all lines of a Cookie header.
//
// It does not use net/http's parser, which drops every cookie whose
// value holds a quote, a backslash or a non-ASCII byte, and every name that is
// not a token; consent platforms write such cookies. Names and values come out
// raw, without the white space around them, as RFC 6265bis section 5.6 reads a
// pair; a piece without "=" or without a name is no pair and is passed over.
type Cookies struct {
	lines []string // still to be read
	line  string   // the rest of the line being read
}

// NewCookies returns a walk through lines, the values of the Cookie field in
// the order they came in (RFC 9113 section 8.2.3 allows several).
func NewCookies(lines []string) Cookies {
	return Cookies{lines: lines}
}

// Next returns the next pair; ok is false when there are no more.
func (c *Cookies) Next() (name, value string, ok bool) {
	for {
		for c.line == "" {
			if len(c.lines) == 0 {
				return "", "", false
			}
			c.line, c.lines = c.lines[0], c.lines[1:]
		}
		var pair string
		pair, c.line, _ = strings.Cut(c.line, ";")
		name, value, found := strings.Cut(pair, "=")
		if name = trim(name); !found || name == "" {
			continue
		}
		return name, trim(value), true
	}
}

// NextNamed returns the next value of the cookie called name, compared exactly.
func (c *Cookies) NextNamed(name string) (value string, ok bool) {
	for {
		n, v, ok := c.Next()
		if !ok {
			return "", false
		}
		if n == name {
			return v, true
		}
	}
}

// trim cuts the white space that may surround a name or a value.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
