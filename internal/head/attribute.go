package head

import "bytes"

// An attribute says what the scanner does with the value of the attribute being
// read. attrName recognises the attributes named here, and attrValue reads their
// values; [tag.watched] tells which tags can have them.
type attribute uint8

const (
	attrOther   attribute = iota // nothing
	attrSrc                      // the src of a script; a second one does not count
	attrEquiv                    // the http-equiv of a meta element
	attrCharset                  // the charset of a meta element
	attrContent                  // the content of a meta element that may be a policy
	attrPragma                   // the content of any other, which may name the encoding
	attrBase                     // the href of the first base element that has one
)

// attrName is called after the name of an attribute of a watched tag.
func (s *Scanner) attrName() {
	switch s.tag {
	case tagHTML:
		s.amp = s.amp || declaresAMP(s.name.bytes())
	case tagScript:
		if string(s.name.bytes()) == "src" && !s.hasSrc {
			s.hasSrc = true
			s.attr = attrSrc
			s.src = urlFile{}
		}
	case tagMeta:
		s.metaAttrName(s.name.bytes())
	case tagBase:
		s.baseAttrName(s.name.bytes())
	}
}

// attrValue is called with the value that follows, piece by piece.
func (s *Scanner) attrValue(piece []byte) {
	switch s.attr {
	case attrSrc:
		s.src.read(piece)
	case attrEquiv:
		s.meta.readEquiv(piece)
	case attrBase:
		s.base.read(piece)
	case attrCharset:
		s.name.addLower(piece)
	case attrContent:
		s.policies.readContent(piece)
		s.meta.readPragma(piece)
	case attrPragma:
		s.meta.readPragma(piece)
	}
}

// declaresAMP reports whether this attribute of <html> makes the document one
// of AMP's three formats. The variation selector for the emoji form may follow
// the lightning sign.
func declaresAMP(name []byte) bool {
	switch string(name) {
	case "amp", "amp4ads", "amp4email",
		"⚡", "⚡4ads", "⚡4email",
		"⚡\uFE0F", "⚡\uFE0F4ads", "⚡\uFE0F4email":
		return true
	default:
		return false
	}
}

// readBeforeAttrName is the "before attribute name state", and also the "after
// attribute value (quoted) state" and the "self-closing start tag state", which
// differ from it only in what they call an error.
func (s *Scanner) readBeforeAttrName(p []byte, i int) int {
	for i < len(p) {
		switch class[p[i]] {
		case space, solidus:
			i++
		case bracket:
			s.tagDone()
			return i + 1
		default:
			s.charsetDone()
			s.attr = attrOther
			s.name.clear()
			s.state = stateAttrName
			if p[i] == '=' { // part of the name if it is the first byte
				s.name.add('=')
				i++
			}
			if i = s.readAttrName(p, i); s.state != stateBeforeAttrName {
				return i
			}
		}
	}
	return i
}

// readAttrName is the "attribute name state". Quotes are ordinary bytes in it.
func (s *Scanner) readAttrName(p []byte, i int) int {
	start := i
	for i < len(p) && class[p[i]] < equals {
		i++
	}
	watched := s.tag.watched()
	if watched {
		s.name.addLower(p[start:i])
	}
	if i == len(p) {
		return i
	}
	if watched {
		s.attrName()
	}
	if p[i] != '=' {
		s.state = stateAfterAttrName
		return i
	}
	if i += 2; i < len(p) && (p[i-1] == '"' || p[i-1] == '\'') {
		if n := bytes.IndexByte(p[i:], p[i-1]); n >= 0 { // for speed, as in readQuoted
			if s.attr != attrOther {
				s.attrValue(p[i : i+n])
			}
			s.state = stateBeforeAttrName
			return i + n + 1
		}
	}
	s.state = stateBeforeAttrValue
	return i - 1
}

// readAfterAttrName is the "after attribute name state".
func (s *Scanner) readAfterAttrName(p []byte, i int) int {
	for ; i < len(p); i++ {
		switch c := p[i]; {
		case class[c] == space:
		case c == '/':
			s.state = stateBeforeAttrName
			return i + 1
		case c == '=':
			s.state = stateBeforeAttrValue
			return i + 1
		case c == '>':
			s.tagDone()
			return i + 1
		default:
			s.state = stateBeforeAttrName
			return i
		}
	}
	return i
}

// readBeforeAttrValue is the "before attribute value state".
func (s *Scanner) readBeforeAttrValue(p []byte, i int) int {
	for ; i < len(p); i++ {
		switch c := p[i]; {
		case class[c] == space:
		case c == '"':
			s.state = stateDoubleQuoted
			return s.readQuoted(p, i+1)
		case c == '\'':
			s.state = stateSingleQuoted
			return s.readQuoted(p, i+1)
		case c == '>':
			s.tagDone()
			return i + 1
		default:
			s.state = stateUnquoted
			return i
		}
	}
	return i
}

// readQuoted is the "attribute value (double-quoted) state" and its twin for
// single quotes.
func (s *Scanner) readQuoted(p []byte, i int) int {
	end := indexByte(p[i:], awaited[s.state])
	if end < 0 {
		s.attrValue(p[i:])
		return len(p)
	}
	s.attrValue(p[i : i+end])
	s.state = stateBeforeAttrName
	return i + end + 1
}

// readUnquoted is the "attribute value (unquoted) state". A solidus is a part of
// the value.
func (s *Scanner) readUnquoted(p []byte, i int) int {
	start := i
	for i < len(p) && class[p[i]] != space && p[i] != '>' {
		i++
	}
	s.attrValue(p[start:i])
	if i < len(p) {
		s.state = stateBeforeAttrName
	}
	return i
}
