package sample

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// sampleWithoutWatcher runs the sample site without live_consent for one test.
func sampleWithoutWatcher(t *testing.T) *testenv.Caddy {
	t.Helper()
	here, err := filepath.Abs(testenv.Repository)
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
	// StartCaddy has global options of its own
	if _, text, _ = strings.Cut(text, "\n}\n"); len(text) == len(example) || strings.Contains(text, "live_consent") {
		t.Fatalf("Caddyfile.example is not as expected:\n%s", example)
	}
	return testenv.StartCaddy(t, text)
}
