package check

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/form"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/framework"
)

// A page may have the tag, and the deflector may still not work there. What is in this
// file looks for the reasons.

// checkFramework reports that a framework takes the page over. If the tag waits for
// render(), the site's own code has taken care of that.
func (j *judge) checkFramework(t tag) {
	if t.attr(attrRender) == "false" || t.place == byLoader {
		return
	}
	f, ok := framework.Of(j.page.Page)
	if found := j.page.Query(t.attr(attrInput)).Found; found != nil && f.Kind < framework.Hydrates {
		if around, is := framework.Around(found[0]); is {
			f, ok = around, true
		}
	}
	switch {
	case !ok:
	case f.Kind == framework.Hydrates:
		j.finding(codeFramework, aboutTag, "%s takes this page over after it has loaded. If the deflector is there first, it may keep hold of a form that is replaced, "+
			"and visitors who come by a link within the site get no tag: write loader", f.Name)
	case f.Kind == framework.Draws:
		j.finding(codeFramework, aboutTag, "%s draws this page, and the form with it, after the deflector has looked for the form: write loader", f.Name)
	case f.Name == framework.Turbo:
		j.note(codeTurbo, aboutTag, "Turbo shows pages without loading them. Caddy makes it load pages with the tag in full; with loader it need not")
	default:
		j.finding(codeClientNavigation, aboutTag, "%s shows pages without loading them, so visitors who come by a link get no tag: write loader, or have links to the form load it in full", f.Name)
	}
}

// checkEditor reports that an editor takes the place of the field.
func (j *judge) checkEditor(t tag, field *html.Node) {
	e := form.EditorFor(j.page.Page, field)
	switch {
	case e == nil:
	case e.Sure:
		j.finding(codeEditor, attrInput, "an editor, %s, takes the place of %s, which then stays empty while visitors type: write \"%s\", and loader", e.Name, describe(field), e.Input)
	default:
		j.note(codeEditorSeen, attrInput, "the page loads an editor, %s. If it takes the place of %s, write \"%s\", and loader", e.Name, describe(field), e.Input)
	}
}

// isMadeByEditor reports whether a selector is for what an editor puts in the place of a
// field of the page.
func (j *judge) isMadeByEditor(selector string) bool {
	return slices.ContainsFunc(form.Find(j.page.Page), func(f form.Form) bool { return f.Editor != nil && f.Editor.Input == selector })
}

// checkBoundary reports that a selector does not cross the boundary of a frame or of a
// shadow root, or cannot. It returns false if there is none to report.
func (j *judge) checkBoundary(a html.Attribute, r dom.Result) bool {
	steps := dom.Steps(a.Val)
	if r.State == dom.Nothing && len(steps) == 1 {
		return j.checkHidden(a)
	}
	if len(steps) == 1 || r.Host == nil {
		return false
	}
	isFrame := r.Host.DataAtom == atom.Iframe || r.Host.DataAtom == atom.Frame
	src := strings.TrimSpace(dom.Value(r.Host, "src"))
	switch entersFrame := strings.Contains(a.Val, dom.FrameOperator); {
	case entersFrame && len(steps) == 2 && !isFrame:
		j.finding(codeSelectorBoundary, a.Key, "%s leads into a frame, but %s is none", dom.FrameOperator, describe(r.Host))
	case !entersFrame && isFrame:
		j.finding(codeSelectorBoundary, a.Key, "%s is a frame: write %s to lead into it", describe(r.Host), dom.FrameOperator)
	case isFrame && src != "" && !j.isOwnOrigin(src):
		j.finding(codeFormElsewhere, a.Key, "browsers let no script of this page into the frame %s, which is of another origin: put the tag into the frame's page, on its own site", Short(src))
	default:
		return false
	}
	return true
}

// checkHidden reports that what a selector is for is in a frame or in a shadow root.
func (j *judge) checkHidden(a html.Attribute) bool {
	host := j.page.Hidden(a.Val)
	if host == nil {
		return false
	}
	if host.DataAtom == atom.Iframe {
		j.finding(codeSelectorBoundary, a.Key, "what it selects is in a frame: write \"%s %s %s\"", form.Selector(j.page.Page, host, nil), dom.FrameOperator, Short(a.Val))
		return true
	}
	j.finding(codeSelectorBoundary, a.Key, "what it selects is in the shadow root of %s, into which no CSS leads: write %s, then Kapa's operator for shadow roots, then %s "+
		"(https://docs.kapa.ai/integrations/support-form-deflector/guides/dom-boundaries)", describe(host), form.Selector(j.page.Page, host, nil), Short(a.Val))
	return true
}

// isOwnOrigin reports whether an address in the page is of the page's own origin.
func (j *judge) isOwnOrigin(address string) bool {
	page := j.response.Address()
	u, err := j.page.Base(page, nil).Parse(address)
	return err == nil && (u.Scheme == page.Scheme && strings.EqualFold(u.Host, page.Host) || u.Scheme == "about" || u.Scheme == "blob")
}

// Titles of pages that stand in the place of a form, although their status is 200.
var (
	loginTitle = regexp.MustCompile(`(?i)\b(log|sign)[ -]?(in|on)\b|anmelden|connexion|iniciar sesi|single sign`)
	errorTitle = regexp.MustCompile(`(?i)\b(error|not found|forbidden|denied|unavailable|maintenance|forgery|fehler|wartung|erreur|introuvable)\b|\b[45]\d\d\b`)
)

// checkTitle reports that the page is likely another one than the form's, by its title.
func (j *judge) checkTitle() {
	switch title := j.page.Title(); {
	case loginTitle.MatchString(title):
		j.finding(codeLogin, aboutTag, "the page \"%s\" has nothing of the form, and seems to ask for a login: to see the form, also pass the session cookie, with another --cookie", Short(title))
	case errorTitle.MatchString(title):
		j.finding(codeErrorPage, aboutTag, "the page \"%s\" has nothing of the form, and seems to be an error: is this the address of the form?", Short(title))
	}
}

// checkFrame reports that the form is in a frame.
func (j *judge) checkFrame() {
	frame, address := j.page.Frame()
	if frame == nil || j.page.First(atom.Form, atom.Frameset) != nil {
		return
	}
	if j.isOwnOrigin(address) || !formFrame.MatchString(address+" "+dom.Value(frame, "title")+" "+dom.Value(frame, "id")) {
		j.note(codeFormInFrame, aboutTag, "the page has a frame but no form: if the form is in the frame, the tag belongs in the page of the frame, %s", Short(address))
		return
	}
	j.finding(codeFormElsewhere, aboutTag, "the page has no form, but a frame of another origin, %s. If the form is in it, the tag does not work here: browsers let no script of this page into it. "+
		"Put the tag into the frame's page, on its own site", Short(address))
}

// formFrame matches what frames with forms are called. Other frames show films and maps.
var formFrame = regexp.MustCompile(`(?i)form|ticket|support|contact|help|request|issue|feedback|survey|desk`)

// checkEmbedder judges a Cross-Origin-Embedder-Policy, under which browsers load scripts
// of other sites only if these agree (https://html.spec.whatwg.org/#coep).
func (j *judge) checkEmbedder(t tag) {
	value, _, _ := strings.Cut(j.response.Header.Get("Cross-Origin-Embedder-Policy"), ";")
	_, cors := dom.Attribute(t.node, "crossorigin")
	if !strings.EqualFold(strings.TrimSpace(value), "require-corp") || cors || j.isOwnOrigin(t.src()) {
		return
	}
	b := j.site.Bundle
	if b == nil || b.Response == nil {
		j.note(codeEmbedderPolicySeen, aboutPolicy, "the page has Cross-Origin-Embedder-Policy: require-corp. --bundle says whether browsers then load the script")
		return
	}
	if !strings.EqualFold(strings.TrimSpace(b.Response.Header.Get("Cross-Origin-Resource-Policy")), "cross-origin") {
		j.finding(codeEmbedderPolicy, aboutPolicy, "the page's Cross-Origin-Embedder-Policy: require-corp blocks the script, because the script has no Cross-Origin-Resource-Policy: cross-origin. "+
			"Serve the script from the site itself, or send credentialless on this page")
	}
}

// listForms lists the page's forms in the report.
func (j *judge) listForms() {
	for _, f := range form.Find(j.page.Page) {
		if f.Input == nil && f.Button == nil {
			continue
		}
		parts := f.Parts(j.page.Page)
		j.report.Forms = append(j.report.Forms, PageForm{Form: parts.Anchor, Input: parts.Input, Button: parts.Button, Email: parts.Email, Event: parts.Event})
		if len(j.report.Forms) == mostForms {
			return
		}
	}
}

// mostForms is how many forms the report lists.
const mostForms = 5
