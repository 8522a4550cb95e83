package gzsplice

import "encoding/binary"

// A bitWriter writes a deflate stream, whose bytes fill from the least significant
// bit (RFC 1951 section 3.1.1).
type bitWriter struct {
	bytes []byte
	acc   uint64 // the bits behind bytes; those above count are 0
	count uint   // how many; below 32 between calls
	total int64  // bytes that were taken from bytes already
}

// write writes the low n bits of v, which has no others. n is 32 at most.
func (w *bitWriter) write(v uint64, n uint) {
	w.acc |= v << w.count
	w.count += n
	if w.count >= 32 {
		w.bytes = binary.LittleEndian.AppendUint32(w.bytes, uint32(w.acc))
		w.acc >>= 32
		w.count -= 32
	}
}

// settle moves all whole bytes into bytes.
func (w *bitWriter) settle() {
	for ; w.count >= 8; w.count -= 8 {
		w.bytes = append(w.bytes, byte(w.acc))
		w.acc >>= 8
	}
}

// align fills the last byte with zeros.
func (w *bitWriter) align() {
	w.count = (w.count + 7) &^ 7
	w.settle()
}

// phase returns how many bits of the last byte are in use: 0 to 7.
func (w *bitWriter) phase() uint { return w.count & 7 }

// length returns how many bytes were written in all. The last one may not be full.
func (w *bitWriter) length() int64 {
	return w.total + int64(len(w.bytes)) + int64(w.count+7)/8
}

// copy writes the bits of b from from up to to, counted from the start of b.
func (w *bitWriter) copy(b []byte, from, to int) {
	if w.phase() == uint(from&7) && to-from >= 64 {
		if skip := from & 7; skip != 0 {
			w.write(uint64(b[from>>3]>>skip), uint(8-skip))
			from += 8 - skip
		}
		w.settle()
		w.bytes = append(w.bytes, b[from>>3:to>>3]...)
		from = to &^ 7
	}
	for ; to-from >= 32 && from>>3+8 <= len(b); from += 32 {
		w.write(binary.LittleEndian.Uint64(b[from>>3:])>>(from&7)&(1<<32-1), 32)
	}
	for from < to {
		n := min(to-from, 8-from&7)
		w.write(uint64(b[from>>3])>>(from&7)&(1<<n-1), uint(n))
		from += n
	}
}

// stored writes the beginning of a block without compression (RFC 1951 section
// 3.2.4), behind its first bit. length bytes must follow, 65535 at most.
func (w *bitWriter) stored(length int) {
	w.write(typeStored, 2)
	w.align()
	w.write(uint64(length), 16)
	w.write(uint64(^uint16(length)), 16)
	w.settle()
}

// emptyFixed writes an empty block with the fixed codes, which has 10 bits. final
// is 1 if it ends the member.
func (w *bitWriter) emptyFixed(final uint64) { w.write(final|typeFixed<<1, 10) }

// shiftTo writes empty blocks, so that the next bit has the given phase. An empty
// block with fixed codes moves the phase by 2. One with codes of its own has a length
// that 3 bits more, for a further code length code, bring to every phase.
func (w *bitWriter) shiftTo(phase uint) {
	distance := (phase - w.phase()) & 7
	if distance&1 == 0 {
		for ; distance > 0; distance -= 2 {
			w.emptyFixed(0)
		}
		return
	}
	// 16 literals and lengths, the last of which is the end of the block, and 16
	// distances have codes of 4 bits. Both sets of codes are complete, and so is
	// that of the code length codes: decoders differ in what else they accept.
	const base = 3 + 5 + 5 + 4 + 38 + 4
	lengths := uint(12) // the code for the length 4 is the 12th (RFC 1951 section 3.2.7)
	for (base+3*lengths-distance)&7 != 0 {
		lengths++
	}
	w.write(typeDynamic<<1, 3)
	w.write(0, 5)  // 257 literals and lengths
	w.write(15, 5) // 16 distances
	w.write(uint64(lengths-4), 4)
	w.write(1, 3)   // repeat (16): 0
	w.write(0, 3)   // 17
	w.write(2, 3)   // many zeros (18): 11
	w.write(0, 8*3) // 0 8 7 9 6 10 5 11
	w.write(2, 3)   // length 4: 10
	for range lengths - 12 {
		w.write(0, 3)
	}
	w.write(3|(138-11)<<2, 9)
	w.write(3|(103-11)<<2, 9)
	w.write(1, 2)
	for _, times := range [...]uint64{6, 6, 6, 6, 4, 3} {
		w.write((times-3)<<1, 3)
	}
	w.write(15, 4)
}
