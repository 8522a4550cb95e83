package live

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

var update = flag.Bool("update", false, "rewrite live.min.js as it is made out of live.js")

// watcherLimit is how many bytes the watcher may add to a page.
const watcherLimit = 1450

// What pages get is what stands to read in live.js.
func TestWatcherIsMinified(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(testenv.Repository, "live.js"))
	if err != nil {
		t.Fatal(err)
	}
	want := minified(t, string(source))
	target := filepath.Join(testenv.Repository, "live.min.js")
	if *update {
		if err := os.WriteFile(target, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("live.min.js is not what live.js comes to; go -C e2e test -run TestWatcherIsMinified ./live -args -update writes it\n%s", want)
	}
	t.Logf("live.min.js has %d bytes, of at most %d", len(got), watcherLimit)
	if len(got) > watcherLimit {
		t.Errorf("live.min.js has %d bytes, and may have %d", len(got), watcherLimit)
	}
	if strings.Contains(strings.ToLower(want), "</script") || strings.Contains(want, "<!--") {
		t.Error("live.min.js cannot stand in a script element")
	}
}

// minified makes source, an arrow function, as small as esbuild can. A function
// that nobody calls would come out as nothing: it is called, and the call is
// taken off again.
func minified(t *testing.T, source string) string {
	t.Helper()
	const call = "(NAMES,TAGGED)"
	result := api.Transform("("+source+")"+call, api.TransformOptions{
		Target:            api.ES2020,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
	})
	for _, problem := range append(result.Errors, result.Warnings...) {
		t.Fatalf("live.js: %s %+v", problem.Text, problem.Location)
	}
	code, called := strings.CutSuffix(string(result.Code), call+";\n")
	if !called {
		t.Fatalf("the call is not at the end of %s", result.Code)
	}
	return code + "\n"
}
