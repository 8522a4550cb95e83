// Package gzsplice puts an insertion into the text of a gzip stream without
// compressing the stream again (RFC 1952, and RFC 1951 for deflate).
//
// A deflate stream is a series of blocks. Each tells its codes, and then has
// symbols: a literal byte, or a pair of a length and a distance, which repeats
// text that is at most 32 KB back. An insertion changes three things, and all are
// local: the block that it cuts, the pairs that reach back over it, and the
// checksum and length at the end. So the stream leaves in four parts.
//
// # Up to the anchor
//
// The stream is decoded, because the scanner needs the text, but it leaves bit by
// bit as it came. Where the scanner finds the anchor behind text that is decoded
// already, the decoder returns to the place before it and decodes up to the anchor
// once more, to know the bit at which to cut. An open block is ended by its own
// code for that.
//
// If the caller must let go of the page before the anchor is known, two things
// change on the way, because a later cut would contradict what has left: the mark of
// the last block is taken away (it is set again where the stream ends, or goes on
// behind the insertion), and a stored block leaves as several.
//
// # The insertion, and the 32 KB of text behind it
//
// They leave in blocks of their own: the insertion's bytes, with what repeats in
// them as pairs, and then the origin's symbols, as the origin chose them. A pair
// that reaches over the insertion gets a distance that is longer by the insertion's
// length. Where that is more than 32 KB, or less than three bytes would be left to
// repeat, its text leaves as literals. A pair whose source, or whose own text, the
// insertion cuts becomes two. Each of these blocks has the codes that suit its
// symbols best (RFC 1951 section 3.2.7), so the page does not get longer than the
// insertion makes it.
//
// # Everything else
//
// No pair behind that reaches the insertion. The rest is not looked at: it is
// copied byte by byte, even from within a block. For that, the last block of the
// part before is followed by the header of the block that was interrupted, with the
// same codes, and the bits must begin at the same place within a byte as in the
// stream. Empty blocks of fitting lengths bring that about.
//
// # The trailer
//
// It is the CRC-32 of the member's text and its length (RFC 1952 section 2.3.1). The
// CRC-32 is linear, so the new one follows from the old one, the text up to the
// anchor, the insertion, and the length of what follows it: see [trailer.with]. A
// trailer that was wrong stays wrong.
//
// A stream may have several members, each with a trailer. Another one that begins in
// the copied part is recognized by its header, and by decoding its first text.
//
// # Limits
//
// What is not decoded is not checked: where the origin breaks off there, the client
// finds out. Bytes behind the last member, which are no part of gzip but which
// browsers ignore, are found only as far as the stream is decoded. Behind a longer
// page they stand where its trailer should; if they do not look like one, the stream
// passes as it is, and Close returns [ErrTruncated]. The length of a text of 4 GiB and
// more cannot be told from its trailer; its checksum gets wrong.
package gzsplice
