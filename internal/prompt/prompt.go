// Package prompt puts the question for consent together that stands at the form.
package prompt

import (
	"slices"
	"strings"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/escape"
)

// Facts are what the text must speak of.
type Facts struct {
	ID          bool          // the visitor gets kapa_web_id
	IDAge       time.Duration // how long it is kept at most
	Site        string        // the domain or host that the id reaches
	Shared      bool          // it reaches all subdomains of Site
	Email       bool          // the e-mail address typed into the form goes along
	User        []string      // what the site itself tells Kapa: "unique_client_id", "email", and metadata keys
	Fingerprint bool
	ChoiceAge   time.Duration // how long the answer is kept
	Policy      string        // URL of the privacy policy
}

// Texts are what the visitor reads. Empty fields of overrides leave the composed ones.
type Texts struct {
	Text   string // lines; the first is the question, the others explain it
	Accept string // the button for yes
	Refuse string // the button for no
	Change string // the button that shows the question again
}

// Prompt is what the loader shows.
type Prompt struct {
	Language  string // of Text, as a BCP 47 tag; "" if it is not known
	Direction string // "ltr", "rtl", or "" for that of the page

	Texts

	PolicyURL, PolicyLabel string

	Yes, No string // what stands before the Change button after a choice
	Failed  string // what the visitor reads if the choice could not be kept

	Color  string // data-project-color; "" for none
	Choice string // "yes", "no", or "" for no choice
}

// New composes the prompt in the language of the page, a BCP 47 tag: in English if there
// are no texts in that language. Overrides by language tag take precedence, those for
// pt-BR over those for pt, and these over those for "", which is every language.
func New(language string, f Facts, overrides map[string]Texts) Prompt {
	language = canonical(language)
	w, known := lookup(language)
	p := Prompt{
		Language: w.tag,
		Texts:    Texts{Text: w.text(f), Accept: w.accept, Refuse: w.refuse, Change: w.change},
		Yes:      w.yes, No: w.no, Failed: w.failed,
		PolicyURL: f.Policy, PolicyLabel: w.policy,
	}
	texts, from := override(language, overrides)
	replace(&p.Text, texts.Text)
	replace(&p.Accept, texts.Accept)
	replace(&p.Refuse, texts.Refuse)
	replace(&p.Change, texts.Change)
	if texts.Text != "" {
		if p.Language = from; from == "" {
			p.Language = language
		}
		if !known { // these would be in English, which the text is perhaps not
			p.Yes, p.No, p.Failed = "✓ "+p.Accept, "✗ "+p.Refuse, "⚠"
			p.PolicyLabel = strings.TrimPrefix(p.PolicyURL, "https://")
		}
	}
	p.Direction = direction(p.Language)
	return p
}

// override returns the most specific overrides for a language, and the tag under which
// the text stands.
func override(language string, overrides map[string]Texts) (o Texts, from string) {
	byTag := make(map[string]Texts, len(overrides))
	for tag, texts := range overrides {
		byTag[canonical(tag)] = texts
	}
	for tag := range prefixes(language) {
		texts := byTag[tag]
		if o.Text == "" {
			from = tag
		}
		for _, field := range [][2]*string{{&o.Text, &texts.Text}, {&o.Accept, &texts.Accept}, {&o.Refuse, &texts.Refuse}, {&o.Change, &texts.Change}} {
			if *field[0] == "" {
				*field[0] = *field[1]
			}
		}
	}
	return o, from
}

func replace(text *string, by string) {
	if by != "" {
		*text = by
	}
}

// Languages are the languages that there are texts in.
func Languages() (tags []string) {
	for tag := range languages {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	return tags
}

// WriteJSON writes the prompt as prompt.js reads it.
func (p Prompt) WriteJSON(b *strings.Builder) {
	before := `{"`
	for _, member := range [][2]string{
		{"lang", p.Language}, {"dir", p.Direction},
		{"text", p.Text}, {"accept", p.Accept}, {"refuse", p.Refuse}, {"change", p.Change},
		{"yes", p.Yes}, {"no", p.No}, {"failed", p.Failed},
		{"color", p.Color}, {"choice", p.Choice},
	} {
		b.WriteString(before + member[0] + `":`)
		escape.JSON(b, member[1])
		before = `,"`
	}
	b.WriteString(`,"policy":[`)
	escape.JSON(b, p.PolicyURL)
	b.WriteByte(',')
	escape.JSON(b, p.PolicyLabel)
	b.WriteString("]}")
}
