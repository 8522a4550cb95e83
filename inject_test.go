package kapadeflector

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// Which responses are changed, and the outcomes of those that are not.
func TestOutcomes(t *testing.T) {
	ownTag := strings.Replace(staticTag, kapa.ScriptURL, "/assets/kapa-support-form-deflector.bundle.js", 1)
	htmlWith := func(field, value string) caddyhttp.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set(field, value)
			if field != "Content-Type" {
				w.Header().Set("Content-Type", "text/html")
			}
			_, err := io.WriteString(w, samplePage)
			return err
		}
	}
	typed := func(lines ...string) caddyhttp.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error {
			w.Header()["Content-Type"] = lines
			_, err := io.WriteString(w, samplePage)
			return err
		}
	}
	body := func(s string) caddyhttp.HandlerFunc { return answer(200, "text/html", s) }

	for _, tc := range []struct {
		name   string
		lines  string
		method string
		fields []string
		next   caddyhttp.HandlerFunc
		want   outcome.Outcome
	}{
		{name: "a page", want: outcome.Injected},
		{name: "a page that says no length", next: body(samplePage), want: outcome.Injected},
		{name: "a page that says no type", next: answer(200, "", samplePage), want: outcome.Injected},
		{name: "an answer to a POST", method: "POST", next: answer(422, "text/html", samplePage), want: outcome.Injected},
		{name: "an error page", next: answer(500, "text/html", samplePage), want: outcome.Injected},
		{name: "type in another case, with parameters", next: htmlWith("Content-Type", "Text/HTML ; Charset=\"ISO-8859-1\""), want: outcome.Injected},
		{name: "Shift_JIS", next: htmlWith("Content-Type", "text/html; charset=shift_jis"), want: outcome.Injected},
		{name: "in a frame", fields: []string{"Sec-Fetch-Dest: iframe"}, want: outcome.Injected},
		{name: "navigation without a destination", fields: []string{"Sec-Fetch-Dest: ", "Sec-Fetch-Mode: navigate"}, want: outcome.Injected},
		{name: "a service worker that passes a navigation on", fields: []string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: navigate"}, want: outcome.Injected},
		{name: "a browser without Sec-Fetch fields", fields: []string{"Sec-Fetch-Dest: "}, want: outcome.Injected},
		{name: "curl", fields: []string{"Sec-Fetch-Dest: ", "Accept: */*"}, want: outcome.Injected},
		{name: "an Android app's web view", fields: []string{"X-Requested-With: com.acme.app"}, want: outcome.Injected},
		{name: "no evidence, but the browser opens a page", next: body("<p>hello"), want: outcome.Injected},
		{name: "inline disposition", next: htmlWith("Content-Disposition", `inline; filename="a.html"`), want: outcome.Injected},
		{name: "disposition without a type", next: htmlWith("Content-Disposition", `filename=a.html`), want: outcome.Injected},
		{name: "identity coding", next: htmlWith("Content-Encoding", "identity"), want: outcome.Injected},
		{name: "two types, of which the last one counts", next: typed("text/plain", "text/html"), want: outcome.Injected},
		{name: "two types, the last of which is none", next: typed("text/html", "*/*", "html", ""), want: outcome.Injected},
		{name: "one type twice", next: typed("text/html; charset=utf-8", "TEXT/html"), want: outcome.Injected},
		{name: "a comma and a semicolon in a quoted string", next: typed(`text/html; x="a, text/plain; charset=utf-16le"; charset=utf-8`), want: outcome.Injected},
		{name: "a charset that only begins like UTF-16", next: typed("text/html; charset=utf-16x"), want: outcome.Injected},
		{name: "no-transform in a quoted string", next: htmlWith("Cache-Control", `community="UCI, no-transform"`), want: outcome.Injected},
		{name: "consent not required", lines: "", fields: nil, want: outcome.Injected},

		{name: "image", next: answer(200, "image/png", "\x89PNG"), want: outcome.NotHTML},
		{name: "JSON", next: answer(200, "application/json", "{}"), want: outcome.NotHTML},
		{name: "XHTML", next: answer(200, "application/xhtml+xml", samplePage), want: outcome.NotHTML},
		{name: "a type that only begins like HTML", next: answer(200, "text/html5", samplePage), want: outcome.NotHTML},
		{name: "text that says no type", next: answer(200, "", "hello"), want: outcome.NotHTML},
		{name: "event stream", next: answer(200, "text/event-stream", "data: <head>\n\n"), want: outcome.NotHTML},
		{name: "HEAD", method: "HEAD", next: answer(200, "text/html", ""), want: outcome.NoBody},
		{name: "HEAD, without consent", method: "HEAD", fields: []string{"Cookie: " + unknown}, next: answer(200, "text/html", ""), want: outcome.NoBody},
		{name: "HEAD, denied", method: "HEAD", fields: []string{"Cookie: " + denied}, next: answer(200, "text/html", ""), want: outcome.NoBody},
		{name: "HEAD, for a script", method: "HEAD", fields: []string{"Cookie: " + granted, "Hx-Request: true"}, next: answer(200, "text/html", ""), want: outcome.NoBody},
		{name: "nothing written", next: func(http.ResponseWriter, *http.Request) error { return nil }, want: outcome.NoBody},
		{name: "the first byte of gzip, alone", next: body("\x1f"), want: outcome.Encoded},
		{name: "a page without a body", next: answer(200, "text/html", ""), want: outcome.NoBody},
		{name: "no type and no body", next: answer(200, "", ""), want: outcome.NoBody},
		{name: "204", next: answer(204, "text/html", ""), want: outcome.NoBody},
		{name: "205", next: answer(205, "text/html", ""), want: outcome.NoBody},
		{name: "redirect with a page", next: answer(301, "text/html", samplePage), want: outcome.Redirect},
		{name: "304", next: answer(304, "", ""), want: outcome.NotModified},
		{name: "206", next: answer(206, "text/html", samplePage), want: outcome.Partial},
		{name: "Content-Range", next: htmlWith("Content-Range", "bytes 0-70/71"), want: outcome.Partial},

		{name: "two types, the last of which is not HTML", next: typed("text/html", "text/plain"), want: outcome.NotHTML},
		{name: "two types on one line", next: typed("text/html, text/plain"), want: outcome.NotHTML},
		{name: "two types on one line, after a charset", next: typed("text/html; charset=utf-8, text/plain"), want: outcome.NotHTML},
		{name: "a type before a no-break space", next: typed("text/html\u00a0"), want: outcome.NotHTML},
		{name: "UTF-16 in quotes, after a space", next: typed(`text/html; charset=" utf-16le"`), want: outcome.Charset},
		{name: "UTF-16 with a backslash", next: typed(`text/html; charset="utf\-16le"`), want: outcome.Charset},
		{name: "UTF-16 in quotes that do not end", next: typed(`text/html; charset="utf-16le`), want: outcome.Charset},
		{name: "UTF-16 in single quotes", next: typed(`text/html; charset='utf-16le'`), want: outcome.Charset},
		{name: "UTF-16 behind a quoted string", next: typed(`text/html; x="; charset=utf-8; y"; charset=utf-16le`), want: outcome.Charset},
		{name: "UTF-16 behind words", next: typed("text/html; x; y=; =z; charset=utf-16le"), want: outcome.Charset},
		{name: "UTF-16 before the same type", next: typed("text/html; charset=utf-16le", "text/html; x=y"), want: outcome.Charset},
		{name: "attachment on the second line", next: func(w http.ResponseWriter, r *http.Request) error {
			w.Header()["Content-Disposition"] = []string{"inline", "attachment"}
			return pageHandler(w, r)
		}, want: outcome.Attachment},

		{name: "attachment", next: htmlWith("Content-Disposition", "attachment"), want: outcome.Attachment},
		{name: "attachment with a name, any case", next: htmlWith("Content-Disposition", `ATTACHMENT ; filename="a.html"`), want: outcome.Attachment},
		{name: "an unknown disposition", next: htmlWith("Content-Disposition", "form-data"), want: outcome.Attachment},
		{name: "UTF-16 by its header", next: htmlWith("Content-Type", "text/html; charset=UTF-16LE"), want: outcome.Charset},
		{name: "ISO-2022-JP by its header", next: htmlWith("Content-Type", `text/html; charset="iso-2022-jp"`), want: outcome.Charset},
		{name: "UTF-16 by its BOM", next: body("\xff\xfe<\x00h\x00"), want: outcome.Charset},
		{name: "escape sequences before the anchor", next: body("<!doctype html><title>\x1b$B</title></head>"), want: outcome.Charset},
		{name: "brotli", next: htmlWith("Content-Encoding", "br"), want: outcome.Encoded},
		{name: "brotli, for who gets no tag anyway", fields: []string{"Cookie: " + denied}, next: htmlWith("Content-Encoding", "br"), want: outcome.Denied},
		{name: "brotli, under loader", lines: "loader", fields: []string{"Cookie: " + unknown}, next: htmlWith("Content-Encoding", "br"), want: outcome.Encoded},
		{name: "brotli, where the tag goes to everybody", lines: "without_consent untracked", fields: []string{"Cookie: " + denied}, next: htmlWith("Content-Encoding", "br"), want: outcome.Encoded},
		{name: "brotli, fetched by script", fields: []string{"Sec-Fetch-Dest: empty"}, next: htmlWith("Content-Encoding", "br"), want: outcome.NotDocument},
		{name: "brotli after identity", next: htmlWith("Content-Encoding", "identity, br"), want: outcome.Encoded},
		{name: "gzip twice", next: htmlWith("Content-Encoding", "gzip, gzip"), want: outcome.Encoded},
		{name: "no-transform", next: htmlWith("Cache-Control", "public, No-Transform"), want: outcome.NoTransform},
		{name: "incremental forwarding", next: htmlWith("Incremental", "?1"), want: outcome.NotDocument},
		{name: "fetched by script", fields: []string{"Sec-Fetch-Dest: empty"}, want: outcome.NotDocument},
		{name: "fetched by script, which says so", fields: []string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: same-origin"}, want: outcome.NotDocument},
		{name: "a navigation into an embed element", fields: []string{"Sec-Fetch-Dest: embed", "Sec-Fetch-Mode: navigate"}, want: outcome.NotDocument},
		{name: "fetched as an image", fields: []string{"Sec-Fetch-Dest: image"}, want: outcome.NotDocument},
		{name: "fetched by script, destination unknown", fields: []string{"Sec-Fetch-Dest: ", "Sec-Fetch-Mode: cors"}, want: outcome.NotDocument},
		{name: "XMLHttpRequest", fields: []string{"X-Requested-With: xmlhttprequest"}, want: outcome.NotDocument},
		{name: "htmx", fields: []string{"HX-Request: true"}, want: outcome.NotDocument},
		{name: "Turbo frame", fields: []string{"Turbo-Frame: main"}, want: outcome.NotDocument},
		{name: "PJAX", fields: []string{"X-PJAX: true"}, want: outcome.NotDocument},
		{name: "saved by <a download>", fields: []string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: navigate", "Accept: "}, want: outcome.NotDocument},
		{name: "saved by <a download> of a browser that says no destination", fields: []string{"Sec-Fetch-Dest: ", "Sec-Fetch-Mode: navigate", "Accept: */*"}, want: outcome.NotDocument},
		{name: "a client that wants no HTML", fields: []string{"Sec-Fetch-Dest: ", "Accept: text/html;q=0, application/json"}, want: outcome.NotDocument},
		{name: "HTML in a quoted string", fields: []string{"Sec-Fetch-Dest: ", `Accept: text/plain; x=", text/html, "`}, want: outcome.NotDocument},
		{name: "an API client", fields: []string{"Sec-Fetch-Dest: ", "Accept: application/json"}, want: outcome.NotDocument},
		{name: "PUT", method: "PUT", want: outcome.NotDocument},
		{name: "a fragment, by a client that says nothing", fields: []string{"Sec-Fetch-Dest: "}, next: body("<p>hello</p>"), want: outcome.NotDocument},
		{name: "JSON labelled as HTML, by a client that says nothing", fields: []string{"Sec-Fetch-Dest: "}, next: body(`{"a":1}`), want: outcome.NotDocument},

		{name: "no consent", fields: []string{"Cookie: " + unknown}, want: outcome.NoConsent},
		{name: "denied", fields: []string{"Cookie: " + denied}, want: outcome.Denied},
		{name: "another page", lines: "pages /tickets/new", want: outcome.OtherPage},

		{name: "AMP", next: body("<!doctype html><html amp><head></head>"), want: outcome.AMP},
		{name: "the deflector is there", next: body(taggedPage), want: outcome.AlreadyPresent},
		{name: "a script called like ours, where ours is called otherwise", lines: "script /assets/kapa-support-form-deflector.bundle.js", next: body(`<!doctype html><head><script src="/assets/main.js"></script></head>`), want: outcome.Injected},
		{name: "a release of the deflector is there", next: body(`<head><script src="/kapa-support-form-deflector-v1.2.3.bundle.js"></script></head>`), want: outcome.AlreadyPresent},
		{name: "the deflector is there, from another host", next: body(`<head><script src="//x/kapa-support-form-deflector.bundle.js?v=1"></script></head>`), want: outcome.AlreadyPresent},
		{name: "the head's last tag is cut off", next: body("<!doctype html><head><meta name="), want: outcome.NoAnchor},
		{name: "AMP, under loader", lines: "loader", fields: []string{"Cookie: " + unknown}, next: body("<!doctype html><html amp><head></head>"), want: outcome.AMP},
		{name: "the head's last tag is cut off, under loader", lines: "loader", fields: []string{"Cookie: " + denied}, next: body("<!doctype html><head><meta name="), want: outcome.NoAnchor},
		{name: "the title never ends", next: body("<!doctype html><title>x</head>"), want: outcome.NoAnchor},
		{name: "the comment never ends", next: body("<!doctype html><!-- </head>"), want: outcome.NoAnchor},

		{name: "WebSocket", fields: []string{"Connection: Upgrade", "Upgrade: websocket"}, next: answer(101, "", ""), want: outcome.Upgrade},
		{name: "a proxy that always says upgrade", fields: []string{"Connection: upgrade"}, want: outcome.Injected},
		{name: "an offer of HTTP/2 on plain HTTP", fields: []string{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"}, want: outcome.Injected},
		{name: "CONNECT", method: "CONNECT", want: outcome.Upgrade},
		{name: "101 all the same", next: answer(101, "", ""), want: outcome.Upgrade},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines, next, method := consentLine+tc.lines, tc.next, tc.method
			if tc.name == "consent not required" {
				lines = "consent not_required"
			}
			if next == nil {
				next = pageHandler
			}
			if method == "" {
				method = "GET"
			}
			r := newRequest(t, method, "/")
			for _, field := range tc.fields {
				name, value, _ := strings.Cut(field, ": ")
				r.Header.Set(name, value)
				if value == "" {
					r.Header.Del(name)
				}
			}
			if r.Header.Get("Cookie") == "" && tc.name != "consent not required" {
				r.Header.Set("Cookie", granted)
			}
			plain := httptest.NewRecorder()
			if err := next(plain, r); err != nil {
				t.Fatal(err)
			}

			resp := serve(t, newHandler(t, lines), r, next)
			if got, _ := outcomeOf(r); got != tc.want {
				t.Errorf("outcome %s, want %s", got, tc.want)
			}
			got := bodyOf(t, resp)
			if tc.want == outcome.Injected {
				if without := strings.NewReplacer(staticTag, "", ownTag, "").Replace(got); without != plain.Body.String() || without == got {
					t.Errorf("body is %q", got)
				}
				return
			}
			if got != plain.Body.String() {
				t.Errorf("body is %q, the origin's is %q", got, plain.Body.String())
			}
			if resp.StatusCode != plain.Code {
				t.Errorf("status %d, the origin's is %d", resp.StatusCode, plain.Code)
			}
			if idLines(resp) != nil {
				t.Errorf("an id is set: %q", idLines(resp))
			}
		})
	}
}

func TestReasons(t *testing.T) {
	h := newHandler(t, consentLine)
	for cookies, want := range map[string]string{
		"":                      "no_cookie_header",
		unknown:                 "cookie_absent",
		"cookie_consent=":       "unanswered",
		denied:                  "refused",
		granted + "; " + denied: "conflict",
		"cookie_consent=" + strings.Repeat("x", 9<<10): "malformed",
		granted: "",
	} {
		r := newRequest(t, "GET", "/")
		if cookies != "" {
			r.Header.Set("Cookie", cookies)
		}
		serve(t, h, r, pageHandler)
		if _, got := outcomeOf(r); got != want {
			t.Errorf("%.40s: reason %q, want %q", cookies, got, want)
		}
	}
}

// tracker records the calls that arrive below the handler.
type tracker struct {
	*httptest.ResponseRecorder
	calls []string
}

func (w *tracker) Write(p []byte) (int, error) {
	w.calls = append(w.calls, "write")
	return w.ResponseRecorder.Write(p)
}

func (w *tracker) WriteHeader(status int) {
	w.calls = append(w.calls, "header")
	w.ResponseRecorder.WriteHeader(status)
}

func (w *tracker) FlushError() error {
	w.calls = append(w.calls, "flush")
	return nil
}

// How a page's writes and flushes arrive below. Header, head and tag come in one write
// if nothing was flushed before. Nothing arrives before the first body byte, and the
// first write is at least as long as the origin's first one. What
// follows the anchor arrives as the origin wrote it. A status that the origin did not
// name is not named below either.
func TestWritesAndFlushes(t *testing.T) {
	before, after, _ := strings.Cut(samplePage, "</head>")
	after = "</head>" + after
	type step = func(w http.ResponseWriter)
	write := func(s string) step { return func(w http.ResponseWriter) { io.WriteString(w, s) } }
	flush := func(w http.ResponseWriter) { http.NewResponseController(w).Flush() }
	status := func(w http.ResponseWriter) { w.WriteHeader(200) }
	length := func(w http.ResponseWriter) { w.Header().Set("Content-Length", "71") }

	for _, tc := range []struct {
		name   string
		steps  []step
		calls  string
		length string // the Content-Length that the client sees
	}{
		{"one write", []step{length, status, write(samplePage)}, "header write", "exact"},
		{"no status", []step{length, write(samplePage)}, "write", "exact"},
		{"in two halves", []step{length, write(before), write(after)}, "write", "exact"},
		{"the anchor is cut", []step{length, write(before + "</he"), write(after[4:])}, "write", "exact"},
		{"flush before the first byte", []step{length, status, flush, write(samplePage)}, "header write", "exact"},
		{"flush before the status", []step{length, flush, write(samplePage)}, "write", "exact"},
		{"flush in the head", []step{write(before), flush, write(after)}, "write flush write", ""},
		{"flush in the head, of a known length", []step{length, write(before), flush, write(after)}, "write flush write", ""},
		{"flush in the anchor", []step{write(before), write("</he"), flush, write(after[4:])}, "write flush write", ""},
		{"flush in the anchor, after the first write", []step{write(before + "</he"), flush, write(after[4:])}, "write flush write", ""},
		{"flush in the anchor, of a known length", []step{length, write(before), write("</he"), flush, write(after[4:])}, "write flush write", ""},
		{"flush behind the anchor", []step{length, write(before + "</head>"), flush, write(after[7:])}, "write flush write", "exact"},
		{"writes behind the anchor", []step{length, write(before + "</head>"), write(after[7:10]), write(after[10:])}, "write write write", "exact"},
		{"chunked", []step{write(before), flush, write(after), flush}, "write flush write flush", ""},
		{"the head ends with the input", []step{length, write(samplePage[:strings.Index(samplePage, "</head>")])}, "write", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, consentLine)
			r := newRequest(t, "GET", "/", "Cookie: "+granted)
			w := &tracker{ResponseRecorder: httptest.NewRecorder()}
			err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Content-Type", "text/html; charset=utf-8") // else the encoding may come after the anchor
				for _, step := range tc.steps {
					step(w)
				}
				return nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(w.calls, " "); got != tc.calls {
				t.Errorf("calls: %s, want %s", got, tc.calls)
			}
			body := w.Body.String()
			if !strings.Contains(body, staticTag) || !strings.HasPrefix(taggedPage, body) {
				t.Errorf("body: %s", body)
			}
			got := w.Result().Header.Get("Content-Length")
			if tc.length == "exact" && got != itoa(len(body)) || tc.length == "" && len(body) == len(taggedPage) && got != "" {
				t.Errorf("Content-Length %q for %d bytes", got, len(body))
			}
		})
	}
}

// Pages of every size, in writes of every size, by Write and by ReadFrom.
func TestSizes(t *testing.T) {
	h := newHandler(t, consentLine)
	for _, headSize := range []int{0, 1000, 3800, 32<<10 - 40, 32<<10 - 20, 32 << 10, 70 << 10, 1 << 20} {
		for _, bodySize := range []int{0, 10, 40 << 10, 1 << 20} {
			before := "<!doctype html><html><head><script>" + strings.Repeat("x", headSize) + "</script>"
			after := "</head><body>" + strings.Repeat("y", bodySize) + "</body></html>"
			for _, chunk := range []int{1 << 30, 32 << 10, 4 << 10, 509} {
				next := func(w http.ResponseWriter, _ *http.Request) error {
					w.Header().Set("Content-Type", "text/html")
					w.Header().Set("Content-Length", itoa(len(before)+len(after)))
					for rest := before + after; rest != ""; {
						n := min(chunk, len(rest))
						if nw, err := io.WriteString(w, rest[:n]); nw != n || err != nil {
							t.Fatalf("Write of %d returned %d, %v", n, nw, err)
						}
						rest = rest[n:]
					}
					return nil
				}
				check := func(how string, resp *http.Response) {
					got := bodyOf(t, resp)
					if got != before+staticTag+after {
						t.Errorf("%s: head %d, body %d, chunk %d: got %d bytes", how, headSize, bodySize, chunk, len(got))
					}
					if cl := resp.Header.Get("Content-Length"); cl != "" && cl != itoa(len(got)) {
						t.Errorf("%s: head %d, body %d, chunk %d: Content-Length %s of %d", how, headSize, bodySize, chunk, cl, len(got))
					}
				}
				check("write", serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), next))
			}
			readFrom := func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Content-Type", "text/html")
				n, err := w.(io.ReaderFrom).ReadFrom(iotest.HalfReader(strings.NewReader(before + after)))
				if int(n) != len(before)+len(after) {
					t.Errorf("ReadFrom returned %d", n)
				}
				return err
			}
			if got := bodyOf(t, serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), readFrom)); got != before+staticTag+after {
				t.Errorf("ReadFrom: head %d, body %d: got %d bytes", headSize, bodySize, len(got))
			}
		}
	}
}

// What the header of a changed page says, and that of an unchanged one.
func TestHeader(t *testing.T) {
	untrackedTag := strings.Replace(staticTag, " src=", ` data-user-analytics-cookie-enabled="false" data-user-analytics-fingerprint-enabled="false" src=`, 1)
	origin := http.Header{
		"Content-Type": {"text/html"}, "Content-Length": {"71"}, "Etag": {`"v1"`}, "Last-Modified": {"Mon, 02 Nov 2026 10:00:00 GMT"},
		"Accept-Ranges": {"bytes"}, "Cache-Control": {"public, max-age=600"}, "Expires": {"Mon, 02 Nov 2026 11:00:00 GMT"},
		"Cdn-Cache-Control": {"max-age=60"}, "Cloudflare-Cdn-Cache-Control": {"max-age=60"}, "Surrogate-Control": {"max-age=60"},
		"Content-Md5": {"x"}, "Digest": {"x"}, "Content-Digest": {"x"}, "Repr-Digest": {"x"},
		"Vary": {"Accept-Encoding"}, "Set-Cookie": {"session=1"}, "X-Own": {"1"},
	}
	for _, tc := range []struct {
		name   string
		lines  string
		cookie string
		origin http.Header // beside origin
		want   http.Header // beside origin; nil: gone
	}{
		{"no consent: only Vary", "", unknown, nil, http.Header{"Vary": {"Accept-Encoding, Cookie, Sec-GPC"}}},
		{"no consent, and the origin varies", "", unknown, http.Header{"Vary": {"accept-encoding, cookie"}}, http.Header{"Vary": {"accept-encoding, cookie, Sec-GPC"}}},
		{"no consent, and the origin varies by all of it", "", unknown, http.Header{"Vary": {"sec-gpc,cookie"}}, http.Header{"Vary": {"sec-gpc,cookie"}}},
		{"Sec-GPC is not honoured", "honor_gpc off", unknown, nil, http.Header{"Vary": {"Accept-Encoding, Cookie"}}},
		{"another page: nothing", "pages /x", granted, nil, nil},
		{"denied, with an id", "", denied + "; kapa_web_id=" + idA, nil, http.Header{
			"Vary": {"Accept-Encoding, Cookie, Sec-GPC"}, "Cache-Control": {"private, no-cache"},
			"Expires": nil, "Cdn-Cache-Control": nil, "Cloudflare-Cdn-Cache-Control": nil, "Surrogate-Control": nil,
			"Set-Cookie": {"session=1", "kapa_web_id=; Path=/; Domain=example.com; Max-Age=0; SameSite=Lax", "kapa_web_id=; Path=/; Max-Age=0; SameSite=Lax"},
		}},
		{"tagged", "cookie off", granted, nil, http.Header{
			"Vary": {"Accept-Encoding, Cookie, Sec-GPC"}, "Cache-Control": {"private, no-cache"},
			"Content-Length": {itoa(len(taggedPage))},
			"Expires":        nil, "Cdn-Cache-Control": nil, "Cloudflare-Cdn-Cache-Control": nil, "Surrogate-Control": nil,
			"Etag": {`"v1` + variant.Suffix([]byte(staticTag))}, "Last-Modified": nil, "Accept-Ranges": nil,
			"Content-Md5": nil, "Digest": nil, "Content-Digest": nil, "Repr-Digest": nil,
		}},
		{"untracked keeps the origin's caching", "without_consent untracked", unknown, nil, http.Header{
			"Vary":           {"Accept-Encoding, Cookie, Sec-GPC"},
			"Content-Length": {"-"},
			"Etag":           {`"v1` + variant.Suffix([]byte(untrackedTag))}, "Last-Modified": nil, "Accept-Ranges": nil,
			"Content-Md5": nil, "Digest": nil, "Content-Digest": nil, "Repr-Digest": nil,
		}},
		{"no-store that caches may pass over", "cookie off", granted, http.Header{"Cache-Control": {"no-store, must-understand, max-age=60"}}, http.Header{
			"Vary": {"Accept-Encoding, Cookie, Sec-GPC"}, "Cache-Control": {"private, no-cache"},
			"Content-Length": {itoa(len(taggedPage))},
			"Expires":        nil, "Cdn-Cache-Control": nil, "Cloudflare-Cdn-Cache-Control": nil, "Surrogate-Control": nil,
			"Etag": {`"v1` + variant.Suffix([]byte(staticTag))}, "Last-Modified": nil, "Accept-Ranges": nil,
			"Content-Md5": nil, "Digest": nil, "Content-Digest": nil, "Repr-Digest": nil,
		}},
		{"no-store stays", "cookie off", granted, http.Header{"Cache-Control": {"no-store, must-revalidate"}}, http.Header{
			"Vary": {"Accept-Encoding, Cookie, Sec-GPC"}, "Cache-Control": {"no-store, must-revalidate"},
			"Content-Length": {itoa(len(taggedPage))},
			"Expires":        nil, "Cdn-Cache-Control": nil, "Cloudflare-Cdn-Cache-Control": nil, "Surrogate-Control": nil,
			"Etag": {`"v1` + variant.Suffix([]byte(staticTag))}, "Last-Modified": nil, "Accept-Ranges": nil,
			"Content-Md5": nil, "Digest": nil, "Content-Digest": nil, "Repr-Digest": nil,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			next := func(w http.ResponseWriter, _ *http.Request) error {
				for _, h := range []http.Header{origin, tc.origin} {
					for field, lines := range h {
						w.Header()[field] = append([]string(nil), lines...)
					}
				}
				_, err := io.WriteString(w, samplePage)
				return err
			}
			resp := serve(t, newHandler(t, consentLine+tc.lines), newRequest(t, "GET", "/", "Cookie: "+tc.cookie), next)
			want := origin.Clone()
			for _, h := range []http.Header{tc.origin, tc.want} {
				for field, lines := range h {
					want[field] = lines
				}
			}
			if want.Get("Content-Length") == "-" {
				want.Set("Content-Length", itoa(len(bodyOf(t, resp))))
			}
			for field, lines := range want {
				if got := resp.Header[field]; strings.Join(got, "|") != strings.Join(lines, "|") {
					t.Errorf("%s: got %q, want %q", field, got, lines)
				}
			}
			for field := range resp.Header {
				if want[field] == nil {
					t.Errorf("%s: %q is new", field, resp.Header[field])
				}
			}
		})
	}
}

// HEAD has the header of GET, without the length and the id (RFC 9110 section 9.3.2).
func TestHeadIsLikeGET(t *testing.T) {
	with := func(status int, fields ...string) caddyhttp.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Etag", `"v1"`)
			w.Header().Set("Last-Modified", "Mon, 02 Nov 2026 10:00:00 GMT")
			w.Header().Set("Cache-Control", "public, max-age=600")
			w.Header().Set("Expires", "Mon, 02 Nov 2026 11:00:00 GMT")
			w.Header().Set("Accept-Ranges", "bytes")
			for _, field := range fields {
				name, value, _ := strings.Cut(field, ": ")
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			if r.Method == http.MethodGet && status/100 != 3 && status != 204 {
				_, err := io.WriteString(w, samplePage)
				return err
			}
			return nil
		}
	}
	origins := map[string]caddyhttp.HandlerFunc{
		"page": with(200), "404": with(404), "no-store": with(200, "Cache-Control: no-store"), "no-transform": with(200, "Cache-Control: no-transform"),
		"JSON": with(200, "Content-Type: application/json"), "br": with(200, "Content-Encoding: br"), "attachment": with(200, "Content-Disposition: attachment"),
		"204": with(204), "206": with(206), "302": with(302), "304": with(304), "policy": with(200, policyField+": script-src 'self'"),
		"nonce": with(200, policyField+": script-src 'nonce-R2xvYmFs'"), "UTF-16": with(200, "Content-Type: text/html; charset=utf-16le"),
	}
	asking := map[string][]string{
		"document": nil, "browser without Sec-Fetch fields": {"Sec-Fetch-Dest: "}, "curl": {"Sec-Fetch-Dest: ", "Accept: */*"},
		"Turbo": {"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors", "X-Turbo-Request-Id" + ": 1"}, "htmx": {"Sec-Fetch-Dest: empty", "HX-Request: true"},
		"download": {"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: navigate", "Accept: "}, "image": {"Sec-Fetch-Dest: image"},
		"revalidation": {`If-None-Match: "v1"`},
	}
	for _, lines := range []string{"", "without_consent untracked", "loader", "csp extend", "pages /else", "cookie off"} {
		h := newHandler(t, consentLine+lines)
		for _, cookies := range []string{granted, granted + "; kapa_web_id=" + idA, denied, denied + "; kapa_web_id=" + idA, unknown, unknown + "; kapa_web_id=" + idA} {
			for who, fields := range asking {
				for what, origin := range origins {
					var got [2]*http.Response
					for i, method := range []string{"GET", "HEAD"} {
						r := newRequest(t, method, "/", "Cookie: "+cookies)
						for _, field := range fields {
							name, value, _ := strings.Cut(field, ": ")
							r.Header.Set(name, value)
							if value == "" {
								r.Header.Del(name)
							}
						}
						got[i] = serve(t, h, r, origin)
						got[i].Header.Del("Content-Length")
					}
					if idLines(got[1]) != nil {
						t.Errorf("%q, %s, %s, %s: HEAD has %q", lines, cookies, who, what, idLines(got[1]))
					}
					got[0].Header.Del("Set-Cookie")
					if got[0].StatusCode != got[1].StatusCode || !equalHeader(got[0].Header, got[1].Header) {
						t.Errorf("%q, %s, %s, %s: GET has\n%v, HEAD\n%v", lines, cookies, who, what, got[0].Header, got[1].Header)
					}
				}
			}
		}
	}
}

// If a document at the same address would have the tag or delete the id, caches must
// tell a fragment from it.
func TestVaryOfFragments(t *testing.T) {
	for field, want := range map[string]string{
		"Sec-Fetch-Dest: empty":            "Cookie, Sec-GPC, Sec-Fetch-Dest",
		"Sec-Fetch-Mode: cors":             "Cookie, Sec-GPC, Sec-Fetch-Mode",
		"Hx-Request: true":                 "Cookie, Sec-GPC, Hx-Request",
		"X-Requested-With: XMLHttpRequest": "Cookie, Sec-GPC, X-Requested-With",
	} {
		for _, tc := range []struct{ lines, cookies, want string }{
			{"", granted, want},
			{"", denied + "; kapa_web_id=" + idA, want},
			{"", denied, "Cookie, Sec-GPC"},
			{"", unknown, "Cookie, Sec-GPC"},
			{"without_consent untracked", unknown, want},
			{"without_consent untracked", denied, want},
		} {
			for _, coding := range []string{"identity", "gzip", "br"} {
				r := newRequest(t, "GET", "/", "Cookie: "+tc.cookies)
				name, value, _ := strings.Cut(field, ": ")
				r.Header.Set(name, value)
				if name == "Sec-Fetch-Mode" {
					// as from a service worker that passes a navigation on
					r.Header.Set("Sec-Fetch-Dest", "empty")
				}
				resp := serve(t, newHandler(t, consentLine+tc.lines), r, func(w http.ResponseWriter, r *http.Request) error {
					w.Header().Set("Content-Encoding", coding)
					return pageHandler(w, r)
				})
				if got := strings.Join(resp.Header["Vary"], "|"); got != tc.want {
					t.Errorf("%s, %q, %s, %s: Vary %s, want %s", field, tc.lines, tc.cookies, coding, got, tc.want)
				}
			}
		}
	}
}

// A 304 to a fetch() of a page has the Vary that a 200 would have. Otherwise the browser
// could use its copy from before consent for the document. A 304 that cannot be for a
// page is left alone.
func TestVaryOf304(t *testing.T) {
	for _, tc := range []struct {
		name, cookies string
		fields        []string
		want          string
	}{
		{"a document", granted, nil, "Cookie, Sec-GPC"},
		{"a document, without consent", unknown, nil, "Cookie, Sec-GPC"},
		{"fetch", granted, []string{"Sec-Fetch-Dest: empty", "Accept: */*"}, "Cookie, Sec-GPC, Sec-Fetch-Dest"},
		{"fetch, by who refused and has an id", denied + "; kapa_web_id=" + idA, []string{"Sec-Fetch-Dest: empty", "Accept: */*"}, "Cookie, Sec-GPC, Sec-Fetch-Dest"},
		{"fetch, in full", granted, []string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors", "Accept: */*"}, "Cookie, Sec-GPC, Sec-Fetch-Mode"},
		{"a service worker that passes a navigation on", unknown, []string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: navigate"}, "Cookie, Sec-GPC"},
		{"fetch, without consent", unknown, []string{"Sec-Fetch-Dest: empty", "Accept: */*"}, ""},
		{"htmx", granted, []string{"Sec-Fetch-Dest: empty", "Accept: */*", "HX-Request: true"}, "Cookie, Sec-GPC, Hx-Request"},
		{"data", granted, []string{"Sec-Fetch-Dest: empty", "Accept: application/json, text/plain, */*"}, ""},
		{"an image", granted, []string{"Sec-Fetch-Dest: image", "Accept: image/*,*/*;q=0.8"}, ""},
		{"a script", granted, []string{"Sec-Fetch-Dest: script", "Accept: */*"}, ""},
		{"an API", granted, []string{"Sec-Fetch-Dest: ", "Accept: application/json"}, ""},
	} {
		r := newRequest(t, "GET", "/", "Cookie: "+tc.cookies, `If-None-Match: "v1"`)
		for _, field := range tc.fields {
			name, value, _ := strings.Cut(field, ": ")
			r.Header.Set(name, value)
			if value == "" {
				r.Header.Del(name)
			}
		}
		resp := serve(t, newHandler(t, consentLine), r, answer(304, "", ""))
		if got := strings.Join(resp.Header["Vary"], "|"); got != tc.want {
			t.Errorf("%s: Vary %q, want %q", tc.name, got, tc.want)
		}
	}
}

// The origin is asked for the whole page without compression, only if its response may
// be changed. Handlers that run later see the request as it was.
func TestRequestToTheOrigin(t *testing.T) {
	fields := []string{
		"Accept-Encoding: gzip, br", `If-None-Match: "v1"`, "If-Modified-Since: Mon, 02 Nov 2026 10:00:00 GMT",
		`If-Range: "v1"`, "Range: bytes=0-9",
	}
	for _, tc := range []struct {
		name   string
		lines  string
		fields []string
		edited bool
	}{
		{"granted", "", []string{"Cookie: " + granted}, true},
		{"untracked", "without_consent untracked", []string{"Cookie: " + unknown}, true},
		{"no consent", "", nil, false},
		{"denied", "", []string{"Cookie: " + denied}, false},
		{"another page", "pages /x", []string{"Cookie: " + granted}, false},
		{"a fragment", "", []string{"Cookie: " + granted, "Hx-Request: true"}, false},
		{"curl, which may mean a download", "", []string{"Cookie: " + granted, "Sec-Fetch-Dest: ", "Accept: */*"}, false},
		{"a player, which names nothing", "", []string{"Cookie: " + granted, "Sec-Fetch-Dest: ", "Accept: "}, false},
	} {
		for _, fails := range []bool{false, true} {
			r := newRequest(t, "GET", "/", fields...)
			for _, field := range tc.fields {
				name, value, _ := strings.Cut(field, ": ")
				r.Header.Set(name, value)
				if value == "" {
					r.Header.Del(name)
				}
			}
			before := r.Header.Clone()
			var seen http.Header
			err := newHandler(t, consentLine+tc.lines).ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				seen = r.Header.Clone()
				if fails {
					return errors.New("broken")
				}
				return pageHandler(w, r)
			}))
			if (err != nil) != fails {
				t.Fatal(err)
			}
			edited := seen.Get("Accept-Encoding") == "gzip" && seen.Get("If-None-Match")+seen.Get("If-Modified-Since")+seen.Get("If-Range")+seen.Get("Range") == ""
			if edited != tc.edited || !edited && !equalHeader(seen, before) {
				t.Errorf("%s: the origin was sent %v", tc.name, seen)
			}
			if !equalHeader(r.Header, before) {
				t.Errorf("%s: afterwards the request has %v", tc.name, r.Header)
			}
		}
	}
}

func equalHeader(a, b http.Header) bool {
	var x, y bytes.Buffer
	a.Write(&x)
	b.Write(&y)
	return x.String() == y.String()
}

// After an error nothing is written, Serve returns the same error, and an error route
// starts with a clean header.
func TestErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		name string
		next caddyhttp.HandlerFunc
	}{
		{"at once", func(http.ResponseWriter, *http.Request) error { return broken }},
		{"after the header", func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", "71")
			w.WriteHeader(200)
			return broken
		}},
		{"in the head", func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", "71")
			w.Header().Set("Etag", `"v1"`)
			w.Header().Set("Cache-Control", "public")
			io.WriteString(w, samplePage[:30])
			return broken
		}},
		{"in a compressed page", func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip")
			zipped := zip(t, samplePage)
			w.Write(zipped[:len(zipped)-12])
			return broken
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, consentLine)
			r := newRequest(t, "GET", "/", "Cookie: "+granted)
			w := &tracker{ResponseRecorder: httptest.NewRecorder()}
			if err := h.ServeHTTP(w, r, tc.next); err != broken {
				t.Fatalf("error %v", err)
			}
			if w.calls != nil || len(w.Header()) != 0 {
				t.Errorf("calls %v, header %v", w.calls, w.Header())
			}
			if o, _ := outcomeOf(r); o != outcome.Error {
				t.Errorf("outcome %s", o)
			}
			// the same directive in the error route
			if err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(answer(500, "text/html", samplePage))); err != nil {
				t.Fatal(err)
			}
			if w.Body.String() != taggedPage {
				t.Errorf("error page: %s", w.Body.String())
			}
		})
	}
	t.Run("a denied visitor's id stays: the error route may say that any cache may keep its page", func(t *testing.T) {
		for name, next := range map[string]caddyhttp.HandlerFunc{
			"at once": func(http.ResponseWriter, *http.Request) error { return broken },
			"after a flush": func(w http.ResponseWriter, _ *http.Request) error { // which encode keeps to itself
				w.Header().Set("Content-Type", "text/html")
				http.NewResponseController(w).Flush()
				return broken
			},
		} {
			h := newHandler(t, consentLine)
			w := &tracker{ResponseRecorder: httptest.NewRecorder()}
			r := newRequest(t, "GET", "/", "Cookie: "+denied+"; kapa_web_id="+idA)
			if err := h.ServeHTTP(w, r, next); err != broken {
				t.Fatal(err)
			}
			if w.Header()["Set-Cookie"] != nil {
				t.Errorf("%s: header %v", name, w.Header())
			}
		}
	})
}

// A proxy panics if its origin breaks off: no held byte leaves.
func TestAbort(t *testing.T) {
	zipped := zip(t, samplePage)
	for coding, part := range map[string]string{"": samplePage[:30], "gzip": string(zipped[:len(zipped)-12])} {
		h := newHandler(t, consentLine)
		r := newRequest(t, "GET", "/", "Cookie: "+granted)
		w := &tracker{ResponseRecorder: httptest.NewRecorder()}
		func() {
			defer func() {
				if recover() != http.ErrAbortHandler {
					t.Errorf("%q: the panic did not come out as it was", coding)
				}
			}()
			_ = h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
				w.Header().Set("Content-Type", "text/html")
				w.Header().Set("Content-Encoding", coding)
				io.WriteString(w, part)
				panic(http.ErrAbortHandler)
			}))
		}()
		if w.calls != nil {
			t.Errorf("%q: calls: %v", coding, w.calls)
		}
		if o, _ := outcomeOf(r); o != outcome.Aborted {
			t.Errorf("%q: outcome %s", coding, o)
		}
	}
}

// If the client leaves, the response is aborted, even if the handler behind returns no
// error. A body that the response must not have does not abort it.
func TestClientThatLeaves(t *testing.T) {
	files := func(w http.ResponseWriter, r *http.Request) error {
		http.ServeContent(w, r, "page.html", time.Time{}, strings.NewReader(samplePage+filler)) // says nothing
		return nil
	}
	careless := func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/html")
		for range 3 {
			io.WriteString(w, samplePage+filler)
		}
		return nil
	}
	for _, tt := range []struct {
		name    string
		cookies string
		next    caddyhttp.HandlerFunc
		err     error
		want    outcome.Outcome
	}{
		{"a file with the tag", granted, files, net.ErrClosed, outcome.Aborted},
		{"a file without it", unknown, files, net.ErrClosed, outcome.Aborted},
		{"a page with the tag", granted, careless, net.ErrClosed, outcome.Aborted},
		{"a page without it", unknown, careless, net.ErrClosed, outcome.Aborted},
		{"data, and its handler says so", granted, answer(200, "application/json", "{}"), net.ErrClosed, outcome.Aborted},
		{"no body is allowed", granted, func(w http.ResponseWriter, r *http.Request) error {
			_ = answer(304, "text/html", samplePage)(w, r)
			return nil
		}, http.ErrBodyNotAllowed, outcome.NotModified},
		{"the body is longer than the header says", unknown, careless, http.ErrContentLength, outcome.NoConsent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRequest(t, "GET", "/", "Cookie: "+tt.cookies)
			err := newHandler(t, consentLine).ServeHTTP(&leaver{httptest.NewRecorder(), tt.err}, r, tt.next)
			if o, _ := outcomeOf(r); o != tt.want {
				t.Errorf("%s, %v", o, err)
			}
		})
	}
	t.Run("before the origin answers", func(t *testing.T) { // as reverse_proxy says it
		for gone, want := range map[bool]outcome.Outcome{true: outcome.Aborted, false: outcome.Denied} { // 499 is some sites' own, too
			r := newRequest(t, "GET", "/", "Cookie: "+denied+"; kapa_web_id="+idA)
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			r = r.WithContext(ctx)
			resp := serve(t, newHandler(t, consentLine), r, func(w http.ResponseWriter, r *http.Request) error {
				if gone {
					cancel()
					return answer(499, "", "")(w, r)
				}
				return answer(499, "text/html", samplePage)(w, r)
			})
			if o, _ := outcomeOf(r); o != want || (idLines(resp) == nil) != gone {
				t.Errorf("gone %v: %s, %v", gone, o, resp.Header)
			}
		}
	})
	t.Run("a question of the loader", func(t *testing.T) {
		h := newHandler(t, loaderLines)
		r := questionOf(t, h, "/", "Cookie: "+granted)
		err := h.ServeHTTP(&leaver{httptest.NewRecorder(), net.ErrClosed}, r, caddyhttp.HandlerFunc(pageHandler))
		if o, _ := outcomeOf(r); o != outcome.Aborted || err != nil {
			t.Errorf("%s, %v", o, err)
		}
	})
}

// A tunnel's outcome is known when the tunnel has ended.
func TestTunnels(t *testing.T) {
	refused := errors.New("no tunnels here")
	for want, next := range map[outcome.Outcome]caddyhttp.HandlerFunc{
		outcome.Upgrade: answer(200, "", ""),
		outcome.Error:   func(http.ResponseWriter, *http.Request) error { return refused },
		outcome.Aborted: func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) },
	} {
		r := newRequest(t, "CONNECT", "/", "Cookie: "+granted)
		func() {
			defer func() { _ = recover() }()
			_ = newHandler(t, consentLine).ServeHTTP(httptest.NewRecorder(), r, next)
		}()
		if o, _ := outcomeOf(r); o != want {
			t.Errorf("%s, want %s", o, want)
		}
	}
}

// A leaver is a client to which no body gets through.
type leaver struct {
	*httptest.ResponseRecorder
	err error
}

func (w *leaver) Write([]byte) (int, error) { return 0, w.err }

// A handler that writes nothing, or flushes before it writes, gets the same response as
// without the directive.
func TestSilentHandlers(t *testing.T) {
	h := newHandler(t, consentLine)
	w := httptest.NewRecorder()
	nothing := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	if err := h.ServeHTTP(w, newRequest(t, "GET", "/", "Cookie: "+denied+"; kapa_web_id="+idA), nothing); err != nil || len(w.Header()["Set-Cookie"]) != 2 {
		t.Errorf("a withdrawal that nobody answers: %v, %v", w.Header(), err)
	}
	for cookies, want := range map[string]string{granted: "header write", unknown: "flush header write"} {
		w := &tracker{ResponseRecorder: httptest.NewRecorder()}
		_ = h.ServeHTTP(w, newRequest(t, "GET", "/", "Cookie: "+cookies), caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			http.NewResponseController(w).Flush()
			return answer(404, "text/html", samplePage)(w, r)
		}))
		if got := strings.Join(w.calls, " "); got != want || w.Code != 404 {
			t.Errorf("%s: a flush before the status: %s, %d", cookies, got, w.Code)
		}
	}
}

// Of several blocks the first that fits claims the request.
func TestSeveralBlocks(t *testing.T) {
	block := func(pages, id string) *Handler {
		h := newHandler(t, consentLine+"pages "+pages+"\ndata-block "+id)
		return h
	}
	one, two, rest := block("/one", "1"), block("/two", "2"), block("*", "3")
	chain := func(r *http.Request, next caddyhttp.HandlerFunc) *http.Response {
		return serve(t, one, r, func(w http.ResponseWriter, r *http.Request) error {
			return two.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				return rest.ServeHTTP(w, r, next)
			}))
		})
	}
	for path, want := range map[string]string{"/one": "1", "/two": "2", "/other": "3"} {
		r := newRequest(t, "GET", path, "Cookie: "+granted)
		body := bodyOf(t, chain(r, pageHandler))
		if strings.Count(body, "data-block=") != 1 || !strings.Contains(body, `data-block="`+want+`"`) {
			t.Errorf("%s: %s", path, body)
		}
		if o, _ := outcomeOf(r); o != outcome.Injected {
			t.Errorf("%s: outcome %s", path, o)
		}
		r = newRequest(t, "GET", path, "Cookie: "+denied+"; kapa_web_id="+idA)
		if lines := idLines(chain(r, pageHandler)); len(lines) != 2 {
			t.Errorf("%s: the id is deleted by %q", path, lines)
		}
	}
	t.Run("no block fits: the id of a denied visitor still goes, once", func(t *testing.T) {
		r := newRequest(t, "GET", "/x", "Cookie: "+denied+"; kapa_web_id="+idA)
		resp := serve(t, one, r, func(w http.ResponseWriter, r *http.Request) error {
			return two.ServeHTTP(w, r, caddyhttp.HandlerFunc(pageHandler))
		})
		if lines := idLines(resp); len(lines) != 2 {
			t.Errorf("%q", lines)
		}
		if o, _ := outcomeOf(r); o != outcome.OtherPage {
			t.Errorf("outcome %s", o)
		}
	})
}

// pages matches the path that the visitor asked for, not the rewritten one.
func TestPagesBeforeRewrites(t *testing.T) {
	h := newHandler(t, consentLine+"pages /tickets/* /contact")
	for path, want := range map[string]outcome.Outcome{
		"/tickets/new": outcome.Injected, "/Tickets/New": outcome.Injected, "/tickets//new": outcome.Injected, "/contact": outcome.Injected,
		"/": outcome.OtherPage, "/tickets": outcome.OtherPage, "/contact/": outcome.OtherPage, "/index.php": outcome.OtherPage,
	} {
		for _, rewritten := range []string{path, "/index.php", "/tickets/x"} {
			r := newRequest(t, "GET", path, "Cookie: "+granted)
			r.URL.Path = rewritten
			serve(t, h, r, pageHandler)
			if o, _ := outcomeOf(r); o != want {
				t.Errorf("%s, rewritten to %s: %s", path, rewritten, o)
			}
			if r.URL.Path != rewritten {
				t.Errorf("the request's path is now %s", r.URL.Path)
			}
		}
	}
}

// An early flush is judged by the header as it is then. A header that has changed
// when the status comes is judged again.
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
