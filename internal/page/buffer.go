package page

import (
	"io"
	"sync"
)

const (
	// gatherLimit is how many bytes of a page are held back at most, so that header,
	// head and insertion leave in one write. Three of four real heads are shorter.
	gatherLimit = 32 << 10
	// bufferSize leaves room for the insertion and one more write of a proxy.
	bufferSize = 2*gatherLimit + 4<<10
)

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// A buffer holds back the beginning of a page. It takes its memory from a pool when
// the first byte comes, and drop gives it back.
type buffer struct {
	held   []byte
	pooled *[bufferSize]byte
}

// begun reports whether the buffer has memory: a byte of the page has come.
func (b *buffer) begun() bool { return b.pooled != nil }

// begin takes memory from the pool.
func (b *buffer) begin() {
	b.pooled = buffers.Get().(*[bufferSize]byte)
	b.held = b.pooled[:0]
}

// drop discards the held bytes and gives the memory back.
func (b *buffer) drop() {
	if b.pooled != nil {
		buffers.Put(b.pooled)
		b.pooled, b.held = nil, nil
	}
}

// hold keeps p, which must fit.
func (b *buffer) hold(p []byte) { b.held = append(b.held, p...) }

// cut removes the bytes behind at from the buffer, and appends them to to.
func (b *buffer) cut(at int, to []byte) []byte {
	to = append(to, b.held[at:]...)
	b.held = b.held[:at]
	return to
}

// write holds p, or writes the held bytes and p to w if both do not fit. It fills
// the buffer first, so that no small write comes before a large one. A rest that is
// larger than the buffer is written uncopied.
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

// flush writes the held bytes to w.
func (b *buffer) flush(w io.Writer) error {
	if len(b.held) == 0 {
		return nil
	}
	_, err := w.Write(b.held)
	b.held = b.held[:0]
	return err
}
