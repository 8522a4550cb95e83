package head

// readMarkup is the "markup declaration open state".
func (s *Scanner) readMarkup(p []byte, i int) int {
	if p[i] == '-' {
		s.state = stateMarkupDash
		return i + 1
	}
	s.name.clear()
	s.state = stateDoctype
	return i
}

// readMarkupDash tells a comment from markup that only begins like one.
func (s *Scanner) readMarkupDash(p []byte, i int) int {
	if p[i] == '-' {
		s.state = stateCommentStart
		return i + 1
	}
	s.state = stateToBracket
	return i
}

// readDoctype looks for the word "doctype", which only matters as evidence.
// Doctypes, CDATA sections outside of foreign content and everything else that
// begins with <!, except comments, end with the next >, even in quotes.
func (s *Scanner) readDoctype(p []byte, i int) int {
	const word = "doctype"
	for ; i < len(p); i++ {
		if p[i]|0x20 != word[s.name.len()] {
			break
		}
		s.name.add(p[i])
		if s.name.len() == len(word) {
			s.evidence = true
			break
		}
	}
	if i < len(p) {
		s.state = stateToBracket
	}
	return i
}

// readToBracket is the "bogus comment state", and in effect all the states of
// doctypes and processing instructions.
func (s *Scanner) readToBracket(p []byte, i int) int {
	end := indexByte(p[i:], awaited[stateToBracket])
	if end < 0 {
		return len(p)
	}
	s.state = stateData
	return i + end + 1
}

// commentNext returns the state of a comment after a byte. The standard's states
// for "<!--" within a comment are left out: they only report errors.
var commentNext = [...]struct{ dash, bracket, bang, other state }{
	stateCommentStart:     {stateCommentStartDash, stateAfterComment, stateComment, stateComment},
	stateCommentStartDash: {stateCommentEnd, stateAfterComment, stateComment, stateComment},
	stateComment:          {stateCommentEndDash, stateComment, stateComment, stateComment},
	stateCommentEndDash:   {stateCommentEnd, stateComment, stateComment, stateComment},
	stateCommentEnd:       {stateCommentEnd, stateAfterComment, stateCommentEndBang, stateComment},
	stateCommentEndBang:   {stateCommentEndDash, stateAfterComment, stateComment, stateComment},
}

// readComment is the "comment start state" and those that follow it.
func (s *Scanner) readComment(p []byte, i int) int {
	if s.state == stateComment {
		dash := indexByte(p[i:], awaited[stateComment])
		if dash < 0 {
			return len(p)
		}
		i += dash
	}
	if s.state == stateCommentStart {
		s.marker = p[i] == '$'
	}
	next := &commentNext[s.state]
	switch p[i] {
	case '-':
		s.state = next.dash
	case '>':
		s.state = next.bracket
	case '!':
		s.state = next.bang
	default:
		s.state = next.other
	}
	return i + 1
}

// readAfterComment finds out whether a comment is React's and touches a tag. If so,
// it is a marker that belongs to that element.
func (s *Scanner) readAfterComment(p []byte, i int) int {
	s.marked = s.marker && p[i] == '<'
	s.state = stateData
	return i
}
