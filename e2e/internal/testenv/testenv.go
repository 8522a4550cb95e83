// Package testenv is the one way in which the tests of this module start what
// they need: Caddy with the plugin, a browser and its visitors, nginx and
// Varnish. What a package needs, it starts once, and only if a test asks for it.
//
// What is missing on the machine skips the tests that need it, but fails them
// where the environment variable CI is set. With KAPA_SCREENSHOTS set to a
// directory, pictures of the main states are left there.
//
// Nothing leaves the machine: the browser resolves no names but localhost and
// those under it.
package testenv

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Repository is where the README's commands are run, as seen from the folder of
// each package of tests.
const Repository = "../.."

// Patience is how long a test waits for something that ought to happen. A test
// that passes never waits that long, however slow the machine is.
const Patience = 30 * time.Second

// Main is the TestMain of every package.
func Main(m *testing.M) {
	flag.Parse()
	// What is tested lies outside of this module, where go test does not look
	// for changes. Without the log of what a run has read, it caches no result.
	_ = flag.Set("test.testlogfile", "")
	// These tests wait for other processes more than they compute.
	if !isSet("test.parallel") {
		_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	}
	code := m.Run()
	for _, end := range slices.Backward(atEnd.todo) {
		if err := end(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// atEnd is what Main does after the last test, in reverse order.
var atEnd struct {
	mu   sync.Mutex
	todo []func() error
}

func addAtEnd(end func() error) {
	atEnd.mu.Lock()
	defer atEnd.mu.Unlock()
	atEnd.todo = append(atEnd.todo, end)
}

// Missing skips the test because what is not there; how tells how to install it.
// In CI nothing may be missing.
func Missing(t *testing.T, what, how string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("there is no %s, and CI has to have it: %s", what, how)
	}
	t.Skipf("there is no %s: %s", what, how)
}

// Module is the path of a file or folder in e2e/node_modules.
func Module(t *testing.T, name ...string) (path string) {
	t.Helper()
	path = filepath.Join(append([]string{Repository, "e2e", "node_modules"}, name...)...)
	if _, err := os.Stat(path); err != nil {
		Missing(t, filepath.Join(name...), "run npm --prefix e2e ci")
	}
	return path
}

// Eventually waits for what ought to happen, but not forever.
func Eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !happened(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// Share makes as many things as there are processors, for parallel subtests. Each
// test that borrows one has it for itself until it ends.
func Share[T any](construct func() T) (borrow func(t *testing.T) T) {
	n := runtime.GOMAXPROCS(0)
	free := make(chan T, n)
	for range n {
		free <- construct()
	}
	return func(t *testing.T) T {
		thing := <-free
		t.Cleanup(func() { free <- thing })
		return thing
	}
}

// WriteFile writes a file that only this user may read.
func WriteFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
