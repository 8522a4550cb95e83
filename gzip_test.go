package kapadeflector

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

func zip(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unzip returns the text of gzip, of all its members. As browsers do, it ignores what
// follows them.
func unzip(t testing.TB, p []byte) (string, error) {
	t.Helper()
	in := bufio.NewReader(bytes.NewReader(p))
	var text strings.Builder
	for {
		z, err := gzip.NewReader(in)
		if err != nil {
			if text.Len() > 0 {
				err = nil
			}
			return text.String(), err
		}
		z.Multistream(false)
		if _, err := io.Copy(&text, z); err != nil {
			return text.String(), err
		}
	}
}

// sendZipped answers with body in writes of that size.
func sendZipped(body []byte, chunk int, fields ...string) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", itoa(len(body)))
		w.Header().Set("Etag", `"zipped"`)
		for _, field := range fields {
			name, value, _ := strings.Cut(field, ": ")
			w.Header().Set(name, value)
		}
		for rest := body; len(rest) > 0; {
			n := min(chunk, len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	}
}

// A page that comes compressed stays compressed.
func TestCompressedPages(t *testing.T) {
	h := newHandler(t, consentLine)
	big := strings.Replace(samplePage, "b</body>", strings.Repeat("all work and no play ", 50_000)+"</body>", 1)
	for _, tc := range []struct {
		name   string
		body   []byte
		fields []string
		want   string // what is under the coding
	}{
		{"gzip", zip(t, samplePage), []string{"Content-Encoding: gzip"}, samplePage},
		{"x-gzip in capitals", zip(t, samplePage), []string{"Content-Encoding: X-GZIP"}, samplePage},
		{"without the field that says so", zip(t, samplePage), nil, samplePage},
		{"large", zip(t, big), []string{"Content-Encoding: gzip"}, big},
		{"two members", append(zip(t, samplePage[:30]), zip(t, samplePage[30:])...), []string{"Content-Encoding: gzip"}, samplePage},
		{"the label on plain bytes", []byte(samplePage), []string{"Content-Encoding: gzip"}, samplePage},
		{"padding behind", append(zip(t, samplePage), 0, 0, 0, 0), []string{"Content-Encoding: gzip"}, samplePage},
	} {
		for _, chunk := range []int{1 << 20, 1000, 7, 2, 1} {
			r := newRequest(t, "GET", "/", "Cookie: "+granted, "Accept-Encoding: gzip, br")
			resp := serve(t, h, r, sendZipped(tc.body, chunk, tc.fields...))
			sent := bodyOf(t, resp)
			got, coding := sent, resp.Header.Get("Content-Encoding")
			if document.IsGzipMagic(tc.body) {
				var err error
				if got, err = unzip(t, []byte(sent)); err != nil || !strings.EqualFold(strings.TrimPrefix(strings.ToLower(coding), "x-"), "gzip") {
					t.Errorf("%s, by %d: %v, coding %s", tc.name, chunk, err, coding)
				}
			} else if coding != "" {
				t.Errorf("%s, by %d: coding %s", tc.name, chunk, coding)
			}
			if want := strings.Replace(tc.want, "</head>", staticTag+"</head>", 1); got != want {
				t.Errorf("%s, by %d: %d bytes, want %d: %.300s", tc.name, chunk, len(got), len(want), got)
			}
			if o, _ := outcomeOf(r); o != outcome.Injected {
				t.Errorf("%s, by %d: outcome %s", tc.name, chunk, o)
			}
			if length := resp.Header.Get("Content-Length"); length != itoa(len(sent)) {
				t.Errorf("%s, by %d: Content-Length %s, want %d", tc.name, chunk, length, len(sent))
			}

			// nobody else's page is touched
			r = newRequest(t, "GET", "/", "Cookie: "+unknown)
			resp = serve(t, h, r, sendZipped(tc.body, chunk, tc.fields...))
			if got := bodyOf(t, resp); got != string(tc.body) || resp.Header.Get("Content-Length") != itoa(len(tc.body)) || resp.Header.Get("Etag") != `"zipped"` {
				t.Errorf("%s, by %d: without consent: %v", tc.name, chunk, resp.Header)
			}
		}
	}

	t.Run("by ReadFrom", func(t *testing.T) {
		resp := serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip")
			_, err := io.Copy(w, bytes.NewReader(zip(t, big)))
			return err
		})
		if got, err := unzip(t, []byte(bodyOf(t, resp))); err != nil || got != strings.Replace(big, "</head>", staticTag+"</head>", 1) {
			t.Errorf("%v, %d bytes", err, len(got))
		}
	})
	t.Run("flushed in the middle", func(t *testing.T) {
		w := &tracker{ResponseRecorder: httptest.NewRecorder()}
		_ = h.ServeHTTP(w, newRequest(t, "GET", "/", "Cookie: "+granted), caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, samplePage[:40])
			z.Flush()
			http.NewResponseController(w).Flush()
			io.WriteString(z, samplePage[40:])
			return z.Close()
		}))
		if text, err := unzip(t, w.Body.Bytes()); err != nil || !strings.HasPrefix(strings.Join(w.calls, " "), "write flush write") || text != taggedPage {
			t.Errorf("%v, %s, %v", w.calls, text, err)
		}
	})
	t.Run("a coding without a body", func(t *testing.T) {
		r := newRequest(t, "GET", "/", "Cookie: "+granted)
		resp := serve(t, h, r, sendZipped(nil, 1, "Content-Encoding: gzip"))
		if resp.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("header %v", resp.Header)
		}
	})
	t.Run("a coding around nothing", func(t *testing.T) {
		resp := serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), sendZipped(zip(t, ""), 99, "Content-Encoding: gzip"))
		if body := bodyOf(t, resp); body != string(zip(t, "")) || resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Content-Length") != itoa(len(body)) {
			t.Errorf("header %v, %d bytes", resp.Header, len(body))
		}
	})
	t.Run("HEAD says what GET would", func(t *testing.T) {
		resp := serve(t, h, newRequest(t, "HEAD", "/", "Cookie: "+granted), func(w http.ResponseWriter, r *http.Request) error {
			defer w.WriteHeader(http.StatusOK)
			return sendZipped(nil, 1, "Content-Encoding: gzip", "Content-Length: 100")(w, r)
		})
		if resp.Header.Get("Content-Encoding") != "gzip" || resp.Header.Get("Content-Length") != "" || !strings.Contains(resp.Header.Get("Etag"), variant.Mark) {
			t.Errorf("header %v", resp.Header)
		}
	})
	t.Run("no-transform goes before", func(t *testing.T) {
		r := newRequest(t, "GET", "/", "Cookie: "+granted)
		resp := serve(t, h, r, sendZipped(zip(t, samplePage), 99, "Content-Encoding: gzip", "Cache-Control: no-transform"))
		if bodyOf(t, resp) != string(zip(t, samplePage)) {
			t.Error("decoded all the same")
		}
	})
	t.Run("decoded, and nothing to insert after all", func(t *testing.T) {
		r := newRequest(t, "GET", "/", "Cookie: "+granted)
		zipped := zip(t, taggedPage)
		resp := serve(t, h, r, sendZipped(zipped, 99, "Content-Encoding: gzip"))
		if o, _ := outcomeOf(r); bodyOf(t, resp) != string(zipped) || o != outcome.AlreadyPresent || resp.Header.Get("Content-Encoding") != "gzip" ||
			resp.Header.Get("Content-Length") != itoa(len(zipped)) || resp.Header.Get("Etag") != `"zipped"` {
			t.Errorf("%s, %v", o, resp.Header)
		}
	})
	t.Run("without the field, for who does not take gzip", func(t *testing.T) {
		r := newRequest(t, "GET", "/", "Cookie: "+granted)
		zipped := zip(t, samplePage)
		resp := serve(t, h, r, sendZipped(zipped, 99))
		if o, _ := outcomeOf(r); bodyOf(t, resp) != string(zipped) || o != outcome.Encoded || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s, %v", o, resp.Header)
		}
	})
}

// A broken compressed page becomes an error that an error route can show, or an aborted
// response if something was sent. It never becomes a page that looks whole.
func TestBrokenCompression(t *testing.T) {
	whole := zip(t, strings.Replace(samplePage, "b</body>", strings.Repeat("no two alike ", 9000)+"</body>", 1))
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-6] ^= 1 // in the checksum
	for name, body := range map[string][]byte{
		"cut in its header":        whole[:5],
		"cut in the head":          whole[:60],
		"cut in the body":          whole[:len(whole)-40],
		"cut in its checksum":      whole[:len(whole)-3],
		"a wrong checksum":         flipped,
		"its first byte":           whole[:1],
		"its first two bytes":      whole[:2],
		"cut in its second member": append(bytes.Clone(whole), whole[:40]...),
	} {
		for _, chunk := range []int{1 << 20, 11} {
			h := newHandler(t, consentLine)
			r := newRequest(t, "GET", "/", "Cookie: "+granted)
			w := &tracker{ResponseRecorder: httptest.NewRecorder()}
			var err error
			aborted := func() (aborted bool) {
				defer func() { aborted = recover() == http.ErrAbortHandler }()
				err = h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					// a handler that does not care what Write returns
					_ = sendZipped(body, chunk, "Content-Encoding: gzip")(w, r)
					return nil
				}))
				return false
			}()
			o, _ := outcomeOf(r)
			failed, _ := errors.AsType[caddyhttp.HandlerError](err)
			switch _, bad := unzip(t, w.Body.Bytes()); {
			case w.calls == nil && !aborted && failed.StatusCode == 502 && o == outcome.Error: // nothing has left
			case w.calls != nil && aborted && o == outcome.Aborted: // the response breaks off
			case w.calls != nil && !aborted && bad != nil: // it is broken behind what was decoded, and stays so
			default:
				t.Errorf("%s, by %d: calls %v, aborted %v, error %v, outcome %s, %v", name, chunk, w.calls, aborted, err, o, bad)
			}
		}
	}

	t.Run("an error before anything was sent is an error", func(t *testing.T) {
		h := newHandler(t, consentLine)
		broken := errors.New("broken")
		w := &tracker{ResponseRecorder: httptest.NewRecorder()}
		err := h.ServeHTTP(w, newRequest(t, "GET", "/", "Cookie: "+granted), caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			_ = sendZipped(whole[:30], 30, "Content-Encoding: gzip")(w, r)
			return broken
		}))
		if err != broken || w.calls != nil {
			t.Errorf("%v, %v", err, w.calls)
		}
	})
}

// discard counts what a client would get.
type discard struct {
	header http.Header
	n      int64
}

func (w *discard) Header() http.Header { return w.header }
func (w *discard) WriteHeader(int)     {}
func (w *discard) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	return len(p), nil
}

// A decompression bomb is cut off early if its text must be looked at, and passes
// unread behind the anchor. Memory stays flat meanwhile.
func TestDecompressionBomb(t *testing.T) {
	bomb := func(before string) []byte {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		io.WriteString(z, before)
		zeros := make([]byte, 1<<20)
		for range 200 {
			z.Write(zeros)
		}
		z.Close()
		return b.Bytes()
	}
	for name, tc := range map[string]struct {
		body    []byte
		aborted bool
	}{
		"before the anchor": {bomb("<!doctype html><html><head><!--"), true},
		"behind it":         {bomb(samplePage), false},
	} {
		h := newHandler(t, consentLine)
		w := &discard{header: make(http.Header)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		aborted := func() (aborted bool) {
			defer func() { aborted = recover() == http.ErrAbortHandler }()
			_ = h.ServeHTTP(w, newRequest(t, "GET", "/", "Cookie: "+granted), sendZipped(tc.body, 32<<10, "Content-Encoding: gzip"))
			return false
		}()
		runtime.ReadMemStats(&after)
		if aborted != tc.aborted || w.n > int64(len(tc.body))+4<<10 {
			t.Errorf("%s: aborted %t, %d of %d bytes came through", name, aborted, w.n, len(tc.body))
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 {
			t.Errorf("%s: %d bytes were allocated for it", name, grown)
		}
	}
}

// A handler may write the whole page and then return an error. The page arrives whole.
func TestErrorBehindTheBody(t *testing.T) {
	h := newHandler(t, consentLine)
	long := strings.Replace(samplePage, "</body>", strings.Repeat("all work and no play ", 50_000)+"</body>", 1)
	for name, page := range map[string]string{
		"short": samplePage, "long": long, "without a body": "<!doctype html><title>t</title>\n<bod",
	} {
		for _, gzipped := range []bool{false, true} {
			for _, flushes := range []bool{false, true} {
				body, label := []byte(page), ""
				if gzipped {
					body, label = zip(t, page), "gzip"
				}
				r := newRequest(t, "GET", "/", "Cookie: "+granted, "Accept-Encoding: gzip")
				w := httptest.NewRecorder()
				err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
					w.Header().Set("Content-Type", "text/html; charset=utf-8")
					if gzipped {
						w.Header().Set("Content-Encoding", label)
					}
					for piece := range slices.Chunk(body, 700) {
						_, _ = w.Write(piece)
						if flushes {
							_ = http.NewResponseController(w).Flush()
						}
					}
					return errors.New("too late")
				}))
				if err == nil {
					t.Error("no error")
				}
				got := w.Body.String()
				if got == "" && !w.Flushed { // an error route would respond
					continue
				}
				if gzipped {
					got, err = unzip(t, w.Body.Bytes())
					if err != nil {
						t.Errorf("%s, gzip %t, flushes %t: %v", name, gzipped, flushes, err)
					}
				}
				if strings.Replace(got, staticTag, "", 1) != page {
					t.Errorf("%s, gzip %t, flushes %t: %d bytes, want %d", name, gzipped, flushes, len(got), len(page))
				}
			}
		}
	}
}

// For any bytes labelled gzip, the client gets the whole page, an aborted response, or
// what is broken as it was.
func FuzzCompressedPage(f *testing.F) {
	f.Add(zip(f, samplePage), 3)
	f.Add(zip(f, samplePage)[:40], 5)
	f.Add([]byte(samplePage), 1)
	f.Add(append(zip(f, "<!doctype html>"), zip(f, samplePage)...), 100)
	h := newHandler(f, consentLine)
	f.Fuzz(func(t *testing.T, body []byte, chunk int) {
		if len(body) == 0 {
			return
		}
		w := httptest.NewRecorder()
		aborted := func() (aborted bool) {
			defer func() { aborted = aborted || recover() != nil }()
			err := h.ServeHTTP(w, newRequest(t, "GET", "/", "Cookie: "+granted), sendZipped(body, max(chunk&0xffff, 1), "Content-Encoding: gzip"))
			return err != nil
		}()
		if aborted {
			return
		}
		if !document.IsGzipMagic(body) {
			if got := strings.Replace(w.Body.String(), staticTag, "", 1); got != string(body) {
				t.Errorf("%q: got %q", body, got)
			}
			return
		}
		want, bad := unzip(t, body)
		got, err := unzip(t, w.Body.Bytes())
		if got = strings.Replace(got, staticTag, "", 1); got != want || (err == nil) != (bad == nil) {
			t.Errorf("%q: got %q, %v, want %q, %v", body, got, err, want, bad)
		}
	})
}
