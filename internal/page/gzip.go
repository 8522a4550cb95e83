package page

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
)

// A body tells by its first bytes whether it is gzip, and is decompressed if it is.
// The label does not tell: some origins leave it out, and some send it with
// whatever they send.
type body struct {
	coding  coding
	decoder *decoder // of gzip
}

// coding is what is known of a body's coding.
type coding uint8

const (
	unseen coding = iota // it has not begun
	half                 // it began with the first byte of gzip, alone
	plain
	zipped
)

// isText reports whether the text of the body has begun to be written.
func (b *body) isText() bool { return b.coding == plain || b.coding == zipped }

// isBroken reports whether the body is gzip that cannot be decompressed.
func (b *body) isBroken() bool { return b.decoder != nil && b.decoder.err != nil }

// write takes the next bytes of the body, and writes its text to to. labelled says
// that the header calls it gzip. A body in another coding comes back as unread.
func (b *body) write(p []byte, labelled bool, to io.Writer) (unread []byte, err error) {
	switch {
	case len(p) == 0:
		return nil, nil
	case b.coding == half:
		p = append([]byte{document.GzipMagic}, p...)
	}
	switch {
	case b.isText():
	case len(p) == 1 && p[0] == document.GzipMagic:
		b.coding = half
		return nil, nil
	case document.IsGzipMagic(p):
		b.coding, b.decoder = zipped, newDecoder(to)
	case p[0] == document.GzipMagic, labelled && !isText(p):
		return p, nil
	default:
		b.coding = plain
	}
	if b.coding == zipped {
		to = b.decoder
	}
	_, err = to.Write(p)
	return nil, err
}

// finish ends the body, and returns an error if it was not whole. What was too
// short to tell comes back as unread.
func (b *body) finish(labelled bool) (unread []byte, err error) {
	switch {
	case b.coding == half && labelled:
		return nil, errTruncated
	case b.coding == half:
		return []byte{document.GzipMagic}, nil
	case b.decoder == nil:
		return nil, nil
	}
	err = b.decoder.finish()
	if b.decoder.writeFailed {
		err = errBelow
	}
	return nil, err
}

// drop ends the decompression, whatever is left of it.
func (b *body) drop() {
	if b.decoder != nil {
		b.decoder.abandon()
	}
}

// decoder decompresses a gzip body that is pushed at it, write by write.
//
// Go's gzip pulls, so it runs in a goroutine of its own. That one and the writer
// take strict turns: only one of them ever runs, the response below needs no
// lock, and everything is written to it by the goroutine that called Write. (A
// coroutine as of iter.Pull would end the process where a handler writes from
// threads that are locked and from others that are not.)
type decoder struct {
	to      io.Writer
	in      []byte        // bytes of the write that is under way
	ended   bool          // no more writes will come
	turn    chan struct{} // gives the goroutine its turn; closed, it has to end
	out     chan []byte   // gives it back: decoded bytes, or nil for more input; closed at the end
	stopped bool          // the goroutine has ended
	err     error         // why the body cannot be decoded, or be written on
	sawEnd  bool          // the body was whole

	writeFailed   bool // err is of what is written to
	read, written int64
}

var (
	errTruncated = errors.New("the compressed body ends too soon")
	errBomb      = errors.New("the compressed body is a decompression bomb")
	errBelow     = errors.New("the text of the compressed body cannot be written")
	errAbandoned = errors.New("the response has ended")
)

// A body may expand that many times once it is longer than that: beyond what
// any page does, below what a bomb needs (deflate ends at 1032).
const (
	bombLength = 16 << 20
	bombRatio  = 256
)

var gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}

func newDecoder(to io.Writer) *decoder {
	d := &decoder{to: to, turn: make(chan struct{}), out: make(chan []byte)}
	go d.run()
	return d
}

// Write decodes as much as p allows.
func (d *decoder) Write(p []byte) (int, error) {
	d.in = p
	d.read += int64(len(p))
	d.resume()
	d.in = nil
	return len(p), d.err
}

// finish decodes what is left, and says if the body was not whole.
func (d *decoder) finish() error {
	d.ended = true
	d.resume()
	if d.err == nil && !d.sawEnd {
		d.err = errTruncated
	}
	return d.err
}

// abandon ends the goroutine, wherever it is. What it still holds goes nowhere.
func (d *decoder) abandon() {
	if !d.stopped {
		close(d.turn)
		for range d.out { // a last piece, perhaps
		}
		d.stopped = true
	}
}

// resume gives the goroutine its turn until it wants more input, and writes
// what it decodes meanwhile.
func (d *decoder) resume() {
	for !d.stopped {
		d.turn <- struct{}{}
		decoded, running := <-d.out
		if d.stopped = !running; d.stopped || decoded == nil {
			return
		}
		if _, err := d.to.Write(decoded); err != nil {
			d.abandon()
			d.err, d.writeFailed = err, true
		}
	}
}

// yield ends the goroutine's turn, and reports whether it gets another.
func (d *decoder) yield(decoded []byte) bool {
	d.out <- decoded
	_, ok := <-d.turn
	return ok
}

// run is the goroutine.
func (d *decoder) run() {
	defer close(d.out)
	defer func() {
		if r := recover(); r != nil { // it would end the process
			d.err = fmt.Errorf("decoding panicked: %v", r)
		}
	}()
	if _, ok := <-d.turn; ok {
		d.err = d.decode()
	}
}

// decode decodes the body. It may have several members (RFC 1952 section 2.2);
// what follows them and is none, is ignored, as browsers do.
func (d *decoder) decode() error {
	z := gzipReaders.Get().(*gzip.Reader)
	defer func() {
		_ = z.Reset(strings.NewReader("")) // lest it keeps hold of this response
		gzipReaders.Put(z)
	}()
	in := bufio.NewReader(input{d})
	for {
		if err := z.Reset(in); err != nil {
			if d.sawEnd {
				return nil
			}
			return err
		}
		z.Multistream(false)
		if err := d.decodeMember(z); err != nil {
			return err
		}
		d.sawEnd = true
	}
}

func (d *decoder) decodeMember(z *gzip.Reader) error {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for {
		n, err := z.Read(buf[:gatherLimit])
		if n > 0 {
			if d.written += int64(n); d.written > bombLength && d.written/bombRatio > d.read {
				return errBomb
			}
			if !d.yield(buf[:n]) {
				return errAbandoned
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// input is what the goroutine reads.
type input struct{ *decoder }

func (in input) Read(p []byte) (int, error) {
	for len(in.in) == 0 {
		if in.ended {
			return 0, io.EOF
		}
		if !in.yield(nil) {
			return 0, errAbandoned
		}
	}
	n := copy(p, in.in)
	in.in = in.in[n:]
	return n, nil
}
