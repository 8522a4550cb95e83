package check

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Each code and each reason of this package's source has a row in
// docs/kapa-check.md, in the table of what it is used for, and there are no
// other rows.
func TestDocumentedCodes(t *testing.T) {
	text, err := os.ReadFile("../../docs/kapa-check.md")
	if err != nil {
		t.Fatal(err)
	}
	used := usedCodes(t)
	for heading, want := range map[string]map[string]bool{
		"Findings": used["finding"], "Notes": used["note"], "Why there is no tag": used["reason"],
	} {
		_, section, _ := strings.Cut(string(text), "\n## "+heading+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		var got []string
		for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| [^|]+ \\| [^|]+ \\|$").FindAllStringSubmatch(section, -1) {
			got = append(got, row[1])
		}
		slices.Sort(got)
		if want := slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
			t.Errorf("%s: the table has\n%q\nthe source has\n%q", heading, got, want)
		}
	}
}

// usedCodes are the values of the constants that the source reports findings,
// notes and reasons by. Each constant is of one kind, and each is used.
func usedCodes(t *testing.T) map[string]map[string]bool {
	t.Helper()
	values, uses := make(map[string]string), make(map[string]map[string]bool)
	for _, kind := range []string{"finding", "note", "reason"} {
		uses[kind] = make(map[string]bool)
	}
	var calls []*ast.CallExpr
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				calls = append(calls, n)
			case *ast.ValueSpec:
				if kind, ok := n.Type.(*ast.Ident); ok && (kind.Name == "Code" || kind.Name == "Reason") && len(n.Values) == 1 {
					value, err := strconv.Unquote(n.Values[0].(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					values[n.Names[0].Name] = value
				}
			case *ast.ReturnStmt:
				if len(n.Results) > 0 {
					if name, ok := n.Results[0].(*ast.Ident); ok && strings.HasPrefix(name.Name, "reason") && len(n.Results) == 2 {
						uses["reason"][name.Name] = true
					}
				}
			}
			return true
		})
	}
	for _, call := range calls {
		name := called(call)
		if name == "blocks" {
			name = "finding" // of checkPolicy
		}
		if uses[name] == nil || len(call.Args) == 0 {
			continue
		}
		if code, ok := call.Args[0].(*ast.Ident); ok && code.Name != "code" {
			uses[name][code.Name] = true
		} else if !ok {
			t.Errorf("a %s whose code is no constant", name)
		}
	}

	found := make(map[string]map[string]bool)
	left := maps.Clone(values)
	for kind, names := range uses {
		found[kind] = make(map[string]bool)
		for name := range names {
			value, ok := values[name]
			if !ok {
				continue // a variable
			}
			if _, ok := left[name]; !ok {
				t.Errorf("%s is of two kinds", name)
			}
			delete(left, name)
			found[kind][value] = true
		}
	}
	if len(left) > 0 {
		t.Errorf("not used: %v", left)
	}
	return found
}

// called is the name of the function or method that is called.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	default:
		return ""
	}
}
