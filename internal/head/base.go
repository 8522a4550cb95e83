package head

// maxBase is how many bytes of a base URL are kept: more than its host needs.
const maxBase = 1 << 10

// A base is the document's base URL, from its first <base href> (HTML, "The base
// element").
type base struct{ href []byte }

// Base returns the first base element's href before the anchor, undecoded and cut
// off at 1 KiB. Base elements without a href do not count. The browser resolves
// relative URLs against it.
func (s *Scanner) Base() (href string, found bool) {
	if s.base == nil {
		return "", false
	}
	return string(s.base.href), true
}

// baseAttrName is called after the name of an attribute of a base element.
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
