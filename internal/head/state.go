package head

// A state says what the next byte is part of.
type state uint8

const (
	// In these the bytes since the mark are held back, since it is still open
	// whether the token they begin ends the head.

	stateStart        state = iota // no byte yet, or a part of a byte order mark
	stateReference                 // after &
	stateTagOpen                   // after <
	stateEndTagOpen                // after </
	stateStartTagName              // in the name of a start tag
	stateEndTagName                // in the name of an end tag that may end the head

	// In these all bytes may be sent on. In the first a token is expected; the
	// others are inside a construct that stays in the head.

	stateData
	stateAfterComment    // at once after its >
	stateOtherEndTagName // in the name of an end tag that does not end the head

	stateBeforeAttrName
	stateAttrName
	stateAfterAttrName
	stateBeforeAttrValue
	stateDoubleQuoted
	stateSingleQuoted
	stateUnquoted

	stateMarkup     // after <!
	stateMarkupDash // after <!-
	stateDoctype    // in the word after <!
	stateToBracket  // in anything that the next > ends

	stateCommentStart     // after <!--
	stateCommentStartDash // after <!---
	stateComment
	stateCommentEndDash // after -
	stateCommentEnd     // after --
	stateCommentEndBang // after --!

	stateTemplate // after the start tag of a template that must be empty
	stateRawText
	stateRawLess            // after < in raw text
	stateRawEndTagName      // in the name after </ in raw text
	stateScriptStartTagName // in the name after < in an escaped script
	stateScriptBang         // after <! in a script
	stateScriptBangDash     // after <!- in a script
	stateScriptEscaped      // after <!-- in a script

	stateLost    // no anchor will be found
	stateFound   // the anchor is at the mark
	stateLooking // the same, but a charset may still follow
	stateEnded   // Feed was done or End was called
)

func (s state) holds() bool { return s <= stateEndTagName }

// awaited is the one byte that ends a state, where there is only one.
var awaited = [stateEnded + 1]byte{
	stateDoubleQuoted: '"',
	stateSingleQuoted: '\'',
	stateToBracket:    '>',
	stateComment:      '-',
	stateRawText:      '<',
}

// ignores reports whether c comes before that byte and does not matter.
func (s *Scanner) ignores(c byte) bool {
	end := awaited[s.state]
	return end != 0 && c != end && c != escapeByte && s.attr == attrOther
}
