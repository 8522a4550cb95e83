package kapadeflector

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// nullWriter is a response that is discarded. It has a header, because a server's
// writer has one too.
type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) WriteHeader(int)             {}
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }

// proxied writes a response as the reverse proxy does: first the rest of the
// transport's buffer, then 32 KB at a time.
func proxied(contentType string, body []byte) caddyhttp.HandlerFunc {
	types, lengths := []string{contentType}, []string{itoa(len(body))}
	return func(w http.ResponseWriter, _ *http.Request) error {
		h := w.Header()
		h["Content-Type"], h["Content-Length"] = types, lengths
		w.WriteHeader(200)
		first := min(3800, len(body))
		if _, err := w.Write(body[:first]); err != nil {
			return err
		}
		for rest := body[first:]; len(rest) > 0; {
			n := min(32<<10, len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	}
}

// pageOf is a page of that size with a head of a few KB, dense with tags.
func pageOf(size int) []byte {
	var b strings.Builder
	b.WriteString("<!doctype html><html lang=en><head><meta charset=utf-8><title>Support</title>")
	for i := range 40 {
		fmt.Fprintf(&b, `<link rel="preload" href="/assets/chunk-%d.js" as="script" crossorigin><meta name="p%d" content="v">`, i, i)
	}
	b.WriteString("</head><body>")
	for b.Len() < size {
		b.WriteString("<p>All work and no play makes the support team a dull place to be.</p>\n")
	}
	return []byte(b.String()[:size])
}

// forget removes from r what a block has left in it.
func forget(r *http.Request) {
	delete(r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any), siblingsVar)
}

// The handler's cost is the difference to the chain without it.
func BenchmarkHandler(b *testing.B) {
	h := newHandler(b, consentLine)
	for _, bc := range []struct{ name, cookie, contentType string }{
		{"bare", unknown, "text/html"},
		{"no consent", unknown, "text/html"},
		{"denied", denied, "text/html"},
		{"granted", granted + "; kapa_web_id=" + idA, "text/html"},
		{"granted, new id", granted, "text/html"},
		{"granted, not HTML", granted + "; kapa_web_id=" + idA, "application/json"},
	} {
		for _, size := range []int{8 << 10, 64 << 10, 512 << 10, 8 << 20} {
			next := proxied(bc.contentType, pageOf(size))
			b.Run(fmt.Sprintf("%s/%dKB", bc.name, size>>10), func(b *testing.B) {
				r := newRequest(b, "GET", "/", "Cookie: _ga=GA1.1.1; theme=dark; "+bc.cookie)
				w := &nullWriter{make(http.Header)}
				b.ReportAllocs()
				for b.Loop() {
					clear(w.header)
					if bc.name == "bare" {
						_ = next.ServeHTTP(w, r)
						continue
					}
					forget(r)
					_ = h.ServeHTTP(w, r, next)
				}
			})
		}
	}
}

// A response that is not changed costs at most two allocations, one with the tag eight.
func TestAllocations(t *testing.T) {
	h := newHandler(t, consentLine)
	for name, cookie := range map[string]string{"no consent": unknown, "denied": denied, "granted, with an id": granted + "; kapa_web_id=" + idA} {
		for _, contentType := range []string{"text/html", "application/json"} {
			limit := 2.0
			if name == "granted, with an id" && contentType == "text/html" {
				limit = 8
			}
			r := newRequest(t, "GET", "/", "Cookie: theme=dark; "+cookie)
			next := proxied(contentType, pageOf(8<<10))
			w := &nullWriter{make(http.Header)}
			bare := testing.AllocsPerRun(100, func() {
				clear(w.header)
				_ = next.ServeHTTP(w, r)
			})
			got := testing.AllocsPerRun(100, func() {
				clear(w.header)
				forget(r)
				_ = h.ServeHTTP(w, r, next)
			})
			if got > bare+limit {
				t.Errorf("%s, %s: %v allocations, the bare chain has %v", name, contentType, got, bare)
			}
		}
	}
}

// What a policy in the header adds to a page that gets the tag.
func BenchmarkPolicies(b *testing.B) {
	policy := []string{"default-src 'none'; base-uri 'self'; connect-src 'self' uploads.acme.com; font-src assets.acme.com; form-action 'self'; " +
		"frame-ancestors 'none'; img-src 'self' data: blob:; script-src 'self' 'nonce-R2xvYmFs' js.acme.com tags.acme.com; style-src 'unsafe-inline' assets.acme.com"}
	next := proxied("text/html", pageOf(8<<10))
	for _, mode := range []string{"off", "reuse", "extend"} {
		h := newHandler(b, consentLine+"csp "+mode)
		b.Run(mode, func(b *testing.B) {
			r := newRequest(b, "GET", "/", "Cookie: _ga=GA1.1.1; theme=dark; "+granted+"; kapa_web_id="+idA)
			w := &nullWriter{make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				w.header[policyField] = policy
				forget(r)
				_ = h.ServeHTTP(w, r, next)
			}
		})
	}
}
