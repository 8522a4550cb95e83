package kapadeflector

import (
	"io"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// A transport that dials for a request reads its variables, also when the
// request has ended meanwhile. The race detector is the judge.
func TestVariablesAreNotWrittenAfterTheHandler(t *testing.T) {
	for name, next := range map[string]caddyhttp.HandlerFunc{
		"a page that no block fits": func(w http.ResponseWriter, _ *http.Request) error { return nil },
		"an error":                  func(w http.ResponseWriter, _ *http.Request) error { return io.ErrUnexpectedEOF },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t, consentLine+"\npages /elsewhere /error")
			path := "/"
			if name == "an error" {
				path = "/error"
			}
			r := newRequest(t, "GET", path, "Cookie: "+granted)
			read := make(chan struct{})
			_ = h.ServeHTTP(&nullWriter{make(http.Header)}, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				go func() {
					defer close(read)
					caddyhttp.GetVar(r.Context(), "dial_info")
				}()
				return next(w, r)
			}))
			<-read
		})
	}
}

// What an early flush was judged by does not count for a header that has
// changed since.
func TestFlushBeforeTheTypeIsTakenBack(t *testing.T) {
	h := newHandler(t, consentLine)
	resp := serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Encoding", "gzip")
		_ = http.NewResponseController(w).Flush()
		w.Header().Del("Content-Type")
		w.Header().Del("Content-Encoding")
		w.WriteHeader(http.StatusOK)
		_, err := w.Write(nil)
		return err
	})
	if got := bodyOf(t, resp); got != "" {
		t.Errorf("got %q", got)
	}
}
