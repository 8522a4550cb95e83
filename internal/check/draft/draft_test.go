package draft

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check"
)

// responseOf is a page of support.acme.com with these header fields.
func responseOf(body string, fields ...string) *check.Response {
	h := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		h.Add(name, value)
	}
	return &check.Response{URL: "https://support.acme.com/tickets/new", Status: 200, Header: h, Body: []byte(body)}
}

// drafted is a draft with its Caddyfile.
type drafted struct {
	Draft
	Caddyfile string
}

func draftOf(t *testing.T, a *check.Response, cookies string) drafted {
	t.Helper()
	d, err := Of(a, cookies, 0)
	if err != nil {
		t.Fatal(err)
	}
	return drafted{d, caddyfileOf(t, d)}
}

func caddyfileOf(t *testing.T, drafts ...Draft) string {
	t.Helper()
	text, err := Caddyfile(drafts)
	if err != nil {
		t.Fatal(err)
	}
	if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
		t.Errorf("caddy fmt makes\n%s\nof\n%s", formatted, text)
	}
	return text
}

// form is a page with a plain form.
const (
	head = `<!doctype html><html><head><title>Open a ticket</title>`
	body = `</head><body><form id="ticket" method="post"><textarea id="description"></textarea><input type="email" id="email"><button>Send</button></form>` +
		`<p><a href="/privacy">Privacy</a></p>`
)

func TestDraft(t *testing.T) {
	want := `support.acme.com {
	encode

	kapa_deflector {
		data-integration-id {env.KAPA_INTEGRATION_ID}
		data-main-input-query-selector "#description"
		data-submit-element-query-selector "#ticket"
		data-submit-element-event-type onSubmit
		data-submit-button-query-selector "#ticket button"
		data-anchor-element-query-selector "#ticket"
		# data-user-email-query-selector "#email" # only if Kapa may know the visitor's e-mail address
		pages /tickets/new
		consent cookiebot
	}

	reverse_proxy 127.0.0.1:3000 # CHANGE: where your site is
}
`
	d := draftOf(t, responseOf(head+`<script src="https://consent.cookiebot.com/uc.js"></script>`+body), "")
	if d.Caddyfile != want {
		t.Errorf("got\n%s\nwant\n%s", d.Caddyfile, want)
	}
	if d.ToDo != nil {
		t.Errorf("left to do: %q", d.ToDo)
	}
}

// The lines that depend on the page.
func TestLines(t *testing.T) {
	script := func(src string) string { return head + `<script src="` + src + `"></script>` + body }
	inline := func(code string) string { return head + `<script>` + code + `</script>` + body }
	gtm := `(function(w,d){d.createElement('script').src='https://www.googletagmanager.com/gtm.js?id=GTM-ABC123'})(window,document)`
	ask := "consent ask {\n\t\t\tpolicy /privacy\n\t\t}\n\t\tloader\n"
	for _, test := range []struct {
		name    string
		page    *check.Response
		cookies string
		want    string // lines, each indented as in the block
		todo    string // words in what is left to do
	}{
		{"nothing", responseOf(head + body), "", ask, ""},
		{"nothing, and no privacy policy", responseOf(head + strings.Replace(body, "rivacy", "rices", 2)), "", "consent ask {\n\t\t\t# TODO policy <url of your privacy policy>\n\t\t}\n\t\tloader\n", "no link to a privacy policy"},
		{"a tag manager", responseOf(inline(gtm)), "", "# TODO consent: Google Tag Manager may load", "--cookie"},
		{"a tag manager, and a platform", responseOf(inline(gtm) + `<script src="https://cdn.cookielaw.org/scripttemplates/otSDKStub.js">`), "", "consent onetrust\n", ""},
		{"a tag manager, and a cookie", responseOf(inline(gtm)), "cookie_consent=accepted", "consent cookie cookie_consent accepted\n", ""},
		{"a banner of its own", responseOf(head + body + `<div class="cookie-banner">`), "", "# TODO consent: the page has a banner of its own (cookie-banner)", "--cookie"},
		{"a banner of its own, and its cookie", responseOf(head + body + `<div class="cookie-banner">`), "session=a1b2; cookie_consent=accepted; theme=dark", "consent cookie cookie_consent accepted\n", ""},
		{"a cookie that is no plain word", responseOf(head + body), "my_consent=%7B%22a%22%3A1%7D", "# TODO consent: the cookie my_consent holds more", "consent rule"},
		{"a session alone", responseOf(head + body), "session=0123456789abcdef", ask, ""},
		{"a platform's cookie", responseOf(head + body), "CookieConsent=" + cookiebotYes, "consent cookiebot\n", ""},
		{"a platform's cookie that is no yes", responseOf(head + body), "CookieConsent=0", "consent cookiebot\n", "no consent by this line (refused)"},
		{"CookieYes", responseOf(script("https://cdn-cookieyes.com/client_data/0123/script.js")), "", "consent cookieyes\n", ""},
		{"Complianz", responseOf(script("/wp-content/plugins/complianz-gdpr/cookiebanner/js/complianz.min.js")), "", "consent complianz\n", ""},
		{"a platform written by a script", responseOf(inline(`s.src="https://consent.cookiebot.eu/uc.js"`)), "", "consent cookiebot\n", ""},
		{"Klaro", responseOf(script("/js/klaro.js")), "", "# TODO consent: consent klaro <the name of a service, such as kapa>", "look up the category"},
		{"TCF", responseOf(inline("window.__tcfapi=function(){}")), "", "consent tcf\n", ""},
		{"TCF, and the platform that has it", responseOf(inline("window.__tcfapi=function(){}") + `<script src="https://cmp.osano.com/x/osano.js">`), "", "consent osano\n\t\tloader\n", ""},
		{"Usercentrics", responseOf(script("https://app.usercentrics.eu/browser-ui/latest/loader.js")), "", "# TODO consent: consent usercentrics <service>", "name of the service"},
		{"Sourcepoint", responseOf(script("https://cdn.privacy-mgmt.com/unified/wrapperMessagingWithoutDetection.js")), "", "# TODO consent: sourcepoint", "platforms that the edge cannot see"},

		{"Next.js", responseOf(script("https://consent.cookiebot.com/uc.js") + `<script>self.__next_f.push([0])</script>`), "", "consent cookiebot\n\t\tloader\n\t}", ""},
		{"Turbo", responseOf(script("https://consent.cookiebot.com/uc.js") + `<div data-turbo-permanent="">`), "", "consent cookiebot\n\t\tloader\n\t}", ""},

		{"a policy of hosts", responseOf(script("https://consent.cookiebot.com/uc.js"), "Content-Security-Policy: script-src 'self' https://consent.cookiebot.com"), "", "consent cookiebot\n\t\tcsp extend\n", ""},
		{"a policy of nonces", responseOf(script("https://consent.cookiebot.com/uc.js"), "Content-Security-Policy: script-src 'nonce-abc' 'strict-dynamic'"), "", "consent cookiebot\n\t}", ""},
		{"a policy for connections", responseOf(script("https://consent.cookiebot.com/uc.js"), "Content-Security-Policy: connect-src 'self'"), "", "consent cookiebot\n\t\tcsp extend\n", ""},
		{"a policy that allows all of it", responseOf(script("https://consent.cookiebot.com/uc.js"), "Content-Security-Policy: script-src https:; connect-src *"), "", "consent cookiebot\n\t}", ""},
		{"a policy of hosts, under which the loader would not run", responseOf(head+body, "Content-Security-Policy: script-src 'self' https://widget.kapa.ai"), "", "loader\n\t\tcsp extend\n", ""},
		{"a policy that forbids the loader's question", responseOf(head+body, "Content-Security-Policy: connect-src https:; script-src https: 'unsafe-inline'"), "", "loader\n\t}", ""},
		{"a policy of other connections", responseOf(head+body, "Content-Security-Policy: connect-src https://proxy.kapa.ai"), "", "loader\n\t}", "add 'self' to it"},
		{"Trusted Types, under which the loader cannot work", responseOf(head+body, "Content-Security-Policy: require-trusted-types-for 'script'"), "", "loader\n\t}", "require-trusted-types-for blocks"},
		{"a policy in the page", responseOf(strings.Replace(script("https://consent.cookiebot.com/uc.js"), "<title>", `<meta http-equiv="Content-Security-Policy" content="script-src 'self'"><title>`, 1)), "",
			"consent cookiebot\n\t}", "csp extend does not help"},
		{"an integrity policy", responseOf(script("https://consent.cookiebot.com/uc.js"), "Integrity-Policy: blocked-destinations=(script)"), "", "consent cookiebot\n\t}", "your own copy"},

		{"no form", responseOf(script("https://consent.cookiebot.com/uc.js")[:60] + `</script></head><body><div id="app"></div>`), "", "# TODO data-main-input-query-selector\n", "no form of the page"},
		{"a login", responseOf(head + `</head><body><form><input type="password"></form>`), "", "# TODO data-main-input-query-selector\n", `asks for a login at /tickets/new, with the page "Open a ticket"`},
		{"a form in a frame", responseOf(head + `</head><body><iframe src="https://forms.example.com/new"></iframe>`), "", "# TODO data-main-input-query-selector\n", "ask for the frame's page"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := draftOf(t, test.page, test.cookies)
			if !strings.Contains(d.Caddyfile, "\t\t"+test.want) {
				t.Errorf("no %q in\n%s", test.want, d.Caddyfile)
			}
			todo := strings.Join(d.ToDo, "\n")
			if !strings.Contains(todo, test.todo) || (todo == "") != (test.todo == "") {
				t.Errorf("left to do: %q, want %q", todo, test.todo)
			}
			for _, secret := range []string{"a1b2", "0123456789abcdef", cookiebotYes} {
				if strings.Contains(d.Caddyfile+todo+strings.Join(d.Found, ""), secret) {
					t.Errorf("%s is shown", secret)
				}
			}
		})
	}
}

const cookiebotYes = "{stamp:%27x==%27%2Cnecessary:true%2Cpreferences:false%2Cstatistics:true%2Cmarketing:false%2Cmethod:%27explicit%27%2Cver:1}"

func TestAddresses(t *testing.T) {
	for address, want := range map[string][2]string{
		"https://support.acme.com/tickets/new":               {"support.acme.com {", "127.0.0.1:3000 # CHANGE: where your site is"},
		"https://support.acme.com:8443/":                     {"support.acme.com:8443 {", "127.0.0.1:3000 # CHANGE: where your site is"},
		"http://support.acme.com/":                           {"http://support.acme.com {", "127.0.0.1:3000 # CHANGE: where your site is"},
		"http://localhost:3000/new":                          {"http://localhost:2015 {", "127.0.0.1:3000"},
		"http://support.acme.localhost:8081/tickets/new":     {"http://support.acme.localhost:2015 {", "127.0.0.1:8081"},
		"https://localhost/":                                 {"http://localhost:2015 {", "https://127.0.0.1:443"},
		"https://support.acme.com/hilfe/neue%20anfrage?a=b#": {"pages \"/hilfe/neue anfrage\"", "127.0.0.1:3000 # CHANGE: where your site is"},
		"https://support.acme.com/a%7Bb%7D":                  {"pages /*", "127.0.0.1:3000 # CHANGE: where your site is"},
		"https://support.acme.com":                           {"pages /\n", "127.0.0.1:3000 # CHANGE: where your site is"},
	} {
		a := responseOf(head + body)
		a.URL = address
		d := draftOf(t, a, "")
		if !strings.Contains(d.Caddyfile, want[0]) || !strings.Contains(d.Caddyfile, "reverse_proxy "+want[1]+"\n") {
			t.Errorf("%s:\n%s", address, d.Caddyfile)
		}
	}
}

func TestFormNumbers(t *testing.T) {
	page := responseOf(head + body + `<form id="bug-report"><textarea name="what"></textarea><button>Report</button></form>`)
	for number, want := range map[int]string{0: `"#ticket"`, 1: `"#ticket"`, 2: `"#bug-report"`} {
		d, err := Of(page, "", number)
		if err != nil {
			t.Fatal(err)
		}
		if text := caddyfileOf(t, d); !strings.Contains(text, "data-anchor-element-query-selector "+want+"\n") {
			t.Errorf("--form %d:\n%s", number, text)
		}
	}
	for _, number := range []int{3, -1} {
		if _, err := Of(page, "", number); err == nil || !strings.Contains(err.Error(), "the page has 2 forms") {
			t.Errorf("--form %d: %v", number, err)
		}
	}
	d, _ := Of(page, "", 0)
	if found := strings.Join(d.Found, "\n"); !strings.Contains(found, "with --form 2 the block is for it") {
		t.Error(found)
	}
}

func TestTell(t *testing.T) {
	d := draftOf(t, responseOf(strings.Replace(head, "Open a ticket", "Sign in, s3cr3t", 1)+`</head><body><form><input type="password"></form>`), "")
	var b strings.Builder
	if err := d.Tell(&b, func(s string) string { return strings.ReplaceAll(s, "s3cr3t", "...") }); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "\nTODO   the site asks for a login at /tickets/new, with the page \"Sign in, ...\"") {
		t.Error(b.String())
	}
}

// Pages with other forms have blocks of their own; pages with the same form share one.
func TestSeveralPages(t *testing.T) {
	page := func(path, body string) Draft {
		a := responseOf(body)
		a.URL = "https://support.acme.com" + path
		d, err := Of(a, "cookie_consent=accepted", 0)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	other := strings.Replace(body, `id="ticket"`, `id="contact"`, 1)
	text := caddyfileOf(t, page("/tickets/new", head+body), page("/contact", head+other), page("/de/tickets/new", head+body), page("/tickets/new", head+body))
	if strings.Count(text, "kapa_deflector {") != 2 || !strings.Contains(text, "pages /tickets/new /de/tickets/new\n") || !strings.Contains(text, "pages /contact\n") {
		t.Error(text)
	}
	elsewhere := page("/", head+body)
	elsewhere.site = "docs.acme.com"
	if _, err := Caddyfile([]Draft{page("/", head+body), elsewhere}); err == nil || !strings.Contains(err.Error(), "two sites, support.acme.com and docs.acme.com") {
		t.Error(err)
	}
}

// Whatever a page has, its draft is one line a line, as caddy fmt would write it.
func FuzzOf(f *testing.F) {
	names, err := filepath.Glob("../testdata/*.html")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		source, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(source), "", "script-src 'self'", "/tickets/new")
	}
	f.Add(head+body, "", "", "/tic\xffts")
	f.Add(head+`<div class="cookie-banner`+"\n}\n{$HOME}"+`">`+body, "consent_x=y", "", "/a b\"`")
	f.Fuzz(func(t *testing.T, source, cookies, policy, path string) {
		a := responseOf(source, "Content-Security-Policy: "+policy)
		a.URL = "https://support.acme.com/" + strings.TrimLeft(path, "/")
		if _, err := http.NewRequest(http.MethodGet, a.URL, nil); err != nil {
			return
		}
		d := draftOf(t, a, cookies)
		for _, text := range append(append([]string{}, d.Found...), d.ToDo...) {
			if strings.ContainsAny(text, "\n\x1b\u202e") {
				t.Errorf("%q", text)
			}
		}
		if strings.ContainsAny(d.Caddyfile, "\x1b\u202e\r") || strings.Contains(d.Caddyfile, "{$") {
			t.Errorf("%q", d.Caddyfile)
		}
		if blocks, err := caddyfile.Parse("Caddyfile", []byte(d.Caddyfile)); err != nil || len(blocks) != 1 || len(blocks[0].Segments) != 3 {
			t.Errorf("%v, %d site blocks:\n%s", err, len(blocks), d.Caddyfile)
		}
	})
}
