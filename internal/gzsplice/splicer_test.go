package gzsplice

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
	kgzip "github.com/klauspost/compress/gzip"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/corpus"
)

var tag = []byte(`<script async src="https://widget.kapa.ai/kapa-support-form-deflector.bundle.js" data-website-id="1"></script>`)

// A reader is a scanner: it decides once it has the text up to at.
type reader struct {
	s       *Splicer
	text    []byte // what came so far
	at      int
	insert  []byte // nil passes; it is prepared if at is odd
	seen    int    // how much text it wants behind the anchor before it decides
	hold    int    // it releases text once it has more than that
	keep    int    // of the text that it releases, it keeps so much
	decided bool
}

func (r *reader) Write(p []byte) (int, error) {
	if r.decided {
		panic("the scanner got text after its decision")
	}
	r.text = append(r.text, p...)
	switch {
	case len(r.text) >= r.at+r.seen:
		r.decide()
	case len(r.text) > r.hold:
		r.release()
	}
	return len(p), nil
}

func (r *reader) release() { r.s.Release(max(min(r.keep, len(r.text)), len(r.text)-r.at)) }

func (r *reader) decide() {
	r.decided = true
	if r.insert == nil {
		r.s.Pass()
	} else {
		insert := Insertion{Text: r.insert}
		if r.at%2 == 1 {
			insert = Prepare(r.insert)
		}
		r.s.Insert(max(len(r.text)-r.at, 0), insert)
	}
}

// An input is how a stream comes in.
type input struct {
	piece int // bytes by a Write
	flush int // Writes between two flushes; 0 is none
}

var whole = input{piece: 1 << 30}

// splice has r put its insertion into the text of a stream.
func splice(zipped []byte, r reader, in input) ([]byte, error) {
	var out bytes.Buffer
	var s Splicer
	r.s = &s
	s.Reset(&out, &r)
	defer s.Drop()
	for n := 1; len(zipped) > 0; n++ {
		k := min(in.piece, len(zipped))
		if _, err := s.Write(zipped[:k]); err != nil {
			return out.Bytes(), err
		}
		zipped = zipped[k:]
		if in.flush > 0 && n%in.flush == 0 {
			if !r.decided {
				r.release()
			}
			if err := s.Flush(); err != nil {
				return out.Bytes(), err
			}
		}
	}
	if err := s.End(); err != nil {
		return out.Bytes(), err
	}
	if !r.decided {
		r.decide()
	}
	err := s.Close()
	return out.Bytes(), err
}

// changed returns text with the insertion.
func changed(text []byte, at int, insert []byte) []byte {
	return bytes.Join([][]byte{text[:at], insert, text[at:]}, nil)
}

func unzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// check fails the test if the stream with the insertion has another text.
func check(t testing.TB, zipped, text []byte, r reader, in input) (spliced []byte) {
	t.Helper()
	spliced, err := splice(zipped, r, in)
	if err != nil {
		t.Fatalf("at %d of %d: %v", r.at, len(text), err)
	}
	want := changed(text, r.at, r.insert)
	got, err := unzip(spliced)
	if err != nil || !bytes.Equal(got, want) {
		same := 0
		for same < len(got) && same < len(want) && got[same] == want[same] {
			same++
		}
		t.Fatalf("at %d of %d: %v; %d of %d bytes are right", r.at, len(text), err, same, len(want))
	}
	return spliced
}

// An encoder compresses a text.
type encoder struct {
	name   string
	encode func(testing.TB, []byte) []byte
}

// encoders returns those that differ in what they write.
func encoders() (list []encoder) {
	type writer interface {
		io.WriteCloser
		Flush() error
	}
	add := func(name string, every int, open func(io.Writer) (writer, error)) {
		list = append(list, encoder{name, func(t testing.TB, text []byte) []byte {
			t.Helper()
			var b bytes.Buffer
			w, err := open(&b)
			if err != nil {
				t.Fatal(err)
			}
			for len(text) > every {
				w.Write(text[:every])
				w.Flush()
				text = text[every:]
			}
			w.Write(text)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}})
	}
	const never = 1 << 30
	for level := gzip.HuffmanOnly; level <= gzip.BestCompression; level++ {
		add(fmt.Sprint("go ", level), never, func(w io.Writer) (writer, error) { return gzip.NewWriterLevel(w, level) })
	}
	for level := kgzip.StatelessCompression; level <= kgzip.BestCompression; level++ {
		add(fmt.Sprint("klauspost ", level), never, func(w io.Writer) (writer, error) { return kgzip.NewWriterLevel(w, level) })
	}
	add("go 6, flushed", 700, func(w io.Writer) (writer, error) { return gzip.NewWriterLevel(w, 6) })
	list = append(list, encoder{"klauspost, window of 32 bytes", func(t testing.TB, text []byte) []byte {
		t.Helper()
		var b bytes.Buffer
		b.Write(gzipHeader)
		w, err := flate.NewWriterWindow(&b, flate.MinCustomWindowSize)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(text)
		w.Close()
		return checksum(text).append(b.Bytes())
	}})
	return list
}

// htmlText returns text with tags that repeats itself.
func htmlText(length int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	words := strings.Fields("support the ticket form of a page with many words that come again and again in other order class href section")
	var b bytes.Buffer
	for b.Len() < length {
		switch r.IntN(6) {
		case 0:
			fmt.Fprintf(&b, "<div class=\"%s-%d\">", words[r.IntN(len(words))], r.IntN(1000))
		case 1:
			b.WriteString("</div>\n")
		default:
			b.WriteString(words[r.IntN(len(words))] + " ")
		}
	}
	return b.Bytes()[:length]
}

func deflated(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(text)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEveryOffset(t *testing.T) {
	text := htmlText(300, 1)
	for _, e := range encoders() {
		zipped := e.encode(t, text)
		for at := range len(text) + 1 {
			for _, length := range []int{0, 1, len(tag)} {
				check(t, zipped, text, reader{at: at, insert: tag[:length], hold: 1 << 15}, whole)
			}
		}
	}
}

func TestEverySplit(t *testing.T) {
	text := htmlText(2000, 1)
	zipped := deflated(t, text)
	for split := range len(zipped) {
		check(t, zipped, text, reader{at: 700, insert: tag, hold: 1 << 15}, input{piece: 1 + split})
		check(t, zipped, text, reader{at: 700, insert: tag, keep: 5}, input{piece: 1 + split, flush: 1})
	}
}

// Inserted may be more than a pair can reach over.
func TestLongInsertion(t *testing.T) {
	text := htmlText(100<<10, 1)
	for _, e := range encoders() {
		zipped := e.encode(t, text)
		for _, length := range []int{100, 5 << 10, window - 258, window, 100 << 10} {
			check(t, zipped, text, reader{at: 20 << 10, insert: htmlText(length, 2), hold: 1 << 15}, whole)
		}
	}
}

func TestOddStreams(t *testing.T) {
	for seed := range uint64(500) {
		zipped, text := oddStream(seed)
		r := rand.New(rand.NewPCG(seed, 3))
		for range 4 {
			check(t, zipped, text, reader{
				at: r.IntN(len(text) + 1), insert: htmlText(r.IntN(300), seed),
				seen: r.IntN(1000), hold: r.IntN(32 << 10), keep: r.IntN(17),
			}, input{piece: 1 + r.IntN(3000), flush: r.IntN(3)})
		}
	}
}

func TestRealPages(t *testing.T) {
	all := encoders()
	for i, page := range corpus.RealPages(t) {
		at := bytes.Index(page.HTML, []byte("</head>"))
		if at < 0 {
			at = len(page.HTML) / 10
		}
		for n := range 8 {
			e := all[(i*8+n)%len(all)]
			zipped := e.encode(t, page.HTML)
			spliced := check(t, zipped, page.HTML, reader{at: at, insert: tag, hold: 1 << 15, keep: 8}, input{piece: 32 << 10})
			if grown := len(spliced) - len(zipped); grown > 400+len(zipped)/10 {
				t.Errorf("%s by %s: %d bytes more than %d", page.Name, e.name, grown, len(zipped))
			}
		}
	}
}

// Nothing behind a window's length of text after the anchor is decoded.
func TestRestIsCopied(t *testing.T) {
	const at, piece = 10 << 10, 100
	text := htmlText(1<<20, 1)
	for _, e := range encoders() {
		zipped := e.encode(t, text)
		var out bytes.Buffer
		var s Splicer
		s.Reset(&out, &reader{s: &s, at: at, insert: tag, hold: 1 << 15})
		taken := 0
		for known := false; !known && taken+piece < len(zipped); taken += piece {
			s.Write(zipped[taken : taken+piece])
			_, known = s.Growth()
		}
		if end := len(seen(t, zipped[:taken-piece])); end > at+window+maxMatch {
			t.Errorf("%s: decoded up to %d", e.name, end)
		}
		s.Write(zipped[taken:])
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s.Drop()
		if !bytes.HasSuffix(out.Bytes()[:out.Len()-trailerSize], zipped[taken:len(zipped)-trailerSize]) {
			t.Errorf("%s: the rest is not what it was", e.name)
		}
	}
}

// Each piece of the rest leaves in one write, as it came.
func TestWritesOfTheRest(t *testing.T) {
	const piece = 32 << 10
	zipped := deflated(t, htmlText(2<<20, 1))
	writes := 0
	below := writerFunc(func(p []byte) (int, error) {
		writes++
		return len(p), nil
	})
	var s Splicer
	s.Reset(below, &reader{s: &s, at: 1 << 10, insert: tag})
	defer s.Drop()
	for taken := 0; taken < len(zipped); taken += piece {
		writes = 0
		if _, err := s.Write(zipped[taken:min(taken+piece, len(zipped))]); err != nil {
			t.Fatal(err)
		}
		if taken > piece && writes != 1 {
			t.Errorf("the bytes from %d on left in %d writes", taken, writes)
		}
	}
}

// A member may end right where the recoded part does, and its trailer come late.
func TestEndOfWindow(t *testing.T) {
	for _, beyond := range []int{-1, 0, 1, 2, 3, 100, 256, 257, 258, 259, 300} {
		for letters, text := range [][]byte{htmlText(100+window+beyond, 1), bytes.Repeat([]byte("e"), 100+window+beyond)} {
			zipped := deflated(t, text)
			for back := range 12 {
				check(t, zipped, text, reader{at: 100, insert: tag}, input{piece: len(zipped) - back})
			}
			if letters == 0 {
				check(t, zipped, text, reader{at: 100, insert: tag}, input{piece: 1})
			}
		}
	}
}

func TestGrowth(t *testing.T) {
	for _, length := range []int{100, 20 << 10, 200 << 10} {
		text := htmlText(length, 1)
		for _, e := range encoders() {
			zipped := e.encode(t, text)
			for _, insert := range [][]byte{tag, nil} {
				var out bytes.Buffer
				var s Splicer
				s.Reset(&out, &reader{s: &s, at: length / 4, insert: insert, hold: 1 << 15})
				s.Write(zipped)
				s.Close()
				if n, known := s.Growth(); !known || int(n) != out.Len()-len(zipped) {
					t.Errorf("%s, %d bytes: %d %v, not %d", e.name, length, n, known, out.Len()-len(zipped))
				}
				s.Drop()
			}
		}
	}
}

func TestPass(t *testing.T) {
	text := htmlText(50<<10, 1)
	for _, e := range encoders() {
		zipped := e.encode(t, text)
		for _, at := range []int{0, 1, 3000, 30 << 10, len(text)} {
			got, err := splice(zipped, reader{at: at, hold: 1 << 20}, input{piece: 1000})
			if err != nil || !bytes.Equal(got, zipped) {
				t.Errorf("%s, nothing released, at %d: %v; not bit by bit as it was", e.name, at, err)
			}
			check(t, zipped, text, reader{at: at, keep: 7}, input{piece: 1000, flush: 1})
		}
	}
}

// The decision to pass may come at any byte, after the text before it has left: also
// between a member's last block and its trailer.
func TestPassBehindWhatHasLeft(t *testing.T) {
	for seed := range uint64(60) {
		zipped, text := oddMember(seed, 3, 20)
		for _, at := range []int{len(text) / 2, max(len(text)-1, 0), len(text)} {
			for _, piece := range []int{1, 2, 7} {
				check(t, zipped, text, reader{at: at}, input{piece: piece})
			}
		}
	}
}

// Before the decision, only what was released leaves.
func TestHolds(t *testing.T) {
	const hold = 5 << 10
	text := htmlText(3*hold, 1)
	for _, e := range encoders() {
		zipped := e.encode(t, text)
		var out bytes.Buffer
		var s Splicer
		s.Reset(&out, &reader{s: &s, at: len(text) + 1, insert: tag, hold: hold})
		for i := range zipped {
			s.Write(zipped[i : i+1])
			s.Flush()
			if s.scanned <= hold && out.Len() > 0 {
				t.Fatalf("%s: %d bytes have left with %d of text", e.name, out.Len(), s.scanned)
			}
		}
		if out.Len() == 0 {
			t.Errorf("%s: nothing has left", e.name)
		}
		s.Drop()
	}
}

func TestMembers(t *testing.T) {
	parts := [][]byte{htmlText(50<<10, 1), htmlText(200<<10, 2), nil, htmlText(10, 3), htmlText(60<<10, 4)}
	for _, e := range encoders() {
		var zipped []byte
		for _, part := range parts {
			zipped = append(zipped, e.encode(t, part)...)
		}
		text := bytes.Join(parts, nil)
		at := 0
		for _, part := range parts {
			for _, at := range []int{at, at + len(part)/2, at + len(part)} {
				for _, piece := range []int{1 << 30, 1000} {
					check(t, zipped, text, reader{at: at, insert: tag, keep: 7}, input{piece: piece})
				}
			}
			at += len(part)
		}
	}
}

// What looks like a member's beginning in the rest of a stream is not one.
func TestNoMember(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, gap := range []int{0, 1, 3, 1000} {
		text := htmlText(50<<10, 1)
		for range 500 {
			text = append(text, 0, 0, 1, 0) // a length that may be right
			text = append(text, 0x1f, 0x8b, 8, byte(r.IntN(32)))
			for range r.IntN(gap + 1) {
				text = append(text, byte(r.Uint32()))
			}
		}
		stored := encoders()[2] // copies text as it is
		zipped := stored.encode(t, text)
		if !bytes.Contains(zipped, []byte{0x1f, 0x8b, 8, 1}) {
			t.Fatal(stored.name, "does not store")
		}
		for _, piece := range []int{1 << 30, 1000, 13, 1} {
			check(t, zipped, text, reader{at: 100, insert: tag}, input{piece: piece})
		}
	}
}

func TestGarbage(t *testing.T) {
	short, long := htmlText(1000, 1), htmlText(200<<10, 1)
	for _, garbage := range []string{"\x00", "\x1f", "\x1f\x8b\x08", "\x1f\x8b\x08\xff", "garbage", strings.Repeat("\x00", 500)} {
		for _, piece := range []int{1 << 30, 1} {
			zipped := append(deflated(t, short), garbage...)
			got, err := splice(zipped, reader{at: 100, insert: tag}, input{piece: piece})
			if err != nil {
				t.Errorf("%q behind a short page: %v", garbage, err)
			}
			plain, ok := bytes.CutSuffix(got, []byte(garbage))
			if text, err := unzip(plain); !ok || err != nil || !bytes.Equal(text, changed(short, 100, tag)) {
				t.Errorf("%q behind a short page: %v", garbage, err)
			}
		}
	}
	zipped := append(deflated(t, long), make([]byte, 500)...)
	got, err := splice(zipped, reader{at: 100, insert: tag}, whole)
	if !errors.Is(err, ErrTruncated) || !bytes.HasSuffix(got, zipped[len(zipped)-5000:]) {
		t.Errorf("zeros behind a long page: %v", err)
	}
}

// seen returns the text that a client has of a stream so far.
func seen(t *testing.T, sent []byte) []byte {
	t.Helper()
	if len(sent) < len(gzipHeader) {
		return nil
	}
	z, err := gzip.NewReader(bytes.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return text
}

// Where the origin has flushed, the client has all of the text that may leave.
func TestFlush(t *testing.T) {
	text := htmlText(100<<10, 1)
	for level := range 10 {
		var in, out bytes.Buffer
		z, _ := gzip.NewWriterLevel(&in, level)
		var s Splicer
		s.Reset(&out, &reader{s: &s, at: 5000, insert: tag})
		for end := 0; end < len(text); {
			begin := end
			end = min(end+1+end%997, len(text))
			z.Write(text[begin:end])
			z.Flush()
			s.Write(in.Bytes())
			in.Reset()
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			want := text[:end]
			if end >= 5000 {
				want = changed(want, 5000, tag)
			}
			if got := seen(t, out.Bytes()); !bytes.Equal(got, want) {
				t.Fatalf("level %d: at %d, the client has %d bytes", level, end, len(got))
			}
		}
		z.Close()
		s.Write(in.Bytes())
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s.Drop()
		if got, err := unzip(out.Bytes()); err != nil || !bytes.Equal(got, changed(text, 5000, tag)) {
			t.Fatalf("level %d: %v", level, err)
		}
	}
}

// A code that also stands for text that is kept is kept, and no other.
func TestFlushKeeps(t *testing.T) {
	text := []byte("<head><title>T</title></he" + strings.Repeat("-", 100))
	zipped := deflated(t, text)
	var out bytes.Buffer
	var s Splicer
	s.Reset(&out, &reader{s: &s, at: 24, insert: tag, hold: 0, seen: 1 << 20})
	defer s.Drop()
	s.Write(zipped)
	s.Flush()
	if got := seen(t, out.Bytes()); len(got) < 22 || len(got) > 24 {
		t.Errorf("%q has left, and 24 bytes may", got)
	}
}

func TestBroken(t *testing.T) {
	text := htmlText(60<<10, 1)
	zipped := deflated(t, text)
	r := reader{at: 5000, insert: tag, hold: 1 << 15}
	want := changed(text, r.at, tag)

	for n := 0; n < len(zipped); n += 1 + n%5 {
		got, err := splice(zipped[:n], r, whole)
		if err == nil {
			if _, err := unzip(got); err == nil {
				t.Errorf("%d bytes are whole", n)
			}
		}
		// Without an error, the last bytes were taken for the trailer: by their look, that
		// is right for 511 of 512 streams that break off.
		if err != nil && len(got) > 0 && !bytes.HasPrefix(want, seen(t, got)) {
			t.Errorf("%d bytes: what has left is wrong", n)
		}
	}

	altered := func(at int, by byte) []byte {
		b := bytes.Clone(zipped)
		b[at] ^= by
		return b
	}
	for name, test := range map[string]struct {
		in   []byte
		want error
	}{
		"empty":           {nil, ErrTruncated},
		"not gzip":        {[]byte("<html>"), ErrHeader},
		"method":          {altered(2, 1), ErrHeader},
		"reserved flag":   {altered(3, 0x20), ErrHeader},
		"type of block":   {append(bytes.Clone(gzipHeader), 7), ErrCorrupt},
		"stored length":   {append(bytes.Clone(gzipHeader), 1, 1, 0, 1, 0), ErrCorrupt},
		"distance":        {append(bytes.Clone(gzipHeader), 3, 2, 0, 0, 0), ErrCorrupt},
		"checksum, short": {alteredTrailer(deflated(t, text[:100]), 8), ErrChecksum},
		"length, short":   {alteredTrailer(deflated(t, text[:100]), 4), ErrChecksum},
		"bomb":            {deflated(t, make([]byte, 20<<20)), ErrBomb},
		"only flushes":    {append(bytes.Clone(gzipHeader), bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 100<<10)...), ErrHeld},
	} {
		got, err := splice(test.in, reader{at: 1 << 30, insert: tag, hold: 1 << 15}, whole)
		if !errors.Is(err, test.want) || name != "bomb" && len(got) > 0 {
			t.Errorf("%s: %v, and %d bytes left; must be %v", name, err, len(got), test.want)
		}
	}

	long := deflated(t, htmlText(200<<10, 1))
	got, err := splice(alteredTrailer(long, 8), r, whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unzip(got); !errors.Is(err, gzip.ErrChecksum) {
		t.Errorf("a wrong checksum of a long page became: %v", err)
	}
}

func alteredTrailer(b []byte, fromEnd int) []byte {
	b[len(b)-fromEnd] ^= 1
	return b
}

var errStop = errors.New("stop")

type stopWriter struct{ after int }

func (w *stopWriter) Write(p []byte) (int, error) {
	if w.after -= len(p); w.after < 0 {
		return 0, errStop
	}
	return len(p), nil
}

func TestErrorsOfOthers(t *testing.T) {
	zipped := deflated(t, htmlText(200<<10, 1))
	for _, after := range []int{0, 5000, 20000} {
		var s Splicer
		below := &stopWriter{after}
		s.Reset(below, &reader{s: &s, at: 5000, insert: tag})
		_, err := s.Write(zipped)
		if err == nil {
			err = s.Close()
		}
		if !errors.Is(err, errStop) {
			t.Errorf("below, after %d bytes: %v", after, err)
		}
		left := below.after
		if _, err := s.Write(zipped); !errors.Is(err, errStop) || s.Flush() == nil || s.Close() == nil || below.after != left {
			t.Errorf("goes on after an error: %v", err)
		}
		s.Drop()
	}
	var out bytes.Buffer
	var s Splicer
	s.Reset(&out, &stopWriter{5000})
	if _, err := s.Write(zipped); !errors.Is(err, errStop) || out.Len() > 0 {
		t.Errorf("the scanner: %v", err)
	}
	s.Drop()
	s.Drop()
	if _, err := s.Write(zipped); err == nil {
		t.Error("a dropped Splicer takes input")
	}
}

func TestTooLate(t *testing.T) {
	zipped := deflated(t, htmlText(200<<10, 1))
	for name, at := range map[string]int{"released": 19 << 10, "far back": 1000, "ahead": 1 << 20} {
		var s Splicer
		r := reader{s: &s, at: 20 << 10, insert: tag}
		r.seen = 0
		s.Reset(io.Discard, writerFunc(func(p []byte) (int, error) {
			r.text = append(r.text, p...)
			if name == "released" {
				s.Release(0)
			}
			if len(r.text) > 30<<10 {
				s.Insert(len(r.text)-at, Insertion{Text: tag})
			}
			return len(p), nil
		}))
		if _, err := s.Write(zipped); !errors.Is(err, errLookback) {
			t.Errorf("%s: %v", name, err)
		}
		s.Drop()
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector has a sync.Pool drop some of what it is given")
	}
	text := htmlText(300<<10, 1)
	zipped := deflated(t, text)
	s := new(Splicer)
	p := &headReader{s: s, insert: Insertion{Text: tag}}
	run := func() {
		p.seen = 0
		s.Reset(io.Discard, p)
		for rest := zipped; len(rest) > 0; {
			n := min(len(rest), 32<<10)
			s.Write(rest[:n])
			s.Flush()
			rest = rest[n:]
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(50, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
