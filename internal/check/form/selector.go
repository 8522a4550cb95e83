package form

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

// Selector returns a short selector for an element that finds no other element of the
// page. It prefers what somebody wrote on purpose: ids and names first, then other
// attributes, and the element's place in the tree last. within is an element around n
// that a selector may begin with, nil for none.
func Selector(p *dom.Page, n, within *html.Node) string {
	own := ownSelectors(p, n)
	for _, s := range own {
		if s.alone && isOnly(p, s.text, n) {
			return s.text
		}
	}
	if within != nil && within != n {
		outer := Selector(p, within, nil)
		for _, s := range own {
			if text := outer + " " + s.text; isOnly(p, text, n) {
				return text
			}
		}
	}
	for _, s := range own {
		if isOnly(p, s.text, n) && (s.text != n.Data || n.DataAtom != atom.Form) {
			return s.text
		}
	}
	return byPlace(p, n, own)
}

// byPlace returns a selector that says where in the tree n is, from the nearest element
// that has a selector of its own.
func byPlace(p *dom.Page, n *html.Node, own []candidate) string {
	step := stepTo(n)
	for up := n.Parent; up != nil && up.Type == html.ElementNode; up = up.Parent {
		for _, outer := range ownSelectors(p, up) {
			if outer.text == up.Data && up.DataAtom != atom.Main && up.DataAtom != atom.Body || !isOnly(p, outer.text, up) {
				continue
			}
			for _, s := range own {
				if text := outer.text + " " + s.text; isOnly(p, text, n) {
					return text
				}
			}
			if text := outer.text + " > " + step; isOnly(p, text, n) {
				return text
			}
		}
		step = stepTo(up) + " > " + step
	}
	return step
}

// stepTo returns a selector for n among the children of its parent.
func stepTo(n *html.Node) string {
	named := identifier.MatchString(n.Data)
	place := 1
	for e := n.PrevSibling; e != nil; e = e.PrevSibling {
		if e.Type == html.ElementNode && (e.Data == n.Data || !named) {
			place++
		}
	}
	if named {
		return n.Data + ":nth-of-type(" + strconv.Itoa(place) + ")"
	}
	return ":nth-child(" + strconv.Itoa(place) + ")"
}

// isOnly reports whether a selector finds n and nothing else.
func isOnly(p *dom.Page, selector string, n *html.Node) bool {
	r := p.Query(selector)
	return len(r.Found) == 1 && r.Found[0] == n
}

// A candidate is a selector that says something of an element.
type candidate struct {
	text  string
	alone bool // it is good enough without an element around it
}

// commonName matches names that other forms of the site may have, too.
var commonName = regexp.MustCompile(`(?i)^(commit|submit|send|save|go|op|action|button|_?submit_?button)$`)

// testAttributes are attributes that are there to find elements by.
var testAttributes = []string{"data-testid", "data-test-id", "data-test", "data-qa", "data-cy", "data-form", "data-helper"}

// ownSelectors returns the selectors of an element, the best first.
func ownSelectors(p *dom.Page, n *html.Node) (all []candidate) {
	add := func(alone bool, text string) { all = append(all, candidate{text, alone}) }
	id, name, tag := dom.Value(n, "id"), dom.Value(n, "name"), n.Data
	if !identifier.MatchString(tag) { // such as that of <a!>
		tag = "*"
	}
	if gradeOf(id) == chosen {
		add(true, idSelector(id))
	}
	if gradeOf(name) != generated { // forms are sent by names, so their numbers stay
		add(!commonName.MatchString(name), tag+attributeSelector("name", name))
	}
	for _, attribute := range testAttributes {
		if value := dom.Value(n, attribute); gradeOf(value) == chosen {
			add(true, tag+attributeSelector(attribute, value))
		}
	}
	kind := dom.InputType(n)
	if (n.DataAtom == atom.Input || n.DataAtom == atom.Button) && kind != "text" && identifier.MatchString(kind) {
		add(false, tag+"[type="+kind+"]")
	}
	if n.DataAtom == atom.Form {
		if action := dom.Value(n, "action"); isPlainPath(action) {
			add(true, "form"+attributeSelector("action", action))
		}
	}
	if class := nameClass(dom.Value(n, "class")); class != "" {
		add(n.DataAtom == atom.Form || dom.IsEditable(n), tag+"."+class)
	}
	if role := dom.Value(n, "role"); role != "" && identifier.MatchString(role) {
		add(false, tag+"[role="+role+"]")
	}
	if gradeOf(id) == counted {
		add(true, idSelector(id))
	}
	if n.DataAtom == atom.Form {
		if text := byField(p, n); text != "" {
			add(true, text)
		}
	}
	add(dom.IsCustom(n), tag)
	return all
}

// byField returns a selector for a form by the first of its fields that has a name.
func byField(p *dom.Page, form *html.Node) string {
	for _, kind := range []atom.Atom{atom.Textarea, atom.Input} {
		for n := range dom.Below(form) {
			name := dom.Value(n, "name")
			if n.DataAtom != kind || dom.InputType(n) == "hidden" || gradeOf(name) != chosen {
				continue
			}
			if text := "form:has(" + n.Data + attributeSelector("name", name) + ")"; isOnly(p, text, form) {
				return text
			}
		}
	}
	return ""
}

// isPlainPath reports whether a form's action is a path that is the same for everybody:
// without a query, and without numbers and hashes.
func isPlainPath(action string) bool {
	u, err := url.Parse(action)
	return err == nil && action != "" && action != "/" && u.RawQuery == "" && u.Fragment == "" && gradeOf(action) == chosen && u.Host == ""
}

// identifier matches what stands in a selector without quotes.
var identifier = regexp.MustCompile(`^-?[A-Za-z_][\w-]*$`)

func idSelector(id string) string {
	if identifier.MatchString(id) {
		return "#" + id
	}
	return attributeSelector("id", id)
}

// attributeSelector returns a selector for an attribute. It uses single quotes, because
// double quotes go around it in a Caddyfile.
func attributeSelector(name, value string) string {
	if identifier.MatchString(value) {
		return "[" + name + "=" + value + "]"
	}
	return "[" + name + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "']"
}
