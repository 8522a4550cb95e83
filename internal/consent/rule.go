package consent

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A PackedRule reads a cookie that holds more than a plain yes or no. It is
// written in words, the same for the platforms' table and for users.
//
// The cookie's value is decoded step by step, and tests are put to the result.
// All lines of Answered must hold, or the visitor has made no choice; without
// such lines any value that is not empty is a choice. Then all lines of Granted
// must hold, or the choice was a no. Within a line, the word "or" joins tests
// one of which is enough.
type PackedRule struct {
	// Cookie is the cookie's name; a "*" in it stands for letters and digits.
	Cookie string
	// Decode are the steps; see [PackedRule.Compile].
	Decode [][]string
	// Answered and Granted are lines of tests; see [PackedRule.Compile].
	Answered, Granted [][]string
}

// Compile checks the rule and makes it ready to be asked.
//
// A pair of quotes around the value is dropped first (RFC 6265bis section
// 4.1.1). The steps of Decode are
//
//	percent          undo percent-encoding; a value that holds none stays
//	form <field>     take one field of a form-encoded value
//	base64           in the standard or the URL alphabet, padded or not
//	from <text>      drop what stands before text
//	gpp              take the TC string out of a GPP string
//
// and at the end, unless the value is then one word,
//
//	list [<separators>]        words; by default between white space and commas
//	pairs <outer> <inner>      keys with values; outer characters separate the
//	                           pairs, inner ones a key from its value
//	json
//	tcf                        a TC string
//
// The tests are
//
//	equals <word>...                 the whole value is one of the words
//	has <word>...                    the list has all of the words
//	pair <key> [<word>...]           the key has one of the words, or any value
//	json <path> equals <word>...     the path leads to one of the words
//	json <path> contains <word>...   the path leads to a list with all of them
//	json <path> non_empty            the path leads to a list, an object or a
//	                                 string, and there is something in it
//	json <path> exists|missing       the path leads to anything, or to nothing
//	purposes <n>...                  all of these purposes are consented to
//	publisher_purposes <n>...        the same, in the publisher's own segment
//	cookie <name> [<word>...]        another cookie has one of the words, or any
//	                                 value
//
// A path is keys between dots; \. is a dot within one, a "*" is any key, and "."
// alone is the whole. A string that itself holds JSON is read on inside.
func (r PackedRule) Compile() (Rule, error) {
	if err := checkName(r.Cookie); err != nil {
		return nil, err
	}
	if len(r.Granted) == 0 {
		return nil, errors.New("there is no granted line, so that nothing would ever be a yes")
	}
	p := packed{cookie: r.Cookie}
	for _, words := range r.Decode {
		if err := p.decoder.add(words); err != nil {
			return nil, fmt.Errorf("decode %s: %w", strings.Join(words, " "), err)
		}
	}
	for _, lines := range []struct {
		name  string
		words [][]string
		to    *[]line
	}{
		{"answered", r.Answered, &p.answered},
		{"granted", r.Granted, &p.granted},
	} {
		for _, words := range lines.words {
			l, err := parseLine(words, p.decoder.shape)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", lines.name, strings.Join(words, " "), err)
			}
			*lines.to = append(*lines.to, l)
			p.others = append(p.others, cookiesOf(words)...)
		}
	}
	return &p, nil
}

// checkName finds mistakes in the name, or the pattern, of a cookie.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the cookie's name is empty")
	case strings.ContainsAny(name, "=; \t\r\n"):
		return fmt.Errorf("cookie name %q: a cookie's name has no white space, = or ;", name)
	case !checkPattern(name):
		return fmt.Errorf("cookie name %q: behind a * there must be neither a letter, a digit nor another *", name)
	default:
		return nil
	}
}

// packed is a PackedRule that is ready to be asked.
type packed struct {
	cookie            string
	others            []string // cookies that tests are about
	decoder           decoder
	answered, granted []line
}

// Cookies implements Rule.
func (p *packed) Cookies() (names []string) {
	names = append(names, nameExpression(p.cookie))
	for _, name := range p.others {
		names = append(names, regexp.QuoteMeta(name))
	}
	return names
}

// Find implements Rule.
func (p *packed) Find(lines []string) Finding {
	return findCookies(lines, p.cookie, matchName, func(value string) Finding { return p.judge(value, lines) })
}

func (p *packed) judge(value string, lines []string) Finding {
	r, ok := p.decoder.decode(value)
	switch {
	case r.text == "":
		return unanswered
	case !ok:
		return malformed
	}
	r.lines = lines
	switch holds, doubt := all(p.answered, &r); {
	case doubt != NoReason:
		return Finding{Unknown, doubt}
	case !holds:
		return unanswered
	}
	switch holds, doubt := all(p.granted, &r); {
	case doubt != NoReason:
		return Finding{Unknown, doubt}
	case !holds:
		return refused
	}
	return granted
}
