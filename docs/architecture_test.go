package docs_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kapadeflector/caddy-kapa-deflector"

// A drawn package is a row of the table of packages in architecture.md.
type drawn struct {
	name    string   // below internal/, or "root"
	pure    bool     // it knows neither HTTP nor Caddy
	imports []string // of our own packages
}

// drawing reads the table, whose rows stand from the top of the house down.
func drawing(t *testing.T) (rows []drawn) {
	t.Helper()
	text, err := os.ReadFile("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| package | what it does | pure | imports |\n|---|---|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "|"), "|"), "|")
		if len(cells) != 4 {
			t.Fatalf("a row of the table of packages has %d cells: %s", len(cells), line)
		}
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " `")
		}
		row := drawn{name: cells[0], pure: cells[2] == "yes"}
		if cells[3] != "" {
			row.imports = strings.Split(cells[3], ", ")
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatal("architecture.md has no table of packages")
	}
	return rows
}

// imports returns what each of our packages imports, by the names of the drawing.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		name := inDrawing(words[0])
		if name == "" {
			continue
		}
		found[name] = words[1:]
	}
	return found
}

// inDrawing returns the name that the drawing has for a package of ours, "" for
// others and for what is no part of the plugin: its program, and tests.
func inDrawing(path string) string {
	if path == module {
		return "root"
	}
	name, ours := strings.CutPrefix(path, module+"/internal/")
	if !ours {
		return ""
	}
	return name
}

// The drawing in architecture.md and the code agree, and no arrow points up.
func TestArchitecture(t *testing.T) {
	rows, found := drawing(t), imports(t)
	var above []string // packages that are drawn further up
	for _, row := range rows {
		above = append(above, row.name)
		all, exists := found[row.name]
		if !exists {
			t.Errorf("package %s is drawn, and does not exist", row.name)
			continue
		}
		delete(found, row.name)

		var ours []string
		for _, path := range all {
			if name := inDrawing(path); name != "" {
				ours = append(ours, name)
			}
			if row.pure && (path == "net/http" || strings.HasPrefix(path, "github.com/caddyserver/")) {
				t.Errorf("package %s imports %s, and is drawn as pure", row.name, path)
			}
		}
		for _, name := range ours {
			if slices.Contains(above, name) {
				t.Errorf("package %s imports %s, which stands above it", row.name, name)
			}
		}
		slices.Sort(ours)
		if drawn := slices.Sorted(slices.Values(row.imports)); !slices.Equal(ours, drawn) {
			t.Errorf("package %s imports %v, and is drawn with %v", row.name, ours, drawn)
		}
	}
	for name := range found {
		t.Errorf("package %s is not drawn", name)
	}
}
