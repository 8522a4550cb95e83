package head

// maxBase is how much is kept of a base URL: more than its host needs.
const maxBase = 1 << 10

// A base is the document's base URL, as its first <base href> has it (HTML, "The
// base element").
type base struct{ href []byte }

// Base returns the href of the first base element before the anchor that has one,
// as it stands in the source, at most 1 KiB of it. It is what the browser resolves
// relative URLs against.
func (s *Scanner) Base() (href string, found bool) {
	if s.base == nil {
		return "", false
	}
	return string(s.base.href), true
}

// baseAttrName is called when the name of an attribute of a base element was read.
func (s *Scanner) baseAttrName(name []byte) {
	if string(name) == "href" && s.base == nil {
		s.base = new(base)
		s.attr = attrBase
	}
}

// read keeps a piece of the href.
func (b *base) read(piece []byte) {
	b.href = append(b.href, piece[:min(len(piece), maxBase-len(b.href))]...)
}
