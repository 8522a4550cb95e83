package head

// The limits for the policies that are kept. If a document exceeds them, some of
// its policies are not read.
const (
	maxPolicies     = 64
	maxPolicyLength = 8 << 10  // of one policy
	maxPolicyText   = 64 << 10 // of all policies, as in package csp
)

// A metaTag is what is known of the tag of a meta element being read.
type metaTag struct {
	equiv   uint8 // bytes of its http-equiv that agree with policyKeyword, or otherEquiv
	pragma  uint8 // the same for pragmaKeyword
	charset uint8 // bytes of its content that agree with charsetWord
	seen    seen
	skipped bool // its content was not taken for a policy
}

// seen are attributes that the tag has had. Of two with the same name, the
// second does not count.
type seen uint8

const (
	seenEquiv   seen = 1 << iota
	seenContent      // it was kept, unless skipped
	seenName         // an attribute that shows the meta element to be no policy
)

// policyKeyword is the http-equiv of a policy, in any case. References in it are
// not decoded: nobody writes it that way.
const policyKeyword = "content-security-policy"

// pragmaKeyword is the http-equiv of an element whose content names the encoding
// behind charsetWord (HTML, "Encoding declaration state").
const (
	pragmaKeyword = "content-type"
	charsetWord   = "charset"
)

const otherEquiv = 0xFF

// agree returns how many bytes agree with the keyword when c is the next one.
func agree(n uint8, keyword string, c byte) uint8 {
	if int(n) >= len(keyword) || keyword[n] != c {
		return otherEquiv
	}
	return n + 1
}

// readPragma looks for charsetWord in a piece of a content. The word has only one
// c, its first letter, so a byte that does not agree can only begin it again.
func (m *metaTag) readPragma(piece []byte) {
	for _, c := range piece {
		if class[c] == letter {
			c |= 0x20
		}
		switch {
		case int(m.charset) == len(charsetWord):
			return
		case charsetWord[m.charset] == c:
			m.charset++
		case c == charsetWord[0]:
			m.charset = 1
		default:
			m.charset = 0
		}
	}
}

// policies are the policies found and the one being read. A scanner allocates
// them when it first meets a possible policy, so most documents need no memory
// for them.
type policies struct {
	content  []byte // of the tag being read
	found    []string
	length   int // of all policies found
	unread   bool
	overlong bool // content
}

// Policies returns the content attributes of the <meta
// http-equiv=Content-Security-Policy> elements before the anchor. Character
// references in them are not decoded. The policies govern what is inserted.
//
// complete is false if there are policies that were not kept: more than 64, one of
// more than 8 KiB, more than 64 KiB in all, or one whose element also calls itself
// something else.
func (s *Scanner) Policies() (contents []string, complete bool) {
	if s.policies == nil {
		return nil, true
	}
	return s.policies.found, !s.policies.unread
}

// metaAttrName is called after the name of an attribute of a meta element.
func (s *Scanner) metaAttrName(name []byte) {
	m := &s.meta
	switch string(name) {
	case "http-equiv":
		if m.seen&seenEquiv == 0 {
			m.seen |= seenEquiv
			s.attr = attrEquiv
		}
	case "content":
		if m.seen&seenContent != 0 {
			return
		}
		m.seen |= seenContent
		// the order is free, but nearly every other meta element begins with
		// the attribute that says what it is
		if m.seen == seenContent || m.isPolicy() {
			s.attr = attrContent
			s.keep().content = s.policies.content[:0]
			s.policies.overlong = false
		} else {
			m.skipped = true
			s.attr = attrPragma
		}
	case "charset":
		m.seen |= seenName
		if m.seen&seenContent == 0 && !s.declared {
			s.attr = attrCharset
			s.name.clear()
		}
	case "name", "property", "itemprop":
		m.seen |= seenName
	}
}

// isPolicy reports whether the element is a policy, as far as it was read.
func (m *metaTag) isPolicy() bool { return int(m.equiv) == len(policyKeyword) }

// readEquiv compares a piece of the http-equiv.
func (m *metaTag) readEquiv(piece []byte) {
	for _, c := range piece {
		if class[c] == letter {
			c |= 0x20
		}
		m.equiv = agree(m.equiv, policyKeyword, c)
		m.pragma = agree(m.pragma, pragmaKeyword, c)
	}
}

func (s *Scanner) keep() *policies {
	if s.policies == nil {
		s.policies = new(policies)
	}
	return s.policies
}

// readContent keeps a piece of what may be a policy.
func (p *policies) readContent(piece []byte) {
	if len(p.content)+len(piece) > maxPolicyLength {
		p.overlong = true
		return
	}
	p.content = append(p.content, piece...)
}

// metaDone is called at the > of a meta element. Without a content it has no effect
// (HTML, "Content security policy state").
func (s *Scanner) metaDone() {
	m := &s.meta
	if int(m.pragma) == len(pragmaKeyword) && int(m.charset) == len(charsetWord) {
		s.declared = true
	}
	if !m.isPolicy() || m.seen&seenContent == 0 {
		return
	}
	p := s.keep()
	if p.length += len(p.content); m.skipped || p.overlong || len(p.found) == maxPolicies || p.length > maxPolicyText {
		p.unread = true
		return
	}
	p.found = append(p.found, string(p.content))
}
