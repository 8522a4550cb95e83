package head

// readStart looks for a byte order mark, which is not part of the document
// (Encoding Standard, section 6, "BOM sniff"). An incomplete mark is text.
func (s *Scanner) readStart(p []byte, i int) int {
	s.name.add(p[i])
	switch string(s.name.bytes()) {
	case "\xEF\xBB\xBF":
		s.declared = true
		s.state = stateData
		return i + 1
	case "\xFE\xFF", "\xFF\xFE":
		s.unusable = true
		s.state = stateFound
		return i
	case "\xEF", "\xEF\xBB", "\xFE", "\xFF":
		return i + 1
	}
	if s.name.len() > 1 {
		s.name.clear()
		s.state = stateFound
	} else {
		s.state = stateData
	}
	return i
}

// readData is the "data state", between tokens. White space is the only
// text that leaves the head open; NUL and the no-break space end it.
//
// The standard takes a NUL before the head for text, so that a body in quirks
// mode follows. Browsers drop the NUL, and the doctype still counts. No place is
// right for both.
func (s *Scanner) readData(p []byte, i int) int {
	for i < len(p) && class[p[i]] == space {
		i++
	}
	if i == len(p) {
		return i
	}
	s.mark = i
	switch p[i] {
	case '<':
		s.state = stateTagOpen
		if i+1 < len(p) {
			return s.readTagOpen(p, i+1)
		}
	case '&':
		s.name.clear()
		s.state = stateReference
	case 0:
		s.unusable = !s.inHead
		s.state = stateFound
		return i
	default:
		s.state = stateFound
		return i
	}
	return i + 1
}

// readReference is the "character reference state" and those that follow it. A
// reference to white space is white space; any other is text, and so is an
// ampersand that begins no reference.
func (s *Scanner) readReference(p []byte, i int) int {
	for ; i < len(p); i++ {
		s.name.add(p[i])
		open, white := reference(s.name.bytes())
		switch {
		case open && s.name.len() < MaxHeld:
			// The ampersand is held too: at most 1 + 15 bytes.
		case open:
			// Too many zeros to hold. The reference may still become white space,
			// which the parser drops before <head> but would keep after a script.
			// So no place is safe, neither before nor after the reference.
			s.state = stateLost
			return i
		case white:
			s.state = stateData
			if p[i] == ';' {
				i++
			}
			return i
		default:
			s.name.clear()
			s.state = stateFound
			return i
		}
	}
	return i
}

// isWhiteReference reports whether the reference being read would be white space
// if it ended here.
func (s *Scanner) isWhiteReference() bool {
	_, white := reference(s.name.bytes())
	return white
}

// reference judges ref, the text after an ampersand. While open is true, more
// bytes may change the answer. Otherwise, or at the end of the input, white says
// whether the reference is to white space. A numeric reference needs no semicolon:
// the byte that ends it is then not a part of it.
func reference(ref []byte) (open, white bool) {
	const tab, newLine = "Tab;", "NewLine;"
	switch n := len(ref); {
	case n == 0:
		return true, false
	case ref[0] == '#':
		return numericReference(ref[1:])
	case n <= len(tab) && string(ref) == tab[:n]:
		return n < len(tab), n == len(tab)
	case n <= len(newLine) && string(ref) == newLine[:n]:
		return n < len(newLine), n == len(newLine)
	default:
		return false, false
	}
}

// numericReference does the same for ref, the text after "&#".
func numericReference(ref []byte) (open, white bool) {
	base := 10
	if len(ref) > 0 && ref[0]|0x20 == 'x' {
		base, ref = 16, ref[1:]
	}
	code := 0
	for _, c := range ref {
		digit := hexDigit(c)
		if digit >= base {
			return false, class[code] == space
		}
		code = code*base + digit
		if code > ' ' {
			return false, false
		}
	}
	return true, class[code] == space
}

// hexDigit returns the value of the digit c, or a larger number if c is none.
func hexDigit(c byte) int {
	switch lower := c | 0x20; {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= lower && lower <= 'f':
		return int(lower-'a') + 10
	default:
		return 16
	}
}
