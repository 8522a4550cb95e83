package check

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/loader"
)

// Under loader, pages have a script in place of the tag, which asks the edge. The survey
// asks in its place.

// loaderScript is the loader's element.
type loaderScript struct {
	node    *html.Node
	content string
	key     string // what its questions begin with
}

// findLoader returns the page's loader, nil if there is none.
func findLoader(p *dom.Page) *loaderScript {
	for n := range p.Elements {
		if n.DataAtom != atom.Script || n.FirstChild == nil {
			continue
		}
		if key := loader.KeyIn(n.FirstChild.Data); key != "" {
			return &loaderScript{node: n, content: n.FirstChild.Data, key: key}
		}
	}
	return nil
}

// adapters returns the platforms that the loader asks for consent in the page.
func (l *loaderScript) adapters() []string {
	if l == nil {
		return nil
	}
	return loader.AdaptersIn(l.content, consent.PagePlatformNames())
}

// ask asks what the loader of a page asks. It returns nil if the page has none. platforms
// are those of which the page would say that the visitor has consented.
func (g *guest) ask(ctx context.Context, page *Response, platforms []string) (*Response, error) {
	if page == nil {
		return nil, nil
	}
	l := findLoader(page.page())
	if l == nil {
		return nil, nil
	}
	response, err := g.send(ctx, page.Address(), func(r *http.Request) { loader.Ask(r, l.key, rand.Text(), platforms) })
	if err != nil {
		return nil, fmt.Errorf("the loader's question: %w", err)
	}
	return response, nil
}

// An answer is what the edge tells the loader.
type answer struct {
	*Response
	kind loader.Kind // "" if something else has answered
	tag  *tag        // nil if the visitor gets none
	asks bool        // the visitor is asked for consent at the form
}

// readAnswer reads the response to a question. It returns nil if nothing was asked.
func readAnswer(a *Response, d Deflector) *answer {
	if a == nil {
		return nil
	}
	read := &answer{Response: a, kind: loader.Kind(a.Header.Get(loader.Field))}
	var content struct {
		Script [][2]string     `json:"script"`
		Prompt json.RawMessage `json:"prompt"`
	}
	if a.Status == http.StatusOK && json.Unmarshal(a.Body, &content) != nil {
		read.kind = ""
	}
	read.asks = content.Prompt != nil
	if read.kind == "" || content.Script == nil {
		return read
	}
	element := &html.Node{Type: html.ElementNode, DataAtom: atom.Script, Data: "script"}
	for _, a := range content.Script {
		element.Attr = append(element.Attr, html.Attribute{Key: a[0], Val: a[1]})
	}
	read.tag = &tag{node: element, named: d.isFile(dom.Value(element, "src")), place: byLoader}
	return read
}

// isHeldOut reports whether the answer gives an id, but no tag: its visitor belongs to those
// from whom an experiment keeps the tag.
func isHeldOut(a *Response) bool {
	return a != nil && loader.Kind(a.Header.Get(loader.Field)) == loader.None && idCookies(a, kapa.IDCookie) != nil
}

// byLoader is the place of a tag that the loader puts in.
const byLoader = "loader"

// Loader describes the script that asks the edge for the tag.
type Loader struct {
	Version string `json:"version,omitempty"` // of the plugin at the edge; "" if the loader does not say
	Size    int    `json:"size"`              // of its content, in bytes
	Hash    string `json:"hash"`              // as a Content-Security-Policy has it
	Answer  string `json:"answer,omitempty"`  // "tag", "untracked", "no-consent" or "none"; "" if the edge does not answer
}

// checkLoader judges the loader, and whether its question reaches the edge.
func (j *judge) checkLoader() {
	l := j.page.loader
	if l == nil {
		return
	}
	sum := sha256.Sum256([]byte(l.content))
	j.report.Loader = &Loader{
		Version: loader.VersionIn(l.content),
		Size:    len(l.content),
		Hash:    "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
	}
	if w := j.withoutPage; w != nil && j.site.With != nil && j.isThePage(j.site.Without) && (w.loader == nil || w.loader.content != l.content) {
		j.finding(codeTagUnsteady, aboutLoader, "the page has another loader for a visitor without cookies, or none: several servers have different configurations or versions, or a cache has an older page")
	}
	a := j.answer
	if a == nil {
		return
	}
	if a.kind == "" {
		j.finding(codeQuestionLost, aboutLoader, "the loader's question got no answer from the edge (status %s): something in front of Caddy drops the header field %s or the query, "+
			"or the block was changed while a cache still has its page", statusOf(a.Response), loader.Field)
		return
	}
	j.report.Loader.Answer = string(a.kind)
	if !a.has("Cache-Control", "no-store") {
		j.finding(codeCacheControl, aboutLoader, "the answer to the loader's question may be stored (Cache-Control: %s): a header directive or a CDN has replaced no-store",
			either(a.list("Cache-Control"), "none"))
	}
	if from := a.FromCache(); from != "" {
		j.finding(codeQuestionLost, aboutLoader, "the answer to the loader's question comes from a cache (%s)", Short(from))
	}
	if n := j.site.HeldOut; n > 0 {
		j.note(codeHeldOut, aboutLoader, "an experiment keeps the tag from some visitors: %d of those that kapa-check has played were among them", n)
	}
	if platforms := l.adapters(); platforms != nil && j.site.With != nil {
		j.note(codeConsentInPage, aboutLoader, "in the browser, the loader asks %s whether the visitor has consented. kapa-check runs no script, and has told the edge yes", platforms[0])
	}
}

// whyNoTagFromLoader says why the loader puts no tag in.
func (j *judge) whyNoTagFromLoader() (reason Reason, text string) {
	switch a := j.answer; {
	case a == nil || a.kind == "":
		return reasonQuestionLost, "the page has the loader, but its question does not reach the edge"
	case isHeldOut(a.Response):
		return reasonHeldOut, "an experiment keeps the tag from this visitor"
	case a.kind == loader.None:
		return reasonNotCovered, "the page has the loader, but the edge gives no tag at " + place(j.response) + ": its pages do not include this path, an attribute is empty for this visitor, " +
			"an experiment keeps the tag from the id that you have passed, or a cache has the loader of an older configuration"
	case j.site.With == nil && a.asks:
		return reasonNoCookie, "there is no tag without consent, as intended: the visitor is asked at the form. To see the tag, answer in the browser, " +
			"and pass the cookie that the answer has set, --cookie name=value"
	case j.site.With == nil:
		return reasonNoCookie, noCookieText
	default:
		return j.whyNoConsent()
	}
}

// checkLoaderPolicy judges whether the page's policies let the loader run and ask.
func (j *judge) checkLoaderPolicy(policies *csp.Policies) (blocked csp.Verdict) {
	l := j.page.loader
	at, err := csp.ParseURL(j.response.URL)
	if err != nil {
		return csp.Verdict{Allowed: true}
	}
	if v := policies.InlineWith(dom.Value(l.node, "nonce"), l.content); !v.Allowed {
		return v
	}
	return policies.Fetch("connect-src", at)
}

// tagAddress returns the address that a tag's src means on its page. What the loader puts in
// is no matter of the page's base.
func (j *judge) tagAddress(t tag) (*url.URL, error) {
	base := j.response.Address()
	if t.place != byLoader {
		base = j.page.Base(base, t.node)
	}
	return base.Parse(t.src())
}
