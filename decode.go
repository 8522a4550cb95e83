package kapadeflector

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"iter"
	"strings"
	"sync"
)

// decoder decompresses a gzip body that is pushed at it, write by write.
//
// Go's gzip pulls. It runs as a coroutine: a write hands its bytes over and
// goes on when they are used up, and nothing ever runs at the same time, so
// that the response below needs no lock.
type decoder struct {
	to     io.Writer
	in     []byte // bytes of the write that is under way
	ended  bool   // no more writes will come
	resume func() (struct{}, bool)
	stop   func()
	err    error // why the body cannot be decoded, or be written on
	sawEnd bool  // the body was whole

	writeFailed   bool // err is of what is written to
	read, written int64
}

var (
	errTruncated = errors.New("the compressed body ends too soon")
	errBomb      = errors.New("the compressed body is a decompression bomb")
)

// A body may expand that many times once it is longer than that: beyond what
// any page does, below what a bomb needs (deflate ends at 1032).
const (
	bombLength = 16 << 20
	bombRatio  = 256
)

var gzipReaders = sync.Pool{New: func() any { return new(gzip.Reader) }}

func newDecoder(to io.Writer) *decoder {
	d := &decoder{to: to}
	d.resume, d.stop = iter.Pull(func(yield func(struct{}) bool) {
		d.err = d.decode(yield)
	})
	return d
}

// Write decodes as much as p allows.
func (d *decoder) Write(p []byte) (int, error) {
	d.in = p
	d.read += int64(len(p))
	d.resume()
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

// abandon ends the coroutine, wherever it is. What it still holds goes nowhere.
func (d *decoder) abandon() {
	d.to = io.Discard
	d.stop()
}

// decode is the coroutine; it yields when it needs more input. A body may have
// several members (RFC 1952 section 2.2); what follows them and is none, is
// ignored, as browsers do.
func (d *decoder) decode(yield func(struct{}) bool) error {
	z := gzipReaders.Get().(*gzip.Reader)
	defer func() {
		_ = z.Reset(strings.NewReader("")) // lest it keeps hold of this response
		gzipReaders.Put(z)
	}()
	in := bufio.NewReader(&input{d, yield})
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
			if _, err := d.to.Write(buf[:n]); err != nil {
				d.writeFailed = true
				return err
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

// input is what the coroutine reads.
type input struct {
	*decoder
	yield func(struct{}) bool
}

func (in *input) Read(p []byte) (int, error) {
	for len(in.in) == 0 {
		if in.ended || !in.yield(struct{}{}) {
			return 0, io.EOF
		}
	}
	n := copy(p, in.in)
	in.in = in.in[n:]
	return n, nil
}
