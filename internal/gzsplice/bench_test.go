package gzsplice

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"testing"
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

// BenchmarkSplice compares splicing a page with compressing it again, which it
// replaces, and with copying it.
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
		w := gzip.NewWriter(io.Discard)
		buf := make([]byte, 32<<10)
		run("recompress", func() {
			z.Reset(bytes.NewReader(zipped))
			w.Reset(io.Discard)
			w.Write(tag)
			io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{&z}, buf)
			w.Close()
		})
		run("copy", func() {
			for rest := zipped; len(rest) > 0; {
				rest = rest[copy(buf, rest):]
			}
		})
	}
}
