package page

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func zip(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type panicWriter struct{}

func (panicWriter) Write([]byte) (int, error) { panic("the response below") }

type failWriter struct{}

func (failWriter) Write([]byte) (int, error) { return 0, errors.New("the client has left") }

// However a response ends, its decoder's goroutine does too.
func TestDecoderEnds(t *testing.T) {
	zipped := zip(t, strings.Repeat("<p>0123456789", 10000))
	half := zipped[:len(zipped)/2]
	before := runtime.NumGoroutine()
	for range 50 {
		newDecoder(io.Discard).abandon() // before the first write

		d := newDecoder(io.Discard)
		d.Write(half)
		d.abandon()
		d.abandon() // is idempotent
		d.Write(half)

		d = newDecoder(io.Discard)
		d.Write(half)
		if err := d.finish(); err == nil {
			t.Error("half a body is whole")
		}
		d.abandon()

		d = newDecoder(failWriter{})
		if _, err := d.Write(zipped); err == nil || !d.writeFailed {
			t.Errorf("the client has left: %v", err)
		}
		d.Write(zipped)
		d.abandon()

		d = newDecoder(panicWriter{})
		func() {
			defer d.abandon()
			defer func() { _ = recover() }()
			d.Write(zipped)
		}()
	}
	readers := gzipReaders.New
	gzipReaders = sync.Pool{New: func() any { panic("a fault of ours") }}
	d := newDecoder(io.Discard)
	if _, err := d.Write(zipped); err == nil || d.writeFailed {
		t.Errorf("a panic in it: %v", err)
	}
	d.abandon()
	gzipReaders = sync.Pool{New: readers}

	for range 1000 { // goroutines may still be ending
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d goroutines, before %d", runtime.NumGoroutine(), before)
}
