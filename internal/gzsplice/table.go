package gzsplice

import "math/bits"

// The types of blocks (RFC 1951 section 3.2.3).
const (
	typeStored = iota
	typeFixed
	typeDynamic
)

const (
	endOfBlock    = 256
	literalCodes  = 286 // of literals, the end of the block, and lengths
	distanceCodes = 30
	maxCode       = 15 // bits
)

// An entry says what a code stands for:
//
//	bits 0-4    the code's length; 0 if there is no such code
//	bits 5-8    the number of extra bits, or of the bits that index a second table
//	bits 9-10   the kind
//	bits 16-31  a literal, the least length or distance, or where a second table begins
type entry uint32

const (
	kindLiteral entry = iota << 9
	kindRange         // a length or a distance
	kindEnd           // the end of the block
	kindTable
	kindMask = 3 << 9
)

func (e entry) bits() uint  { return uint(e & 31) }
func (e entry) extra() uint { return uint(e >> 5 & 15) }
func (e entry) value() uint { return uint(e >> 16) }

// How many bits index the first tables, and how long the tables get. The lengths
// are those of the worst complete codes, as zlib's enough.c counts them.
const (
	literalBits   = 10
	distanceBits  = 8
	literalTable  = 1334
	distanceTable = 402
)

// tables decode the codes of one block.
type tables struct {
	literal  [literalTable]entry
	distance [distanceTable]entry
	end      uint64 // the code that ends the block
	endBits  uint
}

// set makes the tables for codes of the given lengths, and reports whether they are
// valid. Validity is zlib's: codes must be complete, but one code of one bit may
// stand alone, and there may be no distances.
func (t *tables) set(literals, distances []uint8) bool {
	var codes [alphabet]uint16
	if !build(t.distance[:], distances, codes[:], distanceBits, &distanceEntries) ||
		!build(t.literal[:], literals, codes[:], literalBits, &literalEntries) {
		return false
	}
	t.end, t.endBits = uint64(codes[endOfBlock]), uint(literals[endOfBlock])
	return t.endBits != 0
}

// assign sets the codes that have the given lengths, their first bits lowest
// (RFC 1951 section 3.2.2).
func assign(codes []uint16, lengths []uint8) {
	var count, next [maxCode + 2]uint16
	for _, n := range lengths {
		count[n]++
	}
	count[0] = 0
	for n := 1; n <= maxCode; n++ {
		next[n+1] = (next[n] + count[n]) << 1
	}
	for symbol, n := range lengths {
		if n != 0 {
			codes[symbol] = bits.Reverse16(next[n]) >> (16 - n)
			next[n]++
		}
	}
}

// build fills table, whose first part is indexed by root bits, and codes.
func build(table []entry, lengths []uint8, codes []uint16, root uint8, entries *[alphabet]entry) bool {
	var count [maxCode + 1]int
	for _, n := range lengths {
		count[n]++
	}
	left, used := 1, len(lengths)-count[0]
	for n := 1; n <= maxCode; n++ {
		if left = left<<1 - count[n]; left < 0 {
			return false // more codes than there is room for
		}
	}
	if left > 0 {
		if used > 1 || used != count[1] {
			return false
		}
		clear(table[:1<<root])
	}

	assign(codes, lengths)
	var longest [1 << literalBits]uint8 // of the codes that share their first bits
	mask := uint16(1)<<root - 1
	for symbol, n := range lengths {
		if n > root {
			first := codes[symbol] & mask
			longest[first] = max(longest[first], n)
		}
	}
	end := 1 << root
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		e := entries[symbol]
		if e != 0 {
			e |= entry(n)
		}
		code := codes[symbol]
		if n <= root {
			for i := int(code); i < 1<<root; i += 1 << n {
				table[i] = e
			}
			continue
		}
		first := code & mask
		width := longest[first]
		if width <= maxCode { // the second table is not begun yet
			width -= root
			table[first] = kindTable | entry(width)<<5 | entry(end)<<16 | 1
			longest[first] = maxCode + 1 + width
			end += 1 << width
		} else {
			width -= maxCode + 1
		}
		second := table[table[first].value():][:1<<width]
		for i := int(code >> root); i < 1<<width; i += 1 << (n - root) {
			second[i] = e
		}
	}
	return true
}

// What the symbols stand for, without their codes' lengths. Some have codes, but no
// meaning: they are 0 (RFC 1951 section 3.2.6).
var literalEntries, distanceEntries = func() (literals, distances [alphabet]entry) {
	for i := range endOfBlock {
		literals[i] = kindLiteral | entry(i)<<16 | meaningful
	}
	literals[endOfBlock] = kindEnd
	for n := minMatch; n <= maxMatch; n++ {
		symbol, extra, _ := lengthSymbol(n)
		if literals[symbol] == 0 {
			literals[symbol] = kindRange | entry(extra)<<5 | entry(n)<<16
		}
	}
	for n := 1; n <= window; n++ {
		symbol, extra, _ := distanceSymbol(n)
		if distances[symbol] == 0 {
			distances[symbol] = kindRange | entry(extra)<<5 | entry(n)<<16
		}
	}
	return
}()

// meaningful tells the literal 0 from a symbol without a meaning.
const meaningful entry = 1 << 11

// fixed decodes the fixed codes.
var fixed = func() *tables {
	literals, distances := fixedLengths()
	t := new(tables)
	t.set(literals[:], distances[:32])
	return t
}()

// fixedLengths returns the lengths of the fixed codes (RFC 1951 section 3.2.6).
func fixedLengths() (literals, distances [alphabet]uint8) {
	for i := range literals {
		switch {
		case i < 144:
			literals[i] = 8
		case i < 256:
			literals[i] = 9
		case i < 280:
			literals[i] = 7
		default:
			literals[i] = 8
		}
	}
	for i := range distances[:32] {
		distances[i] = 5
	}
	return
}
