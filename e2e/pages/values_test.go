package pages

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// ownOrigin serves one page, whatever its path, and the deflector's script.
func ownOrigin(t *testing.T, contentType, page string) (address string) {
	t.Helper()
	return testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == testenv.StandIn {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, "window.KapaSFD = {};")
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, page)
	}))
}

// hostileValues are what a visitor may send where a Caddyfile puts it into the
// page.
var hostileValues = map[string]string{
	"end of script":      `</script><img src=x onerror="hacked=1">`,
	"end of attribute":   `"><script>hacked=1</script><i title="`,
	"single quotes":      `' onload='hacked=1' x='`,
	"script in comment":  `<!--<script>`,
	"end of comment":     `--><script>hacked=1</script>`,
	"out of a string":    `");hacked=1;("`,
	"backslashes":        `\");hacked=1;//\`,
	"template":           "`${hacked=1}`",
	"line separators":    "a\u2028hacked=1\u2029b",
	"line ends":          "a\r\nb\nc\rd\te",
	"character refs":     `&lt;b&gt; &amp;amp; &quot &#39;`,
	"emoji":              "\U0001f469\u200d\U0001f4bb \U0001f600",
	"right to left":      "\u202eabc\u05d0",
	"invalid UTF-8":      "a\xffb\xc3\x28\xed\xa0\x80c\xf0\x9f",
	"placeholders":       `{http.request.host} {env.HOME} {file./etc/hosts}`,
	"closing things":     `]]></title></style></head></body></html>`,
	"outside of the BMP": "\U0010ffff\U00010000",
	"long":               strings.Repeat(`"<\u2028`, 1000),
}

func TestWhatIsKnownAboutTheVisitorArrivesAsItIs(t *testing.T) {
	t.Parallel()
	const page = `<!doctype html><html><head><title>t</title><link rel="icon" href="data:,">
<script>
	window.hacked = 0;
	window.kapaSettings = { other: true, user: { email: 'page@example.com', own: 1, metadata: { plan: 'free', size: 3 } } };
</script></head><body><form id="support-form"></form></body></html>`
	c := testenv.StartCaddy(t, `
http://user.acme.localhost:{$EDGE_PORT} {
	kapa_deflector {`+testenv.Required+`
		data-pre-submit-info-text {query.v}
		script `+testenv.StandIn+`
		consent not_required
		user {
			unique_client_id {query.v}
			email {query.mail}
			metadata plan {query.v}
			metadata "</script>\"'" {query.v}
			metadata empty {query.none}
		}
	}
	reverse_proxy `+ownOrigin(t, "text/html; charset=utf-8", page)+`
}`)
	v := testenv.NewVisitor(t)
	for name, value := range hostileValues {
		t.Run(name, func(t *testing.T) {
			v.T = t
			v.Open(c.Edge("user.acme.localhost", "/?"+url.Values{"v": {value}}.Encode()))
			want := string([]rune(value)) // what is not UTF-8 becomes U+FFFD

			if got := testenv.Eval[string](v, `document.querySelector(`+testenv.Quote(testenv.TagSelector)+`).dataset.preSubmitInfoText`); got != want {
				t.Errorf("the attribute is %q, want %q", got, want)
			}
			got := testenv.Eval[map[string]any](v, `window.kapaSettings`)
			wantSettings := map[string]any{
				"other": true,
				"user": map[string]any{
					"uniqueClientId": want,
					"email":          "page@example.com", // an empty value of ours leaves the page's
					"own":            1.0,
					"metadata":       map[string]any{"plan": want, "size": 3.0, `</script>"'`: want},
				},
			}
			if !reflect.DeepEqual(got, wantSettings) {
				t.Errorf("kapaSettings is\n%s, want\n%s", testenv.AsJSON(got), testenv.AsJSON(wantSettings))
			}

			v.WaitFor(`window.KapaSFD`)
			page := testenv.Eval[struct {
				Hacked, Scripts, Images int
				Last                    bool
				Body                    string
			}](v, `({
				Hacked: window.hacked,
				Scripts: document.scripts.length,
				Images: document.images.length,
				Last: document.head.lastChild === document.querySelector(`+testenv.Quote(testenv.TagSelector)+`),
				Body: document.body.outerHTML,
			})`)
			if page.Hacked != 0 || page.Scripts != 3 || page.Images != 0 || !page.Last {
				t.Errorf("the value is in the page: %+v", page)
			}
			if page.Body != `<body><form id="support-form"></form></body>` {
				t.Errorf("the body is %s", page.Body)
			}
		})
		v.T = t
	}
}

func TestAPageWithoutSettingsOfItsOwnGetsThem(t *testing.T) {
	t.Parallel()
	c := testenv.StartCaddy(t, `
http://user.acme.localhost:{$EDGE_PORT} {
	kapa_deflector {`+testenv.Required+`
		script `+testenv.StandIn+`
		consent not_required
		user {
			email {query.mail}
			metadata plan {query.plan}
		}
	}
	reverse_proxy `+ownOrigin(t, "text/html; charset=utf-8", `<!doctype html><title>t</title><link rel="icon" href="data:,"><p>b`)+`
}`)
	v := testenv.NewVisitor(t)
	for query, want := range map[string]string{
		"":                         `null`,
		"?mail=a%40example.com":    `{"user":{"email":"a@example.com"}}`,
		"?plan=pro":                `{"user":{"metadata":{"plan":"pro"}}}`,
		"?plan=pro&mail=b%40c.com": `{"user":{"email":"b@c.com","metadata":{"plan":"pro"}}}`,
	} {
		v.Open(c.Edge("user.acme.localhost", "/"+query))
		v.WantTag()
		if got := testenv.Eval[string](v, `JSON.stringify(window.kapaSettings ?? null)`); got != want {
			t.Errorf("with %q, kapaSettings is %s, want %s", query, got, want)
		}
	}
}

func TestTextIsTheSameInEveryCharset(t *testing.T) {
	t.Parallel()
	const text = "Größe – 日本語の表ソ 中文 😀 “zitiert” & <b>'x'</b> \u00a0\u0085?"
	// a reference cannot stand for a control of U+0080..U+009F
	want := strings.ReplaceAll(text, "\u0085", "\ufffd")

	type page struct {
		name        string
		characters  string // what browsers call the charset
		word        string // what the page says
		contentType string
		html        string
	}
	var pages []page
	for _, charset := range []struct{ label, characters, bytes, word string }{
		{"windows-1252", "windows-1252", "Gr\xf6\xdfe \x80", "Größe €"},
		{"iso-8859-1", "windows-1252", "Gr\xf6\xdfe \x80", "Größe €"},
		{"Shift_JIS", "Shift_JIS", "\x93\xfa\x96\x7b \x95\x5c\x83\x5c", "日本 表ソ"},
		{"gb18030", "gb18030", "\xd6\xd0\xce\xc4 \x94\x39\xfc\x36", "中文 😀"},
		{"utf-8", "UTF-8", "Größe", "Größe"},
	} {
		const html = `<!doctype html><html><head>%s<title>%s</title><link rel="icon" href="data:,"></head><body>%s</body></html>`
		pages = append(pages,
			page{charset.label + " by header", charset.characters, charset.word,
				"text/html; charset=" + charset.label, fmt.Sprintf(html, "", charset.bytes, charset.bytes)},
			page{charset.label + " by meta", charset.characters, charset.word,
				"text/html", fmt.Sprintf(html, `<meta charset="`+charset.label+`">`, charset.bytes, charset.bytes)})
	}

	var caddyfile strings.Builder
	for i, page := range pages {
		fmt.Fprintf(&caddyfile, `
http://text%d.acme.localhost:{$EDGE_PORT} {
	kapa_deflector {
		%s
		data-pre-submit-info-text "%s"
		script %s
		consent not_required
		user {
			metadata name "%s"
		}
	}
	reverse_proxy %s
}
`, i, testenv.Required, text, testenv.StandIn, text, ownOrigin(t, page.contentType, page.html))
	}
	c := testenv.StartCaddy(t, caddyfile.String())
	for i, page := range pages {
		t.Run(page.name, func(t *testing.T) {
			t.Parallel()
			v := testenv.NewVisitor(t)
			v.Open(c.Edge(fmt.Sprintf("text%d.acme.localhost", i), "/"))
			v.WantTag()
			if got := testenv.Eval[string](v, `document.characterSet`); got != page.characters {
				t.Errorf("the page is read as %s, want %s", got, page.characters)
			}
			if got := testenv.Eval[string](v, `document.title + '/' + document.body.textContent`); got != page.word+"/"+page.word {
				t.Errorf("the page says %q, want %q twice", got, page.word)
			}
			if got := testenv.Eval[string](v, `document.querySelector(`+testenv.Quote(testenv.TagSelector)+`).getAttribute('data-pre-submit-info-text')`); got != want {
				t.Errorf("the attribute is %q, want %q", got, want)
			}
			if got := testenv.Eval[string](v, `kapaSettings.user.metadata.name`); got != text {
				t.Errorf("the setting is %q, want %q", got, text)
			}
		})
	}
}
