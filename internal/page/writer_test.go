package page

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/csp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// The writer needs no configuration, no Caddy and no handler but the one behind it:
// a plan goes in, and a response comes out.

const (
	sample   = "<!doctype html><html><head><title>t</title></head><body>b</body></html>"
	inserted = "<script src=/k.js></script>"
)

var changed = strings.Replace(sample, "</head>", inserted+"</head>", 1)

// newPlan returns the plan for a visitor who gets the insertion and an id.
func newPlan() *Plan {
	html := []byte(inserted)
	return &Plan{
		Covered:     true,
		Destination: document.Document,
		Outcome:     outcome.Injected,
		Insertion:   &Insertion{HTML: html, Suffix: variant.Suffix(html)},
		Private:     true,
		Vary:        "Cookie",
		ID:          GiveID,
		Policy:      new(Policy),
	}
}

// A stubVisitor has the id "new", and remembers what it was asked and told.
type stubVisitor struct {
	given, deleted int
	notices        []Notice
}

func (*stubVisitor) IsClaimed() bool { return false }
func (v *stubVisitor) PageURL() (seen, named csp.URL) {
	at := csp.URL{Scheme: "https", Host: "support.acme.com", Path: "/"}
	return at, at
}

func (v *stubVisitor) GiveID(h http.Header) bool {
	v.given++
	h.Add("Set-Cookie", "id=new")
	return true
}

func (v *stubVisitor) DeleteID(h http.Header) bool {
	v.deleted++
	h.Set("Set-Cookie", "id=; Max-Age=0")
	return true
}

func (v *stubVisitor) KeepID(h http.Header) { h.Del("Set-Cookie") }

func (v *stubVisitor) Report(n Notice, _ Detail) { v.notices = append(v.notices, n) }

// carryOut serves one response of next, by plan.
func carryOut(t *testing.T, below http.ResponseWriter, plan *Plan, next caddyhttp.HandlerFunc) (outcome.Outcome, *stubVisitor, error) {
	t.Helper()
	w, visitor := new(Writer), new(stubVisitor)
	err := w.Serve(below, httptest.NewRequest("GET", "/", nil), next, plan, visitor)
	return w.Outcome(), visitor, err
}

func html(parts ...string) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/html")
		for _, part := range parts {
			if _, err := io.WriteString(w, part); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestWriter(t *testing.T) {
	for _, tc := range []struct {
		name    string
		plan    func(*Plan)
		next    caddyhttp.HandlerFunc
		want    outcome.Outcome
		body    string
		private bool
		given   int // ids
		deleted int
	}{
		{name: "a page", next: html(sample), want: outcome.Injected, body: changed, private: true, given: 1},
		{name: "in single bytes", next: html(strings.Split(sample, "")...), want: outcome.Injected, body: changed, private: true, given: 1},
		{name: "for a visitor without consent", plan: func(p *Plan) { p.Insertion, p.Outcome, p.ID = nil, outcome.NoConsent, KeepID },
			next: html(sample), want: outcome.NoConsent, body: sample},
		{name: "for a visitor who said no", plan: func(p *Plan) { p.Insertion, p.Outcome, p.ID = nil, outcome.Denied, DeleteID },
			next: html(sample), want: outcome.Denied, body: sample, private: true, deleted: 1},
		{name: "not one of the pages", plan: func(p *Plan) { *p = Plan{} }, next: html(sample), want: outcome.OtherPage, body: sample},
		{name: "for Turbo", plan: func(p *Plan) { p.Reload, p.ID = true, KeepID },
			next: html(sample), want: outcome.Answered, body: strings.Replace(sample, "</head>", string(reload.HTML)+"</head>", 1), private: true},
		{name: "an error", next: func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(503, nil) }, want: outcome.Error},
		{name: "a missing file", next: func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(404, nil) }, want: outcome.NoBody},
		{name: "an error in the head", next: func(w http.ResponseWriter, r *http.Request) error {
			_ = html("<!doctype html>")(w, r)
			return errors.New("broken")
		}, want: outcome.Error},
	} {
		t.Run(tc.name, func(t *testing.T) {
			plan := newPlan()
			if tc.plan != nil {
				tc.plan(plan)
			}
			before := *plan
			w := httptest.NewRecorder()
			got, visitor, _ := carryOut(t, w, plan, tc.next)
			if got != tc.want {
				t.Errorf("outcome %s, want %s", got, tc.want)
			}
			if body := w.Body.String(); body != tc.body {
				t.Errorf("got  %q\nwant %q", body, tc.body)
			}
			if variant.IsPrivate(w.Header()) != tc.private {
				t.Errorf("Cache-Control: %q", w.Header()["Cache-Control"])
			}
			if visitor.given != tc.given || visitor.deleted != tc.deleted {
				t.Errorf("%d ids given and %d deleted, want %d and %d", visitor.given, visitor.deleted, tc.given, tc.deleted)
			}
			if plan.Insertion != before.Insertion || plan.Outcome != before.Outcome || plan.ID != before.ID || plan.Gate != before.Gate {
				t.Errorf("the plan was changed: %+v", plan)
			}
		})
	}
}

// The bytes of a page that is sniffed leave in the origin's own writes, because encode,
// in front, decides by the first write.
func TestTypesAreSniffedFromSeveralWrites(t *testing.T) {
	for _, tc := range []struct {
		name  string
		parts []string
		want  outcome.Outcome
		kind  string
	}{
		{"a doctype in two writes", []string{"<!doc", sample[5:]}, outcome.Injected, "text/html; charset=utf-8"},
		{"a doctype in single bytes", strings.Split(sample, ""), outcome.Injected, "text/html; charset=utf-8"},
		{"white space before", []string{"\n", " ", sample}, outcome.Injected, "text/html; charset=utf-8"},
		{"text that begins as a tag", []string{"<5", " is small"}, outcome.NotHTML, ""},
		{"text", []string{"hello ", sample}, outcome.NotHTML, ""},
		{"nothing but white space", []string{" ", "\n"}, outcome.NotHTML, ""},
		{"an image", []string{"\x89PNG\r\n\x1a\n", "data"}, outcome.NotHTML, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			got, _, err := carryOut(t, w, newPlan(), func(w http.ResponseWriter, _ *http.Request) error {
				for _, part := range tc.parts {
					_, _ = io.WriteString(w, part)
				}
				return nil
			})
			if err != nil || got != tc.want {
				t.Errorf("outcome %s, want %s, error %v", got, tc.want, err)
			}
			if body := strings.Replace(w.Body.String(), inserted, "", 1); body != strings.Join(tc.parts, "") {
				t.Errorf("got %q", body)
			}
			if tc.kind != "" && w.Header().Get("Content-Type") != tc.kind {
				t.Errorf("Content-Type %q", w.Header().Get("Content-Type"))
			}
		})
	}
}

// A handler forbids sniffing by a Content-Type of nil, as Caddy's file_server does.
func TestSniffingCanBeForbidden(t *testing.T) {
	w := httptest.NewRecorder()
	got, _, _ := carryOut(t, w, newPlan(), func(w http.ResponseWriter, _ *http.Request) error {
		w.Header()["Content-Type"] = nil
		w.WriteHeader(200)
		_, err := io.WriteString(w, sample)
		return err
	})
	if got != outcome.NotHTML || w.Body.String() != sample {
		t.Errorf("outcome %s, body %q", got, w.Body)
	}
}

// What begins as gzip does and is none passes as it came, however it is cut.
func TestAlmostGzip(t *testing.T) {
	for _, label := range []string{"", "gzip"} {
		for _, parts := range [][]string{{"\x1f", "plain"}, {"\x1f"}, {"\x1fplain", "and more"}, {"\x1f", "p", "lain"}} {
			if label != "" && len(parts) == 1 {
				continue // gzip that ends too soon
			}
			w := httptest.NewRecorder()
			got, _, err := carryOut(t, w, newPlan(), func(w http.ResponseWriter, r *http.Request) error {
				if label != "" {
					w.Header().Set("Content-Encoding", label)
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(strings.Join(parts, ""))))
				return html(parts...)(w, r)
			})
			if err != nil || got != outcome.Encoded || w.Body.String() != strings.Join(parts, "") || w.Header().Get("Content-Encoding") != label {
				t.Errorf("label %q, %q: outcome %s, error %v, got %q", label, parts, got, err, w.Body)
			}
		}
	}
}

// HEAD has GET's header, whatever its handler writes.
func TestHEADOfAPageThatIsWritten(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = new(Writer).Serve(w, r, caddyhttp.HandlerFunc(html(sample)), newPlan(), new(stubVisitor))
	}))
	defer server.Close()
	resp, err := http.Head(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if length := resp.ContentLength; length >= 0 && length != int64(len(changed)) {
		t.Errorf("Content-Length %d of a page of %d bytes", length, len(changed))
	}
}

// Trailers that are set while the type is still unknown stay trailers.
func TestTrailersWhileSniffing(t *testing.T) {
	w := httptest.NewRecorder()
	_, _, err := carryOut(t, w, newPlan(), func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "<!doc")
		w.Header().Set("X-Sum", "1")
		_, err := io.WriteString(w, sample[5:])
		return err
	})
	resp := w.Result()
	if err != nil || resp.Header.Get("X-Sum") != "" || resp.Trailer.Get("X-Sum") != "1" || w.Body.String() != changed {
		t.Errorf("%v, header %v, trailer %v, %q", err, resp.Header, resp.Trailer, w.Body)
	}
}

// sink is a server's writer that takes the rest of a body by itself.
type sink struct {
	*httptest.ResponseRecorder
	rest func()
}

func (w *sink) ReadFrom(r io.Reader) (int64, error) {
	w.rest()
	return io.Copy(w.ResponseRecorder, r)
}

// While the rest of a body passes, no buffer is held for it.
func TestReadFromHoldsNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector has a sync.Pool drop some of what it is given")
	}
	fresh := buffers.New
	defer func() { buffers = sync.Pool{New: fresh} }()
	long := sample + strings.Repeat("0123456789", 30000)
	for name, change := range map[string]func(*Plan){
		"with consent":    func(*Plan) {},
		"without consent": func(p *Plan) { p.Insertion, p.Outcome = nil, outcome.NoConsent },
	} {
		t.Run(name, func(t *testing.T) {
			out, passed := 0, false
			buffers = sync.Pool{New: func() any { out++; return fresh() }}
			w := &sink{ResponseRecorder: httptest.NewRecorder()}
			w.rest = func() {
				passed = true
				made := out
				for range made {
					buffers.Get()
				}
				if out != made {
					t.Error("a buffer is kept")
				}
			}
			plan := newPlan()
			change(plan)
			_, _, err := carryOut(t, w, plan, func(w http.ResponseWriter, _ *http.Request) error {
				_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(long)) // of no type
				return err
			})
			if err != nil || !passed || !strings.HasSuffix(w.Body.String(), "0123456789") {
				t.Errorf("%v, %v, %d bytes", err, passed, w.Body.Len())
			}
		})
	}
}
