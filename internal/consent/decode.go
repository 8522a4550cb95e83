package consent

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A decoder turns a cookie's value into a reading.
type decoder struct {
	steps        []step
	shape        shape
	outer, inner string // separators
}

// A step decodes a value once. It returns "" if there is nothing to read, and a
// doubt if the value is not what it should be.
type step func(string) (decoded string, doubt Reason)

// shape is the form of a decoded value.
type shape uint8

const (
	shapeWord shape = iota
	shapeList
	shapePairs
	shapeJSON
	shapeTC
)

// A reading is a decoded value, and everything else that tests look at.
type reading struct {
	text         string // in every shape
	outer, inner string // of lists and pairs
	json         any    // as package encoding/json returns it
	tc           TCString
	header       []string // the lines of the Cookie header
	others       []other  // cookies in it that a test has looked for
}

// other is what a test found in another cookie. It is the same for all copies of
// the cookie that is read.
type other struct {
	test  string // its words
	found Finding
}

// decode reads a value into r. If there is nothing to read, the text is empty.
func (d *decoder) decode(value string, r *reading) (doubt Reason) {
	r.text, r.outer, r.inner = unquote(value), d.outer, d.inner
	for _, step := range d.steps {
		if r.text == "" {
			return NoReason
		}
		if r.text, doubt = step(r.text); doubt != NoReason {
			return doubt
		}
	}
	if r.text == "" {
		return NoReason
	}
	switch d.shape {
	case shapeJSON:
		var ok bool
		if r.json, ok = parseJSON(r.text); !ok {
			return Malformed
		}
	case shapeTC:
		var err error
		if r.tc, err = ParseTCString(r.text); err != nil {
			return Malformed
		}
	}
	return NoReason
}

// A stepKind is a word that begins a decode line.
type stepKind struct {
	word     string
	write    string // how the line is written
	min, max int    // how many words follow
	step     func(args []string) step
	shape    shape // of the value, if the line is the last
}

var stepKinds = []stepKind{
	{word: "percent", write: "percent", step: func([]string) step { return unpercent }},
	{word: "form", write: "form <field>", min: 1, max: 1, step: func(args []string) step {
		return func(s string) (string, Reason) { return formField(s, args[0]) }
	}},
	{word: "base64", write: "base64", step: func([]string) step { return unbase64 }},
	{word: "from", write: "from <text>", min: 1, max: 1, step: func(args []string) step {
		return func(s string) (string, Reason) { return from(s, args[0]) }
	}},
	{word: "gpp", write: "gpp", step: func([]string) step { return ungpp }},
	{word: "list", write: "list [<separators>]", max: 1, shape: shapeList},
	{word: "pairs", write: "pairs <separators between pairs> <separators within a pair>", min: 2, max: 2, shape: shapePairs},
	{word: "json", write: "json", shape: shapeJSON},
	{word: "tcf", write: "tcf", shape: shapeTC},
}

// add compiles one decode line.
func (d *decoder) add(words []string) error {
	if d.shape != shapeWord {
		return fmt.Errorf("nothing can follow %s", d.shape)
	}
	if len(words) == 0 {
		return fmt.Errorf("a step is missing: must be one of %s", allowedSteps())
	}
	i := slices.IndexFunc(stepKinds, func(k stepKind) bool { return k.word == words[0] })
	if i < 0 {
		return fmt.Errorf("unknown step %q: must be one of %s", words[0], allowedSteps())
	}
	kind, args := stepKinds[i], words[1:]
	switch {
	case slices.Contains(args, ""):
		return errEmptyWord
	case len(args) < kind.min || len(args) > kind.max:
		return fmt.Errorf("write decode %s", kind.write)
	}
	if kind.step != nil {
		d.steps = append(d.steps, kind.step(args))
		return nil
	}
	switch d.shape = kind.shape; d.shape {
	case shapeList:
		d.outer = " \t,"
		if len(args) > 0 {
			d.outer = " \t" + args[0]
		}
	case shapePairs:
		d.outer, d.inner = args[0], args[1]
	}
	return nil
}

var errEmptyWord = errors.New("a word is empty")

func allowedSteps() string {
	var steps, last []string
	for _, kind := range stepKinds {
		if kind.step != nil {
			steps = append(steps, kind.word)
		} else {
			last = append(last, kind.word)
		}
	}
	return strings.Join(steps, ", ") + " and, at the end, " + strings.Join(last, ", ")
}

// String is the word of the decode line that gives a value this shape.
func (s shape) String() string {
	for _, kind := range stepKinds {
		if kind.step == nil && kind.shape == s {
			return kind.word
		}
	}
	return "word"
}

// unpercent undoes percent-encoding. JavaScript's libraries encode some
// characters and leave others, so nothing tells whether a value is encoded. A
// value that cannot be decoded stays as it is.
func unpercent(s string) (string, Reason) {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded, NoReason
	}
	return s, NoReason
}

func unbase64(s string) (string, Reason) {
	s = strings.TrimRight(s, "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		encoding = base64.RawURLEncoding
	}
	decoded, err := encoding.DecodeString(s)
	if err != nil {
		return "", Malformed
	}
	return string(decoded), NoReason
}

func from(s, text string) (string, Reason) {
	if i := strings.Index(s, text); i >= 0 {
		return s[i:], NoReason
	}
	return "", Malformed
}

// formField returns a field of a value in the format of
// https://url.spec.whatwg.org/#application/x-www-form-urlencoded; "" if there
// is none.
func formField(s, field string) (value string, doubt Reason) {
	found := false
	for pair := range strings.SplitSeq(s, "&") {
		name, raw, _ := strings.Cut(pair, "=")
		if unformed, err := url.QueryUnescape(name); err != nil || unformed != field {
			continue
		}
		v, err := url.QueryUnescape(raw)
		switch {
		case err != nil:
			return "", Malformed
		case found && v != value:
			return "", Conflict
		}
		value, found = v, true
	}
	return value, NoReason
}

func ungpp(s string) (string, Reason) {
	tc, _, err := TCStringOfGPP(s) // "" where there is none
	if err != nil {
		return "", Malformed
	}
	return tc, NoReason
}
