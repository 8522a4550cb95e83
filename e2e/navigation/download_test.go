package navigation

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/target"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// A link with the attribute download saves the page that it leads to. The file is
// the origin's, and saving it sets no id (issue 13).
func TestALinkThatSavesAPage(t *testing.T) {
	t.Parallel()
	links := []struct{ name, attributes, file string }{
		{"under a name", `href="/saved/a" download="a-copy.html"`, "a-copy.html"},
		{"under its own name", `href="/saved/b.html" download`, "b.html"},
		{"beside a new tab", `href="/saved/c.html" download target="_blank"`, "c.html"},
	}
	var body strings.Builder
	for i, link := range links {
		fmt.Fprintf(&body, `<p><a id="link%d" %s>save</a></p>`, i, link.attributes)
	}
	page := testenv.FormPage("", body.String())
	origin := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page)
	}))
	c := testenv.StartCaddy(t, `
http://`+testenv.Support+`:{$EDGE_PORT} {
	log
	log_append outcome {http.kapa_deflector.outcome}
	kapa_deflector {`+testenv.Required+`
		consent cookie cookie_consent accepted
	}
	reverse_proxy `+origin+`
}`)
	for i, link := range links {
		t.Run(link.name, func(t *testing.T) {
			t.Parallel()
			v := testenv.NewVisitor(t)
			folder, enabled := t.TempDir(), true
			tab := testenv.Send(v, target.GetTargetInfo, target.GetTargetInfoParams{}).TargetInfo
			testenv.Send(v, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
				Behavior: browser.SetDownloadBehaviorBehaviorAllow, BrowserContextID: tab.BrowserContextID, DownloadPath: folder,
				EventsEnabled: &enabled,
			})
			var done atomic.Bool
			v.Listen(func(event any) {
				if e, ok := event.(*browser.EventDownloadProgress); ok && e.State == browser.DownloadProgressStateCompleted {
					done.Store(true)
				}
			})
			v.Open(c.Edge(testenv.Support, "/"))
			testenv.Eval[bool](v, `(document.cookie = 'cookie_consent=accepted; Path=/', true)`)
			testenv.Eventually(t, "the choice is kept", func() bool { return len(v.Cookies("cookie_consent")) == 1 })
			v.Click(fmt.Sprintf("#link%d", i))
			testenv.Eventually(t, "the file is saved", done.Load)
			saved, err := os.ReadFile(filepath.Join(folder, link.file))
			if err != nil || string(saved) != page {
				t.Errorf("the file is not the origin's page: %v\n%s", err, saved)
			}
			v.WantNoID()

			path, _, _ := strings.Cut(strings.TrimPrefix(link.attributes, `href="`), `"`)
			testenv.Eventually(t, "the page is in the log", func() bool { return len(c.Requests(path)) > 0 })
			for _, r := range c.Requests(path) {
				sent := r.Request.Headers
				if r.Outcome != "not_document" || sent.Get("Sec-Fetch-Mode") != "navigate" || sent.Get("Cookie") == "" {
					t.Errorf("outcome %s of %v", r.Outcome, sent)
				}
			}
		})
	}
}
