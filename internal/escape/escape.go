// Package escape writes text into HTML attributes and into JSON within a script, in
// pure ASCII.
package escape

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Attribute writes s as a double-quoted HTML attribute value. It is pure ASCII, so
// that it means the same in every encoding that keeps ASCII. The controls U+0080 to
// U+009F become U+FFFD, because numeric references to them mean other characters
// (HTML, "numeric character reference end state"). So do NUL and invalid UTF-8.
func Attribute(b *strings.Builder, s string) {
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r == '\'':
			b.WriteString("&#39;")
		case r == 0 || 0x7f < r && r < 0xa0:
			fmt.Fprintf(b, "&#x%X;", utf8.RuneError)
		case r < 0x20 || r > 0x7e:
			fmt.Fprintf(b, "&#x%X;", r)
		default:
			b.WriteByte(byte(r))
		}
	}
}

// JSON writes s as a JSON string in pure ASCII. The string can neither end the script
// element around it nor open a comment in it (HTML, "restrictions for contents of
// script elements").
func JSON(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteByte(byte(r))
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		case r < 0x20 || r > 0x7e || r == '<' || r == '>' || r == '&':
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteByte(byte(r))
		}
	}
	b.WriteByte('"')
}
