package head

import "bytes"

// Browsers look for the encoding of a document, unless its header or a byte order
// mark says it, in a meta element that begins in the first 1024 bytes (HTML, "prescan
// a byte stream to determine its encoding"), be it in the head or not. One behind
// the anchor would be pushed out of their sight by what is inserted. Where no other
// has come before, the scanner therefore reads on to that byte, and sees to it that
// the document keeps its encoding: by the element that [Scanner.Charset] returns,
// or by giving the document up.

// sight is how many bytes browsers look at.
const sight = 1024

// Charset returns what has to stand before all else that is inserted, so that the
// document keeps the encoding that a meta element behind the anchor declares: a
// meta element that says the same, or nothing.
func (s *Scanner) Charset() string {
	if s.utf8 {
		return "<meta charset=utf-8>"
	}
	return ""
}

// Release says that the bytes fed so far are let go, but for [MaxHeld] of them at
// most. From then on the scanner cannot read on behind an anchor. If it was reading
// on, done is true, and off says where the anchor is, as from [Scanner.Feed] with
// nothing in its hands.
//
// An anchor that a tag such as </head> or <body> has shown is then final: a meta
// element with the encoding behind it would be a mistake that nobody makes. At any
// other the document is [Scanner.Unusable].
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

// look goes on behind the anchor, at i, if the document does not say its encoding
// before it.
func (s *Scanner) look(p []byte, i int) (looking bool) {
	if s.trusted || s.declared || s.unusable || s.fed+s.mark >= sight {
		return false
	}
	s.state = stateLooking
	s.ahead = new(bytes.Buffer)
	if s.mark < i && s.name.len() > 0 { // the beginning of a tag may be gone already
		s.ahead.WriteByte('<')
		s.ahead.Write(s.name.bytes())
	}
	s.lookAt(p[i:], s.fed+i)
	return true
}

// lookAt keeps of p, which begins at that byte of the document, what browsers see.
func (s *Scanner) lookAt(p []byte, at int) {
	s.ahead.Write(p[:min(max(sight-at, 0), len(p))])
}

// looked ends the look, and is false if the document has to be left alone.
func (s *Scanner) looked() bool {
	utf8, sure := charsetIn(s.ahead.Bytes())
	s.ahead = nil
	s.utf8 = utf8
	return sure
}

// metaMark is what every meta element begins with.
var metaMark = []byte("<meta")

// charsetIn looks for a meta element with an encoding. Browsers differ in what they
// take for one in comments, scripts and the like, so that it is only sure of one
// that stands by itself and says UTF-8, as nearly all do.
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
			return false, false // it may go on with anything
		}
		attrs := rest[:end]
		switch {
		case !bytes.Contains(attrs, []byte("charset")) && !bytes.ContainsAny(attrs, "&") && balanced(attrs):
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

// plain reports whether source, with nothing open at its beginning, has nothing
// open at its end: tags without a > or < in their attributes, and no element or
// comment whose content some browsers read in another way.
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
			if end := bytes.IndexByte(source[i:], '>'); open && end >= 0 && !balanced(source[i:i+end]) {
				return false
			}
		case '>':
			open = false
		}
	}
	return !open
}

// balanced reports whether all quotes in a tag are closed.
func balanced(tag []byte) bool {
	return bytes.Count(tag, []byte{'"'})%2 == 0 && bytes.Count(tag, []byte{'\''})%2 == 0
}

// rawTag returns what a tag's text begins with if it is a comment or raw text.
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

// declaresUTF8 reports whether the attributes of a meta element, in lower case, are
// those of one of the two forms that say UTF-8.
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

// charsetDone is called behind each attribute. Of the encodings it knows those that
// pages without UTF-8 mostly have; with others the scanner looks for a second one.
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
