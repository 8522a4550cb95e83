package head

import "bytes"

// The classes of bytes that tags are made of, besides quotes.
const (
	other  uint8 = iota
	letter       // of ASCII
	equals       // ends the name of an attribute
	space        // ends any name, like the classes that follow
	solidus
	bracket // >
)

// class is the class of each byte.
var class = func() (class [256]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		class[c] = letter
		class[c-'a'+'A'] = letter
	}
	for _, c := range "\t\n\f\r " {
		class[c] = space
	}
	class['='] = equals
	class['/'] = solidus
	class['>'] = bracket
	return class
}()

// lower maps each byte to itself, and letters of ASCII to lower case.
var lower = func() (lower [256]byte) {
	for c := range lower {
		lower[c] = byte(c)
		if class[c] == letter {
			lower[c] |= 0x20
		}
	}
	return lower
}()

// A name collects the bytes of a name. It cuts off names that are too long, which
// does no harm: no name that matters fills it.
type name struct {
	buf [MaxHeld]byte
	n   uint8
}

func (n *name) clear()        { n.n = 0 }
func (n *name) len() int      { return int(n.n) }
func (n *name) bytes() []byte { return n.buf[:n.n] }

func (n *name) add(c byte) {
	if int(n.n) < len(n.buf) {
		n.buf[n.n] = c
		n.n++
	}
}

// addLower adds p in lower case.
func (n *name) addLower(p []byte) {
	room := n.buf[n.n:]
	if len(p) > len(room) {
		p = p[:len(room)]
	}
	for i, c := range p {
		room[i] = lower[c]
	}
	n.n += uint8(len(p))
}

// indexByte is bytes.IndexByte, but saves its start-up for most single bytes.
func indexByte(p []byte, c byte) int {
	if len(p) == 1 && p[0] != c {
		return -1
	}
	return bytes.IndexByte(p, c)
}
