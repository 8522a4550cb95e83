package caches

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// Pages that nginx or Varnish puts together in front of Caddy, as docs/caching.md has it.

// assembler is a server that fills a page with fragments, all of which it gets from Caddy.
type assembler struct {
	name    string
	include string // the command in the page; %s is the fragment's address
	line    string // of the site's block
	start   func(t *testing.T, c *testenv.Caddy) (address string)
}

var assemblers = []assembler{
	{"SSI by nginx", `<!--#include virtual="%s" -->`, "header Vary Accept-Encoding", func(t *testing.T, c *testenv.Caddy) string {
		return testenv.Nginx(t, c, documented(t, "nginx"))
	}},
	{"ESI by Varnish", `<esi:include src="%s"/>`, "", func(t *testing.T, c *testenv.Caddy) string {
		return testenv.Varnish(t, c, documented(t, "vcl"))
	}},
}

// documented is the one block of docs/caching.md in a language that contains all of texts.
func documented(t *testing.T, language string, texts ...string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(testenv.Repository, "docs", "caching.md"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
blocks:
	for _, block := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		for _, text := range texts {
			if !strings.Contains(block[1], text) {
				continue blocks
			}
		}
		found = append(found, block[1])
	}
	if len(found) != 1 {
		t.Fatalf("docs/caching.md has %d blocks of %s with %q", len(found), language, texts)
	}
	return found[0]
}

// fragments are what the pages include.
var fragments = map[string]string{
	"/help/fragments/meta":   `<meta name="of" content="the head">`,
	"/help/fragments/menu":   `<nav>The menu, as its fragment has it.</nav>`,
	"/help/fragments/header": `<!doctype html><html><head><title>The site</title></head><body>`,
	"/help/fragments/footer": `<footer>The end.</footer></body></html>`,
}

// assembledPages are the pages, with include in the place of a fragment.
func assembledPages(include func(path string) string) map[string]string {
	content := strings.Repeat("<p>Long enough to be compressed.</p>", 40)
	return map[string]string{
		"/help/contact": "<!doctype html><html><head><title>t</title>" + include("/help/fragments/meta") + "</head><body>" +
			include("/help/fragments/menu") + content + "</body></html>",
		"/help/headless": include("/help/fragments/header") + content + include("/help/fragments/footer"),
	}
}

// assembledOrigin serves the pages and their fragments to an assembler.
type assembledOrigin struct{ assembler }

func (o assembledOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := fragments[r.URL.Path]
	if body == "" {
		body = assembledPages(func(path string) string { return fmt.Sprintf(o.include, path) })[r.URL.Path]
	}
	if body == "" {
		http.NotFound(w, r)
		return
	}
	header := map[string]string{"Content-Type": "text/html; charset=utf-8", "Cache-Control": "public, max-age=600", "Etag": pageETag}
	for name, value := range header {
		w.Header().Set(name, value)
	}
	if unchanged(r, header) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = io.WriteString(w, body)
}

var insertedScripts = regexp.MustCompile(`(?s)<script.*?</script>`)

func TestPagesThatArePutTogetherInFront(t *testing.T) {
	t.Parallel()
	const (
		lines  = testenv.Required + "\t\tconsent cookie cookie_consent accepted\n\t\tuser {\n\t\t\temail {header.X-User-Email}\n\t\t}\n"
		tag    = "data-integration-id"
		loader = `"kapa_deflector=1.`
	)
	excluded := documented(t, "caddyfile", "@whole")
	block := func(more string) string { return "kapa_deflector {\n# ... your lines\n" + more + "\n}\n" }
	for _, a := range assemblers {
		headless := 1 // behind the comment that includes the head
		if strings.HasPrefix(a.name, "ESI") {
			headless = 0 // it would come before the doctype
		}
		for _, setup := range []struct {
			name, path, caddyfile string
			mark                  string // of what is inserted
			granted, others       int    // how many of them the page has
		}{
			{"pages name the page", "/help/contact", block("pages /help/contact"), tag, 1, 0},
			{"the fragments are excluded", "/help/contact", excluded, tag, 1, 0},
			{"pages fit the fragments", "/help/contact", block("pages /help/*"), tag, 3, 0}, // what the documentation warns of
			{"loader", "/help/contact", block("loader\npages /help/contact"), loader, 1, 1},
			{"the head is a fragment", "/help/headless", block("pages /help/headless"), tag, headless, 0},
			{"the head is a fragment, with loader", "/help/headless", block("loader\npages /help/headless"), loader, 1, 1},
		} {
			t.Run(a.name+"/"+setup.name, func(t *testing.T) {
				t.Parallel()
				front := a.start(t, testenv.StartCaddy(t, `
http://:{$EDGE_PORT} {
	bind 127.0.0.1
	encode
	`+a.line+`
	`+strings.Replace(setup.caddyfile, "# ... your lines", lines, 1)+`
	reverse_proxy `+testenv.Serve(t, assembledOrigin{a})+`
}`))
				whole := assembledPages(func(path string) string { return fragments[path] })[setup.path]
				etag := ""
				open := func(verdict string) {
					t.Helper()
					cookies, want := "theme=dark", setup.others
					if verdict != "" {
						cookies = "cookie_consent=" + verdict
					}
					if verdict == "accepted" {
						want = setup.granted
					}
					fields := []string{"Cookie: " + cookies, "Accept-Encoding: gzip", `X-User-Email: <!--#echo var="host" --><esi:include src="/help/fragments/menu"/>`}
					if etag != "" && setup.granted != setup.others { // then the page before was another one
						fields = append(fields, "If-None-Match: "+etag)
					}
					r := testenv.MustGet(t, "http://"+front+setup.path, fields...)
					etag = r.Header.Get("Etag")
					body := r.Body
					if r.Header.Get("Content-Encoding") == "gzip" {
						plain, err := gunzip([]byte(body))
						if err != nil {
							t.Fatal(err)
						}
						body = string(plain)
					}
					if r.Status != http.StatusOK || insertedScripts.ReplaceAllString(body, "") != whole {
						t.Fatalf("%s: status %d, %v\n%s", cookies, r.Status, r.Header, body)
					}
					if got := strings.Count(body, setup.mark); got != want {
						t.Errorf("%s: %d scripts, want %d:\n%s", cookies, got, want, body)
					}
					ids := 0
					if want > 0 && setup.mark == tag {
						ids = 1
						if !strings.Contains(body, `"\u003c!--#echo`) || !strings.Contains(r.Header.Get("Cache-Control"), "private") {
							t.Errorf("%s: %v\n%s", cookies, r.Header, body)
						}
					}
					if got := len(r.Header["Set-Cookie"]); got != ids {
						t.Errorf("%s: %d cookies are set, want %d", cookies, got, ids)
					}
				}
				for _, verdict := range []string{"", "accepted", "refused", "accepted", ""} {
					open(verdict)
				}
			})
		}
	}
}
