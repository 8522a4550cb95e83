package sample

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// violation is a rule of axe that a page breaks.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// loadAxe returns axe-core's source.
func loadAxe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(testenv.Module(t, "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// checkWithAxe fails the test for every serious or critical violation on the
// page as it is now.
func checkWithAxe(v *testenv.Visitor, axe, state string) {
	v.T.Helper()
	testenv.Eval[bool](v, axe+"; true")
	found := testenv.Eval[[]violation](v, `axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations.map(
		({ id, impact, help, nodes }) => ({
			ID: id, Impact: impact, Help: help,
			Nodes: nodes.map(({ html, failureSummary }) => ({ HTML: html, FailureSummary: failureSummary })),
		})))`)
	for _, f := range found {
		report := v.T.Logf
		if f.Impact == "serious" || f.Impact == "critical" {
			report = v.T.Errorf
		}
		report("%s, %s: %s (%s)", state, f.Impact, f.Help, f.ID)
		for _, node := range f.Nodes {
			report("\t%s\n\t%s", node.HTML, node.FailureSummary)
		}
	}
}

func TestNoPageIsHardToUse(t *testing.T) {
	t.Parallel()
	axe := loadAxe(t)
	for _, state := range []struct {
		name   string
		choose func(*testenv.Visitor)
	}{
		{"undecided", func(*testenv.Visitor) {}},
		{"accepted", (*testenv.Visitor).Accept},
		{"refused", (*testenv.Visitor).Refuse},
	} {
		t.Run(state.name, func(t *testing.T) {
			t.Parallel()
			v := testenv.NewVisitor(t)
			v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
			state.choose(v)
			for _, page := range testenv.SamplePages {
				v.Open(testenv.Sample(t).Edge(page.Host, page.Path))
				if page.Path == "/tickets/new-late" {
					v.WaitFor(testenv.Visible("#support-form"))
				}
				if state.name == "accepted" && page.Form {
					v.WaitFor(testenv.Visible("#kapa-stand-in"))
				}
				checkWithAxe(v, axe, page.Host+page.Path)
			}
			nowhere := testenv.Sample(t).Edge(testenv.Support, "/nowhere")
			v.Expect("status 404: "+nowhere, "status of 404 (Not Found) ("+nowhere)
			v.Open(nowhere)
			checkWithAxe(v, axe, "a page that is not there")
		})
	}
}

func TestTheBannerAndTheAnswerAreNotHardToUse(t *testing.T) {
	t.Parallel()
	axe := loadAxe(t)
	for name, width := range map[string]int64{"wide": 1280, "narrow": 320} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := testenv.NewVisitor(t)
			testenv.Do(v, chromedp.EmulateViewport(width, 800))
			check := func(state string) {
				t.Helper()
				checkWithAxe(v, axe, state)
				if wide := testenv.Eval[int](v, `document.documentElement.scrollWidth`); int64(wide) > width {
					t.Errorf("%s: the page is %d pixels wide, and the window %d", state, wide, width)
				}
				for _, label := range testenv.Eval[[]string](v, `[...document.querySelectorAll('button')].filter((b) => b.scrollWidth > b.clientWidth).map((b) => b.innerText)`) {
					t.Errorf("%s: the button %q is too narrow for its label", state, label)
				}
				v.Screenshot(strings.ReplaceAll(state, " ", "-"))
			}
			v.Open(testenv.Sample(t).Edge(testenv.Support, "/tickets/new"))
			check("undecided")
			v.Click(".consent-refuse")
			check("just refused")
			v.Click(".consent-close")
			v.ChangeMind()
			check("changing")
			v.Click(".consent-accept")
			check("just accepted")
			v.Click(".consent-close")
			v.Reload()
			v.WantTag()
			check("accepted")
			v.FillIn(testenv.LongQuestion)
			v.Click(testenv.SendButton)
			v.WaitFor(testenv.Visible("#kapa-stand-in-answer"))
			check("answering")
			v.WaitFor(testenv.Visible("#kapa-stand-in-send"))
			check("answered")
			v.Click("#kapa-stand-in-solved")
			check("solved")
		})
	}
}

// focus is where the keyboard is.
type focus struct {
	Name    string
	Visible bool // there is a ring around it
	Seen    bool // and at least a part of it is under nothing else
}

func focusOf(v *testenv.Visitor) focus {
	v.T.Helper()
	return testenv.Eval[focus](v, `(() => {
		let e = document.activeElement;
		e = e.shadowRoot?.activeElement ?? e;
		const style = getComputedStyle(e), r = e.getClientRects()[0];
		const parts = [0.1, 0.5, 0.9];
		const seen = parts.some((x) => parts.some((y) => e.contains(e.getRootNode().elementFromPoint(r.x + x * r.width, r.y + y * r.height))));
		return {
			Name: e.id ? '#' + e.id : [e.localName, ...e.classList].join('.'),
			Visible: e.matches(':focus-visible') && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
			Seen: seen,
		};
	})()`)
}

// tabTo presses the Tab key until the focus is on what is named, and returns
// where it was on the way.
func tabTo(v *testenv.Visitor, name string) (way []string) {
	v.T.Helper()
	for range 60 {
		v.Press(kb.Tab)
		f := focusOf(v)
		if !f.Visible || !f.Seen {
			v.T.Errorf("on %s, %s has the focus, but that cannot be seen: %+v", v.Path(), f.Name, f)
		}
		way = append(way, f.Name)
		if strings.HasSuffix(f.Name, name) {
			return way
		}
	}
	v.T.Fatalf("the Tab key never comes to %s, but to %q", name, way)
	return nil
}

func TestTheKeyboardIsEnough(t *testing.T) {
	t.Parallel()
	const (
		accept = "consent-accept"
		refuse = "consent-refuse"
		closes = "consent-close"
		change = "consent-change"
		banner = "#consent-banner"
	)
	v := testenv.NewVisitor(t)
	wantWay := func(got []string, want ...string) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("the Tab key goes by %q, want %q", got, want)
		}
		for i := range got {
			if !strings.HasSuffix(got[i], want[i]) {
				t.Fatalf("the Tab key goes by %q, want %q", got, want)
			}
		}
	}

	v.Open(testenv.Sample(t).Edge(testenv.Support, "/tickets/new"))
	wantWay(tabTo(v, refuse), accept, refuse) // first of all
	v.Screenshot("1-refuse")
	way := tabTo(v, change) // and this one last, behind everything that is on the page
	wantWay(way[:1], "skip-link")
	wantWay(way[len(way)-2:], "button", change)

	t.Log("Space opens the banner again, Enter refuses")
	v.Press(" ")
	v.WaitFor(testenv.Visible(banner))
	if f := focusOf(v); f.Name != banner || !f.Visible {
		t.Errorf("the focus is not on the banner: %+v", f)
	}
	v.Screenshot("2-opened")
	wantWay(tabTo(v, refuse), accept, refuse)
	v.Press(kb.Enter)
	v.WaitFor(testenv.Visible("." + closes))
	v.WantChoice("refused")
	if f := focusOf(v); !strings.HasSuffix(f.Name, closes) || !f.Visible {
		t.Errorf("the focus is not on the close button: %+v", f)
	}
	v.Screenshot("3-refused")
	v.Press(kb.Enter)
	v.WaitFor(`!` + testenv.Visible(banner))
	if f := focusOf(v); !strings.HasSuffix(f.Name, change) || !f.Visible {
		t.Errorf("the focus is not back on the button that opened the banner: %+v", f)
	}

	t.Log("Enter opens it too, Space accepts")
	v.Press(kb.Enter)
	v.WaitFor(testenv.Visible(banner))
	wantWay(tabTo(v, closes), accept, refuse, closes)
	testenv.Do(v, chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift)))
	testenv.Do(v, chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift)))
	if f := focusOf(v); !strings.HasSuffix(f.Name, accept) {
		t.Errorf("back from the close button, the focus is on %+v", f)
	}
	v.Press(" ")
	v.WantChoice("accepted")
	v.Press(" ")
	v.WaitFor(`!` + testenv.Visible(banner))

	t.Log("and the form, with the deflector")
	v.Reload()
	v.WantTag()
	tabTo(v, "#email")
	testenv.Do(v, chromedp.KeyEvent("visitor@example.com"))
	tabTo(v, "#subject")
	testenv.Do(v, chromedp.KeyEvent("Help"))
	tabTo(v, "#description")
	testenv.Do(v, chromedp.KeyEvent(testenv.LongQuestion))
	tabTo(v, "button")
	v.Press(kb.Enter)
	v.WaitFor(testenv.Visible("#kapa-stand-in-send"))
	tabTo(v, "#kapa-stand-in-send")
	v.Screenshot("4-answered")
	v.Followed(func(context.Context) error { v.Press(kb.Enter); return nil })
	v.WantSent("/tickets", testenv.LongQuestion)
}
