package docs_test

import (
	"io"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

const recipes = "recipes.md"

// recipe starts the Caddyfile of recipes.md that contains text.
func recipe(t *testing.T, text string, origin http.Handler) *server {
	t.Helper()
	return start(t, whole(t, blockWith(t, recipes, text).text), origin)
}

func TestRecipeWithoutAnAccount(t *testing.T) {
	s := recipe(t, "script http://127.0.0.1", pageOrigin)
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+s.port+"/tickets/new", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "localhost:8080"
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Cookie", granted)
	_, body := s.do(r)
	src := regexp.MustCompile(`src="http://127\.0\.0\.1:8082/([^"]+)"`).FindStringSubmatch(body)
	if src == nil {
		t.Fatal(body)
	}
	if _, err := os.Stat(path.Join("../examples/shared", src[1])); err != nil {
		t.Error(err)
	}
}

func TestRecipeForTesters(t *testing.T) {
	s := recipe(t, "@testers", pageOrigin)
	for cookies, want := range map[string]bool{
		granted + "; kapa_preview=1":  true,
		"kapa_preview=1; " + granted:  true,
		granted:                       false,
		granted + "; kapa_preview=10": false,
		"kapa_preview=1":              false,
		"kapa_preview=1; " + denied:   false,
	} {
		if _, body := s.get("/tickets/new", "Cookie: "+cookies); isTagged(body) != want {
			t.Errorf("%s: tagged is %v", cookies, !want)
		}
	}
}

func TestRecipeForDrafts(t *testing.T) {
	s := recipe(t, "@published", pageOrigin)
	for address, want := range map[string]bool{
		"/tickets/new":                          true,
		"/tickets/new?product=1":                true,
		"/tickets/new?preview=true":             false,
		"/tickets/new?product=1&preview=a%2Fb1": false,
		"/preview/tickets/new":                  false,
	} {
		if _, body := s.get(address, "Cookie: "+granted); isTagged(body) != want {
			t.Errorf("%s: tagged is %v", address, !want)
		}
	}
}

// The script comes from the site's own host, and Kapa's host learns nothing about the
// visitor.
func TestRecipeForKapasScript(t *testing.T) {
	const file = "kapa-support-form-deflector.bundle.js"
	var asked http.Header
	s := recipe(t, "/kapa/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/"+file {
			pageOrigin.ServeHTTP(w, r)
			return
		}
		asked = r.Header.Clone()
		w.Header().Set("Content-Type", "text/javascript")
		w.Header().Set("Set-Cookie", "theirs=1")
		_, _ = io.WriteString(w, "// the script")
	}))
	if _, body := s.get("/tickets/new", "Cookie: "+granted); !strings.Contains(body, `src="/kapa/`+file+`"`) {
		t.Error(body)
	}
	resp, body := s.get("/kapa/"+file, "Cookie: "+granted, "Referer: http://support.acme.com/tickets/new", "Authorization: Basic YTpi", "X-Forwarded-For: 192.0.2.1")
	if body != "// the script" || resp.Header["Set-Cookie"] != nil {
		t.Errorf("%v %s", resp.Header, body)
	}
	if asked == nil {
		t.Fatal("not asked")
	}
	for _, name := range []string{"Cookie", "Authorization", "Referer", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if asked[name] != nil {
			t.Errorf("Kapa's host is told %s", name)
		}
	}
}

func TestRecipeForTheConversation(t *testing.T) {
	// The second attribute has the name that Kapa's guide says, whatever it is.
	text := blockWith(t, recipes, "data-handoff-enabled").text + "data-handoff-some-name \"#conversation\"\n"
	s := start(t, whole(t, text), pageOrigin)
	if _, body := s.get("/tickets/new", "Cookie: "+granted); !strings.Contains(body, `data-handoff-enabled="true" data-handoff-some-name="#conversation"`) {
		t.Error(body)
	}
}

func TestRecipeForSafari(t *testing.T) {
	const id = idCookie + "=0f8fad5b-d9cb-469f-a165-70867728950e"
	s := recipe(t, "\trenew\n", pageOrigin)
	resp, _ := s.get("/tickets/new", "Cookie: "+granted+"; "+id)
	lines := idLines(resp)
	if len(lines) != 1 || !strings.HasPrefix(lines[0], id+";") || !strings.Contains(lines[0], "Max-Age=34473600") {
		t.Errorf("got %q", lines)
	}
}
