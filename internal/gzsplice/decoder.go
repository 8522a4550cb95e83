package gzsplice

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// The errors of [Splicer.Write] and [Splicer.End] for input that is wrong.
var (
	ErrHeader    = errors.New("the compressed body does not begin with a gzip header")
	ErrCorrupt   = errors.New("the compressed body is corrupt")
	ErrChecksum  = errors.New("the compressed body does not match its checksum")
	ErrTruncated = errors.New("the compressed body ends too soon")
	ErrBomb      = errors.New("the compressed body is a decompression bomb")
	ErrHeld      = errors.New("more of the compressed body would have to be held back than may be")
)

// step is what the decoder reads next.
type step uint8

const (
	stepMember  step = iota // a member's header
	stepBlock               // a block's header
	stepCodes               // a compressed block
	stepStored              // the bytes of a block without compression
	stepTrailer             // a member's trailer
	stepGarbage             // nothing: bytes that follow the last member and begin no other
)

// A place is a place in the stream between two codes, and all that is needed to read
// on from there.
type place struct {
	bit     int64 // how many bits of the stream are before it
	text    int64 // how many bytes of the text
	begin   int64 // where the member's text begins
	summed  int64 // crc is that of the member's text up to here
	crc     uint32
	step    step
	final   bool // the block is its member's last
	rest    int  // bytes of the stored block that are still to come
	members int  // whole ones
	edits   int  // of the decoder
	block   blockHeader
}

// textSize is how much text a decoder keeps: a window before the place to which it
// may return, and what it decodes behind that.
const textSize = 2 * window

// slack is how many bytes repeat copies at a time.
const slack = 16

// A decoder decodes a gzip stream as far as its input goes. It can return to a place
// it has been at.
type decoder struct {
	place
	in       []byte // from the byte inBase of the stream on
	inBase   int64
	buf      [textSize + slack]byte // the text from textBase on, and room for repeat
	textBase int64

	own      tables
	tables   *tables // of the block at place
	tablesAt int64   // where that block begins, in bits

	edits     []edit   // what must change in the stream if it leaves piece by piece
	edited    int      // how many are gone from the front of edits
	beforeEnd place    // right before the end of the last member's last block
	recoder   *recoder // takes the codes, if it is set
	trailer   trailer  // of the last member
}

// progress is why the decoder stopped.
type progress uint8

const (
	ready   progress = iota // it has not stopped
	starved                 // it needs more input
	full                    // the next code goes beyond the limit
	ended                   // a member has ended, whose codes the recoder has taken
)

// reset prepares the decoder for a stream.
func (d *decoder) reset() {
	d.place = place{}
	d.in, d.inBase, d.textBase = d.in[:0], 0, 0
	d.tables, d.tablesAt = nil, -1
	d.edits, d.edited = d.edits[:0], 0
	d.recoder = nil
}

// input returns the input from the byte of the stream on that holds the given bit.
func (d *decoder) input(bit int64) []byte { return d.in[bit>>3-d.inBase:] }

// run decodes until the next code would bring the text beyond limit, or another
// reason to stop. An error leaves the decoder before what is wrong.
func (d *decoder) run(limit int64) (progress, error) {
	for {
		var p progress
		var err error
		switch d.step {
		case stepMember:
			p, err = d.memberHeader()
		case stepBlock:
			p, err = d.blockHeader()
		case stepCodes:
			p, err = d.codes(limit)
		case stepStored:
			p = d.stored(limit)
		case stepTrailer:
			p, err = d.memberTrailer()
		default:
			p = starved
		}
		if p != ready || err != nil {
			return p, err
		}
	}
}

func (d *decoder) memberHeader() (progress, error) {
	switch n := memberHeader(d.input(d.bit)); {
	case n == 0:
		return starved, nil
	case n > 0:
		d.bit += 8 * int64(n)
		d.begin, d.summed, d.crc = d.text, d.text, 0
		d.step = stepBlock
		return ready, nil
	case d.members == 0:
		return ready, ErrHeader
	default:
		d.step = stepGarbage
		return starved, nil
	}
}

// blockHeader reads the header of a block (RFC 1951 section 3.2.3).
func (d *decoder) blockHeader() (progress, error) {
	in := d.input(d.bit)
	skip := int(d.bit & 7)
	r := bitReader{b: in, at: skip}
	final := r.read(1) == 1
	kind := r.read(2)
	if r.short {
		return starved, nil
	}
	next := stepCodes
	length := 0
	switch kind {
	case typeStored:
		next = stepStored
		r.at = (r.at + 7) &^ 7
		n := r.read(16)
		inverted := r.read(16)
		if r.short {
			return starved, nil
		}
		if n^inverted != 0xffff {
			return ready, ErrCorrupt
		}
		length = int(n)
	case typeFixed:
		d.tables = fixed
	case typeDynamic:
		valid := d.own.readTables(&r)
		d.tablesAt = -1 // d.own may have changed
		if r.short {
			return starved, nil
		}
		if !valid {
			return ready, ErrCorrupt
		}
		d.tables = &d.own
	default:
		return ready, ErrCorrupt
	}
	header := d.bit
	d.bit += int64(r.at - skip)
	d.tablesAt = header
	d.step, d.final, d.rest = next, final, length
	d.block.at, d.block.skip, d.block.n = header, skip, r.at-skip
	if next == stepCodes {
		copy(d.block.bits[:], in[:(r.at+7)/8])
	}
	if final {
		d.edit(edit{kind: editOpen, bit: header})
	}
	if next == stepStored {
		d.edit(edit{kind: editStored, bit: header + 1, data: d.bit, length: length})
	}
	return ready, nil
}

// codes decodes compressed data (RFC 1951 section 3.2.3).
func (d *decoder) codes(limit int64) (progress, error) {
	d.setTables()
	literal, distance := &d.tables.literal, &d.tables.distance
	in := d.in
	next := int(d.bit>>3 - d.inBase)
	var acc uint64 // the next bits; those above count are right, or 0
	var count uint
	if skip := uint(d.bit & 7); skip != 0 {
		acc, count = uint64(in[next])>>skip, 8-skip
		next++
	}
	text := &d.buf
	at := int(d.text - d.textBase)
	end := min(int(limit-d.textBase), textSize)
	begin := int(max(d.begin-d.textBase, 0))
	recoder := d.recoder

	p, err := ready, error(nil)
	for {
		if at >= end {
			p = full
			break
		}
		if count < maxCode+5+maxCode+13 {
			if next+8 <= len(in) {
				acc |= binary.LittleEndian.Uint64(in[next:]) << count
				next += int(63-count) >> 3
				count |= 56
			} else {
				for ; count < 56 && next < len(in); next++ {
					acc |= uint64(in[next]) << count
					count += 8
				}
			}
		}
		e := literal[acc&(1<<literalBits-1)]
		if e&kindMask == kindTable {
			e = literal[(e.value()+uint(acc>>literalBits)&(1<<e.extra()-1))%literalTable]
		}
		n := e.bits()
		if e&kindMask == kindLiteral && n-1 < count { // 0 < n <= count
			text[at&(textSize-1)] = byte(e.value())
			at++
			acc >>= n
			count -= n
			if recoder != nil {
				recoder.literal(byte(e.value()))
			}
			continue
		}
		if n > count || n == 0 && count < maxCode {
			p = starved
			break
		}
		if n == 0 {
			err = ErrCorrupt
			break
		}
		if e&kindMask == kindEnd {
			d.text = d.textBase + int64(at)
			d.bit = 8*(d.inBase+int64(next)) - int64(count)
			d.endBlock(int64(n))
			return ready, nil
		}
		length := int(e.value() + uint(acc>>n)&(1<<e.extra()-1))
		n += e.extra()

		e = distance[acc>>n&(1<<distanceBits-1)]
		if e&kindMask == kindTable {
			e = distance[(e.value()+uint(acc>>(n+distanceBits))&(1<<e.extra()-1))%distanceTable]
		}
		if e == 0 {
			if n+maxCode > count && next >= len(in) {
				p = starved
			} else {
				err = ErrCorrupt
			}
			break
		}
		n += e.bits()
		back := int(e.value() + uint(acc>>n)&(1<<e.extra()-1))
		n += e.extra()
		if n > count {
			p = starved
			break
		}
		if back > at-begin {
			err = ErrCorrupt
			break
		}
		if at+length > end {
			p = full
			break
		}
		acc >>= n
		count -= n
		repeat(text, at, back, length)
		at += length
		if recoder != nil {
			recoder.match(d, at-length, length, back)
		}
	}
	d.text = d.textBase + int64(at)
	d.bit = 8*(d.inBase+int64(next)) - int64(count)
	return p, err
}

// repeat copies length bytes from back bytes before at to at. It may overwrite as many
// bytes behind them as there is slack.
func repeat(text *[textSize + slack]byte, at, back, length int) {
	to, from := text[at:], text[at-back:]
	if back < 8 {
		for done := 0; done < length; { // what was copied is copied again
			done += copy(to[done:length], from[:back+done])
		}
		return
	}
	for i := 0; i < length; i += slack { // most are that short
		binary.LittleEndian.PutUint64(to[i:], binary.LittleEndian.Uint64(from[i:]))
		binary.LittleEndian.PutUint64(to[i+8:], binary.LittleEndian.Uint64(from[i+8:]))
	}
}

// setTables makes the tables those of the block, if the decoder has returned to it.
func (d *decoder) setTables() {
	if d.tablesAt == d.block.at {
		return
	}
	d.tablesAt = d.block.at
	if d.block.n == 3 {
		d.tables = fixed
		return
	}
	d.tables = &d.own
	d.own.readTables(&bitReader{b: d.block.bits[:], at: d.block.skip + 3})
}

// endBlock takes the code of n bits that ends a block.
func (d *decoder) endBlock(n int64) {
	if !d.final {
		d.bit += n
		d.step = stepBlock
		return
	}
	d.sum()
	d.beforeEnd = d.place
	d.bit += n
	d.step = stepTrailer
	d.edit(edit{kind: editClose, bit: d.bit})
}

// stored takes bytes of a block without compression.
func (d *decoder) stored(limit int64) progress {
	if d.text >= limit {
		return full
	}
	if d.rest == 0 {
		d.endBlock(0)
		return ready
	}
	at := int(d.text - d.textBase)
	end := min(int(limit-d.textBase), textSize, at+d.rest)
	n := copy(d.buf[at:end], d.input(d.bit))
	if d.recoder != nil {
		for _, b := range d.buf[at : at+n] {
			d.recoder.literal(b)
		}
	}
	d.text += int64(n)
	d.bit += 8 * int64(n)
	d.rest -= n
	if n == 0 {
		return starved
	}
	return ready
}

// memberTrailer compares the member's trailer with its text (RFC 1952 section 2.3.1).
func (d *decoder) memberTrailer() (progress, error) {
	start := (d.bit + 7) &^ 7
	if start>>3-d.inBase+8 > int64(len(d.in)) {
		return starved, nil
	}
	in := d.input(start)
	d.sum()
	d.trailer = readTrailer(in)
	if d.trailer != (trailer{d.crc, uint32(d.text - d.begin)}) {
		return ready, ErrChecksum
	}
	d.bit = start + 64
	d.members++
	d.step = stepMember
	if d.recoder != nil {
		return ended, nil
	}
	return ready, nil
}

// sum brings the CRC-32 up to date.
func (d *decoder) sum() {
	d.crc = crc32.Update(d.crc, crc32.IEEETable, d.buf[d.summed-d.textBase:d.text-d.textBase])
	d.summed = d.text
}

// last returns the last place at which something can be inserted into the text: where
// the decoder is, or, behind a member's last block, the end of that block's text.
func (d *decoder) last() *place {
	if d.step >= stepTrailer || d.step == stepMember && d.members > 0 {
		return &d.beforeEnd
	}
	return &d.place
}

// restore returns to a place.
func (d *decoder) restore(p *place) {
	d.place = *p
	d.edits = d.edits[:p.edits-d.edited]
}

// edit adds an edit.
func (d *decoder) edit(e edit) {
	if d.recoder == nil {
		d.edits = append(d.edits, e)
		d.place.edits++
	}
}

// makeRoom makes room for n bytes of text. Only the text from keep on, and the window
// before it, is needed further.
func (d *decoder) makeRoom(n int, keep int64) {
	if int(d.text-d.textBase)+n <= textSize {
		return
	}
	d.sum()
	from := max(keep-window-d.textBase, 0)
	copy(d.buf[:], d.buf[from:d.text-d.textBase])
	d.textBase += from
}

// consume drops the input before a bit of the stream.
func (d *decoder) consume(bit int64) {
	if n := bit>>3 - d.inBase; n > 0 {
		d.in = d.in[:copy(d.in, d.in[n:])]
		d.inBase += n
	}
}
