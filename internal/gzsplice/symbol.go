package gzsplice

import "math/bits"

// A symbol is a literal, or a pair of a length and a distance, in the parts that a
// block has codes for (RFC 1951 section 3.2.5):
//
//	bits 0-8    the literal, or the symbol of the length
//	bits 9-13   the value of the length's extra bits
//	bits 14-18  the symbol of the distance; noDistance for a literal
//	bits 19-31  the value of the distance's extra bits
type symbol uint32

// noDistance stands where a distance's symbol would. It has no code, so that literals
// and pairs are counted and written in the same way: a branch would often go wrong.
const noDistance = 31

func literal(b byte) symbol { return symbol(b) | noDistance<<14 }

func pair(length, distance int) symbol {
	d, _, value := distanceSymbol(distance)
	return lengths[length] | symbol(d)<<14 | symbol(value)<<19
}

// lengths are the parts of pairs that stand for their lengths.
var lengths = func() (parts [maxMatch + 1]symbol) {
	for length := minMatch; length <= maxMatch; length++ {
		l, _, value := lengthSymbol(length)
		parts[length] = symbol(l) | symbol(value)<<9
	}
	return
}()

// first returns the literal, or the symbol of the length.
func (s symbol) first() int { return int(s & (1<<9 - 1)) }

// distance returns the symbol of the distance, or noDistance.
func (s symbol) distance() int { return int(s >> 14 & 31) }

const (
	minMatch = 3
	maxMatch = 258
	window   = 32 << 10 // the greatest distance
)

// lengthSymbol returns the symbol for a length, and its extra bits (RFC 1951 section
// 3.2.5).
func lengthSymbol(length int) (symbol int, extra uint, value uint) {
	x := uint(length - minMatch)
	switch {
	case x < 8:
		return 257 + int(x), 0, 0
	case length == maxMatch:
		return 285, 0, 0
	}
	extra = uint(bits.Len(x)) - 3
	return 257 + int(4*extra+x>>extra), extra, x & (1<<extra - 1)
}

// distanceSymbol returns the symbol for a distance, and its extra bits.
func distanceSymbol(distance int) (symbol int, extra uint, value uint) {
	x := uint(distance - 1)
	if x < 4 {
		return int(x), 0, 0
	}
	extra = uint(bits.Len(x)) - 2
	return int(2*extra + x>>extra), extra, x & (1<<extra - 1)
}

// How many extra bits the symbols of lengths, from 257 on, and of distances have.
var lengthExtra, distanceExtra = func() (lengths [29]uint8, distances [distanceCodes]uint8) {
	for length := minMatch; length <= maxMatch; length++ {
		symbol, extra, _ := lengthSymbol(length)
		lengths[symbol-257] = uint8(extra)
	}
	for distance := 1; distance <= window; distance++ {
		symbol, extra, _ := distanceSymbol(distance)
		distances[symbol] = uint8(extra)
	}
	return
}()
