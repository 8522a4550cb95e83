// Package docs has no code, but the tests of what users read and copy: the
// README and the pages of this folder. They know the plugin as users do, by its
// Caddyfile and by what a running Caddy answers.
package docs_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

const readme = "../README.md"

// A fence is a fenced block of a document.
type fence struct {
	where    string // file and line
	language string
	text     string
}

// documents are the README, what stands beside it, and the pages of docs.
func documents(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) < 10 {
		t.Fatal(pages, err)
	}
	return append([]string{readme, "../CHANGELOG.md", "../SECURITY.md"}, pages...)
}

// goFiles are the Go files in and below dir.
func goFiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".go" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, document string) string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// blocksOf returns the fenced blocks of a document and the prose between them.
// The indentation of a block's fence is taken off each of its lines.
func blocksOf(t *testing.T, document string) (blocks []fence, prose string) {
	t.Helper()
	var open *fence
	indent, line := "", 0
	for text := range strings.Lines(read(t, document)) {
		line++
		before, language, isFence := strings.Cut(text, "```")
		switch {
		case isFence && strings.TrimSpace(before) == "" && open == nil:
			open = &fence{where: fmt.Sprintf("%s:%d", document, line), language: strings.TrimSpace(language)}
			indent = before
		case isFence && strings.TrimSpace(before) == "":
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(text, indent)
		default:
			prose += text
		}
	}
	if open != nil {
		t.Fatalf("%s: a block is not closed", open.where)
	}
	return blocks, prose
}

// blocksIn are the blocks of a language in all documents.
func blocksIn(t *testing.T, language string) (blocks []fence) {
	t.Helper()
	for _, document := range documents(t) {
		all, _ := blocksOf(t, document)
		for _, b := range all {
			if b.language == language {
				blocks = append(blocks, b)
			}
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("no %s", language)
	}
	return blocks
}

// blockWith is the one Caddyfile of a document that contains text.
func blockWith(t *testing.T, document, text string) fence {
	t.Helper()
	blocks, _ := blocksOf(t, document)
	blocks = slices.DeleteFunc(blocks, func(b fence) bool {
		return b.language != "caddyfile" || !strings.Contains(b.text, text)
	})
	if len(blocks) != 1 {
		t.Fatalf("%s: %d Caddyfiles with %q", document, len(blocks), text)
	}
	return blocks[0]
}

func TestDocumentedCaddyfilesAreAsCaddyFmtWouldWriteThem(t *testing.T) {
	for _, b := range blocksIn(t, "caddyfile") {
		if formatted := caddyfile.Format([]byte(b.text)); string(formatted) != b.text {
			t.Errorf("%s: caddy fmt makes\n%s", b.where, formatted)
		}
	}
}

func TestDocumentedCaddyfilesLoad(t *testing.T) {
	for _, b := range blocksIn(t, "caddyfile") {
		t.Run(b.where, func(t *testing.T) {
			s := start(t, whole(t, b.text), pageOrigin)
			if s.port == "" {
				return // global options alone
			}
			if resp, _ := s.get("/tickets/new"); resp.StatusCode >= 500 {
				t.Error(resp.Status)
			}
		})
	}
}

// The README's way to try it on one's own machine: tag and id come over http,
// on localhost.
func TestTheReadmesLocalTry(t *testing.T) {
	s := start(t, whole(t, blockWith(t, readme, "http://localhost:8080").text), pageOrigin)
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+s.port+"/tickets/new", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "localhost:8080"
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Cookie", granted)
	resp, body := s.do(r)
	lines := idLines(resp)
	if !isTagged(body) || len(lines) != 1 || strings.Contains(lines[0], "Domain") || strings.Contains(lines[0], "Secure") {
		t.Errorf("%q, %s", lines, body)
	}
}

func TestDocumentedJSONIsJSON(t *testing.T) {
	for _, b := range blocksIn(t, "json") {
		if !json.Valid([]byte(b.text)) {
			t.Errorf("%s: not JSON", b.where)
		}
	}
}

// The README is what a newcomer reads first.
func TestTheReadmeIsShort(t *testing.T) {
	if size := len(read(t, readme)); size > 14<<10 {
		t.Errorf("%d bytes, which is more than 14 KB: move something to docs/", size)
	}
}

var (
	link       = regexp.MustCompile(`\]\(([^)#]*)(?:#([^)]*))?\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notInNames = regexp.MustCompile(`[^\w-]`)
)

// anchors are the names by which a document's headings are linked to, as
// GitHub makes them.
func anchors(t *testing.T, document string) (names []string) {
	_, prose := blocksOf(t, document)
	for _, h := range heading.FindAllStringSubmatch(prose, -1) {
		name := strings.ReplaceAll(strings.ToLower(h[1]), " ", "-")
		names = append(names, notInNames.ReplaceAllString(name, ""))
	}
	return names
}

func TestDocumentedLinksLeadSomewhere(t *testing.T) {
	found := 0
	names := make(map[string][]string)
	check := func(from, path, anchor string) {
		found++
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", from, err)
			return
		}
		if names[path] == nil {
			names[path] = anchors(t, path)
		}
		if anchor != "" && !slices.Contains(names[path], anchor) {
			t.Errorf("%s: %s has no heading for #%s", from, path, anchor)
		}
	}
	for _, document := range documents(t) {
		_, prose := blocksOf(t, document)
		for _, l := range link.FindAllStringSubmatch(prose, -1) {
			if strings.Contains(l[1], ":") {
				continue // elsewhere
			}
			path := filepath.Join(filepath.Dir(document), cmp.Or(l[1], filepath.Base(document)))
			check(document, path, l[2])
		}
	}
	if found < 100 {
		t.Errorf("only %d links", found)
	}
	// what the source leads to
	for _, source := range goFiles(t, "..") {
		for _, l := range regexp.MustCompile(`docs/([\w-]+\.md)(?:#([\w-]+))?`).FindAllStringSubmatch(read(t, source), -1) {
			check(source, l[1], l[2])
		}
	}
}

// Each heading of a page is another one: links to the second of two would lead
// to the first.
func TestDocumentedHeadingsDiffer(t *testing.T) {
	for _, document := range documents(t) {
		names := anchors(t, document)
		slices.Sort(names)
		for i := 1; i < len(names); i++ {
			if names[i] == names[i-1] {
				t.Errorf("%s has #%s twice", document, names[i])
			}
		}
	}
}

// The index has every page.
func TestTheIndexHasEveryDocument(t *testing.T) {
	const index = "README.md"
	text := read(t, index)
	for _, document := range documents(t) {
		if row := "](" + filepath.ToSlash(document) + ") | "; document != index && !strings.Contains(text, row) {
			t.Errorf("no row for %s", document)
		}
	}
}

// A sentence that stands in two places is changed in one of them.
func TestNoSentenceTwice(t *testing.T) {
	sentence := regexp.MustCompile(`[^.:|!?\x60]{60,}[.:|!?]`)
	where := make(map[string]string)
	for _, document := range documents(t) {
		_, prose := blocksOf(t, document)
		for _, s := range sentence.FindAllString(strings.Join(strings.Fields(prose), " "), -1) {
			s = strings.TrimSpace(s)
			if before, ok := where[s]; ok {
				t.Errorf("%s and %s: %s", before, document, s)
			}
			where[s] = document
		}
	}
}

// Commands that users paste exist, with the options that they are given. What
// they print is tested where they are: e2e/readme_test.go, command_test.go.
func TestDocumentedCommands(t *testing.T) {
	command := regexp.MustCompile(`(?:^|[ /])caddy ([a-z-]+)((?: [^|&#\n]+)?)`)
	found := 0
	for _, b := range blocksIn(t, "sh") {
		for line := range strings.Lines(b.text) {
			for _, c := range command.FindAllStringSubmatch(line, -1) {
				if strings.Contains(line, "-u caddy") || strings.Contains(line, "xcaddy") {
					continue
				}
				found++
				known, ok := caddycmd.Commands()[c[1]]
				if !ok {
					t.Errorf("%s: there is no caddy %s", b.where, c[1])
					continue
				}
				cmd := &cobra.Command{}
				known.CobraFunc(cmd)
				if err := cmd.ParseFlags(strings.Fields(c[2])); err != nil {
					t.Errorf("%s: caddy %s: %v", b.where, c[1], err)
				}
			}
		}
	}
	if found < 7 {
		t.Errorf("%d commands", found)
	}
}

// A pattern that fits no test passes as well as one that fits all.
func TestDocumentedTestsAndBenchmarksExist(t *testing.T) {
	command := regexp.MustCompile(`go (?:-C (\w+) )?test (\.\S*) -run (\w+)(?: -bench (\w+))?`)
	found := 0
	for _, document := range documents(t) {
		for _, c := range command.FindAllStringSubmatch(read(t, document), -1) {
			found++
			function := `Test\w*` + strings.TrimPrefix(c[3], "Test")
			if c[4] != "" {
				function = `Benchmark\w*` + c[4]
			}
			exists := regexp.MustCompile(`(?m)^func ` + function)
			dir, deep := strings.CutSuffix(filepath.Join("..", c[1], c[2]), "...")
			if !slices.ContainsFunc(goFiles(t, dir), func(file string) bool {
				return (deep || filepath.Dir(file) == filepath.Clean(dir)) && exists.MatchString(read(t, file))
			}) {
				t.Errorf("%s: %s: there is no %s", document, c[0], function)
			}
		}
	}
	if found < 7 {
		t.Errorf("%d commands", found)
	}
}
