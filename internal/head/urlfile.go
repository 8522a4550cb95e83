package head

// A urlFile follows a URL, piece by piece, and tells whether the last segment
// of its path is a given file name. It heeds what browsers do to a URL in an
// attribute (URL Standard, 4.4 "URL parsing"): space around it is cut off, tabs
// and line breaks are taken out, and a backslash is a slash.
type urlFile struct {
	agrees int32 // how many bytes of the name the segment agrees with, or differs
	began  bool  // something other than space was read
	spaced bool  // space followed, which is a part of the segment if more follows
	over   bool  // a query or a fragment was reached
}

// differs says that the segment is not the name.
const differs = -1

func (u *urlFile) read(p []byte, name string) {
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
			*u = urlFile{began: true, over: u.over}
			p = p[i+1:]
			break
		}
	}
	for _, c := range p {
		if u.agrees == differs {
			return
		}
		u.readByte(c, name)
	}
	if u.over && u.spaced {
		u.agrees = differs
	}
}

func (u *urlFile) readByte(c byte, name string) {
	switch {
	case c == '\t' || c == '\n' || c == '\r':
	case c <= ' ':
		u.spaced = u.began
	case u.spaced || int(u.agrees) >= len(name) || name[u.agrees] != c:
		u.agrees = differs
	default:
		u.agrees++
		u.began = true
	}
}

// is reports whether the URL read has this file name, which must be the one
// given to read.
func (u *urlFile) is(name string) bool {
	return name != "" && int(u.agrees) == len(name)
}
