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

// clean makes text from outside harmless to a terminal, and to its reader: what
// steers either of them is shown by its number.
func clean(s string) string {
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

// shortest bounds what is shown of one value from outside, in characters.
const shortest = 120

// short is s made harmless, and cut where it is long.
func short(s string) string {
	if r := []rune(s); len(r) > shortest {
		s = string(r[:shortest]) + "..."
	}
	return clean(s)
}

// withoutQuery is an address without its query, in which there may be secrets.
func withoutQuery(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return short(address)
	}
	if u.RawQuery != "" {
		u.RawQuery = "..."
	}
	u.User, u.Fragment = nil, ""
	return short(u.String())
}

// place is the path that answered, as pages has it.
func place(a *Response) string { return short(a.address().EscapedPath()) }

func statusOf(a *Response) string {
	return strings.TrimSpace(strconv.Itoa(a.Status) + " " + http.StatusText(a.Status))
}

func either(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
