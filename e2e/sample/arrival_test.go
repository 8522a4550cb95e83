package sample

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/preload"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

func TestPlainLocalhostWorksToo(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	form := testenv.Sample(t).Edge("localhost", "/tickets/new")
	v.Open(form)
	v.WantNoTag()
	v.Accept()
	v.Reload()
	v.WantTag()
	id := v.ID()
	if id.Domain != "localhost" {
		t.Errorf("the id is for %q, want it for this host alone", id.Domain)
	}
	v.Ask()
	v.WantID(id.Value)
	v.Open(form)
	v.WantTag()
	v.WantID(id.Value)
	v.ChangeMind()
	withdraw(v)
	v.Open(form)
	v.WantAnswer()
	v.WantNoTag()
	v.WantNoID()
}

// A link from another site shows the edge no cookie that is SameSite=Strict,
// and Kapa's script writes the id so.
func TestALinkFromAnotherSiteDoesNotCostTheID(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	form := testenv.Sample(t).Edge(testenv.Support, "/tickets/new")
	v.Open(form)
	v.Accept()
	v.Reload()
	v.WantTag()
	v.Ask()
	id := v.ID()
	if id.SameSite != network.CookieSameSiteStrict {
		t.Fatalf("the id is SameSite=%s, want Strict", id.SameSite)
	}

	v.Open(testenv.OtherSite(t, form))
	v.Follow("a")
	sent := v.Last(http.MethodGet, form)
	if site := sent.Field("Sec-Fetch-Site"); site != "cross-site" {
		t.Fatalf("Sec-Fetch-Site is %q, want cross-site", site)
	}
	if strings.Contains(sent.Field("Cookie"), testenv.IDCookie) {
		t.Fatalf("the browser shows the id to the edge: %s", sent.Field("Cookie"))
	}
	v.WantTag()
	v.WantID(id.Value)
	if shown := v.Text("#kapa-stand-in-ids"); shown != id.Value {
		t.Errorf("the script sees the id %q, want %q", shown, id.Value)
	}
	v.Follow(`nav a[href="/tickets/new"]`)
	v.WantTag()
	v.WantID(id.Value)
}

func TestAVisitorFromAnotherSiteGetsAnIDWithTheForm(t *testing.T) {
	t.Parallel()
	v := testenv.NewVisitor(t)
	form := testenv.Sample(t).Edge(testenv.Support, "/tickets/new")
	v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
	v.Accept()
	v.Open(testenv.OtherSite(t, form))
	v.Follow("a")
	v.WantTag()
	v.ID() // because the loader asks from the page itself
}

func TestAPageThatIsOnlyFetchedAheadSetsNoID(t *testing.T) {
	t.Parallel()
	form := testenv.Sample(t).Edge(testenv.Support, "/tickets/new")

	t.Run("link rel=prefetch", func(t *testing.T) {
		t.Parallel()
		v := testenv.NewVisitor(t)
		v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
		v.Accept()
		testenv.Eval[bool](v, `(() => {
			const link = document.createElement('link');
			Object.assign(link, { rel: 'prefetch', href: '/tickets/new' });
			document.head.append(link);
			return new Promise((resolve, reject) => { link.onload = () => resolve(true); link.onerror = reject; });
		})()`)
		if purpose := v.Last(http.MethodGet, form).Field("Sec-Purpose"); !strings.HasPrefix(purpose, "prefetch") {
			t.Fatalf("Sec-Purpose is %q, want prefetch", purpose)
		}
		v.WantNoID()
		v.Follow(`nav a[href="/tickets/new"]`)
		v.WantTag()
		v.ID()
	})

	t.Run("speculation rules", func(t *testing.T) {
		t.Parallel()
		v := testenv.NewVisitor(t)
		v.Open(testenv.Sample(t).Edge(testenv.Support, "/"))
		v.Accept()
		done := make(chan *preload.EventPrefetchStatusUpdated, 10)
		v.Listen(func(event any) {
			if e, ok := event.(*preload.EventPrefetchStatusUpdated); ok && (e.Status == preload.IngStatusReady || e.Status == preload.IngStatusFailure) {
				done <- e
			}
		})
		testenv.Send(v, preload.Enable, cdp.Empty{})
		testenv.Eval[bool](v, `(() => {
			const rules = document.createElement('script');
			rules.type = 'speculationrules';
			rules.textContent = JSON.stringify({ prefetch: [{ urls: ['/tickets/new'], eagerness: 'immediate' }] });
			document.head.append(rules);
			return true;
		})()`)
		select {
		case e := <-done:
			if e.Status == preload.IngStatusFailure {
				testenv.Missing(t, "browser that fetches ahead by speculation rules", fmt.Sprintf("%s; this one says %s", testenv.BrowserHelp, e.PrefetchStatus))
			}
		case <-time.After(testenv.Patience):
			testenv.Missing(t, "browser that fetches ahead by speculation rules", testenv.BrowserHelp)
		}
		if sent := v.Last(http.MethodGet, form); sent.Field("Sec-Purpose") != "prefetch" || sent.Field("Sec-Fetch-Dest") != "document" {
			t.Fatalf("it was not fetched ahead as a document: %v", sent.Header)
		}
		v.WantNoID()
		v.Follow(`nav a[href="/tickets/new"]`)
		v.WantTag() // and the id, because the loader asks when the page is shown
		v.ID()
	})
}
