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

// A body is what the origin sends. It is decompressed if its first bytes are gzip's.
// Content-Encoding does not decide that: some origins compress without it, and some
// send it with plain text.
type body struct {
	coding  coding
	decoder *decoder // set if coding is zipped
}

// coding is what the bytes so far tell about a body's coding.
type coding uint8

const (
	unseen    coding = iota // no byte has come
	halfMagic               // one byte has come, the first of gzip's two
	plain
	zipped
	foreign // neither
)

// isText reports whether write has begun to write the body's text.
func (b *body) isText() bool { return b.coding == plain || b.coding == zipped }

// isBroken reports whether the body is gzip that cannot be decompressed.
func (b *body) isBroken() bool { return b.decoder != nil && b.decoder.err != nil }

// write takes the next bytes of the body, and writes its text to to. labelled says
// that Content-Encoding is gzip. If the body is in another coding, write returns the
// bytes as unread.
func (b *body) write(p []byte, labelled bool, to io.Writer) (unread []byte, err error) {
	switch {
	case len(p) == 0:
		return nil, nil
	case b.coding == halfMagic:
		p = append([]byte{document.GzipMagic}, p...)
	}
	switch {
	case b.isText():
	case len(p) == 1 && p[0] == document.GzipMagic:
		b.coding = halfMagic
		return nil, nil
	case document.IsGzipMagic(p):
		b.coding, b.decoder = zipped, newDecoder(to)
	case p[0] == document.GzipMagic, labelled && !isText(p):
		b.coding = foreign
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

// finish ends the body, and returns an error if it was not whole. It returns a body
// that was too short to tell its coding as unread.
func (b *body) finish(labelled bool) (unread []byte, err error) {
	switch {
	case b.coding == halfMagic && labelled:
		return nil, errTruncated
	case b.coding == halfMagic:
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

// drop ends the decoder; the rest of the body is lost.
func (b *body) drop() {
	if b.decoder != nil {
		b.decoder.abandon()
	}
}

// decoder decompresses a gzip body that the origin writes piece by piece.
//
// Go's gzip reads, so it runs in a goroutine of its own. The goroutine and the
// caller of Write take strict turns. Only one of them runs at any time, so the
// response below needs no lock, and only the caller of Write writes to it.
// (iter.Pull would do the same, but it panics if a handler writes from goroutines
// that are locked to a thread and from others that are not.)
type decoder struct {
	to      io.Writer
	in      []byte        // the bytes of the current Write that are not decoded yet
	ended   bool          // no more writes will come
	turn    chan struct{} // a value starts the goroutine's turn; closing it ends the goroutine
	out     chan []byte   // a value ends its turn: decoded bytes, or nil if it needs input; closed when it ends
	stopped bool          // the goroutine has ended
	err     error         // why decoding stopped
	sawEnd  bool          // a gzip member was decoded to its end

	writeFailed   bool  // err came from writing to to
	read, written int64 // bytes so far, compressed and decoded
}

var (
	errTruncated = errors.New("the compressed body ends too soon")
	errBomb      = errors.New("the compressed body is a decompression bomb")
	errBelow     = errors.New("the text of the compressed body cannot be written")
	errAbandoned = errors.New("the response has ended")
)

// A body that decodes to more than bombLength bytes must not be more than bombRatio
// times as long as its gzip. No page comes near that ratio; deflate reaches 1032.
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

// Write decodes what p adds to the body, and writes it on. It returns the error
// that stopped decoding, if one did.
func (d *decoder) Write(p []byte) (int, error) {
	d.in = p
	d.read += int64(len(p))
	d.resume()
	d.in = nil
	return len(p), d.err
}

// finish decodes the rest of the body. It returns an error if the body was not whole.
func (d *decoder) finish() error {
	d.ended = true
	d.resume()
	if d.err == nil && !d.sawEnd {
		d.err = errTruncated
	}
	return d.err
}

// abandon ends the goroutine. Bytes that it has decoded meanwhile are dropped.
func (d *decoder) abandon() {
	if !d.stopped {
		close(d.turn)
		for range d.out { // until the goroutine has ended
		}
		d.stopped = true
	}
}

// resume gives the goroutine turns until it needs more input or ends, and writes
// what it decodes.
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

// yield ends the goroutine's turn, waits for the next one, and reports whether
// there is one.
func (d *decoder) yield(decoded []byte) bool {
	d.out <- decoded
	_, ok := <-d.turn
	return ok
}

// run is the function of the goroutine.
func (d *decoder) run() {
	defer close(d.out)
	defer func() {
		if r := recover(); r != nil { // a panic here would end the process
			d.err = fmt.Errorf("decoding panicked: %v", r)
		}
	}()
	if _, ok := <-d.turn; ok {
		d.err = d.decode()
	}
}

// decode decodes the body, which may have several members (RFC 1952 section 2.2).
// Like browsers, it ignores bytes behind a member that begin no other.
func (d *decoder) decode() error {
	z := gzipReaders.Get().(*gzip.Reader)
	defer func() {
		_ = z.Reset(strings.NewReader("")) // so that the pool does not keep this response alive
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

// input is the io.Reader that the goroutine reads: the bytes of each Write.
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
