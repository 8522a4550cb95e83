package consent

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// The tests of words, lists and pairs; see [PackedRule.Compile].

func parseEquals(words []string) (test, bool) {
	return func(r *reading) (bool, Reason) { return slices.Contains(words, r.text), NoReason }, len(words) > 0
}

func parseHas(words []string) (test, bool) {
	return func(r *reading) (bool, Reason) {
		for _, word := range words {
			if !hasWord(r.text, r.outer, word) {
				return false, NoReason
			}
		}
		return true, NoReason
	}, len(words) > 0
}

func hasWord(s, separators, word string) bool {
	for s != "" {
		var member string
		if member, s = cutAny(s, separators); member == word {
			return true
		}
	}
	return false
}

// cutAny cuts s at the first of the separators.
func cutAny(s, separators string) (before, after string) {
	if i := strings.IndexAny(s, separators); i >= 0 {
		_, size := utf8.DecodeRuneInString(s[i:])
		return s[:i], s[i+size:]
	}
	return s, ""
}

// parsePair is for pairs. Two with the same key that disagree are in doubt. White
// space and quotes around keys and values do not count.
func parsePair(args []string) (test, bool) {
	if len(args) == 0 {
		return nil, false
	}
	key, words := args[0], args[1:]
	wanted := func(value string) bool {
		return value != "" && (len(words) == 0 || slices.Contains(words, value))
	}
	return func(r *reading) (holds bool, doubt Reason) {
		found := false
		for s := r.text; s != ""; {
			var pair string
			pair, s = cutAny(s, r.outer)
			k, v := cutAny(pair, r.inner)
			if bare(k) != key {
				continue
			}
			h := wanted(bare(v))
			if found && h != holds {
				return false, Conflict
			}
			found, holds = true, h
		}
		return holds, NoReason
	}, true
}

func bare(s string) string { return strings.Trim(s, " \t'\"") }

// parseCookie is for what another cookie says, raw. Copies of it that disagree
// are in doubt.
func parseCookie(args []string) (test, bool) {
	if len(args) == 0 {
		return nil, false
	}
	for _, word := range args[1:] {
		if checkPattern(word) != nil {
			return nil, false
		}
	}
	names, err := parseNames(args[0])
	if err != nil {
		return nil, false
	}
	words := newPatterns(args[1:])
	judge := func(value string) Finding {
		switch {
		case value == "":
			return unanswered
		case len(words) == 0 || words.matches(value):
			return granted
		case isJoined(value):
			return malformed
		default:
			return refused
		}
	}
	id := strings.Join(args, ";") // no name and no value contains a semicolon
	return func(r *reading) (bool, Reason) {
		f := r.find(id, names, judge)
		if f.Reason == Conflict || f.Reason == Malformed {
			return false, f.Reason
		}
		return f.Verdict == Granted, NoReason
	}, true
}

// find judges another cookie, once for each test.
func (r *reading) find(test string, names patterns, judge func(value string) Finding) Finding {
	for _, o := range r.others {
		if o.test == test {
			return o.found
		}
	}
	f := findCookies(r.header, names.matches, judge)
	if r.others == nil {
		r.others = make([]other, 0, 4)
	}
	r.others = append(r.others, other{test, f})
	return f
}
