// Package draft writes a Caddyfile for the page of a support form.
package draft

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/authority"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/form"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/framework"
)

// A Draft is a block for a page, and what was found.
type Draft struct {
	site, upstream string   // the site's address and its server, as a Caddyfile has them
	block          []string // lines; that of pages is blockPages
	pages          string   // the path

	// Found has what the page shows, and why the Caddyfile is as it is. ToDo has what the
	// page does not show, so that somebody must look it up. Each is a paragraph.
	Found, ToDo []string
}

// Of drafts a block for a page. cookies is the Cookie field of a visitor who has
// consented, "" if it is not known. number is the form that the block is for, as List
// numbers them; 0 for the likeliest one. It returns an error if there is no form of this
// number.
func Of(page *check.Response, cookies string, number int) (Draft, error) {
	d := drafter{response: page, page: dom.Parse(page.Body), address: page.Address()}
	if why := page.NoForm(); why != "" {
		d.todo("%s", why)
	}
	if err := d.chooseForm(number); err != nil {
		return Draft{}, err
	}
	d.chooseLoader()
	d.chooseConsent(cookies)
	d.choosePolicy()
	d.lookAround()
	d.site, d.upstream = d.addresses()
	d.pages = d.path()
	d.block = d.lines()
	return d.Draft, nil
}

// drafter is the state of a draft.
type drafter struct {
	Draft
	response *check.Response
	page     *dom.Page
	address  *url.URL

	forms    []form.Form
	parts    form.Parts
	software string // that draws the form
	consent  consentLine
	loader   string // why the loader is needed; "" if it is not
	extend   bool   // csp extend
}

func (d *drafter) found(format string, args ...any) {
	d.Found = append(d.Found, check.Clean(fmt.Sprintf(format, args...)))
}

func (d *drafter) todo(format string, args ...any) {
	d.ToDo = append(d.ToDo, check.Clean(fmt.Sprintf(format, args...)))
}

// chooseForm chooses the form.
func (d *drafter) chooseForm(number int) error {
	d.forms = form.Find(d.page)
	if number > len(d.forms) || number < 0 {
		return fmt.Errorf("--form %d: the page has %s", number, count(len(d.forms), "form"))
	}
	for i, f := range d.forms[:min(len(d.forms), mostForms)] {
		d.found("form %d: %s", i+1, describe(d.page, f))
	}
	chosen := max(number, 1) - 1
	if number == 0 && (len(d.forms) == 0 || !d.forms[0].Likely()) {
		d.withoutForm()
		return nil
	}
	f := d.forms[chosen]
	d.parts = f.Parts(d.page)
	d.found("the block is for form %d; its event is %s, because %s", chosen+1, d.parts.Event, f.WhyEvent())
	if number == 0 && len(d.forms) > 1 && d.forms[1].Likely() && d.forms[1].Points > f.Points-20 {
		d.found("form 2 may be the one that you mean: with --form 2 the block is for it. One page has one deflector")
	}
	switch e := f.Editor; {
	case e == nil:
	case e.Sure:
		d.needLoader("an editor, %s, takes the place of the field", e.Name)
		d.found("%s takes the place of %s; visitors type into %s. See whether Kapa gets what you type", e.Name, form.Selector(d.page, f.Input, f.Node), e.Input)
	default:
		d.found("the page loads %s. If it takes the place of the field, write %s instead, and loader", e.Name, e.Input)
	}
	if f, ok := framework.Around(f.Node); ok {
		d.needLoader("%s takes the form over", f.Name)
	}
	if d.parts.Input == "" {
		d.todo("form %d has no field for a description: write its selector into data-main-input-query-selector", chosen+1)
	}
	if d.parts.Button == "" {
		d.todo("form %d has no button: write its selector into data-submit-button-query-selector", chosen+1)
	}
	return nil
}

// mostForms is how many forms are described.
const mostForms = 8

// withoutForm is for pages whose source has no support form.
func (d *drafter) withoutForm() {
	if drawn, ok := form.FindDrawn(d.page); ok {
		d.parts, d.software = drawn.Parts, drawn.Software
		d.needLoader("a script draws the form")
		d.found("%s is drawn by a script. The selectors are what it draws today: try them in the browser's console, with document.querySelector('...')", drawn.Software)
		return
	}
	if frame, address := d.page.Frame(); frame != nil && len(d.forms) == 0 {
		d.todo("the page has no form, but a frame, %s: if the form is in it, ask for the frame's page, and put that page behind Caddy", check.Short(address))
		return
	}
	d.needLoader("a script draws the form")
	d.todo("no form of the page looks like a support form. If a script draws it, look at it in the browser's developer tools, and write its selectors where TODO stands; " +
		"if it is another one of those above, use --form")
}

// chooseLoader says whether a framework takes the page over.
func (d *drafter) chooseLoader() {
	f, ok := framework.Of(d.page)
	if !ok {
		return
	}
	switch f.Kind {
	case framework.Hydrates:
		d.needLoader("%s takes the page over, and may replace the form", f.Name)
	case framework.Draws:
		d.needLoader("%s draws the page", f.Name)
	case framework.Navigates:
		d.needLoader("%s replaces the page's body when a link is followed", f.Name)
	}
}

// needLoader keeps the first reason, and says all of them.
func (d *drafter) needLoader(format string, args ...any) {
	why := fmt.Sprintf(format, args...)
	if d.loader == "" {
		d.loader = why
	}
	d.found("loader, because %s", why)
}

// lookAround says what else may matter.
func (d *drafter) lookAround() {
	if check.HasTag(d.response) {
		d.found("the page has a tag of the deflector already: remove it from the page's template, or do not use the directive")
	}
	if d.address.Path == "/" && d.loader == "" {
		d.found("pages / is the start page alone; list the other pages that have the form")
	}
	if d.parts.Email != "" {
		d.found("Kapa gets the visitor's e-mail address if you uncomment data-user-email-query-selector")
	}
}

// blockPages stands for the line with the paths of a block's pages.
const blockPages = "pages"

// lines returns the lines of the block.
func (d *drafter) lines() (lines []string) {
	line := func(words ...string) { lines = append(lines, strings.Join(words, " ")) }
	line("data-integration-id {env.KAPA_INTEGRATION_ID}")
	for _, a := range []struct{ name, value string }{
		{"data-main-input-query-selector", d.parts.Input},
		{"data-submit-element-query-selector", d.parts.Submit},
		{"data-submit-element-event-type", d.parts.Event},
		{"data-submit-button-query-selector", d.parts.Button},
		{"data-anchor-element-query-selector", d.parts.Anchor},
	} {
		if a.value == "" {
			line("# TODO", a.name)
		} else {
			line(a.name, quote(a.value))
		}
	}
	if d.parts.Email != "" {
		line("# data-user-email-query-selector", quote(d.parts.Email), "# only if Kapa may know the visitor's e-mail address")
	}
	line(blockPages)
	lines = append(lines, d.consent.lines...)
	if d.loader != "" {
		line("loader")
	}
	if d.extend {
		line("csp extend")
	}
	return lines
}

// Caddyfile returns the Caddyfile for all drafts, which must be for one site. Its lines are
// as caddy fmt would write them. Drafts with the same lines share a block.
func Caddyfile(drafts []Draft) (string, error) {
	var blocks []Draft
	for _, d := range drafts {
		if d.site != drafts[0].site {
			return "", fmt.Errorf("the pages are of two sites, %s and %s: write a Caddyfile for each", drafts[0].site, d.site)
		}
		same := slices.IndexFunc(blocks, func(b Draft) bool { return slices.Equal(b.block, d.block) })
		switch {
		case same < 0:
			blocks = append(blocks, d)
		case !slices.Contains(strings.Fields(blocks[same].pages), d.pages):
			blocks[same].pages += " " + d.pages
		}
	}
	var b strings.Builder
	b.WriteString(drafts[0].site + " {\n\tencode\n")
	for _, d := range blocks {
		b.WriteString("\n\tkapa_deflector {\n")
		for _, line := range d.block {
			if line == blockPages {
				line += " " + d.pages
			}
			b.WriteString("\t\t" + line + "\n")
		}
		b.WriteString("\t}\n")
	}
	b.WriteString("\n\treverse_proxy " + drafts[0].upstream + "\n}\n")
	return b.String(), nil
}

// tryPort is where the site is served if its address is one of this machine: the port
// that its own server has is taken.
const tryPort = "2015"

// addresses returns the site's address and its upstream, as a Caddyfile has them.
func (d *drafter) addresses() (site, upstream string) {
	u := d.address
	if !authority.IsLoopback(u.Hostname()) {
		site = u.Host
		if u.Scheme == "http" {
			site = "http://" + u.Host
		}
		d.found("reverse_proxy needs the address of the server that answers for %s today", u.Host)
		return site, "127.0.0.1:3000 # CHANGE: where your site is"
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	upstream = "127.0.0.1:" + port
	if u.Scheme == "https" {
		upstream = "https://" + upstream
	}
	site = "http://" + strings.TrimSuffix(u.Host, ":"+u.Port()) + ":" + tryPort
	d.found("to try it: KAPA_INTEGRATION_ID=... caddy run, and open %s%s", site, check.Short(u.EscapedPath()))
	return site, upstream
}

// path returns the page's path as Caddy compares it, quoted where a Caddyfile needs it.
func (d *drafter) path() string {
	if d.address.Path == "" {
		return "/"
	}
	if strings.ContainsAny(d.address.Path, "*{}\"`\n") || strings.ContainsFunc(d.address.Path, isUnprintable) {
		d.found("the page's path has characters that mean something in a Caddyfile: correct pages")
		return "/*"
	}
	return quote(d.address.Path)
}

// describe says what a form looks like.
func describe(p *dom.Page, f form.Form) string {
	what := form.Selector(p, f.Node, nil)
	if !f.IsElement() {
		what += ", which is no <form>"
	}
	why := f.Why
	if why == nil {
		why = []string{"no field for text"}
	}
	return what + ": " + strings.Join(why, ", ")
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "1 " + what
	default:
		return fmt.Sprintf("%d %ss", n, what)
	}
}

// links returns the addresses of the page's links whose text or address matches.
func (d *drafter) links(matches func(text, href string) bool) (found []string) {
	for n := range d.page.Elements {
		href := dom.Value(n, "href")
		if n.DataAtom == atom.A && href != "" && matches(dom.Text(n), href) && !slices.Contains(found, href) {
			found = append(found, href)
		}
	}
	return found
}

// Tell writes what was found and what is left to do. hide takes out what must not be shown,
// because the page may repeat what the user has passed.
func (d Draft) Tell(w io.Writer, hide func(string) string) error {
	var b strings.Builder
	for _, list := range []struct {
		mark  string
		texts []string
	}{{"found", d.Found}, {"TODO ", d.ToDo}} {
		for _, text := range list.texts {
			b.WriteString(list.mark + "  " + check.Wrap(hide(text), "       ") + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
