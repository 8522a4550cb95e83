package gzsplice

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
)

// A stream makes gzip streams that no encoder would write, but that are legal: codes
// by chance, pairs at every distance and length, blocks of every type and of no
// length. It knows their text.
type stream struct {
	*rand.Rand
	w     bitWriter
	text  []byte
	begin int // of the member's text
}

// oddStream returns a stream, and its text: mostly of one member, of which a few are
// long.
func oddStream(seed uint64) (zipped, text []byte) {
	s := &stream{Rand: rand.New(rand.NewPCG(seed, 2))}
	members := 1
	if s.IntN(6) == 0 {
		members += s.IntN(4)
	}
	for range members {
		s.member(1+s.IntN(6), 1+s.IntN([...]int{5, 100, 500, 3000}[s.IntN(4)]))
	}
	return s.w.bytes, s.text
}

// oddMember returns a stream of one member with so many blocks, each with so many
// symbols at most, and its text.
func oddMember(seed uint64, blocks, symbols int) (zipped, text []byte) {
	s := &stream{Rand: rand.New(rand.NewPCG(seed, 2))}
	s.member(blocks, symbols)
	return s.w.bytes, s.text
}

func (s *stream) member(blocks, symbols int) {
	s.header()
	s.begin = len(s.text)
	for range blocks - 1 {
		s.block(false, s.IntN(symbols+1))
	}
	s.block(true, s.IntN(symbols+1))
	s.w.align()
	s.w.bytes = checksum(s.text[s.begin:]).append(s.w.bytes)
}

// gzipHeader is the shortest one.
var gzipHeader = []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}

// checksum returns the trailer of a member with that text.
func checksum(text []byte) trailer {
	return trailer{crc32.ChecksumIEEE(text), uint32(len(text))}
}

func (s *stream) header() {
	start := len(s.w.bytes)
	var flags byte
	if s.IntN(2) == 0 {
		flags = byte(s.IntN(32))
	}
	b := append(s.w.bytes, 0x1f, 0x8b, 8, flags, byte(s.Uint32()), 2, 3, 4, byte(s.Uint32()), byte(s.Uint32()))
	if flags&flagExtra != 0 {
		n := s.IntN(20)
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
		for range n {
			b = append(b, byte(s.Uint32()))
		}
	}
	if flags&flagName != 0 {
		b = append(b, "name\x00"...)
	}
	if flags&flagComment != 0 {
		b = append(b, "what is in it\x00"...)
	}
	if flags&flagHeaderCRC != 0 {
		b = binary.LittleEndian.AppendUint16(b, uint16(crc32.ChecksumIEEE(b[start:])))
	}
	s.w.bytes = b
}

func (s *stream) block(final bool, symbols int) {
	last := uint64(0)
	if final {
		last = 1
	}
	switch s.IntN(4) {
	case 0:
		s.w.write(last, 1)
		s.w.stored(symbols)
		for range symbols {
			s.text = append(s.text, s.byte())
		}
		s.w.bytes = append(s.w.bytes, s.text[len(s.text)-symbols:]...)
	case 1:
		s.w.write(last|typeFixed<<1, 3)
		writeSymbols(&s.w, s.symbols(symbols), &fixedLiterals, &fixedDistances)
	default:
		s.w.write(last|typeDynamic<<1, 3)
		list := s.symbols(symbols)
		var c coder
		c.count(list)
		s.lengths(&c.literal, literalCodes)
		s.lengths(&c.distance, distanceCodes)
		c.describe()
		c.writeHeader(&s.w)
		writeSymbols(&s.w, list, &c.literal, &c.distance)
	}
}

// byte returns one of a few letters more often than another byte.
func (s *stream) byte() byte {
	if s.IntN(4) > 0 {
		return "etaoin"[s.IntN(6)]
	}
	return byte(s.Uint32())
}

func (s *stream) symbols(n int) []symbol {
	literals := 1 + s.IntN(10) // of ten
	list := make([]symbol, 0, n)
	for range n {
		have := min(len(s.text)-s.begin, window)
		if have == 0 || s.IntN(10) < literals {
			b := s.byte()
			s.text = append(s.text, b)
			list = append(list, literal(b))
			continue
		}
		var length, distance int
		switch s.IntN(4) {
		case 0:
			length = maxMatch
		case 1:
			length = minMatch + s.IntN(3)
		default:
			length = minMatch + s.IntN(maxMatch-minMatch+1)
		}
		switch s.IntN(4) {
		case 0:
			distance = have
		case 1:
			distance = 1 + s.IntN(min(have, 5))
		default:
			distance = 1 + s.IntN(have)
		}
		for range length {
			s.text = append(s.text, s.text[len(s.text)-distance])
		}
		list = append(list, pair(length, distance))
	}
	return list
}

// lengths gives codes of legal lengths by chance to all symbols that occur, and to
// some that do not.
func (s *stream) lengths(c *codes, size int) {
	clear(c.length[:])
	var symbols []int
	for symbol := range size {
		if c.count[symbol] > 0 || s.IntN(8) == 0 {
			symbols = append(symbols, symbol)
		}
	}
	switch len(symbols) {
	case 0:
		return
	case 1:
		c.length[symbols[0]] = 1
	default:
		s.Shuffle(len(symbols), func(i, k int) { symbols[i], symbols[k] = symbols[k], symbols[i] })
		s.split(c, symbols, 0)
	}
	assign(c.code[:size], c.length[:size])
}

// split gives symbols the codes below one node of a tree. It goes on by halves where
// the tree may become too deep.
func (s *stream) split(c *codes, symbols []int, depth uint8) {
	if len(symbols) == 1 {
		c.length[symbols[0]] = depth
		return
	}
	left := len(symbols) / 2
	if room := 1 << (maxCode - depth - 1); s.IntN(2) == 0 {
		left = min(1+s.IntN(min(len(symbols)-1, room)), len(symbols)-1)
		left = max(left, len(symbols)-room)
	}
	s.split(c, symbols[:left], depth+1)
	s.split(c, symbols[left:], depth+1)
}
