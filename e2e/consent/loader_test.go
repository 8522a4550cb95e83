package consent

import (
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// drawForm is JavaScript that draws the form, which the pages do not have.
const drawForm = `document.body.insertAdjacentHTML('beforeend', '<form id="support-form"><textarea id="description"></textarea><button>Send</button></form>')`

// With the platforms' own code: whoever accepts has the deflector at once, and
// whoever withdraws loses both.
func TestTheLoaderWithConsentLibraries(t *testing.T) {
	t.Parallel()
	var sites strings.Builder
	for _, l := range consentLibraries {
		sites.WriteString(consentSite(l.host, l.page, "consent "+l.line+"\n\t\t\tloader"))
	}
	edge := &consentEdge{Caddy: testenv.StartCaddy(t, sites.String())}
	for _, l := range consentLibraries {
		t.Run(l.host, func(t *testing.T) {
			t.Parallel()
			testenv.Module(t, l.module)
			v := &consentVisitor{Visitor: testenv.NewVisitor(t), edge: edge, host: l.host}
			v.Open(edge.Edge(l.host+".localhost", "/"))
			testenv.Eval[bool](v.Visitor, drawForm+`, window.marked = true`)
			if held := v.held(); held != "unknown" {
				t.Fatalf("the library holds %s", held)
			}
			v.WantNoTag()
			v.clickAll(l.accept...)
			v.WaitFor(`window.KapaSFD`)
			if n := testenv.Eval[int](v.Visitor, `document.querySelectorAll(`+testenv.Quote(testenv.TagSelector)+`).length`); n != 1 {
				t.Errorf("the page has %d tags", n)
			}
			const ids = `document.cookie.split('; ').filter((c) => c.startsWith('kapa_web_id=')).length`
			if n := testenv.Eval[int](v.Visitor, ids); n != 1 {
				t.Errorf("%d ids", n)
			}
			loadedAgain := func() {
				t.Helper()
				v.Await("the page is loaded again", `!window.marked && document.readyState === 'complete'`)
			}
			clicks := l.toRefuse
			if l.forgets {
				v.clickAll(clicks[0])
				loadedAgain()
				clicks = clicks[1:]
			}
			v.clickAll(clicks...)
			loadedAgain()
			if held := v.held(); held != "denied" {
				t.Errorf("the library holds %s", held)
			}
			v.WaitFor(ids + ` === 0`) // a choice that is only forgotten leaves the id
			testenv.Eval[bool](v.Visitor, drawForm+`, true`)
			v.WantAnswer()
			v.WantNoTag()
		})
	}
}
