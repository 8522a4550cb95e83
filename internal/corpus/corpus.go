// Package corpus gives tests the documents that others have written: the
// parser tests of html5lib, pages of the Web, pages in various encodings.
//
// It reads them from the module cache, where the go command puts them on first
// use. It checks them against the sums below. Offline, a test that needs them is
// skipped, or fails if CI is set in the environment.
package corpus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// The modules' versions are chosen for their documents, and are independent of those
// in go.mod.
var (
	xnet = module{
		path: "golang.org/x/net@v0.62.0",
		sum:  "h1:18ELalfM5+XNRwzM2nYqXsZQ9ByS1uhj2O/U7+5jqRY=",
	}
	readability = module{
		path: "codeberg.org/readeck/go-readability/v2@v2.1.3",
		sum:  "h1:6SR63+o3nHiZT6Ntq2Px4nNd2eSfrtsDpdM4uL3id9c=",
	}
)

// A Document is a page or a piece of one.
type Document struct {
	Name string
	HTML []byte
}

// RealPages returns 134 pages as they were once served on the Web.
func RealPages(t testing.TB) []Document {
	return readability.documents(t, "test-pages/*/source.html")
}

// Fragments returns 134 articles cut out of those pages, which are no documents.
func Fragments(t testing.TB) []Document {
	return readability.documents(t, "test-pages/*/expected.html")
}

// EncodedPages returns the pages with which the W3C tests how a document's
// encoding is found.
func EncodedPages(t testing.TB) []Document {
	return xnet.documents(t, "html/charset/testdata/*.html")
}

// LongPage returns a page with a short head and a long body.
func LongPage(t testing.TB) Document {
	return xnet.documents(t, "html/testdata/go1.html")[0]
}

// A module is a Go module whose files include documents.
type module struct {
	path, sum string

	once sync.Once
	dir  string
	err  error
}

// documents returns the module's files that match the pattern, in order.
func (m *module) documents(t testing.TB, pattern string) []Document {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(m.folder(t), filepath.FromSlash(pattern)))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no %s in %s", pattern, m.path)
	}
	if err != nil {
		t.Fatal(err)
	}
	documents := make([]Document, len(files))
	for i, file := range files {
		html, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents[i] = Document{shortName(file), html}
	}
	return documents
}

// shortName returns the name that tells a file from the others of its corpus: its own
// name, or its folder's where all files have the same name.
func shortName(file string) string {
	switch name := filepath.Base(file); name {
	case "source.html", "expected.html":
		return filepath.Base(filepath.Dir(file))
	default:
		return name
	}
}

// folder returns the folder of the module's files. It ends the test if there is no
// way to get them.
func (m *module) folder(t testing.TB) string {
	t.Helper()
	m.once.Do(func() { m.dir, m.err = m.download() })
	switch {
	case m.err == nil:
	case os.Getenv("CI") != "":
		t.Fatal(m.err)
	default:
		t.Skip(m.err)
	}
	return m.dir
}

func (m *module) download() (dir string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	// In a folder without go.mod, so that none is changed.
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", m.path)
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, runErr := cmd.Output()

	var got struct{ Dir, Sum, Error string }
	err = json.Unmarshal(out, &got)
	switch {
	case err == nil && got.Error != "":
		return "", fmt.Errorf("cannot get %s: %s", m.path, got.Error)
	case runErr != nil:
		return "", fmt.Errorf("cannot get %s: %w\n%s", m.path, runErr, &stderr)
	case err != nil:
		return "", fmt.Errorf("cannot get %s: %w", m.path, err)
	case got.Sum != m.sum:
		return "", fmt.Errorf("%s has the sum %s, not %s", m.path, got.Sum, m.sum)
	}
	return got.Dir, nil
}
