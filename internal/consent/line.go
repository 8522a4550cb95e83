package consent

import (
	"fmt"
	"slices"
	"strings"
)

// A test asks one question about a reading. A doubt says why there is no answer.
type test func(r *reading) (holds bool, doubt Reason)

// A line is a list of tests; one that holds is enough.
type line []test

// hold reports whether a test holds; if so, doubts of other tests do not matter.
func (l line) hold(r *reading) (holds bool, doubt Reason) {
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

// not negates a test. A doubt stays a doubt.
func not(t test) test {
	return func(r *reading) (bool, Reason) {
		holds, doubt := t(r)
		return !holds && doubt == NoReason, doubt
	}
}

// lines must all hold.
type lines []line

// hold reports whether every line holds. If one certainly does not, doubts of
// other lines do not matter.
func (ls lines) hold(r *reading) (holds bool, doubt Reason) {
	for _, l := range ls {
		holds, why := l.hold(r)
		if !holds && why == NoReason {
			return false, NoReason
		}
		if !holds {
			doubt = why
		}
	}
	return doubt == NoReason, doubt
}

// add compiles the words of a line for readings of one shape, and appends the
// line. It returns the other cookies that the line is about.
func (ls *lines) add(words []string, of shape) (cookies patterns, err error) {
	var l line
	for {
		end := slices.Index(words, "or")
		last := end < 0
		if last {
			end = len(words)
		}
		t, err := parseTest(words[:end], of)
		if err != nil {
			return nil, err
		}
		cookies = append(cookies, cookieOf(words[:end])...)
		if l = append(l, t); last {
			*ls = append(*ls, l)
			return cookies, nil
		}
		words = words[end+1:]
	}
}

// cookieOf returns the names of the other cookie that a test is about, if any.
func cookieOf(test []string) patterns {
	if test[0] == "not" {
		test = test[1:]
	}
	if test[0] != "cookie" {
		return nil
	}
	names, _ := parseNames(test[1])
	return names
}

// A testKind is a word that begins a test.
type testKind struct {
	word  string
	of    shape  // the shape it is for; shapeWord for all
	write string // how the test is written
	parse func(args []string) (t test, ok bool)
}

var testKinds = []testKind{
	{"equals", shapeWord, "equals <word>...", parseEquals},
	{"has", shapeList, "has <word>...", parseHas},
	{"pair", shapePairs, "pair <key> [<word>...]", parsePair},
	{"json", shapeJSON, "json <path> equals|contains <word>..., or json <path> non_empty|exists|missing", parseJSONTest},
	{"purposes", shapeTC, "purposes <number from 1 to 24>...", parsePurposes},
	{"publisher_purposes", shapeTC, "publisher_purposes <number from 1 to 24>...", parsePublisherPurposes},
	{"cookie", shapeWord, "cookie <name> [<word>...]", parseCookie},
}

func parseTest(words []string, of shape) (test, error) {
	if len(words) > 1 && words[0] == "not" && words[1] != "not" {
		t, err := parseTest(words[1:], of)
		if err != nil {
			return nil, err
		}
		return not(t), nil
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("a test is missing: must be one of %s", allowedTests())
	}
	i := slices.IndexFunc(testKinds, func(k testKind) bool { return k.word == words[0] })
	if i < 0 {
		return nil, fmt.Errorf("unknown test %q: must be one of %s", words[0], allowedTests())
	}
	kind := testKinds[i]
	if kind.of != shapeWord && kind.of != of {
		return nil, fmt.Errorf("%s needs a line decode %s", kind.word, kind.of)
	}
	if slices.Contains(words, "") {
		return nil, errEmptyWord
	}
	t, ok := kind.parse(words[1:])
	if !ok {
		return nil, fmt.Errorf("write %s", kind.write)
	}
	return t, nil
}

func allowedTests() string {
	var words []string
	for _, kind := range testKinds {
		words = append(words, kind.word)
	}
	return strings.Join(words, ", ")
}
