package kapadeflector

import (
	"net/http"
	"reflect"
	"runtime/debug"
	"slices"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/loader"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/page"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/placeholder"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// A pageLoader is a block's loader, as it goes into pages.
type pageLoader struct {
	id, block string // which its questions name
	insertion page.Insertion

	// renders says that the loader starts the deflector. If the user has set
	// data-render-on-load, the site or the deflector itself does.
	renders bool
}

// newLoader returns the loader with a start, one of loader.Starts, for a tag with these
// attributes.
func newLoader(start string, attrs []Attribute, reader consentReader, pages []string) *pageLoader {
	config := loader.Config{
		Cookies:  reader.cookieNames(),
		Start:    loader.Start(slices.Index(loader.Starts(), start)),
		HonorGPC: reader.gpc,
		Adapters: reader.pages,
		Prompt:   reader.choice != nil,
		Pages:    pages,
		Version:  version(),
	}
	for _, a := range attrs {
		if i := slices.Index(kapa.FormSelectors[:], a.Name); i >= 0 {
			config.Selectors[i], _ = placeholder.Parse(a.Value).Static()
		}
	}
	script := loader.New(config)
	html := []byte(page.InlineOpen + script.Content + page.InlineClose)
	return &pageLoader{
		id:    script.ID,
		block: script.Block,
		insertion: page.Insertion{
			HTML: html, Suffix: variant.Suffix(html), Loader: script.Content, Fingerprint: mayTakeFingerprints(attrs),
		}.Prepare(),
		renders: !hasAttribute(attrs, kapa.RenderOnLoad),
	}
}

// version returns the plugin's version, as caddy list-modules --versions shows it; "" if
// it is not known, as in a build from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return versionIn(info)
}

// versionIn returns the version of this module in a program. What a replace directive
// has put in its place has no version of this module.
func versionIn(info *debug.BuildInfo) string {
	path := reflect.TypeFor[Handler]().PkgPath() // as Caddy finds a plugin's module
	for _, dep := range info.Deps {
		if dep.Path == path && dep.Replace == nil {
			return dep.Version
		}
	}
	return ""
}

// cookieNames returns regular expressions for the names of the cookies that record
// consent.
func (c consentReader) cookieNames() (names []string) {
	rules := c.rules
	if c.choice != nil {
		rules = []consent.Rule{c.choice}
	}
	for _, rule := range rules {
		for _, name := range rule.Cookies() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// loaderPlan decides what the response to r gets if it is a page: the loader, whoever
// asks and however, because caches do not tell such requests apart.
func (b *block) loaderPlan(r *http.Request, verdict consent.Verdict) page.Plan {
	p := page.Plan{
		Covered:   true,
		Outcome:   outcome.Loader,
		Insertion: &b.loader.insertion,
		Policy:    &b.policy,
	}
	destination, _ := document.DestinationOf(r)
	if verdict == consent.Denied && destination != document.Other {
		p.ID = page.DeleteID
	}
	// What is not certainly for a page keeps its conditions, unless they are about a
	// page with this loader.
	switch isFetched := destination == document.Other || destination == document.Any; {
	case !document.MayShow(r.Method):
		p.Destination = document.Other
	case isFetched && !variant.Names(r.Header, p.Insertion.Suffix):
		p.Destination = document.Any
	default:
		p.Destination = document.Unknown
	}
	// A page in a coding that cannot be changed would miss the loader. Requests of
	// browsers say whether they are for a page; all others may be a cache's.
	if destination == document.Document || destination == document.Unknown || destination == document.Any {
		p.Coding = document.Coding(r.Header)
	}
	return p
}
