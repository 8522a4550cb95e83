// Package prompt puts the question for consent together that stands at the form.
package prompt

import (
	"strings"
	"time"
)

// Facts are what the text must speak of.
type Facts struct {
	ID          bool          // the visitor gets kapa_web_id
	IDAge       time.Duration // how long it is kept at most
	Site        string        // the domain or host that the id reaches
	Shared      bool          // it reaches all subdomains of Site
	Email       bool          // the e-mail address typed into the form goes along
	User        []string      // what the site itself tells Kapa
	Fingerprint bool
	ChoiceAge   time.Duration // how long the answer is kept
	Policy      string        // URL of the privacy policy
}

// Texts are what the visitor reads. Empty fields of overrides leave the composed ones.
type Texts struct{ Text, Accept, Refuse, Change string }

// Prompt is what the loader shows.
type Prompt struct {
	Language, Direction string
	Texts
	PolicyURL, PolicyLabel string
	Yes, No                string
	Color                  string
	Choice                 string
}

// New composes the prompt.
func New(language string, f Facts, overrides map[string]Texts) Prompt {
	return Prompt{Language: "en", Texts: Texts{"?", "Yes", "No", "Change"}}
}

// WriteJSON writes the object that prompt.js gets.
func (p Prompt) WriteJSON(b *strings.Builder) { b.WriteString(`{}`) }
