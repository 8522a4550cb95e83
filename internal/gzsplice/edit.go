package gzsplice

// An edit is what must change in the stream if it leaves piece by piece, so that
// something can be inserted later on.
type edit struct {
	kind   editKind
	bit    int64 // where in the stream
	data   int64 // of a stored block: where its bytes begin, in bits
	length int   // and how many there are
}

type editKind uint8

const (
	editOpen   editKind = iota // the bit says that the block is its member's last; it must not, since it may be cut
	editClose                  // a block ends here, which editOpen applied to: an empty one must become the last
	editStored                 // behind its first bit, a stored block tells its length; if it is cut, that is less
)

// sender writes the stream up to the anchor: as it is, but for the edits.
type sender struct {
	w    *bitWriter
	bit  int64 // of the stream: what is before has left
	rest int   // bytes of the stored block at bit that the header written for it does not cover
	open bool  // editOpen was applied, and not editClose
}

// send writes the stream up to a place of the decoder.
func (s *sender) send(d *decoder, to *place) {
	for s.bit < to.bit {
		if s.rest > 0 {
			s.w.write(0, 1)
			s.stored(d, min(s.rest, int(to.bit-s.bit)/8))
			continue
		}
		if d.edited == to.edits {
			s.raw(d, to.bit)
			break
		}
		e := d.edits[0]
		d.edits = d.edits[:copy(d.edits, d.edits[1:])]
		d.edited++
		s.raw(d, e.bit)
		switch e.kind {
		case editOpen:
			s.w.write(0, 1)
			s.bit++
			s.open = true
		case editClose:
			s.w.emptyFixed(1)
			s.w.align()
			s.bit = (s.bit + 7) &^ 7
			s.open = false
		case editStored:
			if e.data+8*int64(e.length) > to.bit {
				s.bit, s.rest = e.data, e.length
				s.stored(d, int(to.bit-s.bit)/8)
			}
		}
	}
}

// stored writes the next n bytes of a stored block as a block of their own, behind
// its first bit.
func (s *sender) stored(d *decoder, n int) {
	s.w.stored(n)
	s.raw(d, s.bit+8*int64(n))
	s.rest -= n
}

// raw writes the stream up to a bit as it is.
func (s *sender) raw(d *decoder, to int64) {
	s.w.copy(d.in, int(s.bit-8*d.inBase), int(to-8*d.inBase))
	s.bit = to
}
