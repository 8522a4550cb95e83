package kapadeflector

import (
	"errors"
	"net/http"
	"sync"
)

const (
	// gatherLimit is how much of a page is held back so that header, head and
	// tag leave in one write; three of four real heads end within.
	gatherLimit = 32 << 10
	// bufferSize leaves room for one more write of a proxy and the tag.
	bufferSize = 2*gatherLimit + 4<<10
)

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// finishBuffer writes what is held and then parts, and gives the buffer back.
func (rw *responseWriter) finishBuffer(parts ...[]byte) (err error) {
	for _, part := range parts {
		if err = rw.put(part); err != nil {
			break
		}
	}
	if err == nil {
		err = rw.drain()
	}
	rw.edit.dropBuffer()
	return err
}

// put adds b to the buffer. What does not fit goes past it, uncopied; but the
// buffer is filled first, so that no small write comes before a large one.
func (rw *responseWriter) put(b []byte) error {
	if room := cap(rw.edit.buf) - len(rw.edit.buf); len(b) > room {
		rw.edit.buf = append(rw.edit.buf, b[:room]...)
		b = b[room:]
		if err := rw.drain(); err != nil {
			return err
		}
		if len(b) > cap(rw.edit.buf) {
			_, err := rw.send(b)
			return err
		}
	}
	rw.edit.buf = append(rw.edit.buf, b...)
	return nil
}

// send passes bytes of the body down.
func (rw *responseWriter) send(p []byte) (int, error) {
	n, err := rw.ResponseWriter.Write(p)
	rw.note(err)
	return n, err
}

// note keeps an error of the writer below in mind, for most handlers do not:
// http.ServeContent, which file_server calls, has no way to return it. That a
// body is not for this response, or too long for its header, breaks nothing off.
func (rw *responseWriter) note(err error) {
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) && !errors.Is(err, http.ErrContentLength) {
		rw.failed = true
	}
}

// drain writes the buffer.
func (rw *responseWriter) drain() error {
	if len(rw.edit.buf) == 0 {
		return nil
	}
	_, err := rw.send(rw.edit.buf)
	rw.edit.buf = rw.edit.buf[:0]
	return err
}

// dropBuffer gives the buffer back, whatever is in it.
func (e *edit) dropBuffer() {
	if e.pooled != nil {
		buffers.Put(e.pooled)
		e.pooled, e.buf = nil, nil
	}
}
