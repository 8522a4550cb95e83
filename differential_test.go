package kapadeflector

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/corpus"
)

// The same requests with and without the directive: made-up origins and
// visitors, and a model (differential_model_test.go) that says what may differ.
//
// KAPA_SEED makes other cases than those of every run; with KAPA_CASE, only
// one of them is played, with all that is seen.
func TestDifferential(t *testing.T) {
	seed, cases := uint64(1), 4000
	if testing.Short() {
		cases = 400
	}
	if s := os.Getenv("KAPA_SEED"); s != "" {
		seed = diffNumber(t, s)
	}
	first, last := 0, cases
	if s := os.Getenv("KAPA_CASE"); s != "" {
		first = int(diffNumber(t, s))
		last = first + 1
	}
	d := newDifferential(t, seed)
	d.verbose = last == first+1

	var next atomic.Int64
	next.Store(int64(first))
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for n := int(next.Add(1)) - 1; n < last && d.failed.Load() < 5; n = int(next.Add(1)) - 1 {
				d.play(n)
			}
		})
	}
	clients.Wait()

	for _, kind := range slices.Sorted(maps.Keys(d.counts)) {
		t.Logf("%6d %s", d.counts[kind], kind)
	}
	if d.verbose || t.Failed() {
		return
	}
	for _, kind := range diffKinds {
		// the rarest come about three times in a thousand cases
		if least := cases / 800; d.counts[kind] < least {
			t.Errorf("only %d times: %s; want %d", d.counts[kind], kind, least)
		}
	}
}

// diffKinds are what the cases must have come to, each many times.
var diffKinds = []string{
	"answer: tagged", "answer: tagged, spliced", "answer: tagged, HEAD", "answer: tagged, not modified",
	"answer: unknown, page", "answer: unknown, gzip", "answer: unknown, encoded", "answer: unknown, not html",
	"answer: unknown, not modified", "answer: unknown, partial", "answer: unknown, redirect", "answer: unknown, page, HEAD",
	"answer: denied, page", "answer: id deleted, page", "answer: id deleted, not html", "answer: id deleted, redirect", "answer: id deleted, not modified",
	"answer: granted, not html", "answer: granted, redirect", "answer: granted, no content", "answer: granted, attachment",
	"answer: granted, charset", "answer: granted, no-transform", "answer: granted, incremental", "answer: granted, encoded",
	"answer: granted, empty", "answer: granted, not for a document",
	"answer: untagged: no anchor", "answer: untagged: no evidence", "answer: untagged: AMP", "answer: untagged: already present",
	"answer: untagged: escapes", "answer: untagged: already present, late",
	"tagged: status 200", "tagged: status 201", "tagged: status 404", "tagged: status 422", "tagged: status 500",
	"tagged: exact length", "tagged: chunked origin", "tagged: compressed by encode", "tagged: trailer", "tagged: POST",
	"tagged: strong entity tag", "tagged: weak entity tag", "tagged: no-store kept", "tagged: type sniffed",
	"tagged: id set", "tagged: id adopted", "tagged: twin deleted", "tagged: id not set across sites", "tagged: id of the origin", "tagged: real page",
	"sent on: foreign tag dropped from If-None-Match", "sent on: suffix cut from If-None-Match", "sent on: Range dropped",
	"sent on: Range kept for a client that may mean anything",
	"h1", "h2", "encode", "bare", "flushed at once", "flushed at once, tagged",
}

func diffNumber(t *testing.T, s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type differential struct {
	t       *testing.T
	seed    uint64
	bodies  []*diffBody
	verbose bool
	failed  atomic.Int32
	server  *server
	clients map[string]*http.Client

	mu        sync.Mutex
	counts    map[string]int
	resources map[string]*diffResource // by the path at the origin
}

// newDifferential starts an origin and one Caddy in front of it, which has
// routes with and without the directive; "identity" and "gzip" are two without that ask
// the origin for that coding.
func newDifferential(t *testing.T, seed uint64) *differential {
	d := &differential{
		t: t, seed: seed, bodies: diffBodies(t, seed),
		counts: make(map[string]int), resources: make(map[string]*diffResource),
	}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		resource := d.resources[r.URL.Path]
		d.mu.Unlock()
		resource.serve(w, r)
	}))
	t.Cleanup(origin.Close)

	address := strings.TrimPrefix(origin.URL, "http://")
	route := func(path, before, in string) string {
		return "handle_path " + path + "/* {\n" + before + "\nreverse_proxy " + address + " {\n" + in + "\n}\n}\n"
	}
	site := ""
	for suffix, flushing := range map[string]string{"": "", "-now": "flush_interval -1\n"} { // at each write of the origin's
		site += route("/bare"+suffix+"/plain", "", flushing) + route("/bare"+suffix+"/identity", "", flushing+"header_up Accept-Encoding identity") +
			route("/bare"+suffix+"/gzip", "", flushing+"header_up Accept-Encoding gzip") +
			route("/bare"+suffix+"/kapa", sampleBlock, flushing) + route("/encode"+suffix+"/plain", "encode", flushing) +
			route("/encode"+suffix+"/kapa", "encode\n"+sampleBlock, flushing)
	}
	d.server = startCaddy(t, "http://support.acme.com:HTTP {\n"+site+"}\nhttps://support.acme.com:TLS {\n"+site+"}\n")
	d.clients = map[string]*http.Client{"h1": d.server.client("h1", "127.0.0.1"), "h2": d.server.client("h2", "127.0.0.1")}
	return d
}

// diffRandom is where all that is random of one case comes from.
type diffRandom struct{ *rand.Rand }

func newDiffRandom(seed, n uint64) diffRandom { return diffRandom{rand.New(rand.NewPCG(seed, n))} }

func (r diffRandom) in(percent int) bool { return r.IntN(100) < percent }

// of picks a word; an empty one says that there is none.
func (r diffRandom) of(words ...string) string { return words[r.IntN(len(words))] }

// diffBodies are what origins may send.
func diffBodies(t *testing.T, seed uint64) (bodies []*diffBody) {
	r := newDiffRandom(seed, 1<<40)
	add := func(name, data string) *diffBody {
		b := &diffBody{name: name, data: data}
		bodies = append(bodies, b)
		return b
	}
	// the first few come up often: see body
	add("nothing", "")
	add("JSON", `{"html":"<p>one</p>","n":[1,2,3]}`)
	add("text", "plain words, and no more of them")
	add("page", samplePage)
	add("AMP", "<!doctype html><html amp><head><title>a</title></head><body>b").amp = true
	add("present", "<!doctype html><head><script src=\"/x/"+kapaFile+"\"></script></head><body>b").loads = true
	add("long head", "<!doctype html><head><style>"+strings.Repeat("p{color:red}\n", 4000)+"</style><title>t</title></head><body>b")
	add("present late", "<!doctype html><head><style>"+strings.Repeat("p{color:red}\n", 4000)+"</style><script src="+kapaFile+"></script></head><body>b").loads = true
	add("escapes", "<!doctype html><title>\x1b$B%F%9%H\x1b(B</title><body>b")
	add("open comment", "<!doctype html><head><!-- "+strings.Repeat("and so on ", 300))
	add("fragment", "<li>one</li>\n<li>two</li>")
	if len(bodies) != diffSpecial {
		t.Fatal("diffSpecial is not ", len(bodies))
	}
	for _, test := range corpus.HTML5Lib(t) {
		add("html5lib "+test.Name, test.HTML)
	}
	pages := corpus.RealPages(t)
	for range 60 {
		p := pages[r.IntN(len(pages))]
		from, to := 0, min(len(p.HTML), 1+r.IntN(60_000))
		if r.in(25) {
			from = r.IntN(to)
		}
		if r.in(10) {
			to = min(len(p.HTML), 300_000)
		}
		b := add(fmt.Sprintf("real page %s[%d:%d]", p.Name, from, to), string(p.HTML[from:to]))
		b.amp = diffLooksAMP(b.data)
	}
	return bodies
}

const (
	diffSpecial = 11
	kapaFile    = "kapa-support-form-deflector.bundle.js"
)

func diffLooksAMP(s string) bool {
	_, rest, _ := strings.Cut(strings.ToLower(s), "<html")
	attributes, _, _ := strings.Cut(rest, ">")
	return slices.ContainsFunc(strings.Fields(attributes), func(a string) bool {
		name, _, _ := strings.Cut(a, "=")
		return name == "amp" || name == "⚡"
	})
}

func (d *differential) body(r diffRandom) *diffBody {
	switch n := r.IntN(100); {
	case n < 40:
		return d.bodies[r.IntN(diffSpecial)]
	case n < 75:
		return d.bodies[diffSpecial+r.IntN(len(d.bodies)-diffSpecial-60)]
	default:
		return d.bodies[len(d.bodies)-1-r.IntN(60)]
	}
}

// A diffResource is what the origin has at one address, and how it sends it.
type diffResource struct {
	status  int
	header  http.Header
	body    *diffBody
	coding  string // "", "gzip" however it is asked, "gzip if asked", "bare gzip" without saying so, "br"
	sized   bool   // with a Content-Length
	trailer bool
	rhythm  [2]uint64 // of the writes

	mu   sync.Mutex
	seen string // of the last request
}

// resource makes one up.
func (d *differential) resource(r diffRandom) *diffResource {
	o := &diffResource{status: 200, header: make(http.Header), body: d.body(r), rhythm: [2]uint64{r.Uint64(), r.Uint64()}}
	if r.in(40) {
		o.status = []int{201, 203, 206, 204, 205, 301, 302, 304, 400, 404, 410, 422, 500, 503}[r.IntN(14)]
	}
	set := func(percent int, field string, values ...string) {
		if r.in(percent) {
			o.header.Set(field, r.of(values...))
		}
	}
	o.header.Set("Content-Type", "text/html")
	set(50, "Content-Type", "text/html; charset=utf-8", "Text/HTML;Charset=UTF-8", `text/html; charset="utf-8"`, "text/html; charset=iso-8859-1")
	set(6, "Content-Type", "text/html; charset=utf-16le", "text/html;charset=ISO-2022-JP")
	set(15, "Content-Type", "application/json", "text/plain; charset=utf-8", "application/xhtml+xml", "text/htmlx", "image/png")
	set(10, "Content-Disposition", "inline", `inline; filename="a.html"`, "attachment", `Attachment; filename="a.html"`)
	set(60, "Cache-Control", "public, max-age=600", "no-cache", "max-age=0, must-revalidate", "private", "s-maxage=60")
	set(14, "Cache-Control", "no-store", "public, no-transform", "no-store, max-age=0", "no-transform")
	set(15, "Expires", "Thu, 01 Jan 2032 00:00:00 GMT", "0")
	set(10, "CDN-Cache-Control", "max-age=60")
	set(10, "Cloudflare-CDN-Cache-Control", "max-age=60")
	set(10, "Surrogate-Control", "max-age=60")
	set(5, "X-Accel-Expires", "60")
	set(60, "ETag", `"a1"`, `W/"a1"`, `"with, comma"`, `"-"`)
	set(50, "Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
	set(40, "Vary", "Accept-Encoding", "Cookie", "accept-encoding, cookie", "Origin", "*")
	set(25, "Set-Cookie", "session=1; Path=/; HttpOnly", "kapa_web_id=of-origin; Path=/")
	set(8, "Digest", "sha-256=AAAA")
	set(8, "Content-Digest", "sha-256=:AAAA:")
	set(8, "Repr-Digest", "sha-256=:AAAA:")
	set(8, "Content-MD5", "AAAA")
	set(30, "Accept-Ranges", "bytes", "none")
	set(20, "Link", "</a.css>; rel=preload")
	set(4, "Incremental", "?1")
	o.sized = r.in(60)
	o.trailer = !o.sized && r.in(30)
	if r.in(30) {
		o.coding = r.of("gzip", "gzip if asked", "gzip if asked", "bare gzip", "br", "identity")
	}
	if r.in(8) && o.status != 206 { // net/http names the type by what the first write shows of it
		o.header.Del("Content-Type")
		o.header.Del("Incremental") // or nothing, if the proxy's timer flushes before it
		o.header.Del("Accept-Ranges")
		o.sized, o.trailer, o.coding, o.rhythm = true, false, "", [2]uint64{}
	}
	if o.status == 206 {
		o.header.Set("Content-Range", "bytes 0-0/1000")
		o.coding = ""
	}
	if o.status/100 == 3 && o.status != 304 {
		o.header.Set("Location", "/elsewhere")
	}
	if o.status == 204 || o.status == 205 || o.status == 304 {
		o.body, o.coding, o.trailer = d.bodies[0], "", false
	}
	if o.body.data == "" {
		o.header.Del("Incremental") // Caddy breaks such an answer off, with or without us
	}
	return o
}

func (o *diffResource) String() string {
	return fmt.Sprintf("origin: %d %v, coding %q, sized %t, trailer %t, body %s: %.300q", o.status, o.header, o.coding, o.sized, o.trailer, o.body.name, o.body.data)
}

// answer returns the origin's response to r.
func (o *diffResource) answer(r *http.Request) (status int, h http.Header, body string) {
	status, h, body = o.status, o.header.Clone(), o.body.data
	etag := h.Get("ETag")
	ranged := h.Get("Accept-Ranges") == "bytes" && o.coding == ""
	if match := r.Header.Get("If-Match"); match != "" && status == 200 && match != "*" && !(strings.HasPrefix(etag, `"`) && strings.Contains(match, etag)) {
		return 412, http.Header{"Content-Type": {"text/plain"}}, "not this one"
	}
	if status == 200 && r.Method != http.MethodPost {
		match := r.Header.Get("If-None-Match")
		matches := etag != "" && (match == "*" || strings.Contains(match, strings.TrimPrefix(etag, "W/")))
		dated := match == "" && r.Header.Get("If-Modified-Since") != "" && h.Get("Last-Modified") != ""
		if matches || dated {
			h.Del("Content-Type")
			h.Del("Content-Disposition")
			return 304, h, ""
		}
		var from, to int
		n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to)
		same := r.Header.Get("If-Range") == "" || r.Header.Get("If-Range") == etag && strings.HasPrefix(etag, `"`)
		if n == 2 && ranged && same && to < len(body) && r.Method == http.MethodGet {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(body)))
			return 206, h, body[from : to+1]
		}
	}
	switch coding := o.coding; {
	case coding == "br" || coding == "identity":
		h.Set("Content-Encoding", coding)
		if coding == "br" {
			body = "\x8b\x03\x80 opaque \xff" + strconv.Itoa(len(body)) + "\x00\x03"
		}
	case coding == "gzip", coding == "gzip if asked" && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"):
		h.Set("Content-Encoding", "gzip")
		body = diffGzip(body)
	case coding == "bare gzip":
		body = diffGzip(body)
	}
	return status, h, body
}

func diffGzip(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, s)
	z.Close()
	return b.String()
}

// serve sends the response, in a few writes with flushes and pauses between.
func (o *diffResource) serve(w http.ResponseWriter, r *http.Request) {
	sent, _ := io.ReadAll(r.Body)
	o.mu.Lock()
	o.seen = fmt.Sprintf("%s %s %v %q", r.Method, r.Host, r.Header, sent)
	o.mu.Unlock()

	status, h, body := o.answer(r)
	maps.Copy(w.Header(), h)
	if h.Get("Content-Type") == "" {
		w.Header()["Content-Type"] = nil
	}
	bodyless := status == 204 || status == 304
	if o.sized && !bodyless {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	trailer := o.trailer && !bodyless && r.Method != http.MethodHead
	if trailer {
		w.Header().Set("Trailer", "X-Sum")
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead || bodyless {
		return
	}
	rhythm := diffRandom{rand.New(rand.NewPCG(o.rhythm[0], o.rhythm[1]))}
	calm := o.rhythm == [2]uint64{}
	if !o.sized {
		w.(http.Flusher).Flush()
	}
	for body != "" {
		n := len(body)
		if !calm && rhythm.in(60) {
			n = 1 + rhythm.IntN(n)
		}
		io.WriteString(w, body[:n])
		body = body[n:]
		if !calm && rhythm.in(30) {
			w.(http.Flusher).Flush()
		}
		if !calm && rhythm.in(3) {
			time.Sleep(time.Duration(rhythm.IntN(1000)) * time.Microsecond)
		}
	}
	if trailer {
		w.Header().Set("X-Sum", "7")
	}
}

// A diffVisitor is a Cookie header and what is known of who sends it.
type diffVisitor struct {
	says    string // granted, denied or unknown
	cookies string
	id      string // the valid id, the first of several
	hasID   bool   // whether the cookie is there at all
	twin    bool   // whether another value came with it
	gpc     string // Sec-GPC
}

const (
	diffID      = "3f0c9a52-7e0b-4c55-9d0e-0a6f1d2b3c4d"
	diffOtherID = "A7B8C9D0-1111-1222-8333-444455556666"
)

var diffVisitors = []diffVisitor{
	{unknown, "", "", false, false, ""},
	{unknown, unknown, "", false, false, ""},
	{unknown, "cookie_consent=; kapa_web_id=" + diffID, diffID, true, false, ""},
	{unknown, granted + "; " + denied, "", false, false, ""},
	{denied, denied, "", false, false, ""},
	{denied, "a=b; " + denied + "; kapa_web_id=" + diffID, diffID, true, false, ""},
	{denied, denied + "; kapa_web_id=", "", true, false, ""},
	{granted, granted, "", false, false, ""},
	{granted, granted + "; kapa_web_id=" + diffID, diffID, true, false, ""},
	{granted, granted + "; kapa_web_id=00000000-0000-0000-0000-000000000000", "", true, false, ""},
	{granted, "kapa_web_id=" + diffOtherID + "; " + granted + "; kapa_web_id=" + diffID, diffOtherID, true, true, ""},
	{granted, granted, "", false, false, "0"},
	{unknown, granted + "; kapa_web_id=" + diffID, diffID, true, false, "1"},
	{denied, denied + "; kapa_web_id=" + diffID, diffID, true, false, "1"},
	{granted, "kapa_web_id=x; " + granted + "; kapa_web_id=" + diffOtherID, diffOtherID, true, true, ""},
}

// A diffRequest is one request, and the way it takes.
type diffRequest struct {
	visitor  diffVisitor
	method   string
	header   http.Header
	protocol string
	encode   bool
	now      bool // what the origin writes is flushed at once
}

var diffContexts = []string{ // what is asked for
	"Sec-Fetch-Dest: document|Sec-Fetch-Mode: navigate|Sec-Fetch-Site: none|Accept: text/html,application/xhtml+xml,*/*;q=0.8",
	"Sec-Fetch-Dest: document|Sec-Fetch-Mode: navigate|Sec-Fetch-Site: same-origin|Accept: text/html,*/*;q=0.8",
	"Sec-Fetch-Dest: document|Sec-Fetch-Mode: navigate|Sec-Fetch-Site: cross-site|Accept: text/html,*/*;q=0.8",
	"Sec-Fetch-Dest: iframe|Sec-Fetch-Mode: navigate|Sec-Fetch-Site: same-site",
	"Sec-Fetch-Mode: navigate",
	"Sec-Fetch-Dest: empty|Sec-Fetch-Mode: navigate|Sec-Fetch-Site: same-origin|Accept: text/html,*/*;q=0.8",
	"Sec-Fetch-Dest: document|Sec-Purpose: prefetch;prerender",
	"Accept: text/html,application/xhtml+xml",
	"Accept: */*",
	"",
	"Accept: application/json",
	"Sec-Fetch-Dest: empty|Sec-Fetch-Mode: cors|Sec-Fetch-Site: same-origin|Accept: */*",
	"Sec-Fetch-Mode: same-origin|Accept: */*",
	"Sec-Fetch-Dest: image|Sec-Fetch-Mode: no-cors|Accept: image/*",
	"Sec-Fetch-Dest: document|X-Requested-With: XMLHttpRequest",
	"HX-Request: true|Accept: */*",
	"Turbo-Frame: main|Accept: text/html",
}

// request makes one up; tags are entity tags of earlier responses.
func (d *differential) request(r diffRandom, o *diffResource, protocol string, encode bool, tags []string) diffRequest {
	q := diffRequest{
		visitor: diffVisitors[r.IntN(len(diffVisitors))], method: "GET", header: make(http.Header),
		protocol: protocol, encode: encode,
	}
	if r.in(20) {
		q.method = r.of("HEAD", "POST")
	}
	context := r.of(diffContexts[:3]...)
	if r.in(60) {
		context = r.of(diffContexts...)
	}
	for field := range strings.SplitSeq(context, "|") {
		if name, value, ok := strings.Cut(field, ": "); ok {
			q.header.Set(name, value)
		}
	}
	if q.visitor.cookies != "" {
		q.header.Set("Cookie", q.visitor.cookies)
	}
	if q.visitor.gpc != "" {
		q.header.Set("Sec-GPC", q.visitor.gpc)
	}
	if coding := r.of("", "gzip", "gzip, deflate, br", "identity", "br"); coding != "" {
		q.header.Set("Accept-Encoding", coding)
	}
	tags = append(tags, o.header.Get("ETag"), `"other"`, `"a1-kapa-0123456789abcdef"`)
	tags = slices.DeleteFunc(tags, func(s string) bool { return s == "" })
	if r.in(40) {
		var list []string
		for range 1 + r.IntN(3) {
			list = append(list, r.of(tags...))
		}
		if r.in(8) {
			list = []string{"*"}
		}
		q.header.Set("If-None-Match", strings.Join(list, ", "))
	}
	if r.in(10) {
		q.header.Set("If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT")
	} else if r.in(15) {
		q.header.Set("Range", "bytes=0-9")
		if r.in(40) {
			q.header.Set("If-Range", r.of(tags...))
		}
	}
	if r.in(6) {
		q.header.Set("If-Match", r.of(append(tags, "*")...))
	}
	return q
}

// A diffAnswer is what a client sees.
type diffAnswer struct {
	status  int
	header  http.Header
	body    string
	trailer string
	coded   bool // encode's work was undone
	seen    string
}

// send sends the request by one of the routes.
func (d *differential) send(q diffRequest, route string, o *diffResource, path string) (a diffAnswer, err error) {
	scheme, site, body := "https", "bare", ""
	if q.protocol == "h1" {
		scheme = "http"
	}
	if q.encode && (route == "plain" || route == "kapa") {
		site = "encode"
	}
	if q.now {
		site += "-now"
	}
	if q.method == "POST" {
		body = "description=help"
	}
	r, err := http.NewRequest(q.method, scheme+"://support.acme.com/"+site+"/"+route+path, strings.NewReader(body))
	if err != nil {
		return a, err
	}
	r.Header = q.header.Clone()
	resp, err := d.clients[q.protocol].Do(r)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, fmt.Errorf("%d %v, then %d bytes: %w", resp.StatusCode, resp.Header, len(b), err)
	}
	if (q.protocol == "h2") != (resp.ProtoMajor == 2) {
		return a, fmt.Errorf("%s instead of %s", resp.Proto, q.protocol)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return diffAnswer{status: resp.StatusCode, header: resp.Header, body: string(b), trailer: fmt.Sprint(resp.Trailer), seen: o.seen}, nil
}

// uncode undoes what encode has done to a response of an origin that did not
// compress it.
func (a diffAnswer) uncode(q diffRequest) (diffAnswer, error) {
	a.coded = true
	a.header = a.header.Clone()
	a.header.Del("Content-Encoding")
	if tag := a.header.Get("Etag"); strings.HasPrefix(tag, `"`) {
		cut, ok := strings.CutSuffix(tag, `-gzip"`)
		if !ok {
			return a, fmt.Errorf("compressed under the entity tag %s", tag)
		}
		a.header.Set("Etag", cut+`"`)
	}
	if q.method == "HEAD" {
		return a, nil
	}
	z, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		return a, err
	}
	b, err := io.ReadAll(z)
	a.body = string(b)
	return a, err
}

// spliced returns the text of a page that was gzip at the origin already and was changed;
// ok is false for any other response.
func (a diffAnswer) spliced(base diffAnswer, q diffRequest) (text string, ok bool) {
	if q.method == "HEAD" || diffKind(base) != "gzip" || a.header.Get("Content-Encoding") != "gzip" || a.body == base.body {
		return "", false
	}
	z, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		return "", false
	}
	b, err := io.ReadAll(z)
	return string(b), err == nil && !strings.HasPrefix(string(b), "\x1f\x8b")
}

// play makes case n up and plays it: one resource, a few visits to it.
func (d *differential) play(n int) {
	r := newDiffRandom(d.seed, uint64(n))
	o := d.resource(r)
	path := "/" + strconv.Itoa(n)
	d.mu.Lock()
	d.resources[path] = o
	d.mu.Unlock()

	protocol, encode, now := r.of("h1", "h2"), r.in(50), r.in(30)
	if o.header["Content-Type"] == nil {
		now = false // the type is named by the first write, unless the header is flushed before
	}
	if o.body.data == "" && o.trailer {
		encode = false // which makes a header field of the trailer, with or without us
	}
	var tags []string
	var last diffRequest
	for visit := range 1 + r.IntN(3) {
		q := d.request(r, o, protocol, encode, slices.Clone(tags))
		q.now = now
		if visit > 0 && r.in(40) { // the same visitor again
			q.visitor, q.method, q.header = last.visitor, "GET", last.header.Clone()
			for _, field := range []string{"If-Match", "If-Range", "Range"} {
				q.header.Del(field)
			}
			if tags != nil {
				q.header.Set("If-None-Match", tags[len(tags)-1])
			}
		}
		last = q
		got, problems := d.compare(q, o, path)
		if d.verbose {
			d.t.Logf("%s\n%+v\n%d %v %.600q", o, q, got.status, got.header, got.body)
		}
		if problems != nil {
			d.failed.Add(1)
			request, _ := json.Marshal(q.header)
			d.t.Errorf("KAPA_SEED=%d KAPA_CASE=%d visit %d, %s, encode %t, flushed at once %t: %s %s\n%s\n\t%s",
				d.seed, n, visit, protocol, encode, now, q.method, request, o, strings.Join(problems, "\n\t"))
			return
		}
		if tag := got.header.Get("Etag"); tag != "" {
			tags = append(tags, tag)
		}
	}
	d.mu.Lock()
	delete(d.resources, path)
	d.mu.Unlock()
}

// compare sends a request through the directive, and what the origin is to see
// of it past the directive.
func (d *differential) compare(q diffRequest, o *diffResource, path string) (got diffAnswer, problems []string) {
	edited, past := q.toOrigin(), "plain"
	if q.wantsVariant() {
		if past = "identity"; q.takesGzip() {
			past = "gzip"
		}
	}
	base, err := d.send(edited, past, o, path)
	if err != nil {
		return got, []string{"without the directive: " + err.Error()}
	}
	got, err = d.send(q, "kapa", o, path)
	if err != nil {
		return got, []string{err.Error()}
	}
	raw := got
	if got.seen != base.seen {
		problems = append(problems, "the origin saw "+got.seen, "instead of     "+base.seen)
	}
	if got.status != base.status || got.trailer != base.trailer {
		problems = append(problems, fmt.Sprintf("status %d, trailer %s, want %d, %s", got.status, got.trailer, base.status, base.trailer))
	}

	ofOrigin := o.coding == "gzip" || o.coding == "gzip if asked" && past != "identity"
	if q.encode && base.header.Get("Content-Encoding") == "gzip" && !ofOrigin {
		if base, err = base.uncode(q); err != nil {
			return raw, append(problems, "without the directive: "+err.Error())
		}
	}
	if got.body != base.body && diffKind(base) == "gzip" && got.header.Get("Content-Encoding") == "gzip" && !strings.HasPrefix(got.body, "\x1f\x8b") {
		problems = append(problems, "labelled gzip, and is none")
	}
	text, spliced := got.spliced(base, q)
	switch {
	case spliced:
		if length := got.header.Get("Content-Length"); length != "" {
			if length != strconv.Itoa(len(got.body)) {
				problems = append(problems, fmt.Sprintf("Content-Length %s of %d compressed bytes", length, len(got.body)))
			}
			got.header = got.header.Clone()
			got.header.Set("Content-Length", strconv.Itoa(len(text)))
		}
		got.body = text
	case q.encode && got.header.Get("Content-Encoding") == "gzip" && (q.method == "HEAD" && !ofOrigin || q.method != "HEAD" && got.body != base.body):
		if got, err = got.uncode(q); err != nil {
			return raw, append(problems, err.Error())
		}
	}
	wants, err := q.expect(edited, o, base, got.body)
	if err != nil {
		return raw, append(problems, err.Error())
	}
	// How large the first write of a chunked body is, nobody knows; encode
	// decides by it. All else has to be the same under it.
	known := o.sized && !q.mayChange()
	var best []string
	for i, want := range wants {
		coded := got.coded || base.coded && known
		if base.coded && !got.coded && !known {
			want.header = want.header.Clone()
			maps.DeleteFunc(want.header, func(field string, _ []string) bool { return field == "Accept-Ranges" })
			got.header.Del("Accept-Ranges")
		}
		diffs := want.matches(got, q.visitor.id, coded, q.encode && !known)
		if known && got.coded != base.coded {
			diffs = append(diffs, fmt.Sprintf("compressed %t, want %t", got.coded, base.coded))
		}
		if q.encode && known == false && o.sized && !q.now && strings.HasPrefix(want.name, "tagged") && q.method != "HEAD" && base.status != 304 &&
			strings.Contains(q.header.Get("Accept-Encoding"), "gzip") && base.header.Get("Content-Encoding") == "" &&
			strings.HasPrefix(base.header.Get("Content-Type"), "text/") {
			// What would be compressed without the tag is; where its length stays
			// exact, that decides.
			if compressed := len(want.body) > 512; want.length == lengthRight && got.coded != compressed || len(want.body)-len(staticTag) > 512 && !got.coded {
				diffs = append(diffs, fmt.Sprintf("compressed %t with %d bytes", got.coded, len(want.body)))
			}
		}
		if diffs == nil {
			d.count(q, edited, o, base, got, want)
			return raw, problems
		}
		if i == 0 || len(diffs) < len(best) {
			best = append([]string{"not as " + want.name}, diffs...)
		}
	}
	return raw, append(problems, best...)
}

// count notes what was seen.
func (d *differential) count(q, edited diffRequest, o *diffResource, base, got diffAnswer, want diffExpectation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	note := func(kind string, seen bool) {
		if seen {
			d.counts[kind]++
		}
	}
	note("all answers", true)
	note("answer: "+want.name, true)
	note(q.protocol, true)
	note("encode", q.encode)
	note("bare", !q.encode)
	note("flushed at once", q.now)
	note("flushed at once, tagged", q.now && strings.HasPrefix(want.name, "tagged"))

	before, after := q.header.Get("If-None-Match"), edited.header.Get("If-None-Match")
	note("sent on: suffix cut from If-None-Match", strings.Contains(before, diffSuffix) && after != "" && q.mayChange())
	note("sent on: foreign tag dropped from If-None-Match", strings.Count(before, `"`) > strings.Count(after, `"`))
	asked, _ := diffAsked(q.method, q.header)
	note("sent on: Range kept for a client that may mean anything", asked == diffAny && q.mayChange() && edited.header["Range"] != nil)
	note("sent on: Range dropped", q.header["Range"] != nil && edited.header["Range"] == nil)

	if !strings.HasPrefix(want.name, "tagged") || got.body == "" {
		return
	}
	cookies := strings.Join(got.header["Set-Cookie"], "\n")
	note("tagged: status "+strconv.Itoa(got.status), true)
	note("tagged: exact length", want.length == lengthRight && !got.coded)
	note("tagged: chunked origin", !o.sized)
	note("tagged: compressed by encode", got.coded)
	note("tagged: trailer", strings.Contains(got.trailer, "7"))
	note("tagged: POST", q.method == "POST")
	note("tagged: strong entity tag", strings.HasPrefix(got.header.Get("Etag"), `"`))
	note("tagged: weak entity tag", strings.HasPrefix(got.header.Get("Etag"), `W/"`))
	note("tagged: no-store kept", strings.Contains(got.header.Get("Cache-Control"), "no-store"))
	note("tagged: type sniffed", o.header["Content-Type"] == nil)
	note("tagged: id set", strings.Contains(cookies, "Max-Age=34473600") && q.visitor.id == "")
	note("tagged: id adopted", q.visitor.id != "" && !strings.Contains(cookies, "kapa_web_id"))
	note("tagged: twin deleted", strings.Contains(cookies, q.idLine("", "")))
	note("tagged: id not set across sites", q.visitor.id == "" && q.header.Get("Sec-Fetch-Site") == "cross-site")
	note("tagged: id of the origin", strings.Contains(cookies, "of-origin"))
	note("tagged: real page", strings.HasPrefix(o.body.name, "real page"))
}
