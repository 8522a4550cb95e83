package gzsplice

import "encoding/binary"

// A blockHeader is how a block begins: its bits up to the first code (RFC 1951
// section 3.2.3), so that they can be written again.
type blockHeader struct {
	bits [blockHeaderSize]byte
	skip int   // bits of the first byte that belong to what was before
	n    int   // bits
	at   int64 // where in the stream it stands, in bits
}

// blockHeaderSize is the length of the longest: 17 bits, 19 code length codes, and
// 316 code lengths of 7 bits, behind 7 bits of something else. The longer codes, with
// extra bits, stand for more than one length.
const blockHeaderSize = (7 + 17 + 19*3 + (literalCodes+distanceCodes)*7 + 7) / 8

// bitReader reads bits of a block's header.
type bitReader struct {
	b     []byte
	at    int // in bits
	short bool
}

// read returns the next n bits, 16 at most. If there are not as many, it returns 0
// and remembers that.
func (r *bitReader) read(n uint) uint {
	v, ok := r.peek()
	if !ok && r.at+int(n) > 8*len(r.b) {
		r.short = true
		return 0
	}
	r.at += int(n)
	return v & (1<<n - 1)
}

// peek returns at least the next 16 bits, those behind the end as 0. ok says that
// there are as many.
func (r *bitReader) peek() (v uint, ok bool) {
	i := r.at >> 3
	if i+4 <= len(r.b) {
		return uint(binary.LittleEndian.Uint32(r.b[i:]) >> (r.at & 7)), true
	}
	for j := i; j < len(r.b); j++ {
		v |= uint(r.b[j]) << (8 * (j - i))
	}
	return v >> (r.at & 7), false
}

// lengthOrder is the order of the code length codes (RFC 1951 section 3.2.7).
var lengthOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readTables reads a dynamic block's codes (RFC 1951 section 3.2.7), and reports
// whether they are valid. If r gets short, the result means nothing.
func (t *tables) readTables(r *bitReader) bool {
	literals, distances, codes := 257+int(r.read(5)), 1+int(r.read(5)), 4+int(r.read(4))
	if literals > literalCodes || distances > distanceCodes {
		return false
	}
	var codeLengths [19]uint8
	for _, symbol := range lengthOrder[:codes] {
		codeLengths[symbol] = uint8(r.read(3))
	}
	if r.short {
		return false
	}
	const root = 7
	var table [1 << root]entry
	var unused [len(lengthOrder)]uint16
	if !build(table[:], codeLengths[:], unused[:], root, &lengthEntries) || isIncomplete(codeLengths[:]) {
		return false
	}
	var lengths [literalCodes + distanceCodes]uint8
	for i := 0; i < literals+distances; {
		v, _ := r.peek()
		e := table[v&(1<<root-1)]
		if e == 0 {
			return false
		}
		r.read(e.bits())
		symbol := e.value()
		if symbol < 16 {
			lengths[i] = uint8(symbol)
			i++
			continue
		}
		var repeated uint8
		var times uint
		switch symbol {
		case 16:
			if i == 0 {
				return false
			}
			repeated, times = lengths[i-1], 3+r.read(2)
		case 17:
			times = 3 + r.read(3)
		default:
			times = 11 + r.read(7)
		}
		if r.short || i+int(times) > literals+distances {
			return false
		}
		for range times {
			lengths[i] = repeated
			i++
		}
	}
	if r.short {
		return false
	}
	return t.set(lengths[:literals], lengths[literals:literals+distances])
}

// lengthEntries are what the code length codes stand for.
var lengthEntries = func() (entries [alphabet]entry) {
	for i := range lengthOrder {
		entries[i] = entry(i)<<16 | meaningful
	}
	return
}()

// isIncomplete reports whether codes of these lengths leave room for others.
func isIncomplete(lengths []uint8) bool {
	room := 1 << 7
	for _, n := range lengths {
		if n > 0 {
			room -= 1 << (7 - n)
		}
	}
	return room > 0
}
