package loader

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// Editors as sites use them, with the selectors of docs/forms.md. What is typed into the
// editor is the question, although the field itself stays empty.
func TestRichTextEditors(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]struct{ module, page, click string }{
		"TinyMCE": {
			module: "tinymce",
			page: testenv.FormPage(`<script src="/own/tinymce/tinymce.min.js"></script>`,
				`<script>tinymce.init({ selector: '#description', license_key: 'gpl', promotion: false })</script>`),
			click: "#description_ifr",
		},
		"Quill": {
			module: "quill",
			page: strings.Replace(testenv.FormPage(`<link rel="stylesheet" href="/own/quill/dist/quill.snow.css"><script src="/own/quill/dist/quill.js"></script>`,
				`<script>new Quill('#editor', { theme: 'snow' })</script>`),
				`<textarea id="description" name="description"></textarea>`,
				`<div id="editor"></div><textarea id="description" name="description" hidden></textarea>`, 1),
			click: ".ql-editor",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := http.StripPrefix("/own/"+e.module, http.FileServer(http.Dir(testenv.Module(t, e.module))))
			required := strings.Replace(testenv.Required, `"#description"`, `"`+documentedEditor(t, name)+`"`, 1)
			edge := newEdgeOf(t, block(required+consentLine+pagesLine+"\n\t\tloader load"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.URL.Path, "/own/"+e.module+"/") {
					files.ServeHTTP(w, r)
					return
				}
				pages{"editor": e.page}.ServeHTTP(w, r)
			}))
			v := edge.visitor(t, "/own/page/editor")
			v.have(yes)
			v.arrive()
			v.wantDeflector(1)
			v.Click(e.click)
			v.Press(testenv.LongQuestion)
			v.Click(testenv.SendButton)
			v.WaitFor(testenv.Visible("#kapa-stand-in-send"))
			if question := testenv.Eval[string](v.Visitor, `KapaStandIn.log.findLast(({ event }) => event === 'question').question`); question != testenv.LongQuestion {
				t.Errorf("the question is %q", question)
			}
			v.wantRenders(1)
			v.mustBeMarked()
			v.wantAsked(1, "in the end")
		})
	}
}

// documentedEditor is the selector for an editor in docs/forms.md.
func documentedEditor(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Repository, "docs", "forms.md"))
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| " + name + " \\| `([^`]+)` \\|$").FindSubmatch(text)
	if row == nil {
		t.Fatalf("docs/forms.md has no selector for %s", name)
	}
	return string(row[1])
}
