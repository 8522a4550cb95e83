package kapadeflector

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

var meeting = make(chan struct{})

// rendezvous answers two requests at a time.
func rendezvous(w http.ResponseWriter, r *http.Request) {
	select {
	case meeting <- struct{}{}:
	case <-meeting:
	case <-r.Context().Done():
		return
	}
	documentOf(samplePage)(w, r)
}

// The origins.

func setFields(w http.ResponseWriter, fields []string) {
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		w.Header().Add(name, value)
	}
}

func flush(w http.ResponseWriter) { http.NewResponseController(w).Flush() }

// flushed writes a page in parts, and flushes each; length is "" for none.
func flushed(length string, parts ...string) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "text/html")
		if length != "" {
			w.Header().Set("Content-Length", length)
		}
		for _, part := range parts {
			io.WriteString(w, part)
			flush(w)
		}
		return nil
	}
}

// ok is an http.HandlerFunc in Caddy.
func ok(next http.HandlerFunc) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		next(w, r)
		return nil
	}
}

// reply answers with a status, fields, and a body if there is one.
func reply(status int, body string, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		setFields(w, fields)
		w.WriteHeader(status)
		if body != "" {
			io.WriteString(w, body)
		}
	}
}

// document answers with a page whose length is known.
func documentOf(body string, fields ...string) http.HandlerFunc {
	return reply(200, body, append([]string{"Content-Type: text/html", "Content-Length: " + itoa(len(body))}, fields...)...)
}

// encoded is a document under a Content-Encoding.
func encoded(coding, body string) http.HandlerFunc {
	return documentOf(body, "Content-Encoding: "+coding, "Vary: Accept-Encoding")
}

// titled is a page of n bytes.
func titled(n int) string {
	return strings.Replace(samplePage, ">t<", ">"+strings.Repeat("t", n-len(samplePage)+1)+"<", 1)
}

// headOf are the n bytes before a page's </head>.
func headOf(n int) string {
	const rest = "</head><body>b</body></html>"
	return strings.TrimSuffix(titled(n+len(rest)), rest)
}

// chunks answers with a page of unknown length.
func chunks(parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		for _, part := range parts {
			io.WriteString(w, part)
		}
	}
}

// steps flushes the scenario's steps one by one.
func steps(fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ex := exchangeOf(r)
		setFields(w, fields)
		for i, step := range ex.steps {
			io.WriteString(w, step)
			flush(w)
			if i < len(ex.steps)-1 {
				select {
				case <-ex.next:
				case <-r.Context().Done():
					return
				}
			}
		}
	}
}

// lateEvents flushes the header, and sends events once the client has it.
func lateEvents(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/event-stream")
	flush(w)
	select {
	case <-exchangeOf(r).next:
	case <-r.Context().Done():
	}
	_, err := io.WriteString(w, "data: <head></head>\n\n")
	return err
}

// hinted sends early hints and then a page.
func hinted(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(103)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		io.WriteString(w, samplePage)
	}
}

// trailed sends one trailer that it announces and one that it does not.
func trailed(w http.ResponseWriter, r *http.Request) {
	setFields(w, []string{"Content-Type: text/html", "Trailer: X-Sum"})
	io.WriteString(w, longPage)
	w.Header().Set("X-Sum", "7")
	w.Header().Set(http.TrailerPrefix+"X-Late", "8")
}

// chunked sends a page of unknown length in one piece, and then sets a trailer.
func chunked(body string, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		setFields(w, append([]string{"Content-Type: text/html"}, fields...))
		io.WriteString(w, body)
		w.Header().Set("X-Sum", "7")
	}
}

// validated answers conditional requests by an entity tag and a date.
func validated(w http.ResponseWriter, r *http.Request) {
	setFields(w, []string{"Content-Type: text/html", `ETag: "v1"`})
	http.ServeContent(w, r, "", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), strings.NewReader(longPage))
}

// aborted writes a part of a page and panics, as Caddy's proxy does.
func aborted(part string, flushed bool) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, part)
		if flushed {
			flush(w)
		}
		panic(http.ErrAbortHandler)
	}
}

// broken is an origin that dies after a part of a page.
func broken(part string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { aborted(part, true)(w, r) }
}

// echo takes a WebSocket and sends back what comes.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	rw.Flush()
	io.Copy(conn, rw)
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

func deflated(s string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

func unzipped(s string) string {
	z, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		return err.Error()
	}
	b, _ := io.ReadAll(z)
	return string(b)
}

// outsideProbe tells the outcome; insideProbe is what the scenario says.
type (
	outsideProbe struct{}
	insideProbe  struct{}
)

func init() {
	caddy.RegisterModule(outsideProbe{})
	caddy.RegisterModule(insideProbe{})
	for directive, handler := range map[string]caddyhttp.MiddlewareHandler{
		"conformance_outside": outsideProbe{}, "conformance_inside": insideProbe{},
	} {
		httpcaddyfile.RegisterHandlerDirective(directive, func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
			return handler, nil
		})
	}
	httpcaddyfile.RegisterDirectiveOrder("conformance_outside", httpcaddyfile.Before, "encode")
	httpcaddyfile.RegisterDirectiveOrder("conformance_inside", httpcaddyfile.Before, "reverse_proxy")
}

func (outsideProbe) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.conformance_outside", New: func() caddy.Module { return new(outsideProbe) }}
}

func (insideProbe) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.conformance_inside", New: func() caddy.Module { return new(insideProbe) }}
}

func (insideProbe) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	return exchangeOf(r).inside(w, r)
}

func (outsideProbe) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	defer func() { // in a panic too
		o, _ := outcomeOf(r)
		select {
		case exchangeOf(r).outcome <- o.String():
		default:
		}
	}()
	return next.ServeHTTP(w, r)
}
