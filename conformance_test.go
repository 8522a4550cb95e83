package kapadeflector

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
)

// Each named scenario is one thing that a handler that changes bodies can do wrong.
//
// Every scenario runs against a Caddy with and without encode, over each
// protocol, and each time on two sites that differ only in the directive.
// A visitor who has not consented must get the same from both, except for Vary. For
// a visitor who has consented, the table says what comes.

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
	longPage = samplePage + filler
	hugePage = samplePage + strings.Repeat(filler, 50)
	longHead = strings.Replace(samplePage, "t</title>", filler+"</title>", 1)
	hugeHead = strings.Replace(samplePage, "t</title>", strings.Repeat(filler, 30)+"</title>", 1)
)

var scenarios = []scenario{
	// The length of the body: rows 1 and 29.
	{name: "a page of known length", // 9110 8.6
		origin: documentOf(longPage), want: func(x *trial, plain, got result) {
			x.tagged(plain, got)
			if x.wrap == "bare" && got.length != plain.length+int64(len(staticTag)) {
				x.Errorf("Content-Length %d, without the tag %d", got.length, plain.length)
			}
		}},
	{name: "a short page of known length", origin: documentOf(samplePage)},
	{name: "a short page of unknown length", origin: steps("Content-Type: text/html"), steps: []string{samplePage}},
	{name: "a page of unknown length", origin: chunks(longPage)},
	{name: "a page in a handler's own writes", inside: ok(chunks(samplePage[:30], samplePage[30:60], samplePage[60:]+filler))},
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
	{name: "a page that stays below encode's minimum", origin: documentOf(titled(512 - len(staticTag))), want: compressedOnly(false, false)},
	{name: "a page that the tag carries over it", origin: documentOf(titled(513 - len(staticTag))), want: compressedOnly(false, true)},
	{name: "a page at the minimum", origin: documentOf(titled(512)), want: compressedOnly(false, true)},
	{name: "a page above it", origin: documentOf(titled(513)), want: compressedOnly(true, true)},
	{name: "a page of unknown length that stays below it", inside: ok(chunks(titled(512 - len(staticTag)))), want: compressedOnly(false, false)},
	{name: "a page of unknown length that the tag carries over it", inside: ok(chunks(titled(513 - len(staticTag)))), want: compressedOnly(false, true)},
	{name: "a page of unknown length at the minimum", inside: ok(chunks(titled(512))), want: compressedOnly(false, true)},
	{name: "a page of unknown length above it", inside: ok(chunks(titled(513))), want: compressedOnly(true, true)},
	{name: "an early flush, and a length", // which the tagged page no longer has: encode goes by what is flushed
		inside: flushed(itoa(len(longPage)), longPage[:40], longPage[40:]), want: uncompressed},
	{name: "an early flush, a length, and another minimum", site: atLeast2000,
		inside: flushed(itoa(len(longHead)), longHead[:1000], longHead[1000:3000], longHead[3000:]), want: uncompressed},
	{name: "a first write that is flushed amid a tag", // whose beginning is held back
		inside: flushed("", headOf(510)+"</he", "ad>"+filler), want: uncompressed},
	{name: "a first write above another minimum, flushed amid a tag", site: atLeast2000,
		inside: flushed("", headOf(1998)+"</he", "ad>"+filler), want: uncompressed},
	{name: "a length beside trailers",
		inside: func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Length", itoa(len(samplePage+filler)))
			chunked(samplePage, "Trailer: X-Sum")(w, r)
			io.WriteString(w, filler)
			return nil
		},
		want: compressedOnly(true, true)},
	{name: "a first write that fits no buffer", inside: ok(chunks(samplePage + strings.Repeat(filler, 20))), want: compressedOnly(true, true)},
	{name: "a small first write, then one that fits no buffer",
		inside: flushed(itoa(len(hugeHead)), hugeHead[:40], hugeHead[40:]), want: uncompressed},
	{name: "ReadFrom of a large page", // row 5
		inside: func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/html")
			_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(hugePage)})
			return err
		}},
	{name: "a file", site: fileSite, path: "/page.html", want: compressed},
	{name: "a large file", site: fileSite, path: "/huge.html", want: compressed}, // caddy#5022
	{name: "a precompressed file", site: strings.Replace(fileSite, "file_server", "file_server {\nprecompressed gzip\n}", 1), path: "/zipped.html",
		want: func(x *trial, plain, got result) {
			if plain.header.Get("Content-Encoding") != "gzip" || got.header.Get("Content-Encoding") != "gzip" || got.length <= 0 {
				x.Fatalf("without the directive: %v, with it: %v", plain.header, got.header)
			}
			got.header.Del("Content-Encoding") // it is the file's own, and so in its entity tag
			plain.header.Del("Content-Encoding")
			x.tagged(plain, got)
		}},
	{name: "a file that is no page", site: fileSite, path: "/data.json", outcome: "not_html", want: untouched},

	// Compressed origins: rows 6 and 7.
	{name: "an origin that compresses when it is asked to",
		origin: func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				encoded("gzip", zipped(longPage))(w, r)
				return
			}
			documentOf(longPage)(w, r)
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
	{name: "gzip without the field that says so", origin: documentOf(zipped(longPage)),
		want: func(x *trial, plain, got result) {
			plain.body = unzipped(plain.body)
			x.tagged(plain, got)
		}},
	{name: "gzip that ends too soon", origin: encoded("gzip", zipped(longPage)[:40]), outcome: "error", want: badGateway502, // before anything was sent
		site: proxySite + "\nhandle_errors {\nrespond `page of {err.status_code}`\n}"},
	{name: "gzip that is corrupt from its header on", origin: encoded("gzip", "\x1f\x8b\x08\xff"+zipped(longPage)[4:]), outcome: "error", want: badGateway502,
		site: proxySite + "\nhandle_errors {\nrespond `page of {err.status_code}`\n}"},
	{name: "gzip that ends too soon, in its trailer", origin: encoded("gzip", zipped(longPage)[:len(zipped(longPage))-4]), outcome: "error", want: badGateway502,
		site: proxySite + "\nhandle_errors {\nrespond `page of {err.status_code}`\n}"},
	{name: "gzip that ends too soon, after the tag has left", outcome: "aborted", want: brokenOff,
		inside: func(w http.ResponseWriter, r *http.Request) error {
			setFields(w, []string{"Content-Type: text/html", "Content-Encoding: gzip"})
			return flushed("", zipped(longPage)[:len(zipped(longPage))-40], zipped(longPage)[len(zipped(longPage))-40:len(zipped(longPage))-4])(w, r)
		}},
	{name: "gzip that ends too soon, far behind the tag, as from the origin", origin: encoded("gzip", zipped(hugePage)[:len(zipped(hugePage))-40]), want: brokenOff},
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
		site: "ENCODE\nKAPA\nintercept {\n@bad status 503\nhandle_response @bad {\nheader Content-Type text/html\nrespond `" + samplePage + "` 503\n}\n}\nreverse_proxy ORIGIN"},
	{name: "a cache further out", // 9111 3.5, 9213
		origin: documentOf(longPage, "Cache-Control: public, max-age=600", "CDN-Cache-Control: max-age=600", "Cloudflare-CDN-Cache-Control: max-age=600",
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
	{name: "a page that nobody may keep", origin: documentOf(samplePage, "Cache-Control: no-store"),
		want: func(x *trial, plain, got result) {
			if cc := got.header.Get("Cache-Control"); cc != "no-store" {
				x.Errorf("Cache-Control: %s", cc)
			}
			got.header.Set("Cache-Control", "private, no-cache")
			x.tagged(plain, got)
		}},

	{name: "a page that nobody may keep, in a quoted string", // 9110 5.6.4
		origin: documentOf(samplePage, `Cache-Control: community="UCI, no-store, x", no-cache="X-A, no-transform"`)},

	// Ranges: row 10; 9110 14.
	{name: "206", origin: reply(206, samplePage, "Content-Type: text/html", "Content-Range: bytes 0-70/71", "Content-Length: 71", "ETag: \"v1\""),
		outcome: "partial", want: untouched},
	{name: "Content-Range under another status", origin: documentOf(samplePage, "Content-Range: bytes */71"), outcome: "partial", want: untouched},
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
	{name: "HEAD", method: "HEAD", origin: documentOf(longPage, `ETag: "v1"`), outcome: "no_body", want: likeGET},
	{name: "HEAD of a file", method: "HEAD", site: fileSite, path: "/page.html", outcome: "no_body", want: likeGET},
	{name: "204", origin: reply(204, "", "Content-Type: text/html"), outcome: "no_body", want: untouched},
	{name: "205", origin: reply(205, "", "Content-Type: text/html"), outcome: "no_body", want: untouched},
	{name: "304", origin: reply(304, "", `ETag: "v1"`), outcome: "not_modified", want: untouched},
	{name: "a redirect with a page", origin: reply(302, samplePage, "Content-Type: text/html", "Location: /there"), outcome: "redirect", want: untouched},
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
	{name: "a strong validator", origin: documentOf(longPage, `ETag: "v1"`)},
	{name: "a weak validator", origin: documentOf(longPage, `ETag: W/"v1"`)},
	{name: "a date", origin: documentOf(longPage, "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT")},
	{name: "from unknown to consent to withdrawal and back", origin: validated, run: conditional},
	{name: "the same with files", site: fileSite, path: "/page.html", run: conditional},

	// Vary, transformations, digests, policies: rows 16 to 19.
	{name: "Vary is merged", origin: documentOf(samplePage, "Vary: Accept-Language", "Vary: cookie"), // 9110 12.5.5
		want: func(x *trial, plain, got result) {
			x.tagged(plain, got)
			if n := strings.Count(strings.ToLower(strings.Join(got.header["Vary"], ",")), "cookie"); n != 1 {
				x.Errorf("Vary: %q", got.header["Vary"])
			}
		}},
	{name: "Vary: *", origin: documentOf(samplePage, "Vary: *")},
	{name: "no-transform", origin: documentOf(longPage, "Cache-Control: max-age=60", "Cache-Control: No-Transform"), // 9111 5.2.2.6
		outcome: "no_transform", want: untouched},
	{name: "no-transform in the request", origin: documentOf(longPage), fields: []string{"Cache-Control: no-transform"}}, // caddy#5257
	{name: "digests of a page", // 9530, 3230, 1864
		origin: documentOf(longPage, digests...),
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
	{name: "digests of what is not changed", origin: documentOf(longPage, append([]string{"Content-Disposition: attachment"}, digests...)...),
		outcome: "attachment", want: untouched},
	{name: "a page whose digest is signed", // 9421: who changes it breaks the signature
		origin: documentOf(longPage, digests[1], `Signature-Input: sig1=("@status" "content-digest");keyid="k"`, "Signature: sig1=:eA==:"),
		run:    func(x *trial) { x.same(x.ask(false, granted), x.ask(true, granted)) }},
	{name: "a policy is not loosened", // CSP3; tagged compares the field
		origin: documentOf(samplePage, "Content-Security-Policy: default-src 'self'; script-src 'self' https://widget.kapa.ai")},

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
	{name: "flush before the first byte, through a proxy", steps: []string{samplePage, filler},
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
	{name: "flush behind the tag", origin: steps("Content-Type: text/html"), steps: []string{samplePage, "and ", "on"}},
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
		inside: ok(documentOf(samplePage)), run: func(x *trial) {
			for _, cookie := range []string{granted, denied} {
				resp, ex, err := x.send(true, "CONNECT", "", nil, "Cookie: "+cookie)
				if err != nil {
					x.Fatal(err)
				}
				got := make([]byte, len(samplePage))
				_, err = io.ReadFull(resp.Body, got)
				resp.Body.Close()
				if err != nil || string(got) != samplePage || resp.Header["Set-Cookie"] != nil || resp.Header["Vary"] != nil {
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
			io.WriteString(w, samplePage)
			w.WriteHeader(500)
		}),
		run: func(x *trial) {
			plain := x.ask(false, granted)
			plain.status = 404
			x.tagged(plain, x.ask(true, granted))
			if got := x.ask(true, unknown); got.status != 404 || got.body != samplePage {
				x.Errorf("without consent: %d %s", got.status, got.body)
			}
		}},
	{name: "an error page of the origin, 404", origin: reply(404, samplePage, "Content-Type: text/html")},
	{name: "an error page of the origin, 500", origin: reply(500, longPage, "Content-Type: text/html")},
	{name: "a form shown again, 422", method: "POST", form: "description=", origin: reply(422, samplePage, "Content-Type: text/html")},
	{name: "a form that was sent", method: "POST", form: "description=help", origin: reply(303, "", "Location: /thanks"), outcome: "redirect", want: untouched},
	{name: "the error directive", site: "ENCODE\nKAPA\nerror no 418", outcome: "no_body", want: untouched},
	{name: "a file that is missing", site: fileSite, path: "/missing.html", outcome: "no_body", want: untouched},
	{name: "an origin that is down", site: "ENCODE\nKAPA\nreverse_proxy NOBODY", outcome: "error", want: untouched},
	{name: "handle_errors without the directive",
		site: fileSite + "\nhandle_errors {\nheader Content-Type text/html\nrespond `" + samplePage + "`\n}", path: "/missing.html", outcome: "no_body", want: untouched},
	{name: "handle_errors with the directive",
		site: fileSite + "\nhandle_errors {\nKAPA\nheader Content-Type text/html\nrespond `" + samplePage + "`\n}", path: "/missing.html", outcome: "no_body",
		want: func(x *trial, plain, got result) {
			x.tagged(plain, got)
			if got.status != 404 {
				x.Errorf("status %d", got.status)
			}
		}},
	{name: "an error in the head", // what is held goes nowhere
		site: insideSite + "\nhandle_errors {\nrespond `page of {err.status_code}`\n}",
		inside: func(w http.ResponseWriter, r *http.Request) error {
			documentOf(samplePage[:40])(w, r)
			return caddyhttp.Error(502, errors.New("gone"))
		},
		outcome: "error",
		want: func(x *trial, _, got result) {
			if got.err != nil || got.status != 502 || got.body != "page of 502" || got.header["Set-Cookie"] != nil {
				x.Errorf("%d %v %v %s", got.status, got.err, got.header, got.body)
			}
		}},
	{name: "an abort in the head", inside: aborted(samplePage[:30], false), outcome: "aborted", want: brokenOff},
	{name: "an abort in the head, after a flush", inside: aborted(samplePage[:30], true), outcome: "aborted", want: brokenOff},
	{name: "an abort in the body", inside: aborted(samplePage+filler, true), outcome: "aborted", want: brokenOff},
	{name: "an abort at the end of the page", inside: aborted(samplePage, false), outcome: "aborted", want: brokenOff},
	{name: "an origin that breaks off in the head", origin: broken(samplePage[:30]), outcome: "aborted", want: brokenOff},
	{name: "an origin that breaks off in the body", origin: broken(longPage), outcome: "aborted", want: brokenOff},
	{name: "an origin that breaks off before its length", outcome: "aborted", want: brokenOff,
		origin: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9999")
			broken(longPage)(w, r)
		}},

	// Not a document: row 26.
	{name: "an attachment", origin: documentOf(longPage, `Content-Disposition: attachment; filename="t.html"`), outcome: "attachment", want: untouched}, // 6266
	{name: "inline", origin: documentOf(longPage, `Content-Disposition: inline; filename="t.html"`)},
	{name: "a fragment for htmx", origin: documentOf(samplePage), fields: []string{"HX-Request: true"}, outcome: "not_document",
		want: func(x *trial, plain, got result) { // the document at the same address is another one
			plain.header.Add("Vary", "HX-Request")
			untouched(x, plain, got)
		}},
	{name: "a page whose beginning is included in front", origin: documentOf("<esi:include src=/header/><h1>Contact</h1>"), fields: []string{"Sec-Fetch-Dest: document"}, outcome: "not_document",
		want: untouched},
	{name: "a fragment for Caddy's templates", origin: documentOf(samplePage), fields: []string{"Caddy-Templates-Include: 1"}, outcome: "not_document",
		want: func(x *trial, plain, got result) {
			plain.header.Add("Vary", "Caddy-Templates-Include")
			untouched(x, plain, got)
		}},
	{name: "a page that a script fetches", origin: documentOf(samplePage), fields: []string{"Sec-Fetch-Dest: empty"}, outcome: "not_document",
		want: func(x *trial, plain, got result) {
			plain.header.Add("Vary", "Sec-Fetch-Dest")
			untouched(x, plain, got)
		}},
	{name: "a page that a service worker fetches for a navigation", origin: documentOf(longPage),
		fields: []string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: navigate"}},
	{name: "a page that a script fetches, as browsers say it", origin: documentOf(samplePage),
		fields: []string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors"}, outcome: "not_document",
		want: func(x *trial, plain, got result) { // the service worker's is of the same destination
			plain.header.Add("Vary", "Sec-Fetch-Mode")
			untouched(x, plain, got)
		}},
	{name: "a page that a script fetches from an origin that compresses",
		origin: encoded("gzip", zipped(longPage)), fields: []string{"Sec-Fetch-Dest: empty"}, outcome: "not_document",
		want: func(x *trial, plain, got result) { // otherwise the browser could show that copy as the document
			plain.header.Add("Vary", "Sec-Fetch-Dest")
			untouched(x, plain, got)
		}},
	{name: "JSON that calls itself HTML", origin: documentOf(`{"html":"<b>x</b>"}`), fields: []string{"Sec-Fetch-Dest: ", "Accept: */*"},
		outcome: "not_document",
		want: func(x *trial, plain, got result) { // who opens it as a page gets the tag
			plain.header.Add("Vary", "Accept")
			untouched(x, plain, got)
		}},
	{name: "a page that <a download> saves", origin: documentOf(longPage),
		fields: []string{"Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: navigate", "Accept: "}, outcome: "not_document",
		want: func(x *trial, plain, got result) { // a service worker's navigation differs in Accept alone
			plain.header.Add("Vary", "Accept")
			untouched(x, plain, got)
		}},
	{name: "heads that are none", origin: documentOf(strings.Replace(longPage, "<title>t",
		"<!-- </head> --><script>'</head>'</script><style></head></style><title></head>", 1)),
		want: func(x *trial, plain, got result) {
			if want := strings.Replace(plain.body, "</title></head>", "</title>"+staticTag+"</head>", 1); got.body != want {
				x.Errorf("body %.800s", got.body)
			}
		}},
	{name: "a template in the head", origin: documentOf(strings.Replace(longPage, "<title>", "<template><head></head></template><title>", 1)),
		want: func(x *trial, plain, got result) { // the anchor is in the head, before the part that the scanner does not read
			if want := strings.Replace(plain.body, "<template>", staticTag+"<template>", 1); got.body != want {
				x.Errorf("body %.800s", got.body)
			}
		}},
	{name: "header is not head", origin: documentOf("<!doctype html><title>t</title><header>x</header>"),
		want: func(x *trial, plain, got result) {
			if want := strings.Replace(plain.body, "<header>", staticTag+"<header>", 1); got.body != want {
				x.Errorf("body %s", got.body)
			}
		}},
	{name: "UTF-16", origin: reply(200, "<\x00!\x00", "Content-Type: text/html; charset=utf-16le"), outcome: "charset", want: untouched},
	{name: "two types, the last is not HTML", origin: reply(200, longPage, "Content-Type: text/html", "Content-Type: text/plain"), outcome: "not_html", want: untouched},
	{name: "two types, the last is HTML", origin: reply(200, longPage, "Content-Type: text/plain", "Content-Type: text/html")},
	{name: "UTF-16 in another spelling", origin: reply(200, longPage, `Content-Type: text/html; x="; charset=utf-8; y"; charset=" utf\-16le"`), outcome: "charset", want: untouched},
	{name: "AMP", origin: documentOf("<!doctype html><html amp><head></head>" + filler), outcome: "amp", want: untouched},
	{name: "a page that has the tag", origin: documentOf(taggedPage), outcome: "already_present", want: untouched},

	// Content-Security-Policy: row 19.
	{name: "a policy that lets the tag in", origin: documentOf(longPage, "Content-Security-Policy: script-src https:", "ETag: \"v1\"")},
	{name: "a policy that blocks it", origin: documentOf(longPage, "Content-Security-Policy: script-src 'self'", "ETag: \"v1\""),
		outcome: "csp_blocked", want: untouched},
	{name: "a policy in the page that blocks it", origin: documentOf(pageWith(cspMeta + `script-src 'self'">`)), outcome: "csp_blocked", want: untouched},
	{name: "a policy with a nonce", origin: documentOf(longPage, "Content-Security-Policy: script-src 'nonce-R2xvYmFs'", "ETag: \"v1\""),
		want: func(x *trial, plain, got result) {
			plain.header.Del("ETag") // it does not cover bytes that depend on the response
			x.taggedWith(tagWith("R2xvYmFs"), plain, got)
			if x.wrap == "bare" && got.length != plain.length+int64(len(tagWith("R2xvYmFs"))) {
				x.Errorf("Content-Length %d, without the tag %d", got.length, plain.length)
			}
		}},
	{name: "a policy that is extended", origin: documentOf(longPage, "Content-Security-Policy: script-src 'self'", "ETag: \"v1\""),
		site: strings.Replace(proxySite, "KAPA", "KAPA(csp extend)", 1),
		want: func(x *trial, plain, got result) {
			if csp := got.header.Get(policyField); csp != "script-src 'self' "+kapaSource {
				x.Errorf("policy %s", csp)
			}
			got.header.Set(policyField, plain.header.Get(policyField))
			x.tagged(plain, got)
		}},
	{name: "a policy by a header directive outside", origin: documentOf(longPage), outcome: "csp_blocked", want: untouched,
		site: "header Content-Security-Policy \"script-src 'self'\"\n" + proxySite},
	{name: "a policy by a deferred header directive outside", origin: documentOf(longPage), outcome: "header_overridden",
		site: "header >Content-Security-Policy \"script-src 'self'\"\n" + proxySite},
	{name: "a policy that lets the tag in, by a deferred header directive outside", origin: documentOf(longPage),
		site: "header >Content-Security-Policy \"script-src https:\"\n" + proxySite},

	// Whose page it is: rows 27 and 28.
	{name: "placeholders of two visitors at once", run: placeholders,
		site:   strings.Replace(proxySite, "KAPA", "KAPA(data-x {http.request.header.X-Name})", 1),
		origin: rendezvous},
	{name: "another case of the cookie's name", origin: documentOf(longPage), run: refused("Cookie_Consent=accepted")}, // 6265 5.4
	{name: "another case of its value", origin: documentOf(longPage), run: refused("cookie_consent=Accepted")},
	{name: "cookies that disagree", origin: documentOf(longPage), run: refused(granted + "; " + denied)},
	{name: "cookies that disagree, in two lines", origin: documentOf(longPage), run: refused(granted, denied)}, // 9113 8.2.3
	{name: "cookies that agree", origin: documentOf(longPage), run: func(x *trial) {
		x.tagged(x.ask(false, granted), x.ask(true, granted+"; "+granted))
	}},
	{name: "a withdrawal deletes the id", origin: documentOf(longPage, "Cache-Control: max-age=60"), run: withdrawal},

	// Configurations.
	{name: "a deferred header directive outside", site: deferred, origin: documentOf(longPage),
		outcome: "header_overridden", want: overridden},
	{name: "a deferred header directive outside, over a page that is all head", site: deferred, origin: documentOf("<!doctype html><title>t</title>"),
		outcome: "header_overridden", want: func(x *trial, plain, got result) {
			plain.body += "</head>" // which is where the tag belongs
			got.body += "</head>"
			overridden(x, plain, got)
		}},
	{name: "a deferred header directive outside, over a withdrawal", site: deferred, origin: documentOf(longPage),
		run: func(x *trial) { // a cache would delete everybody's id
			_, ex, err := x.send(true, "GET", "/", nil, "Cookie: "+denied+"; "+kapa.IDCookie+"="+idA)
			if err != nil {
				x.Fatal(err)
			}
			x.ended(ex, "header_overridden")
		}},
	{name: "several blocks, the first one fits", origin: documentOf(longPage), path: "/first", site: blocks},
	{name: "several blocks, the second one fits", origin: documentOf(longPage), path: "/second", site: blocks,
		want: func(x *trial, plain, got result) {
			x.taggedWith(strings.Replace(staticTag, " src=", ` data-x="2" src=`, 1), plain, got)
		}},
	{name: "several blocks, none fits", origin: documentOf(longPage), path: "/third", site: blocks, outcome: "other_page", want: untouched},
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
