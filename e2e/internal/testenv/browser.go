package testenv

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// BrowserHelp tells how to install a browser.
const BrowserHelp = "install Chromium or Chrome so that chromium, chromium-browser or google-chrome is in PATH"

// Browser is the Chromium that the tests of a package share: the context in which
// chromedp opens tabs.
func Browser(t *testing.T) context.Context {
	t.Helper()
	ctx, err := browser()
	if errors.Is(err, exec.ErrNotFound) {
		Missing(t, "browser", BrowserHelp)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

var browser = sync.OnceValues(func() (context.Context, error) {
	path, err := lookPaths("chromium", "chromium-browser", "google-chrome")
	if err != nil {
		return nil, err
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // containers have none to give, and only our own pages are opened
		chromedp.DisableGPU,
		chromedp.WindowSize(1280, 800),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("lang", "en"),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"),
	)...)
	ctx, _ := chromedp.NewContext(allocator)
	addAtEnd(func() error {
		err := chromedp.Cancel(ctx)
		cancel()
		return err
	})
	if err := chromedp.Do(ctx); err != nil {
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	return ctx, nil
})
