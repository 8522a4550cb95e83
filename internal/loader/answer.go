package loader

import (
	"net/http"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/escape"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/prompt"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// A Kind says what the visitor gets at the address that was asked about.
type Kind string

// The kinds.
const (
	Tag       Kind = "tag"        // the deflector
	Untracked Kind = "untracked"  // the deflector, with Kapa's identifiers switched off
	NoConsent Kind = "no-consent" // nothing but perhaps the prompt, because the visitor has not consented
	None      Kind = "none"       // nothing, for another reason
)

// An Answer is what the edge tells the loader.
type Answer struct {
	Kind Kind

	// Attributes of the deflector's script element, as names and values. For Tag and
	// Untracked only.
	Attributes [][2]string

	// User are the values for window.kapaSettings.user, as names and values. The
	// third string is the object within user in which the value stands, "" for user
	// itself. For Tag only.
	User [][3]string

	// Render says that the loader starts the deflector, once for each form, because
	// the deflector does not start by itself. For Tag and Untracked only.
	Render bool

	Prompt *prompt.Prompt // nil for none
}

// Write sends the answer: 200 with a tag or a prompt, otherwise 204. Nobody may store it.
func (a Answer) Write(w http.ResponseWriter) error {
	h := w.Header()
	forbidStoring(h)
	h[Field] = []string{string(a.Kind)}
	if a.Attributes == nil && a.Prompt == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	h["Content-Type"] = []string{"application/json"}
	h["X-Content-Type-Options"] = []string{"nosniff"}
	_, err := w.Write([]byte(a.json()))
	return err
}

// Refuse sends the answer to a question from another site.
func Refuse(w http.ResponseWriter) {
	forbidStoring(w.Header())
	w.WriteHeader(http.StatusForbidden)
}

// forbidStoring keeps the response with header h out of all caches. A service worker
// that stores every response cannot store one with Vary: *
// (https://www.w3.org/TR/service-workers/#cache-put).
func forbidStoring(h http.Header) {
	h["Cache-Control"] = []string{"no-store"}
	variant.MakePrivate(h) // removes the fields for CDNs that would outrank no-store
	h["Vary"] = []string{"*"}
}

func (a Answer) json() string {
	var b strings.Builder
	member := func(name string) {
		if b.WriteByte(','); b.Len() == 1 {
			b.Reset()
			b.WriteByte('{')
		}
		b.WriteString(`"` + name + `":`)
	}
	if a.Attributes != nil {
		member("script")
		writeArrays(&b, len(a.Attributes), func(i int) []string { return a.Attributes[i][:] })
	}
	if a.User != nil {
		member("user")
		writeArrays(&b, len(a.User), func(i int) []string { return a.User[i][:] })
	}
	if a.Render {
		member("render")
		b.WriteByte('1')
	}
	if a.Prompt != nil {
		member("prompt")
		a.Prompt.WriteJSON(&b)
	}
	b.WriteByte('}')
	return b.String()
}

// writeArrays writes an array of n arrays of strings.
func writeArrays(b *strings.Builder, n int, array func(i int) []string) {
	for i := range n {
		b.WriteByte("[,"[min(i, 1)])
		for j, s := range array(i) {
			b.WriteByte("[,"[min(j, 1)])
			escape.JSON(b, s)
		}
		b.WriteByte(']')
	}
	b.WriteByte(']')
}
