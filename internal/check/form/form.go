// Package form finds the forms of a page, and how to name their parts by selectors.
package form

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

// A Form is a form of a page, or a field and a button that belong together without a
// form element around them.
type Form struct {
	Node   *html.Node // the form element, or the nearest element around field and button
	Input  *html.Node // the field for the problem; nil if there is none
	Button *html.Node // sends the form; nil if there is none
	Email  *html.Node // nil if there is none
	Editor *Editor    // what replaces Input; nil if nothing does

	// Points say how much it looks like a support form.
	Points int
	// Why has the signs that it is one, or is not.
	Why []string
}

// IsElement reports whether there is a form element.
func (f Form) IsElement() bool { return f.Node.DataAtom == atom.Form }

// Likely reports whether it can be a support form.
func (f Form) Likely() bool { return f.Input != nil && f.Points > 0 }

// Words by which forms and their parts are told apart, in some languages.
var (
	supportWords = regexp.MustCompile(`(?i)ticket|support|contact|kontakt|contatt|help|hilfe|aide|ayuda|aiuto|issue|request|anfrage|demande|solicit|richiest|` +
		`feedback|problem|question|frage|enquir|inquir|bug|report|incident|complaint|reply`)
	otherWords = regexp.MustCompile(`(?i)search|suche|recherche|buscar|cerca\b|log-?in|sign-?(in|up)|anmeld|password|newsletter|subscri|mc4wp|mailchimp|` +
		`comment-?form|vote|rating|cart|checkout|filter|language|locale|cookie|consent|log-?out|quick`)
	inputWords = regexp.MustCompile(`(?i)descri|beschreib|message|nachricht|mensaje|messaggio|mensagem|body|content|detail|problem|issue|question|frage|anfrage|` +
		`comment|enquiry|inquiry|request|what|happen|help`)
	notInputWords = regexp.MustCompile(`(?i)captcha|turnstile|signature|address|anschrift|css|\btags?\b|url|search|subject|title|summary|betreff|e-?mail|phone|name$|\bcc\b|note`)
	emailWords    = regexp.MustCompile(`(?i)e-?mail|requester|requestor|\bfrom\b`)
	notEmailWords = regexp.MustCompile(`(?i)\bcc\b|bcc|admincc|confirm|repeat|newsletter|search|subject`)
	sendWords     = regexp.MustCompile(`(?i)submit|send|create|absenden|senden|anlegen|envoyer|enviar|invia|verzend|commit|post`)
	notSendWords  = regexp.MustCompile(`(?i)preview|vorschau|draft|cancel|abbrech|reset|search|upload|attach|add\b|remove|delete|captcha|back|continue|close|toggle|menu|change`)
)

// Limits for the work that a page can cause.
const (
	maxForms    = 50   // form elements that are looked at
	maxLoose    = 10   // fields in no form
	maxControls = 2000 // fields and buttons
	maxLevels   = 12   // that a field in no form is away from its button
)

// Find returns the forms of a page, those that look most like a support form first.
func Find(p *dom.Page) (forms []Form) {
	s := newSearch(p)
	for n := range p.Elements {
		if n.DataAtom == atom.Form && len(forms) < maxForms {
			forms = append(forms, s.newForm(n, s.controls[n]))
		}
	}
	forms = append(forms, s.loose()...)
	slices.SortStableFunc(forms, func(a, b Form) int { return b.Points - a.Points })
	return forms
}

// A search is what is gathered of a page once.
type search struct {
	page     *dom.Page
	controls map[*html.Node][]*html.Node // the fields and buttons of each form; under nil, those of none
	labels   map[string]string           // by the id that they are for
	headings map[*html.Node]string       // the last heading before a form or a control
}

func newSearch(p *dom.Page) *search {
	s := &search{page: p, controls: make(map[*html.Node][]*html.Node), labels: make(map[string]string), headings: make(map[*html.Node]string)}
	heading, count := "", 0
	for n := range p.Elements {
		switch id := dom.Value(n, "for"); {
		case isHeading(n):
			heading = dom.Text(n)
		case n.DataAtom == atom.Label && id != "" && len(s.labels) < maxControls:
			s.labels[id] = dom.Text(n)
		case n.DataAtom == atom.Form:
			s.headings[n] = heading
		case isControl(n) && count < maxControls:
			count++
			s.headings[n] = heading
			owner := p.FormOf(n)
			s.controls[owner] = append(s.controls[owner], n)
		}
	}
	return s
}

// isControl reports whether n may be a field or a button. What other custom elements are
// is not known.
func isControl(n *html.Node) bool {
	if dom.IsCustom(n) {
		return n.Data == "trix-editor"
	}
	return dom.TakesText(n) || dom.IsButton(n) || isEditorPlace(n)
}

// loose returns what serves as forms without being one: each field of several lines
// that is in no form, with the nearest button.
func (s *search) loose() (forms []Form) {
	fields := 0
	for _, field := range s.controls[nil] {
		if field.DataAtom != atom.Textarea && !dom.IsEditable(field) || dom.IsHidden(field) {
			continue
		}
		if fields++; fields > maxLoose {
			break
		}
		around := field.Parent
		for level := 0; level < maxLevels && around != nil && around.DataAtom != atom.Html; level, around = level+1, around.Parent {
			var inside []*html.Node
			for _, n := range s.controls[nil] {
				if isInside(n, around) {
					inside = append(inside, n)
				}
			}
			s.headings[around] = s.headings[field]
			if f := s.newForm(around, inside); f.Button != nil {
				if !slices.ContainsFunc(forms, func(other Form) bool { return other.Node == around }) {
					forms = append(forms, f)
				}
				break
			}
		}
	}
	return forms
}

// isInside reports whether n is in another element.
func isInside(n, other *html.Node) bool {
	for n = n.Parent; n != nil; n = n.Parent {
		if n == other {
			return true
		}
	}
	return false
}

func (s *search) newForm(n *html.Node, controls []*html.Node) Form {
	f := Form{Node: n}
	f.Input = best(controls, s.inputPoints)
	f.Button = best(controls, buttonPoints)
	f.Email = best(controls, s.emailPoints)
	if f.Input != nil {
		f.Editor = editorOf(s.page, f)
	}
	s.rank(&f, controls)
	return f
}

// best returns the first of the controls with the most points, nil if none has any.
func best(controls []*html.Node, points func(*html.Node) int) (first *html.Node) {
	most := 0
	for _, c := range controls {
		if n := points(c); n > most {
			first, most = c, n
		}
	}
	return first
}

// rank adds up the signs.
func (s *search) rank(f *Form, controls []*html.Node) {
	sign := func(points int, why string) { f.Points, f.Why = f.Points+points, append(f.Why, why) }
	if f.Input != nil {
		if isLong(f.Input) {
			sign(40, "a field of several lines")
		} else {
			sign(4, "a field of one line")
		}
		if inputWords.MatchString(ownWords(f.Input) + s.labelOf(f.Input)) {
			sign(10, "named like a description")
		}
	}
	if own := ownWords(f.Node); otherWords.MatchString(own) || strings.EqualFold(dom.Value(f.Node, "role"), "search") {
		sign(-60, "named like another kind of form")
	} else if supportWords.MatchString(own) {
		sign(20, "named like a support form")
	}
	if supportWords.MatchString(s.headings[f.Node] + " " + firstHeading(f.Node)) {
		sign(10, "a heading about support")
	}
	if f.Email != nil {
		sign(8, "a field for an e-mail address")
	}
	if strings.EqualFold(dom.Value(f.Node, "method"), "post") {
		sign(5, "sent by POST")
	}
	if slices.ContainsFunc(controls, func(n *html.Node) bool { return dom.InputType(n) == "password" }) {
		sign(-60, "a password")
	}
	for _, name := range []atom.Atom{atom.Header, atom.Footer, atom.Nav, atom.Aside} {
		if dom.Ancestor(f.Node, name) != nil {
			sign(-15, "in the page's "+name.String())
		}
	}
	if dom.IsHidden(f.Node) {
		sign(-10, "hidden at first")
	}
}

// isLong reports whether a field has room for a description.
func isLong(n *html.Node) bool { return n.DataAtom != atom.Input }

// inputPoints says how good a field is for the problem, 0 if it is none.
func (s *search) inputPoints(n *html.Node) int {
	if !dom.TakesText(n) && !isEditorPlace(n) || dom.IsHidden(n) && !isEditorPlace(n) || isTrap(n) {
		return 0
	}
	points := 20
	if isLong(n) {
		points = 100
	} else if kind := dom.InputType(n); kind != "" && kind != "text" {
		return 0 // such as an e-mail address
	}
	words := ownWords(n)
	if inputWords.MatchString(words) {
		points += 30
	} else if inputWords.MatchString(s.labelOf(n)) {
		points += 20
	}
	if notInputWords.MatchString(words) {
		points -= 40
	}
	if _, required := dom.Attribute(n, "required"); required {
		points += 5
	}
	return points
}

// buttonPoints says how much a button looks like the one that sends, 0 if it does not.
func buttonPoints(n *html.Node) int {
	words := ownWords(n) + " " + dom.Value(n, "value") + " " + dom.Text(n)
	if !dom.IsButton(n) || dom.InputType(n) == "reset" {
		return 0
	}
	points := 10
	switch {
	case dom.Submits(n):
		points = 60
	case !sendWords.MatchString(words):
		return 0 // one that does something else
	}
	if sendWords.MatchString(words) {
		points += 20
	}
	if notSendWords.MatchString(words) {
		points -= 40
	}
	if _, skips := dom.Attribute(n, "formnovalidate"); skips {
		points -= 20
	}
	if dom.IsHidden(n) {
		points -= 30
	}
	return points
}

func (s *search) emailPoints(n *html.Node) int {
	words := ownWords(n)
	switch {
	case n.DataAtom != atom.Input || !dom.TakesText(n) || dom.IsHidden(n) || isTrap(n) || notEmailWords.MatchString(words):
		return 0
	case dom.InputType(n) == "email":
		return 3
	case emailWords.MatchString(words):
		return 2
	case emailWords.MatchString(s.labelOf(n)):
		return 1
	default:
		return 0
	}
}

// isTrap reports whether a field is there to catch robots, or cannot be filled in.
func isTrap(n *html.Node) bool {
	_, disabled := dom.Attribute(n, "disabled")
	_, readonly := dom.Attribute(n, "readonly")
	return disabled || readonly || dom.Value(n, "tabindex") == "-1" && n.DataAtom != atom.Div ||
		trapWords.MatchString(ownWords(n))
}

var trapWords = regexp.MustCompile(`(?i)honey|captcha|turnstile|leave.?(this.?)?(blank|empty)`)

// ownWords returns what an element is called by its attributes.
func ownWords(n *html.Node) string {
	var words []string
	for _, name := range []string{"id", "name", "class", "action", "aria-label", "placeholder"} {
		if value := dom.Value(n, name); value != "" {
			words = append(words, value)
		}
	}
	return strings.Join(words, " ")
}

// labelOf returns the text of a field's label.
func (s *search) labelOf(n *html.Node) string {
	if label := dom.Ancestor(n, atom.Label); label != nil {
		return dom.Text(label)
	}
	return s.labels[dom.Value(n, "id")]
}

// firstHeading returns the text of the first heading in an element.
func firstHeading(n *html.Node) string {
	for e := range dom.Below(n) {
		if isHeading(e) {
			return dom.Text(e)
		}
	}
	return ""
}

func isHeading(n *html.Node) bool {
	switch n.DataAtom {
	case atom.H1, atom.H2, atom.H3, atom.Legend:
		return true
	default:
		return false
	}
}
