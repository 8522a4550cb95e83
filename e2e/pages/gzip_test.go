package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/gzsplice"
)

// A splice is a page that zlib has compressed, with an insertion.
type splice struct {
	file string // the stream
	sum  string // SHA-256 of the text, in hexadecimal
}

// spliceAt puts insert into the text of zipped at at.
func spliceAt(zipped []byte, at int, insert []byte) ([]byte, error) {
	var out bytes.Buffer
	var s gzsplice.Splicer
	scanned := 0
	s.Reset(&out, writerFunc(func(p []byte) (int, error) {
		if scanned += len(p); scanned >= at {
			s.Insert(scanned-at, gzsplice.Insertion{Text: insert})
		} else if scanned > 32<<10 {
			s.Release(0) // so that no more is held back
		}
		return len(p), nil
	}))
	defer s.Drop()
	for len(zipped) > 0 {
		n := min(len(zipped), 32<<10)
		if _, err := s.Write(zipped[:n]); err != nil {
			return nil, err
		}
		zipped = zipped[n:]
	}
	err := s.Close()
	return out.Bytes(), err
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// spliced returns each real page, compressed by zlib in nine ways, with a tag at the
// end of its head.
func spliced(t *testing.T) (list []splice) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		testenv.Missing(t, "node", "install Node.js")
	}
	sources, _ := filepath.Glob(filepath.Join(realPages(t), "*", "source.html"))
	if len(sources) != 134 {
		t.Fatalf("%d pages, want 134", len(sources))
	}
	dir := t.TempDir()
	args := []string{"gzip.cjs", "encode"}
	texts := map[string][]byte{}
	for _, source := range sources {
		html, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, filepath.Base(filepath.Dir(source)))
		if err := os.WriteFile(file, html, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
		texts[file] = html
	}
	if out, err := exec.Command("node", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	insert := []byte(`<script async src="https://widget.kapa.ai/kapa-support-form-deflector.bundle.js" data-integration-id="abc"></script>`)
	for file, html := range texts {
		zipped, _ := filepath.Glob(file + ".*.gz")
		if len(zipped) != 9 {
			t.Fatalf("%s is compressed in %d ways, want 9", file, len(zipped))
		}
		at := max(bytes.Index(html, []byte("</head>")), 0)
		want := bytes.Join([][]byte{html[:at], insert, html[at:]}, nil)
		sum := sha256.Sum256(want)
		for _, name := range zipped {
			b, err := os.ReadFile(name)
			if err == nil {
				b, err = spliceAt(b, at, insert)
			}
			if err == nil {
				err = os.WriteFile(name, b, 0o600)
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			list = append(list, splice{name, hex.EncodeToString(sum[:])})
		}
	}
	return list
}

// Every reader of gzip reads a page with an insertion (RFC 1952).
func TestSplicedPagesAreReadByAll(t *testing.T) {
	t.Parallel()
	pages := spliced(t)
	wantSums := func(t *testing.T, got []string) {
		t.Helper()
		if len(got) != len(pages) {
			t.Fatalf("%d pages were read, of %d", len(got), len(pages))
		}
		for i, sum := range got {
			if sum != pages[i].sum {
				t.Errorf("%s has another text", filepath.Base(pages[i].file))
			}
		}
	}
	sumOf := func(r io.Reader) string {
		h := sha256.New()
		if _, err := io.Copy(h, r); err != nil {
			return err.Error()
		}
		return hex.EncodeToString(h.Sum(nil))
	}

	t.Run("Go", func(t *testing.T) {
		var sums []string
		for _, page := range pages {
			f, err := os.Open(page.file)
			if err != nil {
				t.Fatal(err)
			}
			z, err := gzip.NewReader(f)
			if err != nil {
				t.Fatal(err)
			}
			sums = append(sums, sumOf(z))
			f.Close()
		}
		wantSums(t, sums)
	})

	t.Run("Node.js", func(t *testing.T) {
		args := []string{"gzip.cjs", "sum"}
		for _, page := range pages {
			args = append(args, page.file)
		}
		cmd := exec.Command("node", args...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		wantSums(t, strings.Fields(string(out)))
	})

	t.Run("gzip", func(t *testing.T) {
		if _, err := exec.LookPath("gzip"); err != nil {
			testenv.Missing(t, "gzip", "install it")
		}
		var sums []string
		for _, page := range pages {
			out, err := exec.Command("gzip", "-dc", page.file).Output()
			if err != nil {
				t.Fatalf("%s: %v", page.file, err)
			}
			sums = append(sums, sumOf(bytes.NewReader(out)))
		}
		wantSums(t, sums)
	})

	origin := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &n); err != nil {
			w.Header().Set("Content-Type", "text/html")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/octet-stream")
		b, _ := os.ReadFile(pages[n].file)
		_, _ = w.Write(b)
	}))

	t.Run("curl", func(t *testing.T) {
		if _, err := exec.LookPath("curl"); err != nil {
			testenv.Missing(t, "curl", "install it")
		}
		dir := t.TempDir()
		cmd := exec.Command("curl", "--silent", "--show-error", "--fail", "--compressed", "--output", filepath.Join(dir, "#1"),
			fmt.Sprintf("http://%s/[0-%d]", origin, len(pages)-1))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var sums []string
		for i := range pages {
			b, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			sums = append(sums, sumOf(bytes.NewReader(b)))
		}
		wantSums(t, sums)
	})

	t.Run("Chromium", func(t *testing.T) {
		v := testenv.NewTab(t)
		_, port, _ := strings.Cut(origin, ":")
		v.Open("http://localhost:" + port + "/")
		var sums []string
		for begin := 0; begin < len(pages); begin += 100 { // one call may not take long
			sums = append(sums, testenv.Eval[[]string](v, fmt.Sprintf(`(async () => {
			const sums = [];
			for (let i = %d; i < %d; i++) {
				const text = await (await fetch('/' + i)).arrayBuffer();
				const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', text));
				sums.push(Array.from(sum, (b) => b.toString(16).padStart(2, '0')).join(''));
			}
			return sums;
		})()`, begin, min(begin+100, len(pages))))...)
		}
		wantSums(t, sums)
	})
}
