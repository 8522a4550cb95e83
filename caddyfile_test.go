package kapadeflector

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var update = flag.Bool("update", false, "rewrite what the Caddyfiles in testdata/adapt are expected to come to")

// golden is a file of testdata/adapt: a Caddyfile, a line of dashes, and the
// JSON that it becomes or the error that it causes, as a whole.
type golden struct {
	file, caddyfile, want string
}

const goldenSeparator = "----------\n"

func goldens(t *testing.T) (all []golden) {
	t.Helper()
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// a checkout may have changed the line ends
		text := strings.ReplaceAll(string(content), "\r\n", "\n")
		input, want, ok := strings.Cut(text, goldenSeparator)
		if !ok {
			t.Fatalf("%s has no line of dashes", file)
		}
		all = append(all, golden{file, input, strings.TrimSuffix(want, "\n")})
	}
	return all
}

// isError tells by the file's name whether the case must fail, so that -update cannot
// turn a case that must fail into one that passes, or the other way round.
func (g golden) isError() bool {
	return strings.HasPrefix(filepath.Base(g.file), "error_")
}

func (g golden) name() string {
	return strings.TrimSuffix(filepath.Base(g.file), ".caddyfiletest")
}

// setTestEnv sets the environment of the goldens, for their {$...} and {env.*}.
func setTestEnv(t *testing.T) {
	t.Helper()
	for name, val := range map[string]string{
		"COLOR":       `"#123456"`, // with the quotes, without which {$...} would begin a comment
		"SCRIPT":      "https://cdn.acme.com/kapa.js",
		"INTEGRITY":   "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
		"CROSSORIGIN": "anonymous",
		"LOADING":     "defer",
		"DOMAIN":      "acme.com",
		"NAME":        "cookie_consent",
		"VALUE":       "accepted",
		"EVENT":       "onClick",
		"PURPOSE":     "8",
	} {
		t.Setenv("KAPA_TEST_"+name, val)
	}
}

func TestCaddyfiles(t *testing.T) {
	setTestEnv(t)
	for _, g := range goldens(t) {
		t.Run(g.name(), func(t *testing.T) {
			adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(g.caddyfile), nil)
			var got string
			switch {
			case err != nil && !g.isError():
				t.Fatal(err)
			case err == nil && g.isError():
				t.Fatalf("no error, but %s", indented(t, adapted))
			case err != nil:
				got = err.Error()
			default:
				got = indented(t, adapted)
			}
			if *update {
				content := string(caddyfile.Format([]byte(g.caddyfile))) + goldenSeparator + got + "\n"
				if err := os.WriteFile(g.file, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != g.want && (err != nil || !equalJSON(t, got, g.want)) {
				t.Errorf("got\n%s\nwant\n%s", got, g.want)
			}
			if !bytes.Equal(caddyfile.Format([]byte(g.caddyfile)), []byte(g.caddyfile)) {
				t.Error("not as caddy fmt would write it")
			}
			for _, w := range warnings {
				t.Errorf("warning: %s", w)
			}
		})
	}
}

func indented(t *testing.T, raw []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// equalJSON compares two JSON texts without regard to space and the order of
// keys.
func equalJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var decoded [2]any
	for i, text := range []string{a, b} {
		if err := json.Unmarshal([]byte(text), &decoded[i]); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
	}
	return reflect.DeepEqual(decoded[0], decoded[1])
}

// neverInConfig are the error texts that no config can cause.
var neverInConfig = map[string]string{
	"a required attribute is empty":         "for one request only: outcome incomplete, see tag_test.go",
	"the tag would be longer than %d bytes": "for one request only: outcome incomplete, see tag_test.go",
	"unknown %s %q: must be one of %s":      "each caller of unrecognized counts by itself",
}

// Every error text in the source is expected by a test, in a golden or in a table of
// config_test.go. So somebody has read each of them.
func TestEveryErrorTextIsExpectedSomewhere(t *testing.T) {
	var expected []string
	for _, g := range goldens(t) {
		if g.isError() {
			expected = append(expected, g.want)
		}
	}
	expected = append(expected, expectedConfigErrors()...)

	formats := errorFormats(t, "caddyfile.go", "module.go", "tag.go", "script.go", "cookie.go", "consent.go", "matcher.go", "csp.go", "ask.go", "experiment.go", "internal/placeholder/text.go")
	if len(formats) < 40 {
		t.Fatalf("only %d error texts found: is errorFormats blind?", len(formats))
	}

	// The texts of internal/consent are known here too; its own tests expect all of
	// them.
	ours := len(formats)
	formats = append(formats, errorFormats(t, filesOf(t, "internal/consent")...)...)

	// A text such as "%s is given twice" also matches the errors of longer texts, so
	// an error counts for the longest text that matches it.
	seen := make(map[string]bool)
	for _, message := range expected {
		var most errorFormat
		for _, f := range formats {
			switch {
			case !f.matches(message):
			case f.isPart:
				seen[f.format] = true
			case f.literals() > most.literals():
				most = f
			}
		}
		if most.format == "" {
			t.Errorf("this error comes from no text that was found in the source: %s", message)
		}
		seen[most.format] = true
	}
	for _, f := range formats[:ours] {
		if _, never := neverInConfig[f.format]; never == seen[f.format] {
			if never {
				t.Errorf("%s: %q is said never to occur, but does", f.position, f.format)
			} else {
				t.Errorf("%s: no test expects %q", f.position, f.format)
			}
		}
	}
}

// filesOf returns the Go files in a folder, without tests.
func filesOf(t *testing.T, folder string) (files []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	return slices.DeleteFunc(all, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

// errorFormat is the format of an error text in the source.
type errorFormat struct {
	position token.Position
	format   string
	isPart   bool // of a longer message that has a format of its own
}

var formatVerb = regexp.MustCompile(`%[a-z]`)

func (f errorFormat) matches(message string) bool {
	parts := formatVerb.Split(f.format, -1)
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	return regexp.MustCompile(strings.Join(parts, "(?s:.*)")).MatchString(message)
}

func (f errorFormat) literals() int {
	return len(formatVerb.ReplaceAllString(f.format, ""))
}

// errorFormats finds the texts that are passed to whatever makes an error.
func errorFormats(t *testing.T, files ...string) (formats []errorFormat) {
	t.Helper()
	fset := token.NewFileSet()
	for _, name := range files {
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			found := errorFormat{position: fset.Position(call.Pos())}
			var text ast.Expr // the argument that is the format
			switch called := nameOf(call.Fun); called {
			case "d.Err", "d.Errf", "errors.New", "fmt.Errorf":
				text = call.Args[0]
			case "d.ArgErr":
				found.format = "wrong argument count or unexpected line ending after '%s'"
			case "bad": // of checkScriptURL
				text, found.isPart = call.Args[0], true
			case "unrecognized":
				found.format = "unknown " + stringLiteral(t, fset, call.Args[1]) + " %q: must be one of "
			default:
				return true
			}
			if text != nil {
				found.format = stringLiteral(t, fset, text)
			}
			found.isPart = found.isPart || strings.Contains(found.format, "%w")
			if !slices.ContainsFunc(formats, func(f errorFormat) bool { return f.format == found.format }) {
				formats = append(formats, found)
			}
			return true
		})
	}
	return formats
}

// nameOf is the name of a called function as it is written: "f" or "x.f".
func nameOf(fun ast.Expr) string {
	switch f := fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}

func stringLiteral(t *testing.T, fset *token.FileSet, e ast.Expr) string {
	t.Helper()
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		t.Fatalf("%s: the error's text is not a literal, so that no test can look for it", fset.Position(e.Pos()))
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
