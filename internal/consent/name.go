package consent

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A pattern is a text in which each "*" stands for any number of letters and
// digits, such as the number of an account that a platform puts into its
// cookies' names. It holds the texts around the stars; without a star it
// fits exactly one text.
type pattern []string

func newPattern(s string) pattern { return strings.Split(s, "*") }

// matches takes, for each star, all letters and digits that follow. That is right
// because no text behind a star begins with one; see checkPattern.
func (p pattern) matches(s string) bool {
	s, ok := strings.CutPrefix(s, p[0])
	for _, part := range p[1:] {
		if ok {
			s, ok = strings.CutPrefix(skipAlphanumeric(s), part)
		}
	}
	return ok && s == ""
}

// expression is the pattern as a regular expression for whole texts.
func (p pattern) expression() string {
	var b strings.Builder
	for i, part := range p {
		if i > 0 {
			b.WriteString("[A-Za-z0-9]*")
		}
		b.WriteString(regexp.QuoteMeta(part))
	}
	return b.String()
}

func skipAlphanumeric(s string) string {
	for s != "" && isAlphanumeric(s[0]) {
		s = s[1:]
	}
	return s
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// checkPattern finds stars that would run into the text behind them.
func checkPattern(s string) error {
	for i := range len(s) {
		if s[i] == '*' && i+1 < len(s) && (s[i+1] == '*' || isAlphanumeric(s[i+1])) {
			return fmt.Errorf("%q: behind a * there must be neither a letter, a digit nor another *", s)
		}
	}
	return nil
}

// patterns fit a text if one of them fits it.
type patterns []pattern

func newPatterns(texts []string) (ps patterns) {
	for _, s := range texts {
		ps = append(ps, newPattern(s))
	}
	return ps
}

func (ps patterns) expressions() (all []string) {
	for _, p := range ps {
		all = append(all, p.expression())
	}
	return all
}

func (ps patterns) matches(s string) bool {
	return slices.ContainsFunc(ps, func(p pattern) bool { return p.matches(s) })
}

// parseNames reads the names of a cookie, each a pattern, white space between
// them.
func parseNames(s string) (patterns, error) {
	names := strings.Fields(s)
	if len(names) == 0 {
		return nil, errors.New("the cookie's name is empty")
	}
	if len(names) > maxNames {
		return nil, fmt.Errorf("a cookie with %d names: must be at most %d", len(names), maxNames)
	}
	for _, name := range names {
		if strings.ContainsAny(name, "=;") {
			return nil, fmt.Errorf("cookie name %q: a cookie's name has no white space, = or ;", name)
		}
		if err := checkPattern(name); err != nil {
			return nil, fmt.Errorf("cookie name %w", err)
		}
	}
	return newPatterns(names), nil
}

const maxNames = 8
