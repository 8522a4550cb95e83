package consent

import (
	"errors"
	"fmt"
	"strings"
)

// A PackedRule reads a cookie that holds more than a plain yes or no. It is
// written in words, the same for the platforms' table and for users.
//
// The cookie's value is decoded step by step, and tests are put to the result.
// All lines of Answered must hold, or the visitor has made no choice; without
// such lines any value that is not empty is a choice. Then all lines of Granted
// must hold, or the choice was a no. Within a line, the word "or" joins tests
// of which one is enough, and "not" negates the test behind it.
type PackedRule struct {
	// Cookie is the cookie's name, or several names separated by white space
	// if the cookie has several. A "*" in a name stands for any number of letters
	// and digits.
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
//	percent          undo percent-encoding; a value that holds none, or is
//	                 encoded wrongly, stays
//	form <field>     take one field of a form-encoded value
//	base64           in the standard or the URL alphabet, padded or not
//	from <text>      drop what stands before text
//	gpp              take the TC string out of a GPP string
//
// and at the end, unless the value is then one word,
//
//	list [<separators>]        words between white space and separators, which
//	                           are commas by default
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
//	json <path> contains <word>...   the path leads to a list with all of them;
//	                                 "*" is any member
//	json <path> non_empty            the path leads to a list, an object or a
//	                                 string, and there is something in it
//	json <path> exists|missing       the path leads to anything, or to nothing;
//	                                 null is nothing
//	purposes <n>...                  all of these purposes are consented to
//	publisher_purposes <n>...        the same, in the publisher's own segment
//	cookie <name> [<word>...]        another cookie has one of the words, in
//	                                 which a "*" stands for letters and digits,
//	                                 or any value
//
// A path is keys between dots; \. is a dot within a key, a "*" is any key, and "."
// alone is the whole value. A path goes on inside a string that holds JSON.
//
// What cannot be read without doubt is Unknown: a value over 8 KiB, or one that
// the steps do not fit; another type where a test expects a list; JSON that nests
// deeper than 32; copies of the cookie, or keys of pairs, that contradict each other.
func (r PackedRule) Compile() (Rule, error) {
	p, err := r.compile()
	if err != nil {
		return nil, err
	}
	return p, nil
}

// The most lines that a rule may have, and words in one.
const (
	maxLines = 32
	maxWords = 64
)

func (r PackedRule) compile() (p *packed, err error) {
	p = &packed{}
	if p.names, err = parseNames(r.Cookie); err != nil {
		return nil, err
	}
	if len(r.Granted) == 0 {
		return nil, errors.New("there is no granted line, so that nothing would ever be a yes")
	}
	var q question
	for _, part := range []struct {
		name  string
		lines [][]string
		parse func(words []string) error
	}{
		{"decode", r.Decode, p.decoder.add},
		{"answered", r.Answered, func(words []string) error { return q.add(&q.answered, words, p.decoder.shape) }},
		{"granted", r.Granted, func(words []string) error { return q.add(&q.granted, words, p.decoder.shape) }},
	} {
		if len(part.lines) > maxLines {
			return nil, fmt.Errorf("%d %s lines: must be at most %d", len(part.lines), part.name, maxLines)
		}
		for _, words := range part.lines {
			if len(words) > maxWords {
				return nil, fmt.Errorf("a %s line of %d words: must be at most %d", part.name, len(words), maxWords)
			}
			if err := part.parse(words); err != nil {
				return nil, fmt.Errorf("%s %s: %w", part.name, strings.Join(words, " "), err)
			}
		}
	}
	p.questions = []question{q}
	return p, nil
}

// packed is a PackedRule that is ready to be asked, or several that differ only
// in their tests.
type packed struct {
	names     patterns
	decoder   decoder
	questions []question
}

// A question is the tests that tell a choice from no choice, and a yes from a no.
type question struct {
	answered, granted lines
	cookies           patterns // other cookies that the tests are about
}

// add compiles the words of a line.
func (q *question) add(to *lines, words []string, of shape) error {
	cookies, err := to.add(words, of)
	q.cookies = append(q.cookies, cookies...)
	return err
}

// Cookies implements Rule.
func (p *packed) Cookies() []string {
	names := p.names.expressions()
	for _, q := range p.questions {
		names = append(names, q.cookies.expressions()...)
	}
	return names
}

// Find implements Rule.
func (p *packed) Find(header []string) Finding {
	var r *reading // made for a cookie that is there
	return findCookies(header, p.names.matches, func(value string) Finding {
		if r == nil {
			r = &reading{header: header}
		}
		return p.judge(value, r)
	})
}

// judge gives the most careful answer to the questions.
func (p *packed) judge(value string, r *reading) Finding {
	doubt := p.decoder.decode(value, r)
	switch {
	case doubt != NoReason:
		return Finding{Unknown, doubt}
	case r.text == "":
		return unanswered
	}
	most := granted
	for i := range p.questions {
		if f := p.questions[i].put(r); f.Verdict.precedes(most.Verdict) {
			most = f
		}
	}
	return most
}

func (q *question) put(r *reading) Finding {
	switch holds, doubt := q.answered.hold(r); {
	case doubt != NoReason:
		return Finding{Unknown, doubt}
	case !holds:
		return unanswered
	}
	switch holds, doubt := q.granted.hold(r); {
	case doubt != NoReason:
		return Finding{Unknown, doubt}
	case !holds:
		return refused
	}
	return granted
}
