package form

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

// An Editor is a rich-text editor that a script puts in the place of a field.
type Editor struct {
	Name string

	// Input selects where the visitor then types. It is not in the page's source.
	Input string

	// Sure says that the page names this field for the editor. Otherwise it only
	// loads the editor's script.
	Sure bool
}

// An editorKind is what is known of an editor.
type editorKind struct {
	name   string
	script *regexp.Regexp // the address of its script
	mark   *regexp.Regexp // the field's class, by which the editor's script or the site finds it
	start  string         // what an inline script calls; %s is a selector of the field, or its id
	input  string         // where the visitor types; {id} is the field's id or name, {form} a selector of the form
}

// editorKinds are the editors. One with a mark alone is known by the mark.
var editorKinds = []editorKind{
	{
		// https://ckeditor.com/docs/ckeditor5/latest/getting-started/setup/editor-types.html
		name: "CKEditor 5", script: regexp.MustCompile(`(?i)ckeditor5`), mark: regexp.MustCompile(`(?i)\b(ckeditor5?|richtext|wysiwyg)\b`),
		start: `(?:Classic|Balloon|Inline|Decoupled)Editor\s*\.\s*create\([^;]{0,80}`, input: "{form} .ck-editor__editable",
	},
	{
		// it calls itself after the field's id, else after its name (CKEDITOR.replace)
		name: "CKEditor 4", script: regexp.MustCompile(`(?i)ckeditor(\.min)?\.js|/ckeditor/`), mark: regexp.MustCompile(`(?i)\b(ckeditor|richtext|wysiwyg)\b`),
		start: `CKEDITOR\s*\.\s*replace\(\s*`, input: "#cke_{id} iframe ifr>> body",
	},
	{
		// https://www.tiny.cloud/docs/tinymce/latest/editor-important-options/
		name: "TinyMCE", script: regexp.MustCompile(`(?i)tiny_?mce`), mark: regexp.MustCompile(`(?i)\b(wp-editor-area|tinymce|mceEditor|richtext|wysiwyg)\b`),
		start: `tinymce\s*\.\s*init\([^;]{0,200}selector['"]?\s*:\s*`, input: "#{id}_ifr ifr>> #tinymce",
	},
	{
		name: "Redactor", script: regexp.MustCompile(`(?i)redactor`), mark: regexp.MustCompile(`(?i)\b(richtext|redactor|html_paragraph)\b`),
		start: `\$\(\s*%s\s*\)\s*\.\s*redactor\(|\$R\(\s*`, input: "{form} .redactor-in, {form} .redactor_editor",
	},
	{
		name: "Summernote", script: regexp.MustCompile(`(?i)summernote`), mark: regexp.MustCompile(`(?i)\bsummernote\b`),
		start: `\$\(\s*%s\s*\)\s*\.\s*summernote\(`, input: "{form} .note-editable",
	},
	{
		name: "Froala", script: regexp.MustCompile(`(?i)froala`), mark: regexp.MustCompile(`(?i)\bfroala\b`),
		start: `FroalaEditor\(\s*`, input: "{form} .fr-element",
	},
	{
		name: "Quill", script: regexp.MustCompile(`(?i)quill`), mark: regexp.MustCompile(`(?i)\bquill\b`),
		start: `new\s+Quill\(\s*`, input: "{form} .ql-editor",
	},
	{
		name: "Tiptap", script: regexp.MustCompile(`(?i)tiptap|prosemirror`), mark: regexp.MustCompile(`(?i)\b(tiptap|prosemirror)\b`),
		start: `new\s+Editor\([^;]{0,200}element['"]?\s*:\s*[^;]{0,40}`, input: "{form} .ProseMirror",
	},
}

// zendesk is the editor of Zendesk's older form for requests:
// https://docs.kapa.ai/integrations/support-form-deflector/guides/dom-boundaries
const zendesk = "#request_description_ifr ifr>> #wysiwyg"

// EditorFor returns the editor that takes the place of a field, nil if there is none.
func EditorFor(p *dom.Page, field *html.Node) *Editor {
	f := Form{Node: p.FormOf(field), Input: field}
	if f.Node == nil {
		f.Node = field.Parent
	}
	return editorOf(p, f)
}

// editorOf returns the editor that takes the place of a form's field, nil if there is
// none.
func editorOf(p *dom.Page, f Form) *Editor {
	if dom.IsEditable(f.Input) || f.Input.Data == "trix-editor" || f.Input.DataAtom == atom.Input {
		return nil // it stays what it is
	}
	if dom.Value(f.Input, "id") == "request_description" && dom.Value(f.Input, "data-helper") == "wysiwyg" {
		return &Editor{Name: "Zendesk's editor", Input: zendesk, Sure: true}
	}
	var maybe *Editor
	for _, kind := range editorKinds {
		loaded, started := kind.uses(p, f.Input)
		if !loaded && !started {
			continue
		}
		e := &Editor{Name: kind.name, Input: kind.inputSelector(p, f), Sure: started || kind.mark.MatchString(dom.Value(f.Input, "class"))}
		if e.Sure {
			return e
		}
		if maybe == nil {
			maybe = e
		}
	}
	return maybe
}

// uses reports whether the page loads the editor's script, and whether an inline script
// starts the editor for the field.
func (k editorKind) uses(p *dom.Page, field *html.Node) (loaded, started bool) {
	start := k.startFor(field)
	for src, content := range p.Scripts {
		loaded = loaded || src != "" && k.script.MatchString(src)
		started = started || content != "" && start.MatchString(content)
	}
	if mark := dom.Value(field, "class"); k.name == "TinyMCE" && strings.Contains(mark, "wp-editor-area") {
		loaded = true // WordPress loads it from a file that holds several scripts
	}
	return loaded, started
}

// startFor returns an expression for the call that starts the editor for a field.
func (k editorKind) startFor(field *html.Node) *regexp.Regexp {
	var names []string
	add := func(before, name string) {
		if plain.MatchString(name) && len(names) < 16 {
			names = append(names, before+regexp.QuoteMeta(name))
		}
	}
	add(`(?:textarea)?#?`, dom.Value(field, "id"))
	add("", dom.Value(field, "name"))
	for class := range strings.FieldsSeq(dom.Value(field, "class")) {
		add(`(?:textarea)?\.`, class)
	}
	add("", "textarea")
	quoted := `['"](?:` + strings.Join(names, "|") + `)['"]`
	start := k.start + quoted
	if strings.Contains(k.start, "%s") {
		start = strings.ReplaceAll(k.start, "%s", quoted)
	}
	return regexp.MustCompile(`(?s)` + start)
}

// inputSelector returns where the visitor types.
func (k editorKind) inputSelector(p *dom.Page, f Form) string {
	selector := k.input
	if strings.Contains(selector, "{id}") {
		id := dom.Value(f.Input, "id")
		if k.name == "CKEditor 4" && id == "" {
			id = dom.Value(f.Input, "name")
		}
		if gradeOf(id) == generated || !identifier.MatchString(id) {
			return Selector(p, f.Node, nil) + " iframe ifr>> body"
		}
		selector = strings.ReplaceAll(selector, "{id}", id)
	}
	return strings.ReplaceAll(selector, "{form}", Selector(p, f.Node, nil))
}

// isEditorPlace reports whether an element is an empty one that an editor will fill, by
// the classes and ids that editors' documentation uses.
func isEditorPlace(n *html.Node) bool {
	return n.DataAtom == atom.Div && n.FirstChild == nil &&
		slices.ContainsFunc(strings.Fields(dom.Value(n, "class")+" "+dom.Value(n, "id")), func(word string) bool { return editorPlace.MatchString(word) })
}

var editorPlace = regexp.MustCompile(`(?i)^(ql-container|quill(-?editor)?|editor|tiptap|prosemirror|rich-?text(-?editor)?)$`)
