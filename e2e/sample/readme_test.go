package sample

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// What the README's two terminal commands print, pasted with only the port changed.
func TestTheReadmesCurl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		testenv.Missing(t, "curl", "install curl")
	}
	readme, err := os.ReadFile(filepath.Join(testenv.Repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^curl .*support\.acme\.localhost:8080.*$`).FindAllString(string(readme), -1)
	prints := [][]string{
		{"Etag: ", "<script>"},
		{"Etag: ", "<script>"}, // the same for everybody
	}
	if len(commands) != len(prints) {
		t.Fatalf("%d commands: %q", len(commands), commands)
	}
	for i, command := range commands {
		out, err := exec.Command("sh", "-c", strings.ReplaceAll(command, "8080", strconv.Itoa(testenv.Sample(t).EdgePort))).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if len(lines) != len(prints[i]) {
			t.Errorf("%s prints %d lines, want %d:\n%s", command, len(lines), len(prints[i]), out)
			continue
		}
		for j, line := range lines {
			if !strings.HasPrefix(strings.TrimSpace(line), prints[i][j]) {
				t.Errorf("%s prints %q, want %q first", command, line, prints[i][j])
			}
		}
	}
}
