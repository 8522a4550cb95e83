package kapadeflector

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
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

// A page that comes compressed although the origin was asked not to compress it.
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
			r := newRequest(t, "GET", "/", "Cookie: "+granted)
			resp := serve(t, h, r, sendZipped(tc.body, chunk, tc.fields...))
			if got, want := bodyOf(t, resp), strings.Replace(tc.want, "</head>", staticTag+"</head>", 1); got != want {
				t.Errorf("%s, by %d: %d bytes, want %d: %.300s", tc.name, chunk, len(got), len(want), got)
			}
			if o, _ := outcomeOf(r); o != outcome.Injected {
				t.Errorf("%s, by %d: outcome %s", tc.name, chunk, o)
			}
			if length := resp.Header.Get("Content-Length"); resp.Header.Get("Content-Encoding") != "" || length != "" && length != itoa(len(taggedPage)) {
				t.Errorf("%s, by %d: header %v", tc.name, chunk, resp.Header)
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
		if got := bodyOf(t, resp); got != strings.Replace(big, "</head>", staticTag+"</head>", 1) {
			t.Errorf("%d bytes", len(got))
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
		if got := strings.Join(w.calls, " "); !strings.HasPrefix(got, "write flush write") || w.Body.String() != taggedPage {
			t.Errorf("%s: %s", got, w.Body)
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
		if body := bodyOf(t, resp); body != "" || resp.Header.Get("Content-Encoding")+resp.Header.Get("Content-Length") != "" {
			t.Errorf("header %v, %d bytes", resp.Header, len(body))
		}
	})
	t.Run("HEAD says what GET would", func(t *testing.T) {
		resp := serve(t, h, newRequest(t, "HEAD", "/", "Cookie: "+granted), func(w http.ResponseWriter, r *http.Request) error {
			defer w.WriteHeader(http.StatusOK)
			return sendZipped(nil, 1, "Content-Encoding: gzip", "Content-Length: 100")(w, r)
		})
		if resp.Header.Get("Content-Encoding")+resp.Header.Get("Content-Length") != "" || !strings.Contains(resp.Header.Get("Etag"), variant.Mark) {
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
		resp := serve(t, h, r, sendZipped(zip(t, taggedPage), 99, "Content-Encoding: gzip"))
		if o, _ := outcomeOf(r); bodyOf(t, resp) != taggedPage || o != outcome.AlreadyPresent || resp.Header.Get("Content-Encoding") != "" {
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
			if w.calls == nil && (aborted || failed.StatusCode != 502 || o != outcome.Error) || w.calls != nil && (!aborted || o != outcome.Aborted) {
				t.Errorf("%s, by %d: calls %v, aborted %v, error %v, outcome %s", name, chunk, w.calls, aborted, err, o)
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

// A decompression bomb is cut off early, and memory stays flat meanwhile.
func TestDecompressionBomb(t *testing.T) {
	var bomb bytes.Buffer
	z, _ := gzip.NewWriterLevel(&bomb, gzip.BestCompression)
	io.WriteString(z, samplePage)
	zeros := make([]byte, 1<<20)
	for range 200 {
		z.Write(zeros)
	}
	z.Close()

	h := newHandler(t, consentLine)
	w := &discard{header: make(http.Header)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("not aborted")
			}
		}()
		_ = h.ServeHTTP(w, newRequest(t, "GET", "/", "Cookie: "+granted), sendZipped(bomb.Bytes(), 32<<10, "Content-Encoding: gzip"))
	}()
	runtime.ReadMemStats(&after)
	if w.n > 17<<20 {
		t.Errorf("%d bytes came through", w.n)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 {
		t.Errorf("%d bytes were allocated for it", grown)
	}
}

// For any bytes labelled gzip, the client gets the whole page or an aborted response.
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
		got := strings.Replace(w.Body.String(), staticTag, "", 1)
		if !document.IsGzipMagic(body) {
			if got != string(body) {
				t.Errorf("%q: got %q", body, got)
			}
			return
		}
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("%q: %v, but %q came out", body, err, got)
		}
		want, _ := io.ReadAll(z) // up to what follows the members
		if got != string(want) {
			t.Errorf("%q: got %q, want %q", body, got, want)
		}
	})
}

// Writes may come from different threads. FrankenPHP's come from locked ones, with
// which iter.Pull would panic.
func TestDecoderThreads(t *testing.T) {
	locked := func(write func()) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		write()
	}
	elsewhere := func(write func()) {
		done := make(chan struct{})
		go func() { defer close(done); write() }()
		<-done
	}
	elsewhereLocked := func(write func()) { elsewhere(func() { locked(write) }) }
	plainly := func(write func()) { write() }

	zipped := zip(t, samplePage)
	for name, turns := range map[string][]func(func()){
		"locked":                 {locked},
		"locked, then not":       {locked, plainly},
		"not locked, then it is": {plainly, locked},
		"different goroutines":   {elsewhere, elsewhereLocked},
	} {
		resp := serve(t, newHandler(t, consentLine), newRequest(t, "GET", "/", "Cookie: "+granted), func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip")
			for i, rest := 0, zipped; len(rest) > 0; i++ {
				n := min(9, len(rest))
				turns[i%len(turns)](func() { w.Write(rest[:n]) })
				rest = rest[n:]
			}
			return nil
		})
		if got := bodyOf(t, resp); got != taggedPage {
			t.Errorf("%s: %q", name, got)
		}
	}
}
