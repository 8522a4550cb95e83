package kapadeflector

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/caddytest"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check"
)

// A program is a built cmd/caddy. Caddy's main turns what a command returns into an
// exit code, so exit codes need the program.
type program string

func buildProgram(t *testing.T) program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "caddy")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", path, "./cmd/caddy").CombinedOutput(); err != nil {
		t.Fatalf("building cmd/caddy: %v\n%s", err, out)
	}
	return program(path)
}

func TestKapaCheck(t *testing.T) {
	p := buildProgram(t)
	t.Run("sample site", p.testSample)
	t.Run("broken samples", p.testBrokenSamples)
	t.Run("staging", p.testStaging)
	t.Run("an answer that breaks off", p.testBrokenAnswer)
	t.Run("kapa-init", p.testInit)
}

// ended is how a run of a command ended.
type ended struct {
	code           int
	stdout, stderr string
}

// kapaCheck runs that command.
func (p program) kapaCheck(t *testing.T, args ...string) ended {
	t.Helper()
	return p.command(t, append([]string{"kapa-check"}, args...)...)
}

// command runs a command of Caddy's.
func (p program) command(t *testing.T, args ...string) ended {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), string(p), args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// startSample runs the sample site in a Caddy of its own, with something
// replaced in Caddyfile.example, and returns its port.
func (p program) startSample(t *testing.T, swap ...string) (port string) {
	t.Helper()
	port = caddytest.FreePort(t)
	p.startSampleAt(t, port, caddytest.FreePort(t), swap...)
	return port
}

// startSampleAt runs it at these ports: that of the directive, and that of the site.
func (p program) startSampleAt(t *testing.T, port, site string, swap ...string) {
	t.Helper()
	example, err := os.ReadFile("Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	swap = append(swap, "import examples/", "import "+filepath.ToSlash(here)+"/examples/")
	text := string(example)
	for i := 0; i < len(swap); i += 2 {
		if !strings.Contains(text, swap[i]) {
			t.Fatalf("no %q in Caddyfile.example", swap[i])
		}
		text = strings.Replace(text, swap[i], swap[i+1], 1)
	}
	config := filepath.Join(t.TempDir(), "Caddyfile")
	write(t, config, text)

	p.run(t, config, port, "EDGE_PORT="+port, "SITE_PORT="+site)
}

// run runs a Caddyfile until the test ends, with further environment variables. It
// returns when something answers at the port.
func (p program) run(t *testing.T, config, port string, env ...string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), string(p), "run", "--config", config)
	cmd.Env = append(append(os.Environ(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir()), env...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-exited })
	for range 1000 {
		resp, err := http.Get("http://127.0.0.1:" + port + "/")
		if err == nil {
			resp.Body.Close()
			return
		}
		select {
		case <-exited:
			t.Fatalf("caddy run ended:\n%s", &log)
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatal("the site does not answer")
}

func (p program) testSample(t *testing.T) {
	port := p.startSample(t)
	site := "support.acme.localhost:" + port
	for _, test := range []struct {
		name   string
		args   []string
		code   int
		stdout []string
		stderr string
	}{
		{"with consent", []string{"--cookie", "cookie_consent=accepted", site + "/tickets/new"}, 0, []string{
			"http://" + site + "/tickets/new\n", `#description  -> <textarea id="description">`, "kept by browsers", "still good (304)", "\nnothing is wrong\n"}, ""},
		{"with a scheme", []string{"-c", "cookie_consent=accepted", "http://" + site + "/tickets/new?a=1#b"}, 0, []string{"nothing is wrong\n"}, ""},
		{"on the other host", []string{"-c", "cookie_consent=accepted", "docs.acme.localhost:" + port + "/contact"}, 0, []string{"Domain=acme.localhost", "nothing is wrong\n"}, ""},
		{"by the host that resolves everywhere", []string{"-c", "cookie_consent=accepted", "localhost:" + port + "/tickets/new"}, 0, []string{"nothing is wrong\n"}, ""},
		{"by an address", []string{"-c", "cookie_consent=accepted", "127.0.0.1:" + port + "/tickets/new"}, 1, []string{"no Content-Type", "1 finding\n"}, ""},
		{"with several cookies", []string{"-c", "theme=dark", "-c", "cookie_consent=accepted", site + "/tickets/new"}, 0, []string{"nothing is wrong\n"}, ""},
		{"with cookies copied from a browser", []string{"-c", "theme=a,b; cookie_consent=accepted; x=", site + "/tickets/new"}, 0, []string{"nothing is wrong\n"}, ""},
		{"without a cookie", []string{site + "/tickets/new"}, 0, []string{"pass the banner's cookie", "as far as a visitor without consent can see\n"}, ""},
		{"a form that is drawn late", []string{"-c", "cookie_consent=accepted", site + "/tickets/new-late"}, 0, []string{"document.querySelector('#description')", "nothing is wrong\n"}, ""},
		{"another value", []string{"-c", "cookie_consent=yes", site + "/tickets/new"}, 1, []string{"were not taken for consent", "1 finding\n"}, ""},
		{"a page that is not one of pages", []string{"-c", "cookie_consent=accepted", site + "/"}, 1, []string{"the edge gives no tag at /:", "1 finding\n"}, ""},
		{"a page that does not exist", []string{"-c", "cookie_consent=accepted", site + "/nowhere"}, 1, []string{"404 Not Found", "1 finding\n"}, ""},

		{"nobody listens", []string{"localhost:1/tickets/new?a=secret"}, 2, nil, "could not ask localhost:1"},
		{"https where http is spoken", []string{"https://" + site + "/tickets/new"}, 2, nil, "answers without TLS: ask http://"},
		{"no URL", nil, 2, nil, "kapa-check takes one URL"},
		{"two URLs", []string{site, site}, 2, nil, "kapa-check takes one URL"},
		{"an unknown flag", []string{"--cokie", "a=b", site}, 2, nil, "unknown flag: --cokie"},
		{"a cookie without a value", []string{"-c", "cookie_consent", site}, 2, nil, "--cookie number 1 is no name=value"},
		{"a cookie that ends the header field", []string{"-c", "a=b", "-c", "c=secret\r\nHost: d", site}, 2, nil, "--cookie number 2 holds a control character"},
		{"another scheme", []string{"ftp://support.acme.localhost/"}, 2, nil, "must begin with http:// or https://"},
		{"no host", []string{"https:///tickets"}, 2, nil, "must begin with http:// or https://"},
		{"no URL at all", []string{"http://[secret"}, 2, nil, "the URL cannot be parsed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := p.kapaCheck(t, test.args...)
			if got.code != test.code {
				t.Errorf("exit code %d, want %d", got.code, test.code)
			}
			for _, want := range test.stdout {
				if !strings.Contains(got.stdout, want) {
					t.Errorf("no %q in\n%s", want, got.stdout)
				}
			}
			if !strings.Contains(got.stderr, test.stderr) || test.stderr == "" && got.stderr != "" {
				t.Errorf("stderr %q, want %q", got.stderr, test.stderr)
			}
			if (test.code == 2) != (got.stdout == "") {
				t.Errorf("stdout:\n%s", got.stdout)
			}
			for _, secret := range []string{"secret", "accepted", "\x1b"} {
				if strings.Contains(got.stdout+got.stderr, secret) {
					t.Errorf("%q is shown:\n%s%s", secret, got.stdout, got.stderr)
				}
			}
		})
	}

	t.Run("the transcripts of docs/kapa-check.md", func(t *testing.T) {
		text, err := os.ReadFile("docs/kapa-check.md")
		if err != nil {
			t.Fatal(err)
		}
		// the loader's size and hash change with every change of the loader
		loader := regexp.MustCompile(`\d+ bytes, 'sha256-[^']+'|"size": \d+|"hash": "[^"]+"`)
		documented := loader.ReplaceAllString(string(text), "")
		for value, begin := range map[string]string{"accepted": "http://support.", "yes": "wrong  tag: "} {
			got := p.kapaCheck(t, "--cookie", "cookie_consent="+value, site+"/tickets/new").stdout
			got = strings.ReplaceAll(got[strings.Index(got, begin):], port, "8080")
			if !strings.Contains(documented, "```text\n"+loader.ReplaceAllString(got, "")+"```\n") {
				t.Errorf("not there:\n%s", got)
			}
		}
		got := p.kapaCheck(t, "--json", "--cookie", "cookie_consent=yes", site+"/tickets/new").stdout
		if got = strings.ReplaceAll(got, port, "8080"); !strings.Contains(documented, "```json\n"+loader.ReplaceAllString(got, "")+"```\n") {
			t.Errorf("not there:\n%s", got)
		}
	})
	t.Run("as JSON", func(t *testing.T) {
		got := p.kapaCheck(t, "--json", "--cookie", "cookie_consent=accepted", site+"/tickets/new")
		decoder := json.NewDecoder(strings.NewReader(got.stdout))
		decoder.DisallowUnknownFields()
		var report check.Report
		if err := decoder.Decode(&report); err != nil || decoder.More() {
			t.Fatalf("%v in\n%s", err, got.stdout)
		}
		if got.code != 0 || report.Result != check.ResultFine || !report.Tag.Present || !report.IDCookie.Kept || len(report.Selectors) != 4 {
			t.Errorf("exit code %d, %+v", got.code, report)
		}
		for _, field := range []string{`"url"`, `"with_consent"`, `"without_consent"`, `"tag"`, `"attributes"`, `"selectors"`, `"id_cookie"`, `"csp"`, `"caching"`, `"findings": []`, `"notes": []`} {
			if !strings.Contains(got.stdout, "\n  "+strings.TrimSuffix(field, " []")) || !strings.Contains(got.stdout, field) {
				t.Errorf("no %s in\n%s", field, got.stdout)
			}
		}
	})
	t.Run("findings as JSON", func(t *testing.T) {
		got := p.kapaCheck(t, "--json", "--cookie", "cookie_consent=yes", site+"/tickets/new")
		var report check.Report
		if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
			t.Fatal(err)
		}
		if got.code != 1 || report.Result != check.ResultFindings || codesOf(&report, report.Findings) != "tag_missing:no_consent" {
			t.Errorf("exit code %d, %+v", got.code, report)
		}
	})
}

// The sample site, with one thing broken.
func (p program) testBrokenSamples(t *testing.T) {
	for _, test := range []struct {
		name string
		swap []string
		code string
	}{
		{"a selector that matches nothing", []string{`"#description"`, `"#message"`}, "selector_matches_nothing"},
		{"another value for yes", []string{"cookie_consent accepted", "cookie_consent yes"}, "tag_missing:no_consent"},
		{"other pages", []string{"pages /tickets/new /tickets/new-late /contact", "pages /contact"}, "tag_missing:not_covered"},
		{"the wrong event", []string{"onSubmit", "onClick"}, "event_type"},
		{"a policy", []string{"\tencode\n", "\tencode\n\theader >Content-Security-Policy \"script-src 'none'\"\n"}, "csp_loader"},
		{"public pages", []string{"\tencode\n", "\tencode\n\theader >Cache-Control public\n"}, "cache_control"},
	} {
		t.Run(test.name, func(t *testing.T) {
			site := "support.acme.localhost:" + p.startSample(t, test.swap...)
			got := p.kapaCheck(t, "--json", "--cookie", "cookie_consent=accepted", site+"/tickets/new")
			var report check.Report
			if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
				t.Fatal(err)
			}
			if codes := codesOf(&report, report.Findings); got.code != 1 || codes != test.code || got.stderr != "" {
				t.Errorf("exit code %d, found %q, %s", got.code, codes, got.stderr)
			}
		})
	}
}

// A staging site has a certificate of Caddy's internal CA.
func (p program) testStaging(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answerPage(w, r, checkedForm) }))
	t.Cleanup(origin.Close)
	s := startCaddy(t, "https://support.acme.com:TLS, https://support.acme.localhost:TLS {\n"+
		strings.Replace(checkedSite, "ORIGIN", strings.TrimPrefix(origin.URL, "http://"), 1)+"}\n")
	address := "https://support.acme.localhost:" + s.tls + "/tickets/new"

	got := p.kapaCheck(t, "--cookie", granted, address)
	if got.code != 2 || !strings.Contains(got.stderr, "--insecure accepts") || got.stdout != "" {
		t.Errorf("without --insecure: %+v", got)
	}
	got = p.kapaCheck(t, "--insecure", "--cookie", granted, address)
	if got.code != 0 || !strings.Contains(got.stdout, "Secure, SameSite=Lax, kept by browsers") {
		t.Errorf("with --insecure: %+v", got)
	}
}

// A site that could not be asked is no finding.
func (p program) testBrokenAnswer(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(samplePage))
	}))
	t.Cleanup(origin.Close)
	got := p.kapaCheck(t, origin.URL)
	if got.code != 2 || !strings.Contains(got.stderr, "the answer broke off after 71 bytes") {
		t.Errorf("%+v", got)
	}
}

func TestParseAddress(t *testing.T) {
	for typed, want := range map[string]string{
		"support.acme.com":                   "https://support.acme.com",
		"support.acme.com:8443/a?b=c":        "https://support.acme.com:8443/a?b=c",
		"support.acme.com/go?to=http:%2F%2F": "https://support.acme.com/go?to=http:%2F%2F",
		"localhost":                          "http://localhost",
		"localhost:8080/a":                   "http://localhost:8080/a",
		"support.acme.localhost:8080":        "http://support.acme.localhost:8080",
		"127.0.0.1:8080/a":                   "http://127.0.0.1:8080/a",
		"[::1]:8080/a":                       "http://[::1]:8080/a",
		"HTTP://support.acme.com/#form":      "http://support.acme.com/",
		"https://localhost/":                 "https://localhost/",
	} {
		if u, err := check.ParseAddress(typed); err != nil || u.String() != want {
			t.Errorf("%s: %v, %v, want %s", typed, u, err, want)
		}
	}
}

func TestColorsAreForTerminals(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	device, err := os.Open(os.DevNull) // a terminal is such a device, too
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if wantsColor(new(bytes.Buffer)) || wantsColor(file) {
		t.Error("colors in a file")
	}
	if !wantsColor(device) {
		t.Error("no colors on a terminal")
	}
	t.Setenv("NO_COLOR", "1")
	if wantsColor(device) {
		t.Error("colors in spite of NO_COLOR")
	}
}
