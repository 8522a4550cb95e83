package page

import (
	"io"
	"sync"
)

const (
	// gatherLimit is how much of a page is held back so that header, head and
	// insertion leave in one write; three of four real heads end within.
	gatherLimit = 32 << 10
	// bufferSize leaves room for one more write of a proxy and the insertion.
	bufferSize = 2*gatherLimit + 4<<10
)

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// A buffer holds back the beginning of a page. It takes its memory from a pool
// with the first byte, and gives it back when it is dropped.
type buffer struct {
	held   []byte
	pooled *[bufferSize]byte
}

// begun reports whether the page has had a byte.
func (b *buffer) begun() bool { return b.pooled != nil }

// begin takes memory.
func (b *buffer) begin() {
	b.pooled = buffers.Get().(*[bufferSize]byte)
	b.held = b.pooled[:0]
}

// drop gives the memory back, whatever is held.
func (b *buffer) drop() {
	if b.pooled != nil {
		buffers.Put(b.pooled)
		b.pooled, b.held = nil, nil
	}
}

// hold keeps p, which must fit.
func (b *buffer) hold(p []byte) { b.held = append(b.held, p...) }

// cut takes the bytes from at on out of the buffer, and appends them to to.
func (b *buffer) cut(at int, to []byte) []byte {
	to = append(to, b.held[at:]...)
	b.held = b.held[:at]
	return to
}

// write writes p to w behind what is held. The buffer is filled first, so that no
// small write comes before a large one; what does not fit passes uncopied.
func (b *buffer) write(w io.Writer, p []byte) error {
	if room := cap(b.held) - len(b.held); len(p) > room {
		b.hold(p[:room])
		p = p[room:]
		if err := b.flush(w); err != nil {
			return err
		}
		if len(p) > cap(b.held) {
			_, err := w.Write(p)
			return err
		}
	}
	b.hold(p)
	return nil
}

// flush writes what is held to w.
func (b *buffer) flush(w io.Writer) error {
	if len(b.held) == 0 {
		return nil
	}
	_, err := w.Write(b.held)
	b.held = b.held[:0]
	return err
}
