package head

import "strings"

// IsVersion reports whether a file name is the given one, or one of its versions:
// Kapa puts ".dev-x", "-v1.2.3" or both before the first dot of
// kapa-support-form-deflector.bundle.js.
func IsVersion(file, name string) bool {
	dot := strings.IndexByte(name, '.')
	if dot < 0 || !strings.HasPrefix(file, name[:dot]) || !strings.HasSuffix(file[dot:], name[dot:]) {
		return file == name
	}
	version := file[dot : len(file)-(len(name)-dot)]
	if dev, ok := strings.CutPrefix(version, ".dev-"); ok {
		end := strings.IndexFunc(dev, notInWord)
		if end < 0 {
			end = len(dev)
		}
		if end == 0 {
			return false
		}
		version = dev[end:]
	}
	return version == "" || isRelease(version)
}

func notInWord(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_'
}

// isRelease reports whether s looks like -v1.2.3.
func isRelease(s string) bool {
	s, ok := strings.CutPrefix(s, "-v")
	numbers := 0
	for number := range strings.SplitSeq(s, ".") {
		if number == "" || strings.Trim(number, "0123456789") != "" {
			return false
		}
		numbers++
	}
	return ok && numbers == 3
}
