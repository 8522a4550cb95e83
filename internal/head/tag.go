package head

// A tag is the kind of a start tag that stays in the head. It tells what to look
// for in its attributes, and how to read the text after it.
type tag uint8

const (
	tagOther tag = iota // nothing to look for, no special text; all end tags too
	tagHTML
	tagMeta
	tagBase
	tagTitle
	tagStyle
	tagScript
	tagNoscript
	tagNoframes
	tagTemplate // an empty one
)

// rawText is the name whose end tag ends the text that follows the start tag,
// or "" when no such text follows.
func (t tag) rawText() string {
	switch t {
	case tagTitle:
		return "title"
	case tagStyle:
		return "style"
	case tagScript:
		return "script"
	case tagNoscript:
		return "noscript"
	case tagNoframes:
		return "noframes"
	case tagTemplate:
		return "template"
	default:
		return ""
	}
}

// watched reports whether there are attributes to look for.
func (t tag) watched() bool { return t == tagHTML || t == tagMeta || t == tagBase || t == tagScript }

// readTagOpen is the "tag open state".
func (s *Scanner) readTagOpen(p []byte, i int) int {
	switch c := p[i]; {
	case class[c] == letter:
		s.name.clear()
		s.state = stateStartTagName
		return s.readStartTagName(p, i)
	case c == '/':
		s.marked = false
		s.state = stateEndTagOpen
		return i + 1
	case c == '!':
		s.marked = false
		s.state = stateMarkup
		return i + 1
	case c == '?':
		// A processing instruction, or a bogus comment in parsers without them.
		// Either ends with the next >, even if that comes first.
		s.marked = false
		s.state = stateToBracket
		return i + 1
	default:
		s.name.clear()
		s.state = stateFound
		return i
	}
}

// readEndTagOpen is the "end tag open state".
func (s *Scanner) readEndTagOpen(p []byte, i int) int {
	if class[p[i]] == letter {
		s.name.clear()
		s.state = stateEndTagName
		return s.readEndTagName(p, i)
	}
	s.state = stateToBracket // in </> the bracket comes at once
	return i
}

// The lengths of the longest names of start tags that may stay in the head, and
// of end tags that end it.
const (
	maxStartTagName = len("noscript") // and template
	maxEndTagName   = len("head")
)

// readStartTagName is the "tag name state" of a start tag. The name must be one
// that may stay in the head.
func (s *Scanner) readStartTagName(p []byte, i int) int {
	i, fits := s.readTagName(p, i, maxStartTagName)
	switch {
	case !fits:
		s.esi = p[i] == ':' && string(s.name.bytes()) == "esi"
		s.state = stateFound
	case i < len(p):
		s.startTag()
		if s.state == stateBeforeAttrName {
			return s.readBeforeAttrName(p, i)
		}
	}
	return i
}

// startTag judges the start tag whose name has been read.
//
// React finds what it streams by a comment and the empty template that touches it:
// <!--$?--><template id="B:0"></template><!--/$-->. Nothing may come between them,
// so such a template stays.
func (s *Scanner) startTag() {
	marked := s.marked
	s.marked = false
	s.hasSrc = false
	s.state = stateBeforeAttrName
	switch string(s.name.bytes()) {
	case "basefont", "bgsound", "link":
		s.tag = tagOther
	case "base":
		s.tag = tagBase
	case "meta":
		s.tag = tagMeta
		s.meta = metaTag{}
	case "html":
		s.tag = tagHTML
		s.evidence = true
	case "head":
		s.tag = tagOther
		s.evidence = true
	case "title":
		s.tag = tagTitle
	case "style":
		s.tag = tagStyle
	case "script":
		s.tag = tagScript
	case "noscript":
		s.tag = tagNoscript
	case "noframes":
		s.tag = tagNoframes
	case "body", "frameset":
		s.evidence, s.closed = true, true
		s.state = stateFound
	case "template":
		if !marked {
			s.state = stateFound
			return
		}
		s.tag = tagTemplate
	default:
		s.state = stateFound
	}
	s.inHead = s.inHead || s.tag != tagHTML
}

// readEndTagName is the "tag name state" of an end tag. Four of them end the
// head; the parser ignores the others.
func (s *Scanner) readEndTagName(p []byte, i int) int {
	i, fits := s.readTagName(p, i, maxEndTagName)
	switch {
	case !fits:
		s.state = stateOtherEndTagName
	case i < len(p):
		s.endTag()
	}
	return i
}

// readTagName reads letters, up to a byte that ends a name. A name with any other
// byte, or with more letters than the limit most, does not fit and does not matter.
func (s *Scanner) readTagName(p []byte, i, most int) (end int, fits bool) {
	n := s.name.len()
	for ; i < len(p) && class[p[i]] == letter; i++ {
		if n == most {
			s.name.n = uint8(n)
			return i, false
		}
		s.name.buf[n] = p[i] | 0x20
		n++
	}
	s.name.n = uint8(n)
	return i, i == len(p) || class[p[i]] >= space
}

// endTag judges the end tag whose name has been read.
func (s *Scanner) endTag() {
	switch string(s.name.bytes()) {
	case "head", "body", "html":
		s.evidence, s.closed = true, true
		s.state = stateFound
	case "br":
		s.state = stateFound
	default:
		s.tag = tagOther
		s.state = stateBeforeAttrName
	}
}

// readOtherEndTagName is the "tag name state" of an end tag whose name does not
// matter.
func (s *Scanner) readOtherEndTagName(p []byte, i int) int {
	for ; i < len(p); i++ {
		if class[p[i]] >= space {
			s.tag = tagOther
			s.state = stateBeforeAttrName
			return i
		}
	}
	return i
}

// tagDone is called at the > of a tag.
func (s *Scanner) tagDone() {
	s.charsetDone()
	s.attr = attrOther // what follows is no value
	switch {
	case s.tag == tagScript && s.hasSrc && s.src.is(s.script):
		s.hasScript = true
	case s.tag == tagMeta:
		s.metaDone()
	}
	switch {
	case s.tag == tagTemplate:
		s.state = stateTemplate
		s.escape = notEscaped
	case s.tag.rawText() != "":
		s.state = stateRawText
		s.escape = notEscaped
	default:
		s.state = stateData
	}
}
