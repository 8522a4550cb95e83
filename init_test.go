package kapadeflector

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/caddytest"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/draft"
)

// initFixtures are the pages of internal/check/testdata, and what kapa-check may note under
// the block that kapa-init has printed for them.
var initFixtures = []struct{ name, notes string }{
	{"contact-form-7", ""},
	{"redmine", ""},
	{"wpforms", ""},
	{"request-tracker", "selector_untried"},
	{"zendesk", "selector_untried"},
	{"freshdesk", "selector_drawn_by_script"},
	{"osticket", "selector_drawn_by_script"},
	{"nextjs", ""},
	{"vitepress", ""},
	{"discourse", "selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script"},
	{"zammad", "selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script"},
	{"zendesk-drawn", "selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script"},
}

// What kapa-init prints passes caddy adapt and caddy fmt as it is, and kapa-check then
// finds nothing wrong.
func TestKapaInitAndKapaCheckAgree(t *testing.T) {
	for _, fixture := range initFixtures {
		t.Run(fixture.name, func(t *testing.T) {
			source, err := os.ReadFile("internal/check/testdata/" + fixture.name + ".html")
			if err != nil {
				t.Fatal(err)
			}
			origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answerPage(w, r, string(source)) }))
			t.Cleanup(origin.Close)
			d, text := initDraft(t, origin.URL+"/tickets/new", granted)
			if d.ToDo != nil {
				t.Errorf("left to do: %q", d.ToDo)
			}
			report := checkDraft(t, text, granted)
			if got := codesOf(report, report.Findings); got != "" {
				t.Errorf("found %q: %v\n%s", got, report.Findings, text)
			}
			if got := codesOf(report, report.Notes); got != fixture.notes {
				t.Errorf("noted %q, want %q\n%s", got, fixture.notes, text)
			}
		})
	}
}

// initDraft drafts a Caddyfile as the command does.
func initDraft(t *testing.T, address, cookies string) (d draft.Draft, text string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	page, err := check.NewSurvey(false).Open(t.Context(), u, cookies)
	if err != nil {
		t.Fatal(err)
	}
	if d, err = draft.Of(page, cookies, 0); err != nil {
		t.Fatal(err)
	}
	if text, err = draft.Caddyfile([]draft.Draft{d}); err != nil {
		t.Fatal(err)
	}
	if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
		t.Errorf("caddy fmt makes\n%s\nof\n%s", formatted, text)
	}
	return d, text
}

// checkDraft runs a drafted Caddyfile, and checks its site.
func checkDraft(t *testing.T, text, cookies string) *check.Report {
	t.Helper()
	t.Setenv("KAPA_INTEGRATION_ID", "00000000-0000-4000-8000-000000000000")
	_, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil || warnings != nil {
		t.Fatalf("caddy adapt: %v, %v\n%s", err, warnings, text)
	}
	site, _, _ := strings.Cut(text, " {")
	s := startCaddy(t, strings.Replace(text, ":2015", ":HTTP", 1))
	_, pages, _ := strings.Cut(text, "pages ")
	path, _, _ := strings.Cut(pages, "\n")
	address, err := url.Parse(strings.Replace(site, ":2015", ":"+s.http, 1) + path)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := check.NewSurvey(false).Ask(context.Background(), address, cookies, false)
	if err != nil {
		t.Fatal(err)
	}
	return check.Judge(answers, check.Kapa)
}

// A site that asks nobody gets a question of its own, and visitors are asked at the form.
func TestKapaInitWritesAQuestion(t *testing.T) {
	page := strings.Replace(checkedForm, "</form>", `</form><a href="/privacy">Privacy</a>`, 1)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answerPage(w, r, page) }))
	t.Cleanup(origin.Close)
	d, text := initDraft(t, origin.URL+"/tickets/new", "")
	if d.ToDo != nil || !strings.Contains(text, "\t\tconsent ask {\n\t\t\tpolicy /privacy\n\t\t}\n\t\tloader\n") {
		t.Errorf("%q\n%s", d.ToDo, text)
	}
	report := checkDraft(t, text, "")
	if got := codesOf(report, report.Findings) + codesOf(report, report.Notes); got != "no_cookie" || report.Loader.Answer != "no-consent" {
		t.Errorf("%s, %+v", got, report.Loader)
	}
}

// A consent line that nobody has looked up stops caddy adapt, and the error says where to
// look.
func TestKapaInitLeavesWhatItCannotKnow(t *testing.T) {
	page := strings.Replace(checkedForm, "</title>", `</title><script src="https://www.googletagmanager.com/gtm.js?id=GTM-ABC123"></script>`, 1)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answerPage(w, r, page) }))
	t.Cleanup(origin.Close)
	d, text := initDraft(t, origin.URL, "")
	if !strings.Contains(text, "\t\t# TODO consent: Google Tag Manager") || len(d.ToDo) != 1 {
		t.Errorf("%q\n%s", d.ToDo, text)
	}
	_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err == nil || !strings.Contains(err.Error(), "there is no consent line") || !strings.Contains(err.Error(), "docs/consent.md") {
		t.Error(err)
	}
}

// The sample site, by its address alone: two commands, and the tag is there.
func (p program) testInit(t *testing.T) {
	edge, site := caddytest.FreePort(t), caddytest.FreePort(t)
	p.startSampleAt(t, edge, site)
	address := "http://support.acme.localhost:" + site + "/tickets/new"

	got := p.command(t, "kapa-init", "--cookie", granted, address)
	if got.code != 0 || !strings.HasPrefix(got.stdout, "http://support.acme.localhost:2015 {\n") || !strings.Contains(got.stderr, "found  form 1: #support-form: ") {
		t.Fatalf("%+v", got)
	}
	port := caddytest.FreePort(t)
	config := filepath.Join(t.TempDir(), "Caddyfile")
	write(t, config, "{\n\tadmin off\n\tpersist_config off\n}\n\n"+strings.Replace(got.stdout, ":2015", ":"+port, 1))
	for _, args := range [][]string{{"adapt", "--validate", "--config", config}, {"fmt", config}} {
		if got := p.command(t, args...); args[0] == "fmt" && got.code != 0 {
			t.Errorf("caddy %s: %+v", args[0], got)
		}
	}
	p.run(t, config, port, "KAPA_INTEGRATION_ID=00000000-0000-4000-8000-000000000000")
	checked := p.kapaCheck(t, "--cookie", granted, net.JoinHostPort("support.acme.localhost", port)+"/tickets/new")
	if checked.code != 0 || !strings.HasSuffix(checked.stdout, "\nnothing is wrong\n") || checked.stderr != "" {
		t.Errorf("%+v\n%s", checked, got.stdout)
	}

	for _, test := range []struct {
		name   string
		args   []string
		code   int
		stderr string
	}{
		{"another form", []string{"--form", "7", address}, 2, "--form 7: the page has 1 form"},
		{"a page without a form", []string{"--cookie", granted, strings.Replace(address, "tickets/new", "", 1)}, 1, "no form of the page looks like a support form"},
		{"a page that is not there", []string{"--cookie", granted, address + "er"}, 1, "404 Not Found"},
		{"nobody listens", []string{"localhost:1"}, 2, "could not ask localhost:1"},
		{"no URL", nil, 2, "kapa-init takes 1 to 16 URLs"},
		{"an unknown flag", []string{"--froms", address}, 2, "unknown flag: --froms"},
		{"a field that is none", []string{"--header", "Referer", address}, 2, "--header number 1 is no name: value"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := p.command(t, append([]string{"kapa-init"}, test.args...)...)
			if got.code != test.code || !strings.Contains(got.stderr, test.stderr) || (got.stdout == "") != (test.code == 2) {
				t.Errorf("%+v, want exit code %d, and %q", got, test.code, test.stderr)
			}
			if strings.Contains(got.stderr, `"level"`) {
				t.Errorf("a log line: %s", got.stderr)
			}
		})
	}
}
