package gzsplice

import "encoding/binary"

// A matcher finds what repeats in an insertion, by a table of places that begin with
// the same four bytes. An insertion is short: it looks at one place, and takes what
// it finds.
type matcher struct {
	places [1 << matcherBits]int32 // plus 1; 0 is none
}

const matcherBits = 10

func (m *matcher) reset() { clear(m.places[:]) }

// find returns the length and distance of what the bytes at at repeat; 0 if nothing.
func (m *matcher) find(b []byte, at int) (length, distance int) {
	if at+4 > len(b) {
		return 0, 0
	}
	next := binary.LittleEndian.Uint32(b[at:])
	place := &m.places[next*0x9e3779b1>>(32-matcherBits)]
	from := int(*place) - 1
	*place = int32(at) + 1
	if from < 0 || at-from > window || binary.LittleEndian.Uint32(b[from:]) != next {
		return 0, 0
	}
	length = 4
	for length < maxMatch && at+length < len(b) && b[from+length] == b[at+length] {
		length++
	}
	return length, at - from
}
