package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/preload"
	"github.com/chromedp/chromedp"
)

func TestPlainLocalhostWorksToo(t *testing.T) {
	v := newVisitor(t)
	form := sample.edge("localhost", "/tickets/new")
	v.open(form)
	v.wantNoTag()
	v.accept()
	v.reload()
	v.wantTag()
	id := v.id()
	if id.Domain != "localhost" {
		t.Errorf("the id is for %q, want it for this host alone", id.Domain)
	}
	v.ask()
	v.wantID(id.Value)
	v.open(form)
	v.wantTag()
	v.wantID(id.Value)
	v.refuse()
	v.open(form)
	v.wantNoTag()
	v.wantNoID()
}

// otherSite is a page on another site, as browsers see it, with one link.
func otherSite(t *testing.T, link string) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>Other</title><link rel="icon" href="data:,"><a href="%s">to the form</a>`, link)
	}))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "other.localhost", 1) + "/"
}

// A link from another site shows the edge no cookie that is SameSite=Strict,
// and Kapa's script writes the id so.
func TestALinkFromAnotherSiteDoesNotCostTheID(t *testing.T) {
	v := newVisitor(t)
	form := sample.edge(support, "/tickets/new")
	v.open(form)
	v.accept()
	v.reload()
	v.wantTag()
	v.ask()
	id := v.id()
	if id.SameSite != network.CookieSameSiteStrict {
		t.Fatalf("the id is SameSite=%s, want Strict", id.SameSite)
	}

	v.open(otherSite(t, form))
	v.follow("a")
	sent := v.last(http.MethodGet, form)
	if site := sent.field("Sec-Fetch-Site"); site != "cross-site" {
		t.Fatalf("Sec-Fetch-Site is %q, want cross-site", site)
	}
	if strings.Contains(sent.field("Cookie"), idCookie) {
		t.Fatalf("the browser shows the id to the edge: %s", sent.field("Cookie"))
	}
	v.wantTag()
	v.wantID(id.Value)
	if shown := v.text("#kapa-stand-in-ids"); shown != id.Value {
		t.Errorf("the script sees the id %q, want %q", shown, id.Value)
	}
	v.follow(`nav a[href="/tickets/new"]`)
	v.wantTag()
	v.wantID(id.Value)
}

func TestAVisitorFromAnotherSiteGetsAnIDWithTheSecondPage(t *testing.T) {
	v := newVisitor(t)
	form := sample.edge(support, "/tickets/new")
	v.open(sample.edge(support, "/"))
	v.accept()
	v.open(otherSite(t, form))
	v.follow("a")
	v.wantTag()
	v.wantNoID()
	v.follow(`nav a[href="/tickets/new"]`)
	v.wantTag()
	v.id()
}

func TestAPageThatIsOnlyFetchedAheadSetsNoID(t *testing.T) {
	form := sample.edge(support, "/tickets/new")

	t.Run("link rel=prefetch", func(t *testing.T) {
		v := newVisitor(t)
		v.open(sample.edge(support, "/"))
		v.accept()
		eval[bool](v, `(() => {
			const link = document.createElement('link');
			Object.assign(link, { rel: 'prefetch', href: '/tickets/new' });
			document.head.append(link);
			return new Promise((resolve, reject) => { link.onload = () => resolve(true); link.onerror = reject; });
		})()`)
		if purpose := v.last(http.MethodGet, form).field("Sec-Purpose"); !strings.HasPrefix(purpose, "prefetch") {
			t.Fatalf("Sec-Purpose is %q, want prefetch", purpose)
		}
		v.wantNoID()
		v.follow(`nav a[href="/tickets/new"]`)
		v.wantTag()
		v.id()
	})

	t.Run("speculation rules", func(t *testing.T) {
		v := newVisitor(t)
		v.open(sample.edge(support, "/"))
		v.accept()
		done := make(chan *preload.EventPrefetchStatusUpdated, 10)
		v.must(chromedp.Listen(v.ctx, func(event any) {
			if e, ok := event.(*preload.EventPrefetchStatusUpdated); ok && (e.Status == preload.IngStatusReady || e.Status == preload.IngStatusFailure) {
				done <- e
			}
		}))
		send(v, preload.Enable, cdp.Empty{})
		eval[bool](v, `(() => {
			const rules = document.createElement('script');
			rules.type = 'speculationrules';
			rules.textContent = JSON.stringify({ prefetch: [{ urls: ['/tickets/new'], eagerness: 'immediate' }] });
			document.head.append(rules);
			return true;
		})()`)
		select {
		case e := <-done:
			if e.Status == preload.IngStatusFailure {
				missing(t, "browser that fetches ahead by speculation rules", fmt.Sprintf("%s; this one says %s", browserHelp, e.PrefetchStatus))
			}
		case <-time.After(patience):
			missing(t, "browser that fetches ahead by speculation rules", browserHelp)
		}
		if sent := v.last(http.MethodGet, form); sent.field("Sec-Purpose") != "prefetch" || sent.field("Sec-Fetch-Dest") != "document" {
			t.Fatalf("it was not fetched ahead as a document: %v", sent.header)
		}
		v.wantNoID()
		v.follow(`nav a[href="/tickets/new"]`)
		v.wantTag() // in what was fetched ahead, and so still without an id
		v.reload()
		v.wantTag()
		v.id()
	})
}
