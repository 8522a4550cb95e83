package form

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html/atom"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/dom"
)

func readFixture(t *testing.T, name string) *dom.Page {
	t.Helper()
	source, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return dom.Parse(source)
}

// Fixtures are written after the structure of real software.
var fixtures = []struct {
	name   string
	editor string
	parts  Parts
}{
	{"request-tracker", "CKEditor 4", Parts{
		Input: "#cke_Content iframe ifr>> body", Submit: "form[name=TicketCreate]", Event: OnSubmit,
		Button: "#SubmitTicket", Anchor: "form[name=TicketCreate]", Email: "#Requestors",
	}},
	{"osticket", "Redactor", Parts{
		Input: "#ticketForm .redactor-in, #ticketForm .redactor_editor", Submit: "#ticketForm", Event: OnSubmit,
		Button: "#ticketForm input[type=submit]", Anchor: "#ticketForm", Email: "#ticketForm input[type=email]",
	}},
	{"redmine", "", Parts{
		Input: "#issue_description", Submit: "#issue-form", Event: OnSubmit, Button: "#issue-form input[name=commit]", Anchor: "#issue-form",
	}},
	{"contact-form-7", "", Parts{
		Input: "textarea[name=your-message]", Submit: "form.wpcf7-form", Event: OnSubmit,
		Button: "form.wpcf7-form input[type=submit]", Anchor: "form.wpcf7-form", Email: "input[name=your-email]",
	}},
	{"wpforms", "", Parts{
		Input: "textarea[name='wpforms[fields][2]']", Submit: "form[action='/get-help/']", Event: OnSubmit,
		Button: "button[name='wpforms[submit]']", Anchor: "form[action='/get-help/']", Email: "input[name='wpforms[fields][1]']",
	}},
	{"zendesk", "Zendesk's editor", Parts{
		Input: "#request_description_ifr ifr>> #wysiwyg", Submit: "#new_request", Event: OnSubmit,
		Button: "#new_request input[name=commit]", Anchor: "#new_request", Email: "#request_anonymous_requester_email",
	}},
	{"freshdesk", "Redactor", Parts{
		Input: "#new_helpdesk_ticket .redactor-in, #new_helpdesk_ticket .redactor_editor", Submit: "#new_helpdesk_ticket", Event: OnSubmit,
		Button: "#helpdesk_ticket_submit", Anchor: "#new_helpdesk_ticket", Email: "#helpdesk_ticket_email",
	}},
	{"nextjs", "", Parts{
		Input: "textarea[name=description]", Submit: "form:has(textarea[name=description])", Event: OnSubmit,
		Button: "form:has(textarea[name=description]) button[type=submit]", Anchor: "form:has(textarea[name=description])", Email: "input[name=email]",
	}},
	{"vitepress", "", Parts{
		Input: "form.ticket-form textarea", Submit: "form.ticket-form", Event: OnSubmit,
		Button: "form.ticket-form button[type=submit]", Anchor: "form.ticket-form", Email: "form.ticket-form input[type=email]",
	}},
}

func TestFormsOfRealSoftware(t *testing.T) {
	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) {
			p := readFixture(t, "../testdata/"+f.name+".html")
			got := Find(p)[0]
			if parts := got.Parts(p); parts != f.parts {
				t.Errorf("got\n%+v\nwant\n%+v", parts, f.parts)
			}
			editor := ""
			if got.Editor != nil && got.Editor.Sure {
				editor = got.Editor.Name
			}
			if editor != f.editor {
				t.Errorf("editor %q (%+v), want %q", editor, got.Editor, f.editor)
			}
			if !got.Likely() {
				t.Errorf("%d points: %s", got.Points, strings.Join(got.Why, ", "))
			}
		})
	}
}

func TestFormsOfTheSampleSite(t *testing.T) {
	for _, name := range []string{"support.acme.localhost/tickets/new", "docs.acme.localhost/contact"} {
		p := readFixture(t, "../../../examples/"+name+".html")
		want := Parts{
			Input: "#description", Submit: "#support-form", Event: OnSubmit, Button: "#support-form button[type=submit]",
			Anchor: "#support-form", Email: "#email",
		}
		if got := Find(p)[0].Parts(p); got != want {
			t.Errorf("%s: got\n%+v\nwant\n%+v", name, got, want)
		}
	}
}

func TestFormsThatWellKnownSoftwareDraws(t *testing.T) {
	for name, software := range map[string]string{
		"zammad": "Zammad's web form", "discourse": "Discourse's composer", "zendesk-drawn": "Zendesk's form for requests",
		"zendesk": "", "redmine": "", "nextjs": "",
	} {
		p := readFixture(t, "../testdata/"+name+".html")
		d, _ := FindDrawn(p)
		if d.Software != software {
			t.Errorf("%s: %q", name, d.Software)
		}
		if forms := Find(p); software != "" && len(forms) > 0 && forms[0].Likely() {
			t.Errorf("%s: takes %+v for the support form", name, forms[0].Parts(p))
		}
	}
}

func TestParts(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       Parts
	}{
		{"an input named id, and one named action", `<form id=ask><input name=id><input name=action><textarea name=body></textarea><button>Send</button></form>`,
			Parts{"textarea[name=body]", "#ask", OnSubmit, "#ask button", "#ask", ""}},
		{"ids that stand twice", `<form id=f action=/search><input id=t></form><form id=f class=help-form><textarea id=t></textarea><button id=t>Send</button></form>`,
			Parts{"form.help-form textarea", "form.help-form", OnSubmit, "form.help-form button", "form.help-form", ""}},
		{"a button outside of the form", `<form id=ask><textarea id=body></textarea></form><button form=ask>Send</button>`,
			Parts{"#body", "#ask", OnSubmit, "button", "#ask", ""}},
		{"a script sends it", `<form id=ask><textarea id=body></textarea><button type=button>Cancel</button><button type=button class=send-it>Send</button></form>`,
			Parts{"#body", "#ask button.send-it", OnClick, "#ask button.send-it", "#ask", ""}},
		{"no form element", `<div id=app><div class=ticket-box><textarea></textarea><p><button type=button>Send</button></div></div>`,
			Parts{"div.ticket-box textarea", "div.ticket-box button[type=button]", OnClick, "div.ticket-box button[type=button]", "div.ticket-box", ""}},
		{"fields that are there for robots", `<form id=ask><textarea name=honeypot></textarea><div style="display:none"><textarea name=b></textarea></div><textarea name=c tabindex=-1></textarea>` +
			`<textarea name=body></textarea><textarea name=g-recaptcha-response></textarea><button>Send</button></form>`,
			Parts{"textarea[name=body]", "#ask", OnSubmit, "#ask button", "#ask", ""}},
		{"two fields of several lines", `<form id=ask><textarea name=address></textarea><textarea name=problem></textarea><button>Send</button></form>`,
			Parts{"textarea[name=problem]", "#ask", OnSubmit, "#ask button", "#ask", ""}},
		{"a field of one line", `<form id=contact><input type=email name=mail><input name=question><button>Send</button></form>`,
			Parts{"input[name=question]", "#contact", OnSubmit, "#contact button", "#contact", "input[name=mail]"}},
		{"several buttons", `<form id=ask><textarea id=body></textarea><input type=submit name=preview value=Preview><input type=submit name=go value=Send></form>`,
			Parts{"#body", "#ask", OnSubmit, "#ask input[name=go]", "#ask", ""}},
		{"nothing to be named by", `<form><input name=q><button>Search</button></form><main><div><form><textarea></textarea><button>Send</button></form></div></main>`,
			Parts{"main form textarea", "main form", OnSubmit, "main form button", "main form", ""}},
		{"nothing at all", `<div><form><input></form></div><div><form><textarea></textarea><button>Send</button></form></div>`,
			Parts{
				"body > div:nth-of-type(2) > form:nth-of-type(1) textarea", "body > div:nth-of-type(2) > form:nth-of-type(1)", OnSubmit,
				"body > div:nth-of-type(2) > form:nth-of-type(1) button", "body > div:nth-of-type(2) > form:nth-of-type(1)", "",
			}},
		{"a field that is an element", `<form id=ask><div contenteditable class=composer-text></div><button>Send</button></form>`,
			Parts{"div.composer-text", "#ask", OnSubmit, "#ask button", "#ask", ""}},
		{"Trix", `<form id=ask><input type=hidden id=x name=body><trix-editor input=x></trix-editor><button>Send</button></form>`,
			Parts{"trix-editor", "#ask", OnSubmit, "#ask button", "#ask", ""}},
		{"Quill", `<script src=/quill.js></script><form id=ask><div id=editor></div><button>Send</button></form><script>new Quill('#editor', {})</script>`,
			Parts{"#ask .ql-editor", "#ask", OnSubmit, "#ask button", "#ask", ""}},
		{"TinyMCE", `<script src=/tinymce/tinymce.min.js></script><form id=ask><textarea id=body></textarea><button>Send</button></form><script>tinymce.init({ selector: 'textarea#body' })</script>`,
			Parts{"#body_ifr ifr>> #tinymce", "#ask", OnSubmit, "#ask button", "#ask", ""}},
		{"TinyMCE for all", `<script src=/tinymce/tinymce.min.js></script><form id=ask><textarea name=body></textarea><button>Send</button></form><script>tinymce.init({ selector: 'textarea' })</script>`,
			Parts{"#ask iframe ifr>> body", "#ask", OnSubmit, "#ask button", "#ask", ""}},
		{"TinyMCE for another field", `<script src=/tinymce/tinymce.min.js></script><form id=ask><textarea id=body></textarea><button>Send</button></form><script>tinymce.init({ selector: '#other' })</script>`,
			Parts{"#body", "#ask", OnSubmit, "#ask button", "#ask", ""}},
		{"WordPress's editor", `<form id=ask><textarea class=wp-editor-area id=reply></textarea><button>Send</button></form>`,
			Parts{"#reply_ifr ifr>> #tinymce", "#ask", OnSubmit, "#ask button", "#ask", ""}},
		{"CKEditor 5", `<script src=https://cdn.ckeditor.com/ckeditor5/41.0.0/classic/ckeditor.js></script><form id=ask><textarea id=body></textarea><button>Send</button></form>` +
			`<script>ClassicEditor.create(document.querySelector('#body'))</script>`,
			Parts{"#ask .ck-editor__editable", "#ask", OnSubmit, "#ask button", "#ask", ""}},
		{"CKEditor 4, by the field's name", `<script src=/ckeditor/ckeditor.js></script><form id=ask><textarea name=body></textarea><button>Send</button></form><script>CKEDITOR.replace('body')</script>`,
			Parts{"#cke_body iframe ifr>> body", "#ask", OnSubmit, "#ask button", "#ask", ""}},
		{"Summernote", `<script src=/summernote.js></script><form id=ask><textarea id=body></textarea><button>Send</button></form><script>$('#body').summernote({})</script>`,
			Parts{"#ask .note-editable", "#ask", OnSubmit, "#ask button", "#ask", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := dom.Parse([]byte("<!doctype html><body>" + test.body))
			if got := Find(p)[0].Parts(p); got != test.want {
				t.Errorf("got\n%+v\nwant\n%+v", got, test.want)
			}
		})
	}
}

// docs/forms.md has the selectors that the commands print.
func TestEditorsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash("../../../docs/forms.md"))
	if err != nil {
		t.Fatal(err)
	}
	p := dom.Parse([]byte(`<form id=support-form><textarea id=description></textarea></form>`))
	field := p.First(atom.Textarea)
	for _, kind := range editorKinds {
		f := Form{Node: p.FormOf(field), Input: field}
		if row := "| " + kind.name + " | `" + kind.inputSelector(p, f) + "` |\n"; !strings.Contains(string(text), row) {
			t.Errorf("docs/forms.md lacks %s", row)
		}
	}
}

// Whatever a page has, each selector finds one element of it, or leads into an editor.
func FuzzFind(f *testing.F) {
	names, err := filepath.Glob("../testdata/*.html")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		source, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(source))
	}
	f.Add(`<a!><textarea></textarea><button></a!>`)
	f.Add(`<form id=a name=b><textarea name="a'\b"></textarea><button></form><textarea><button>`)
	f.Fuzz(func(t *testing.T, source string) {
		p := dom.Parse([]byte(source))
		for _, form := range Find(p) {
			parts := form.Parts(p)
			for part, selector := range map[string]string{"input": parts.Input, "submit": parts.Submit, "button": parts.Button, "anchor": parts.Anchor, "email": parts.Email} {
				if selector == "" || part == "input" && form.Editor != nil {
					continue
				}
				if r := p.Query(selector); len(r.Found) != 1 {
					t.Errorf("%s: %s finds %d (%s %s)", part, selector, len(r.Found), r.State, r.What)
				}
			}
		}
		FindDrawn(p)
	})
}
