package consent

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxValue is the longest cookie value that is read, in bytes: twice what
// browsers keep for a whole cookie (RFC 6265bis section 5.6).
const maxValue = 8 << 10

// Cookie is the rule for a cookie that says yes or no in one plain value.
type Cookie struct {
	// Name of the cookie, compared exactly.
	Name string
	// Values that mean yes, compared raw and exactly; any other value that is
	// not empty means no. Without values, the cookie's presence means yes,
	// unless its value looks like a refusal or like anything but one word.
	Values []string
}

// Find implements Rule.
func (c Cookie) Find(header []string) Finding {
	return findCookies(header, func(name string) bool { return name == c.Name }, c.judge)
}

// Cookies implements Rule.
func (c Cookie) Cookies() []string { return []string{regexp.QuoteMeta(c.Name)} }

func (c Cookie) judge(value string) Finding {
	switch {
	case value == "":
		return unanswered
	case len(c.Values) == 0:
		return presence(value)
	case slices.Contains(c.Values, value):
		return granted
	case isJoined(value):
		return malformed
	default:
		return refused
	}
}

// isJoined reports whether a value looks like several cookies that something in
// front has joined by a comma, as other fields may be (RFC 9110 section 5.3).
func isJoined(value string) bool {
	_, next, found := strings.Cut(value, ",")
	return found && strings.Contains(next, "=")
}

// maxCopies is how many copies of a cookie are read: beyond any site's, and few
// enough that a header full of copies costs no more than any other.
const maxCopies = 16

// findCookies judges every cookie whose name matches. Copies that agree count
// once. If copies disagree, nothing tells which one the site itself would read.
func findCookies(header []string, matches func(name string) bool, judge func(value string) Finding) Finding {
	if len(header) == 0 {
		return Finding{Unknown, NoCookieHeader}
	}
	found := Finding{Unknown, CookieAbsent}
	cookies := NewCookies(header)
	for copies := 0; ; {
		name, value, ok := cookies.Next()
		if !ok {
			return found
		}
		if !matches(name) {
			continue
		}
		if copies++; copies > maxCopies {
			return malformed
		}
		f := malformed
		if len(value) <= maxValue {
			f = judge(value)
		}
		if copies > 1 && found.Verdict != f.Verdict {
			return conflict
		}
		found = f
	}
}

// presence judges a cookie if only its name was configured. A single plain word
// that is no refusal grants. A structured value is Unknown: platforms also write
// such values before the visitor chose, or after a refusal.
func presence(value string) Finding {
	word, err := url.PathUnescape(unquote(value))
	word = strings.TrimSpace(unquote(strings.TrimSpace(word))) // a JSON string is a word, too
	switch {
	case err != nil:
		return malformed
	case word == "":
		return unanswered
	case isRefusal(word):
		return refused
	case strings.ContainsAny(word, "{[&:=,|!%\"\\ \t\r\n"),
		strings.HasPrefix(word, "eyJ"), strings.HasPrefix(word, "WyJ"), // base64 of JSON
		isOneOf(word, noAnswers):
		return unanswered
	default:
		return granted
	}
}

// unquote drops one pair of surrounding quotes.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// refusals are plain words for no, or for only what is necessary; see sameWord.
var refusals = strings.Fields("0 false no off none n nein non " +
	"deny denied denyall decline declined declineall reject rejected rejectall rejectedall refuse refused refuseall " +
	"disagree disagreed disallow disallowed disabled dismiss dismissed optout optedout revoke revoked withdrawn noconsent " +
	"necessary necessaryonly onlynecessary essential essentialonly onlyessential required minimal")

// noAnswers are words for no answer yet, and for an answer that may be to
// another question.
var noAnswers = strings.Fields("-1 unset undefined null nan pending unknown implied default functional " +
	"close closed hidden seen shown viewed")

func isRefusal(word string) bool { return isOneOf(word, refusals) }

func isOneOf(word string, known []string) bool {
	return slices.ContainsFunc(known, func(k string) bool { return sameWord(word, k) })
}

// sameWord compares words without case, and without hyphens, underscores or spaces
// inside them. A sign at the beginning is a part of a number.
func sameWord(word, known string) bool {
	for i := range len(word) {
		c := word[i]
		if i > 0 && (c == '-' || c == '_' || c == ' ') {
			continue
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if known == "" || known[0] != c {
			return false
		}
		known = known[1:]
	}
	return known == ""
}
