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

var update = flag.Bool("update", false, "write the minified scripts")

// limit is how many bytes the loader may add to a page, without adapters and prompt.
const limit = 3072

// What pages get is made out of the sources that stand beside it.
func TestScriptsAreMinified(t *testing.T) {
	dir := filepath.Join(testenv.Repository, "internal/loader")
	scripts := []struct {
		target, source string
		more           string // what MORE stands for
	}{
		{"loader.min.js", "loader.js", "false"},
		{"loader-more.min.js", "loader.js", "true"},
		{"prompt.min.js", "prompt.js", "true"},
	}
	adapters, err := filepath.Glob(filepath.Join(dir, "adapters", "*.js"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range adapters {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".js"); ok && !strings.HasSuffix(name, ".min") {
			scripts = append(scripts, struct{ target, source, more string }{"adapters/" + name + ".min.js", "adapters/" + name + ".js", "true"})
		}
	}
	for _, s := range scripts {
		t.Run(s.target, func(t *testing.T) {
			source, err := os.ReadFile(filepath.Join(dir, s.source))
			if err != nil {
				t.Fatal(err)
			}
			want := minified(t, s.source, string(source), s.more)
			target := filepath.Join(dir, s.target)
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
				t.Errorf("%s is not made from %s; go -C e2e test -run TestScriptsAreMinified ./loader -args -update writes it\n%s", s.target, s.source, want)
			}
			t.Logf("%d bytes", len(got))
			if s.target == "loader.min.js" && len(got) > limit {
				t.Errorf("%d bytes, and may have %d", len(got), limit)
			}
			if strings.Contains(strings.ToLower(want), "</script") || strings.Contains(want, "<!--") {
				t.Error("it cannot stand in a script element")
			}
		})
	}
}

// minified makes source, an arrow function, as small as esbuild can. esbuild would drop
// a function that nobody uses. So it is assigned and called, and both are taken off again.
func minified(t *testing.T, name, source, more string) string {
	t.Helper()
	const kept, call = "KEPT=", "(ARGUMENT)"
	result := api.Transform(kept+"("+source+")"+call, api.TransformOptions{
		Target:            api.ES2021,
		Define:            map[string]string{"MORE": more},
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
	})
	for _, problem := range append(result.Errors, result.Warnings...) {
		t.Fatalf("%s: %s %+v", name, problem.Text, problem.Location)
	}
	code, assigned := strings.CutPrefix(string(result.Code), kept)
	code, called := strings.CutSuffix(code, call+";\n")
	if !assigned || !called {
		t.Fatalf("%s is not called in %s", name, result.Code)
	}
	return code + "\n"
}
