package page

import (
	"bytes"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/gzsplice"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// An Insertion is what goes into one document: either the deflector's own element
// (the tag), perhaps behind an inline script that hands user over, or the loader,
// which is an inline script that puts the tag in later.
type Insertion struct {
	HTML   []byte
	Suffix string // the end of the entity tag of a page with HTML

	Loader string // the content of the loader; "" if HTML is the tag

	// User is the length of the inline script that hands user over, with which HTML
	// begins; 0 if there is none.
	User int

	// Src is where in HTML the address of the deflector's script begins; 0 if HTML
	// has no tag.
	Src int

	// Fingerprint says that the deflector may take a fingerprint. For that it loads
	// another script.
	Fingerprint bool

	// Unnonceable says that browsers ignore a nonce on the tag, because of an
	// attribute's value; see [VoidsNonce].
	Unnonceable bool

	gzip *gzsplice.Insertion // HTML, if it was prepared
}

// Prepare returns in, with HTML compressed for all pages in gzip. It is for long ones.
func (in Insertion) Prepare() Insertion {
	prepared := gzsplice.Prepare(in.HTML)
	in.gzip = &prepared
	return in
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
func (in *Insertion) userContent() string {
	return string(in.HTML[len(InlineOpen) : in.User-len(InlineClose)])
}

// with returns HTML changed for one page: with nonces, without the inline scripts
// that v does not allow, and with origin before the address of the deflector's script.
func (in *Insertion) with(origin string, v verdicts) []byte {
	var b bytes.Buffer
	b.Grow(len(in.HTML) + 2*len(` nonce=""`) + len(origin) + len(v.script.Nonce) + len(v.user.Nonce))
	if v.user.Allowed {
		writeWithNonce(&b, in.HTML[:in.User], v.user.Nonce)
	}
	if origin == "" {
		writeWithNonce(&b, in.HTML[in.User:], v.script.Nonce)
	} else {
		writeWithNonce(&b, in.HTML[in.User:in.Src], v.script.Nonce)
		b.WriteString(origin)
		b.Write(in.HTML[in.Src:])
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
