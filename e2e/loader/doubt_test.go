package loader

import "testing"

// An answer holds until the loader has something else to ask. While the next answer is
// on its way, and if none comes, no script is put in and no deflector is started.
func TestWithoutTheNextAnswer(t *testing.T) {
	t.Parallel()
	own := pages{"empty": empty("")}
	edges := map[string]*edge{
		"interaction": interaction(t, own),
		"load":        newEdge(t, consentLine+pagesLine+"\n\t\tloader load", own),
	}
	changes := map[string]func(v *visitor){
		"another page": func(v *visitor) { v.run(`remove(); history.pushState(null, '', '/elsewhere'); draw()`) },
		"a withdrawal": func(v *visitor) { v.set(no) },
	}
	for name, answer := range map[string]string{
		"no":        `Promise.reject()`,
		"a late":    `new Promise(() => {})`,
		"a page as": `Promise.resolve(new Response('<!doctype html>'))`,
	} {
		for change, make := range changes {
			for start, e := range edges {
				t.Run(name+" answer after "+change+", "+start, func(t *testing.T) {
					t.Parallel()
					v := e.visitor(t, "/own/page/empty")
					v.have(yes)
					v.arrive()
					v.run(`draw()`)
					if start == "load" {
						v.wantDeflector(1)
					} else {
						v.awaitAsked(v.uri, 1, "granted")
						v.ID()
					}
					v.run(`window.fetch = () => { window.asked = true; return ` + answer + ` }`)
					make(v)
					v.WaitFor(`window.asked`)
					if start == "interaction" {
						v.Click("#description")
						v.WantNoTag()
						return
					}
					v.run(`remove(); draw()`)
					v.wantAsked(1, "granted")
					v.wantRenders(1)
				})
			}
		}
	}
}
