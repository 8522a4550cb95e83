package loader

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// Where the loader has nothing to do, it ends before it reads anything. Node.js runs it
// in front of a document that throws at every access.
func TestTheLoaderEndsBeforeItReads(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		testenv.Missing(t, "node", "install Node.js")
	}
	out, err := exec.Command("node", "pure.cjs", filepath.Join(testenv.Repository, "internal", "loader", "loader.js")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
