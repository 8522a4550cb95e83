package head

import "bytes"

// If neither the header nor a byte order mark names the encoding of a document,
// browsers look for a meta element that does, in the first 1024 bytes, inside the
// head or outside (HTML, "prescan a byte stream to determine its encoding"). An
// insertion could push such an element behind the 1024th byte. If there is none
// before the anchor, the scanner therefore reads on to that byte. The document then
// keeps its encoding by the element that [Scanner.Charset] returns, or the scanner
// gives the document up.

// sight is how many bytes browsers search.
const sight = 1024

// white is ASCII white space (https://infra.spec.whatwg.org/#ascii-whitespace).
const white = " \t\n\f\r"

// Charset returns what must come first in the insertion, so that the document keeps
// the encoding that a meta element behind the anchor declares: a meta element that
// declares the same encoding, or "" if none is needed.
func (s *Scanner) Charset() string {
	if s.utf8 {
		return "<meta charset=utf-8>"
	}
	return ""
}

// Release says that the caller sends on the bytes fed so far, except the last
// [MaxHeld] at most. From then on the scanner cannot read on behind an anchor. If it
// was reading on, done is true, and off is the anchor's distance from the end of the
// bytes fed so far.
//
// If a tag such as </head> or <body> has shown the anchor, the anchor is final: no
// author declares the encoding behind such a tag. Otherwise the document is
// [Scanner.Unusable].
func (s *Scanner) Release() (off int, done bool) {
	s.released = true
	if s.state != stateLooking {
		return 0, false
	}
	return s.unseen()
}

// unseen ends the scan at an anchor behind which the scanner cannot look.
func (s *Scanner) unseen() (off int, done bool) {
	if !s.closed {
		return s.giveUp(s.mark)
	}
	s.ahead = nil
	s.state = stateEnded
	return s.mark, true
}

// look starts to read on behind the anchor, from i, if the document does not declare
// its encoding before the anchor.
func (s *Scanner) look(p []byte, i int) (looking bool) {
	if s.trusted || s.declared || s.unusable || s.fed+s.mark >= sight {
		return false
	}
	s.state = stateLooking
	s.ahead = new(bytes.Buffer)
	if s.mark < i && s.name.len() > 0 { // the beginning of the tag may be in an earlier piece
		s.ahead.WriteByte('<')
		s.ahead.Write(s.name.bytes())
	}
	s.lookAt(p[i:], s.fed+i)
	return true
}

// lookAt keeps the part of p that is within sight. p begins at byte at of the document.
func (s *Scanner) lookAt(p []byte, at int) {
	s.ahead.Write(p[:min(max(sight-at, 0), len(p))])
}

// looked ends the reading behind the anchor. It returns false if the document must
// stay as it is.
func (s *Scanner) looked() bool {
	utf8, sure := charsetIn(s.ahead.Bytes())
	s.ahead = nil
	s.utf8 = utf8
	return sure
}

// metaMark is what every meta element begins with.
var metaMark = []byte("<meta")

// charsetIn looks for a meta element that declares an encoding. Browsers disagree
// about those in comments, scripts and the like. sure is true only if there is no
// such element, or if the first one stands by itself and declares UTF-8, as almost
// always.
func charsetIn(source []byte) (utf8, sure bool) {
	source = bytes.ToLower(source)
	for {
		at := bytes.Index(source, metaMark)
		if at < 0 {
			return false, true
		}
		before, rest := source[:at], source[at+len(metaMark):]
		end := bytes.IndexByte(rest, '>')
		if end < 0 {
			return false, false // the rest of the tag is out of sight
		}
		attrs := rest[:end]
		switch {
		case !bytes.Contains(attrs, []byte("charset")) && !bytes.Contains(attrs, []byte("&#")) && quotesEnd(attrs):
			source = rest[end+1:]
			if !plain(before) {
				return false, !bytes.Contains(source, metaMark)
			}
		case plain(before) && declaresUTF8(attrs):
			return true, true
		default:
			return false, false
		}
	}
}

// plain reports whether no tag, element or comment is open at the end of source,
// and all browsers read source in the same way: no attribute contains > or <, and
// scripts without <!-- are the only raw text.
func plain(source []byte) bool {
	open := false
	for i := 0; i < len(source); i++ {
		switch source[i] {
		case '<':
			name := rawTag(source[i+1:])
			if open || name != "" && name != "script" {
				return false
			}
			if name != "" {
				end := bytes.Index(source[i:], []byte("</script>"))
				if end < 0 || bytes.Contains(source[i:i+end], []byte("<!--")) {
					return false
				}
				i += end + len("</script>") - 1
				continue
			}
			open = i+1 < len(source) && (class[source[i+1]] == letter || source[i+1] == '/')
			if end := bytes.IndexByte(source[i:], '>'); open && end >= 0 && !quotesEnd(source[i:i+end]) {
				return false
			}
		case '>':
			open = false
		}
	}
	return !open
}

// quotesEnd reports whether each quoted value in a tag ends in that tag. A quote of
// the other kind within a value does not count.
func quotesEnd(tag []byte) bool {
	for {
		i := bytes.IndexAny(tag, "\"'=")
		if i < 0 {
			return true
		}
		name := bytes.TrimRight(tag[:i], white)
		if tag[i] != '=' || len(name) == 0 || name[len(name)-1] == '/' {
			return false // this character begins a name, or belongs to one
		}
		tag = bytes.TrimLeft(tag[i+1:], white)
		end := bytes.IndexAny(tag, white)
		if len(tag) > 0 && (tag[0] == '"' || tag[0] == '\'') {
			if end = bytes.IndexByte(tag[1:], tag[0]) + 1; end == 0 {
				return false
			}
		}
		if end < 0 {
			return true
		}
		tag = tag[end+1:]
	}
}

// rawTag returns the beginning of text if it begins a comment or an element with raw
// text, otherwise "".
func rawTag(text []byte) string {
	for _, name := range []string{
		"!", "?", "script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext",
	} {
		if len(text) >= len(name) && string(text[:len(name)]) == name {
			return name
		}
	}
	return ""
}

// declaresUTF8 reports whether attrs, in lower case, are the attributes of a meta
// element that declares UTF-8, in one of its two forms.
func declaresUTF8(attrs []byte) bool {
	squeezed := bytes.Join(bytes.FieldsFunc(attrs, func(c rune) bool {
		return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == '/' || c == '"' || c == '\''
	}), []byte{' '})
	switch string(squeezed) {
	case "charset= utf-8", "charset=utf-8",
		"http-equiv= content-type content= text html; charset=utf-8",
		"http-equiv= content-type content= text html;charset=utf-8",
		"http-equiv=content-type content= text html; charset=utf-8",
		"content= text html; charset=utf-8 http-equiv= content-type":
		return true
	default:
		return false
	}
}

// charsetDone is called after each attribute. It knows UTF-8 and the encodings that
// most other pages use. For the rest the scanner looks for a second declaration.
func (s *Scanner) charsetDone() {
	if s.attr != attrCharset {
		return
	}
	switch string(s.name.bytes()) {
	case "utf-8", "utf8", "iso-8859-1", "iso-8859-2", "iso-8859-15", "windows-1250", "windows-1251", "windows-1252",
		"koi8-r", "euc-jp", "euc-kr", "shift_jis", "gb2312", "gbk", "gb18030", "big5":
		s.declared = true
	}
}
