package sample

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// sampleWithoutLoader runs the sample site without loader for one test.
func sampleWithoutLoader(t *testing.T) *testenv.Caddy {
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
		return strings.HasPrefix(strings.TrimSpace(line), "loader ")
	})
	text := strings.Replace(strings.Join(lines, ""), "import examples/", "import "+filepath.ToSlash(here)+"/examples/", 1)
	// StartCaddy has global options of its own
	if _, text, _ = strings.Cut(text, "\n}\n"); len(text) == len(example) || strings.Contains(text, "\tloader") {
		t.Fatalf("Caddyfile.example is not as expected:\n%s", example)
	}
	return testenv.StartCaddy(t, text)
}
