package csp

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"strings"
)

// A list is a source list (2.3): words between white space, each a source
// expression if it is valid.
type list string

// any reports whether f is true of a word.
func (l list) any(f func(word string) bool) bool {
	for word := range strings.FieldsSeq(string(l)) {
		if f(word) {
			return true
		}
	}
	return false
}

// A Script is an external script, as its element in the page's source describes it.
type Script struct {
	URL       URL
	Source    string // the src attribute, if it is an absolute URL
	Integrity string // the integrity attribute
	CORS      bool   // whether it has a crossorigin attribute

	// Unnonceable says that an attribute of the element holds "<script" or
	// "<style", so that its nonce does not count (6.7.3.1).
	Unnonceable bool

	// Dynamic says that a script on the page inserts the element, which
	// 'strict-dynamic' allows.
	Dynamic bool
}

// has reports whether the keyword is in the list, in any case.
func (l list) has(keyword string) bool {
	return l.any(func(word string) bool { return strings.EqualFold(word, keyword) })
}

// isNone reports whether the list allows nothing: it is empty, or has only 'none'
// and 'report-sample'.
func (l list) isNone() bool {
	return !l.any(func(word string) bool {
		return !strings.EqualFold(word, "'none'") && !strings.EqualFold(word, "'report-sample'")
	})
}

// voidsURLs reports whether the list has the hash of a script's URL. Browsers that
// know such a source (https://developer.chrome.com/blog/script-src-hashes) then
// ignore hosts, schemes, 'self' and 'unsafe-inline'. Other browsers do not. The list
// must allow a script in both.
func (l list) voidsURLs() bool {
	return l.any(func(word string) bool {
		_, ok := urlHashOf(word)
		return ok
	})
}

func (l list) strictDynamic() bool { return l.has("'strict-dynamic'") }

// nonceOf returns the nonce of a nonce-source, "" for any other word.
func nonceOf(word string) string {
	const before = "'nonce-"
	if len(word) <= len(before) || !strings.EqualFold(word[:len(before)], before) {
		return ""
	}
	nonce, quoted := strings.CutSuffix(word[len(before):], "'")
	if !quoted || !isBase64(nonce) {
		return ""
	}
	return nonce
}

// isBase64 is the grammar of a base64-value (2.3.1), of either alphabet.
func isBase64(s string) bool {
	digits := strings.TrimRight(s, "=")
	return digits != "" && len(s)-len(digits) <= 2 && !strings.ContainsFunc(digits, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("+/-_", r)
	})
}

// A hash is a hash-source, or a member of integrity metadata.
type hash struct {
	algorithm string // "sha256", "sha384" or "sha512"
	value     string // in base64, of either alphabet, padded or not
}

func (h hash) is(other hash) bool {
	return h.algorithm == other.algorithm && normalBase64(h.value) == normalBase64(other.value)
}

var standardAlphabet = strings.NewReplacer("-", "+", "_", "/")

func normalBase64(s string) string {
	return standardAlphabet.Replace(strings.TrimRight(s, "="))
}

func parseHash(s string) (h hash, ok bool) {
	algorithm, value, _ := strings.Cut(s, "-")
	h = hash{strings.ToLower(algorithm), value}
	switch h.algorithm {
	case "sha256", "sha384", "sha512":
		return h, isBase64(value)
	default:
		return hash{}, false
	}
}

// hashOf returns the hash of a hash-source, without quotes.
func hashOf(word string) (h hash, ok bool) {
	if len(word) < 2 || word[0] != '\'' || word[len(word)-1] != '\'' {
		return hash{}, false
	}
	return parseHash(word[1 : len(word)-1])
}

// urlHashOf returns the hash of a URL's hash-source.
func urlHashOf(word string) (h hash, ok bool) {
	const before = "'url-"
	if len(word) <= len(before) || !strings.EqualFold(word[:len(before)], before) || word[len(word)-1] != '\'' {
		return hash{}, false
	}
	return parseHash(word[len(before) : len(word)-1])
}

// hasNonce is "does nonce match source list" (6.7.2.3).
func (l list) hasNonce(nonce string) bool {
	return nonce != "" && l.any(func(word string) bool { return nonceOf(word) == nonce })
}

func (l list) hasHash(h hash) bool {
	return l.any(func(word string) bool {
		in, ok := hashOf(word)
		return ok && in.is(h)
	})
}

// hasIntegrity is "does integrity metadata match source list" (6.7.2.4): the list
// has every hash of the metadata.
func (l list) hasIntegrity(metadata string) bool {
	matched := false
	for word := range strings.FieldsSeq(metadata) {
		word, _, _ = strings.Cut(word, "?") // options
		h, ok := parseHash(word)
		if !ok {
			continue // SRI section 3.3.2: unknown ones are skipped
		}
		if !l.hasHash(h) {
			return false
		}
		matched = true
	}
	return matched
}

// allowsAllInline is "does a source list allow all inline behavior" (6.7.3.2),
// for scripts.
func (l list) allowsAllInline() bool {
	return l.has("'unsafe-inline'") && !l.strictDynamic() && !l.any(func(word string) bool {
		_, isHash := hashOf(word)
		_, isURLHash := urlHashOf(word)
		return isHash || isURLHash || nonceOf(word) != ""
	})
}

// allowsInline is "does element match source list" (6.7.3.3) for a script with
// this content.
func (l list) allowsInline(content, nonce string) bool {
	return l.allowsAllInline() || l.hasNonce(nonce) || l.hasSum(content, hashOf)
}

// hasSum reports whether one of the hashes that read finds in the list is the hash
// of text.
func (l list) hasSum(text string, read func(word string) (hash, bool)) bool {
	sums := make(map[string]string, 3) // a list may have a thousand hashes
	return l.any(func(word string) bool {
		h, ok := read(word)
		if ok && sums[h.algorithm] == "" {
			sums[h.algorithm] = sum(h.algorithm, text)
		}
		return ok && h.is(hash{h.algorithm, sums[h.algorithm]})
	})
}

// sum is the hash of content in base64.
func sum(algorithm, content string) string {
	switch b := []byte(content); algorithm {
	case "sha384":
		h := sha512.Sum384(b)
		return base64.StdEncoding.EncodeToString(h[:])
	case "sha512":
		h := sha512.Sum512(b)
		return base64.StdEncoding.EncodeToString(h[:])
	default:
		h := sha256.Sum256(b)
		return base64.StdEncoding.EncodeToString(h[:])
	}
}

// allowsScript is the "script directives pre-request check" (6.7.1.1).
func (l list) allowsScript(s Script, nonce string, page URL) bool {
	switch {
	case !s.Unnonceable && l.hasNonce(nonce), l.hasIntegrity(s.Integrity):
		return true
	case l.strictDynamic():
		return s.Dynamic
	case l.voidsURLs() && !l.hasSum(s.Source, urlHashOf):
		return false
	default:
		return l.allows(s.URL, page)
	}
}

// allows is "does url match source list" (6.7.2.7).
func (l list) allows(u, page URL) bool {
	u = u.on(page)
	return l.any(func(word string) bool {
		switch {
		case word == "*":
			return u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "ws" || u.Scheme == "wss" || u.Scheme == page.Scheme
		case strings.EqualFold(word, "'self'"):
			self := source{scheme: page.Scheme, host: page.Host, port: page.port()}
			return self.matches(u, page)
		}
		s, ok := parseSource(word)
		return ok && s.matches(u, page)
	})
}
