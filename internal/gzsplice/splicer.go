package gzsplice

import (
	"errors"
	"io"
	"sync"
)

const (
	// Lookback is how far the anchor may lie before the bytes of the scanner's latest
	// Write.
	Lookback = 2 << 10

	chunkSize  = 4 << 10   // how much text the scanner gets at a time
	pieceSize  = 16 << 10  // how much input is decoded at a time
	maxHeld    = 256 << 10 // how much input may wait for a decision
	sendSize   = 64 << 10  // how much output is gathered at most
	gatherSize = 4 << 10   // input that is longer passes uncopied

	nothing = -1 // for Splicer.released
)

// A text of more than bombLength bytes must not be more than bombRatio times as long
// as its gzip. No page comes near that ratio; deflate reaches 1032.
const (
	bombLength   = 16 << 20
	bombRatio    = 256
	deflateRatio = 1032
)

// stage is how far a Splicer has come.
type stage uint8

const (
	searching stage = iota // the text goes to the scanner
	recoding               // from the anchor on, for a window's length of text
	copying                // the stream passes, but for the trailer
	passing                // the stream passes
)

// A Splicer puts one insertion into the text of one gzip stream. Its zero value is
// ready for [Splicer.Reset].
//
// The caller writes the stream to the Splicer, which writes it to the writer below,
// and its text to the scanner. The scanner, or the caller between two calls, decides
// by Insert or Pass what becomes of the stream, and may call Release before. Until the
// decision, only what was released leaves. Afterwards the scanner gets no more text.
//
// A Write writes to the writer below when it ends, or when much has gathered.
type Splicer struct {
	below, scanner io.Writer
	*engine

	stage    stage
	err      error
	decision decision
	at       int64 // the anchor's place in the text
	insert   Insertion
	scanned  int64   // how much text the scanner has
	released int64   // how much text may leave, with what is before it; or nothing
	before   trailer // of the member's text up to the anchor, if copying
	taken    int64   // how many bytes of the stream have come
	rest     rest
	growth   int64
}

type decision uint8

const (
	undecided decision = iota
	toInsert
	toPass
)

// An engine is the memory that a Splicer needs until the rest of the stream passes.
type engine struct {
	decoder  decoder
	old, new place // the decoder returns to one of them to find the anchor's bit
	sender   sender
	recoder  recoder
	out      bitWriter
}

var engines = sync.Pool{New: func() any { return new(engine) }}

// newEngine returns an engine at the beginning of a stream.
func newEngine() *engine {
	e := engines.Get().(*engine)
	e.decoder.reset()
	e.old, e.new = place{}, place{}
	e.out = bitWriter{bytes: e.out.bytes[:0]}
	e.sender = sender{w: &e.out}
	e.recoder.w, e.recoder.n = &e.out, 0
	return e
}

var (
	errLookback = errors.New("gzsplice: the anchor is not in the text that may still change")
	errDropped  = errors.New("gzsplice: the Splicer was dropped")
)

// Reset prepares s for a stream, which goes to below, and its text to scanner. An
// error of either ends the stream: Write, Flush, End and Close return it from then on.
func (s *Splicer) Reset(below, scanner io.Writer) {
	s.Drop()
	*s = Splicer{below: below, scanner: scanner, engine: newEngine(), released: nothing}
}

// Drop ends s and gives its memory back. It must be called in the end; calling it
// again does nothing.
func (s *Splicer) Drop() {
	s.giveBack()
	*s = Splicer{err: errDropped}
}

// giveBack gives the engine back.
func (s *Splicer) giveBack() {
	if e := s.engine; e != nil {
		e.recoder.insert = Insertion{}
		if cap(e.decoder.in) > sendSize {
			e.decoder.in = nil
		}
		engines.Put(e)
		s.engine = nil
	}
}

// Insert decides that insertion goes into the text, before the last behind bytes that
// the scanner has got. Text behind the anchor must not have been released, and the
// anchor must be at most [Lookback] bytes before the scanner's latest bytes; otherwise
// the next call returns an error. Only the first decision counts.
func (s *Splicer) Insert(behind int, insertion Insertion) {
	if s.decision == undecided {
		s.decision, s.at, s.insert = toInsert, s.scanned-int64(behind), insertion
	}
}

// Pass decides that the text stays as it is. If nothing was released, the stream does
// too, bit by bit.
func (s *Splicer) Pass() {
	if s.decision == undecided {
		s.decision = toPass
	}
}

// Release lets all text leave that the scanner has got, but for the last keep bytes.
// Some of it may stay until the next Flush.
func (s *Splicer) Release(keep int) { s.released = max(s.released, s.scanned-int64(keep)) }

// Growth returns by how many bytes the stream gets longer. known says that no more
// input is needed to tell. Where the first Write has all of a page up to 32 KB of text
// behind the anchor, it is known before anything is written below.
func (s *Splicer) Growth() (n int64, known bool) { return s.growth, s.stage >= copying }

// Write takes the next bytes of the stream.
func (s *Splicer) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n := len(p)
	for len(p) > 0 && s.stage < copying {
		piece := p[:min(len(p), pieceSize)]
		p = p[len(piece):]
		s.decoder.in = append(s.decoder.in, piece...)
		s.taken += int64(len(piece))
		if err := s.advance(); err != nil {
			return 0, s.fail(err)
		}
	}
	if len(p) > 0 {
		s.taken += int64(len(p))
		if err := s.raw(p); err != nil {
			return 0, s.fail(err)
		}
	}
	if err := s.send(); err != nil {
		return 0, s.fail(err)
	}
	if s.stage >= copying && !s.rest.probing {
		s.giveBack() // a long rest may take its time
	}
	return n, nil
}

// Flush writes all that may leave to the writer below. If the last text that may leave
// is in one symbol with text that may not, it stays, and so do up to seven bits of the
// last symbol. Behind the decision, the client can read all text that the origin has
// flushed (RFC 1951 has no flush; it is an empty stored block).
func (s *Splicer) Flush() error {
	if s.err != nil {
		return s.err
	}
	if err := s.advance(); err != nil {
		return s.fail(err)
	}
	var err error
	switch s.stage {
	case searching:
		err = s.flushReleased()
	case recoding:
		if s.recoder.n > 0 {
			s.recoder.flush(false)
			s.out.write(0, 1)
			s.out.stored(0) // aligns, so that the last code is a whole byte's
		}
	case copying:
		err = s.flushRest()
	}
	if err == nil {
		err = s.send()
	}
	if err != nil {
		return s.fail(err)
	}
	return nil
}

// End tells s that the stream has ended. It returns an error if the stream is not
// whole, as far as that was decoded. The decision can still be made afterwards.
func (s *Splicer) End() error {
	if s.err != nil {
		return s.err
	}
	if err := s.advance(); err != nil {
		return s.fail(err)
	}
	if s.stage <= recoding {
		whole := s.decoder.members > 0 && (s.decoder.step == stepMember || s.decoder.step == stepGarbage)
		if !whole {
			return s.fail(ErrTruncated)
		}
	}
	return nil
}

// Close calls End and writes the rest. Without a decision, the stream passes.
func (s *Splicer) Close() error {
	if err := s.End(); err != nil {
		return err
	}
	s.Pass() // unless there is a decision
	err := s.advance()
	if err == nil && s.stage == copying {
		err = s.endRest()
	}
	if err == nil {
		err = s.send()
	}
	if err != nil {
		return s.fail(err)
	}
	return nil
}

// fail ends the stream because of err.
func (s *Splicer) fail(err error) error {
	if s.err == nil {
		if s.stage == recoding {
			s.recoder.flush(false) // up to what is wrong, the page is right
		}
		if s.stage != searching {
			_ = s.send()
		}
		s.err = err
	}
	return s.err
}

// send writes what is ready to the writer below.
func (s *Splicer) send() error {
	if s.engine == nil {
		return nil
	}
	s.out.settle()
	if len(s.out.bytes) > 0 {
		err := s.write(s.out.bytes)
		s.out.total += int64(len(s.out.bytes))
		s.out.bytes = s.out.bytes[:0]
		if err != nil {
			return err
		}
	}
	return nil
}

// write writes p to the writer below. After an error nothing more is written.
func (s *Splicer) write(p []byte) error {
	_, err := s.below.Write(p)
	if err != nil {
		s.err = err
	}
	return err
}

// sendIfLong writes what is ready if it is long.
func (s *Splicer) sendIfLong() error {
	if len(s.out.bytes) < sendSize {
		return nil
	}
	return s.send()
}

// advance goes as far as input and decision allow.
func (s *Splicer) advance() error {
	for {
		var p progress
		var err error
		switch {
		case s.stage == searching && s.decision == toInsert:
			p, err = s.beginRecoding()
		case s.stage == searching && s.decision == toPass:
			p, err = s.pass()
		case s.stage == searching:
			p, err = s.search()
		case s.stage == recoding:
			p, err = s.recode()
		default:
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.sendIfLong(); err != nil {
			return err
		}
		if p == starved {
			return nil
		}
	}
}

// search decodes some text and hands it to the scanner.
func (s *Splicer) search() (progress, error) {
	d := &s.decoder
	d.makeRoom(chunkSize, s.old.text)
	p, err := d.run(d.text + chunkSize)
	if d.text > s.scanned {
		text := d.buf[s.scanned-d.textBase : d.text-d.textBase]
		s.scanned = d.text
		if d.text > bombLength && d.text/bombRatio > s.taken {
			return p, ErrBomb
		}
		if _, err := s.scanner.Write(text); err != nil {
			return p, err
		}
		if s.decision != undecided {
			return ready, nil // what is wrong behind the text is found again
		}
	}
	if err != nil {
		return p, err
	}
	d.sum() // so that places need no text before theirs
	if s.new.text <= s.scanned-Lookback {
		s.old, s.new = s.new, *d.last()
	}
	for _, place := range [...]*place{d.last(), &s.new, &s.old} {
		if place.text <= s.released && place.bit > s.sender.bit {
			s.sendTo(place)
			break
		}
	}
	if len(d.in) > maxHeld {
		return p, ErrHeld
	}
	return p, nil
}

// sendTo sends the stream up to a place, and forgets what is before it.
func (s *Splicer) sendTo(p *place) {
	d := &s.decoder
	here := *p
	s.sender.send(d, &here)
	for _, mark := range [...]*place{&s.old, &s.new} {
		if mark.bit < here.bit {
			*mark = here
		}
	}
	d.consume(here.bit)
}

// flushReleased sends exactly what was released.
func (s *Splicer) flushReleased() error {
	d := &s.decoder
	if s.released <= s.old.text || s.released >= s.scanned {
		return nil // search has sent it, or no code is held
	}
	from := &s.old
	if s.new.text <= s.released {
		from = &s.new
	}
	d.restore(from)
	if _, err := d.run(s.released); err != nil {
		return err
	}
	d.sum()
	if d.text > s.old.text {
		s.sendTo(&d.place)
	}
	return s.advance() // back to where the decoder was
}

// beginRecoding sends the stream up to the anchor, and cuts it there.
func (s *Splicer) beginRecoding() (progress, error) {
	d := &s.decoder
	if s.at < s.old.text || s.at > s.scanned {
		return ready, errLookback
	}
	for _, place := range [...]*place{d.last(), &s.new, &s.old} {
		if place.text <= s.at {
			d.restore(place)
			break
		}
	}
	_, _ = d.run(s.at) // what is wrong behind the anchor is found again
	if d.step == stepMember {
		return starved, nil
	}
	s.sender.send(d, &d.place)
	s.closeBlock()
	r := &s.recoder
	r.anchor, r.insert, r.pending = s.at, s.insert, true
	if d.text == s.at {
		r.insertion(d)
	}
	d.recoder = r
	s.stage = recoding
	return ready, nil
}

// closeBlock ends the block that was sent up to the decoder's place.
func (s *Splicer) closeBlock() {
	if d := &s.decoder; d.step == stepCodes { // a stored block is cut to what was sent of it
		d.setTables()
		s.out.write(d.tables.end, d.tables.endBits)
	}
}

// recode hands symbols to the recoder, until the text behind the anchor is as long as
// a window, or the member ends.
func (s *Splicer) recode() (progress, error) {
	d, r := &s.decoder, &s.recoder
	d.consume(d.bit)
	if r.room() < 2*maxMatch {
		r.flush(false)
	}
	limit := min(r.anchor+window+maxMatch, d.text+int64(r.room()))
	if r.pending {
		limit = r.anchor + maxMatch
	}
	d.makeRoom(r.room(), d.text)
	p, err := d.run(limit)
	switch {
	case err != nil:
	case p == ended:
		r.flush(true)
		s.out.align()
		s.out.bytes = d.trailer.with(r.before, s.insert.Text).append(s.out.bytes)
		s.stage = passing
		err = s.join()
	case d.text >= r.anchor+window && d.step != stepTrailer:
		r.flush(false)
		s.stage, s.before = copying, r.before
		err = s.reopen()
	}
	return p, err
}

// reopen begins a block as the origin's at the decoder's place, and passes the rest
// of the stream on from there.
func (s *Splicer) reopen() error {
	d := &s.decoder
	var last uint64
	if d.final {
		last = 1
	}
	switch d.step {
	case stepCodes:
		b := &d.block
		s.out.shiftTo(uint(d.bit-int64(b.n)) & 7)
		s.out.write(last, 1)
		s.out.copy(b.bits[:], b.skip+1, b.skip+b.n)
	case stepStored:
		s.out.write(last, 1)
		s.out.stored(d.rest)
	default:
		s.out.shiftTo(uint(d.bit & 7))
	}
	return s.join()
}

// join passes the rest of the stream on. Its next bit has the phase that it has in
// the stream.
func (s *Splicer) join() error {
	d := &s.decoder
	rest := d.input(d.bit)
	if skip := uint(d.bit & 7); skip != 0 {
		s.out.write(uint64(rest[0]>>skip), 8-skip)
		rest = rest[1:]
	}
	s.out.settle()
	s.growth = s.out.length() - (d.bit+7)>>3
	return s.raw(rest)
}

// pass passes the stream on.
func (s *Splicer) pass() (progress, error) {
	d := &s.decoder
	s.stage = passing
	if s.sender.bit == 0 {
		rest := d.in
		return starved, s.raw(rest)
	}
	if d.step == stepTrailer {
		d.restore(&d.beforeEnd) // the last block may have to be opened again
	}
	here := d.place
	s.sender.send(d, &here)
	if s.sender.open || s.sender.rest > 0 {
		s.closeBlock()
		return starved, s.reopen()
	}
	d.bit = s.sender.bit
	return starved, s.join()
}

// raw passes input on, without the trailer that ends it.
func (s *Splicer) raw(p []byte) error {
	if s.stage == copying {
		return s.copyRest(p)
	}
	return s.forward(p)
}

// forward passes p on, uncopied if it is long.
func (s *Splicer) forward(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if s.engine != nil && len(s.out.bytes)+len(p) <= gatherSize {
		s.out.bytes = append(s.out.bytes, p...)
		return nil
	}
	if err := s.send(); err != nil {
		return err
	}
	return s.write(p)
}
