package gzsplice

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// A reader plays the page writer: it decides once it has seen the text up to at.
type reader struct {
	s       *Splicer
	text    []byte // what came so far
	at      int
	seen    int // how much text it wants behind the anchor before it decides
	insert  []byte
	hold    int // it releases once it has seen more than that
	keep    int
	decided bool
}

func (r *reader) Write(p []byte) (int, error) {
	r.text = append(r.text, p...)
	switch {
	case r.decided:
		panic("the scanner got text after the decision")
	case len(r.text) >= r.at+r.seen:
		r.decide()
	case len(r.text) > r.hold:
		r.release()
	}
	return len(p), nil
}

func (r *reader) release() {
	r.s.Release(min(max(r.keep, len(r.text)-r.at), len(r.text)))
}

func (r *reader) decide() {
	r.decided = true
	if r.insert == nil {
		r.s.Pass()
	} else {
		r.s.Insert(len(r.text)-r.at, r.insert)
	}
}

// splice puts insert into the text of zipped at at, which comes in pieces.
func splice(zipped []byte, at int, insert []byte, how reader, piece int, flush int) ([]byte, error) {
	var out bytes.Buffer
	var s Splicer
	how.s, how.at, how.insert = &s, at, insert
	s.Reset(&out, &how)
	defer s.Drop()
	for n := 1; len(zipped) > 0; n++ {
		k := min(piece, len(zipped))
		if _, err := s.Write(zipped[:k]); err != nil {
			return out.Bytes(), err
		}
		zipped = zipped[k:]
		if flush > 0 && n%flush == 0 {
			if err := s.Flush(); err != nil {
				return out.Bytes(), err
			}
		}
	}
	if err := s.End(); err != nil {
		return out.Bytes(), err
	}
	if !how.decided {
		how.decide()
	}
	if err := s.Close(); err != nil {
		return out.Bytes(), err
	}
	return out.Bytes(), nil
}

func deflated(t testing.TB, text []byte, level int) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(text)
	z.Close()
	return b.Bytes()
}

func unzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func html(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	var b bytes.Buffer
	words := strings.Fields("support the ticket form of a page with many words that come again and again in other order class href section")
	for b.Len() < n {
		switch r.IntN(6) {
		case 0:
			fmt.Fprintf(&b, "<div class=\"%s-%d\">", words[r.IntN(len(words))], r.IntN(1000))
		case 1:
			b.WriteString("</div>\n")
		default:
			b.WriteString(words[r.IntN(len(words))] + " ")
		}
	}
	return b.Bytes()[:n]
}

func check(t testing.TB, zipped, text []byte, at int, insert []byte, how reader, piece, flush int) {
	t.Helper()
	got, err := splice(zipped, at, insert, how, piece, flush)
	if err != nil {
		t.Fatalf("at %d of %d: %v", at, len(text), err)
	}
	want := bytes.Join([][]byte{text[:at], insert, text[at:]}, nil)
	plain, err := unzip(got)
	if err != nil || !bytes.Equal(plain, want) {
		i := 0
		for i < len(plain) && i < len(want) && plain[i] == want[i] {
			i++
		}
		t.Fatalf("at %d of %d: %v; %d bytes of %d are right", at, len(text), err, i, len(want))
	}
}

func TestSplice(t *testing.T) {
	insert := []byte(`<script async src="https://widget.kapa.ai/kapa-support-form-deflector.bundle.js" data-x="1"></script>`)
	for _, n := range []int{0, 1, 100, 5000, 40000, 300000} {
		text := html(n, 1)
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 6, 9} {
			zipped := deflated(t, text, level)
			for _, at := range []int{0, 1, n / 3, n / 2, n - 1, n} {
				if at < 0 || at > n {
					continue
				}
				for _, hold := range []int{32 << 10, 0, 3000} {
					for _, piece := range []int{1 << 30, 1000, 1} {
						check(t, zipped, text, at, insert, reader{hold: hold, keep: 5}, piece, 3)
					}
				}
			}
		}
	}
}
