package document

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
)

func TestDestinationOf(t *testing.T) {
	const browser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
	for _, tc := range []struct {
		name   string
		method string
		fields []string
		want   Destination
		gate   string
	}{
		{"a navigation", "GET", []string{browser, "Sec-Fetch-Dest: document"}, Document, ""},
		{"a form that is sent", "POST", []string{browser, "Sec-Fetch-Dest: document"}, Document, ""},
		{"a frame", "GET", []string{browser, "Sec-Fetch-Dest: iframe"}, Document, ""},
		{"a service worker that passes a navigation on", "GET", []string{browser, "Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: navigate"}, Document, ""},
		{"<a download>", "GET", []string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: navigate"}, Other, "Accept"},
		{"fetch()", "GET", []string{"Accept: */*", "Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors"}, Other, "Sec-Fetch-Mode"},
		{"an image", "GET", []string{"Accept: image/avif,*/*;q=0.8", "Sec-Fetch-Dest: image", "Sec-Fetch-Mode: no-cors"}, Other, "Sec-Fetch-Dest"},
		{"an older browser", "GET", []string{browser}, Unknown, ""},
		{"curl", "GET", []string{"Accept: */*"}, Any, "Accept"},
		{"a client that says nothing", "GET", nil, Any, "Accept"},
		{"a client that refuses HTML", "GET", []string{"Accept: text/html;q=0, */*"}, Other, "Accept"},
		{"an API client", "GET", []string{"Accept: application/json"}, Other, "Accept"},
		{"htmx", "GET", []string{browser, "Hx-Request: true"}, Other, "Hx-Request"},
		{"XMLHttpRequest", "GET", []string{browser, "X-Requested-With: xmlhttprequest"}, Other, "X-Requested-With"},
		{"an Android app's web view", "GET", []string{browser, "X-Requested-With: com.acme.app"}, Unknown, ""},
		{"Turbo Drive", "GET", []string{browser, "X-Turbo-Request-Id: 1"}, Turbo, "X-Turbo-Request-Id"},
		{"a form that Turbo sends", "POST", []string{browser, "X-Turbo-Request-Id: 1"}, Other, "X-Turbo-Request-Id"},
		{"PUT", "PUT", []string{browser, "Sec-Fetch-Dest: document"}, Other, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(tc.method, "/", nil)
			for _, field := range tc.fields {
				name, value, _ := strings.Cut(field, ": ")
				r.Header.Set(name, value)
			}
			if got, gate := DestinationOf(r); got != tc.want || gate != tc.gate {
				t.Errorf("got %d by %q, want %d by %q", got, gate, tc.want, tc.gate)
			}
		})
	}
}

func TestContentType(t *testing.T) {
	for _, tc := range []struct {
		lines   []string
		html    bool
		charset string
		known   bool // to browsers, as an encoding
	}{
		{[]string{"text/html"}, true, "", false},
		{[]string{"Text/HTML ; Charset=UTF-8"}, true, "UTF-8", true},
		{[]string{`text/html; charset="utf-8"`}, true, "utf-8", true},
		{[]string{"text/html; charset=foo"}, true, "foo", false},
		{[]string{`text/html; charset=" utf-16le"`}, true, "utf-16le", true},
		{[]string{`text/html; charset="utf\-16le"`}, true, "utf-16le", true},
		{[]string{`text/html; x="; charset=utf-8; y"; charset=utf-16le`}, true, "utf-16le", true},
		{[]string{"text/html", "text/plain"}, false, "", false},
		{[]string{"text/plain", "text/html"}, true, "", false},
		{[]string{"text/html; charset=utf-8", "text/html"}, true, "utf-8", true},
		{[]string{"text/html, text/plain"}, false, "", false},
		{[]string{""}, false, "", false},
		{nil, false, "", false},
	} {
		got := ContentType(tc.lines)
		if IsHTML(got) != tc.html || Charset(got) != tc.charset || NamesEncoding(got) != tc.known {
			t.Errorf("%q: %q, HTML %t, charset %q, known %t", tc.lines, got, IsHTML(got), Charset(got), NamesEncoding(got))
		}
	}
}

func TestKindAndRefusal(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		header http.Header
		want   outcome.Outcome
	}{
		{"a page", 200, nil, outcome.Undecided},
		{"an error page", 404, nil, outcome.Undecided},
		{"101", 101, nil, outcome.Upgrade},
		{"204", 204, nil, outcome.NoBody},
		{"206", 206, nil, outcome.Partial},
		{"a redirect", 302, nil, outcome.Redirect},
		{"304", 304, nil, outcome.NotModified},
		{"Content-Range", 200, http.Header{"Content-Range": {"bytes 0-1/2"}}, outcome.Partial},
		{"to be saved", 200, http.Header{"Content-Disposition": {"attachment; filename=a.html"}}, outcome.Attachment},
		{"to be saved, by a second line", 200, http.Header{"Content-Disposition": {"inline", "attachment"}}, outcome.Attachment},
		{"no-transform", 200, http.Header{"Cache-Control": {"public, No-Transform"}}, outcome.NoTransform},
		{"no-transform in a quoted string", 200, http.Header{"Cache-Control": {`x="a, no-transform"`}}, outcome.Undecided},
		{"signed", 200, http.Header{"Signature-Input": {"a"}}, outcome.NoTransform},
		{"brotli", 200, http.Header{"Content-Encoding": {"br"}}, outcome.Encoded},
		{"identity", 200, http.Header{"Content-Encoding": {"identity"}}, outcome.Undecided},
	} {
		got := Kind(tc.status, tc.header, "text/html")
		if got == outcome.Undecided {
			got = Refusal(tc.header, "text/html")
		}
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
	if got := Kind(200, nil, "text/plain"); got != outcome.NotHTML {
		t.Errorf("text: %s", got)
	}
	if got := Refusal(nil, "text/html; charset=utf-16"); got != outcome.Charset {
		t.Errorf("UTF-16: %s", got)
	}
}
