package consent

import (
	"errors"
	"strings"
)

// errGPP is the error of every malformed string; it quotes none of it.
var errGPP = errors.New("GPP string: its header is malformed, or lists other sections than there are")

// Section 2 of a GPP string, tcfeuv2, is a TC string as it stands.
const gppSectionTCF = 2

// Fields of the header.
const (
	gppType    = 3 // the type of a header
	gppVersion = 1
)

// maxGPPSection is the highest section number that is read. There are two
// dozen so far.
const maxGPPSection = 4095

// TCStringOfGPP returns the TC string of the EU that is in a GPP string; found
// is false if there is none.
//
// A string of IAB Tech Lab's Global Privacy Platform is a header and sections,
// joined by tildes; the header lists the sections' numbers, in the order in
// which they come ("Global Privacy Platform String", section "GPP String
// Format"). A string whose header is malformed, or lists more or fewer
// sections than there are, is an error.
func TCStringOfGPP(s string) (tc string, found bool, err error) {
	header, rest, _ := strings.Cut(s, "~")
	total, at, ok := gppSections(header)
	if !ok || strings.Count(s, "~") != total {
		return "", false, errGPP
	}
	if at < 0 {
		return "", false, nil
	}
	for range at {
		_, rest, _ = strings.Cut(rest, "~")
	}
	tc, _, _ = strings.Cut(rest, "~")
	return tc, true, nil
}

// gppSections reads a header. It returns the number of sections, and the index of
// the TCF's section, or -1.
func gppSections(header string) (total, at int, ok bool) {
	at = -1
	if !isBase64URL(header) {
		return 0, at, false
	}
	r := bitReader{s: header}
	kind, version, items := r.int(6), r.int(6), r.int(12)
	if r.short || kind != gppType || version != gppVersion {
		return 0, at, false
	}
	// A Range(Fibonacci): items in ascending order, each a single number or a
	// group, given by its distance from the item before and by its reach.
	last := 0
	for range items {
		group := r.int(1) == 1
		first := last + r.fibonacci()
		last = first
		if group {
			last += r.fibonacci()
		}
		if r.short || last > maxGPPSection {
			return 0, at, false
		}
		if first <= gppSectionTCF && gppSectionTCF <= last {
			at = total + gppSectionTCF - first
		}
		total += last - first + 1
	}
	return total, at, true
}

// bitReader reads a base64url string from its front. Past the end, short stays
// true, and every bit reads as 0.
type bitReader struct {
	s     string
	next  int // index of the next bit
	short bool
}

// int reads a number of n bits, at most 24.
func (r *bitReader) int(n int) int {
	if r.short || r.next+n > len(r.s)*6 {
		r.short = true
		return 0
	}
	v := bits(r.s, r.next, n)
	r.next += n
	return int(v)
}

// fibonacci reads a number in Fibonacci coding: each bit stands for one of
// 1, 2, 3, 5, 8, ..., and the second 1 of two in a row ends it. It is at least
// 1; a number above maxGPPSection is not exact.
func (r *bitReader) fibonacci() int {
	sum, previous := 0, 0
	for value, following := 1, 2; !r.short; {
		bit := r.int(1)
		if bit == 1 && previous == 1 {
			return sum
		}
		sum = min(sum+bit*value, maxGPPSection+1)
		previous = bit
		if value <= maxGPPSection { // larger ones are all too large
			value, following = following, value+following
		}
	}
	return 0
}
