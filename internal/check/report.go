package check

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

// What a finding is about, if not an attribute: a row of the table.
const (
	aboutTag     = "tag"
	aboutScript  = "script"
	aboutID      = "id cookie"
	aboutPolicy  = "CSP"
	aboutCaching = "caching"
	aboutBundle  = "bundle"
	aboutLoader  = "loader"
	aboutWithout = "without consent"
	aboutWith    = "with consent" // no row of the table
)

// Results.
const (
	ResultFine     = "fine"
	ResultFindings = "findings"
)

// Report is the result of a check. --json prints it, so its names must not change.
type Report struct {
	// The address asked for.
	URL string `json:"url"`
	// "fine", or "findings" if there are any.
	Result string `json:"result"`
	// The responses to a visitor with consent and to one without any cookie; null
	// if not requested.
	WithConsent    *ResponseSummary `json:"with_consent"`
	WithoutConsent *ResponseSummary `json:"without_consent"`
	// The tag in the first of the two.
	Tag Tag `json:"tag"`
	// The script that asks the edge for the tag; null without it.
	Loader *Loader `json:"loader,omitempty"`
	// Its data attributes, and those among them that are selectors.
	Attributes []Attribute `json:"attributes"`
	Selectors  []Selector  `json:"selectors"`
	// The page's forms, if a selector does not find what it should.
	Forms []PageForm `json:"forms,omitempty"`
	// The id that came with the tag.
	IDCookie IDCookie `json:"id_cookie"`
	CSP      CSP      `json:"csp"`
	Caching  Caching  `json:"caching"`
	// The deflector's script; null without --bundle.
	Bundle *Bundle `json:"bundle,omitempty"`
	// What is wrong, and what may be wrong.
	Findings []Finding `json:"findings"`
	Notes    []Finding `json:"notes"`
}

// ResponseSummary summarizes a response.
type ResponseSummary struct {
	URL         string `json:"url"` // after redirects, without its query
	Redirects   int    `json:"redirects"`
	Status      int    `json:"status"`
	ContentType string `json:"content_type"`
	Compressed  bool   `json:"compressed"`
	Coding      string `json:"coding,omitempty"` // "gzip" or "zstd"
	Title       string `json:"title,omitempty"`  // of the page
	Tag         bool   `json:"tag"`
	SetsID      bool   `json:"sets_id"`
}

// Tag is the script element.
type Tag struct {
	Present bool   `json:"present"`
	Place   string `json:"place,omitempty"`  // "head", "body", or "loader" if the loader puts it in
	Line    int    `json:"line,omitempty"`   // 1 for the first
	Offset  int    `json:"offset,omitempty"` // in bytes
	Source  string `json:"src,omitempty"`
	Reason  Reason `json:"reason,omitempty"` // the likeliest one why there is none
}

// Attribute is an attribute of the tag.
type Attribute struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Selector is an attribute that names elements.
type Selector struct {
	Attribute string    `json:"attribute"`
	Selector  string    `json:"selector"`
	State     dom.State `json:"state"` // "matches", "nothing", "invalid" or "untried"
	Matches   int       `json:"matches"`
	First     string    `json:"first,omitempty"` // the element that the deflector uses
}

// PageForm has selectors for a form of the page and its parts, "" for a part that it does
// not have.
type PageForm struct {
	Form   string `json:"form"`
	Input  string `json:"input,omitempty"`
	Button string `json:"button,omitempty"`
	Email  string `json:"email,omitempty"`
	Event  string `json:"event"`
}

// IDCookie describes the cookie with the visitor's id, without its value.
type IDCookie struct {
	Set      bool   `json:"set"`
	Kept     bool   `json:"kept"` // by browsers
	Domain   string `json:"domain,omitempty"`
	Path     string `json:"path,omitempty"`
	MaxAge   int    `json:"max_age,omitempty"` // in seconds
	Secure   bool   `json:"secure"`
	HTTPOnly bool   `json:"http_only"`
	SameSite string `json:"same_site,omitempty"`
	Valid    bool   `json:"valid"`         // it is a UUID
	Why      string `json:"why,omitempty"` // it is not set, if that is right
}

// CSP is what the Content-Security-Policy says about the tag.
type CSP struct {
	Present bool     `json:"present"`
	Blocks  []string `json:"blocks"` // the directives that block it
}

// Caching is how caches may store the page with the tag.
type Caching struct {
	CacheControl string `json:"cache_control"`
	Vary         string `json:"vary"`
	ETag         bool   `json:"etag"`
	Revalidation int    `json:"revalidation,omitempty"` // the status of the second response
	Cache        string `json:"cache,omitempty"`        // the field that shows a shared cache
}

// Finding is a finding or a note. Codes must not change, texts may.
type Finding struct {
	Code  Code   `json:"code"`
	About string `json:"about"` // an attribute, or a row of the table
	Text  string `json:"text"`
}

// newReport returns a report without findings. Its lists are empty, not null.
func newReport(s Site) *Report {
	return &Report{
		URL: withoutQuery(s.URL), Attributes: []Attribute{}, Selectors: []Selector{},
		CSP: CSP{Blocks: []string{}}, Findings: []Finding{}, Notes: []Finding{},
	}
}

func (r *Report) has(code Code) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Code == code })
}

// summarize returns the summary of a response.
func (j *judge) summarize(a *Response, p *page, told *answer) *ResponseSummary {
	if a == nil {
		return nil
	}
	return &ResponseSummary{
		URL: withoutQuery(a.URL), Redirects: a.Redirects, Status: a.Status, ContentType: a.Header.Get("Content-Type"),
		Compressed: a.Coding != "", Coding: a.Coding, Title: p.Title(), Tag: tagOf(p, told) != nil,
		SetsID: j.idOf(a) != "" || told != nil && j.idOf(told.Response) != "",
	}
}

// WriteJSON writes the report as JSON. It escapes what cannot be printed, or would change
// the order in which a terminal shows the text.
func (r *Report) WriteJSON(w io.Writer) error {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return err
	}
	_, err := io.WriteString(w, escapeUnprintable(b.String()))
	return err
}

// escapeUnprintable returns JSON with such characters as \uXXXX. They occur in strings
// alone.
func escapeUnprintable(text string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			b.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				b.WriteByte(hex[unit>>shift&0xf])
			}
		}
	}
	return b.String()
}
