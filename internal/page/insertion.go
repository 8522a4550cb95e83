package page

import (
	"bytes"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// An Insertion is what one document gets: up to three script elements, in the
// order in which they stand.
type Insertion struct {
	HTML   []byte
	Suffix string // ends the entity tag of a page with HTML

	// User is the length of the inline script that hands user over, with which
	// HTML begins, and Watcher that of live_consent's, with which it ends. The
	// deflector's own element is in between.
	User, Watcher int

	// Src is where the address of the deflector's script begins; 0 if there is none.
	Src int

	// Fingerprint says that the deflector may take a fingerprint, for which it loads
	// a script of its own.
	Fingerprint bool

	// Unnonceable says that browsers ignore a nonce of the deflector's element,
	// because of what an attribute holds; see [VoidsNonce].
	Unnonceable bool
}

// reload has Turbo load the page in full, which then gets what belongs into it:
// https://turbo.hotwired.dev/reference/attributes#meta-tags
var reload = func() Insertion {
	html := []byte(`<meta name="turbo-visit-control" content="reload">`)
	return Insertion{HTML: html, Suffix: variant.Suffix(html)}
}()

// What surrounds the content of an inline script.
const (
	InlineOpen  = "<script>"
	InlineClose = "</script>"
)

// userContent returns the content of the inline script that hands user over.
func (in *Insertion) userContent() string { return content(in.HTML[:in.User]) }

// watcherContent returns the content of the watcher.
func (in *Insertion) watcherContent() string { return content(in.HTML[len(in.HTML)-in.Watcher:]) }

func content(element []byte) string {
	return string(element[len(InlineOpen) : len(element)-len(InlineClose)])
}

// with returns the bytes with the nonces of the verdicts, with those inline scripts
// that may run, and with this origin before the address of the deflector's script.
func (in *Insertion) with(origin string, v verdicts) []byte {
	var b bytes.Buffer
	b.Grow(len(in.HTML) + 3*len(` nonce=""`) + len(origin) + len(v.script.Nonce) + len(v.user.Nonce) + len(v.watcher.Nonce))
	watcher := len(in.HTML) - in.Watcher
	if v.user.Allowed {
		writeWithNonce(&b, in.HTML[:in.User], v.user.Nonce)
	}
	if origin == "" {
		writeWithNonce(&b, in.HTML[in.User:watcher], v.script.Nonce)
	} else {
		writeWithNonce(&b, in.HTML[in.User:in.Src], v.script.Nonce)
		b.WriteString(origin)
		b.Write(in.HTML[in.Src:watcher])
	}
	if v.watcher.Allowed {
		writeWithNonce(&b, in.HTML[watcher:], v.watcher.Nonce)
	}
	return b.Bytes()
}

// writeWithNonce writes a script element with a nonce, "" for none. A nonce that
// a policy accepts is base64, so that nothing in it needs to be escaped.
func writeWithNonce(b *bytes.Buffer, element []byte, nonce string) {
	if rest, ok := bytes.CutPrefix(element, []byte("<script")); ok && nonce != "" {
		b.WriteString(`<script nonce="` + nonce + `"`)
		element = rest
	}
	b.Write(element)
}

// VoidsNonce reports whether an attribute's value makes browsers ignore the nonce
// of its element (CSP3 section 6.7.3.1).
func VoidsNonce(value string) bool {
	if !strings.Contains(value, "<") {
		return false
	}
	value = strings.ToLower(value)
	return strings.Contains(value, "<script") || strings.Contains(value, "<style")
}
