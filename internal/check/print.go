package check

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

// state is the first column of a row of the table.
type state struct{ word, color string }

var (
	fine  = state{"ok", "\x1b[32m"}
	noted = state{"note", "\x1b[33m"}
	wrong = state{"wrong", "\x1b[31m"}
)

// plain ends a color.
const plain = "\x1b[0m"

// Print writes the report as a table, followed by its findings and notes. color says
// whether to use colors.
func (r *Report) Print(w io.Writer, color bool) error {
	p := printer{Writer: w, color: color}
	p.line("%s", r.URL)
	p.line("%s", "")
	p.response(aboutWith, r.WithConsent)
	p.response(aboutWithout, r.WithoutConsent)
	p.line("%s", "")
	rows := r.rows()
	width := 0
	for _, row := range rows {
		width = max(width, len(row.about))
	}
	for _, row := range rows {
		p.line("  %s  %s", p.mark(r.stateOf(row.about)), Clean(fmt.Sprintf("%-*s  %s", width, row.about, row.text)))
	}
	p.forms(r.Forms)
	p.list(wrong, r.Findings)
	p.list(noted, r.Notes)
	p.line("%s", "")
	p.line("%s", r.conclusion())
	return p.err
}

// conclusion returns the last line.
func (r *Report) conclusion() string {
	switch n := len(r.Findings); {
	case n == 1:
		return "1 finding"
	case n > 1:
		return strconv.Itoa(n) + " findings"
	case r.WithConsent == nil:
		return "nothing is wrong, as far as a visitor without consent can see"
	default:
		return "nothing is wrong"
	}
}

// row is a row of the table.
type row struct{ about, text string }

func (r *Report) rows() (rows []row) {
	add := func(about, text string) { rows = append(rows, row{about, text}) }
	if w := r.WithoutConsent; w != nil {
		add(aboutWithout, yesNo(w.Tag, "the tag", "no tag")+", "+yesNo(w.SetsID, "an id", "no id"))
	}
	if l := r.Loader; l != nil {
		about := fmt.Sprintf("%d bytes, %s, the edge answers: %s", l.Size, l.Hash, either(l.Answer, "nothing"))
		if l.Version != "" {
			about = Clean(l.Version) + ", " + about
		}
		add(aboutLoader, about)
	}
	if !r.Tag.Present {
		add(aboutTag, "none")
		return rows
	}
	add(aboutTag, tag{place: r.Tag.Place, line: r.Tag.Line, offset: r.Tag.Offset}.where())
	add(aboutScript, Short(r.Tag.Source))
	for _, a := range r.Attributes {
		add(a.Name, Short(a.Value)+r.found(a.Name))
	}
	add(aboutID, r.IDCookie.text())
	add(aboutPolicy, r.CSP.text())
	add(aboutCaching, r.Caching.text())
	if r.Bundle != nil {
		add(aboutBundle, r.Bundle.text())
	}
	return rows
}

// found returns what the attribute's selector matches, "" if it is no selector.
func (r *Report) found(attribute string) string {
	for _, s := range r.Selectors {
		if s.Attribute != attribute {
			continue
		}
		switch {
		case s.State == dom.Invalid:
			return "  -> not a selector"
		case s.State == dom.Untried:
			return "  -> not tried"
		case s.Matches == 0:
			return "  -> nothing"
		case s.Matches == 1:
			return "  -> " + Clean(s.First)
		default:
			return fmt.Sprintf("  -> %s, the first of %d", Clean(s.First), s.Matches)
		}
	}
	if isSelectorName(attribute) {
		return "  -> not checked"
	}
	return ""
}

func (c IDCookie) text() string {
	if !c.Set {
		return either(c.Why, "none")
	}
	parts := []string{yesNo(c.Valid, "a valid UUID", "not a UUID"), prefixed("Domain=", Short(c.Domain)), prefixed("Path=", Short(c.Path))}
	if c.MaxAge > 0 {
		parts = append(parts, fmt.Sprintf("Max-Age=%d (%d days)", c.MaxAge, c.MaxAge/(24*3600)))
	}
	parts = append(parts, yesNo(c.Secure, "Secure", ""), yesNo(c.HTTPOnly, "HttpOnly", ""), prefixed("SameSite=", c.SameSite),
		yesNo(c.Kept, "kept by browsers", "dropped by browsers"))
	return join(", ", parts...)
}

func (c CSP) text() string {
	switch {
	case !c.Present:
		return "none"
	case len(c.Blocks) > 0:
		return Short(strings.Join(c.Blocks, " and ")) + " in the way"
	default:
		return "allows the deflector"
	}
}

func (c Caching) text() string {
	again := ""
	switch c.Revalidation {
	case 0:
	case 304:
		again = "asked again: still good (304)"
	default:
		again = fmt.Sprintf("asked again: sent again (%d)", c.Revalidation)
	}
	return join("; ", prefixed("Cache-Control: ", Short(c.CacheControl)), prefixed("Vary: ", Short(c.Vary)), yesNo(c.ETag, "an ETag", "no ETag"), again)
}

// stateOf returns wrong if a finding is about the row, else noted if a note is.
func (r *Report) stateOf(about string) state {
	isAbout := func(f Finding) bool { return f.About == about }
	switch {
	case slices.ContainsFunc(r.Findings, isAbout):
		return wrong
	case slices.ContainsFunc(r.Notes, isAbout):
		return noted
	default:
		return fine
	}
}

// printer keeps the first error of its writer.
type printer struct {
	io.Writer
	color bool
	err   error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.Writer, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
}

// mark returns a state's word, padded to the width of its column.
func (p *printer) mark(s state) string {
	padded := fmt.Sprintf("%-5s", s.word)
	if p.color {
		return s.color + padded + plain
	}
	return padded
}

func (p *printer) response(who string, a *ResponseSummary) {
	if a == nil {
		return
	}
	what := fmt.Sprintf("%d, %s%s", a.Status, either(Short(a.ContentType), "no Content-Type"), prefixed(", ", a.Coding))
	if a.Title != "" {
		what += ", \"" + Short(a.Title) + "\""
	}
	if a.Redirects > 0 {
		what += fmt.Sprintf(", redirected to %s", a.URL)
	}
	p.line("%s", Clean(fmt.Sprintf("%-*s  %s", len(aboutWithout), who, what)))
}

// forms prints the page's forms, with selectors that can be copied.
func (p *printer) forms(forms []PageForm) {
	if len(forms) > 0 {
		p.line("%s", "")
		p.line("%s", "the page's forms, and selectors for their parts:")
	}
	for _, f := range forms {
		p.line("  form    %s", Clean(f.Form))
		for _, part := range []struct{ name, selector string }{{"field", f.Input}, {"button", f.Button}, {"e-mail", f.Email}} {
			if part.selector != "" {
				p.line("  %6s  %s", part.name, Clean(part.selector))
			}
		}
	}
}

func (p *printer) list(s state, findings []Finding) {
	if len(findings) > 0 {
		p.line("%s", "")
	}
	for _, f := range findings {
		p.line("%s  %s", p.mark(s), Wrap(Clean(f.About+": "+f.Text), "       "))
	}
}

// columns is the width of wrapped text.
const columns = 100

// Wrap breaks s between words into lines, of which all but the first begin with indent.
func Wrap(s, indent string) string {
	var b strings.Builder
	length := 0
	for word := range strings.FieldsSeq(s) {
		switch {
		case length == 0:
		case length+1+len(word) > columns:
			b.WriteString("\n" + indent)
			length = 0
		default:
			b.WriteByte(' ')
			length++
		}
		b.WriteString(word)
		length += len(word)
	}
	return b.String()
}

// join joins the parts that are not empty.
func join(separator string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), separator)
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func yesNo(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
