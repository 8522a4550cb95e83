package check

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text from outside harmless in a terminal: it replaces every character
// that cannot be printed by its number.
func Clean(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			fmt.Fprintf(&b, `\u{%X}`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// shortest is the number of characters that are shown of a value from outside.
const shortest = 120

// Short returns s cleaned, and cut if it is long.
func Short(s string) string {
	if r := []rune(s); len(r) > shortest {
		s = string(r[:shortest]) + "..."
	}
	return Clean(s)
}

// withoutQuery returns an address without its query, which may contain secrets.
func withoutQuery(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return Short(address)
	}
	if u.RawQuery != "" {
		u.RawQuery = "..."
	}
	u.User, u.Fragment = nil, ""
	return Short(u.String())
}

// place returns the response's path, as it must be written in pages.
func place(a *Response) string { return Short(a.Address().EscapedPath()) }

func statusOf(a *Response) string {
	return strings.TrimSpace(strconv.Itoa(a.Status) + " " + http.StatusText(a.Status))
}

func either(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
