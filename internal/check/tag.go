package check

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

const (
	attrCookies     = "data-user-analytics-cookie-enabled"
	attrFingerprint = "data-user-analytics-fingerprint-enabled"
	attrRender      = "data-render-on-load"
	attrEventType   = "data-submit-element-event-type"
	attrInput       = "data-main-input-query-selector"
	attrSubmit      = "data-submit-element-query-selector"
	attrButton      = "data-submit-button-query-selector"
	attrAnchor      = "data-anchor-element-query-selector"
)

func (t tag) attr(name string) string {
	return dom.Value(t.node, name)
}

func (t tag) src() string { return strings.TrimSpace(t.attr("src")) }

// usesCookie reports whether the deflector recognises its visitor by the id.
func (t tag) usesCookie() bool { return t.attr(attrCookies) != "false" && !t.usesFingerprint() }

func (t tag) usesFingerprint() bool { return t.attr(attrFingerprint) == "true" }

// tracks reports whether the deflector recognises its visitor at all.
func (t tag) tracks() bool { return t.usesCookie() || t.usesFingerprint() }

// where describes the place of the tag.
func (t tag) where() string {
	if t.place == byLoader {
		return "put in by the loader"
	}
	where := "in the " + t.place
	if t.line > 0 {
		where += ", line " + strconv.Itoa(t.line) + ", byte " + strconv.Itoa(t.offset)
	}
	return where
}

// checkTag judges the script element itself.
func (j *judge) checkTag(t tag) {
	j.report.Tag = Tag{Present: true, Place: t.place, Line: t.line, Offset: t.offset, Source: t.src()}
	if n := len(j.page.tags); n > 1 {
		places := []string{}
		for _, t := range j.page.tags {
			places = append(places, t.where())
		}
		j.finding(codeTagTwice, aboutTag, "the page has %d tags of the deflector (%s): remove one, in the page's template or in the Caddyfile", n, strings.Join(places, "; "))
	} else if t.place == "body" {
		j.note(codeTagInBody, aboutTag, "the tag is in the body, where the directive never puts it: the page has a tag of its own")
	}
	if j.page.First(atom.Frameset) != nil {
		j.finding(codeFrameset, aboutTag, "the page is a frameset and has no form: the tag belongs in the page of its frame, %s", Short(j.page.frameAddress()))
	}

	src, err := url.Parse(t.src())
	switch {
	case err != nil || t.src() == "":
		j.finding(codeScriptSource, aboutScript, "the tag's src \"%s\" must be a URL", Short(t.src()))
	case !t.named:
		j.finding(codeScriptFile, aboutScript, "the script's file name must be %s or that of a version: Kapa's bundle may look for its own tag by that name", j.deflector.ScriptFile)
	}
	if base := j.page.Base(j.response.Address(), t.node); t.place != byLoader && err == nil && src.Host == "" && strings.HasPrefix(src.Path, "/") && base.Host != j.response.Address().Host {
		j.finding(codeScriptBase, aboutScript, "because of the page's <base href>, browsers load the script from %s: write its address with https:// and the site's host, "+
			"or remove the host from the <base href>", base.Host)
	}
	if err == nil && src.Scheme == "http" && j.response.secure() {
		j.finding(codeScriptMixedContent, aboutScript, "the page uses https, but loads the script over http: browsers block it")
	}
	if kind := t.attr("type"); !isScriptType(kind) {
		j.finding(codeScriptType, aboutScript, "the tag has type=\"%s\", so browsers do not run it: a CDN (such as Cloudflare's Rocket Loader) "+
			"or a consent tool in front of Caddy has rewritten it", Short(kind))
	}
}

// isScriptType reports whether browsers run a script of this type
// (https://html.spec.whatwg.org/#prepare-the-script-element).
func isScriptType(kind string) bool {
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "", "module", "text/javascript", "application/javascript", "application/x-javascript", "text/ecmascript", "application/ecmascript":
		return true
	default:
		return false
	}
}

// placeholder matches a Caddy placeholder that was not replaced.
var placeholder = regexp.MustCompile(`\{(\$|(env|file|system|http|header|cookie|query|vars|time|remote)\b)[^{}\s]*\}`)

// checkAttributes judges the tag's data attributes.
func (j *judge) checkAttributes(t tag) {
	for _, a := range t.node.Attr {
		if !strings.HasPrefix(a.Key, "data-") {
			continue
		}
		j.report.Attributes = append(j.report.Attributes, Attribute{Name: a.Key, Value: a.Val})
		words := j.deflector.Words[a.Key]
		switch {
		case placeholder.MatchString(a.Val):
			j.finding(codeAttributePlaceholder, a.Key, "%s was not replaced: the placeholder is misspelt or unknown to Caddy", Short(a.Val))
		case words != nil && !slices.Contains(words, a.Val):
			j.finding(codeAttributeValue, a.Key, "it is \"%s\", but must be %s", Short(a.Val), strings.Join(words, " or "))
		}
		if hint := j.deflector.Hint(a.Key); hint != "" {
			j.note(codeAttributeName, a.Key, "%s", hint)
		}
	}
	missing := slices.DeleteFunc(slices.Clone(j.deflector.Required), func(name string) bool {
		return strings.TrimSpace(t.attr(name)) != ""
	})
	if len(missing) > 0 {
		j.finding(codeAttributeMissing, aboutTag, "the deflector does not start, because these attributes are missing or empty: %s",
			strings.Join(missing, ", "))
	}
}

// selectorsOf returns the tag's attributes that are selectors.
func selectorsOf(t tag) []html.Attribute {
	return slices.DeleteFunc(slices.Clone(t.node.Attr), func(a html.Attribute) bool {
		return !isSelectorName(a.Key) || strings.TrimSpace(a.Val) == "" || placeholder.MatchString(a.Val)
	})
}
