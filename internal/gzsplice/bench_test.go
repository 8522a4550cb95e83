package gzsplice

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"testing"
)

// A plain is a scanner that inserts behind a head of 10 KB.
type plain struct {
	s      *Splicer
	seen   int
	insert []byte
}

func (p *plain) Write(text []byte) (int, error) {
	if p.seen += len(text); p.seen >= 10<<10 {
		p.s.Insert(p.seen-10<<10, p.insert)
	}
	return len(text), nil
}

func BenchmarkSplice(b *testing.B) {
	insert := bytes.Repeat([]byte("<script async src=\"/x\">"), 20)
	for _, size := range []int{12 << 10, 64 << 10, 512 << 10, 8 << 20} {
		text := html(size, 1)
		for _, level := range []int{1, 6} {
			zipped := deflated(b, text, level)
			name := fmt.Sprintf("%dKB/level=%d", size>>10, level)
			b.Run(name+"/splice", func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(zipped)))
				var s Splicer
				p := plain{s: &s, insert: insert}
				for b.Loop() {
					p.seen = 0
					s.Reset(io.Discard, &p)
					for rest := zipped; len(rest) > 0; {
						n := min(len(rest), 32<<10)
						if _, err := s.Write(rest[:n]); err != nil {
							b.Fatal(err)
						}
						rest = rest[n:]
					}
					if err := s.Close(); err != nil {
						b.Fatal(err)
					}
				}
				s.Drop()
			})
			b.Run(name+"/recompress", func(b *testing.B) {
				b.SetBytes(int64(len(zipped)))
				z, _ := gzip.NewReader(bytes.NewReader(zipped))
				w, _ := gzip.NewWriterLevel(io.Discard, level)
				buf := make([]byte, 32<<10)
				for b.Loop() {
					z.Reset(bytes.NewReader(zipped))
					w.Reset(io.Discard)
					w.Write(insert)
					io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{z}, buf)
					w.Close()
				}
			})
			b.Run(name+"/copy", func(b *testing.B) {
				b.SetBytes(int64(len(zipped)))
				to := make([]byte, 32<<10)
				for b.Loop() {
					for rest := zipped; len(rest) > 0; {
						rest = rest[copy(to, rest):]
					}
				}
			})
		}
	}
}
