package draft

import (
	"regexp"
	"strings"
	"unicode"
)

// bare matches words that a Caddyfile takes as they are.
var bare = regexp.MustCompile(`^[A-Za-z0-9_./:=*?&%+~,@-]+$`)

// quote returns a word of a Caddyfile. It must hold no backquote together with a quote.
func quote(word string) string {
	switch {
	case bare.MatchString(word):
		return word
	case strings.ContainsAny(word, `"\`):
		return "`" + word + "`"
	default:
		return `"` + word + `"`
	}
}

func isUnprintable(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
