package e2e

import "testing"

func TestRefusingLeavesTheFormAsItIs(t *testing.T) {
	v := newVisitor(t)
	v.open(sample.edge(support, "/tickets/new"))
	v.click(".consent-refuse")
	v.screenshot("1-refused")
	v.click(".consent-close")
	for range 2 {
		v.reload()
		v.wantNoTag()
		v.wantNoID()
	}
	v.screenshot("2-form")
	v.fillIn(longQuestion)
	v.follow(sendButton)
	v.wantSent("/tickets", longQuestion)
	v.wantNoID()
}

func TestAcceptingOnTheFormItselfCountsThere(t *testing.T) {
	v := newVisitor(t)
	v.open(sample.edge(support, "/tickets/new"))
	v.accept()
	v.waitFor(`window.KapaSFD`)
	v.wantTag()
	v.id()
	v.ask()
	v.follow("#kapa-stand-in-send")
	v.wantSent("/tickets", longQuestion)
}

func TestWithoutTheWatcherAcceptingCountsFromTheNextPage(t *testing.T) {
	site := sampleWithoutWatcher(t)
	v := newVisitor(t)
	v.open(site.edge(support, "/tickets/new"))
	v.accept()
	v.wantNoTag()
	v.wantNoID()
	v.follow(`nav a[href="/tickets/new"]`) // which the browser has in its cache, without a tag
	v.wantTag()
	v.id()
}

func TestWithdrawalTakesTagAndIDAway(t *testing.T) {
	for _, page := range []struct{ host, path string }{
		{support, "/tickets/new"},
		{docs, "/contact"},
		// Pages that never have a tag. They are none that the visitor has seen
		// before: those a browser may show again without asking the edge.
		{support, "/articles/reset-password"},
		{docs, "/"},
	} {
		t.Run(page.host+page.path, func(t *testing.T) {
			v := newVisitor(t)
			v.open(sample.edge(support, "/"))
			v.accept()
			v.open(sample.edge(support, "/tickets/new"))
			v.wantTag()
			v.id()
			v.changeMind()
			v.screenshot("1-changing")
			v.refuse()

			v.open(sample.edge(page.host, page.path))
			v.wantNoTag()
			v.wantNoID()
			v.screenshot("2-after")
			for _, form := range samplePages {
				v.open(sample.edge(form.host, form.path))
				v.wantNoTag()
			}
			v.wantNoID()
		})
	}
}

func TestWithdrawalAlsoTakesAnIDThatKapasScriptHasWritten(t *testing.T) {
	v := newVisitor(t)
	v.open(sample.edge(support, "/"))
	v.accept()
	v.open(sample.edge(docs, "/contact"))
	v.wantTag()
	v.ask()
	v.id()
	v.refuse()
	v.reload()
	v.wantNoTag()
	v.wantNoID()
}

func TestChangingOnesMindToYesBringsTheTag(t *testing.T) {
	v := newVisitor(t)
	v.open(sample.edge(support, "/tickets/new"))
	v.refuse()
	v.reload()
	v.wantNoTag()
	v.accept()
	v.reload()
	v.wantTag()
	first := v.id().Value

	t.Log("and no, and yes again: a new id")
	v.refuse()
	v.reload()
	v.wantNoTag()
	v.wantNoID()
	v.accept()
	v.follow(`nav a[href="/tickets/new"]`)
	v.wantTag()
	if v.id().Value == first {
		t.Error("the id that was withdrawn is back")
	}
}

func TestNoPageHasAnErrorInAnyState(t *testing.T) {
	for _, state := range []struct {
		name   string
		choose func(*visitor)
	}{
		{"undecided", func(*visitor) {}},
		{"accepted", (*visitor).accept},
		{"refused", (*visitor).refuse},
		{"withdrawn", func(v *visitor) {
			v.accept()
			v.open(sample.edge(support, "/tickets/new"))
			v.refuse()
		}},
	} {
		t.Run(state.name, func(t *testing.T) {
			v := newVisitor(t) // which fails for whatever is in the console
			v.open(sample.edge(support, "/"))
			state.choose(v)
			for _, page := range samplePages {
				v.open(sample.edge(page.host, page.path))
				if page.path == "/tickets/new-late" {
					v.waitFor(visible("#support-form"))
				}
				if tag := v.hasTag(); tag != (page.form && state.name == "accepted") {
					t.Errorf("%s%s: tag %v", page.host, page.path, tag)
				}
			}
			nowhere := sample.edge(support, "/nowhere")
			v.expect("status 404: "+nowhere, "status of 404 (Not Found) ("+nowhere)
			v.open(nowhere)
			if !v.sees(".consent-change") {
				t.Error("the error page has no way to change one's mind")
			}
		})
	}
}
