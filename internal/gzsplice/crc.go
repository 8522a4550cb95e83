package gzsplice

import (
	"encoding/binary"
	"hash/crc32"
)

// A CRC-32 is a polynomial over GF(2), reduced by that of crc32.IEEE. Its highest
// coefficient is the last bit (RFC 1952 section 8).

// multiply returns a times b.
func multiply(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		if a&(1<<31) != 0 {
			product ^= b
		}
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	return product
}

// shift returns crc times x^(8n): what crc contributes to the CRC-32 of bytes after
// which n more have come.
func shift(crc, n uint32) uint32 {
	for power := uint32(1 << 23); n != 0; n >>= 1 { // x^8
		if n&1 != 0 {
			crc = multiply(crc, power)
		}
		power = multiply(power, power)
	}
	return crc
}

// A trailer is what a member ends with: the CRC-32 of its text, and its length
// modulo 2^32 (RFC 1952 section 2.3.1).
type trailer struct{ crc, length uint32 }

const trailerSize = 8

func readTrailer(b []byte) trailer {
	return trailer{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])}
}

func (t trailer) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, t.crc)
	return binary.LittleEndian.AppendUint32(b, t.length)
}

// with returns the trailer of the member after inserted was put behind the part of
// its text that has the trailer before.
//
// The CRC-32 of A‖B is shift(crc(A), |B|) ^ crc(B), so that of the rest of the text
// need not be known. If t is wrong, the result is as well.
func (t trailer) with(before trailer, inserted []byte) trailer {
	changed := before.crc ^ crc32.Update(before.crc, crc32.IEEETable, inserted)
	return trailer{t.crc ^ shift(changed, t.length-before.length), t.length + uint32(len(inserted))}
}
