package kapadeflector

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"go.uber.org/zap"
)

// requiredLines are the lines that every block needs beside a consent line.
const requiredLines = `
	data-integration-id                abc
	data-main-input-query-selector     "#description"
	data-submit-element-query-selector "#form"
	data-submit-element-event-type     onSubmit
	data-submit-button-query-selector  "#form button"
	data-anchor-element-query-selector "#form"
`

// The header fields that hold policies.
const (
	policyField = "Content-Security-Policy"
	reportField = "Content-Security-Policy-Report-Only"
)

const consentLine = "consent cookie cookie_consent accepted\n"

// The Cookie headers of the three verdicts under consentLine.
const (
	granted = "cookie_consent=accepted"
	denied  = "cookie_consent=refused"
	unknown = "theme=dark"
)

// page is a document whose head ends where the tag belongs.
const samplePage = "<!doctype html><html><head><title>t</title></head><body>b</body></html>"

// staticTag is the tag that requiredLines make.
const staticTag = `<script async data-integration-id="abc"` +
	` data-main-input-query-selector="#description"` +
	` data-submit-element-query-selector="#form"` +
	` data-submit-element-event-type="onSubmit"` +
	` data-submit-button-query-selector="#form button"` +
	` data-anchor-element-query-selector="#form"` +
	` src="https://widget.kapa.ai/kapa-support-form-deflector.bundle.js"></script>`

// taggedPage is page with the tag.
var taggedPage = strings.Replace(samplePage, "</head>", staticTag+"</head>", 1)

// newHandler returns a provisioned handler with the required lines and lines.
func newHandler(t testing.TB, lines string) *Handler {
	t.Helper()
	h := new(Handler)
	d := caddyfile.NewTestDispenser("kapa_deflector {" + requiredLines + lines + "\n}")
	if err := h.UnmarshalCaddyfile(d); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	h.block.logger = zap.NewNop()
	return h
}

// newRequest returns a browser's request for a page, with further fields as
// "Name: value", prepared as Caddy's server does.
func newRequest(t testing.TB, method, target string, fields ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Dest", "document")
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		switch name {
		case "Host":
			r.Host = value
		default:
			r.Header.Add(name, value)
		}
	}
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
}

// trustProxy marks r as coming from a trusted proxy.
func trustProxy(r *http.Request) *http.Request {
	caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, true)
	return r
}

// serve runs one request through h in front of next and returns the response.
func serve(t testing.TB, h *Handler, r *http.Request, next caddyhttp.HandlerFunc) *http.Response {
	t.Helper()
	if siblingsOf(r) != nil {
		t.Fatal("the request was served before: a block that has seen it passes it through")
	}
	w := httptest.NewRecorder()
	if err := h.ServeHTTP(w, r, next); err != nil {
		t.Fatal(err)
	}
	return w.Result()
}

// pageHandler answers with page, as an origin that knows its length does.
func pageHandler(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", "71")
	_, err := io.WriteString(w, samplePage)
	return err
}

func bodyOf(t testing.TB, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// outcomeOf is what r's placeholders say became of its response.
func outcomeOf(r *http.Request) (o outcome.Outcome, reason string) {
	repl := replacerOf(r)
	v, _ := repl.Get(outcomePlaceholder)
	o, _ = v.(outcome.Outcome)
	reason, _ = repl.GetString(reasonPlaceholder)
	return o, reason
}

// idLines are the Set-Cookie values for the id.
func idLines(resp *http.Response) (lines []string) {
	for _, line := range resp.Header["Set-Cookie"] {
		if strings.HasPrefix(line, kapa.IDCookie+"=") {
			lines = append(lines, line)
		}
	}
	return lines
}

func itoa(n int) string { return strconv.Itoa(n) }
