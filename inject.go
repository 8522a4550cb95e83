package kapadeflector

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
)

// stage is how far a response has come.
type stage uint8

const (
	waiting  stage = iota // for the final header
	sniffing              // for the first body bytes: the header names no type
	holding               // the header and the body so far, until the anchor is found
	scanning              // the header is sent, the anchor is still ahead
	through               // everything passes
)

// responseWriter decides once what becomes of a response, and inserts once.
//
// A document that is to be changed is held back until its head ends, so that
// the header can still say how long the page is, and never beyond gatherLimit
// or the first flush. From the anchor on the origin's writes pass untouched,
// as they do from the first one in all other responses.
//
// The header map is the one below, never a copy: trailers are announced in it
// after the body (https://github.com/caddyserver/caddy/issues/3236). It is
// edited only when the final header is passed down, so that neither a 103 nor
// an error route ever shows what was meant for the page.
type responseWriter struct {
	caddyhttp.ResponseWriterWrapper
	visit visit

	stage    stage
	status   int
	implicit bool // the status is the first write's, nobody named it
	outcome  outcome
	html     bool  // an HTML document under the configured pages
	private  bool  // kept out of shared caches by us
	gzip     bool  // the page comes compressed all the same
	failed   bool  // some of the body did not get through: the client has left
	edit     *edit // nil unless it is a page that may be changed

	// what the header said of the fields that it announces as trailers
	announced http.Header
}

// edit is what it takes to change a page. Other responses do not pay for it.
type edit struct {
	scanner  head.Scanner
	permit   permit       // to insert, once it was asked for
	policies sentPolicies // in the header as it left this writer
	decoder  *decoder     // of a compressed page, from its first byte on
	half     bool         // the body began with the first byte of gzip, alone

	buf    []byte // what is held back
	least  int    // as much leaves in the first write, or by the header's length
	pooled *[bufferSize]byte
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// WriteHeader takes the first final status; others change nothing, as in
// net/http.
func (rw *responseWriter) WriteHeader(status int) {
	if 100 <= status && status <= 199 && status != http.StatusSwitchingProtocols {
		rw.ResponseWriter.WriteHeader(status)
		return
	}
	if rw.stage != waiting {
		return
	}
	rw.status = status

	h := rw.Header()
	if h["Trailer"] != nil {
		rw.announced = announcedIn(h)
	}
	contentType, named := h["Content-Type"]
	if !named && rw.visit.onPage && rw.visit.request.Method != http.MethodHead &&
		responseKind(status, h, "text/html") == undecided && documentGate(h, "") == undecided {
		rw.stage = sniffing // net/http will name the type by the first body bytes
		rw.gzip = false     // which an early flush may have left
		return
	}
	rw.decide(contentTypeOf(contentType))
}

// decide settles whether the response is held back to be changed.
func (rw *responseWriter) decide(contentType string) {
	rw.outcome = rw.judge(contentType)
	switch {
	case rw.visit.request.Method == http.MethodHead && rw.html:
		// the header that GET would get, without a body or an id
		changed := false
		if rw.outcome == undecided {
			rw.edit = new(edit)
			changed = rw.mayInsert()
		}
		rw.outcome = outcomeNoBody
		rw.stage = through
		rw.sendHeader(changed, false)
	case rw.outcome != undecided:
		rw.stage = through
		rw.sendHeader(false, false)
	default:
		rw.edit = new(edit)
		rw.stage = holding
		if rw.Header()["Content-Length"] != nil {
			rw.edit.least = math.MaxInt
		}
		rw.edit.scanner.Reset(kapaScriptFile)
		if charsetOf(contentType) != "" {
			rw.edit.scanner.TrustEncoding() // it passed the gate
		}
	}
}

// judge returns the outcome of a response that is not to be changed, undecided for
// a page that gets something if its head allows it.
func (rw *responseWriter) judge(contentType string) outcome {
	h, v := rw.Header(), &rw.visit
	rw.html, rw.gzip = false, false
	if !v.onPage {
		return outcomeOtherPage
	}
	if o := responseKind(rw.status, h, contentType); o != undecided {
		// RFC 9110 section 15.3.7: a part of a page varies as the page does
		rw.html = o == outcomePartial && isMediaType(contentType, "text/html")
		return o
	}
	o := documentGate(h, contentType)
	if o != undecided && o != outcomeEncoded {
		return o
	}
	rw.html = true
	switch {
	case v.asked == askedOther:
		return outcomeNotDocument
	case !v.mayBeChanged():
		return v.outcome
	case isGzip(h["Content-Encoding"]): // the origin was asked not to
		rw.gzip = true
		return undecided
	default: // a coding counts where it alone is in the way
		return v.decided(o)
	}
}

// sendHeader passes the final header down. changed says that the body gets the
// insertion, exact that all of it is still to be written.
func (rw *responseWriter) sendHeader(changed, exact bool) {
	rw.editHeader(changed, exact)
	if !rw.implicit { // a server may sniff a type only if a write comes first
		rw.ResponseWriter.WriteHeader(rw.status)
	}
}

func (rw *responseWriter) editHeader(changed, exact bool) {
	h, v := rw.Header(), &rw.visit
	if rw.html || rw.outcome == outcomeNotModified && v.mayBeForPage() {
		addVary(h, v.handler.consent.vary()) // RFC 9110 section 15.4.5: a 304 says it too
		if field := v.gate(changed); field != "" {
			addVary(h, field)
		}
	}
	forwarded := rw.edit != nil && rw.edit.permit.forwarded
	switch {
	case changed:
		describeVariant(h, rw.edit.permit.suffix, len(rw.edit.permit.html), exact && !rw.gzip)
		rw.edit.permit.send(h)
		rw.personalize(h, rw.edit.permit.secret)
		v.warnOfEmbedder(h)
		rw.edit.policies = policiesIn(h)
	case rw.status == http.StatusNotModified && v.variant() != "" && v.request.Header["If-None-Match"] != nil:
		// the request's tags, cut for this variant, were what it answers to
		markVariant(h, v.insertion.suffix)
		// the policies of a 304 replace those that are stored (RFC 9111 section
		// 3.2); a page with a nonce never gets one
		if v.handler.policy.extend {
			p := v.permit(pageHead{header: h, editable: true}, nil)
			p.send(h)
			forwarded = p.forwarded
		}
		rw.personalize(h, false)
	case rw.gzip: // decoded, and nothing to insert after all
		describeVariant(h, "", 0, false) // what follows is no variant that we know
	}
	if rw.gzip {
		delete(h, "Content-Encoding")
	}
	if forwarded { // by whoever wrote the request's fields
		makePrivate(h)
		rw.private = true
	}
	if !rw.clientLeft() {
		rw.private = v.forgetID(h) || rw.private
	}
}

// imply takes the status that net/http gives a response whose handler writes
// or flushes without having named one.
func (rw *responseWriter) imply() {
	if rw.stage == waiting {
		rw.implicit = true
		rw.WriteHeader(http.StatusOK)
	}
}

// personalize adds what a page with the insertion, or a 304 for one, says to
// its visitor alone. secret says that the page holds what nobody else may see.
func (rw *responseWriter) personalize(h http.Header, secret bool) {
	lines := rw.visit.newID(h)
	if lines != nil {
		h["Set-Cookie"] = append(h["Set-Cookie"], lines...)
	}
	if lines != nil || rw.visit.isPrivate() || secret {
		makePrivate(h)
		rw.private = true
	}
}

// Write takes the origin's bytes. It returns len(p) on success, whatever was
// written below: the reverse proxy breaks a response off otherwise.
func (rw *responseWriter) Write(p []byte) (int, error) {
	if rw.stage == through && !rw.gzip {
		return rw.send(p)
	}
	rw.imply()
	defer rw.hideTrailers()()
	if rw.stage == sniffing && len(p) > 0 {
		rw.decide(http.DetectContentType(p))
	}
	if rw.stage == holding && !rw.isDecoding() && rw.edit.pooled == nil && len(p) > 0 {
		return len(p), rw.begin(p)
	}
	return rw.take(p)
}

// begin takes the first bytes of the body, which tell whether it is gzip. The
// label does not: some origins do not say so, and some say so always, also when
// they were asked for identity and sent it.
func (rw *responseWriter) begin(p []byte) error {
	if rw.edit.half {
		rw.edit.half = false
		p = append([]byte{0x1f}, p...)
	}
	switch {
	case len(p) == 1 && p[0] == 0x1f:
		rw.edit.half = true
		return nil
	case isGzipMagic(p):
		rw.gzip = true
	case p[0] == 0x1f, rw.gzip && !isText(p): // another coding, whatever it is called
		rw.gzip = false
		return rw.pass(outcomeEncoded, p)
	case rw.gzip:
		rw.gzip = false
		delete(rw.Header(), "Content-Encoding")
	}
	_, err := rw.take(p)
	return err
}

// isText reports whether a body that begins with p may be a page
// (https://mimesniff.spec.whatwg.org/#binary-data-byte).
func isText(p []byte) bool {
	return strings.HasPrefix(http.DetectContentType(p), "text/")
}

// take takes bytes of the body as they come.
func (rw *responseWriter) take(p []byte) (int, error) {
	if !rw.gzip {
		return rw.write(p)
	}
	if rw.edit.decoder == nil {
		rw.edit.decoder = newDecoder(writerFunc(rw.write))
	}
	return rw.edit.decoder.Write(p)
}

// write takes bytes of the page.
func (rw *responseWriter) write(p []byte) (int, error) {
	if rw.stage == through {
		return rw.send(p)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := rw.feed(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// feed looks for the anchor in p.
func (rw *responseWriter) feed(p []byte) error {
	if rw.edit.pooled == nil {
		rw.edit.pooled = buffers.Get().(*[bufferSize]byte)
		rw.edit.buf = rw.edit.pooled[:0]
		rw.edit.least = max(rw.edit.least, len(p))
	}
	off, done := rw.edit.scanner.Feed(p)
	switch {
	case done:
		return rw.settle(len(rw.edit.buf)+off, p)
	case rw.stage == holding && len(rw.edit.buf)+len(p) <= gatherLimit:
		rw.edit.buf = append(rw.edit.buf, p...)
		return nil
	default:
		return rw.release(p)
	}
}

// settle ends the search: the anchor is at that many bytes of what is held and
// p together. What the scanner has seen may still speak against the insertion.
func (rw *responseWriter) settle(at int, p []byte) error {
	if o := rw.refusal(); o != undecided {
		return rw.pass(o, p)
	}
	if !rw.edit.scanner.Evidence() && rw.visit.asked != askedDocument {
		return rw.pass(outcomeNotDocument, p)
	}
	if !rw.mayInsert() {
		return rw.pass(outcomeCSPBlocked, p)
	}
	if charset := rw.edit.scanner.Charset(); charset != "" {
		rw.edit.permit.html = slices.Concat([]byte(charset), rw.edit.permit.html)
	}
	rw.outcome = rw.visit.inserted()
	if rw.stage == holding {
		rw.sendHeader(true, true)
	}
	rw.stage = through

	var after []byte // held bytes behind the anchor
	if at < len(rw.edit.buf) {
		after = bytes.Clone(rw.edit.buf[at:])
		rw.edit.buf = rw.edit.buf[:at]
	}
	k := at - len(rw.edit.buf) // bytes of p before the anchor
	return rw.finishBuffer(p[:k], rw.edit.permit.html, after, p[k:])
}

// mayInsert reports whether the policies seen so far let the script in. Once the
// header is sent, it is the policies in there that count.
func (rw *responseWriter) mayInsert() bool {
	rw.edit.permit = rw.visit.permit(pageHead{rw.Header(), rw.stage != scanning, &rw.edit.scanner}, newNonce)
	return rw.edit.permit.html != nil
}

// refusal is the outcome that what was seen so far of the head leads to,
// undecided if nothing in it speaks against the insertion.
func (rw *responseWriter) refusal() outcome {
	switch {
	case rw.edit.scanner.Unusable():
		return outcomeCharset
	case rw.edit.scanner.AMP():
		return outcomeAMP
	case rw.edit.scanner.HasScript():
		return outcomeAlreadyPresent
	default:
		return undecided
	}
}

// pass ends the search without an insertion.
func (rw *responseWriter) pass(o outcome, p []byte) error {
	rw.outcome = rw.visit.decided(o)
	if rw.stage == holding {
		rw.sendHeader(false, true)
	}
	rw.stage = through
	return rw.finishBuffer(p)
}

// release lets go of what is held, and of p, but for the few bytes that may be
// the beginning of the anchor's tag. The header goes out as a changed page's.
func (rw *responseWriter) release(p []byte) error {
	rw.edit.scanner.Release()
	if rw.stage == holding {
		if o := rw.refusal(); o != undecided {
			return rw.pass(o, p)
		}
		if !rw.mayInsert() {
			return rw.pass(outcomeCSPBlocked, p)
		}
		rw.sendHeader(true, false)
		rw.stage = scanning
	}
	var last [head.MaxHeld]byte
	keep := rw.edit.scanner.Held()
	fromBuf := max(keep-len(p), 0)
	n := copy(last[:], rw.edit.buf[len(rw.edit.buf)-fromBuf:])
	n += copy(last[n:], p[len(p)-(keep-fromBuf):])
	rw.edit.buf = rw.edit.buf[:len(rw.edit.buf)-fromBuf]

	if err := rw.put(p[:len(p)-(keep-fromBuf)]); err != nil {
		return err
	}
	if err := rw.drain(); err != nil {
		return err
	}
	rw.edit.buf = append(rw.edit.buf, last[:n]...)
	return nil
}

// ReadFrom lets the kernel copy what needs no look: all of a response that is
// not changed, and what follows the anchor of one that is.
func (rw *responseWriter) ReadFrom(r io.Reader) (n int64, err error) {
	rw.imply()
	if n, err = rw.readUntilThrough(r); err == io.EOF {
		return n, nil
	} else if err != nil {
		return n, err
	}
	rest, err := rw.ResponseWriterWrapper.ReadFrom(r)
	rw.note(err)
	return n + rest, err
}

// readUntilThrough writes what r has until the rest needs no look, for which it
// must not keep a buffer; the error is io.EOF if all of it needed one.
func (rw *responseWriter) readUntilThrough(r io.Reader) (n int64, err error) {
	if rw.stage == through && !rw.gzip {
		return 0, nil
	}
	pooled := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(pooled)
	for rw.stage != through || rw.gzip {
		nr, rerr := r.Read(pooled[:gatherLimit])
		if nr > 0 {
			nw, werr := rw.Write(pooled[:nr])
			n += int64(nw)
			if werr != nil {
				return n, werr
			}
		}
		if rerr != nil {
			return n, rerr
		}
	}
	return n, nil
}

// FlushError sends what can be sent. While the header is held and no body byte
// has come, that is nothing, as in Caddy's encode
// (https://github.com/caddyserver/caddy/issues/4314). Nor is it while a known
// length can still be kept, or only a part of the first write could leave:
// encode, outside, goes by these two when it decides whether to compress.
func (rw *responseWriter) FlushError() error {
	defer rw.hideTrailers()()
	switch rw.stage {
	case waiting:
		if !rw.flushUndecided() {
			return nil
		}
	case sniffing:
		rw.decide("") // net/http names no type once the header is flushed
	case holding:
		if rw.isUndecodable() || len(rw.edit.buf) == 0 || len(rw.edit.buf)-rw.edit.scanner.Held() < rw.edit.least {
			return nil
		}
		if err := rw.release(nil); err != nil {
			return err
		}
	}
	return http.NewResponseController(rw.ResponseWriter).Flush()
}

// flushUndecided prepares the header for a flush before there is a status,
// which stands for 200, and reports whether it may leave. encode, outside, may
// keep the flush to itself and heed a status that comes later, so that nothing
// is decided but this: it is too late to change the page.
func (rw *responseWriter) flushUndecided() bool {
	contentType, named := rw.Header()["Content-Type"]
	o := rw.judge(contentTypeOf(contentType))
	if rw.visit.mayBeChanged() {
		if o == undecided || !named {
			return false
		}
		rw.visit.insertion, rw.visit.outcome = insertion{}, o
	}
	rw.outcome = o
	rw.editHeader(false, false)
	return true
}

// Interface guards
var (
	_ http.ResponseWriter             = (*responseWriter)(nil)
	_ io.ReaderFrom                   = (*responseWriter)(nil)
	_ http.Pusher                     = (*responseWriter)(nil)
	_ interface{ FlushError() error } = (*responseWriter)(nil)
	_ interface {
		Unwrap() http.ResponseWriter
	} = (*responseWriter)(nil)
)
