package consent

import (
	"strconv"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// adapted are the stand-ins in libraries/adapters.html: by their hosts, the names of the
// platforms.
var adapted = map[string]string{
	"usercentrics-v3": "usercentrics",
	"usercentrics-v2": "usercentrics",
	"termly":          "termly",
	"osano":           "osano",
	"silktide":        "silktide",
}

// An adaptedVisitor is a visitor of such a site, who has an id from before.
type adaptedVisitor struct {
	*testenv.Visitor
	edge           *testenv.Caddy
	host, platform string
}

// visit opens a page whose platform has these special features.
func (v *adaptedVisitor) visit(special string) {
	v.T.Helper()
	v.Open(v.edge.Edge(v.host+".localhost", "/?"+special))
}

// wants waits until the loader has asked and reported the visitor's choice, which is
// yes, no, or "", and checks what came of it.
func (v *adaptedVisitor) wants(choice string) {
	v.T.Helper()
	answer := map[string]string{"yes": "tag", "no": "no-consent", "": "no-consent"}[choice]
	// A page that the deflector runs in is loaded anew after a withdrawal.
	v.WaitFor(`typeof questions === 'object' && questions.at(-1) === ` + testenv.Quote("question; "+v.platform+"="+choice+" -> "+answer) +
		` && 'KapaSFD' in window === ` + strconv.FormatBool(choice == "yes"))
	const hasID = `document.cookie.includes('kapa_web_id=')`
	if id := testenv.Eval[bool](v.Visitor, hasID); id != (choice != "no") {
		v.T.Errorf("after %q there is an id: %v", choice, id)
	}
	if choice != "yes" {
		v.WantNoTag()
	}
}

func TestAdapters(t *testing.T) {
	t.Parallel()
	var sites strings.Builder
	for host, platform := range adapted {
		for prefix, services := range map[string]string{"": "kapa", "both-": "kapa pixel"} {
			sites.WriteString(consentSite(host+"."+prefix+"site", "adapters", "consent "+platform+" "+services+"\n\t\t\tloader"))
		}
	}
	edge := testenv.StartCaddy(t, sites.String())
	for host, platform := range adapted {
		arrive := func(t *testing.T, site string) *adaptedVisitor {
			t.Helper()
			v := &adaptedVisitor{Visitor: testenv.NewVisitor(t), edge: edge, host: host + "." + site, platform: platform}
			v.visit("")
			testenv.Eval[string](v.Visitor, `document.cookie = 'kapa_web_id=0190d5f0-6c8b-4a7e-9f00-000000000001; Path=/'`)
			return v
		}
		scenario := func(name string, run func(v *adaptedVisitor)) {
			t.Run(host+"/"+name, func(t *testing.T) {
				t.Parallel()
				run(arrive(t, "site"))
			})
		}
		both := func(name string, run func(v *adaptedVisitor)) {
			t.Run(host+"/"+name, func(t *testing.T) {
				t.Parallel()
				run(arrive(t, "both-site"))
			})
		}
		scenario("no choice, yes, another page, withdrawn, yes", func(v *adaptedVisitor) {
			v.visit("")
			v.wants("")
			v.Click("#yes")
			v.wants("yes")
			v.visit("")
			v.wants("yes")
			v.Click("#no")
			v.wants("no")
			v.Click("#yes")
			v.wants("yes")
		})
		scenario("no, another page, yes", func(v *adaptedVisitor) {
			v.visit("")
			v.wants("")
			v.Click("#no")
			v.wants("no")
			v.visit("")
			v.wants("no")
			v.Click("#only")
			v.wants("yes")
		})
		scenario("allowed unasked, then a choice", func(v *adaptedVisitor) {
			v.visit("unasked")
			v.wants("")
			v.Click("#no")
			v.wants("no")
		})
		scenario("the platform's script comes late", func(v *adaptedVisitor) {
			v.visit("")
			v.wants("")
			v.Click("#yes")
			v.wants("yes")
			v.visit("late")
			v.wants("")
			testenv.Eval[bool](v.Visitor, `(() => {
				const script = document.createElement('script');
				script.src = '/lib/js-cookie/dist/js.cookie.js'; // any
				script.addEventListener('load', install);
				document.head.append(script);
				return true;
			})()`)
			v.wants("yes")
		})
		scenario("the platform's script never comes", func(v *adaptedVisitor) {
			v.visit("names")
			v.wants("")
		})
		scenario("the platform's functions throw", func(v *adaptedVisitor) {
			v.visit("")
			v.Click("#yes")
			v.wants("yes")
			v.visit("throws")
			v.wants("")
		})
		both("two services", func(v *adaptedVisitor) {
			v.visit("")
			v.wants("")
			v.Click("#only")
			v.wants("no")
			v.Click("#yes")
			v.wants("yes")
			v.Click("#only")
			v.wants("no")
		})
		// what a choice is worth
		for special, hosts := range map[string]string{
			"again":    "usercentrics-v2 usercentrics-v3", // it will ask again
			"implicit": "osano",                           // nobody needs to consent there
			"required": "silktide",                        // nobody can refuse
			"default":  "silktide",                        // on before the visitor chooses
		} {
			if !strings.Contains(hosts, host) {
				continue
			}
			scenario("a yes that is none: "+special, func(v *adaptedVisitor) {
				v.visit("")
				v.Click("#yes")
				v.wants("yes")
				v.visit(special)
				v.wants("")
			})
		}
		if host == "termly" {
			scenario("a choice that is kept elsewhere", func(v *adaptedVisitor) {
				v.visit("elsewhere")
				v.wants("")
				v.Click("#no")
				v.wants("no")
				v.Click("#yes")
				v.wants("yes")
			})
		}
	}
}
