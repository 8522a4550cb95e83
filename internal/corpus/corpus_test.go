package corpus

import (
	"strings"
	"testing"
)

func TestDocuments(t *testing.T) {
	for _, corpus := range []struct {
		name      string
		documents []Document
		count     int
		has       string // in each of them
	}{
		{"RealPages", RealPages(t), 134, "<"},
		{"Fragments", Fragments(t), 134, "<"},
		{"EncodedPages", EncodedPages(t), 11, "<"},
		{"LongPage", []Document{LongPage(t)}, 1, "</html>"},
	} {
		if len(corpus.documents) != corpus.count {
			t.Errorf("%s: %d", corpus.name, len(corpus.documents))
		}
		names := make(map[string]bool)
		for _, document := range corpus.documents {
			if names[document.Name] || document.Name == "" {
				t.Errorf("%s: the name %q does not tell documents apart", corpus.name, document.Name)
			}
			names[document.Name] = true
			if !strings.Contains(string(document.HTML), corpus.has) {
				t.Errorf("%s: %s is not what it should be", corpus.name, document.Name)
			}
		}
	}
}

func TestHTML5Lib(t *testing.T) {
	tests := HTML5Lib(t)
	if len(tests) != 1559 {
		t.Errorf("%d tests", len(tests))
	}
	for _, test := range tests {
		if !strings.HasPrefix(test.Tree, "| ") || strings.Contains(test.Tree, "\n#") {
			t.Errorf("%s has the tree %q", test.Name, test.Tree)
		}
	}
}

// A module that cannot be had, or is not what it was, gives no documents.
func TestDownloadFails(t *testing.T) {
	if xnet.folder(t) == "" {
		t.Error("no folder")
	}

	changed := module{path: xnet.path, sum: "h1:" + strings.Repeat("A", 43) + "="}
	if dir, err := changed.download(); err == nil || !strings.Contains(err.Error(), "sum") {
		t.Errorf("with another sum: %q, %v", dir, err)
	}

	t.Setenv("GOPROXY", "off")
	missing := module{path: "example.com/missing@v1.0.0"}
	if dir, err := missing.download(); err == nil || !strings.Contains(err.Error(), missing.path) {
		t.Errorf("of no such module: %q, %v", dir, err)
	}
}
