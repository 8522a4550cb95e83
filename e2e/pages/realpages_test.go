package pages

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/css"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/log"

	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// realPages is the folder with 134 pages as they were once served on the Web.
func realPages(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", "codeberg.org/readeck/go-readability/v2@v2.1.3")
	cmd.Dir = t.TempDir() // outside of any module
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
	out, err := cmd.Output()
	var module struct{ Dir string }
	if err != nil || json.Unmarshal(out, &module) != nil || module.Dir == "" {
		testenv.Missing(t, "corpus of real pages", "it comes from the Go module proxy, which did not give it")
	}
	return filepath.Join(module.Dir, "test-pages")
}

// A browser makes of each page with the tag what it makes of the page without
// it, and the tag. Nothing on the pages may run or load, lest they change
// themselves; their policy allows the tag's script alone, which is not there.
// Scripting itself stays on, for it decides how <noscript> is parsed.
func TestRealPagesInTheBrowser(t *testing.T) {
	t.Parallel()
	dir := realPages(t)
	c := testenv.StartCaddy(t, `
(pages) {
	header >Content-Security-Policy "default-src 'none'; script-src http://localhost:{$EDGE_PORT}/kapa-support-form-deflector.bundle.js"
	root `+dir+`
	file_server
}

http://localhost:{$EDGE_PORT} {
	import pages
	kapa_deflector {
		consent not_required
		cookie off
		script /kapa-support-form-deflector.bundle.js
		data-integration-id abc
		data-main-input-query-selector "#description"
		data-submit-element-query-selector "#form"
		data-submit-element-event-type onSubmit
		data-submit-button-query-selector "#form button"
		data-anchor-element-query-selector "#form"
	}
}

http://localhost:{$SITE_PORT} {
	import pages
}
`)
	tab := testenv.Share(func() *testenv.Visitor {
		v := testenv.NewTab(t)
		// What nobody listens to here costs more than the pages do.
		testenv.Send(v, css.Disable, cdp.Empty{})
		testenv.Send(v, dom.Disable, cdp.Empty{})
		testenv.Send(v, log.Disable, cdp.Empty{})
		return v
	})

	// where the tag is, and the document without it
	type document struct{ Tag, HTML string }
	load := func(v *testenv.Visitor, url string) document {
		v.T.Helper()
		v.Open(url)
		return testenv.Eval[document](v, `(() => {
			const tags = document.querySelectorAll('`+testenv.TagSelector+`');
			const at = [...tags].map((tag) => tag.parentElement.localName).join(' ');
			tags.forEach((tag) => tag.remove());
			return { Tag: at, HTML: document.doctype + document.compatMode + document.documentElement.outerHTML };
		})()`)
	}

	pages, err := filepath.Glob(filepath.Join(dir, "*", "source.html"))
	if err != nil || len(pages) != 134 {
		t.Fatalf("%d pages, want 134: %v", len(pages), err)
	}
	for _, file := range pages {
		path := "/" + filepath.Base(filepath.Dir(file)) + "/source.html"
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			t.Parallel()
			v := tab(t)
			v.T = t
			with, without := load(v, c.Edge("localhost", path)), load(v, c.Origin("localhost", path))
			if with.Tag != "head" || without.Tag != "" {
				t.Errorf("%s: the tag is in %q, without the plugin in %q", path, with.Tag, without.Tag)
			}
			if with.HTML != without.HTML {
				t.Errorf("%s: the documents differ: %d and %d characters", path, len(with.HTML), len(without.HTML))
			}
		})
	}
}
