package gzsplice

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// The flags of a member's header (RFC 1952 section 2.3.1).
const (
	flagHeaderCRC = 1 << (iota + 1)
	flagExtra
	flagName
	flagComment
	flagReserved = 0xe0
)

// memberHeader returns the length of the header with which a member begins: 0 if b
// ends before the header does, and -1 if b begins with no header that can be read.
func memberHeader(b []byte) int {
	const fixedLength = 10
	for i, want := range [...]byte{0x1f, 0x8b, 8} { // 8 is deflate
		if i < len(b) && b[i] != want {
			return -1
		}
	}
	if len(b) < fixedLength {
		return 0
	}
	flags := b[3]
	if flags&flagReserved != 0 {
		return -1
	}
	n := fixedLength
	if flags&flagExtra != 0 {
		if len(b) < n+2 {
			return 0
		}
		n += 2 + int(binary.LittleEndian.Uint16(b[n:]))
	}
	for _, flag := range [...]byte{flagName, flagComment} {
		if flags&flag != 0 {
			if len(b) < n {
				return 0
			}
			end := bytes.IndexByte(b[n:], 0)
			if end < 0 {
				return 0
			}
			n += end + 1
		}
	}
	if flags&flagHeaderCRC != 0 {
		if len(b) < n+2 {
			return 0
		}
		if binary.LittleEndian.Uint16(b[n:]) != uint16(crc32.ChecksumIEEE(b[:n])) {
			return -1
		}
		n += 2
	}
	if len(b) < n {
		return 0
	}
	return n
}
