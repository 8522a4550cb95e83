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
	steps        []func(string) (string, bool)
	shape        shape
	outer, inner string // separators
}

// shape is what a value is once it is decoded.
type shape uint8

const (
	shapeWord shape = iota
	shapeList
	shapePairs
	shapeJSON
	shapeTC
)

// A reading is a decoded value, and whatever else tests look at.
type reading struct {
	text         string // in every shape
	outer, inner string // of lists and pairs
	json         any    // as package encoding/json has it
	tc           TCString
	lines        []string // of the Cookie header
}

// decode reads a value. It is false for one that is not what it should be; the
// text is empty where there is nothing to read.
func (d *decoder) decode(value string) (r reading, ok bool) {
	r = reading{text: unquote(value), outer: d.outer, inner: d.inner}
	for _, step := range d.steps {
		if r.text == "" {
			return r, true
		}
		if r.text, ok = step(r.text); !ok {
			return r, false
		}
	}
	if r.text == "" {
		return r, true
	}
	switch d.shape {
	case shapeJSON:
		r.json, ok = parseJSON(r.text)
	case shapeTC:
		var err error
		r.tc, err = ParseTCString(r.text)
		ok = err == nil
	default:
		ok = true
	}
	return r, ok
}

var (
	transforms = []string{"percent", "form", "base64", "from", "gpp"}
	shapes     = map[string]shape{"list": shapeList, "pairs": shapePairs, "json": shapeJSON, "tcf": shapeTC}
)

// add compiles one decode line.
func (d *decoder) add(words []string) error {
	if d.shape != shapeWord {
		return errors.New("nothing can follow list, pairs, json or tcf")
	}
	if len(words) == 0 {
		return fmt.Errorf("a line without words: allowed are %s", allowedSteps())
	}
	name, args := words[0], words[1:]
	if slices.Contains(args, "") {
		return errors.New("a word is empty")
	}
	takes := func(n int, what string) error {
		if len(args) != n {
			return fmt.Errorf("write %s", what)
		}
		return nil
	}
	switch name {
	case "percent":
		d.steps = append(d.steps, unpercent)
		return takes(0, "percent alone")
	case "base64":
		d.steps = append(d.steps, unbase64)
		return takes(0, "base64 alone")
	case "gpp":
		d.steps = append(d.steps, ungpp)
		return takes(0, "gpp alone")
	case "form":
		if err := takes(1, "form <field>"); err != nil {
			return err
		}
		d.steps = append(d.steps, func(s string) (string, bool) { return formField(s, args[0]) })
		return nil
	case "from":
		if err := takes(1, "from <text>"); err != nil {
			return err
		}
		d.steps = append(d.steps, func(s string) (string, bool) {
			i := strings.Index(s, args[0])
			return s[max(i, 0):], i >= 0
		})
		return nil
	}
	d.shape = shapes[name]
	switch d.shape {
	case shapeList:
		if d.outer = ", \t"; len(args) > 0 {
			d.outer = args[0]
		}
		if len(args) > 1 {
			return errors.New("write list [<separators>]")
		}
	case shapePairs:
		if err := takes(2, "pairs <separators between pairs> <separators within a pair>"); err != nil {
			return err
		}
		d.outer, d.inner = args[0], args[1]
	case shapeJSON:
		return takes(0, "json alone")
	case shapeTC:
		return takes(0, "tcf alone")
	default:
		return fmt.Errorf("unknown step %q: allowed are %s", name, allowedSteps())
	}
	return nil
}

func allowedSteps() string {
	return strings.Join(transforms, ", ") + " and, at the end, list, pairs, json, tcf"
}

// unpercent undoes percent-encoding. JavaScript's libraries encode some
// characters and leave others, so that nothing tells an encoded value from one
// that is not; one that cannot be decoded is taken as it is.
func unpercent(s string) (string, bool) {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded, true
	}
	return s, true
}

func unbase64(s string) (string, bool) {
	s = strings.TrimRight(s, "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		encoding = base64.RawURLEncoding
	}
	decoded, err := encoding.DecodeString(s)
	return string(decoded), err == nil
}

// formField returns a field of a value in the format of
// https://url.spec.whatwg.org/#application/x-www-form-urlencoded; "" if there
// is none. Two that differ are no answer.
func formField(s, field string) (value string, ok bool) {
	found := false
	for pair := range strings.SplitSeq(s, "&") {
		name, raw, _ := strings.Cut(pair, "=")
		if unformed, err := url.QueryUnescape(name); err != nil || unformed != field {
			continue
		}
		v, err := url.QueryUnescape(raw)
		if err != nil || found && v != value {
			return s, false
		}
		value, found = v, true
	}
	return value, true
}

func ungpp(s string) (string, bool) {
	tc, _, err := TCStringOfGPP(s) // "" where there is none
	return tc, err == nil
}
