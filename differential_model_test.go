package kapadeflector

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/html"
)

// What the differential test expects. It is a second reading of DESIGN sections 5 to
// 7 that uses none of the plugin's code, so that the two can disagree.

// diffSuffix ends the entity tags of pages with the tag.
var diffSuffix = fmt.Sprintf("-kapa-%x", sha256.Sum256([]byte(staticTag)))[:len("-kapa-")+16]

var (
	// an entity tag in a list, and one of a page with some tag
	diffTag        = regexp.MustCompile(`(W/)?"[^"]*"|\*`)
	diffVariantTag = regexp.MustCompile(`(-kapa-[0-9a-f]{16})"$`)
)

// How much a request is for a document.
const (
	diffNever = iota
	diffAny   // or for whatever else there is
	diffPerhaps
	diffSurely
)

// diffAsked returns how much a request is for a document, and the field that tells it
// from a request for one.
func diffAsked(method string, h http.Header) (asked int, field string) {
	if !slices.Contains([]string{"GET", "HEAD", "POST"}, method) {
		return diffNever, ""
	}
	for _, field := range []string{"HX-Request", "Turbo-Frame", "X-Turbo-Request-Id", "X-PJAX", "X-Requested-With"} {
		if h.Get(field) != "" {
			return diffNever, textproto.CanonicalMIMEHeaderKey(field)
		}
	}
	dest, mode, accept := h.Get("Sec-Fetch-Dest"), h.Get("Sec-Fetch-Mode"), h.Get("Accept")
	switch {
	case slices.Contains([]string{"document", "iframe", "frame"}, dest):
		return diffSurely, ""
	case mode == "navigate" && (dest == "" || dest == "empty") && strings.Contains(accept, "text/html"):
		return diffSurely, ""
	case mode == "navigate" && (dest == "" || dest == "empty"): // <a download>
		return diffNever, "Accept"
	}
	fields := []string{"Sec-Fetch-Dest", "Sec-Fetch-Mode"}
	if dest == "empty" { // so has a navigation that came by a service worker
		slices.Reverse(fields)
	}
	for _, field := range fields {
		if h.Get(field) != "" {
			return diffNever, field
		}
	}
	switch {
	case strings.Contains(accept, "text/html"):
		return diffPerhaps, ""
	case accept == "" || accept == "*/*":
		return diffAny, "Accept"
	default:
		return diffNever, "Accept"
	}
}

// mayChange reports whether a page would get the tag.
func (q diffRequest) mayChange() bool {
	asked, _ := diffAsked(q.method, q.header)
	return q.visitor.says == granted && asked != diffNever
}

// wantsVariant reports whether the response must be the page with the tag, whatever
// copy of the origin's own page the client has.
func (q diffRequest) wantsVariant() bool {
	asked, _ := diffAsked(q.method, q.header)
	has := false
	for _, field := range []string{"If-None-Match", "If-Match", "If-Range"} {
		has = has || strings.Contains(q.header.Get(field), diffSuffix)
	}
	return q.mayChange() && (asked != diffAny || has)
}

// toOrigin is the request as the plugin must pass it on, except for its
// Accept-Encoding, which the route for pages that may change sets.
func (q diffRequest) toOrigin() diffRequest {
	h := q.header.Clone()
	q.header = h
	if q.encode && strings.Contains(h.Get("Accept-Encoding"), "gzip") && h["If-None-Match"] != nil {
		h.Set("If-None-Match", strings.ReplaceAll(h.Get("If-None-Match"), `-gzip"`, `"`)) // as encode does
	}
	named := false
	for _, field := range []string{"If-None-Match", "If-Match", "If-Range"} {
		named = named || strings.Contains(h.Get(field), "-kapa-")
	}
	if !named && !q.wantsVariant() {
		return q
	}
	for _, field := range []string{"If-None-Match", "If-Match", "If-Range"} {
		if h[field] == nil {
			continue
		}
		kept := q.tagsForOrigin(field)
		switch {
		case kept != "":
			h.Set(field, kept)
		case field == "If-Match":
			h.Set(field, `"-"`)
		default:
			h.Del(field)
			h.Del("If-Modified-Since")
			if field == "If-Range" {
				h.Del("Range")
			}
		}
	}
	if q.wantsVariant() && q.method != "POST" {
		h.Del("If-Modified-Since")
		h.Del("If-Range")
		h.Del("Range")
	}
	return q
}

// tagsForOrigin leaves of a list of entity tags those that speak for the page
// that this request gets, as the origin knows them.
func (q diffRequest) tagsForOrigin(field string) string {
	var kept []string
	for _, tag := range diffTag.FindAllString(q.header.Get(field), -1) {
		variant := ""
		if m := diffVariantTag.FindStringSubmatch(tag); m != nil {
			variant = m[1]
		}
		wanted := ""
		if q.wantsVariant() {
			wanted = diffSuffix
		}
		switch {
		case q.method == "POST", tag == "*" && (wanted == "" || field == "If-Match"):
		case tag == "*", variant != wanted:
			continue
		}
		kept = append(kept, strings.Replace(tag, variant+`"`, `"`, 1))
	}
	return strings.Join(kept, ", ")
}

// takesGzip reports whether the visitor takes gzip.
func (q diffRequest) takesGzip() bool {
	return strings.Contains(q.header.Get("Accept-Encoding"), "gzip")
}

// diffKind returns the kind of the origin's response by its header alone: "page" if it
// may be changed, "gzip" if it is compressed, too.
func diffKind(a diffAnswer) string {
	contentType := strings.ToLower(a.header.Get("Content-Type"))
	mediaType, parameters, _ := strings.Cut(contentType, ";")
	coding := a.header.Get("Content-Encoding")
	kind, _, _ := strings.Cut(a.header.Get("Content-Disposition"), ";")
	switch {
	case a.status == 304:
		return "not modified"
	case a.status/100 == 3:
		return "redirect"
	case a.status == 206:
		return "partial"
	case a.status == 204 || a.status == 205:
		return "no content"
	case mediaType != "text/html":
		return "not html"
	case strings.EqualFold(kind, "attachment"):
		return "attachment"
	case strings.Contains(parameters, "utf-16") || strings.Contains(parameters, "iso-2022-jp"):
		return "charset"
	case strings.Contains(a.header.Get("Cache-Control"), "no-transform"):
		return "no-transform"
	case a.header.Get("Incremental") == "?1":
		return "incremental"
	case coding == "gzip":
		return "gzip"
	case coding != "" && coding != "identity":
		return "encoded"
	case strings.HasPrefix(a.body, "\x1f\x8b"):
		return "gzip"
	default:
		return "page"
	}
}

// diffIsDocument reports whether a response of that kind is an HTML document.
func diffIsDocument(kind string) bool {
	return kind == "page" || kind == "gzip" || kind == "encoded"
}

// unchanged is the header of a response that is passed on as it is.
func (q diffRequest) unchanged(a diffAnswer) http.Header {
	h := a.header.Clone()
	asked, field := diffAsked(q.method, q.header)
	kind := diffKind(a)
	mediaType, _, _ := strings.Cut(strings.ToLower(a.header.Get("Content-Type")), ";")
	isPart := kind == "partial" && mediaType == "text/html"
	gated := q.gated() || asked == diffNever && field != "" && (q.visitor.says == granted || q.visitor.says == denied && q.visitor.hasID)
	dest, accept := q.header.Get("Sec-Fetch-Dest"), q.header.Get("Accept")
	fetched := gated && (dest == "" || dest == "empty") && (accept == "" || accept == "*/*" || strings.Contains(accept, "text/html"))
	if diffIsDocument(kind) || isPart || kind == "not modified" && (asked != diffNever || fetched) {
		diffAddVary(h, "Cookie")
		diffAddVary(h, "Sec-GPC")
		if gated {
			diffAddVary(h, field)
		}
	}
	if q.visitor.says == denied && asked != diffNever && q.visitor.hasID {
		diffMakePrivate(h)
	}
	if q.losesID() {
		h["Set-Cookie"] = append(h["Set-Cookie"], q.idLine("", "acme.com"), q.idLine("", ""))
	}
	return h
}

// gated reports whether a request for the document could have got another response
// than this request, because of what this one says about a copy, a range or codings.
func (q diffRequest) gated() bool {
	asked, _ := diffAsked(q.method, q.header)
	return asked == diffAny && q.mayChange() && !q.wantsVariant()
}

// losesID reports whether the visitor's id is deleted.
func (q diffRequest) losesID() bool {
	asked, _ := diffAsked(q.method, q.header)
	return q.visitor.says == denied && asked != diffNever && q.method != "HEAD" && q.visitor.hasID
}

// variant is the header of a page with the tag, or of a 304 for one.
func (q diffRequest) variant(a diffAnswer) http.Header {
	h := a.header.Clone()
	if a.status != 304 {
		for _, field := range []string{"Accept-Ranges", "Digest", "Content-Digest", "Repr-Digest", "Content-Md5"} {
			h.Del(field)
		}
		q.label(h, a)
	}
	h.Del("Last-Modified")
	if tag := h.Get("Etag"); tag != "" {
		h.Set("Etag", strings.TrimSuffix(tag, `"`)+diffSuffix+`"`)
	}
	diffAddVary(h, "Cookie")
	diffAddVary(h, "Sec-GPC")
	return h
}

// label labels gzip that the origin has not labelled.
func (q diffRequest) label(h http.Header, a diffAnswer) {
	if diffKind(a) == "gzip" && h.Get("Content-Encoding") != "gzip" && q.method != "HEAD" {
		h.Set("Content-Encoding", "gzip")
		diffAddVary(h, "Accept-Encoding")
	}
}

// personal adds the id to the header of a page with the tag, and makes it private.
func (q diffRequest) personal(h http.Header) http.Header {
	diffMakePrivate(h)
	ofOrigin := slices.ContainsFunc(h["Set-Cookie"], func(s string) bool { return strings.HasPrefix(s, "kapa_web_id=") })
	if ofOrigin || q.method == "HEAD" || q.header.Get("Sec-Fetch-Site") == "cross-site" || strings.HasPrefix(q.header.Get("Sec-Purpose"), "prefetch") {
		return h
	}
	switch {
	case q.visitor.id == "":
		h["Set-Cookie"] = append(h["Set-Cookie"], q.idLine(diffNewID, "acme.com"))
	case q.visitor.twin:
		h["Set-Cookie"] = append(h["Set-Cookie"], q.idLine("", ""), q.idLine(q.visitor.id, "acme.com"))
	}
	return h
}

// diffNewID stands for an id that was made up on the way.
const diffNewID = "(new)"

// idLine is a Set-Cookie value; an id that is empty deletes.
func (q diffRequest) idLine(id, domain string) string {
	line := "kapa_web_id=" + id + "; Path=/"
	if domain != "" {
		line += "; Domain=" + domain
	}
	if id == "" {
		line += "; Max-Age=0"
	} else {
		line += "; Max-Age=34473600"
	}
	if q.protocol == "h2" {
		line += "; Secure"
	}
	return line + "; SameSite=Lax"
}

func diffMakePrivate(h http.Header) {
	switch before := h.Get("Cache-Control"); {
	case strings.Contains(before, "no-store"):
	case strings.Contains(before, "no-transform"): // holds for all on the way, encode among them
		h.Set("Cache-Control", "private, no-cache, no-transform")
	default:
		h.Set("Cache-Control", "private, no-cache")
	}
	for _, field := range []string{"Cdn-Cache-Control", "Cloudflare-Cdn-Cache-Control", "Surrogate-Control", "X-Accel-Expires", "Expires"} {
		h.Del(field)
	}
}

func diffAddVary(h http.Header, field string) {
	if !diffHasToken(h["Vary"], field) && !diffHasToken(h["Vary"], "*") {
		h["Vary"] = append(h["Vary"], field)
	}
}

func diffHasToken(lines []string, token string) bool {
	return slices.Contains(diffTokens(lines), strings.ToLower(token))
}

// diffTokens are the members of a list, in lower case and in order: who adds
// one, and on which line, makes no difference.
func diffTokens(lines []string) (tokens []string) {
	for token := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if token = strings.ToLower(strings.TrimSpace(token)); token != "" {
			tokens = append(tokens, token)
		}
	}
	slices.Sort(tokens)
	return tokens
}

// A diffLength says what Content-Length a response may have.
type diffLength uint8

const (
	lengthKept  diffLength = iota // the one in the header, or none
	lengthFree                    // a right one or none
	lengthRight                   // a right one
)

// A diffExpectation is one response that is right. Where the anchor lies and how
// the origin's writes arrive can leave room for two.
type diffExpectation struct {
	name   string
	header http.Header
	body   string
	length diffLength
}

// gathered is the size up to which a page may be held back as a whole. It is a little
// less than the limit in DESIGN section 6.
const diffGathered = 32_000

// expect returns the responses that are right for the origin's response to the edited
// request. got is the response that came; a tag in it must be in its place.
func (q diffRequest) expect(edited diffRequest, r *diffResource, origin diffAnswer, got string) ([]diffExpectation, error) {
	kind := diffKind(origin)
	unchanged := diffExpectation{string(q.verdict()) + ", " + kind, q.unchanged(origin), origin.body, lengthKept}
	if asked, _ := diffAsked(q.method, q.header); diffIsDocument(kind) && asked == diffNever {
		unchanged.name = q.verdict() + ", not for a document"
	} else if q.method == "HEAD" {
		unchanged.name += ", HEAD"
	}
	if q.losesID() {
		unchanged.name = "id deleted, " + kind
	}
	unsized := !r.sized || strings.HasPrefix(r.coding, "gzip") // Go's client decodes what its user did not ask for
	if q.method != "HEAD" && unsized && (q.mayChange() || origin.body == "") {
		// net/http counts what ends before it is flushed: by the proxy's timer, or not at all
		unchanged.length = lengthFree
	}
	switch {
	case !q.mayChange():
		return []diffExpectation{unchanged}, nil
	case kind == "not modified" && q.wantsVariant() && edited.header["If-None-Match"] != nil:
		return []diffExpectation{{"tagged, not modified", q.personal(q.variant(origin)), origin.body, lengthKept}}, nil
	case kind != "page" && kind != "gzip", kind == "gzip" && origin.header.Get("Content-Encoding") != "gzip" && !q.takesGzip() && q.method != "HEAD":
		return []diffExpectation{unchanged}, nil
	case q.method == "HEAD":
		return []diffExpectation{{"tagged, HEAD", q.personal(q.variant(origin)), "", lengthFree}}, nil
	case origin.body == "":
		unchanged.name = "granted, empty"
		return []diffExpectation{unchanged}, nil
	}

	body := r.body
	place := strings.Index(got, staticTag)
	header := q.variant(origin)
	if place >= 0 {
		if err := body.judge(q, place); err != nil {
			return nil, err
		}
		want := diffExpectation{"tagged", q.personal(header), body.data[:place] + staticTag + body.data[place:], lengthFree}
		if kind == "gzip" {
			want.name = "tagged, spliced"
		} else if origin.header["Content-Length"] != nil && place < diffGathered && !q.now {
			want.length = lengthRight // otherwise the header may have left before the anchor was found
		}
		return []diffExpectation{want}, nil
	}

	why := body.whyUntagged(q)
	named := strings.Contains(strings.ToLower(origin.header.Get("Content-Type")), "charset=")
	switch sight := body.data[:min(1024, len(body.data))]; {
	case why != "" || named:
	case diffMeta.MatchString(sight):
		why = "a doubtful encoding behind the anchor"
	case (q.now || !r.sized) && !diffClosedHead.MatchString(sight):
		why = "an encoding that was out of sight" // the proxy flushes what has no length
	}
	if why == "" || why == "escapes" && named {
		return nil, fmt.Errorf("the page has no tag, and no reason to have none")
	}
	unchanged.name = "untagged: " + why
	wants := []diffExpectation{unchanged}
	q.label(unchanged.header, origin)
	if !r.sized || len(body.data) > diffGathered || kind == "gzip" || q.now {
		// the header had to leave before that was known
		wants = append(wants, diffExpectation{unchanged.name + ", late", q.personal(header), body.data, lengthFree})
	}
	return wants, nil
}

func (q diffRequest) verdict() string {
	return map[string]string{granted: "granted", denied: "denied", unknown: "unknown"}[q.visitor.says]
}

// A diffBody is a body that origins send, and what a real parser says of it.
type diffBody struct {
	name, data string
	amp        bool
	loads      bool // the deflector, by itself

	mu     sync.Mutex
	places map[int]error // where tags have been seen
	why    map[bool]string
}

var (
	diffMeta = regexp.MustCompile(`(?i)<meta`)
	// diffClosedHead begins with a head whose end a tag shows.
	diffClosedHead = regexp.MustCompile(`(?is)^(\s|<!--.*?-->|<(!doctype|html|head|meta|link|base)\b[^>]*>|<(title|script|style)\b.*?</(title|script|style)>)*` +
		`<(/head|body|frameset|/body|/html)\b`)
	diffEvidence     = regexp.MustCompile(`(?i)<(!doctype|(html|head|/head|body|frameset|/body|/html)\b)`)
	diffSureEvidence = regexp.MustCompile(`(?i)^\s*<(!doctype|html|head)[\s>]`)
	// what x/net's parser takes for something else than the standard does
	diffMisparsed = regexp.MustCompile(`(?is)<script.*<!--.*<[^/a-z]|<selectedcontent|<template><svg><foo><template>`)
)

// judge says whether the tag may be at that place: a child of the head that
// changes nothing else.
func (b *diffBody) judge(q diffRequest, place int) error {
	asked, _ := diffAsked(q.method, q.header)
	switch {
	case b.amp || b.loads:
		return fmt.Errorf("%s must have no tag", b.name)
	case asked != diffSurely && !diffEvidence.MatchString(b.data):
		return fmt.Errorf("%s shows no sign of a document, and nobody asked for one", b.name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	err, known := b.places[place]
	if !known {
		err = b.parseAt(place)
		if b.places == nil {
			b.places = make(map[int]error)
		}
		b.places[place] = err
	}
	return err
}

func (b *diffBody) parseAt(place int) error {
	want, err1 := diffParse(b.data)
	got, err2 := diffParse(b.data[:place] + staticTag + b.data[place:])
	if err1 != nil || err2 != nil || diffMisparsed.MatchString(b.data) {
		return nil
	}
	var script *html.Node
	for n := range got.Descendants() {
		if n.Data == "script" && slices.Contains(n.Attr, html.Attribute{Key: "data-integration-id", Val: "abc"}) {
			script = n
		}
	}
	if script == nil || script.Parent.Data != "head" || script.Parent.Parent.Parent != got {
		return fmt.Errorf("in %s the tag at %d is no child of the head", b.name, place)
	}
	script.Parent.RemoveChild(script)
	if !diffSameTree(got, want) {
		return fmt.Errorf("in %s the tag at %d changes the tree", b.name, place)
	}
	return nil
}

// whyUntagged says why a page may be without the tag, "" if it must have it.
func (b *diffBody) whyUntagged(q diffRequest) string {
	asked, _ := diffAsked(q.method, q.header)
	b.mu.Lock()
	defer b.mu.Unlock()
	why, known := b.why[asked == diffSurely]
	if !known {
		why = b.findWhy(asked == diffSurely)
		if b.why == nil {
			b.why = make(map[bool]string)
		}
		b.why[asked == diffSurely] = why
	}
	return why
}

func (b *diffBody) findWhy(surely bool) string {
	switch {
	case b.data == "":
		return "empty"
	case b.amp:
		return "AMP"
	case b.loads:
		return "already present"
	case strings.Contains(b.data, "\x1b"):
		return "escapes"
	case b.headStaysOpen():
		return "no anchor"
	case !surely && !diffSureEvidence.MatchString(b.data):
		return "no evidence"
	default:
		return ""
	}
}

// headStaysOpen reports whether the page ends within a comment, a tag or the
// like before anything shows that its head is over.
func (b *diffBody) headStaysOpen() bool {
	doc, err := diffParse(b.data + `<i id=probe></i>`)
	if err != nil {
		return true
	}
	for n := range doc.Descendants() {
		if n.Data == "i" && slices.Contains(n.Attr, html.Attribute{Key: "id", Val: "probe"}) {
			return false
		}
	}
	for n := range doc.Descendants() {
		switch n.Data {
		case "body":
			return n.FirstChild == nil && len(n.Attr) == 0
		case "frameset":
			return false
		}
	}
	return true
}

func diffParse(s string) (*html.Node, error) {
	// x/net takes the byte order mark for text
	return html.ParseWithOptions(strings.NewReader(strings.TrimPrefix(s, "\uFEFF")), html.ParseOptionEnableScripting(true))
}

func diffSameTree(a, b *html.Node) bool {
	if a.Type != b.Type || a.Data != b.Data || a.Namespace != b.Namespace || !slices.Equal(a.Attr, b.Attr) {
		return false
	}
	x, y := a.FirstChild, b.FirstChild
	for x != nil && y != nil {
		if !diffSameTree(x, y) {
			return false
		}
		x, y = x.NextSibling, y.NextSibling
	}
	return x == nil && y == nil
}

// The id in a Set-Cookie value that was made up on the way.
var diffFreshID = regexp.MustCompile(`^kapa_web_id=[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12};`)

// matches compares a response with an expectation. coded says that encode has
// compressed it, which is undone in got; maybe that encode may have looked at
// it.
func (want diffExpectation) matches(got diffAnswer, knownID string, coded, maybe bool) []string {
	var diffs []string
	expect := want.header.Clone()
	have := got.header.Clone()
	for i, line := range have["Set-Cookie"] {
		if diffFreshID.MatchString(line) && (knownID == "" || !strings.Contains(line, knownID)) && !slices.Contains(expect["Set-Cookie"], line) {
			have["Set-Cookie"][i] = diffFreshID.ReplaceAllString(line, "kapa_web_id="+diffNewID+";")
		}
	}
	if coded {
		expect.Del("Accept-Ranges")
		expect.Del("Content-Length")
		have.Del("Content-Length") // of the compressed body; the client has checked it
	} else if want.length != lengthKept {
		length := have.Get("Content-Length")
		if right := strconv.Itoa(len(want.body)); length != right && (length != "" || want.length == lengthRight) {
			diffs = append(diffs, fmt.Sprintf("Content-Length %q of %s", length, right))
		}
		expect.Del("Content-Length")
		have.Del("Content-Length")
	}
	expectVary, haveVary := diffTokens(expect["Vary"]), diffTokens(have["Vary"])
	if maybe { // with or without the directive
		ofEncode := func(s string) bool { return s == "accept-encoding" }
		expectVary, haveVary = slices.DeleteFunc(expectVary, ofEncode), slices.DeleteFunc(haveVary, ofEncode)
	}
	if !slices.Equal(expectVary, haveVary) {
		diffs = append(diffs, fmt.Sprintf("Vary: %q, want %q", haveVary, expectVary))
	}
	expect.Del("Vary")
	have.Del("Vary")
	all := maps.Clone(expect)
	maps.Copy(all, have)
	for _, field := range slices.Sorted(maps.Keys(all)) {
		if field != "Date" && !slices.Equal(expect[field], have[field]) {
			diffs = append(diffs, fmt.Sprintf("%s: %q, want %q", field, have[field], expect[field]))
		}
	}
	if got.body != want.body {
		at := 0
		for at < min(len(got.body), len(want.body)) && got.body[at] == want.body[at] {
			at++
		}
		diffs = append(diffs, fmt.Sprintf("body of %d bytes, want %d, differs at %d: %.60q, want %.60q",
			len(got.body), len(want.body), at, got.body[at:], want.body[at:]))
	}
	return diffs
}
