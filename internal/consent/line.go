package consent

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A line is tests of which one is enough.
type line []test

// A test puts one question to a reading. A doubt is why it has no answer.
type test func(r *reading) (holds bool, doubt Reason)

// all reports whether every line holds. A line that certainly does not hold
// settles it, whatever is in doubt elsewhere.
func all(lines []line, r *reading) (holds bool, doubt Reason) {
	for _, l := range lines {
		holds, why := l.any(r)
		if !holds && why == NoReason {
			return false, NoReason
		}
		if !holds {
			doubt = why
		}
	}
	return doubt == NoReason, doubt
}

func (l line) any(r *reading) (holds bool, doubt Reason) {
	for _, t := range l {
		holds, why := t(r)
		if holds {
			return true, NoReason
		}
		if why != NoReason {
			doubt = why
		}
	}
	return false, doubt
}

// parseLine compiles the words of a line for readings of one shape.
func parseLine(words []string, of shape) (l line, err error) {
	for {
		first, more := words, false
		if i := slices.Index(words, "or"); i >= 0 {
			first, words, more = words[:i], words[i+1:], true
		}
		t, err := parseTest(first, of)
		if err != nil {
			return nil, err
		}
		if l = append(l, t); !more {
			return l, nil
		}
	}
}

// cookiesOf returns the cookies that a line's tests are about.
func cookiesOf(words []string) (names []string) {
	for i, word := range words {
		if word == "cookie" && (i == 0 || words[i-1] == "or") {
			names = append(names, words[i+1])
		}
	}
	return names
}

// A testKind is a word that begins a test.
type testKind struct {
	of    shape // the shape it is for; shapeWord for all
	write string
	parse func(args []string) (test, bool)
}

var testKinds = map[string]testKind{
	"equals":             {shapeWord, "equals <word>...", parseEquals},
	"cookie":             {shapeWord, "cookie <name> [<word>...]", parseCookie},
	"has":                {shapeList, "has <word>...", parseHas},
	"pair":               {shapePairs, "pair <key> [<word>...]", parsePair},
	"json":               {shapeJSON, "json <path> equals|contains <word>..., or json <path> non_empty|exists|missing", parseJSONTest},
	"purposes":           {shapeTC, "purposes <number from 1 to 24>...", parsePurposes},
	"publisher_purposes": {shapeTC, "publisher_purposes <number from 1 to 24>...", parsePublisherPurposes},
}

var testNames = []string{"equals", "has", "pair", "json", "purposes", "publisher_purposes", "cookie"}

func parseTest(words []string, of shape) (test, error) {
	if len(words) == 0 {
		return nil, fmt.Errorf("a test is missing: allowed are %s", strings.Join(testNames, ", "))
	}
	kind, ok := testKinds[words[0]]
	if !ok {
		return nil, fmt.Errorf("unknown test %q: allowed are %s", words[0], strings.Join(testNames, ", "))
	}
	if kind.of != shapeWord && kind.of != of {
		return nil, fmt.Errorf("%s needs a line decode %s", words[0], kind.of)
	}
	if slices.Contains(words, "") {
		return nil, errors.New("a word is empty")
	}
	t, ok := kind.parse(words[1:])
	if !ok {
		return nil, fmt.Errorf("write %s", kind.write)
	}
	return t, nil
}

// String is the word of a decode line that gives a value this shape.
func (s shape) String() string {
	return [...]string{shapeList: "list", shapePairs: "pairs", shapeJSON: "json", shapeTC: "tcf"}[s]
}

func parseEquals(words []string) (test, bool) {
	return func(r *reading) (bool, Reason) { return slices.Contains(words, r.text), NoReason }, len(words) > 0
}

// parseCookie is for what another cookie says, raw. Copies of it that
// disagree are in doubt.
func parseCookie(args []string) (test, bool) {
	if len(args) == 0 || checkName(args[0]) != nil {
		return nil, false
	}
	name, words := args[0], args[1:]
	judge := func(value string) Finding {
		switch {
		case value == "":
			return unanswered
		case len(words) == 0 || slices.Contains(words, value):
			return granted
		default:
			return refused
		}
	}
	return func(r *reading) (bool, Reason) {
		f := findCookies(r.lines, name, isNamed, judge)
		if f.Reason == Conflict || f.Reason == Malformed {
			return false, f.Reason
		}
		return f.Verdict == Granted, NoReason
	}, true
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
		member, s = cutAny(s, separators)
		if member == word {
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

// parsePair is for pairs. Two of one key that disagree are in doubt. White
// space and quotes around keys and values do not count.
func parsePair(args []string) (test, bool) {
	if len(args) == 0 {
		return nil, false
	}
	key, words := args[0], args[1:]
	holds := func(value string) bool {
		return value != "" && (len(words) == 0 || slices.Contains(words, value))
	}
	return func(r *reading) (yes bool, doubt Reason) {
		found := false
		for s := r.text; s != ""; {
			var pair string
			pair, s = cutAny(s, r.outer)
			k, v := cutAny(pair, r.inner)
			if bare(k) != key {
				continue
			}
			if h := holds(bare(v)); found && h != yes {
				return false, Conflict
			} else {
				found, yes = true, h
			}
		}
		return yes, NoReason
	}, true
}

func bare(s string) string { return strings.Trim(s, ` '"`) }

func parsePurposes(args []string) (test, bool) {
	return parseConsented(args, TCString.Purposes)
}

func parsePublisherPurposes(args []string) (test, bool) {
	return parseConsented(args, TCString.PublisherPurposes)
}

// parseConsented is for purposes, of which find tells. What was never put to
// the visitor is in doubt.
func parseConsented(args []string, find func(tc TCString, purposes ...int) Finding) (test, bool) {
	var purposes []int
	for _, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil || n < 1 || n > MaxPurpose {
			return nil, false
		}
		purposes = append(purposes, n)
	}
	return func(r *reading) (bool, Reason) {
		f := find(r.tc, purposes...)
		if f.Verdict == Unknown {
			return false, f.Reason
		}
		return f.Verdict == Granted, NoReason
	}, len(purposes) > 0
}
