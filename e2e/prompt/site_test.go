package prompt

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/prompt"
)

const (
	host     = "kapa-deflector-consent"
	accept   = "[part=accept]"
	refuse   = "[part=refuse]"
	change   = "[part=change]"
	question = "[part=question]"
	status   = "[role=status]"
)

const day = 24 * time.Hour

var facts = prompt.Facts{
	ID: true, IDAge: 180 * day, Site: "acme.com", Shared: true, Email: true, User: []string{"company_name"},
	ChoiceAge: 180 * day, Policy: "/privacy",
}

var arabic = map[string]prompt.Texts{"ar": {
	Text: "هل يجوز لمساعد ذكي أن يقترح إجابة قبل إرسال هذا النموذج؟\n" +
		"إذا وافقت، يُرسل سؤالك إلى شركة Kapa عند إرسال النموذج، ويقترح مساعدها إجابة. لهذا يحمّل متصفحك برنامجًا من Kapa واختبار captcha.",
	Accept: "نعم، مع المساعد", Refuse: "لا، من دون المساعد", Change: "تغيير إجابتك",
}}

// contentOf is what the edge's answer has, as JSON.
func contentOf(language, choice, color string) string {
	p := prompt.New(language, facts, arabic)
	p.Choice, p.Color = choice, color
	var b strings.Builder
	p.WriteJSON(&b)
	return b.String()
}

// A site is a page on which the prompt is mounted without an edge.
type site struct {
	language string
	css      string
	body     string // in place of a page with a form
	head     string
}

const form = `<header><h1>Acme support</h1></header>
<main><h2>New ticket</h2>
<form id="support-form" action="/sent" method="post">
<label for="email">E-mail</label><input id="email" name="email" type="email">
<label for="description">Description</label><textarea id="description" name="description" rows="4"></textarea>
<button type="submit" id="send">Send</button></form></main>`

const plain = `body{font:16px/1.5 sans-serif;max-width:45rem;margin:0 auto;padding:1rem;background:#fff;color:#1a1a1a}
form{display:grid;gap:.5rem}input,textarea,#send{font:inherit;min-height:44px;box-sizing:border-box}#send{justify-self:start;padding:0 1rem}`

const dark = plain + `:root{color-scheme:dark}body{background:#14161a;color:#e8e8e8}`

// The policy of the page is strict: its own scripts have a nonce, and its styles are files.
const policy = "default-src 'none'; script-src 'nonce-abc'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-src 'self'; require-trusted-types-for 'script'"

// mount opens a page of the site, on which
//
//	show(content, form)  calls the prompt, with the form as it is now unless it is given
//	chosen               holds what the visitor has chosen
//	wait()               runs the timer that the prompt has set last
func (s site) mount(t *testing.T) *testenv.Visitor {
	t.Helper()
	code, err := os.ReadFile(filepath.Join(testenv.Repository, "internal/loader/prompt.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	if s.body == "" {
		s.body = form
	}
	if s.css == "" {
		s.css = plain
	}
	if s.language == "" {
		s.language = "en"
	}
	page := fmt.Sprintf(`<!doctype html><html lang="%s"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Support</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/site.css">%s</head><body>%s
<script nonce="abc">{
const timer = setTimeout;
let last;
window.setTimeout = (f, ms) => { last = f; return timer(f, ms); };
window.wait = () => last();
window.chosen = [];
const prompt = %s;
const one = (selector) => document.querySelector(selector);
window.find = (anchor = '#support-form') => [one('#description') ?? 1, one('#support-form') ?? 1, one('#send') ?? 1, one(anchor) ?? 1];
window.show = (content, form = find()) => prompt(content, form, (choice) => chosen.push(choice));
window.root = () => one('kapa-deflector-consent')?.shadowRoot;
window.part = (name) => root().querySelector('[part=' + name + ']');
}</script></body></html>`, s.language, s.head, s.body, code)
	address := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := page
		switch r.URL.Path {
		case "/site.css":
			w.Header().Set("Content-Type", "text/css")
			text = s.css
		case "/frame":
			w.Header().Set("Content-Type", "text/html")
			text = `<!doctype html><title>Editor</title><p id="inner">x</p>`
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policy)
		}
		_, _ = io.WriteString(w, text)
	}))
	v := testenv.NewVisitor(t)
	v.Open("http://" + address + "/")
	return v
}

// show calls the prompt on the page.
func show(v *testenv.Visitor, content string) {
	v.T.Helper()
	testenv.Eval[bool](v, `(show(`+content+`), true)`)
}

// focused names the part or the element that has the focus.
func focused(v *testenv.Visitor) string {
	v.T.Helper()
	return testenv.Eval[string](v, `(() => {
		const e = document.activeElement.shadowRoot?.activeElement ?? document.activeElement;
		return e.getAttribute('part') || e.id || e.className || e.localName;
	})()`)
}

func wantFocus(v *testenv.Visitor, want string) {
	v.T.Helper()
	if got := focused(v); got != want {
		v.T.Errorf("the focus is on %s, and not on %s", got, want)
	}
}
