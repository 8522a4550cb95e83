package page

import (
	"errors"
	"io"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/gzsplice"
)

// A body is what the origin sends. If its first bytes are gzip's, its text is decoded
// up to the anchor, and what leaves stays gzip. Content-Encoding does not decide that:
// some origins compress without it, and some send it with plain text.
type body struct {
	coding  coding
	splicer gzsplice.Splicer // in use if coding is zipped
	held    int              // how much text the splicer holds back, if coding is zipped
	err     error            // why the splicer stopped
}

// coding is what the bytes so far tell about a body's coding.
type coding uint8

const (
	unseen    coding = iota // no byte has come
	halfMagic               // one byte has come, the first of gzip's two
	plain
	zipped
	foreign // neither, or gzip that the visitor does not take and that is not labelled
)

var errTruncated = errors.New("the compressed body ends too soon")

// isBroken reports whether the body is gzip that cannot be decoded.
func (b *body) isBroken() bool { return b.err != nil }

// A gzipField says what Content-Encoding and the visitor's Accept-Encoding say of gzip.
type gzipField struct{ labelled, taken bool }

// write takes the next bytes of the body, and writes its text to text. Gzip leaves by
// writes to below. If the body is in another coding, write returns the bytes as unread.
func (b *body) write(p []byte, field gzipField, text, below io.Writer) (unread []byte, err error) {
	switch {
	case len(p) == 0:
		return nil, nil
	case b.coding == halfMagic:
		p = append([]byte{document.GzipMagic}, p...)
	}
	switch {
	case b.coding == plain || b.coding == zipped:
	case len(p) == 1 && p[0] == document.GzipMagic:
		b.coding = halfMagic
		return nil, nil
	case document.IsGzipMagic(p) && (field.labelled || field.taken):
		b.coding = zipped
		b.splicer.Reset(below, text)
	case p[0] == document.GzipMagic, field.labelled && !isText(p):
		b.coding = foreign
		return p, nil
	default:
		b.coding = plain
	}
	if b.coding == plain {
		_, err = text.Write(p)
		return nil, err
	}
	_, b.err = b.splicer.Write(p)
	return nil, b.err
}

// finish says that the body has ended, and returns an error if it was not whole, as far
// as it was decoded. It returns a body that was too short to tell its coding as unread.
func (b *body) finish(labelled bool) (unread []byte, err error) {
	switch {
	case b.coding == halfMagic && labelled:
		return nil, errTruncated
	case b.coding == halfMagic:
		return []byte{document.GzipMagic}, nil
	case b.coding == zipped:
		return nil, b.splicer.End()
	default:
		return nil, nil
	}
}

// drop gives the splicer's memory back; the rest of the body is lost.
func (b *body) drop() {
	if b.coding == zipped {
		b.splicer.Drop()
	}
}
