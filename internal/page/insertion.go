package page

import (
	"bytes"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// An Insertion is what goes into one document: up to three script elements. They
// are, in this order, the inline script that hands user over, the deflector's own
// element (the tag), and live_consent's inline script (the watcher).
type Insertion struct {
	HTML   []byte
	Suffix string // the end of the entity tag of a page with HTML

	// User and Watcher are the lengths of those two inline scripts, with which HTML
	// begins and ends; 0 if there is none.
	User, Watcher int

	// Src is where in HTML the address of the deflector's script begins; 0 if HTML
	// has no tag.
	Src int

	// Fingerprint says that the deflector may take a fingerprint. For that it loads
	// another script.
	Fingerprint bool

	// Unnonceable says that browsers ignore a nonce on the tag, because of an
	// attribute's value; see [VoidsNonce].
	Unnonceable bool
}

// reload has Turbo load the page in full. The full page then gets the tag:
// https://turbo.hotwired.dev/reference/attributes#meta-tags
var reload = func() Insertion {
	html := []byte(`<meta name="turbo-visit-control" content="reload">`)
	return Insertion{HTML: html, Suffix: variant.Suffix(html)}
}()

// The tags around the content of an inline script.
const (
	InlineOpen  = "<script>"
	InlineClose = "</script>"
)

// userContent returns the content of the inline script that hands user over.
func (in *Insertion) userContent() string { return content(in.HTML[:in.User]) }

// watcherContent returns the content of the watcher's inline script.
func (in *Insertion) watcherContent() string { return content(in.HTML[len(in.HTML)-in.Watcher:]) }

func content(element []byte) string {
	return string(element[len(InlineOpen) : len(element)-len(InlineClose)])
}

// with returns HTML changed for one page: with nonces, without the inline scripts
// that v does not allow, and with origin before the address of the deflector's script.
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

// writeWithNonce writes a script element with a nonce, "" for none. The nonce needs
// no escaping, because policies accept only base64.
func writeWithNonce(b *bytes.Buffer, element []byte, nonce string) {
	if rest, ok := bytes.CutPrefix(element, []byte("<script")); ok && nonce != "" {
		b.WriteString(`<script nonce="` + nonce + `"`)
		element = rest
	}
	b.Write(element)
}

// VoidsNonce reports whether browsers ignore the nonce of an element because one of
// its attributes has this value (CSP3 section 6.7.3.1).
func VoidsNonce(value string) bool {
	if !strings.Contains(value, "<") {
		return false
	}
	value = strings.ToLower(value)
	return strings.Contains(value, "<script") || strings.Contains(value, "<style")
}
