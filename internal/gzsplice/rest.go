package gzsplice

import (
	"bytes"
	"sync"
)

// A rest is what follows the recoded part of a stream. It is not decoded, so only its
// bytes can show where its member ends: at the end of the input, or where another
// member begins. The last bytes are held back, because they may be the trailer.
//
// In a long stream, some bytes look by chance like the beginning of a member behind a
// trailer. The rest is then held back and decoded from there, until it turns out not
// to be gzip, or has been gzip for too long to be so by chance.
type rest struct {
	held    [heldSize]byte // the input's last bytes
	size    int            // how many of held there are
	probing bool           // what follows held may be a member; it is in the decoder
}

const (
	magicSize = 4 // of what a member begins with: two bytes, the method and the flags
	heldSize  = trailerSize + magicSize - 1

	// A member is one that decodes for so long: to so much text, within a compressed
	// block, or from so much input.
	probeText  = 1 << 10
	probeInput = 128 << 10

	restSize = 128 << 10 // how much is taken at a time: a probe must keep it
)

// copyRest passes p on as part of the rest.
func (s *Splicer) copyRest(p []byte) error {
	for len(p) > 0 && s.stage == copying {
		piece := p[:min(len(p), restSize)]
		p = p[len(piece):]
		var err error
		if s.rest.probing {
			s.decoder.in = append(s.decoder.in, piece...)
			err = s.probe(false)
		} else {
			err = s.watch(piece, 1-magicSize)
		}
		if err != nil {
			return err
		}
	}
	return s.forward(p)
}

// watch passes p on, but for the bytes that may be the trailer, and looks for a
// member that begins at from in p or later; before p are the held bytes.
func (s *Splicer) watch(p []byte, from int) error {
	r := &s.rest
	for at := from; ; at++ {
		if at >= 0 {
			i := bytes.IndexByte(p[min(at, len(p)):], 0x1f)
			if i < 0 {
				break
			}
			at += i
		}
		if at+magicSize > len(p) {
			break
		}
		if at+r.size >= trailerSize && s.mayBeMember(p, at) {
			return s.beginProbe(p, at)
		}
	}
	return s.hold(p, heldSize)
}

// hold passes on all of the held bytes and p but the last n, which are held.
func (s *Splicer) hold(p []byte, n int) error {
	r := &s.rest
	if leave := r.size + len(p) - n; leave > 0 {
		old := min(leave, r.size)
		if err := s.forwardBoth(r.held[:old], p[:leave-old]); err != nil {
			return err
		}
		r.size = copy(r.held[:], r.held[old:r.size])
		p = p[leave-old:]
	}
	r.size += copy(r.held[r.size:], p)
	return nil
}

// forwardBoth passes a few bytes and p on, in one write if p is no longer than proxies'
// buffers: a short write before a long one costs a system call.
func (s *Splicer) forwardBoth(few, p []byte) error {
	if len(few) > 0 && len(p) > 0 {
		joint := joints.Get().(*[jointSize]byte)
		defer joints.Put(joint)
		n := copy(joint[:], few)
		n += copy(joint[n:], p)
		few, p = joint[:n], p[n-len(few):]
	}
	if err := s.forward(few); err != nil {
		return err
	}
	return s.forward(p)
}

const jointSize = 32<<10 + heldSize

var joints = sync.Pool{New: func() any { return new([jointSize]byte) }}

// mayBeMember reports whether a member may begin at at in p.
func (s *Splicer) mayBeMember(p []byte, at int) bool {
	b := func(i int) byte {
		if i += at; i >= 0 {
			return p[i]
		}
		return s.rest.held[s.rest.size+i]
	}
	if b(0) != 0x1f || b(1) != 0x8b || b(2) != 8 || b(3)&flagReserved != 0 {
		return false
	}
	var t [trailerSize]byte
	for i := range t {
		t[i] = b(i - trailerSize)
	}
	return s.mayEnd(readTrailer(t[:]))
}

// mayEnd reports whether t may be the trailer, by the length of the member so far.
func (s *Splicer) mayEnd(t trailer) bool {
	if s.taken > 1<<32/deflateRatio {
		return true // the text may be longer than a trailer can tell
	}
	behind := int64(t.length - s.before.length)
	return behind >= window && behind <= s.taken*deflateRatio
}

// beginProbe begins to decode what begins at at in p.
func (s *Splicer) beginProbe(p []byte, at int) error {
	if err := s.hold(p[:max(at, 0)], trailerSize-min(at, 0)); err != nil {
		return err
	}
	// If the member begins within the held bytes, what is behind its trailer moves.
	var early [heldSize]byte
	n := copy(early[:], s.rest.held[trailerSize:s.rest.size])
	s.rest.size = trailerSize
	s.rest.probing = true

	if s.engine == nil {
		s.engine = newEngine()
	}
	d := &s.decoder
	d.reset()
	if cap(d.in) < n+len(p) {
		d.in = make([]byte, 0, n+len(p))
	}
	p = p[max(at, 0):]
	d.in = d.in[:n+len(p)]
	copy(d.in[n:], p)
	copy(d.in, early[:n])
	return s.probe(false)
}

// probe decodes what may be a member. last says that the stream has ended.
func (s *Splicer) probe(last bool) error {
	d := &s.decoder
	for {
		d.makeRoom(chunkSize, d.text)
		p, err := d.run(d.text + chunkSize)
		isMember := d.members > 0 || d.text >= probeText && d.step == stepCodes || d.bit/8 >= probeInput
		switch {
		case isMember:
			s.stage = passing
			if err := s.changeTrailer(); err != nil {
				return err
			}
			return s.forward(d.in)
		case err != nil, p == starved && last:
			s.rest.probing = false
			return s.watch(d.in, 1)
		case p == starved:
			return nil
		}
	}
}

// changeTrailer writes the trailer, which the held bytes are.
func (s *Splicer) changeTrailer() error {
	held := s.rest.held[:trailerSize]
	readTrailer(held).with(s.before, s.insert.Text).append(held[:0])
	return s.forward(held)
}

// flushRest lets the held bytes go if they cannot be the trailer: behind a flush of
// the origin's, which ends with an empty stored block, more must come.
func (s *Splicer) flushRest() error {
	r := &s.rest
	if r.probing || !bytes.HasSuffix(r.held[:r.size], []byte{0, 0, 0xff, 0xff}) {
		return nil
	}
	return s.hold(nil, 0)
}

// endRest writes the trailer. If there is none, the held bytes leave as they are, so
// that the stream breaks off as the origin's does.
func (s *Splicer) endRest() error {
	for s.rest.probing && s.stage == copying {
		if err := s.probe(true); err != nil {
			return err
		}
	}
	if s.stage != copying {
		return nil
	}
	if err := s.hold(nil, trailerSize); err != nil {
		return err
	}
	if s.rest.size < trailerSize || !s.mayEnd(readTrailer(s.rest.held[:])) {
		if err := s.hold(nil, 0); err != nil {
			return err
		}
		return ErrTruncated
	}
	return s.changeTrailer()
}
