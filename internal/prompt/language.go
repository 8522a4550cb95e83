package prompt

import (
	"iter"
	"strings"
)

var languages = map[string]*words{"de": &german, "en": &english, "es": &spanish, "fr": &french, "it": &italian, "nl": &dutch}

// lookup returns the words for a language, and whether they are in that language:
// otherwise they are English.
func lookup(language string) (w *words, known bool) {
	primary, _, _ := strings.Cut(language, "-")
	if w, known = languages[primary]; !known {
		return &english, false
	}
	return w, true
}

const longestTag = 35 // bytes (RFC 5646 section 4.4.1)

// canonical returns a language tag in lower case, and "" for what is no tag. Some pages
// write de_AT.
func canonical(tag string) string {
	tag = strings.ReplaceAll(strings.ToLower(tag), "_", "-")
	for _, c := range tag {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return ""
		}
	}
	if len(tag) > longestTag {
		return ""
	}
	return tag
}

// prefixes yields a canonical tag and what is left of it as its subtags are taken off,
// "" in the end (RFC 4647 section 3.4).
func prefixes(tag string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for yield(tag) && tag != "" {
			tag = tag[:max(0, strings.LastIndexByte(tag, '-'))]
		}
	}
}

// The scripts, and the languages in such a script, that are written from right to left.
const (
	rightToLeftScripts   = " adlm arab hebr mand nkoo rohg samr syrc thaa "
	rightToLeftLanguages = " ar arc ckb dv fa glk he iw ks lrc mzn nqo pnb ps sd syr ug ur yi "
)

// direction returns the direction in which a language is written, "" if the language is
// not known.
func direction(tag string) string {
	if tag == "" {
		return ""
	}
	primary, rest, _ := strings.Cut(canonical(tag), "-")
	rightToLeft := strings.Contains(rightToLeftLanguages, " "+primary+" ")
	for _, subtag := range strings.Split(rest, "-") {
		if len(subtag) == 4 && subtag[0] > '9' { // a script (RFC 5646 section 2.2.3)
			rightToLeft = strings.Contains(rightToLeftScripts, " "+subtag+" ")
		}
	}
	if rightToLeft {
		return "rtl"
	}
	return "ltr"
}
