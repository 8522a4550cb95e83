package document

import (
	"strings"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/text/encoding/htmlindex"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/list"
)

// ContentType returns the Content-Type line that browsers use: the last of lines
// that is a media type, or an earlier line of the same type if only that one names a
// charset (https://fetch.spec.whatwg.org/#concept-header-extract-mime-type). It
// returns "" if a line names several types, because browsers disagree about those.
func ContentType(lines []string) (contentType string) {
	for _, line := range lines {
		if strings.Contains(line, ",") {
			if member, _ := list.Cut(line); member != strings.TrimSpace(line) {
				return ""
			}
		}
		if len(lines) == 1 {
			return line
		}
		essence := essenceOf(line)
		kind, subtype, _ := strings.Cut(essence, "/")
		switch {
		case !httpguts.ValidHeaderFieldName(kind), !httpguts.ValidHeaderFieldName(subtype), essence == "*/*":
			// not a media type
		case strings.EqualFold(essence, essenceOf(contentType)) && parameter(line, "charset") == "":
			// the charset of the line before still counts
		default:
			contentType = line
		}
	}
	return contentType
}

// IsHTML reports whether a Content-Type is text/html.
func IsHTML(contentType string) bool { return isMediaType(contentType, "text/html") }

// isMediaType reports whether s, a Content-Type or a member of Accept, names the
// media type want, with whatever parameters and in any case (RFC 9110 section 8.3.1).
func isMediaType(s, want string) bool { return strings.EqualFold(essenceOf(s), want) }

// essenceOf returns a media type without its parameters.
func essenceOf(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.Trim(s, httpSpace)
}

// httpSpace is white space in header fields (https://fetch.spec.whatwg.org/#http-whitespace).
const httpSpace = " \t\r\n"

// parameter returns the value of a media type's first parameter with this name, ""
// if there is none (https://mimesniff.spec.whatwg.org/#parsing-a-mime-type).
func parameter(mediaType, name string) string {
	_, rest, _ := strings.Cut(mediaType, ";")
	for rest != "" {
		end := strings.IndexAny(rest, ";=")
		if end < 0 {
			return ""
		}
		key, isFlag := strings.Trim(rest[:end], httpSpace), rest[end] == ';'
		rest = rest[end+1:]
		if isFlag {
			continue
		}
		var value string
		if value, rest = cutValue(rest); value != "" && strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// cutValue splits s into the parameter value that it begins with, and the parameters
// behind it.
func cutValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ";")
		return strings.Trim(value, httpSpace), rest
	}
	s = s[1:]
	end := strings.IndexAny(s, `"\`)
	if end < 0 {
		return s, ""
	}
	if s[end] == '\\' {
		var b strings.Builder
		for end = 0; end < len(s) && s[end] != '"'; end++ {
			if s[end] == '\\' && end+1 < len(s) {
				end++
			}
			b.WriteByte(s[end])
		}
		value = b.String()
	} else {
		value = s[:end]
	}
	_, rest, _ = strings.Cut(s[min(end, len(s)):], ";")
	return value, rest
}

// Charset returns the label of the encoding that a Content-Type names, "" if there
// is none. It cuts off quotes and spaces that only some browsers take for a part of
// the label.
func Charset(contentType string) string {
	return strings.Trim(parameter(contentType, "charset"), httpSpace+"\f\"'")
}

// NamesEncoding reports whether a Content-Type names an encoding that browsers know
// (https://encoding.spec.whatwg.org/#names-and-labels). They ignore any other.
func NamesEncoding(contentType string) bool {
	label := Charset(contentType)
	if strings.EqualFold(label, "utf-8") {
		return true // the usual case
	}
	_, err := htmlindex.Get(label)
	return err == nil
}

// asciiCompatible reports whether ASCII bytes mean ASCII in the encoding with this
// label (https://encoding.spec.whatwg.org/#names-and-labels). That is so for all
// encodings but UTF-16, ISO-2022-JP and "replacement".
func asciiCompatible(label string) bool {
	if label == "" || strings.EqualFold(label, "utf-8") {
		return true
	}
	for _, other := range []string{
		"utf-16", "utf-16le", "utf-16be", "unicode", "unicodefeff", "unicodefffe", "csunicode", "ucs-2", "iso-10646-ucs-2",
		"iso-2022-jp", "csiso2022jp",
		"replacement", "hz-gb-2312", "iso-2022-kr", "csiso2022kr", "iso-2022-cn", "iso-2022-cn-ext",
	} {
		if strings.EqualFold(label, other) {
			return false
		}
	}
	return true
}
