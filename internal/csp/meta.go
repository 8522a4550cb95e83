package csp

import (
	"html"
	"strings"
	"unicode/utf8"
)

// decodeAttribute decodes the character references of an attribute's value as
// HTML's tokenizer does ("named character reference state"). Unlike in text, a
// name without its semicolon is none if "=" or a letter or digit follows, as in
// the query of a URL.
func decodeAttribute(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		ref := reference(s[i:])
		b.WriteString(decodeReference(ref, s[i+len(ref):]))
		s = s[i+len(ref):]
	}
}

// reference is the longest beginning of s, which begins with "&", that may be a
// reference.
func reference(s string) string {
	end, in := 1, isAlphanumeric
	if rest, numeric := strings.CutPrefix(s, "&#"); numeric {
		end, in = 2, isDigit
		if rest != "" && rest[0]|0x20 == 'x' {
			end, in = 3, isHexDigit
		}
	}
	for end < len(s) && in(s[end]) {
		end++
	}
	if end < len(s) && s[end] == ';' {
		end++
	}
	return s[:end]
}

func isDigit(c byte) bool        { return '0' <= c && c <= '9' }
func isHexDigit(c byte) bool     { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
func isAlphanumeric(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' }

func decodeReference(ref, after string) string {
	open, closed := strings.CutSuffix(ref, ";")
	if strings.HasPrefix(ref, "&#") {
		if !isHexDigit(open[len(open)-1]) {
			return ref // without a number
		}
		return html.UnescapeString(open + ";")
	}
	decoded := html.UnescapeString(ref)
	switch {
	case closed && decoded != ";" && strings.HasSuffix(decoded, ";"):
		return ref // only its beginning is a name
	case closed:
		return decoded
	case utf8.RuneCountInString(decoded) != 1 || strings.HasPrefix(after, "="):
		return ref
	default:
		return decoded
	}
}
