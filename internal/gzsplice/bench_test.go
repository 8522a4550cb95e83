package gzsplice

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"testing"

	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A headReader is a scanner that finds the anchor behind 10 KB.
type headReader struct {
	s      *Splicer
	seen   int
	insert Insertion
}

func (r *headReader) Write(text []byte) (int, error) {
	if r.seen += len(text); r.seen >= 10<<10 {
		r.s.Insert(r.seen-10<<10, r.insert)
	}
	return len(text), nil
}

// BenchmarkSplice compares splicing a page with compressing it again by the libraries and
// settings of Caddy's encode, which it replaces, and with copying it.
func BenchmarkSplice(b *testing.B) {
	for _, size := range []int{8 << 10, 64 << 10, 512 << 10, 8 << 20} {
		text := htmlText(size, 1)
		zipped := deflated(b, text)
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("%dKB/%s", size>>10, name), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					f()
				}
			})
		}
		var s Splicer
		r := headReader{s: &s, insert: Insertion{Text: tag}}
		run("splice", func() {
			r.seen = 0
			s.Reset(io.Discard, &r)
			for rest := zipped; len(rest) > 0; {
				n := min(len(rest), 32<<10)
				s.Write(rest[:n])
				rest = rest[n:]
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		})
		s.Drop()
		var z gzip.Reader
		var out bytes.Buffer
		buf := make([]byte, 32<<10)
		recompress := func(name string, w interface {
			io.WriteCloser
			Reset(io.Writer)
		}) {
			b.Run(fmt.Sprintf("%dKB/%s", size>>10, name), func(b *testing.B) {
				for b.Loop() {
					out.Reset()
					z.Reset(bytes.NewReader(zipped))
					w.Reset(&out)
					w.Write(tag)
					io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{&z}, buf)
					w.Close()
				}
				b.ReportMetric(float64(len(zipped)), "bytes-before")
				b.ReportMetric(float64(out.Len()), "bytes")
			})
		}
		g, _ := kgzip.NewWriterLevel(nil, 5) // a level that there is
		recompress("gzip", g)
		y, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(128<<10)) // legal options
		recompress("zstd", y)
		run("copy", func() {
			for rest := zipped; len(rest) > 0; {
				rest = rest[copy(buf, rest):]
			}
		})
	}
}
