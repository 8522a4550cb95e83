package head

// An escape is how deep a script is in the comments that once hid scripts from
// old browsers: the standard's "script data escaped" and "double escaped".
type escape uint8

const (
	notEscaped    escape = iota
	escaped              // after <!--, up to -->
	doubleEscaped        // after <script in an escaped script, up to </script, which ends only this
)

// readTemplate looks for the end tag right after the start tag of a template. To
// find the end of a template that is not empty would take a tree.
func (s *Scanner) readTemplate(p []byte, i int) int {
	if p[i] != '<' {
		s.state = stateLost
		return i
	}
	s.state = stateRawLess
	return i + 1
}

// readRawText is the "RCDATA state", the "RAWTEXT state" and the "script data
// state": the text after the start tags of title, of style and its like, of script.
func (s *Scanner) readRawText(p []byte, i int) int {
	less := indexByte(p[i:], awaited[stateRawText])
	if less < 0 {
		return len(p)
	}
	s.state = stateRawLess
	i += less + 1
	if i < len(p) {
		return s.readRawLess(p, i)
	}
	return i
}

// backToRawText goes on with the text after bytes that did not end it.
func (s *Scanner) backToRawText() {
	switch {
	case s.tag == tagTemplate:
		s.state = stateLost
	case s.escape != notEscaped:
		s.state = stateScriptEscaped
		s.dashes = 0
	default:
		s.state = stateRawText
	}
}

// readRawLess is the "less-than sign state" of each kind of text.
func (s *Scanner) readRawLess(p []byte, i int) int {
	switch c := p[i]; {
	case c == '/':
		s.name.clear()
		s.state = stateRawEndTagName
		return s.readRawTagName(p, i+1)
	case c == '!' && s.tag == tagScript && s.escape == notEscaped:
		s.state = stateScriptBang
		return i + 1
	case class[c] == letter && s.escape == escaped:
		s.name.clear()
		s.state = stateScriptStartTagName
		return i
	default:
		s.backToRawText()
		return i
	}
}

// readRawTagName reads the name after </, or after < in an escaped script, and
// compares it with that of the element. It is the "end tag open" and "end tag
// name" states of each kind of text, and the "script data double escape start
// state" and "end state".
func (s *Scanner) readRawTagName(p []byte, i int) int {
	for ; i < len(p) && class[p[i]] == letter; i++ {
		s.name.add(p[i] | 0x20)
	}
	if i == len(p) {
		return i
	}
	isEndTag := s.state == stateRawEndTagName
	isElement := class[p[i]] >= space && string(s.name.bytes()) == s.tag.rawText()
	switch {
	case isElement && !isEndTag:
		s.escape = doubleEscaped
	case isElement && s.escape == doubleEscaped:
		s.escape = escaped
	case isElement:
		s.tag = tagOther
		s.state = stateBeforeAttrName
		return i
	}
	s.backToRawText()
	return i
}

// readScriptBang is the "script data escape start state".
func (s *Scanner) readScriptBang(p []byte, i int) int {
	if p[i] != '-' {
		s.backToRawText()
		return i
	}
	s.state = stateScriptBangDash
	return i + 1
}

// readScriptBangDash is the "script data escape start dash state". The dashes of
// <!-- may at once be those of -->, as in <!-->.
func (s *Scanner) readScriptBangDash(p []byte, i int) int {
	if p[i] != '-' {
		s.backToRawText()
		return i
	}
	s.state = stateScriptEscaped
	s.escape = escaped
	s.dashes = 2
	return i + 1
}

// scriptMarks are the bytes that matter in an escaped script.
var scriptMarks = [256]bool{'-': true, '<': true, '>': true}

// readScriptEscaped is the "script data escaped state", the "dash" and "dash dash"
// states that go with it, and the same three double escaped.
func (s *Scanner) readScriptEscaped(p []byte, i int) int {
	dashes := s.dashes
	for ; i < len(p); i++ {
		switch c := p[i]; {
		case !scriptMarks[c]:
			dashes = 0
		case c == '-':
			dashes = min(dashes+1, 2)
		case c == '<':
			s.state = stateRawLess
			return i + 1
		case c == '>' && dashes == 2:
			s.escape = notEscaped
			s.state = stateRawText
			return i + 1
		default:
			dashes = 0
		}
	}
	s.dashes = dashes
	return i
}
