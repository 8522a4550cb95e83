package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// repository is where the README's commands are run.
const repository = ".."

// caddy is a Caddy with the plugin in a process of its own.
type caddy struct {
	edgePort, sitePort int

	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{}
}

// startCaddy starts Caddy as the README does, and returns when its edge
// answers. EDGE_PORT and SITE_PORT are free ports; dir is for what it stores.
func startCaddy(config, dir string) (c *caddy, err error) {
	for range 3 { // somebody else may take a free port in between
		if c, err = tryCaddy(config, dir); err == nil {
			return c, nil
		}
	}
	return nil, err
}

func tryCaddy(config, dir string) (*caddy, error) {
	edgePort, sitePort, err := freePorts()
	if err != nil {
		return nil, err
	}
	return caddyAt(config, dir, edgePort, sitePort)
}

// caddyAt starts Caddy on these ports.
func caddyAt(config, dir string, edgePort, sitePort int) (*caddy, error) {
	c := &caddy{
		edgePort: edgePort, sitePort: sitePort,
		cmd:    exec.Command(caddyBinary, "run", "--config", config, "--adapter", "caddyfile"),
		log:    new(logBuffer),
		exited: make(chan struct{}),
	}
	c.cmd.Dir = repository
	c.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(env string) bool { return strings.HasPrefix(env, "KAPA_") }),
		"EDGE_PORT="+strconv.Itoa(c.edgePort),
		"SITE_PORT="+strconv.Itoa(c.sitePort),
		"XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	endWithUs(c.cmd)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.exited)
	}()

	for deadline := time.After(20 * time.Second); ; {
		if resp, err := get(c.edge("localhost", "/")); err == nil && resp.status != http.StatusBadGateway {
			return c, nil
		}
		select {
		case <-c.exited:
			return nil, fmt.Errorf("caddy run --config %s ended:\n%s", config, c.log)
		case <-deadline:
			_ = c.stop()
			return nil, fmt.Errorf("caddy run --config %s does not answer:\n%s", config, c.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends Caddy, and returns an error if it had a data race or a panic.
func (c *caddy) stop() error {
	if c.cmd.Process.Signal(os.Interrupt) != nil { // as on Windows
		_ = c.cmd.Process.Kill()
	}
	select {
	case <-c.exited:
	case <-time.After(10 * time.Second):
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
	log := c.log.String()
	for _, bad := range []string{"DATA RACE", "panic"} {
		if strings.Contains(log, bad) {
			return errors.New("in Caddy's log: " + bad + "\n" + log)
		}
	}
	return nil
}

// edge is the address of a page as its visitors know it.
func (c *caddy) edge(host, path string) string {
	return fmt.Sprintf("http://%s:%d%s", host, c.edgePort, path)
}

// origin is the address of the same page without the plugin before it.
func (c *caddy) origin(host, path string) string {
	return fmt.Sprintf("http://%s:%d%s", host, c.sitePort, path)
}

// ownCaddy runs a Caddy with another Caddyfile than the example for one test.
func ownCaddy(t *testing.T, caddyfile string) *caddy {
	t.Helper()
	if browser == nil {
		missing(t, "browser", browserHelp)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "Caddyfile")
	text := "{\n\tauto_https off\n\tadmin off\n\tpersist_config off\n}\n" + caddyfile
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := startCaddy(config, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// sampleWithoutWatcher runs the sample site without live_consent for one test.
func sampleWithoutWatcher(t *testing.T) *caddy {
	t.Helper()
	here, err := filepath.Abs(repository)
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join(here, "Caddyfile.example"))
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.SplitAfter(string(example), "\n"), func(line string) bool {
		return strings.HasPrefix(strings.TrimSpace(line), "live_consent")
	})
	text := strings.Replace(strings.Join(lines, ""), "import examples/", "import "+filepath.ToSlash(here)+"/examples/", 1)
	// ownCaddy has global options of its own
	if _, text, _ = strings.Cut(text, "\n}\n"); len(text) == len(example) || strings.Contains(text, "live_consent") {
		t.Fatalf("Caddyfile.example is not as expected:\n%s", example)
	}
	return ownCaddy(t, text)
}

func freePorts() (a, b int, err error) {
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			l.Close()
		}
	}()
	for _, port := range []*int{&a, &b} {
		l, err := net.Listen("tcp", ":0")
		if err != nil {
			return 0, 0, err
		}
		listeners = append(listeners, l)
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return a, b, nil
}

// logBuffer is a bytes.Buffer for several goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

type response struct {
	status int
	header http.Header
	body   string
}

// client asks loopback whatever the name: browsers resolve names under
// localhost by themselves, Go does not.
var client = &http.Client{
	Timeout: 10 * time.Second,
	Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
		DisableCompression: true,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// get fetches a page with a browser's fields, and further ones as "Name: value".
func get(url string, fields ...string) (response, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return response{}, err
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	req.Header.Set("Sec-Fetch-Dest", "document")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Site", "none")
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		req.Header.Add(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, string(body)}, err
}

func mustGet(t *testing.T, url string, fields ...string) response {
	t.Helper()
	resp, err := get(url, fields...)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
