package check

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// AskForBundle fetches the deflector's script, as the page with the tag loads it. It does
// nothing if there is no tag.
func (s Survey) AskForBundle(ctx context.Context, site *Site, d Deflector) {
	page := site.With
	if page == nil {
		page = site.Without
	}
	p, told := readPage(page, d), site.WithAnswer
	if site.With == nil {
		told = site.WithoutAnswer
	}
	t := tagOf(p, readAnswer(told, d))
	if t == nil {
		return
	}
	address, err := (&judge{response: page, page: p}).tagAddress(*t)
	if err != nil || address.Scheme != "https" && address.Scheme != "http" {
		return // checkTag reports it
	}
	address.Fragment, address.User = "", nil
	g := newGuest(s, page.Address(), "")
	g.fields = scriptFields
	b := BundleAnswer{URL: address.String()}
	b.Response, b.Err = g.load(ctx, address)
	site.Bundle = &b
}

// A BundleAnswer is what came of the request for the script.
type BundleAnswer struct {
	URL      string
	Response *Response // nil if there is an error
	Err      error
}

// scriptFields are what a browser sends with the request for a script, in place of some
// of surveyFields.
var scriptFields = map[string]string{"Accept": "*/*", "Sec-Fetch-Dest": "script", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-User": "", "Upgrade-Insecure-Requests": ""}

// load fetches a script as the guest's page does, and follows redirects to any site.
func (g *guest) load(ctx context.Context, address *url.URL) (*Response, error) {
	for n := 0; ; n++ {
		response, err := g.request(ctx, address, "")
		if err != nil {
			return nil, err
		}
		next := redirect(address, response)
		if next == nil || n == surveyRedirects {
			return response, nil
		}
		address = next
	}
}

// Bundle describes the deflector's script.
type Bundle struct {
	URL          string `json:"url"`
	Status       int    `json:"status,omitempty"`
	Size         int    `json:"size,omitempty"`       // in bytes, without compression
	Compressed   bool   `json:"compressed,omitempty"` // it was sent so
	Integrity    string `json:"integrity,omitempty"`  // its hash, as the integrity attribute has it
	CacheControl string `json:"cache_control,omitempty"`
	Lifetime     int    `json:"lifetime,omitempty"` // in seconds, for which browsers keep it; 0 if they ask each time
}

// checkBundle judges the script.
func (j *judge) checkBundle(t tag) {
	if j.site.Bundle == nil {
		return
	}
	b := &Bundle{URL: withoutQuery(j.site.Bundle.URL)}
	j.report.Bundle = b
	a := j.site.Bundle.Response
	if a == nil {
		j.finding(codeBundleUnreachable, aboutBundle, "the script could not be fetched: %s", j.site.Bundle.Err.Error())
		return
	}
	switch b.Status = a.Status; {
	case a.Status != 200:
		j.finding(codeBundleUnreachable, aboutBundle, "the script's address answers %s", statusOf(a))
		return
	case !isScriptResponse(a):
		j.finding(codeBundleUnreachable, aboutBundle, "the script's address answers with %s, which is no script", either(Short(a.Header.Get("Content-Type")), "no Content-Type"))
		return
	}
	sum := sha512.Sum384(a.Body)
	b.Size, b.Compressed, b.CacheControl = len(a.Body), a.Coding != "", a.list("Cache-Control")
	b.Lifetime = a.lifetime()
	if a.Cut {
		return // nothing else is known of it
	}
	b.Integrity = "sha384-" + base64.StdEncoding.EncodeToString(sum[:])
	if want := t.attr("integrity"); want != "" && !hasIntegrity(want, a.Body) {
		j.finding(codeBundleIntegrity, aboutBundle, "the script has another hash than the tag's integrity, so browsers block it. Its hash is %s", b.Integrity)
	}
	if a.Coding == "" && b.Size > 64<<10 {
		j.note(codeBundlePlain, aboutBundle, "the script's %d KB come without compression", b.Size>>10)
	}
}

// hasIntegrity reports whether a script has one of the hashes of an integrity attribute. Of
// these, only those of the strongest algorithm count (https://www.w3.org/TR/SRI/#get-the-strongest-metadata-from-set).
func hasIntegrity(attribute string, script []byte) bool {
	sums := map[string]func([]byte) []byte{
		"sha256": func(b []byte) []byte { s := sha256.Sum256(b); return s[:] },
		"sha384": func(b []byte) []byte { s := sha512.Sum384(b); return s[:] },
		"sha512": func(b []byte) []byte { s := sha512.Sum512(b); return s[:] },
	}
	for _, name := range []string{"sha512", "sha384", "sha256"} {
		given := false
		for word := range strings.FieldsSeq(attribute) {
			hash, ok := strings.CutPrefix(word, name+"-")
			hash, _, _ = strings.Cut(hash, "?")
			if given = given || ok; ok && hash == base64.StdEncoding.EncodeToString(sums[name](script)) {
				return true
			}
		}
		if given {
			return false
		}
	}
	return true // browsers ignore what they do not know
}

// isScriptResponse reports whether browsers run the response: a type that says page or
// picture, and nosniff, keep them from it.
func isScriptResponse(a *Response) bool {
	kind := strings.ToLower(a.Header.Get("Content-Type"))
	body := bytes.TrimSpace(a.Body)
	return !strings.HasPrefix(kind, "text/html") && !strings.HasPrefix(kind, "image/") && !bytes.HasPrefix(body, []byte("<")) && len(body) > 0 &&
		(strings.Contains(kind, "javascript") || strings.Contains(kind, "ecmascript") || !a.has("X-Content-Type-Options", "nosniff"))
}

// lifetime returns for how many seconds browsers use the response without asking again.
func (a *Response) lifetime() int {
	if a.has("Cache-Control", "no-store", "no-cache") {
		return 0
	}
	for _, line := range a.Header["Cache-Control"] {
		for member := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(member), "=")
			if strings.EqualFold(name, "max-age") {
				n, _ := strconv.Atoi(strings.Trim(value, `"`))
				return max(n, 0)
			}
		}
	}
	return 0
}

func (b *Bundle) text() string {
	if b.Size == 0 {
		return "not fetched"
	}
	size := fmt.Sprintf("%.2f MB", float64(b.Size)/1e6)
	if b.Size < 1e5 {
		size = fmt.Sprintf("%.1f KB", float64(b.Size)/1e3)
	}
	kept := "browsers ask for it each time"
	if b.Lifetime > 0 {
		kept = "kept for " + (time.Duration(b.Lifetime) * time.Second).String()
	}
	return join(", ", size+yesNo(b.Compressed, ", sent compressed", ""), b.Integrity, kept)
}
