package corpus

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A TreeTest is a document and the tree that a parser must make of it, in the
// notation of html5lib's tests.
type TreeTest struct {
	Name string
	HTML string
	Tree string
}

// HTML5Lib returns html5lib's tree construction tests for whole documents in browsers
// that run scripts.
func HTML5Lib(t testing.TB) []TreeTest {
	t.Helper()
	folder := filepath.Join(xnet.folder(t), "html", "testdata", "html5lib-tests", "tree-construction")
	files, err := filepath.Glob(filepath.Join(folder, "*.dat"))
	if err != nil {
		t.Fatal(err)
	}
	var tests []TreeTest
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// An empty line separates tests, but tests also have empty lines inside.
		for i, text := range strings.Split("\n\n"+string(data), "\n\n#data\n")[1:] {
			html, rest, ok1 := strings.Cut("\n"+text, "\n#errors\n")
			notes, tree, ok2 := strings.Cut("\n"+rest, "\n#document\n")
			name := fmt.Sprintf("%s/%d", filepath.Base(file), i)
			if !ok1 || !ok2 {
				t.Fatalf("%s is not in the form of html5lib's tests", name)
			}
			if strings.Contains(notes, "\n#document-fragment\n") || strings.HasSuffix(notes, "\n#script-off") {
				continue
			}
			tests = append(tests, TreeTest{
				Name: name,
				HTML: strings.TrimPrefix(html, "\n"),
				Tree: strings.TrimRight(tree, "\n"),
			})
		}
	}
	return tests
}
