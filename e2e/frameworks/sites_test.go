package frameworks

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// site is a help centre that is made with a framework. Its pages are those of
// titles; from Home and Form, the links #to-home and #to-form lead to each other
// without a full load. The form is that of the sample, and is sent to /tickets.
type site struct {
	name   string
	origin func(t *testing.T) (directives string) // makes the site, and says how Caddy gets it
	ready  string                                 // JavaScript: the framework has taken the page over
}

// titles are what the pages' headings say.
var titles = map[string]string{
	"/":               "Home",
	"/form":           "Form",
	"/streamed":       "Streamed", // only Next.js has it
	"/tickets/thanks": "Thanks",
}

var sites = []site{
	{"React 18", react("-18"), reactReady},
	{"React 19", react(""), reactReady},
	{"Next.js", next, reactReady},
	{"VitePress", vitePress, `document.querySelector('#app').__vue_app__`},
	{"Turbo", scripted("", "@hotwired", "turbo", "dist", "turbo.es2017-umd.js"), turboReady},
	{"htmx 2", scripted(`hx-boost="true"`, "htmx.org", "dist", "htmx.min.js"), `window.htmx`},
	{"htmx 4", scripted(`hx-boost:inherited="true"`, "htmx.org-4", "dist", "htmx.min.js"), `window.htmx`},
}

// reactReady looks for the property that React gives to the elements that it has
// hydrated.
const reactReady = `Object.keys(document.querySelector('h1')).some((name) => name.startsWith('__react'))`

// turboReady is false while Turbo shows a page as it was, and fetches it anew.
const turboReady = `window.Turbo && !document.documentElement.matches('[data-turbo-preview], [aria-busy]')`

// react is a site that React hydrates as a whole document. It is the development
// build, which complains about more.
func react(suffix string) func(t *testing.T) string {
	return func(t *testing.T) string {
		testenv.Module(t, "react-dom"+suffix)
		var rendered struct {
			Pages  map[string]string
			Client string
		}
		if err := json.Unmarshal(run(t, "node", "react/site.cjs", suffix), &rendered); err != nil {
			t.Fatal(err)
		}
		return serve(t, rendered.Client, func(path string) (page string) { return rendered.Pages[path] })
	}
}

// scripted is a site of plain pages with a library that loads them by script.
func scripted(bodyAttributes string, library ...string) func(t *testing.T) string {
	return func(t *testing.T) string {
		script, err := os.ReadFile(testenv.Module(t, library...))
		if err != nil {
			t.Fatal(err)
		}
		return serve(t, string(script), func(path string) (page string) {
			title := titles[path]
			if title == "" {
				return ""
			}
			form := ""
			if path == "/form" {
				form = `<form id="support-form" action="/tickets" method="post">
<input id="email" name="email"> <input id="subject" name="subject"> <textarea id="description" name="description"></textarea>
<button type="submit">Send</button></form>`
			}
			return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>` + title + `</title><link rel="icon" href="data:,">
<script src="/client.js" defer></script></head><body ` + bodyAttributes + `>
<nav><a id="to-home" href="/">Home</a> <a id="to-form" href="/form">New ticket</a></nav>
<main><h1>` + title + `</h1>` + form + `</main></body></html>`
		})
	}
}

// serve serves a site's pages, and its script as /client.js.
func serve(t *testing.T, script string, pageAt func(path string) string) (directives string) {
	return "reverse_proxy " + testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/client.js" {
			w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
			_, _ = io.WriteString(w, script)
			return
		}
		page := pageAt(r.URL.Path)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if page == "" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, page)
	}))
}

// next is a site that runs on Next.js's own server.
func next(t *testing.T) string {
	build(t, "next")
	return "reverse_proxy " + testenv.StartServer(t, "Next.js", func(port int) *exec.Cmd {
		cmd := exec.Command("node", "node_modules/next/dist/bin/next", "start", "-H", "127.0.0.1", "-p", fmt.Sprint(port))
		cmd.Dir = "next"
		return cmd
	})
}

// vitePress is a site of files that Caddy serves.
func vitePress(t *testing.T) string {
	build(t, "vitepress")
	return `root e2e/frameworks/vitepress/.vitepress/dist
	try_files {path} {path}.html {path}/index.html
	file_server`
}

// build makes the site in a folder that has packages of its own.
func build(t *testing.T, folder string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(folder, "node_modules")); err != nil {
		testenv.Missing(t, folder, "run npm --prefix e2e/frameworks/"+folder+" ci")
	}
	run(t, "npm", "--prefix", folder, "run", "build")
}

// run runs a program to its end, and returns what it printed.
func run(t *testing.T, name string, args ...string) (out []byte) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		testenv.Missing(t, name, "install Node.js")
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "NEXT_TELEMETRY_DISABLED=1") // nothing leaves the machine
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", cmd, err, out, err.(*exec.ExitError).Stderr)
	}
	return out
}
