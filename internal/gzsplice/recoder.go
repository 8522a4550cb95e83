package gzsplice

import "hash/crc32"

// maxSymbols is how many symbols a block of the recoder has at most.
const maxSymbols = 8 << 10

// A recoder writes the insertion, and behind it the origin's symbols, in blocks with
// codes of their own. What reaches over the insertion reaches farther by its length.
type recoder struct {
	w       *bitWriter
	symbols [maxSymbols]symbol
	n       int
	anchor  int64 // the insertion's place in the text
	insert  Insertion
	pending bool    // the insertion is still to come
	before  trailer // of the member's text up to the anchor
	matches matcher
	codes   coder
}

// room returns how many symbols the block can still take.
func (r *recoder) room() int { return maxSymbols - r.n }

func (r *recoder) literal(b byte) {
	r.symbols[r.n&(maxSymbols-1)] = literal(b)
	r.n++
}

func (r *recoder) pair(length, distance int) {
	r.symbols[r.n&(maxSymbols-1)] = pair(length, distance)
	r.n++
}

// copy takes a copy of length bytes from the given distance, which are text. It is as
// long as it happens to be, and may be farther away than a distance can tell.
func (r *recoder) copy(text []byte, distance int) {
	if len(text) >= minMatch && distance <= window {
		r.pair(len(text), distance)
		return
	}
	for _, b := range text {
		r.literal(b)
	}
}

// match takes a pair of the origin's, which the decoder has decoded to the text from
// at on.
func (r *recoder) match(d *decoder, at, length, distance int) {
	anchor := int(r.anchor - d.textBase)
	across := anchor - (at - distance) // how many bytes before the anchor the source begins
	switch longer := distance + len(r.insert.Text); {
	case across <= 0:
		r.pair(length, distance)
		return
	case across >= length && longer <= window && !r.pending:
		r.pair(length, longer)
		return
	}
	text := d.buf[at : at+length]
	if r.pending { // the match holds the anchor
		r.copy(text[:anchor-at], distance)
		r.insertion(d)
		text = text[anchor-at:]
		at = anchor
	}
	if across := min(anchor-(at-distance), len(text)); across > 0 {
		r.copy(text[:across], distance+len(r.insert.Text))
		text = text[across:]
	}
	r.copy(text, distance)
}

// insertion takes the insertion. The decoder has decoded the text up to it.
func (r *recoder) insertion(d *decoder) {
	r.pending = false
	text := d.buf[d.summed-d.textBase : r.anchor-d.textBase]
	r.before = trailer{crc32.Update(d.crc, crc32.IEEETable, text), uint32(r.anchor - d.begin)}
	if r.insert.block == nil {
		r.compress()
		return
	}
	r.flush(false)
	r.w.copy(r.insert.block, 0, r.insert.bits)
}

// compress takes the insertion's text.
func (r *recoder) compress() {
	text := r.insert.Text
	r.matches.reset()
	for at := 0; at < len(text); {
		if r.room() <= maxMatch {
			r.flush(false)
		}
		length, distance := r.matches.find(text, at)
		if length < minMatch {
			r.literal(text[at])
			at++
			continue
		}
		r.pair(length, distance)
		at += length
	}
}

// flush writes the symbols as a block. final says that it is the member's last.
func (r *recoder) flush(final bool) {
	if r.n > 0 || final {
		r.codes.write(r.w, r.symbols[:r.n], final)
		r.n = 0
	}
}
