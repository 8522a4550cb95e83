package head

import "strings"

// A urlFile follows a URL, piece by piece, and keeps the last segment of its path.
// It does what browsers do to a URL in an attribute (URL Standard, 4.4 "URL
// parsing"): space around it is cut off, tabs and line breaks are taken out, and a
// backslash is a slash.
type urlFile struct {
	segment [maxFile]byte
	n       uint8
	began   bool // something other than space was read
	spaced  bool // space followed; it belongs to the segment if more follows
	over    bool // a query or a fragment was reached
	other   bool // the segment cannot be a name that is looked for
}

// maxFile is the longest name that is looked for.
const maxFile = 96

func (u *urlFile) read(p []byte) {
	if u.over {
		return
	}
	if i := indexByte(p, '#'); i >= 0 {
		u.over = true
		p = p[:i]
	}
	if i := indexByte(p, '?'); i >= 0 {
		u.over = true
		p = p[:i]
	}
	for i := len(p) - 1; i >= 0; i-- { // the last segment is short: bytes.LastIndexAny takes longer to begin
		if p[i] == '/' || p[i] == '\\' {
			u.n, u.began, u.spaced, u.other = 0, true, false, false
			p = p[i+1:]
			break
		}
	}
	for _, c := range p {
		if u.other {
			return
		}
		u.readByte(c)
	}
	if u.over && u.spaced {
		u.other = true
	}
}

func (u *urlFile) readByte(c byte) {
	switch {
	case c == '\t' || c == '\n' || c == '\r':
	case c <= ' ':
		u.spaced = u.began
	case u.spaced || u.n == maxFile:
		u.other = true
	default:
		u.segment[u.n] = c
		u.n++
		u.began = true
	}
}

// is reports whether the URL read has this file name, or that of a version.
func (u *urlFile) is(name string) bool {
	stem, _, _ := strings.Cut(name, ".")
	if name == "" || u.other || int(u.n) < len(stem) || string(u.segment[:len(stem)]) != stem {
		return false // true for nearly all, and saves an allocation
	}
	return IsVersion(string(u.segment[:u.n]), name)
}
