package loader_test

import (
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/loader"
)

var configuration = loader.Config{
	Selectors: [4]string{"#description", "#form", "#form button", "#form"},
	Cookies:   []string{"cookie_consent"},
	HonorGPC:  true,
}

func TestVersionInTheScript(t *testing.T) {
	without := loader.New(configuration)
	for version, want := range map[string]string{
		"":       "",
		"v0.1.0": "/*kapa_deflector v0.1.0*/",
		"v0.1.1-0.20261128173350-65d720bbd5c2+dirty": "/*kapa_deflector v0.1.1-0.20261128173350-65d720bbd5c2+dirty*/",
		"*/alert(1)/*":           "",
		"v1</script>":            "",
		"v1 beta":                "",
		"v1\n":                   "",
		"v\u00fc1":               "",
		strings.Repeat("1", 64):  "/*kapa_deflector " + strings.Repeat("1", 64) + "*/",
		strings.Repeat("1", 65):  "",
		"(devel)":                "",
		"kapa_deflector=1.ab.cd": "",
	} {
		c := configuration
		c.Version = version
		s := loader.New(c)
		if comment, found := strings.CutSuffix(s.Content, without.Content); !found || comment != want {
			t.Errorf("%q: begins with %q, want %q", version, comment, want)
		}
		if s.ID != without.ID || s.Block != without.Block || loader.KeyIn(s.Content) != loader.KeyIn(without.Content) {
			t.Errorf("%q changes what the script asks", version)
		}
		named := ""
		if want != "" {
			named = version
		}
		if got := loader.VersionIn(s.Content); got != named {
			t.Errorf("%q: read back as %q", version, got)
		}
	}
}

// Only what stands at the beginning is the version.
func TestVersionIn(t *testing.T) {
	for content, want := range map[string]string{
		"/*kapa_deflector v0.1.0*/(x)": "v0.1.0",
		" /*kapa_deflector v0.1.0*/":   "",
		"x/*kapa_deflector v0.1.0*/":   "",
		"/*kapa_deflector v0.1.0 */":   "",
		"/*kapa_deflector \x1b[1m*/":   "",
		"/*kapa_deflector v0.1.0":      "",
	} {
		if got := loader.VersionIn(content); got != want {
			t.Errorf("%q: got %q, want %q", content, got, want)
		}
	}
}

// Edges are upgraded one by one, and caches keep pages of older versions: their scripts
// must have the ID that this version expects. If this test fails, the field of Config
// that has changed must keep its name and its meaning.
func TestIDStaysFromVersionToVersion(t *testing.T) {
	if got := loader.New(configuration).ID; got != "9cb62049" {
		t.Error(got)
	}
	c := configuration
	c.Start, c.Prompt = loader.Interaction, true
	c.Adapters = []loader.Adapter{{Platform: "usercentrics", Categories: []string{"HkocEodjb7"}}, {Platform: "termly"}}
	if got := loader.New(c).ID; got != "4bb8ae6a" {
		t.Error(got)
	}
}

// Each setting that changes the script changes its ID, except for the pages, which have
// a name of their own.
func TestIDNamesTheConfiguration(t *testing.T) {
	seen := map[string]string{loader.New(configuration).ID: "none"}
	for what, change := range map[string]func(*loader.Config){
		"a selector":         func(c *loader.Config) { c.Selectors[3] = "#main" },
		"two selectors":      func(c *loader.Config) { c.Selectors[0], c.Selectors[1] = c.Selectors[1], c.Selectors[0] },
		"a cookie":           func(c *loader.Config) { c.Cookies = []string{"other"} },
		"the start":          func(c *loader.Config) { c.Start = loader.Idle },
		"GPC":                func(c *loader.Config) { c.HonorGPC = false },
		"the prompt":         func(c *loader.Config) { c.Prompt = true },
		"an adapter":         func(c *loader.Config) { c.Adapters = []loader.Adapter{{Platform: "termly"}} },
		"another adapter":    func(c *loader.Config) { c.Adapters = []loader.Adapter{{Platform: "osano"}} },
		"its categories":     func(c *loader.Config) { c.Adapters = []loader.Adapter{{Platform: "termly", Categories: []string{"a"}}} },
		"another's category": func(c *loader.Config) { c.Adapters = []loader.Adapter{{Platform: "termly", Categories: []string{"b"}}} },
	} {
		c := configuration
		change(&c)
		id := loader.New(c).ID
		if other, ok := seen[id]; ok {
			t.Errorf("%s: the same ID as with %s", what, other)
		}
		seen[id] = what
	}
	c := configuration
	c.Pages = []string{"/tickets/new"}
	if a, b := loader.New(configuration), loader.New(c); a.ID != b.ID || a.Block == b.Block {
		t.Errorf("pages: %s.%s, %s.%s", a.ID, a.Block, b.ID, b.Block)
	}
}
