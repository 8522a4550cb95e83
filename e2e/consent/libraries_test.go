package consent

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// A consentLibrary is the code of a consent platform, in a page of
// consent_libraries that uses it and says, by held(), what it holds.
type consentLibrary struct {
	host, page string // the page is served on this host under localhost
	module     string // in node_modules
	line       string // consent line
	// What is clicked, one selector after the other.
	accept, refuse    []string // where nothing was chosen yet
	only, others      []string // this category alone, and all but this one; none if there are no categories
	toRefuse, toAgree []string // where the opposite was chosen
	forgets           bool     // the first click of toRefuse deletes the choice
}

var consentLibraries = []consentLibrary{
	{
		host: "klaro", page: "klaro", module: "klaro", line: "klaro kapa",
		accept:   []string{".cookie-notice .cm-btn-success"},
		refuse:   []string{".cookie-notice .cn-decline"},
		only:     []string{".cn-learn-more", "label[for=service-item-kapa] .slider", ".cm-btn-accept"},
		others:   []string{".cn-learn-more", "label[for=service-item-pixel] .slider", ".cm-btn-accept"},
		toRefuse: []string{"#change", "label[for=service-item-kapa] .slider", ".cm-modal .cm-btn-accept"},
		toAgree:  []string{"#change", "label[for=service-item-kapa] .slider", ".cm-modal .cm-btn-accept"},
	},
	{
		host: "orestbida-v3", page: "orestbida-v3", module: "vanilla-cookieconsent", line: "orestbida analytics",
		accept:   []string{".cm [data-role=all]"},
		refuse:   []string{".cm [data-role=necessary]"},
		only:     []string{".cm [data-role=show]", ".section__toggle[value=analytics]", ".pm [data-role=save]"},
		others:   []string{".cm [data-role=show]", ".section__toggle[value=ads]", ".pm [data-role=save]"},
		toRefuse: []string{"#change", ".pm [data-role=necessary]"},
		toAgree:  []string{"#change", ".pm [data-role=all]"},
	},
	orestbidaV2("orestbida-v2"),
	orestbidaV2("rfc-orestbida-v2"), // with its option to encode the cookie
	{
		host: "tarteaucitron", page: "tarteaucitron", module: "tarteaucitronjs", line: "tarteaucitron kapa",
		accept:   []string{"#tarteaucitronPersonalize2"},
		refuse:   []string{"#tarteaucitronAllDenied2"},
		only:     []string{"#tarteaucitronCloseAlert", "#kapaAllowed", "#tarteaucitronSaveButton"},
		others:   []string{"#tarteaucitronCloseAlert", "#pixelAllowed", "#tarteaucitronSaveButton"},
		toRefuse: []string{"#change", "#tarteaucitronAllDenied"},
		toAgree:  []string{"#change", "#tarteaucitronAllAllowed"},
	},
	{
		host: "insites-opt-in", page: "insites", module: "cookieconsent", line: "insites",
		accept:   []string{".cc-allow"},
		refuse:   []string{".cc-deny"},
		toRefuse: []string{"#change", ".cc-deny"},
		toAgree:  []string{"#change", ".cc-allow"},
		forgets:  true,
	},
	{
		host: "insites-opt-out", page: "insites", module: "cookieconsent", line: "insites",
		accept:   []string{".cc-allow"},
		refuse:   []string{".cc-deny"},
		toRefuse: []string{"#change", ".cc-deny"},
		toAgree:  []string{"#change", ".cc-allow"},
		forgets:  true,
	},
	jsCookie("drupal", "drupal_eucc analytics"),
	jsCookie("axeptio", "axeptio kapa"),
}

func orestbidaV2(host string) consentLibrary {
	return consentLibrary{
		host: host, page: "orestbida-v2", module: "vanilla-cookieconsent-v2", line: "orestbida analytics",
		accept:   []string{"#c-p-bn"},
		refuse:   []string{"#c-s-bn"},
		only:     []string{"#choose", ".c-tgl[value=analytics]", "#s-sv-bn"},
		others:   []string{"#choose", ".c-tgl[value=ads]", "#s-sv-bn"},
		toRefuse: []string{"#change", "#s-rall-bn"},
		toAgree:  []string{"#change", "#s-all-bn"},
	}
}

func jsCookie(host, line string) consentLibrary {
	return consentLibrary{
		host: host, page: "js-cookie", module: "js-cookie", line: line,
		accept:   []string{"#accept"},
		refuse:   []string{"#refuse"},
		only:     []string{"#only"},
		others:   []string{"#others"},
		toRefuse: []string{"#refuse"},
		toAgree:  []string{"#accept"},
	}
}

// consentSites is a Caddyfile with a site for each library, whose log says
// what the edge made of a request.
func consentSites() string {
	var sites strings.Builder
	for _, l := range consentLibraries {
		sites.WriteString(consentSite(l.host, l.page, "consent "+l.line))
	}
	return sites.String()
}

func consentSite(host, page, consent string) string {
	return fmt.Sprintf(`
http://%s.localhost:{$EDGE_PORT} {
	log
	log_append outcome {http.kapa_deflector.outcome}
	log_append reason {http.kapa_deflector.reason}

	handle_path /lib/* {
		root e2e/node_modules
		file_server
	}
	handle /kapa-support-form-deflector.bundle.js {
		root examples/shared
		file_server
	}
	handle / {
		kapa_deflector {
			data-integration-id 00000000-0000-4000-8000-000000000000
			data-main-input-query-selector "#description"
			data-submit-element-query-selector "#support-form"
			data-submit-element-event-type onSubmit
			data-submit-button-query-selector "#support-form button"
			data-anchor-element-query-selector "#support-form"
			script /kapa-support-form-deflector.bundle.js
			%s
		}
		root e2e/consent/libraries
		rewrite %s.html
		file_server
	}
}
`, host, consent, page)
}

// verdict is what the edge made of the one request for an address.
func (c *consentEdge) verdict(t *testing.T, uri string) (verdict string) {
	t.Helper()
	testenv.Eventually(t, uri+" is in the access log", func() bool {
		for _, r := range c.Requests(uri) {
			switch r.Outcome {
			case "injected":
				verdict = "granted"
			case "denied":
				verdict = "denied"
			case "no_consent":
				verdict = "unknown"
			default:
				t.Fatalf("%s: outcome %q, reason %q", uri, r.Outcome, r.Reason)
			}
		}
		return verdict != ""
	})
	return verdict
}

// consentEdge is a Caddy with consentSites.
type consentEdge struct {
	*testenv.Caddy
	pages atomic.Int64 // opened so far: no two have the same address, and none is in a browser's cache
}

// consentVisitor is a visitor of the page of one library.
type consentVisitor struct {
	*testenv.Visitor
	edge *consentEdge
	host string
}

// held is what the library itself says, once it is ready.
func (v *consentVisitor) held() string {
	v.T.Helper()
	v.WaitFor(`document.readyState === 'complete' && (typeof ready === 'undefined' || ready())`)
	return testenv.Eval[string](v.Visitor, `held()`)
}

// choose clicks, waits until the library holds what is wanted, and opens the
// next page. There the library and the edge must both say the same.
func (v *consentVisitor) choose(step, want string, clicks []string) {
	v.T.Helper()
	v.clickAll(clicks...)
	v.WaitFor(`held() === ` + testenv.Quote(want))
	v.next(step, "", want, want)
}

// clickAll clicks one after the other.
func (v *consentVisitor) clickAll(selectors ...string) {
	v.T.Helper()
	for _, selector := range selectors {
		v.WaitFor(onTop(selector))
		v.Click(selector)
	}
}

// onTop is whether a click would reach an element: what fades in is there
// before it does.
func onTop(selector string) string {
	return `((e) => {
		e?.scrollIntoView({ block: 'center' });
		const r = e?.getClientRects()[0];
		return r && e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2));
	})(document.querySelector(` + testenv.Quote(selector) + `))`
}

// next opens another page, with query added to its address.
func (v *consentVisitor) next(step, query, wantLibrary, wantEdge string) {
	v.T.Helper()
	uri := fmt.Sprintf("/?page=%d%s", v.edge.pages.Add(1), query)
	v.Open(v.edge.Edge(v.host+".localhost", uri))
	library, edge := v.held(), v.edge.verdict(v.T, uri)
	if library != wantLibrary || edge != wantEdge {
		v.T.Errorf("%s: the library holds %s, want %s; the edge says %s, want %s\ndocument.cookie: %s",
			step, library, wantLibrary, edge, wantEdge, testenv.Eval[string](v.Visitor, `document.cookie`))
	}
	if tag := v.HasTag(); tag != (edge == "granted") {
		v.T.Errorf("%s: the edge says %s, the page has a tag: %v", step, edge, tag)
	}
}

// The edge's verdict is what the platform's own code says.
func TestConsentLibrariesAgreeWithTheEdge(t *testing.T) {
	t.Parallel()
	edge := &consentEdge{Caddy: testenv.StartCaddy(t, consentSites())}
	for _, l := range consentLibraries {
		arrive := func(t *testing.T) *consentVisitor {
			t.Helper()
			testenv.Module(t, l.module)
			v := &consentVisitor{Visitor: testenv.NewVisitor(t), edge: edge, host: l.host}
			v.next("before any choice", "", "unknown", "unknown")
			v.next("still before any", "", "unknown", "unknown")
			return v
		}
		t.Run(l.host+"/yes, no, yes", func(t *testing.T) {
			t.Parallel()
			v := arrive(t)
			v.Screenshot("1-unknown")
			v.choose("accepted all", "granted", l.accept)
			v.next("accepted all, another page", "", "granted", "granted")
			v.choose("withdrawn", "denied", l.toRefuse)
			v.choose("accepted again", "granted", l.toAgree)
			v.Screenshot("2-granted")
		})
		t.Run(l.host+"/no, yes, no", func(t *testing.T) {
			t.Parallel()
			v := arrive(t)
			v.choose("refused all", "denied", l.refuse)
			v.next("refused all, another page", "", "denied", "denied")
			v.choose("changed to yes", "granted", l.toAgree)
			v.choose("withdrawn", "denied", l.toRefuse)
			v.Screenshot("1-denied")
		})
		if l.only == nil {
			continue
		}
		t.Run(l.host+"/this alone", func(t *testing.T) {
			t.Parallel()
			v := arrive(t)
			v.choose("accepted this alone", "granted", l.only)
			v.choose("withdrawn", "denied", l.toRefuse)
		})
		t.Run(l.host+"/all but this", func(t *testing.T) {
			t.Parallel()
			v := arrive(t)
			v.choose("accepted all but this", "denied", l.others)
			v.choose("changed to yes", "granted", l.toAgree)
		})
	}
}

// What a site's own settings of a library make of a choice, where that is not
// plain from the cookie.
func TestConsentLibrariesWithOtherSettings(t *testing.T) {
	t.Parallel()
	const withRevision = `consent rule cc_cookie {
				decode percent
				decode json
				answered json revision equals 1
				granted json categories contains analytics
			}`
	edge := &consentEdge{Caddy: testenv.StartCaddy(t, consentSites()+
		consentSite("insites-info", "insites", "consent insites")+
		consentSite("revised", "orestbida-v3", withRevision))}
	arrive := func(t *testing.T, host, module string) *consentVisitor {
		t.Helper()
		testenv.Module(t, module)
		return &consentVisitor{Visitor: testenv.NewVisitor(t), edge: edge, host: host}
	}

	// A notice that can only be closed asks nothing. The library counts that as
	// consent, and the edge does not.
	t.Run("insites: a notice is closed", func(t *testing.T) {
		t.Parallel()
		v := arrive(t, "insites-info", "cookieconsent")
		v.next("before", "", "unknown", "unknown")
		v.Click(".cc-dismiss")
		v.WaitFor(`held() === 'granted'`)
		v.next("dismissed", "", "granted", "unknown")
	})

	// When a site raises the revision of its consent, the library asks again.
	// The edge cannot know the site's revision, but a rule can name it.
	t.Run("orestbida: another revision", func(t *testing.T) {
		t.Parallel()
		v := arrive(t, "orestbida-v3", "vanilla-cookieconsent")
		v.next("before", "", "unknown", "unknown")
		v.choose("accepted", "granted", []string{".cm [data-role=all]"})
		v.next("revised", "&revision=1", "unknown", "granted")
	})
	t.Run("orestbida: a rule names the revision", func(t *testing.T) {
		t.Parallel()
		v := arrive(t, "revised", "vanilla-cookieconsent")
		v.next("before", "", "unknown", "unknown")
		v.clickAll(".cm [data-role=all]")
		v.WaitFor(`held() === 'granted'`)
		v.next("accepted an older revision", "&revision=1", "unknown", "unknown")
		v.clickAll(".cm [data-role=all]")
		v.WaitFor(`held() === 'granted'`)
		v.next("accepted this one", "&revision=1", "granted", "granted")
		v.clickAll("#change", ".pm [data-role=necessary]")
		v.WaitFor(`held() === 'denied'`)
		v.next("withdrawn", "&revision=1", "denied", "denied")
	})

	// A site may have its services allowed from the start. In the cookie, that
	// looks as after a click; as it does, by tarteaucitron's source, where
	// highPrivacy is off and the visitor went to a second page.
	t.Run("tarteaucitron: allowed from the start", func(t *testing.T) {
		t.Parallel()
		v := arrive(t, "tarteaucitron", "tarteaucitronjs")
		v.next("before", "&state=true", "granted", "unknown")
		v.next("no click", "&state=true", "granted", "granted")
		v.clickAll("#change", "#kapaDenied")
		v.WaitFor(`held() === 'denied'`)
		v.next("refused", "&state=true", "denied", "denied")
	})
}
