package testenv

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/webdriver"
)

// An Engine is what a browser draws pages with.
type Engine string

// The engines of today's browsers. Most tests have visitors in Chromium alone, which
// tells most of what happens.
const (
	Chromium Engine = "Chromium"
	Firefox  Engine = "Firefox"
	WebKit   Engine = "WebKit"
)

// Engines are all of them.
var Engines = []Engine{Chromium, Firefox, WebKit}

// NewVisitorIn is NewVisitor in a browser with that engine. Outside of Chromium a
// visitor has no Ctx, so that what needs chromedp fails the test; and WebKit does not
// tell what goes wrong on a page.
func NewVisitorIn(t *testing.T, engine Engine) *Visitor {
	t.Helper()
	var open func(*testing.T, func(problem string)) (webdriver.Tab, error)
	switch engine {
	case Firefox:
		open = openFirefox
	case WebKit:
		open = openWebKit
	default:
		return NewVisitor(t)
	}
	v := &Visitor{T: t, Ctx: context.Background()}
	tab, err := open(t, func(problem string) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.problems = append(v.problems, problem)
	})
	if err != nil {
		t.Fatalf("opening %s: %v", engine, err)
	}
	v.tab = tab
	t.Cleanup(func() {
		v.checkProblems()
		ctx, cancel := v.patient()
		defer cancel()
		if err := tab.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return v
}

// Firefox

func openFirefox(t *testing.T, report func(problem string)) (webdriver.Tab, error) {
	t.Helper()
	browser, err := firefox()
	if errors.Is(err, exec.ErrNotFound) {
		Missing(t, "Firefox", "install Debian's firefox-esr, or Mozilla's package so that firefox is in PATH; Ubuntu's snap does not see the profile")
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	return browser.NewTab(ctx, report)
}

// firefox is the Firefox that the tests of a package share.
var firefox = sync.OnceValues(func() (*webdriver.BiDi, error) {
	path, err := lookPaths("firefox-esr", "firefox")
	if err != nil {
		return nil, err
	}
	profile, err := os.MkdirTemp("", "kapa-firefox-")
	if err != nil {
		return nil, err
	}
	addAtEnd(func() error { return os.RemoveAll(profile) })
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(firefoxPreferences), 0o600); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command(path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", fmt.Sprint(port))
	cmd.Env = append(os.Environ(), "HOME="+profile)
	exited, _, err := run(cmd, "http://"+address+"/")
	if err != nil {
		return nil, err
	}
	addAtEnd(func() error { end(cmd, exited); return nil })
	ctx, cancel := context.WithTimeout(context.Background(), 2*Patience) // it still starts
	defer cancel()
	return webdriver.DialBiDi(ctx, address)
})

// firefoxPreferences make a browser in which nothing moves away from a click, and which
// requests nothing but what pages do, and that from loopback alone.
const firefoxPreferences = `
user_pref("ui.prefersReducedMotion", 1);
user_pref("browser.chrome.site_icons", false);
user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1");
user_pref("network.proxy.ssl_port", 9);
`

// WebKit

// openWebKit starts a browser for this one visitor. Now and then one hangs while it
// starts, so there are three tries: no test has begun by then.
func openWebKit(t *testing.T, _ func(problem string)) (tab webdriver.Tab, err error) {
	t.Helper()
	for _, program := range []string{"WebKitWebDriver", "Xvfb"} {
		if _, err := exec.LookPath(program); err != nil {
			Missing(t, program, "install Debian's webkit2gtk-driver and xvfb")
		}
	}
	home, err := webKitHome()
	if err != nil {
		return nil, err
	}
	for range 3 {
		var log fmt.Stringer
		var stop func()
		if tab, log, stop, err = startWebKit(home); err == nil {
			t.Cleanup(func() {
				stop()
				if t.Failed() {
					t.Logf("WebKit's driver said:\n%s", log)
				}
			})
			return tab, nil
		}
	}
	return nil, err
}

// startWebKit starts a driver, which starts a browser. Each has a screen of its own,
// because windows that cover each other are not drawn, and ends with it: a driver that is
// killed would leave its browser behind.
func startWebKit(home string) (tab webdriver.Tab, log fmt.Stringer, stop func(), err error) {
	display, stopScreen, err := startScreen()
	if err != nil {
		return nil, nil, nil, err
	}
	port, err := freePort()
	if err != nil {
		stopScreen()
		return nil, nil, nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.Command("WebKitWebDriver", fmt.Sprintf("--port=%d", port))
	cmd.Env = append(os.Environ(), "DISPLAY="+display, "GDK_BACKEND=x11",
		"HOME="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home)
	exited, output, err := run(cmd, "http://"+address+"/status")
	if err != nil {
		stopScreen()
		return nil, nil, nil, err
	}
	stop = func() {
		end(cmd, exited)
		stopScreen()
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if tab, err = webdriver.NewClassic(ctx, address); err != nil {
		stop()
		return nil, nil, nil, fmt.Errorf("%w; the driver said:\n%s", err, output)
	}
	return tab, output, stop, nil
}

// webKitHome is where WebKit caches what it has compiled for the screen.
var webKitHome = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "kapa-webkit-"); err == nil {
		addAtEnd(func() error { return os.RemoveAll(dir) })
	}
	return dir, err
})

// startScreen runs a screen that nobody sees.
func startScreen() (display string, stop func(), err error) {
	// It chooses a free display, and writes its number.
	cmd := exec.Command("Xvfb", "-displayfd", "1", "-screen", "0", "1600x1200x24", "-nolisten", "tcp")
	endWithUs(cmd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	exited := make(chan struct{})
	number, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	stop = func() { end(cmd, exited) }
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("%s names no display: %w", cmd, err)
	}
	return ":" + strings.TrimSpace(number), stop, nil
}

// lookPaths finds the first of these programs that is in PATH.
func lookPaths(names ...string) (path string, err error) {
	for _, name := range names {
		if path, err = exec.LookPath(name); err == nil {
			break
		}
	}
	return path, err
}
