// Package tctest writes TC strings and GPP strings of any content, valid or
// not, for tests of what reads them.
package tctest

import (
	"slices"
	"strings"
)

// MaxPurpose is the highest number that a purpose can have.
const MaxPurpose = 24

// Consent is what a TC string can say, by the fields of "Consent string and
// vendor list formats v2". The zero value makes a valid string, in which
// everything is refused.
type Consent struct {
	Version, Policy      int  // 0 stands for 2, and for 5
	Global               bool // not service-specific
	Purposes, Interests  []int
	Undisclosed          bool  // PurposeOneTreatment
	Vendors              []int // consented, and disclosed if there are any
	Restrictions         int   // each of purpose 2, for one vendor
	Publisher            bool  // there is a publisher TC segment
	PublisherPurposes    []int
	CustomPurposes       int   // of the publisher; the first three are consented
	Created, LastUpdated int64 // in tenths of a second
	Language, Country    [2]byte
}

// String returns the TC string, its segments in the order of their types.
func (c Consent) String() string {
	s := c.Core()
	if len(c.Vendors) > 0 {
		s += "." + VendorSegment(1, c.Vendors)
	}
	if c.Publisher {
		s += "." + c.PublisherSegment()
	}
	return s
}

// Core returns the core segment.
func (c Consent) Core() string {
	var w Bits
	w.Int(orDefault(c.Version, 2), 6)
	w.long(c.Created, 36)
	w.long(c.LastUpdated, 36)
	w.Int(31, 12) // CmpId
	w.Int(7, 12)  // CmpVersion
	w.Int(1, 6)   // ConsentScreen
	w.letters(c.Language)
	w.Int(126, 12) // VendorListVersion
	w.Int(orDefault(c.Policy, 5), 6)
	w.Bool(!c.Global)
	w.Bool(false) // UseNonStandardTexts
	w.Int(0, 12)  // SpecialFeatureOptIns
	w.set(c.Purposes, MaxPurpose)
	w.set(c.Interests, MaxPurpose)
	w.Bool(c.Undisclosed)
	w.letters(c.Country)
	w.vendors(c.Vendors, false)
	w.vendors(c.Vendors, true)
	w.Int(c.Restrictions, 12)
	for range c.Restrictions {
		w.Int(2, 6)
		w.Int(1, 2)
		w.entries([]int{755})
	}
	return w.String()
}

// VendorSegment returns a segment of disclosed (1) or allowed (2) vendors.
func VendorSegment(kind int, vendors []int) string {
	var w Bits
	w.Int(kind, 3)
	w.vendors(vendors, false)
	return w.String()
}

// PublisherSegment returns the publisher TC segment.
func (c Consent) PublisherSegment() string {
	var w Bits
	w.Int(3, 3)
	w.set(c.PublisherPurposes, MaxPurpose)
	w.set(c.Interests, MaxPurpose)
	w.Int(c.CustomPurposes, 6)
	w.set([]int{1, 2, 3}, c.CustomPurposes)
	w.set(nil, c.CustomPurposes)
	return w.String()
}

func orDefault(v, other int) int {
	if v == 0 {
		return other
	}
	return v
}

// GPPHeader returns the header of a GPP string that lists sections, which are
// in ascending order. Neighbours make a group if groups are wanted.
func GPPHeader(sections []int, groups bool) string {
	var list Bits
	items, last := 0, 0
	for i := 0; i < len(sections); i++ {
		first := sections[i]
		for groups && i+1 < len(sections) && sections[i+1] == sections[i]+1 {
			i++
		}
		list.Bool(sections[i] > first)
		list.Fibonacci(first - last)
		if last = sections[i]; last > first {
			list.Fibonacci(last - first)
		}
		items++
	}
	var w Bits
	w.Int(3, 6)
	w.Int(1, 6)
	w.Int(items, 12)
	return append(w, list...).String()
}

// Bits is a row of bits, the highest of each field first. Each is 0 or 1.
type Bits []byte

// Int writes the lowest n bits of v.
func (w *Bits) Int(v, n int) { w.long(int64(v), n) }

func (w *Bits) long(v int64, n int) {
	for i := n - 1; i >= 0; i-- {
		*w = append(*w, byte(v>>i&1))
	}
}

// Bool writes one bit.
func (w *Bits) Bool(b bool) {
	if b {
		w.Int(1, 1)
	} else {
		w.Int(0, 1)
	}
}

// Fibonacci writes n, which is at least 1, in Fibonacci coding.
func (w *Bits) Fibonacci(n int) {
	values := []int{1, 2}
	for values[len(values)-1] < n {
		values = append(values, values[len(values)-1]+values[len(values)-2])
	}
	code := []byte{1} // from the end: after it, the largest value that is in n
	for i := len(values) - 1; i >= 0; i-- {
		if values[i] <= n {
			n -= values[i]
			code = append(code, 1)
		} else if len(code) > 1 {
			code = append(code, 0)
		}
	}
	slices.Reverse(code)
	*w = append(*w, code...)
}

// String returns the bits in base64url, the last character filled up with 0.
func (w Bits) String() string {
	const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var s strings.Builder
	for six := range slices.Chunk(w, 6) {
		v := 0
		for i := range 6 {
			v <<= 1
			if i < len(six) {
				v |= int(six[i])
			}
		}
		s.WriteByte(base64URL[v])
	}
	return s.String()
}

// set writes n bits, of which those with these numbers, from 1, are 1.
func (w *Bits) set(numbers []int, n int) {
	for i := range n {
		w.Bool(slices.Contains(numbers, i+1))
	}
}

// vendors writes a vendor section, one entry or one bit for each.
func (w *Bits) vendors(numbers []int, entries bool) {
	highest := 0
	if len(numbers) > 0 {
		highest = slices.Max(numbers)
	}
	w.Int(highest, 16)
	w.Bool(entries)
	if entries {
		w.entries(numbers)
	} else {
		w.set(numbers, highest)
	}
}

func (w *Bits) entries(numbers []int) {
	w.Int(len(numbers), 12)
	for _, n := range numbers {
		w.Bool(false)
		w.Int(n, 16)
	}
}

func (w *Bits) letters(two [2]byte) {
	for _, letter := range two {
		if letter == 0 {
			letter = 'A'
		}
		w.Int(int(letter-'A'), 6)
	}
}
