package gzsplice

import (
	"encoding/binary"
	"slices"
)

// A coder writes blocks with the codes that make them shortest: the fixed ones, or
// some made for the block (RFC 1951 sections 3.2.6 and 3.2.7).
type coder struct {
	literal, distance, length codes
	tree                      tree
	runs                      [literalCodes + distanceCodes]run
	runCount                  int
}

// alphabet is the size of the largest, that of literals and lengths, with the two
// symbols that have no meaning.
const alphabet = literalCodes + 2

// codes are the codes of symbols that occur count times.
type codes struct {
	count  [alphabet]uint32
	length [alphabet]uint8
	code   [alphabet]uint16
}

var fixedLiterals, fixedDistances = func() (literals, distances codes) {
	literals.length, distances.length = fixedLengths()
	assign(literals.code[:], literals.length[:])
	assign(distances.code[:32], distances.length[:32])
	return
}()

// write writes symbols as a block.
func (c *coder) write(w *bitWriter, symbols []symbol, final bool) {
	var last uint64
	if final {
		last = 1
	}
	if len(symbols) == 0 {
		w.emptyFixed(last)
		return
	}
	c.count(symbols)
	fixed := c.literal.bits(&fixedLiterals) + c.distance.bits(&fixedDistances)
	c.literal.make(&c.tree, literalCodes, maxCode)
	c.distance.make(&c.tree, distanceCodes, maxCode)
	c.describe()
	own := c.literal.bits(&c.literal) + c.distance.bits(&c.distance) + c.headerBits()
	if own < fixed {
		w.write(last|typeDynamic<<1, 3)
		c.writeHeader(w)
		writeSymbols(w, symbols, &c.literal, &c.distance)
	} else {
		w.write(last|typeFixed<<1, 3)
		writeSymbols(w, symbols, &fixedLiterals, &fixedDistances)
	}
}

// count counts how often each symbol occurs.
func (c *coder) count(symbols []symbol) {
	clear(c.literal.count[:])
	clear(c.distance.count[:])
	for _, s := range symbols {
		c.literal.count[s.first()]++
		c.distance.count[s.distance()]++
	}
	c.literal.count[endOfBlock] = 1
	c.distance.count[noDistance] = 0
}

// bits returns how many bits the codes of by take for what c counts, without extra
// bits.
func (c *codes) bits(by *codes) (n uint32) {
	for symbol, count := range c.count {
		n += count * uint32(by.length[symbol])
	}
	return n
}

// make makes codes of limit bits at most for the first size symbols. At least two get
// one, because decoders differ in what they make of fewer.
func (c *codes) make(t *tree, size, limit int) {
	clear(c.length[:])
	t.begin()
	for symbol, count := range c.count[:size] {
		if count > 0 {
			t.add(symbol, count)
		}
	}
	for symbol := 0; t.n < 2; symbol++ {
		if c.count[symbol] == 0 {
			t.add(symbol, 1)
		}
	}
	t.lengths(c.length[:], limit)
	assign(c.code[:size], c.length[:size])
}

// used returns how many symbols there are up to the last that has a code, but at
// least low.
func (c *codes) used(size, low int) int {
	for size > low && c.length[size-1] == 0 {
		size--
	}
	return size
}

// A run is a symbol of the alphabet of code lengths, with the value of its extra bits.
type run struct{ symbol, value uint8 }

// runExtra is how many extra bits the symbols from 16 on have.
var runExtra = [3]uint{2, 3, 7}

// describe makes the runs that describe the codes for the block's header, and the
// codes for them (RFC 1951 section 3.2.7).
func (c *coder) describe() {
	var all [literalCodes + distanceCodes]uint8
	n := copy(all[:], c.literal.length[:c.literal.used(literalCodes, endOfBlock+1)])
	n += copy(all[n:], c.distance.length[:c.distance.used(distanceCodes, 1)])
	clear(c.length.count[:])
	c.runCount = 0
	add := func(symbol, value int) {
		c.runs[c.runCount] = run{uint8(symbol), uint8(value)}
		c.runCount++
		c.length.count[symbol]++
	}
	for i := 0; i < n; {
		length := all[i]
		same := 1
		for i+same < n && all[i+same] == length {
			same++
		}
		i += same
		if length != 0 {
			add(int(length), 0)
			same--
		}
		for same > 0 {
			var times int
			switch {
			case same < 3:
				times = 1
				add(int(length), 0)
			case length != 0:
				times = min(same, 6)
				add(16, times-3)
			case same < 11:
				times = same
				add(17, times-3)
			default:
				times = min(same, 138)
				add(18, times-11)
			}
			same -= times
		}
	}
	c.length.make(&c.tree, len(lengthOrder), 7)
}

// lengthCodes returns how many code length codes the header has.
func (c *coder) lengthCodes() int {
	n := len(lengthOrder)
	for n > 4 && c.length.length[lengthOrder[n-1]] == 0 {
		n--
	}
	return n
}

// headerBits returns the length of what writeHeader writes.
func (c *coder) headerBits() uint32 {
	n := c.length.bits(&c.length) + 5 + 5 + 4 + 3*uint32(c.lengthCodes())
	for i, extra := range runExtra {
		n += c.length.count[16+i] * uint32(extra)
	}
	return n
}

// writeHeader writes what describe has made.
func (c *coder) writeHeader(w *bitWriter) {
	w.write(uint64(c.literal.used(literalCodes, endOfBlock+1)-257), 5)
	w.write(uint64(c.distance.used(distanceCodes, 1)-1), 5)
	n := c.lengthCodes()
	w.write(uint64(n-4), 4)
	for _, symbol := range lengthOrder[:n] {
		w.write(uint64(c.length.length[symbol]), 3)
	}
	for _, r := range c.runs[:c.runCount] {
		w.write(uint64(c.length.code[r.symbol]), uint(c.length.length[r.symbol]))
		if r.symbol >= 16 {
			w.write(uint64(r.value), runExtra[r.symbol-16])
		}
	}
}

// writeSymbols writes symbols and the end of the block.
func writeSymbols(w *bitWriter, symbols []symbol, literals, distances *codes) {
	const longest = 2*maxCode + 5 + 13 // bits of a pair
	var first [1 << 9]output
	var second [1 << 5]output
	for i := range endOfBlock {
		first[i] = literals.output(i, 0)
	}
	for i, extra := range lengthExtra {
		first[endOfBlock+1+i] = literals.output(endOfBlock+1+i, extra)
	}
	for i, extra := range distanceExtra {
		second[i] = distances.output(i, extra)
	}
	w.settle()
	for part := range slices.Chunk(symbols, 1<<10) {
		w.bytes = slices.Grow(w.bytes, longest/8*len(part)+8)
		room := w.bytes[len(w.bytes):cap(w.bytes)]
		acc, count, n := w.acc, w.count, 0
		for _, s := range part {
			l, d := first[s.first()], second[s.distance()]
			acc |= (l.with(uint64(s>>9&31)) | d.with(uint64(s>>19))<<l.bits()) << (count & 63)
			count += l.bits() + d.bits()
			binary.LittleEndian.PutUint64(room[n:], acc)
			n += int(count >> 3)
			acc >>= count &^ 7
			count &= 7
		}
		w.bytes, w.acc, w.count = w.bytes[:len(w.bytes)+n], acc, count
	}
	w.write(uint64(literals.code[endOfBlock]), uint(literals.length[endOfBlock]))
}

// An output is how a symbol is written: its code, the code's length (from bit 16 on),
// and the length with the extra bits (from bit 24 on).
type output uint32

// output returns how a symbol is written that has so many extra bits.
func (c *codes) output(symbol int, extra uint8) output {
	n := c.length[symbol]
	return output(c.code[symbol]) | output(n)<<16 | output(n+extra)<<24
}

// with returns the code and behind it the value of the extra bits.
func (o output) with(value uint64) uint64 { return uint64(o&0xffff) | value<<(o>>16&31) }

// bits returns how many bits that takes.
func (o output) bits() uint { return uint(o>>24) & 31 }

// A tree makes the lengths of Huffman's codes.
type tree struct {
	n      int
	leaves [alphabet]uint32 // count<<9 | symbol
	weight [2 * alphabet]uint32
	parent [2 * alphabet]uint16
	depth  [2 * alphabet]uint8
}

func (t *tree) begin() { t.n = 0 }

// add adds a symbol that occurs count times.
func (t *tree) add(symbol int, count uint32) {
	t.leaves[t.n] = count<<9 | uint32(symbol)
	t.n++
}

// lengths sets the lengths of the codes, limit at most. There must be two symbols.
func (t *tree) lengths(lengths []uint8, limit int) {
	leaves := t.leaves[:t.n]
	slices.Sort(leaves)
	for i, leaf := range leaves {
		t.weight[i] = leaf >> 9
	}
	// Nodes are made in the order of their weights: the lightest two without a parent
	// are the next leaves, the next inner nodes, or one of each.
	leaf, inner, root := 0, t.n, 2*t.n-2
	for next := t.n; next <= root; next++ {
		t.weight[next] = 0
		for range 2 {
			lightest := &inner
			if leaf < t.n && (inner == next || t.weight[leaf] <= t.weight[inner]) {
				lightest = &leaf
			}
			t.weight[next] += t.weight[*lightest]
			t.parent[*lightest] = uint16(next)
			*lightest++
		}
	}
	var count [maxCode + 2]int // of the codes of each length
	t.depth[root] = 0
	for i := root - 1; i >= 0; i-- {
		t.depth[i] = min(t.depth[t.parent[i]]+1, 64)
		if i < t.n {
			count[min(int(t.depth[i]), limit)]++
		}
	}
	// Codes that were cut to the limit take too much room. A shorter code gets one bit
	// more, and one of the longest the place beside it, until all fit.
	room := 1 << limit
	for n := 1; n <= limit; n++ {
		room -= count[n] << (limit - n)
	}
	for ; room < 0; room++ {
		n := limit - 1
		for count[n] == 0 {
			n--
		}
		count[n]--
		count[n+1] += 2
		count[limit]--
	}
	n := limit
	for _, leaf := range leaves { // the rarest get the longest
		for count[n] == 0 {
			n--
		}
		count[n]--
		lengths[leaf&(1<<9-1)] = uint8(n)
	}
}
