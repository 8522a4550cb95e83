package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
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
	source, err := os.ReadFile(filepath.Join("node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		missing(t, "axe-core", "run npm --prefix e2e ci")
	}
	return string(source)
}

// checkWithAxe fails the test for every serious or critical violation on the
// page as it is now.
func (v *visitor) checkWithAxe(axe, state string) {
	v.t.Helper()
	eval[bool](v, axe+"; true")
	found := eval[[]violation](v, `axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations.map(
		({ id, impact, help, nodes }) => ({
			ID: id, Impact: impact, Help: help,
			Nodes: nodes.map(({ html, failureSummary }) => ({ HTML: html, FailureSummary: failureSummary })),
		})))`)
	for _, f := range found {
		report := v.t.Logf
		if f.Impact == "serious" || f.Impact == "critical" {
			report = v.t.Errorf
		}
		report("%s, %s: %s (%s)", state, f.Impact, f.Help, f.ID)
		for _, node := range f.Nodes {
			report("\t%s\n\t%s", node.HTML, node.FailureSummary)
		}
	}
}

func TestNoPageIsHardToUse(t *testing.T) {
	axe := loadAxe(t)
	for _, state := range []struct {
		name   string
		choose func(*visitor)
	}{
		{"undecided", func(*visitor) {}},
		{"accepted", (*visitor).accept},
		{"refused", (*visitor).refuse},
	} {
		t.Run(state.name, func(t *testing.T) {
			v := newVisitor(t)
			v.open(sample.edge(support, "/"))
			state.choose(v)
			for _, page := range samplePages {
				v.open(sample.edge(page.host, page.path))
				if page.path == "/tickets/new-late" {
					v.waitFor(visible("#support-form"))
				}
				if state.name == "accepted" && page.form {
					v.waitFor(visible("#kapa-stand-in"))
				}
				v.checkWithAxe(axe, page.host+page.path)
			}
			nowhere := sample.edge(support, "/nowhere")
			v.expect("status 404: "+nowhere, "status of 404 (Not Found) ("+nowhere)
			v.open(nowhere)
			v.checkWithAxe(axe, "a page that is not there")
		})
	}
}

func TestTheBannerAndTheAnswerAreNotHardToUse(t *testing.T) {
	axe := loadAxe(t)
	for name, width := range map[string]int64{"wide": 1280, "narrow": 320} {
		t.Run(name, func(t *testing.T) {
			v := newVisitor(t)
			do(v, chromedp.EmulateViewport(width, 800))
			check := func(state string) {
				t.Helper()
				v.checkWithAxe(axe, state)
				if wide := eval[int](v, `document.documentElement.scrollWidth`); int64(wide) > width {
					t.Errorf("%s: the page is %d pixels wide, and the window %d", state, wide, width)
				}
				for _, label := range eval[[]string](v, `[...document.querySelectorAll('button')].filter((b) => b.scrollWidth > b.clientWidth).map((b) => b.innerText)`) {
					t.Errorf("%s: the button %q is too narrow for its label", state, label)
				}
				v.screenshot(strings.ReplaceAll(state, " ", "-"))
			}
			v.open(sample.edge(support, "/tickets/new"))
			check("undecided")
			v.click(".consent-refuse")
			check("just refused")
			v.click(".consent-close")
			v.changeMind()
			check("changing")
			v.click(".consent-accept")
			check("just accepted")
			v.click(".consent-close")
			v.reload()
			v.wantTag()
			check("accepted")
			v.fillIn(longQuestion)
			v.click(sendButton)
			v.waitFor(visible("#kapa-stand-in-answer"))
			check("answering")
			v.waitFor(visible("#kapa-stand-in-send"))
			check("answered")
			v.click("#kapa-stand-in-solved")
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

func (v *visitor) focus() focus {
	v.t.Helper()
	return eval[focus](v, `(() => {
		const e = document.activeElement, style = getComputedStyle(e), r = e.getClientRects()[0];
		const parts = [0.1, 0.5, 0.9];
		const seen = parts.some((x) => parts.some((y) => e.contains(document.elementFromPoint(r.x + x * r.width, r.y + y * r.height))));
		return {
			Name: e.id ? '#' + e.id : [e.localName, ...e.classList].join('.'),
			Visible: e.matches(':focus-visible') && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
			Seen: seen,
		};
	})()`)
}

// tabTo presses the Tab key until the focus is on what is named, and returns
// where it was on the way.
func (v *visitor) tabTo(name string) (way []string) {
	v.t.Helper()
	for range 60 {
		v.press(kb.Tab)
		f := v.focus()
		if !f.Visible || !f.Seen {
			v.t.Errorf("on %s, %s has the focus, but that cannot be seen: %+v", v.path(), f.Name, f)
		}
		way = append(way, f.Name)
		if strings.HasSuffix(f.Name, name) {
			return way
		}
	}
	v.t.Fatalf("the Tab key never comes to %s, but to %q", name, way)
	return nil
}

func TestTheKeyboardIsEnough(t *testing.T) {
	const (
		accept = "consent-accept"
		refuse = "consent-refuse"
		closes = "consent-close"
		change = "consent-change"
		banner = "#consent-banner"
	)
	v := newVisitor(t)
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

	v.open(sample.edge(support, "/tickets/new"))
	wantWay(v.tabTo(refuse), accept, refuse) // first of all
	v.screenshot("1-refuse")
	way := v.tabTo(change) // and this one last, behind everything that is on the page
	wantWay(way[:1], "skip-link")
	wantWay(way[len(way)-2:], "button", change)

	t.Log("Space opens the banner again, Enter refuses")
	v.press(" ")
	v.waitFor(visible(banner))
	if f := v.focus(); f.Name != banner || !f.Visible {
		t.Errorf("the focus is not on the banner: %+v", f)
	}
	v.screenshot("2-opened")
	wantWay(v.tabTo(refuse), accept, refuse)
	v.press(kb.Enter)
	v.waitFor(visible("." + closes))
	v.wantChoice("refused")
	if f := v.focus(); !strings.HasSuffix(f.Name, closes) || !f.Visible {
		t.Errorf("the focus is not on the close button: %+v", f)
	}
	v.screenshot("3-refused")
	v.press(kb.Enter)
	v.waitFor(`!` + visible(banner))
	if f := v.focus(); !strings.HasSuffix(f.Name, change) || !f.Visible {
		t.Errorf("the focus is not back on the button that opened the banner: %+v", f)
	}

	t.Log("Enter opens it too, Space accepts")
	v.press(kb.Enter)
	v.waitFor(visible(banner))
	wantWay(v.tabTo(closes), accept, refuse, closes)
	do(v, chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift)))
	do(v, chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift)))
	if f := v.focus(); !strings.HasSuffix(f.Name, accept) {
		t.Errorf("back from the close button, the focus is on %+v", f)
	}
	v.press(" ")
	v.wantChoice("accepted")
	v.press(" ")
	v.waitFor(`!` + visible(banner))

	t.Log("and the form, with the deflector")
	v.reload()
	v.wantTag()
	v.tabTo("#email")
	do(v, chromedp.KeyEvent("visitor@example.com"))
	v.tabTo("#subject")
	do(v, chromedp.KeyEvent("Help"))
	v.tabTo("#description")
	do(v, chromedp.KeyEvent(longQuestion))
	v.tabTo("button")
	v.press(kb.Enter)
	v.waitFor(visible("#kapa-stand-in-send"))
	v.tabTo("#kapa-stand-in-send")
	v.screenshot("4-answered")
	v.followed(chromedp.KeyEvent(kb.Enter))
	v.wantSent("/tickets", longQuestion)
}
