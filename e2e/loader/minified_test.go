package loader

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

var update = flag.Bool("update", false, "rewrite loader.min.js as it is made out of loader.js")

// limit is how many bytes the loader may add to a page.
const limit = 3072

// What pages get is what stands to read in loader.js.
func TestLoaderIsMinified(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(testenv.Repository, "internal/loader/loader.js"))
	if err != nil {
		t.Fatal(err)
	}
	want := minified(t, string(source))
	target := filepath.Join(testenv.Repository, "internal/loader/loader.min.js")
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
		t.Errorf("loader.min.js is not what loader.js comes to; go -C e2e test -run TestLoaderIsMinified ./loader -args -update writes it\n%s", want)
	}
	t.Logf("loader.min.js has %d bytes, of at most %d", len(got), limit)
	if len(got) > limit {
		t.Errorf("loader.min.js has %d bytes, and may have %d", len(got), limit)
	}
	if strings.Contains(strings.ToLower(want), "</script") || strings.Contains(want, "<!--") {
		t.Error("loader.min.js cannot stand in a script element")
	}
}

// minified makes source, an arrow function, as small as esbuild can. A function
// that nobody calls would come out as nothing: it is called, and the call is
// taken off again.
func minified(t *testing.T, source string) string {
	t.Helper()
	const call = "(SELECTORS)"
	result := api.Transform("("+source+")"+call, api.TransformOptions{
		Target:            api.ES2021,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
	})
	for _, problem := range append(result.Errors, result.Warnings...) {
		t.Fatalf("loader.js: %s %+v", problem.Text, problem.Location)
	}
	code, called := strings.CutSuffix(string(result.Code), call+";\n")
	if !called {
		t.Fatalf("the call is not at the end of %s", result.Code)
	}
	return code + "\n"
}
