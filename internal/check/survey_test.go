package check

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A web is servers by their hosts, and what they were asked.
type web struct {
	hosts map[string]http.HandlerFunc

	mu    sync.Mutex
	asked []*http.Request
}

func (w *web) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.asked = append(w.asked, r)
	w.mu.Unlock()
	recorder := httptest.NewRecorder()
	w.hosts[r.URL.Host](recorder, r)
	response := recorder.Result()
	response.Request = r
	return response, nil
}

func (w *web) ask(t *testing.T, address, cookies string, h http.Header) Site {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	site, err := Survey{Transport: w, Header: h}.Ask(context.Background(), u, cookies, false)
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func sendPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, plainPage)
}

func to(location string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, location, http.StatusFound) }
}

// What the user passes goes where a browser would send it: cookies to the host alone, other
// fields to the port, too.
func TestWhatIsSentWhere(t *testing.T) {
	fields := http.Header{"Authorization": {"Basic c2VjcmV0"}}
	for _, test := range []struct {
		name, location string
		cookie, field  bool
	}{
		{"the same host", "https://support.acme.com/b", true, true},
		{"another port", "https://support.acme.com:8443/b", true, false},
		{"a sibling", "https://help.acme.com/b", false, false},
		{"the parent", "https://acme.com/b", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := &web{hosts: map[string]http.HandlerFunc{
				"support.acme.com": func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/b" {
						sendPage(w, r)
						return
					}
					http.SetCookie(w, &http.Cookie{Name: "shared", Value: "1", Domain: "acme.com"})
					http.SetCookie(w, &http.Cookie{Name: "own", Value: "1"})
					to(test.location)(w, r)
				},
				"support.acme.com:8443": sendPage, "help.acme.com": sendPage, "acme.com": sendPage,
			}}
			site := w.ask(t, "https://support.acme.com/a", "session=1", fields)
			last := w.asked[slices.IndexFunc(w.asked, func(r *http.Request) bool {
				return r.URL.Path == "/b" && strings.Contains(r.Header.Get("Cookie"), "shared")
			})]
			for _, r := range w.asked { // the visitor with the cookies
				if r.URL.Path == "/b" && (r.Header.Get("Authorization") != "") != test.field {
					t.Errorf("%s gets Authorization %q", r.URL, r.Header.Get("Authorization"))
				}
			}
			if !test.cookie && strings.Contains(last.Header.Get("Cookie"), "session") {
				t.Errorf("%s gets %q", last.URL, last.Header.Get("Cookie"))
			}
			sent := slices.ContainsFunc(w.asked, func(r *http.Request) bool {
				return r.URL.Path == "/b" && strings.Contains(r.Header.Get("Cookie"), "session=1")
			})
			if sent != test.cookie || site.With.Strange == test.cookie {
				t.Errorf("the cookie was sent: %t, the site says %t", sent, site.With.Strange)
			}
			own := slices.ContainsFunc(w.asked, func(r *http.Request) bool {
				return r.URL.Path == "/b" && strings.Contains(r.Header.Get("Cookie"), "own=1")
			})
			if own != test.cookie {
				t.Errorf("the site's own cookie was sent: %t", own)
			}
		})
	}
}

// A Referer is sent, and Sec-Fetch-Site says what it says.
func TestReferer(t *testing.T) {
	for referer, want := range map[string][2]string{
		"":                          {"https://support.acme.com/", "same-origin"},
		"https://support.acme.com/": {"https://support.acme.com/", "same-origin"},
		"https://www.acme.com/help": {"https://www.acme.com/help", "same-site"},
		"https://example.com/":      {"https://example.com/", "cross-site"},
		"about:blank":               {"about:blank", "none"},
	} {
		h := http.Header{}
		if referer != "" {
			h.Set("Referer", referer)
		}
		w := &web{hosts: map[string]http.HandlerFunc{"support.acme.com": sendPage}}
		w.ask(t, "https://support.acme.com/tickets/new", "", h)
		got := w.asked[0].Header
		if got.Get("Referer") != want[0] || got.Get("Sec-Fetch-Site") != want[1] {
			t.Errorf("%q: %q, %q, want %q", referer, got.Get("Referer"), got.Get("Sec-Fetch-Site"), want)
		}
	}
}

func TestHeaderFields(t *testing.T) {
	h, err := HeaderFields([]string{"authorization: Bearer a:b", "X-A:1", "x-a: 2", "Referer:https://acme.com/"})
	if err != nil || h.Get("Authorization") != "Bearer a:b" || len(h["X-A"]) != 2 || h.Get("Referer") != "https://acme.com/" {
		t.Errorf("%v, %v", h, err)
	}
	for field, want := range map[string]string{
		"Referer":         "number 1 is no name: value",
		"a b: c":          "number 1 is no name: value",
		": c":             "number 1 is no name: value",
		"a: b\r\nHost: c": "number 1 holds a control character",
		"cookie: a=b":     "--header Cookie: use --cookie",
		"Host: acme.com":  "write the host into the URL",
	} {
		if _, err := HeaderFields([]string{field}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "a=b") {
			t.Errorf("%q: %v", field, err)
		}
	}
}

// A page that decompresses to far more than it is read no further.
func TestBombs(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	filler := bytes.Repeat([]byte("<p><b>boom</b></p>"), 1<<14)
	for range 400 { // 100 MiB
		_, _ = z.Write(filler)
	}
	_ = z.Close()
	w := &web{hosts: map[string]http.HandlerFunc{"support.acme.com": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	}}}
	site := w.ask(t, "https://support.acme.com/", "a=b", nil)
	if len(site.With.Body) != surveyBody || !site.With.Cut {
		t.Errorf("%d bytes were read", len(site.With.Body))
	}
	Judge(site, product)
}
