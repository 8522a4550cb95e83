// Package e2e tries the plugin as its users do: a real browser visits the
// sample site through Caddyfile.example, and clicks, types and submits.
//
//	go -C e2e test ./...        from the repository's root
//	go -C e2e test -v ./...     to see what was skipped, and why
//
// It takes a Chromium or Chrome from PATH, and builds and starts its own
// Caddy on free ports. Some tests also need Node.js, axe-core, Turbo or the code of
// consent platforms:
//
//	npm --prefix e2e ci
//
// What is missing skips the tests that need it, but fails them where the
// environment variable CI is set. With KAPA_SCREENSHOTS set to a directory,
// pictures of the main states are left there.
//
// Nothing leaves the machine: the browser resolves no names but localhost and
// those under it.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// What all tests share, made by TestMain.
var (
	caddyBinary string
	sample      *caddy          // Caddyfile.example
	browser     context.Context // of chromedp; nil if there is none
)

// The two sites of the sample, and the pages of each.
const (
	support = "support.acme.localhost"
	docs    = "docs.acme.localhost"
)

var samplePages = []struct {
	host, path string
	form       bool
}{
	{support, "/", false},
	{support, "/articles/reset-password", false},
	{support, "/tickets/new", true},
	{support, "/tickets/new-late", true},
	{support, "/tickets/thanks", false},
	{docs, "/", false},
	{docs, "/contact", true},
	{docs, "/contact/thanks", false},
}

func TestMain(m *testing.M) {
	// What is tested lies outside of this module, where go test does not look
	// for changes. Without the log of what a run has read, it caches no result.
	flag.Parse()
	_ = flag.Set("test.testlogfile", "")

	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	path := findBrowser()
	if path == "" {
		return m.Run() // and each test says why it is skipped
	}
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}

	tmp, err := os.MkdirTemp("", "kapa-e2e-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(tmp)

	caddyBinary = filepath.Join(tmp, "caddy")
	build := exec.Command("go", "build", "-o", caddyBinary, "./cmd/caddy")
	build.Dir = repository
	if out, err := build.CombinedOutput(); err != nil {
		return fail(fmt.Errorf("building Caddy: %w\n%s", err, out))
	}
	if sample, err = startCaddy("Caddyfile.example", tmp); err != nil {
		return fail(err)
	}
	defer func() {
		if err := sample.stop(); err != nil && code == 0 {
			code = fail(err)
		}
	}()

	// go test gives up after ten minutes, in CI after an hour, and would leave a
	// browser behind
	limit := 9 * time.Minute
	if os.Getenv("CI") != "" {
		limit = 59 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, browserOptions(path)...)
	defer cancel()
	browser, cancel = chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(browser); err != nil {
		return fail(fmt.Errorf("starting %s: %w", path, err))
	}
	defer func() { _ = chromedp.Cancel(browser) }()

	return m.Run()
}

func findBrowser() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func browserOptions(path string) []chromedp.ExecAllocatorOption {
	return append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // containers have none to give, and only our own pages are opened
		chromedp.DisableGPU,
		chromedp.WindowSize(1280, 800),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("lang", "en"),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1"),
	)
}

// missing skips the test for want of what, which how installs. In CI nothing
// may be missing.
func missing(t *testing.T, what, how string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("there is no %s, and CI has to have it: %s", what, how)
	}
	t.Skipf("there is no %s: %s", what, how)
}
