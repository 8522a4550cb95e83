package kapadeflector

import (
	"io"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// A transport that dials for a request may read its variables after the request has
// ended. Only the race detector sees a write at the same time.
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
