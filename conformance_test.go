package kapadeflector

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http/httpguts"
)

// What a handler that changes bodies can do wrong, one named scenario each.
//
// Every scenario runs against a Caddy with and without encode, over each
// protocol, and each time on two sites that differ only in the directive.
// Whoever has not consented must not be able to tell them apart, but for Vary.
// What a visitor who has consented gets is what the table says.

// A scenario is one kind of response. Numbers after a name are RFC sections or
// Caddy's issues.
type scenario struct {
	name   string
	site   string                // what Caddy does; default: it proxies to origin
	origin http.HandlerFunc      // behind reverse_proxy
	inside caddyhttp.HandlerFunc // a handler of Caddy itself, instead

	method string   // default: GET
	path   string   // default: /
	fields []string // of the request
	form   string   // its body

	// What the origin sends and flushes. It goes on with the next step when
	// the client says that it has the one before.
	steps []string

	outcome string                            // default: injected
	want    func(x *trial, plain, got result) // default: (*trial).tagged

	run    func(x *trial)    // replaces all of the above but site and origin
	cannot map[string]string // protocols and "encode", and why
}

// The sites. ENCODE and KAPA stand for the two directives, in those variants
// of the site that have them.
const (
	proxySite  = "ENCODE\nKAPA\nreverse_proxy ORIGIN"
	insideSite = "ENCODE\nKAPA\nconformance_inside"
	fileSite   = "ENCODE\nKAPA\nroot * ROOT\nfile_server"
	// encode with another minimum than its own
	atLeast2000 = "ENCODE(minimum_length 2000)\nKAPA\nconformance_inside"
)

var (
	filler   = strings.Repeat("0123456789", 600)
	longPage = page + filler
	hugePage = page + strings.Repeat(filler, 50)
	longHead = strings.Replace(page, "t</title>", filler+"</title>", 1)
	hugeHead = strings.Replace(page, "t</title>", strings.Repeat(filler, 30)+"</title>", 1)
)

var scenarios = []scenario{
	// The length of the body: rows 1 and 29.
	{name: "a page of known length", // 9110 8.6
		origin: document(longPage), want: func(x *trial, plain, got result) {
			x.tagged(plain, got)
			if x.wrap == "bare" && got.length != plain.length+int64(len(staticTag)) {
				x.Errorf("Content-Length %d, without the tag %d", got.length, plain.length)
			}
		}},
	{name: "a short page of known length", origin: document(page)},
	{name: "a short page of unknown length", origin: steps("Content-Type: text/html"), steps: []string{page}},
	{name: "a page of unknown length", origin: chunks(longPage)},
	{name: "a page in a handler's own writes", inside: ok(chunks(page[:30], page[30:60], page[60:]+filler))},
	{name: "a page without a type", // 9110 8.3: Go names it by its first bytes
		inside: ok(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, longPage) })},

	// What Write returns: row 2.
	{name: "a page in many writes through a proxy", origin: chunks(strings.SplitAfter(hugePage, "9")[:400]...)},
	{name: "every write is taken whole", inside: func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "text/html")
		for rest := longPage; rest != ""; {
			p := rest[:min(len(rest), 1+len(rest)/3)]
			if n, err := io.WriteString(w, p); n != len(p) || err != nil {
				return fmt.Errorf("wrote %d of %d: %v", n, len(p), err)
			}
			rest = rest[len(p):]
		}
		return nil
	}},

	// Whether encode compresses is decided by the first write: rows 3 and 4.
	{name: "a small first write with a length",
		inside: ok(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Length", itoa(len(longPage)))
			io.WriteString(w, longPage[:15])
			io.WriteString(w, longPage[15:])
		}),
		want: compressed},
	{name: "a small first write without a length", // held back, it is none
		inside: ok(chunks(longPage[:15], longPage[15:]))},
	{name: "a large first write without a length", inside: ok(chunks(longPage)), want: compressed},
	{name: "ReadFrom without a length",
		inside: func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(longPage)}) // not its WriteTo
			return err
		},
		want: compressed},
	// encode's minimum, 512 bytes, is about what is sent: the tag may carry a
	// page over it, and it is then compressed as any page of its size. The other
	// way there is none: what would be compressed without the tag is with it.
	{name: "a page that stays below encode's minimum", origin: document(titled(512 - len(staticTag))), want: compressedOnly(false, false)},
	{name: "a page that the tag carries over it", origin: document(titled(513 - len(staticTag))), want: compressedOnly(false, true)},
	{name: "a page at the minimum", origin: document(titled(512)), want: compressedOnly(false, true)},
	{name: "a page above it", origin: document(titled(513)), want: compressedOnly(true, true)},
	{name: "a page of unknown length that stays below it", inside: ok(chunks(titled(512 - len(staticTag)))), want: compressedOnly(false, false)},
	{name: "a page of unknown length that the tag carries over it", inside: ok(chunks(titled(513 - len(staticTag)))), want: compressedOnly(false, true)},
	{name: "a page of unknown length at the minimum", inside: ok(chunks(titled(512))), want: compressedOnly(false, true)},
	{name: "a page of unknown length above it", inside: ok(chunks(titled(513))), want: compressedOnly(true, true)},
	{name: "an early flush, and a length", // by which encode goes, not by what is flushed
		inside: flushed(itoa(len(longPage)), longPage[:40], longPage[40:]), want: compressedOnly(true, true)},
	{name: "an early flush, a length, and another minimum", site: atLeast2000,
		inside: flushed(itoa(len(longHead)), longHead[:1000], longHead[1000:3000], longHead[3000:]), want: compressedOnly(true, true)},
	{name: "a first write that is flushed amid a tag", // and may not become a smaller one
		inside: flushed("", headOf(510)+"</he", "ad>"+filler), want: compressedOnly(true, true)},
	{name: "a first write above another minimum, flushed amid a tag", site: atLeast2000,
		inside: flushed("", headOf(1998)+"</he", "ad>"+filler), want: compressedOnly(true, true)},
	{name: "a length beside trailers",
		inside: func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Length", itoa(len(page+filler)))
			chunked(page, "Trailer: X-Sum")(w, r)
			io.WriteString(w, filler)
			return nil
		},
		want: compressedOnly(true, true)},
	{name: "a first write that fits no buffer", inside: ok(chunks(page + strings.Repeat(filler, 20))), want: compressedOnly(true, true)},
	{name: "a small first write, then one that fits no buffer",
		inside: flushed(itoa(len(hugeHead)), hugeHead[:40], hugeHead[40:]), want: compressedOnly(true, true)},
	{name: "ReadFrom of a large page", // row 5
		inside: func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(hugePage)})
			return err
		}},
	{name: "a file", site: fileSite, path: "/page.html", want: compressed},
	{name: "a large file", site: fileSite, path: "/huge.html", want: compressed}, // caddy#5022
	{name: "a precompressed file", site: strings.Replace(fileSite, "file_server", "file_server {\nprecompressed gzip\n}", 1), path: "/zipped.html",
		want: func(x *trial, plain, got result) { // the file itself is another representation
			if plain.header.Get("Content-Encoding") != "gzip" {
				x.Fatalf("without the directive: %v", plain.header)
			}
			x.tagged(x.ask(false, granted, "Accept-Encoding: "), got)
		}},
	{name: "a file that is no page", site: fileSite, path: "/data.json", outcome: "not_html", want: untouched},

	// Compressed origins: rows 6 and 7.
	{name: "an origin that compresses when it is asked to",
		origin: func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				encoded("gzip", zipped(longPage))(w, r)
				return
			}
			document(longPage)(w, r)
		},
		want: func(x *trial, plain, got result) {
			plain.header.Del("Content-Encoding")
			x.tagged(plain, got)
		}},
	{name: "an origin that always compresses", origin: encoded("gzip", zipped(longPage)),
		want: func(x *trial, plain, got result) {
			plain.header.Del("Content-Encoding") // bare, it is not compressed again
			x.tagged(plain, got)
		}},
	{name: "gzip without the field that says so", origin: document(zipped(longPage)),
		want: func(x *trial, plain, got result) {
			plain.body = unzipped(plain.body)
			x.tagged(plain, got)
		}},
	{name: "gzip that ends too soon", origin: encoded("gzip", zipped(longPage)[:40]), outcome: "error", want: badGateway502, // before anything was sent
		site: proxySite + "\nhandle_errors {\nrespond `page of {err.status_code}`\n}"},
	{name: "gzip that is corrupt from its header on", origin: encoded("gzip", "\x1f\x8b\x08\xff"+zipped(longPage)[4:]), outcome: "error", want: badGateway502,
		site: proxySite + "\nhandle_errors {\nrespond `page of {err.status_code}`\n}"},
	{name: "gzip that ends too soon, after the tag", origin: encoded("gzip", strings.TrimSuffix(zipped(longPage), zipped(longPage)[len(zipped(longPage))-4:])), outcome: "aborted", want: brokenOff},
	{name: "the label gzip on plain bytes", origin: encoded("gzip", longPage), want: mislabelled},
	{name: "the label gzip on plain bytes, by single bytes, flushed",
		inside: func(w http.ResponseWriter, r *http.Request) error {
			setFields(w, []string{"Content-Type: text/html", "Content-Encoding: gzip"})
			return flushed("", longPage[:1], longPage[1:2], longPage[2:])(w, r)
		}, want: mislabelled},
	{name: "the label gzip on deflate", origin: encoded("gzip", deflated(longPage)), run: unreadable},
	{name: "another coding", origin: encoded("br", longPage), outcome: "encoded", want: untouched}, // 9110 8.4
	{name: "Accept-Encoding at the origin", run: acceptEncoding},
	{name: "Accept-Encoding in an error route", // caddy keeps the edited header there
		site:    "ENCODE\nKAPA\nerror 502\nhandle_errors {\nrespond {http.request.header.Accept-Encoding}\n}",
		outcome: "error",
		want: func(x *trial, plain, got result) {
			untouched(x, plain, got)
			if got.body != "gzip" {
				x.Errorf("the error route saw %q", got.body)
			}
		}},

	// The order of handlers: rows 8 and 9.
	{name: "a template", site: "ENCODE\nKAPA\nroot * ROOT\ntemplates\nfile_server", path: "/template.html", want: compressed},
	{name: "an intercepted response", origin: reply(503, filler),
		site: "ENCODE\nKAPA\nintercept {\n@bad status 503\nhandle_response @bad {\nheader Content-Type text/html\nrespond `" + page + "` 503\n}\n}\nreverse_proxy ORIGIN"},
	{name: "a cache further out", // 9111 3.5, 9213
		origin: document(longPage, "Cache-Control: public, max-age=600", "CDN-Cache-Control: max-age=600", "Cloudflare-CDN-Cache-Control: max-age=600",
			"Surrogate-Control: max-age=600", "X-Accel-Expires: 600", "Expires: Thu, 01 Jan 2099 00:00:00 GMT"),
		want: func(x *trial, plain, got result) {
			for _, field := range []string{"CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Surrogate-Control", "X-Accel-Expires", "Expires"} {
				if plain.header.Get(field) == "" || got.header[http.CanonicalHeaderKey(field)] != nil {
					x.Errorf("%s: %q", field, got.header.Get(field))
				}
				plain.header.Del(field)
			}
			x.tagged(plain, got)
		}},
	{name: "a page that nobody may keep", origin: document(page, "Cache-Control: no-store"),
		want: func(x *trial, plain, got result) {
			if cc := got.header.Get("Cache-Control"); cc != "no-store" {
				x.Errorf("Cache-Control: %s", cc)
			}
			got.header.Set("Cache-Control", "private, no-cache")
			x.tagged(plain, got)
		}},

	{name: "a page that nobody may keep, in a quoted string", // 9110 5.6.4
		origin: document(page, `Cache-Control: community="UCI, no-store, x", no-cache="X-A, no-transform"`)},

	// Ranges: row 10; 9110 14.
	{name: "206", origin: reply(206, page, "Content-Type: text/html", "Content-Range: bytes 0-70/71", "Content-Length: 71", "ETag: \"v1\""),
		outcome: "partial", want: untouched},
	{name: "Content-Range under another status", origin: document(page, "Content-Range: bytes */71"), outcome: "partial", want: untouched},
	{name: "a range of a file", site: fileSite, path: "/page.html", fields: []string{"Range: bytes=10-19"},
		want: func(x *trial, plain, got result) {
			if plain.status != 206 || plain.body != longPage[10:20] {
				x.Fatalf("without the directive: %d %q", plain.status, plain.body)
			}
			x.tagged(x.ask(false, granted, "Range: "), got)
		}},

	{name: "a range of a file, for a player", site: fileSite, path: "/data.json", fields: append(saysNothing, "Range: bytes=2-5"), outcome: "partial",
		want: func(x *trial, plain, got result) {
			untouched(x, plain, got)
			if got.status != 206 || got.body != "html" {
				x.Errorf("%d %q", got.status, got.body)
			}
		}},
	{name: "a range of a page, for curl", site: fileSite, path: "/page.html", fields: append(saysNothing, "Accept: */*", "Range: bytes=10-19"), outcome: "partial",
		want: func(x *trial, plain, got result) {
			plain.header.Add("Vary", "Accept")
			untouched(x, plain, got)
			if got.status != 206 || got.body != longPage[10:20] {
				x.Errorf("%d %q", got.status, got.body)
			}
		}},
	{name: "a feed that its reader has", origin: reply(304, "", `ETag: "v1"`), fields: append(saysNothing, "Accept: */*", `If-None-Match: "v1"`), outcome: "not_modified",
		want: func(x *trial, plain, got result) { // a 304 does not say that it is no page
			plain.header.Add("Vary", "Accept")
			untouched(x, plain, got)
		}},
	{name: "copies that curl has of a page", origin: validated, run: copies},

	// Responses without a body: rows 11 and 12; 9110 9.3.2, 15.
	{name: "HEAD", method: "HEAD", origin: document(longPage, `ETag: "v1"`), outcome: "no_body", want: likeGET},
	{name: "HEAD of a file", method: "HEAD", site: fileSite, path: "/page.html", outcome: "no_body", want: likeGET},
	{name: "204", origin: reply(204, "", "Content-Type: text/html"), outcome: "no_body", want: untouched},
	{name: "205", origin: reply(205, "", "Content-Type: text/html"), outcome: "no_body", want: untouched},
	{name: "304", origin: reply(304, "", `ETag: "v1"`), outcome: "not_modified", want: untouched},
	{name: "a redirect with a page", origin: reply(302, page, "Content-Type: text/html", "Location: /there"), outcome: "redirect", want: untouched},
	{name: "200 without a body", origin: reply(200, "", "Content-Type: text/html", "Content-Length: 0"), outcome: "no_body", want: untouched},
	{name: "nothing at all", inside: ok(func(http.ResponseWriter, *http.Request) {}), outcome: "no_body", want: untouched}, // caddy#5059

	// Informational responses: rows 13 and 14; 8297, caddy#6164.
	{name: "103, then 404", origin: hinted(404), want: func(x *trial, plain, got result) {
		x.tagged(plain, got)
		if got.status != 404 || len(got.hints) != 1 || got.hints[0].Get("Link") == "" ||
			got.hints[0].Get("Set-Cookie")+got.hints[0].Get("Vary")+got.hints[0].Get("Cache-Control") != "" {
			x.Errorf("status %d after the hints %v", got.status, got.hints)
		}
	}},
	{name: "103, then 200, from inside", inside: ok(hinted(200))},
	{name: "103, then an error", // no cookie on an error page
		inside: func(w http.ResponseWriter, r *http.Request) error {
			w.WriteHeader(103)
			return caddyhttp.Error(418, errors.New("no"))
		},
		outcome: "no_body", want: untouched},

	// Validators and conditional requests: row 15; 9110 8.8, 13.
	{name: "a strong validator", origin: document(longPage, `ETag: "v1"`)},
	{name: "a weak validator", origin: document(longPage, `ETag: W/"v1"`)},
	{name: "a date", origin: document(longPage, "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT")},
	{name: "from unknown to consent to withdrawal and back", origin: validated, run: conditional},
	{name: "the same with files", site: fileSite, path: "/page.html", run: conditional},

	// Vary, transformations, digests, policies: rows 16 to 19.
	{name: "Vary is merged", origin: document(page, "Vary: Accept-Language", "Vary: cookie"), // 9110 12.5.5
		want: func(x *trial, plain, got result) {
			x.tagged(plain, got)
			if n := strings.Count(strings.ToLower(strings.Join(got.header["Vary"], ",")), "cookie"); n != 1 {
				x.Errorf("Vary: %q", got.header["Vary"])
			}
		}},
	{name: "Vary: *", origin: document(page, "Vary: *")},
	{name: "no-transform", origin: document(longPage, "Cache-Control: max-age=60", "Cache-Control: No-Transform"), // 9111 5.2.2.6
		outcome: "no_transform", want: untouched},
	{name: "no-transform in the request", origin: document(longPage), fields: []string{"Cache-Control: no-transform"}}, // caddy#5257
	{name: "digests of a page", // 9530, 3230, 1864
		origin: document(longPage, digests...),
		want: func(x *trial, plain, got result) {
			for _, field := range digests {
				name, _, _ := strings.Cut(field, ": ")
				if plain.header.Get(name) == "" || got.header.Get(name) != "" {
					x.Errorf("%s: %q", name, got.header.Get(name))
				}
				plain.header.Del(name)
			}
			x.tagged(plain, got)
		}},
	{name: "digests of what is not changed", origin: document(longPage, append([]string{"Content-Disposition: attachment"}, digests...)...),
		outcome: "attachment", want: untouched},
	{name: "a page whose digest is signed", // 9421: who changes it breaks the signature
		origin: document(longPage, digests[1], `Signature-Input: sig1=("@status" "content-digest");keyid="k"`, "Signature: sig1=:eA==:"),
		run:    func(x *trial) { x.same(x.ask(false, granted), x.ask(true, granted)) }},
	{name: "a policy is not loosened", // CSP3; tagged compares the field
		origin: document(page, "Content-Security-Policy: default-src 'self'; script-src 'self' https://widget.kapa.ai")},

	// Trailers: row 20; 9110 6.5, caddy#3236.
	{name: "trailers", origin: trailed, want: summed},
	{name: "trailers from inside", inside: ok(trailed), want: summed},
	{name: "trailers of a page that is all held", // set before any byte of it can leave
		origin: chunked("<", "Trailer: X-Sum"), want: heldTrailers},
	{name: "trailers of a page that is all head", origin: chunked("<!doctype html><title>t</title>", "Trailer: X-Sum"), want: heldTrailers},
	{name: "trailers of a page that is all held, from inside",
		inside: ok(chunked("<!doctype html><title>t</title><", "Trailer: X-Sum")), want: heldTrailers},
	{name: "trailers set amid the head, and then a flush",
		inside: ok(func(w http.ResponseWriter, r *http.Request) {
			chunked("<!doctype html><title>t</title><", "Trailer: X-Sum")(w, r)
			flush(w)
			io.WriteString(w, "/head>"+filler)
		}),
		want: func(x *trial, plain, got result) { wantTrailer(x, got) }},
	{name: "trailers set amid the head, and then the rest of it",
		inside: ok(func(w http.ResponseWriter, r *http.Request) {
			chunked("<!doctype html><title>t</title><", "Trailer: X-Sum")(w, r)
			io.WriteString(w, "/head>"+filler)
		}),
		want: func(x *trial, plain, got result) { wantTrailer(x, got) }},
	{name: "a field of the header that is announced as a trailer too", // and stays in the header
		inside: ok(reply(200, longPage, "Content-Type: text/html", "Trailer: Server-Timing, X-Frame-Options",
			"Server-Timing: app;dur=1", "X-Frame-Options: DENY")),
		want: func(x *trial, plain, got result) {
			x.tagged(plain, got)
			for _, field := range []string{"Server-Timing", "X-Frame-Options"} {
				if x.protocol != "h3" && got.header.Get(field) == "" { // quic-go takes them all for trailers
					x.Errorf("%s: %q", field, got.header[field])
				}
			}
		}},
	{name: "a policy that is announced as a trailer too",
		inside:  ok(reply(200, longPage, "Content-Type: text/html", "Trailer: Content-Security-Policy", "Content-Security-Policy: script-src 'self'")),
		outcome: "csp_blocked", want: untouched},
	{name: "trailers of a page that is dropped for an error",
		site: insideSite + "\nhandle_errors {\nrespond `page of {err.status_code}`\n}",
		inside: func(w http.ResponseWriter, r *http.Request) error {
			chunked("<!doctype html><title>t</title>", "Trailer: X-Sum")(w, r)
			return caddyhttp.Error(502, errors.New("gone"))
		},
		outcome: "error",
		want: func(x *trial, _, got result) {
			if got.err != nil || got.status != 502 || got.body != "page of 502" || got.header["X-Sum"] != nil || got.header["Trailer"] != nil || len(got.trailer) > 0 {
				x.Errorf("%d %v %v %v %s", got.status, got.err, got.header, got.trailer, got.body)
			}
		}},

	// Streams: row 21.
	{name: "flush before the first byte", // caddy#4314
		inside: ok(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			flush(w)
			w.WriteHeader(200)
			flush(w)
			io.WriteString(w, longPage)
		})},
	{name: "flush before the status, and a withdrawal",
		inside: flushed("", "", longPage), run: withdrawal},
	{name: "flush before the status, and then another one", // which counts, where encode has kept the flush to itself
		inside: ok(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			flush(w)
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(404)
			io.WriteString(w, longPage)
		}),
		run: func(x *trial) {
			for _, cookie := range []string{unknown, denied, granted} {
				plain, got := x.ask(false, cookie), x.ask(true, cookie)
				x.same(plain, got)
			}
		}},
	{name: "server-sent events that begin with a flush", inside: lateEvents, run: func(x *trial) {
		for _, cookie := range []string{granted, unknown} {
			resp, ex, err := x.send(true, "GET", "/", nil, "Cookie: "+cookie) // returns with the header
			if err != nil {
				x.Fatal(err)
			}
			ex.next <- struct{}{}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(body) != "data: <head></head>\n\n" || resp.Header["Set-Cookie"] != nil {
				x.Errorf("%v, %v, %q", err, resp.Header, body)
			}
			x.ended(ex, "not_html")
		}
	}, cannot: map[string]string{"encode": "encode keeps a flush before the status to itself, with or without the directive"}},
	{name: "flush before the first byte, through a proxy", steps: []string{page, filler},
		origin: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			flush(w)
			steps()(w, r)
		}},
	{name: "flush before the first byte of something without a type",
		inside: ok(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			w.WriteHeader(200)
			flush(w)
			io.WriteString(w, "just text")
		}),
		outcome: "not_html", want: untouched},
	{name: "flush before the first byte, and no word of a type", // whose type is then nobody's to name
		inside: ok(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			flush(w)
			io.WriteString(w, longPage)
		}),
		outcome: "not_html", want: untouched},
	{name: "flush in the head", // all of it comes at once
		origin: steps("Content-Type: text/html"), steps: []string{"<!doctype html><html><head><title>t</title>", "<meta name=a>", "</head><body>" + filler}},
	{name: "flush in the head, from inside",
		inside: ok(steps("Content-Type: text/html")), steps: []string{"<!doctype html><html><head><title>t</title>", "<meta name=a>", "</head><body>" + filler}},
	{name: "flush behind the tag", origin: steps("Content-Type: text/html"), steps: []string{page, "and ", "on"}},
	{name: "server-sent events", // caddy#6293
		origin: steps("Content-Type: text/event-stream"), steps: []string{"data: <head>\n\n", "data: </head>\n\n", "data: end\n\n"},
		fields: []string{"Sec-Fetch-Dest: empty", "Accept: text/event-stream"}, outcome: "not_html", want: untouched},
	{name: "server-sent events as a document", origin: steps("Content-Type: text/event-stream; charset=utf-8"),
		steps: []string{"data: <head>\n\n", "data: </head>\n\n"}, outcome: "not_html", want: untouched},
	{name: "Incremental", // 10036
		origin: steps("Content-Type: text/html", "Incremental: ?1"), steps: []string{"<!doctype html><head>", "<title>t</title></head>", "<p>"},
		outcome: "not_document", want: untouched},

	// Other protocols: row 22.
	{name: "WebSocket", origin: echo, run: webSocket, cannot: map[string]string{ // 6455
		"h2": "Go's server takes extended CONNECT (8441) under a GODEBUG setting only"}},
	{name: "CONNECT", // 9110 9.3.6
		inside: ok(document(page)), run: func(x *trial) {
			for _, cookie := range []string{granted, denied} {
				resp, ex, err := x.send(true, "CONNECT", "", nil, "Cookie: "+cookie)
				if err != nil {
					x.Fatal(err)
				}
				got := make([]byte, len(page))
				_, err = io.ReadFull(resp.Body, got)
				resp.Body.Close()
				if err != nil || string(got) != page || resp.Header["Set-Cookie"] != nil || resp.Header["Vary"] != nil {
					x.Errorf("%s: %v %v %s", cookie, err, resp.Header, got)
				}
				x.ended(ex, "upgrade")
			}
		}},

	// Statuses, errors, aborts: rows 23 to 25.
	{name: "a second WriteHeader", // the first one counts, though encode takes the last
		inside: ok(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(404)
			w.WriteHeader(500)
			io.WriteString(w, page)
			w.WriteHeader(500)
		}),
		run: func(x *trial) {
			plain := x.ask(false, granted)
			plain.status = 404
			x.tagged(plain, x.ask(true, granted))
			if got := x.ask(true, unknown); got.status != 404 || got.body != page {
				x.Errorf("without consent: %d %s", got.status, got.body)
			}
		}},
	{name: "an error page of the origin, 404", origin: reply(404, page, "Content-Type: text/html")},
	{name: "an error page of the origin, 500", origin: reply(500, longPage, "Content-Type: text/html")},
	{name: "a form shown again, 422", method: "POST", form: "description=", origin: reply(422, page, "Content-Type: text/html")},
	{name: "a form that was sent", method: "POST", form: "description=help", origin: reply(303, "", "Location: /thanks"), outcome: "redirect", want: untouched},
	{name: "the error directive", site: "ENCODE\nKAPA\nerror no 418", outcome: "no_body", want: untouched},
	{name: "a file that is missing", site: fileSite, path: "/missing.html", outcome: "no_body", want: untouched},
	{name: "an origin that is down", site: "ENCODE\nKAPA\nreverse_proxy NOBODY", outcome: "error", want: untouched},
	{name: "handle_errors without the directive",
		site: fileSite + "\nhandle_errors {\nheader Content-Type text/html\nrespond `" + page + "`\n}", path: "/missing.html", outcome: "no_body", want: untouched},
	{name: "handle_errors with the directive",
		site: fileSite + "\nhandle_errors {\nKAPA\nheader Content-Type text/html\nrespond `" + page + "`\n}", path: "/missing.html", outcome: "no_body",
		want: func(x *trial, plain, got result) {
			x.tagged(plain, got)
			if got.status != 404 {
				x.Errorf("status %d", got.status)
			}
		}},
	{name: "an error in the head", // what is held goes nowhere
		site: insideSite + "\nhandle_errors {\nrespond `page of {err.status_code}`\n}",
		inside: func(w http.ResponseWriter, r *http.Request) error {
			document(page[:40])(w, r)
			return caddyhttp.Error(502, errors.New("gone"))
		},
		outcome: "error",
		want: func(x *trial, _, got result) {
			if got.err != nil || got.status != 502 || got.body != "page of 502" || got.header["Set-Cookie"] != nil {
				x.Errorf("%d %v %v %s", got.status, got.err, got.header, got.body)
			}
		}},
	{name: "an abort in the head", inside: aborted(page[:30], false), outcome: "aborted", want: brokenOff},
	{name: "an abort in the head, after a flush", inside: aborted(page[:30], true), outcome: "aborted", want: brokenOff},
	{name: "an abort in the body", inside: aborted(page+filler, true), outcome: "aborted", want: brokenOff},
	{name: "an abort at the end of the page", inside: aborted(page, false), outcome: "aborted", want: brokenOff},
	{name: "an origin that breaks off in the head", origin: broken(page[:30]), outcome: "aborted", want: brokenOff},
	{name: "an origin that breaks off in the body", origin: broken(longPage), outcome: "aborted", want: brokenOff},
	{name: "an origin that breaks off before its length", outcome: "aborted", want: brokenOff,
		origin: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9999")
			broken(longPage)(w, r)
		}},

	// Not a document: row 26.
	{name: "an attachment", origin: document(longPage, `Content-Disposition: attachment; filename="t.html"`), outcome: "attachment", want: untouched}, // 6266
	{name: "inline", origin: document(longPage, `Content-Disposition: inline; filename="t.html"`)},
	{name: "a fragment for htmx", origin: document(page), fields: []string{"HX-Request: true"}, outcome: "not_document",
		want: func(x *trial, plain, got result) { // the document at the same address is another one
			plain.header.Add("Vary", "HX-Request")
			untouched(x, plain, got)
		}},
	{name: "a fragment for Caddy's templates", origin: document(page), fields: []string{"Caddy-Templates-Include: 1"}, outcome: "not_document",
		want: func(x *trial, plain, got result) {
			plain.header.Add("Vary", "Caddy-Templates-Include")
			untouched(x, plain, got)
		}},
	{name: "a page that a script fetches", origin: document(page), fields: []string{"Sec-Fetch-Dest: empty"}, outcome: "not_document",
		want: func(x *trial, plain, got result) {
			plain.header.Add("Vary", "Sec-Fetch-Dest")
			untouched(x, plain, got)
		}},
	{name: "a page that a service worker fetches for a navigation", origin: document(longPage),
		fields: []string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: navigate"}},
	{name: "a page that a script fetches, as browsers say it", origin: document(page),
		fields: []string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors"}, outcome: "not_document",
		want: func(x *trial, plain, got result) { // the service worker's is of the same destination
			plain.header.Add("Vary", "Sec-Fetch-Mode")
			untouched(x, plain, got)
		}},
	{name: "a page that a script fetches from an origin that compresses",
		origin: encoded("gzip", zipped(longPage)), fields: []string{"Sec-Fetch-Dest: empty"}, outcome: "not_document",
		want: func(x *trial, plain, got result) { // lest the browser shows that copy where the document belongs
			plain.header.Add("Vary", "Sec-Fetch-Dest")
			untouched(x, plain, got)
		}},
	{name: "JSON that calls itself HTML", origin: document(`{"html":"<b>x</b>"}`), fields: []string{"Sec-Fetch-Dest: ", "Accept: */*"},
		outcome: "not_document",
		want: func(x *trial, plain, got result) { // who opens it as a page gets the tag
			plain.header.Add("Vary", "Accept")
			untouched(x, plain, got)
		}},
	{name: "a page that <a download> saves", origin: document(longPage),
		fields: []string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: navigate", "Accept: "}, outcome: "not_document",
		want: func(x *trial, plain, got result) { // a service worker's navigation differs in Accept alone
			plain.header.Add("Vary", "Accept")
			untouched(x, plain, got)
		}},
	{name: "heads that are none", origin: document(strings.Replace(longPage, "<title>t",
		"<!-- </head> --><script>'</head>'</script><style></head></style><title></head>", 1)),
		want: func(x *trial, plain, got result) {
			if want := strings.Replace(plain.body, "</title></head>", "</title>"+staticTag+"</head>", 1); got.body != want {
				x.Errorf("body %.800s", got.body)
			}
		}},
	{name: "a template in the head", origin: document(strings.Replace(longPage, "<title>", "<template><head></head></template><title>", 1)),
		want: func(x *trial, plain, got result) { // still in the head, and before what is not worth reading
			if want := strings.Replace(plain.body, "<template>", staticTag+"<template>", 1); got.body != want {
				x.Errorf("body %.800s", got.body)
			}
		}},
	{name: "header is not head", origin: document("<!doctype html><title>t</title><header>x</header>"),
		want: func(x *trial, plain, got result) {
			if want := strings.Replace(plain.body, "<header>", staticTag+"<header>", 1); got.body != want {
				x.Errorf("body %s", got.body)
			}
		}},
	{name: "UTF-16", origin: reply(200, "<\x00!\x00", "Content-Type: text/html; charset=utf-16le"), outcome: "charset", want: untouched},
	{name: "two types, the last is not HTML", origin: reply(200, longPage, "Content-Type: text/html", "Content-Type: text/plain"), outcome: "not_html", want: untouched},
	{name: "two types, the last is HTML", origin: reply(200, longPage, "Content-Type: text/plain", "Content-Type: text/html")},
	{name: "UTF-16 in another spelling", origin: reply(200, longPage, `Content-Type: text/html; x="; charset=utf-8; y"; charset=" utf\-16le"`), outcome: "charset", want: untouched},
	{name: "AMP", origin: document("<!doctype html><html amp><head></head>" + filler), outcome: "amp", want: untouched},
	{name: "a page that has the tag", origin: document(taggedPage), outcome: "already_present", want: untouched},

	// Content-Security-Policy: row 19.
	{name: "a policy that lets the tag in", origin: document(longPage, "Content-Security-Policy: script-src https:", "ETag: \"v1\"")},
	{name: "a policy that blocks it", origin: document(longPage, "Content-Security-Policy: script-src 'self'", "ETag: \"v1\""),
		outcome: "csp_blocked", want: untouched},
	{name: "a policy in the page that blocks it", origin: document(pageWith(cspMeta + `script-src 'self'">`)), outcome: "csp_blocked", want: untouched},
	{name: "a policy with a nonce", origin: document(longPage, "Content-Security-Policy: script-src 'nonce-R2xvYmFs'", "ETag: \"v1\""),
		want: func(x *trial, plain, got result) {
			plain.header.Del("ETag") // it says nothing about bytes that depend on the answer
			x.taggedWith(tagWith("R2xvYmFs"), plain, got)
			if x.wrap == "bare" && got.length != plain.length+int64(len(tagWith("R2xvYmFs"))) {
				x.Errorf("Content-Length %d, without the tag %d", got.length, plain.length)
			}
		}},
	{name: "a policy that is extended", origin: document(longPage, "Content-Security-Policy: script-src 'self'", "ETag: \"v1\""),
		site: strings.Replace(proxySite, "KAPA", "KAPA(csp extend)", 1),
		want: func(x *trial, plain, got result) {
			if csp := got.header.Get(cspField); csp != "script-src 'self' "+kapaSource {
				x.Errorf("policy %s", csp)
			}
			got.header.Set(cspField, plain.header.Get(cspField))
			x.tagged(plain, got)
		}},
	{name: "a policy by a header directive outside", origin: document(longPage), outcome: "csp_blocked", want: untouched,
		site: "header Content-Security-Policy \"script-src 'self'\"\n" + proxySite},
	{name: "a policy by a deferred header directive outside", origin: document(longPage), outcome: "header_overridden",
		site: "header >Content-Security-Policy \"script-src 'self'\"\n" + proxySite},
	{name: "a policy that lets the tag in, by a deferred header directive outside", origin: document(longPage),
		site: "header >Content-Security-Policy \"script-src https:\"\n" + proxySite},

	// Whose page it is: rows 27 and 28.
	{name: "placeholders of two visitors at once", run: placeholders,
		site:   strings.Replace(proxySite, "KAPA", "KAPA(data-x {http.request.header.X-Name})", 1),
		origin: rendezvous},
	{name: "another case of the cookie's name", origin: document(longPage), run: refused("Cookie_Consent=accepted")}, // 6265 5.4
	{name: "another case of its value", origin: document(longPage), run: refused("cookie_consent=Accepted")},
	{name: "cookies that disagree", origin: document(longPage), run: refused(granted + "; " + denied)},
	{name: "cookies that disagree, in two lines", origin: document(longPage), run: refused(granted, denied)}, // 9113 8.2.3
	{name: "cookies that agree", origin: document(longPage), run: func(x *trial) {
		x.tagged(x.ask(false, granted), x.ask(true, granted+"; "+granted))
	}},
	{name: "a withdrawal deletes the id", origin: document(longPage, "Cache-Control: max-age=60"), run: withdrawal},

	// Configurations.
	{name: "a deferred header directive outside", site: deferred, origin: document(longPage),
		outcome: "header_overridden", want: overridden},
	{name: "a deferred header directive outside, over a page that is all head", site: deferred, origin: document("<!doctype html><title>t</title>"),
		outcome: "header_overridden", want: func(x *trial, plain, got result) {
			plain.body += "</head>" // which is where the tag belongs
			got.body += "</head>"
			overridden(x, plain, got)
		}},
	{name: "a deferred header directive outside, over a withdrawal", site: deferred, origin: document(longPage),
		run: func(x *trial) { // a cache would delete everybody's id
			_, ex, err := x.send(true, "GET", "/", nil, "Cookie: "+denied+"; "+idCookie+"="+idA)
			if err != nil {
				x.Fatal(err)
			}
			x.ended(ex, "header_overridden")
		}},
	{name: "several blocks, the first one fits", origin: document(longPage), path: "/first", site: blocks},
	{name: "several blocks, the second one fits", origin: document(longPage), path: "/second", site: blocks,
		want: func(x *trial, plain, got result) {
			x.taggedWith(strings.Replace(staticTag, " src=", ` data-x="2" src=`, 1), plain, got)
		}},
	{name: "several blocks, none fits", origin: document(longPage), path: "/third", site: blocks, outcome: "other_page", want: untouched},
}

// A deletion defers the whole block.
const deferred = "header {\nCache-Control \"public, max-age=60\"\n-X-Nothing\n}\n" + proxySite

// overridden expects a tagged page that says that any cache may keep it.
func overridden(x *trial, plain, got result) {
	x.Helper()
	if cc := got.header.Get("Cache-Control"); cc != "public, max-age=60" {
		x.Errorf("Cache-Control: %s", cc)
	}
	got.header.Set("Cache-Control", "private, no-cache")
	x.tagged(plain, got)
}

const blocks = "ENCODE\nroute {\nKAPA(pages /first)\nKAPA(pages /first /second\ndata-x 2)\nreverse_proxy ORIGIN\n}"

var digests = []string{"Digest: sha-256=x", "Content-Digest: sha-256=:eA==:", "Repr-Digest: sha-256=:eA==:", "Content-MD5: eA=="}

func TestConformance(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "page.html"), longPage)
	write(t, filepath.Join(root, "huge.html"), hugePage)
	write(t, filepath.Join(root, "zipped.html"), longPage)
	write(t, filepath.Join(root, "zipped.html.gz"), zipped(longPage))
	write(t, filepath.Join(root, "template.html"), strings.Replace(longPage, "t</title>", "{{.Req.URL.Path}}</title>", 1))
	write(t, filepath.Join(root, "data.json"), `{"html":"<head></head>"}`)

	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		exchangeOf(r).origin(w, r)
	}))
	t.Cleanup(origin.Close)

	var config strings.Builder
	config.WriteString("https://*.acme.com:TLS {\nabort\n}\n") // one certificate for all
	sites := differentSites()
	for i, site := range sites {
		for _, wrap := range wraps {
			for _, kapa := range []bool{false, true} {
				host := hostOf(i, wrap, kapa)
				fmt.Fprintf(&config, "http://%s:HTTP, https://%[1]s:TLS {\nconformance_outside\n%s\n}\n", host,
					strings.NewReplacer("ROOT", root, "ORIGIN", strings.TrimPrefix(origin.URL, "http://"), "NOBODY", "127.0.0.1:"+freePort(t)).
						Replace(expand(site, wrap, kapa)))
			}
		}
	}
	s := startCaddy(t, config.String())
	clients := map[string]*http.Client{"h1": s.client("h1", "127.0.0.1"), "h2": s.client("h2", "127.0.0.1"), "h3": s.h3client()}

	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			for _, wrap := range wraps {
				for _, protocol := range []string{"h1", "h2", "h3"} {
					if sc.cannot[wrap] != "" || sc.cannot[protocol] != "" {
						continue
					}
					t.Run(wrap+" "+protocol, func(t *testing.T) {
						x := &trial{T: t, scenario: sc, number: slices.Index(sites, siteOf(sc)), server: s, client: clients[protocol], wrap: wrap, protocol: protocol}
						if sc.run != nil {
							sc.run(x)
							return
						}
						for _, cookie := range []string{unknown, denied} {
							plain, got := x.ask(false, cookie), x.ask(true, cookie)
							x.same(plain, got)
							if sc.outcome == "" && got.err == nil && !variesByCookie(got.header) {
								x.Errorf("%s: Vary: %q, though others get another page", cookie, got.header["Vary"])
							}
						}
						want := sc.want
						if want == nil {
							want = (*trial).tagged
						}
						plain := x.ask(false, granted)
						x.outcome = sc.outcome
						if x.outcome == "" {
							x.outcome = "injected"
						}
						want(x, plain, x.ask(true, granted))
					})
				}
			}
		})
	}
}

// wraps is what is around the directive.
var wraps = []string{"bare", "encode"}

// siteOf is the Caddyfile text of a scenario.
func siteOf(sc scenario) string {
	switch {
	case sc.site != "":
		return sc.site
	case sc.inside != nil:
		return insideSite
	default:
		return proxySite
	}
}

// differentSites are those of all scenarios.
func differentSites() (list []string) {
	for _, sc := range scenarios {
		if site := siteOf(sc); !slices.Contains(list, site) {
			list = append(list, site)
		}
	}
	return list
}

func hostOf(site int, wrap string, kapa bool) string {
	return fmt.Sprintf("%s-%d-%t.acme.com", wrap, site, kapa)
}

// expand replaces ENCODE and KAPA in a site; "KAPA(...)" has more lines.
func expand(site, wrap string, kapa bool) string {
	site = expandOne(site, "ENCODE", wrap == "encode", "encode {\ngzip")
	return expandOne(site, "KAPA", kapa, "kapa_deflector {\n"+requiredLines+consentLine)
}

func expandOne(site, name string, present bool, block string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(site, name)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		lines := ""
		if strings.HasPrefix(after, "(") {
			lines, after, _ = strings.Cut(after[1:], ")")
		}
		if present {
			b.WriteString(block + "\n" + lines + "\n}\n")
		}
		site = after
	}
}

// h3client speaks HTTP/3 to s.
func (s *server) h3client() *http.Client {
	transport := &http3.Transport{
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		Dial: func(ctx context.Context, _ string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, "127.0.0.1:"+s.tls, tlsConfig, config)
		},
	}
	s.t.Cleanup(func() { transport.Close() })
	return &http.Client{
		Transport:     transport,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// trial is one scenario in one surrounding over one protocol.
type trial struct {
	*testing.T
	scenario
	server         *server
	number         int // of its site
	client         *http.Client
	wrap, protocol string
	outcome        string // expected of the next requests, "" for any
}

// result is what a client got.
type result struct {
	status  int
	header  http.Header
	trailer http.Header
	hints   []textproto.MIMEHeader
	body    string // decoded, if Caddy compressed it
	length  int64  // Content-Length, -1 if there was none
	err     error  // how it broke off
}

// exchange is what the parts of one request share: the client here, and the
// handlers, which find it by a request field.
type exchange struct {
	scenario
	next    chan struct{} // the client has what the origin sent
	outcome chan string   // when Caddy is done
}

var (
	exchanges   sync.Map
	exchangeIDs atomic.Int64
)

func exchangeOf(r *http.Request) *exchange {
	ex, _ := exchanges.Load(r.Header.Get("X-Exchange"))
	return ex.(*exchange)
}

// newRequest asks as a browser does that opens a page; fields of the same name
// replace what it says, empty ones leave it out.
func (x *trial) newRequest(kapa bool, method, path string, body io.Reader, fields ...string) (*http.Request, *exchange) {
	scheme := "https"
	if x.protocol == "h1" {
		scheme = "http"
	}
	r, err := http.NewRequestWithContext(x.Context(), method, scheme+"://"+hostOf(x.number, x.wrap, kapa)+path, body)
	if err != nil {
		x.Fatal(err)
	}
	id := itoa(int(exchangeIDs.Add(1)))
	ex := &exchange{x.scenario, make(chan struct{}, 1), make(chan string, 1)}
	exchanges.Store(id, ex)
	x.Cleanup(func() { exchanges.Delete(id) })

	h := r.Header
	h.Set("X-Exchange", id)
	h.Set("Accept", "text/html,*/*;q=0.8")
	h.Set("Sec-Fetch-Dest", "document")
	h.Set("Accept-Encoding", "gzip")
	for _, field := range append(slices.Clone(x.fields), fields...) {
		name, value, _ := strings.Cut(field, ": ")
		switch {
		case value == "":
			h.Del(name)
		case name == "Cookie":
			h.Add(name, value)
		default:
			h.Set(name, value)
		}
	}
	return r, ex
}

// send sends one request, and checks what it went over.
func (x *trial) send(kapa bool, method, path string, body io.Reader, fields ...string) (*http.Response, *exchange, error) {
	x.Helper()
	r, ex := x.newRequest(kapa, method, path, body, fields...)
	resp, err := x.client.Do(r)
	if err == nil && fmt.Sprint("h", resp.ProtoMajor) != x.protocol {
		x.Errorf("spoke %s", resp.Proto)
	}
	return resp, ex, err
}

// ask sends the scenario's request to the site with or without the directive
// and takes the whole answer.
func (x *trial) ask(kapa bool, cookie string, fields ...string) (a result) {
	x.Helper()
	method, path, body := "GET", "/", io.Reader(nil)
	if x.method != "" {
		method = x.method
	}
	if x.path != "" {
		path = x.path
	}
	if x.form != "" {
		body = strings.NewReader(x.form)
	}
	if cookie != "" {
		fields = append(fields, "Cookie: "+cookie)
	}
	r, ex := x.newRequest(kapa, method, path, body, fields...)
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			a.hints = append(a.hints, h)
			return nil
		},
	}))
	defer func() {
		if kapa && cookie == granted {
			x.ended(ex, x.outcome)
		}
	}()
	resp, err := x.client.Do(r)
	if err != nil {
		a.err = err
		return a
	}
	defer resp.Body.Close()
	if fmt.Sprint("h", resp.ProtoMajor) != x.protocol {
		x.Errorf("spoke %s", resp.Proto)
	}
	a.status, a.header, a.length = resp.StatusCode, resp.Header, resp.ContentLength

	raw := &counter{Reader: resp.Body}
	from := io.Reader(raw)
	if method != "HEAD" && a.header.Get("Content-Encoding") == "gzip" {
		if from, err = gzip.NewReader(raw); err != nil {
			a.err = err
			return a
		}
	}
	var b bytes.Buffer
	for i, step := range x.steps {
		if i == len(x.steps)-1 {
			break
		}
		if kapa && cookie == granted && x.outcome == "injected" {
			step = strings.Replace(step, "</head>", staticTag+"</head>", 1)
		}
		if _, err := io.CopyN(&b, from, int64(len(step))); err != nil || !strings.HasSuffix(b.String(), step) {
			x.Fatalf("%v; got %q, flushed was %q", err, b.String(), step)
		}
		ex.next <- struct{}{}
	}
	_, a.err = io.Copy(&b, from)
	a.body, a.trailer = b.String(), resp.Trailer
	if a.err == nil && a.length >= 0 && a.length != raw.n && method != "HEAD" && a.status != 304 {
		x.Errorf("Content-Length %d of %d", a.length, raw.n)
	}
	return a
}

// ended waits until Caddy is done with an exchange, and compares its outcome.
func (x *trial) ended(ex *exchange, want string) {
	x.Helper()
	select {
	case got := <-ex.outcome:
		if want != "" && got != want {
			x.Errorf("outcome %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		x.Error("Caddy does not end")
	}
}

type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// same compares the answers of the sites without and with the directive for
// somebody who is not to notice it.
func (x *trial) same(plain, got result) {
	x.Helper()
	if plain.err != nil || got.err != nil {
		if plain.err == nil || got.err == nil {
			x.Errorf("error %v, without the directive %v", got.err, plain.err)
		}
		return
	}
	if got.status != plain.status || got.body != plain.body || got.length != plain.length {
		x.Errorf("status %d, %d bytes of %d; without the directive %d, %d of %d\n%.300s",
			got.status, len(got.body), got.length, plain.status, len(plain.body), plain.length, got.body)
	}
	x.sameFields(plain.header, got.header, "Vary")
	x.sameFields(plain.trailer, got.trailer)
	if !slices.EqualFunc(plain.hints, got.hints, func(a, b textproto.MIMEHeader) bool { return reflect.DeepEqual(a, b) }) {
		x.Errorf("hints %v, without the directive %v", got.hints, plain.hints)
	}
	x.sameVary(plain, got)
}

func untouched(x *trial, plain, got result) { x.Helper(); x.same(plain, got) }

// sameFields compares two headers but for some fields.
func (x *trial) sameFields(plain, got http.Header, but ...string) {
	x.Helper()
	names := map[string]bool{}
	for name := range plain {
		names[name] = true
	}
	for name := range got {
		names[name] = true
	}
	for name := range names {
		if name != "Date" && !slices.Contains(but, name) && !slices.Equal(plain[name], got[name]) {
			x.Errorf("%s: %q, without the directive %q", name, got[name], plain[name])
		}
	}
}

// sameVary allows two more members of Vary.
func (x *trial) sameVary(plain, got result) {
	x.Helper()
	members := func(a result) (list []string) {
		for member := range strings.SplitSeq(strings.ToLower(strings.Join(a.header["Vary"], ",")), ",") {
			if m := strings.TrimSpace(member); m != "" && m != "cookie" && m != "sec-gpc" {
				list = append(list, m)
			}
		}
		slices.Sort(list)
		return list
	}
	if a, b := members(plain), members(got); !slices.Equal(a, b) {
		x.Errorf("Vary: %q, without the directive %q", b, a)
	}
}

// tagged expects the page with the tag at the end of its head, an id, and all
// that a changed page's header says.
func (x *trial) tagged(plain, got result) { x.Helper(); x.taggedWith(staticTag, plain, got) }

func (x *trial) taggedWith(tag string, plain, got result) {
	x.Helper()
	if plain.err != nil || got.err != nil {
		x.Errorf("error %v, without the directive %v", got.err, plain.err)
		return
	}
	if got.status != plain.status {
		x.Errorf("status %d, without the directive %d", got.status, plain.status)
	}
	if want := strings.Replace(plain.body, "</head>", tag+"</head>", 1); got.body != want {
		x.Errorf("%d bytes, want %d\n%.800s", len(got.body), len(want), got.body)
	}
	x.sameFields(plain.trailer, got.trailer)

	h := got.header
	if ids := idLines(&http.Response{Header: h}); len(ids) != 1 || len(h["Set-Cookie"]) != 1 {
		x.Errorf("Set-Cookie: %q", h["Set-Cookie"])
	}
	if cc := h.Get("Cache-Control"); cc != "private, no-cache" {
		x.Errorf("Cache-Control: %q", cc)
	}
	if !variesByCookie(h) {
		x.Errorf("Vary: %q", h["Vary"])
	}
	if want := variantTag(tag, plain.header.Get("ETag"), h.Get("Content-Encoding")); h.Get("ETag") != want {
		x.Errorf("ETag: %s, want %s", h.Get("ETag"), want)
	}
	if h["Last-Modified"] != nil || h["Accept-Ranges"] != nil {
		x.Errorf("Last-Modified: %q, Accept-Ranges: %q", h["Last-Modified"], h["Accept-Ranges"])
	}
	if e := plain.header.Get("Content-Encoding"); e != "" && h.Get("Content-Encoding") != e {
		x.Errorf("Content-Encoding: %q, without the tag %q", h.Get("Content-Encoding"), e)
	}
	x.sameFields(plain.header, h, "Set-Cookie", "Cache-Control", "Vary", "Etag", "Last-Modified", "Accept-Ranges",
		"Content-Encoding", "Content-Length")
}

func variesByCookie(h http.Header) bool {
	return httpguts.HeaderValuesContainsToken(h["Vary"], "cookie") || httpguts.HeaderValuesContainsToken(h["Vary"], "*")
}

// variantTag is plain's entity tag for the variant with the tag.
func variantTag(tag, plain, coding string) string {
	if plain == "" {
		return ""
	}
	etag := strings.TrimSuffix(strings.TrimSuffix(plain, `"`), "-gzip") + variantSuffix([]byte(tag))
	if coding != "" && !strings.HasPrefix(etag, "W/") {
		etag = strings.TrimSuffix(etag, `"`) + "-" + coding + `"`
	}
	return etag
}

// compressed expects a tagged page, from encode compressed.
func compressed(x *trial, plain, got result) {
	x.Helper()
	x.tagged(plain, got)
	if ce := got.header.Get("Content-Encoding"); (ce == "gzip") != (x.wrap == "encode") {
		x.Errorf("Content-Encoding: %q", ce)
	}
}

// compressedOnly expects a tagged page, and that encode compresses it or not,
// without the directive and with it.
func compressedOnly(without, with bool) func(*trial, result, result) {
	return func(x *trial, plain, got result) {
		x.Helper()
		x.tagged(plain, got)
		a, b := plain.header.Get("Content-Encoding") == "gzip", got.header.Get("Content-Encoding") == "gzip"
		if x.wrap == "encode" && (a != without || b != with) || x.wrap == "bare" && (a || b) {
			x.Errorf("compressed %t, without the directive %t", b, a)
		}
	}
}

// summed expects a tagged page with its trailers.
func summed(x *trial, plain, got result) {
	x.Helper()
	x.tagged(plain, got)
	if got.trailer.Get("X-Sum") != "7" || got.trailer.Get("X-Late") != "8" || plain.length < 0 && got.length >= 0 {
		x.Errorf("trailers %v, Content-Length %d", got.trailer, got.length)
	}
}

// heldTrailers expects the trailer at the end, and nowhere else, of a page none
// of which can leave before the trailer is set.
func heldTrailers(x *trial, plain, got result) {
	x.Helper()
	wantTrailer(x, got)
	if got.err != nil || strings.Replace(got.body, staticTag, "", 1) != plain.body || len(got.body) == len(plain.body) {
		x.Errorf("%v, body %q", got.err, got.body)
	}
}

func wantTrailer(x *trial, got result) {
	x.Helper()
	if got.header["X-Sum"] != nil || got.trailer.Get("X-Sum") != "7" {
		x.Errorf("header %v, trailers %v", got.header, got.trailer)
	}
}

// brokenOff expects an answer that no client takes for a whole one.
func brokenOff(x *trial, plain, got result) {
	x.Helper()
	if got.err == nil {
		x.Errorf("no error; %d %q", got.status, got.body)
	}
}

// mislabelled expects the tag, and the label gone; plain is what nobody can decode.
func mislabelled(x *trial, plain, got result) {
	x.Helper()
	if plain.err == nil {
		x.Errorf("without the directive: %v", plain.header)
	}
	if got.err != nil || got.body != strings.Replace(longPage, "</head>", staticTag+"</head>", 1) || x.wrap == "bare" && got.header["Content-Encoding"] != nil {
		x.Errorf("%d %v %v %.300s", got.status, got.err, got.header, got.body)
	}
}

// unreadable expects what the client would get from the origin.
func unreadable(x *trial) {
	resp, ex, err := x.send(true, "GET", "/", nil, "Cookie: "+granted)
	if err != nil {
		x.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(b) != deflated(longPage) || resp.Header.Get("Content-Encoding") != "gzip" {
		x.Errorf("%v %v %q", err, resp.Header, b)
	}
	x.ended(ex, "encoded")
}

// badGateway502 expects what the error route makes of a 502.
func badGateway502(x *trial, _, got result) {
	x.Helper()
	if got.err != nil || got.status != 502 || got.body != "page of 502" || got.header["Set-Cookie"] != nil || got.header["Content-Encoding"] != nil {
		x.Errorf("%d %v %v %s", got.status, got.err, got.header, got.body)
	}
}

// likeGET expects the header that GET gets, but for what only a body can tell,
// and no id.
func likeGET(x *trial, _, got result) {
	x.Helper()
	x.outcome, x.method = "injected", "GET"
	page := x.ask(true, granted)
	if got.err != nil || got.status != page.status || got.length > 0 || got.header["Set-Cookie"] != nil {
		x.Errorf("%d, %v, length %d, Set-Cookie %q", got.status, got.err, got.length, got.header["Set-Cookie"])
	}
	if page.header.Get("ETag") == "" || got.header.Get("ETag") != strings.Replace(page.header.Get("ETag"), "-gzip", "", 1) {
		x.Errorf("ETag: %s, to GET %s", got.header.Get("ETag"), page.header.Get("ETag"))
	}
	but := []string{"Etag", "Set-Cookie", "Content-Length"}
	if x.wrap == "encode" { // which waits for a body or a length
		but = append(but, "Content-Encoding", "Vary")
	}
	x.sameFields(page.header, got.header, but...)
}

// refused expects that a visitor with these cookies gets the origin's page.
func refused(cookies ...string) func(*trial) {
	return func(x *trial) {
		for _, cookie := range cookies {
			x.fields = append(slices.Clip(x.fields), "Cookie: "+cookie)
		}
		x.same(x.ask(false, ""), x.ask(true, ""))
	}
}

// withdrawal expects the origin's page, and the id deleted in both forms.
func withdrawal(x *trial) {
	const cookies = denied + "; " + idCookie + "=" + idA
	plain, got := x.ask(false, cookies), x.ask(true, cookies)
	if got.body != plain.body || got.length != plain.length || len(idLines(&http.Response{Header: got.header})) != 2 {
		x.Errorf("%q, %.300s", got.header, got.body)
	}
	for _, line := range got.header["Set-Cookie"] {
		if !strings.Contains(line, "Max-Age=0") {
			x.Errorf("Set-Cookie: %s", line)
		}
	}
	if cc := got.header.Get("Cache-Control"); cc != "private, no-cache" {
		x.Errorf("Cache-Control: %s", cc)
	}
	x.sameFields(plain.header, got.header, "Set-Cookie", "Cache-Control", "Vary")
}

// saysNothing takes out of a request what says that it is for a page.
var saysNothing = []string{"Sec-Fetch-Dest: ", "Accept: "}

// copies expects that a client that says nothing may ask about the origin's page
// as about the one with the tag, and that neither is taken for the other.
func copies(x *trial) {
	x.fields = saysNothing
	asking := func(cookie, etag string) result { return x.ask(true, cookie, "If-None-Match: "+etag) }
	untagged := x.ask(true, unknown).header.Get("ETag")
	first := x.ask(true, granted)
	x.tagged(x.ask(false, granted), first)
	tagged := first.header.Get("ETag")

	own := asking(granted, untagged)
	if own.status != 304 || strings.Contains(own.header.Get("ETag"), variantMark) || own.header["Set-Cookie"] != nil ||
		!httpguts.HeaderValuesContainsToken(own.header["Vary"], "Accept") {
		x.Errorf("the origin's page: %d %v", own.status, own.header)
	}
	for _, list := range []string{tagged, untagged + ", " + tagged} {
		if got := asking(granted, list); got.status != 304 || !strings.Contains(got.header.Get("ETag"), variantMark) || got.header["Last-Modified"] != nil {
			x.Errorf("the page with the tag, %s: %d %v", list, got.status, got.header)
		}
	}
	for _, cookie := range []string{denied, unknown} {
		if got := asking(cookie, tagged); got.status != 200 {
			x.Errorf("the page with the tag, %s: %d", cookie, got.status)
		}
	}
	for _, list := range []string{strings.Replace(tagged, variantMark, variantMark+"0", 1), `"v1-kapa-0123456789abcdef"`} {
		if got := asking(granted, list); got.status != 200 {
			x.Errorf("another visitor's page, %s: %d", list, got.status)
		}
	}
}

// acceptEncoding expects that the origin is asked for a readable body where it
// may be changed, and only there.
func acceptEncoding(x *trial) {
	x.origin = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Accept-Encoding")) }
	for _, c := range []struct {
		cookie, field, want string
	}{
		{granted, "X: y", "identity"},
		{granted, "Sec-Fetch-Dest: ", "identity"},      // text/html is in Accept
		{granted, "Sec-Fetch-Dest: |Accept: ", "gzip"}, // it may be a download
		{granted, "Sec-Fetch-Dest: |Accept: */*", "gzip"},
		{granted, "Sec-Fetch-Dest: script", "gzip"},
		{granted, "HX-Request: true", "gzip"},
		{denied, "X: y", "gzip"},
		{unknown, "X: y", "gzip"},
		{"", "X: y", "gzip"},
	} {
		if got := x.ask(true, c.cookie, strings.Split(c.field, "|")...); got.body != c.want {
			x.Errorf("%s, %s: the origin saw %q", c.cookie, c.field, got.body)
		}
	}
}

// conditional plays the whole story of a page with a validator.
func conditional(x *trial) {
	asking := func(cookie, etag string) result {
		x.Helper()
		a := x.ask(true, cookie, "If-None-Match: "+etag)
		if a.err != nil {
			x.Fatal(a.err)
		}
		return a
	}
	plain := x.ask(false, unknown)
	before := x.ask(true, unknown)
	x.same(plain, before)
	untagged := before.header.Get("ETag")
	if x.wrap == "encode" && !strings.HasSuffix(untagged, `-gzip"`) {
		x.Fatalf("ETag: %s", untagged)
	}
	x.same(x.ask(false, unknown, "If-None-Match: "+untagged), asking(unknown, untagged))

	first := asking(granted, untagged) // the copy without the tag is no answer
	x.tagged(plain, first)
	tagged := first.header.Get("ETag")

	variant := strings.Replace(tagged, "-gzip", "", 1) // encode leaves its suffix out of a 304
	for _, list := range []string{tagged, "W/" + tagged, `"x", ` + tagged + `, "y"`, untagged + ", " + tagged} {
		again := asking(granted, list)
		if again.status != 304 || again.body != "" || again.header.Get("ETag") != variant {
			x.Errorf("If-None-Match: %s: %d, ETag: %s", list, again.status, again.header.Get("ETag"))
		}
		if again.header.Get("Cache-Control") != "private, no-cache" || again.header["Last-Modified"] != nil ||
			!strings.Contains(strings.Join(again.header["Vary"], ","), "Cookie") || len(idLines(&http.Response{Header: again.header})) != 1 {
			x.Errorf("304 with %v", again.header)
		}
	}
	for _, other := range []string{`"x"`, "*", strings.Replace(tagged, variantMark, variantMark+"0", 1)} {
		x.tagged(plain, asking(granted, other))
	}
	x.tagged(plain, x.ask(true, granted, "If-Modified-Since: "+time.Now().UTC().Format(http.TimeFormat)))

	for _, cookie := range []string{denied, unknown, ""} {
		after := asking(cookie, tagged) // nor is the tagged one after withdrawal
		if after.status != 200 {
			x.Errorf("%s: %d", cookie, after.status)
		}
		x.same(plain, after)
		if both := asking(cookie, tagged+", "+untagged); both.status != 304 || strings.Contains(both.header.Get("ETag"), variantMark) {
			x.Errorf("%s: %d, ETag: %s", cookie, both.status, both.header.Get("ETag"))
		}
	}
	x.tagged(plain, asking(granted, untagged))
}

// webSocket expects bytes both ways.
func webSocket(x *trial) {
	var to io.Writer
	var from io.Reader
	var ex *exchange
	var resp *http.Response
	var err error
	if x.protocol == "h1" {
		conn, err := net.Dial("tcp", "127.0.0.1:"+x.server.http)
		if err != nil {
			x.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		var r *http.Request
		r, ex = x.newRequest(true, "GET", "/", nil, "Cookie: "+granted, "Connection: Upgrade", "Upgrade: websocket",
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
		if err := r.Write(conn); err != nil {
			x.Fatal(err)
		}
		br := bufio.NewReader(conn)
		if resp, err = http.ReadResponse(br, r); err != nil || resp.StatusCode != 101 {
			x.Fatalf("%v, %v", resp, err)
		}
		to, from = conn, br
		defer func() { conn.Close(); x.ended(ex, "upgrade") }()
	} else { // 9220
		pr, pw := io.Pipe()
		var r *http.Request
		r, ex = x.newRequest(true, "CONNECT", "/", pr, "Cookie: "+granted, "Sec-WebSocket-Version: 13")
		r.Proto = "websocket"
		if resp, err = x.client.Do(r); err != nil || resp.StatusCode != 200 {
			x.Fatalf("%v, %v", resp, err)
		}
		to, from = pw, resp.Body
		defer func() { pw.Close(); resp.Body.Close(); x.ended(ex, "upgrade") }()
	}
	if resp.Header["Set-Cookie"] != nil || resp.Header["Vary"] != nil {
		x.Errorf("header %v", resp.Header)
	}
	for _, line := range []string{"<html><head></head>\n", "again\n"} {
		if _, err := io.WriteString(to, line); err != nil {
			x.Fatal(err)
		}
		got := make([]byte, len(line))
		if _, err := io.ReadFull(from, got); err != nil || string(got) != line {
			x.Fatalf("%v, got %q", err, got)
		}
	}
}

// placeholders expects each visitor's own values in each visitor's page, while
// both are on their way.
func placeholders(x *trial) {
	var wg sync.WaitGroup
	for _, name := range []string{"Ann", `Bob"><script>`} {
		wg.Go(func() {
			for range 4 {
				resp, ex, err := x.send(true, "GET", "/", nil, "Cookie: "+granted, "X-Name: "+name, "Accept-Encoding: ")
				if err != nil {
					x.Error(err)
					return
				}
				b, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				want := ` data-x="` + strings.NewReplacer(`"`, "&quot;", "<", "&lt;", ">", "&gt;").Replace(name) + `" src="` + kapaScriptURL + `"></script></head>`
				if err != nil || strings.Count(string(b), " data-x=") != 1 || !strings.Contains(string(b), want) {
					x.Errorf("%s: %v, %s", name, err, b)
				}
				x.ended(ex, "injected")
			}
		})
	}
	wg.Wait()
}

var meeting = make(chan struct{})

// rendezvous answers two requests at a time.
func rendezvous(w http.ResponseWriter, r *http.Request) {
	select {
	case meeting <- struct{}{}:
	case <-meeting:
	case <-r.Context().Done():
		return
	}
	document(page)(w, r)
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
func document(body string, fields ...string) http.HandlerFunc {
	return reply(200, body, append([]string{"Content-Type: text/html", "Content-Length: " + itoa(len(body))}, fields...)...)
}

// encoded is a document under a Content-Encoding.
func encoded(coding, body string) http.HandlerFunc {
	return document(body, "Content-Encoding: "+coding, "Vary: Accept-Encoding")
}

// titled is a page of n bytes.
func titled(n int) string {
	return strings.Replace(page, ">t<", ">"+strings.Repeat("t", n-len(page)+1)+"<", 1)
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

// lateEvents sends the header by a flush, and events when the client has it.
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
		io.WriteString(w, page)
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
