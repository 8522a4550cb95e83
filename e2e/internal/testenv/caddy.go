package testenv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Caddy is a Caddy with the plugin in a process of its own.
type Caddy struct {
	EdgePort, SitePort int

	config string // the file that it runs
	dir    string // where it stores what it has to
	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{}
}

// CaddyBinary is Caddy with the plugin, as the go command keeps it in its build
// cache for all packages. What GOFLAGS has, such as -race, counts for it too.
var CaddyBinary = sync.OnceValues(func() (string, error) {
	// The first run after a change links Caddy in a temporary folder, and puts it
	// into the cache; the second one runs it from there.
	for range 2 {
		run := exec.Command("go", "run", "-exec", "go version", "./cmd/caddy")
		run.Dir = Repository
		run.Stderr = new(bytes.Buffer)
		out, err := run.Output()
		if err != nil {
			return "", fmt.Errorf("building Caddy: %w\n%s", err, run.Stderr)
		}
		path := string(out[:max(0, bytes.LastIndex(out, []byte(": ")))]) // "path: go1.26.0"
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("building Caddy: go run has not kept it in the build cache")
})

// StartCaddy runs a Caddyfile until the test ends. EDGE_PORT and SITE_PORT in it
// are free ports, and relative paths are those of the repository. It listens on
// EDGE_PORT, and may have global options.
func StartCaddy(t *testing.T, caddyfile string) *Caddy {
	t.Helper()
	if !strings.HasPrefix(strings.TrimSpace(caddyfile), "{\n") {
		caddyfile = "{\n\tauto_https off\n\tadmin off\n\tpersist_config off\n}\n" + caddyfile
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "Caddyfile")
	WriteFile(t, config, caddyfile)
	c, err := newCaddy(config, dir)
	if err == nil {
		err = c.start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func newCaddy(config, dir string) (c *Caddy, err error) {
	c = &Caddy{config: config, dir: dir}
	if c.EdgePort, err = freePort(); err != nil {
		return nil, err
	}
	c.SitePort, err = freePort()
	return c, err
}

// start starts Caddy as the README does, and returns when its edge answers.
func (c *Caddy) start() error {
	binary, err := CaddyBinary()
	if err != nil {
		return err
	}
	c.cmd = exec.Command(binary, "run", "--config", c.config, "--adapter", "caddyfile")
	c.cmd.Dir = Repository
	c.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(env string) bool { return strings.HasPrefix(env, "KAPA_") }),
		"EDGE_PORT="+strconv.Itoa(c.EdgePort),
		"SITE_PORT="+strconv.Itoa(c.SitePort),
		"XDG_DATA_HOME="+c.dir, "XDG_CONFIG_HOME="+c.dir)
	c.exited, c.log, err = run(c.cmd, c.Edge("localhost", "/"))
	return err
}

// Restart starts a Caddy that has ended, with the ports and the Caddyfile that
// it had.
func (c *Caddy) Restart() error { return c.start() }

// Stop ends Caddy, and returns an error if it had a data race or a panic.
func (c *Caddy) Stop() error {
	end(c.cmd, c.exited)
	return c.check()
}

// Kill ends Caddy as a power cut does.
func (c *Caddy) Kill() error {
	err := c.cmd.Process.Kill()
	<-c.exited
	return errors.Join(err, c.check())
}

func (c *Caddy) check() error {
	log := c.Log()
	for _, bad := range []string{"DATA RACE", "panic"} {
		if strings.Contains(log, bad) {
			return errors.New("in Caddy's log: " + bad + "\n" + log)
		}
	}
	return nil
}

// Edge is the address of a page as its visitors know it.
func (c *Caddy) Edge(host, path string) string {
	return fmt.Sprintf("http://%s:%d%s", host, c.EdgePort, path)
}

// Origin is the address of the same page without the plugin before it.
func (c *Caddy) Origin(host, path string) string {
	return fmt.Sprintf("http://%s:%d%s", host, c.SitePort, path)
}

// PID is the number of the process.
func (c *Caddy) PID() int { return c.cmd.Process.Pid }

// The admin endpoint, of Caddyfiles that have it on SITE_PORT

// Admin is an address of the admin endpoint.
func (c *Caddy) Admin(path string) string { return c.Origin("127.0.0.1", path) }

// Load has Caddy run another Caddyfile, in which the ports are the same.
func (c *Caddy) Load(ctx context.Context, caddyfile string) error {
	caddyfile = strings.NewReplacer("{$EDGE_PORT}", strconv.Itoa(c.EdgePort), "{$SITE_PORT}", strconv.Itoa(c.SitePort)).Replace(caddyfile)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Admin("/load"), strings.NewReader(caddyfile))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if message, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", resp.StatusCode, message)
	}
	return nil
}

// InPlugin reports whether a goroutine is in the plugin; stacks is what Caddy
// does at the moment.
func (c *Caddy) InPlugin(t *testing.T) (in bool, stacks string) {
	t.Helper()
	resp, err := http.Get(c.Admin("/debug/pprof/goroutine?debug=2"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return plugin.Match(b), string(b)
}

// plugin begins the line of each function of the plugin in a stack. The lines of
// its files, which main is in too, are indented.
var plugin = regexp.MustCompile(`(?m)^github\.com/kapadeflector/caddy-kapa-deflector[./]`)

// WantIdle waits until no goroutine of Caddy's is in the plugin.
func (c *Caddy) WantIdle(t *testing.T) {
	t.Helper()
	var stacks string
	defer func() {
		if t.Failed() {
			t.Logf("what runs:\n%s", stacks)
		}
	}()
	Eventually(t, "no goroutine is in the plugin", func() (idle bool) {
		var in bool
		in, stacks = c.InPlugin(t)
		return !in
	})
}

// The log

// Log is what Caddy has written so far.
func (c *Caddy) Log() string { return c.log.String() }

// LoggedRequest is a line of the access log of a site that has
//
//	log
//	log_append outcome {http.kapa_deflector.outcome}
//	log_append reason {http.kapa_deflector.reason}
type LoggedRequest struct {
	Request struct {
		Method, Host, URI string
		Headers           http.Header
	}
	Status          int
	Outcome, Reason string
}

// Requests are those that the edge has answered at this URI.
func (c *Caddy) Requests(uri string) []LoggedRequest {
	return c.requests(`"uri":"`+uri+`"`, func(r LoggedRequest) bool { return r.Request.URI == uri })
}

// Questions are those that loaders have asked about the page at this URI.
func (c *Caddy) Questions(uri string) []LoggedRequest {
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
	}
	prefix := uri + separator + "kapa_deflector="
	return c.requests("kapa_deflector=", func(r LoggedRequest) bool { return strings.HasPrefix(r.Request.URI, prefix) })
}

// requests are those for which is holds. All lines about them have part.
func (c *Caddy) requests(part string, is func(LoggedRequest) bool) (found []LoggedRequest) {
	for line := range strings.Lines(c.Log()) {
		if !strings.Contains(line, `"http.log.access`) || !strings.Contains(line, part) {
			continue
		}
		var r LoggedRequest
		if json.Unmarshal([]byte(line), &r) == nil && is(r) {
			found = append(found, r)
		}
	}
	return found
}

// Processes

// run starts a program, and returns when it answers at the address.
func run(cmd *exec.Cmd, url string) (exited chan struct{}, log *logBuffer, err error) {
	exited, log = make(chan struct{}), new(logBuffer)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.WaitDelay = time.Second // for the output of processes that it leaves behind
	endWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	for deadline := time.After(2 * Patience); ; {
		if resp, err := Get(url); err == nil && resp.Status != http.StatusBadGateway && resp.Status != http.StatusServiceUnavailable {
			return exited, log, nil
		}
		select {
		case <-exited:
			return nil, nil, fmt.Errorf("%s ended:\n%s", cmd, log)
		case <-deadline:
			end(cmd, exited)
			return nil, nil, fmt.Errorf("%s does not answer:\n%s", cmd, log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// end has a program end by itself, if it will.
func end(cmd *exec.Cmd, exited chan struct{}) {
	if cmd.Process.Signal(os.Interrupt) != nil { // as on Windows
		_ = cmd.Process.Kill()
	}
	select {
	case <-exited:
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		<-exited
	}
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
