package kapadeflector

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
	"golang.org/x/net/http/httpguts"
)

// same expects equal responses from the sites without and with the directive.
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

// sameFields compares two headers, without some fields.
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
	etag := strings.TrimSuffix(strings.TrimSuffix(plain, `"`), "-gzip") + variant.Suffix([]byte(tag))
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

// uncompressed is tagged for a page that encode compresses only without the tag.
func uncompressed(x *trial, plain, got result) {
	x.Helper()
	plain.header = plain.header.Clone()
	if compressed := plain.header.Get("Content-Encoding") == "gzip"; compressed != (x.wrap == "encode") {
		x.Errorf("compressed %t without the directive", compressed)
	}
	plain.header.Del("Content-Encoding")
	x.tagged(plain, got)
}

// compressedOnly is tagged for a page that encode compresses or not, without the
// tag and with it.
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

// heldTrailers expects the trailer at the end and nowhere else. The page is held back
// as a whole until the trailer is set.
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

// brokenOff expects a response that every client sees to be incomplete.
func brokenOff(x *trial, plain, got result) {
	x.Helper()
	if got.err == nil {
		x.Errorf("no error; %d %q", got.status, got.body)
	}
}

// mislabelled expects the tag and no Content-Encoding. plain cannot be decoded.
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

// likeGET expects the header that GET gets, without what only a body can tell, and
// without an id.
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
	const cookies = denied + "; " + kapa.IDCookie + "=" + idA
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

// saysNothing removes from a request the fields that show it to be for a page.
var saysNothing = []string{"Sec-Fetch-Dest: ", "Accept: "}

// copies expects that a client that says nothing can revalidate both the origin's
// page and the page with the tag, and that neither validates the other.
func copies(x *trial) {
	x.fields = saysNothing
	asking := func(cookie, etag string) result { return x.ask(true, cookie, "If-None-Match: "+etag) }
	untagged := x.ask(true, unknown).header.Get("ETag")
	first := x.ask(true, granted)
	x.tagged(x.ask(false, granted), first)
	tagged := first.header.Get("ETag")

	own := asking(granted, untagged)
	if own.status != 304 || strings.Contains(own.header.Get("ETag"), variant.Mark) || own.header["Set-Cookie"] != nil ||
		!httpguts.HeaderValuesContainsToken(own.header["Vary"], "Accept") {
		x.Errorf("the origin's page: %d %v", own.status, own.header)
	}
	for _, list := range []string{tagged, untagged + ", " + tagged} {
		if got := asking(granted, list); got.status != 304 || !strings.Contains(got.header.Get("ETag"), variant.Mark) || got.header["Last-Modified"] != nil {
			x.Errorf("the page with the tag, %s: %d %v", list, got.status, got.header)
		}
	}
	for _, cookie := range []string{denied, unknown} {
		if got := asking(cookie, tagged); got.status != 200 {
			x.Errorf("the page with the tag, %s: %d", cookie, got.status)
		}
	}
	for _, list := range []string{strings.Replace(tagged, variant.Mark, variant.Mark+"0", 1), `"v1-kapa-0123456789abcdef"`} {
		if got := asking(granted, list); got.status != 200 {
			x.Errorf("another visitor's page, %s: %d", list, got.status)
		}
	}
}

// acceptEncoding expects that the origin is asked for gzip, or for no compression, if the
// body may be changed, and only then.
func acceptEncoding(x *trial) {
	x.origin = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Accept-Encoding")) }
	for _, c := range []struct {
		cookie, field, want string
	}{
		{granted, "Accept-Encoding: zstd, br, gzip", "gzip"},
		{granted, "Accept-Encoding: zstd, br", "identity"},
		{granted, "Accept-Encoding: gzip;q=0, *", "identity"},
		{granted, "Accept-Encoding: *", "gzip"},
		{granted, "Accept-Encoding: br, gzip|Sec-Fetch-Dest: ", "gzip"},              // text/html is in Accept
		{granted, "Accept-Encoding: br, gzip|Sec-Fetch-Dest: |Accept: ", "br, gzip"}, // it may be a download
		{granted, "Accept-Encoding: br, gzip|Sec-Fetch-Dest: |Accept: */*", "br, gzip"},
		{granted, "Accept-Encoding: br, gzip|Sec-Fetch-Dest: script", "br, gzip"},
		{granted, "Accept-Encoding: br, gzip|HX-Request: true", "br, gzip"},
		{denied, "Accept-Encoding: br, gzip", "br, gzip"},
		{unknown, "Accept-Encoding: br, gzip", "br, gzip"},
		{"", "Accept-Encoding: br, gzip", "br, gzip"},
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

	first := asking(granted, untagged) // the copy without the tag must not be kept
	x.tagged(plain, first)
	tagged := first.header.Get("ETag")

	own := strings.Replace(tagged, "-gzip", "", 1) // encode leaves its suffix out of a 304
	for _, list := range []string{tagged, "W/" + tagged, `"x", ` + tagged + `, "y"`, untagged + ", " + tagged} {
		again := asking(granted, list)
		if again.status != 304 || again.body != "" || again.header.Get("ETag") != own {
			x.Errorf("If-None-Match: %s: %d, ETag: %s", list, again.status, again.header.Get("ETag"))
		}
		if again.header.Get("Cache-Control") != "private, no-cache" || again.header["Last-Modified"] != nil ||
			!strings.Contains(strings.Join(again.header["Vary"], ","), "Cookie") || len(idLines(&http.Response{Header: again.header})) != 1 {
			x.Errorf("304 with %v", again.header)
		}
	}
	for _, other := range []string{`"x"`, "*", strings.Replace(tagged, variant.Mark, variant.Mark+"0", 1)} {
		x.tagged(plain, asking(granted, other))
	}
	x.tagged(plain, x.ask(true, granted, "If-Modified-Since: "+time.Now().UTC().Format(http.TimeFormat)))

	for _, cookie := range []string{denied, unknown, ""} {
		after := asking(cookie, tagged) // nor the tagged one after withdrawal
		if after.status != 200 {
			x.Errorf("%s: %d", cookie, after.status)
		}
		x.same(plain, after)
		if both := asking(cookie, tagged+", "+untagged); both.status != 304 || strings.Contains(both.header.Get("ETag"), variant.Mark) {
			x.Errorf("%s: %d, ETag: %s", cookie, both.status, both.header.Get("ETag"))
		}
	}
	x.tagged(plain, asking(granted, untagged))
}

// webSocket expects bytes both ways.
func webSocket(x *trial) {
	var to io.Writer
	var from io.Reader
	var ex *sharedExchange
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
				want := ` data-x="` + strings.NewReplacer(`"`, "&quot;", "<", "&lt;", ">", "&gt;").Replace(name) + `" src="` + kapa.ScriptURL + `"></script></head>`
				if err != nil || strings.Count(string(b), " data-x=") != 1 || !strings.Contains(string(b), want) {
					x.Errorf("%s: %v, %s", name, err, b)
				}
				x.ended(ex, "injected")
			}
		})
	}
	wg.Wait()
}
