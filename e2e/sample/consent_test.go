package sample

import (
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

func TestRefusingLeavesTheFormAsItIs(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/tickets/new"))
	v.Click(".consent-refuse")
	v.Screenshot("1-refused")
	v.Click(".consent-close")
	for range 2 {
		v.Reload()
		v.WantAnswer()
		v.WantNoTag()
		v.WantNoID()
	}
	v.Screenshot("2-form")
	v.FillIn(testenv.LongQuestion)
	v.Follow(testenv.SendButton)
	v.WantSent("/tickets", testenv.LongQuestion)
	v.WantNoID()
}

func TestAcceptingOnTheFormItselfCountsThere(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/tickets/new"))
	v.Accept()
	v.WaitFor(`window.KapaSFD`)
	v.WantTag()
	v.ID()
	v.Ask()
	v.Follow("#kapa-stand-in-send")
	v.WantSent("/tickets", testenv.LongQuestion)
}

func TestWithoutTheLoaderAcceptingCountsFromTheNextPage(t *testing.T) {
	t.Parallel()
	site := sampleWithoutLoader(t)
	v := testenv.NewVisitor(t)
	v.Open(site.Edge(testenv.Support, "/tickets/new"))
	v.Accept()
	v.WantNoTag()
	v.WantNoID()
	v.Follow(`nav a[href="/tickets/new"]`) // which the browser has in its cache, without a tag
	v.WantTag()
	v.ID()
}

func TestWithdrawalTakesTagAndIDAway(t *testing.T) {
	t.Parallel()
	for _, page := range []struct{ Host, Path string }{
		{testenv.Support, "/tickets/new"},
		{testenv.Docs, "/contact"},
		// Pages that never have a tag. They are none that the visitor has seen
		// before: those a browser may show again without asking the edge.
		{testenv.Support, "/articles/reset-password"},
		{testenv.Docs, "/"},
	} {
		t.Run(page.Host+page.Path, func(t *testing.T) {
			t.Parallel()
			v := testenv.NewVisitor(t)
			v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
			v.Accept()
			v.Open(testenv.Sample(t).Edge(testenv.Support, "/tickets/new"))
			v.WantTag()
			v.ID()
			v.ChangeMind()
			v.Screenshot("1-changing")
			withdraw(v)

			v.Open(testenv.Sample(t).Edge(page.Host, page.Path))
			v.WantNoTag()
			v.WantNoID()
			v.Screenshot("2-after")
			for _, form := range testenv.SamplePages {
				v.Open(testenv.Sample(t).Edge(form.Host, form.Path))
				if form.Form {
					v.WantAnswer()
				}
				v.WantNoTag()
			}
			v.WantNoID()
		})
	}
}

func TestWithdrawalAlsoTakesAnIDThatKapasScriptHasWritten(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
	v.Accept()
	v.Open(testenv.Sample(t).Edge(testenv.Docs, "/contact"))
	v.WantTag()
	v.Ask()
	v.ID()
	v.Refuse()
	v.Reload()
	v.WantAnswer()
	v.WantNoTag()
	v.WantNoID()
}

func TestChangingOnesMindToYesBringsTheTag(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/tickets/new"))
	v.Refuse()
	v.Reload()
	v.WantAnswer()
	v.WantNoTag()
	v.Accept()
	v.Reload()
	v.WantTag()
	first := v.ID().Value

	t.Log("and no, and yes again: a new id")
	v.ChangeMind()
	withdraw(v)
	v.WantAnswer()
	v.WantNoTag()
	v.WantNoID()
	v.Accept()
	v.Follow(`nav a[href="/tickets/new"]`)
	v.WantTag()
	if v.ID().Value == first {
		t.Error("the id that was withdrawn is back")
	}
}

func TestNoPageHasAnErrorInAnyState(t *testing.T) {
	t.Parallel()
	for _, state := range []struct {
		name   string
		choose func(*testenv.Visitor)
	}{
		{"undecided", func(*testenv.Visitor) {}},
		{"accepted", (*testenv.Visitor).Accept},
		{"refused", (*testenv.Visitor).Refuse},
		{"withdrawn", func(v *testenv.Visitor) {
			v.Accept()
			v.Open(testenv.Sample(t).Edge(testenv.Support, "/tickets/new"))
			v.WantTag()
			v.ChangeMind()
			withdraw(v)
		}},
	} {
		t.Run(state.name, func(t *testing.T) {
			t.Parallel()
			v := testenv.NewVisitor(t) // which fails for whatever is in the console
			v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
			state.choose(v)
			for _, page := range testenv.SamplePages {
				v.Open(testenv.Sample(t).Edge(page.Host, page.Path))
				if page.Form {
					v.WantAnswer()
				}
				if page.Form && state.name == "accepted" {
					v.WantTag()
				}
				if tag := v.HasTag(); tag != (page.Form && state.name == "accepted") {
					t.Errorf("%s%s: tag %v", page.Host, page.Path, tag)
				}
			}
			nowhere := testenv.Sample(t).Edge(testenv.Support, "/nowhere")
			v.Expect("status 404: "+nowhere, "status of 404 (Not Found) ("+nowhere)
			v.Open(nowhere)
			if !v.Sees(".consent-change") {
				t.Error("the error page has no way to change one's mind")
			}
		})
	}
}

// withdraw has the visitor refuse in the banner, which is open, on a form that they have
// not touched: the loader has the page loaded again.
func withdraw(v *testenv.Visitor) {
	v.T.Helper()
	testenv.Eval[bool](v, `window.marked = true`)
	v.Click(".consent-refuse")
	v.Await("the page is loaded again", `!window.marked && document.readyState === 'complete'`)
	v.WantChoice("refused")
}
