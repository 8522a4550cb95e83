// Package head finds where the head of an HTML document ends, in bytes that
// arrive piece by piece, so that an element can be put there.
//
// # The anchor
//
// The anchor is a place in the source: right before the token that closes the
// head element, be it </head>, <body>, a first word of text, or the end of the
// input. What is inserted there becomes a child of the head, wherever the
// author has left out tags, and the rest of the document parses to the tree it
// would have had without it.
//
// Package head follows the HTML Standard's parser (section 13.2), but only as
// far as the anchor. Up to there it needs no tree. In the insertion modes
// "initial", "before html", "before head" and "in head" (13.2.6.4) every token
// either leaves the parser where it can still add to the head, or ends the head,
// and it is the same tokens in all four modes:
//
//	stay   white space; comments, doctypes and processing instructions;
//	       <html> <head> <base> <basefont> <bgsound> <link> <meta>;
//	       <title> <style> <script> <noscript> <noframes> and their content;
//	       end tags other than those below
//	end    </head> </body> </html> </br>; any other start tag; any other
//	       character; the end of the input
//
// Foreign content, tables and framesets only begin after the head, so this list
// is all that is left of tree construction. Only <template> could stay and hold
// any of them. It counts as an end, since the place before it is in the head too.
// Only an empty template that touches a React comment stays: the two belong
// together.
//
// The package has the tokenization states (13.2.5) for tags, comments, raw text
// and references; each function names the states that it implements. It assumes
// that scripting is on, since only then does the inserted script run.
//
// # No anchor
//
// Input that ends inside a tag, a comment or an element's raw text has no
// anchor: what came after would have been part of that construct. Only a tag
// that breaks off in its name, as in "<bod", still has the anchor before it if
// its bytes are held back: the parser ignores it.
//
// A character reference with more leading zeros than can be held back leaves the
// input without an anchor, too, rather than with one that might not be right.
//
// # Encodings
//
// In every encoding of the Encoding Standard except UTF-16, ISO-2022-JP and
// replacement, the bytes of ASCII are characters of ASCII.
// [Scanner.Unusable] reports UTF-16 if it begins with a byte order mark, and
// ISO-2022-JP if it needs an escape byte before the anchor. Only the caller can
// know the rest, from the header; see also [Scanner.TrustEncoding].
package head

import "bytes"

// MaxHeld is the greatest number of bytes that [Scanner.Held] may ask for once
// [Scanner.Release] was called. Before, it may ask for 1024 more.
const MaxHeld = 16

// A Scanner reads one document. Its zero value is ready for use; [Scanner.Reset]
// makes it ready for another. It keeps no reference to its input, and allocates
// only for what may be a policy, a base URL or the encoding.
type Scanner struct {
	script string // file name that HasScript looks for

	// mark is where the token being read began, counted from the start of the
	// bytes in Feed's hands and, between calls, from the end of the input.
	mark int

	fed      int           // bytes of earlier calls
	ahead    *bytes.Buffer // what follows an anchor, while a charset is looked for
	released bool          // Release was called
	utf8     bool          // for Charset

	trusted  bool // TrustEncoding was called
	declared bool // a byte order mark, or a meta element with the encoding, was read
	inHead   bool // the head element has begun
	closed   bool // a tag has shown where it ends
	marker   bool // the last comment begins as React's do
	marked   bool // such a comment touches the tag that follows

	state  state
	tag    tag       // the tag being read, then the element whose raw text follows
	attr   attribute // the attribute being read
	hasSrc bool      // the tag being read has had a src attribute
	escape escape    // how deep a script is in <!-- and <script
	dashes uint8     // dashes just read in such a script: 0, 1, or 2 for more
	name   name      // what has been read of a name, a reference or a mark
	src    urlFile   // the file in the src of the tag being read
	meta   metaTag   // the meta element's tag being read
	base   *base     // the first base element that has a href, or nil

	evidence  bool
	esi       bool
	amp       bool
	hasScript bool
	unusable  bool
	policies  *policies
}

// Reset makes the scanner ready for a new document. script is the file name
// that [Scanner.HasScript] looks for; "" looks for none.
func (s *Scanner) Reset(script string) {
	*s = Scanner{script: script}
}

// TrustEncoding says, before anything is fed, that the encoding is known to
// keep ASCII, for example from the document's header. The scanner then reads an
// escape byte as any other character. A byte order mark of UTF-16 still counts,
// since it overrules the header.
func (s *Scanner) TrustEncoding() { s.trusted = true }

// Feed reads p, the bytes that follow those of earlier calls. As soon as the
// anchor is known, done is true and off is its distance from the start of p:
// 0 to len(p), or down to -[Scanner.Held] when it lies before bytes held back.
//
// Feed is also done when it finds the document to be [Scanner.Unusable]; off is
// then the place that shows it, and nothing may be inserted.
//
// Feed is done once: after that it ignores its input and returns 0, false.
func (s *Scanner) Feed(p []byte) (off int, done bool) {
	if len(p) == 1 && s.ignores(p[0]) {
		s.fed++
		return 0, false // a short cut for input that comes byte by byte
	}
	// Each function reads on from i while its state lasts, and returns where it
	// stopped: after the byte that changed the state, or at it if the new state
	// has to look at it too. For speed, some go on in the state that follows.
	for i := 0; i < len(p); {
		switch s.state {
		case stateStart:
			i = s.readStart(p, i)
		case stateData:
			i = s.readData(p, i)
		case stateAfterComment:
			i = s.readAfterComment(p, i)
		case stateReference:
			i = s.readReference(p, i)

		case stateTagOpen:
			i = s.readTagOpen(p, i)
		case stateEndTagOpen:
			i = s.readEndTagOpen(p, i)
		case stateStartTagName:
			i = s.readStartTagName(p, i)
		case stateEndTagName:
			i = s.readEndTagName(p, i)
		case stateOtherEndTagName:
			i = s.readOtherEndTagName(p, i)

		case stateBeforeAttrName:
			i = s.readBeforeAttrName(p, i)
		case stateAttrName:
			i = s.readAttrName(p, i)
		case stateAfterAttrName:
			i = s.readAfterAttrName(p, i)
		case stateBeforeAttrValue:
			i = s.readBeforeAttrValue(p, i)
		case stateDoubleQuoted, stateSingleQuoted:
			i = s.readQuoted(p, i)
		case stateUnquoted:
			i = s.readUnquoted(p, i)

		case stateMarkup:
			i = s.readMarkup(p, i)
		case stateMarkupDash:
			i = s.readMarkupDash(p, i)
		case stateDoctype:
			i = s.readDoctype(p, i)
		case stateToBracket:
			i = s.readToBracket(p, i)
		case stateCommentStart, stateCommentStartDash, stateComment,
			stateCommentEndDash, stateCommentEnd, stateCommentEndBang:
			i = s.readComment(p, i)

		case stateTemplate:
			i = s.readTemplate(p, i)
		case stateRawText:
			i = s.readRawText(p, i)
		case stateRawLess:
			i = s.readRawLess(p, i)
		case stateRawEndTagName, stateScriptStartTagName:
			i = s.readRawTagName(p, i)
		case stateScriptBang:
			i = s.readScriptBang(p, i)
		case stateScriptBangDash:
			i = s.readScriptBangDash(p, i)
		case stateScriptEscaped:
			i = s.readScriptEscaped(p, i)

		case stateLost:
			i = len(p)
		case stateFound:
			if off, done := s.found(p, i); done {
				return off, true
			}
			i = len(p)
		case stateLooking:
			s.lookAt(p, s.fed)
			i = len(p)
		case stateEnded:
			return 0, false
		}
	}
	if s.state == stateLooking {
		if s.fed+len(p) >= sight {
			return s.settle()
		}
	} else if esc := s.escapeIn(p); esc >= 0 {
		return s.giveUp(esc)
	}
	s.mark -= len(p)
	s.fed += len(p)
	return 0, false
}

// found ends the scan at the anchor that p has led to, unless a charset may follow.
func (s *Scanner) found(p []byte, i int) (off int, done bool) {
	if esc := s.escapeIn(p[:max(s.mark, 0)]); esc >= 0 {
		return s.giveUp(esc)
	}
	if s.look(p, i) {
		if s.released {
			return s.unseen()
		}
		return 0, false
	}
	s.state = stateEnded
	return s.mark, true
}

// settle ends a look behind the anchor.
func (s *Scanner) settle() (off int, done bool) {
	if !s.looked() {
		return s.giveUp(s.mark)
	}
	s.state = stateEnded
	return s.mark, true
}

// giveUp ends the scan at the place that shows the document to be unusable.
func (s *Scanner) giveUp(at int) (off int, done bool) {
	*s = Scanner{script: s.script, state: stateEnded, unusable: true}
	return at, true
}

// escapeByte begins a sequence that switches an ISO-2022 encoding between its
// character sets. No byte that is held back is an escape byte.
const escapeByte = 0x1B

// escapeIn returns where in p an escape byte shows such an encoding, or -1.
func (s *Scanner) escapeIn(p []byte) int {
	if s.trusted {
		return -1
	}
	return indexByte(p, escapeByte)
}

// Held returns how many of the last bytes fed must not be sent on, because they
// may follow the anchor: 0 to [MaxHeld], or more while the scanner reads on behind
// the anchor of a document that has not declared its encoding.
func (s *Scanner) Held() int {
	if s.state.holds() || s.state == stateLooking {
		return -s.mark
	}
	return 0
}

// End says that the input is over. If that shows an anchor, ok is true and
// off is its distance from the end of the input: 0, or -[Scanner.Held] when the
// bytes held back turn out to be text, or nothing.
//
// ok is false when there is no anchor, when nothing was fed, and when Feed was
// done.
func (s *Scanner) End() (off int, ok bool) {
	if s.state == stateLooking {
		return s.settle()
	}
	off, ok = s.endOfInput()
	s.state = stateEnded
	return off, ok
}

func (s *Scanner) endOfInput() (off int, ok bool) {
	switch {
	case s.state == stateData || s.state == stateAfterComment:
		return 0, true
	case s.state == stateReference && s.isWhiteReference():
		return 0, true
	default:
		return -s.Held(), s.Held() > 0
	}
}

// What the scanner saw on its way to the anchor. The answers are final once
// Feed is done or End was called.

// Evidence reports whether the input shows that it is a document, and not a
// fragment or something else altogether: a doctype, <html> or <head>, or an
// anchor before </head>, <body>, <frameset>, </body> or </html>.
func (s *Scanner) Evidence() bool { return s.evidence }

// BeforeESI reports whether the anchor is before an ESI element
// (https://www.w3.org/TR/esi-lang/), which something on the way to the browser replaces.
// Without evidence, what replaces it may be the beginning of the document.
func (s *Scanner) BeforeESI() bool { return s.esi }

// AMP reports whether the document declares itself to be AMP, AMPHTML ads or
// AMP for email, which do not allow scripts of one's own.
func (s *Scanner) AMP() bool { return s.amp }

// HasScript reports whether the head has a script element whose src has a path
// that ends in the file name given to [Scanner.Reset], or in that of a version of
// it ([IsVersion]). The name is compared byte for byte with the source, without
// decoding.
func (s *Scanner) HasScript() bool { return s.hasScript }

// Unusable reports whether the document is in an encoding that cannot be
// scanned as bytes: it has a UTF-16 byte order mark or, before the anchor, an
// escape byte such as ISO-2022-JP uses. It is also true if an insertion could change
// how browsers read the rest: a NUL comes before the head, or an encoding other than
// UTF-8 may be declared behind the anchor. All other answers are then no.
func (s *Scanner) Unusable() bool { return s.unusable }
