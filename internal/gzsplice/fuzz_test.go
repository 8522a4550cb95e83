package gzsplice

import (
	"bytes"
	"compress/flate"
	"io"
	"testing"
)

// FuzzOdd inserts into legal streams that no encoder would write.
func FuzzOdd(f *testing.F) {
	f.Add(uint64(1), uint32(0), uint32(0), uint16(0), uint16(0), uint16(0))
	for i := range uint64(40) {
		f.Add(i, uint32(i*i*i*97), uint32(i*37), uint16(i*11), uint16(i*331), uint16(i*7))
	}
	f.Fuzz(func(t *testing.T, seed uint64, at, length uint32, piece, hold, how uint16) {
		zipped, text := oddStream(seed)
		insert := htmlText(int(length)%(40<<10), seed)
		if how>>15 == 1 {
			insert = bytes.Repeat([]byte("e"), len(insert))
		}
		check(t, zipped, text, reader{
			at: int(at) % (len(text) + 1), insert: insert,
			seen: int(how >> 4 & 0x3ff), hold: int(hold) % (24 << 10), keep: int(how & 15),
		}, input{piece: 1 + int(piece), flush: int(how>>14&1) * 3})
	})
}

// FuzzAny gives the Splicer whatever there is. What Go reads, it reads to the same
// text, and what Go refuses, it does not make into something that Go reads.
func FuzzAny(f *testing.F) {
	for seed := range uint64(20) {
		zipped, _ := oddMember(seed, 3, 200)
		n := memberHeader(zipped)
		f.Add(zipped[n:len(zipped)-trailerSize], uint16(seed*20), uint16(1+seed), false)
	}
	f.Fuzz(func(t *testing.T, deflated []byte, at, piece uint16, passes bool) {
		in := bytes.NewReader(deflated)
		text, readErr := io.ReadAll(flate.NewReader(in))
		if readErr == nil {
			deflated = deflated[:len(deflated)-in.Len()]
		}
		zipped := checksum(text).append(append(bytes.Clone(gzipHeader), deflated...))
		insert := []byte("<inserted>")
		if passes {
			insert = nil
		}
		got, err := splice(zipped, reader{at: int(at), insert: insert, hold: int(piece) % 1000, keep: 3}, input{piece: 1 + int(piece)})
		if readErr == nil && err != nil && len(text)/bombRatio < len(zipped) {
			t.Fatalf("%v, but it is legal", err)
		}
		if err != nil {
			return
		}
		plain, err := unzip(got)
		want := changed(text, min(int(at), len(text)), insert)
		if readErr == nil && (err != nil || !bytes.Equal(plain, want)) {
			t.Fatalf("%v: %q, not %q", err, plain, want)
		}
		if readErr != nil && err == nil {
			t.Fatalf("%v, but what leaves is legal: %q", readErr, plain)
		}
	})
}
