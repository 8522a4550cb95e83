package page

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/document"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/gzsplice"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// stage is how far a response has come.
type stage uint8

const (
	waiting    stage = iota // the final header has not come
	flushed                 // as waiting, but an early flush may have sent the header
	sniffing                // the header names no type: the first body bytes will
	holding                 // header and body are held back until the anchor is found
	splicing                // the anchor is found; the header waits for the length of the spliced gzip
	scanning                // the header is sent, the anchor is not found yet
	through                 // everything passes
	discarding              // nothing passes: the body of a HEAD whose header is a changed page's
)

// A Writer carries out the plan for one response: it decides once what becomes of
// the response, and inserts once.
//
// It holds a page back until the head of the page ends, so that the header can
// still give the page's length. It stops holding at gatherLimit bytes and at the
// first flush. After the anchor, the origin's writes pass untouched. In responses
// that are not changed, all writes do.
//
// The Writer shares the header map of the writer below, because handlers set
// trailers in it after the body (https://github.com/caddyserver/caddy/issues/3236).
// It edits the map only when it passes the final header down, so that neither a
// 103 nor an error route shows fields that were meant for the page.
type Writer struct {
	caddyhttp.ResponseWriterWrapper // the writer below
	task

	stage    stage
	status   int // 0 until the handler calls WriteHeader; without a call it means 200
	decision decision
	private  bool    // the response was made private: no shared cache may keep it
	failed   bool    // a write failed: the client has left
	change   *change // nil unless the response is a page that may be changed
}

// A task is a plan, and what is needed to carry it out.
type task struct {
	plan    *Plan
	visitor Visitor
	request *http.Request

	takesGzip bool // the visitor does
}

// A decision is what becomes of a response. [Writer.decide] makes it by the final
// header. Where that leaves the outcome Undecided, settle, pass or finish sets it.
type decision struct {
	outcome outcome.Outcome // Undecided as long as the insertion may go in
	html    bool            // a covered HTML document, or a part of one: it gets the plan's Vary
	missed  bool            // a document cannot have the loader, which another request for it may get
}

// A change is the state for changing a page. Only responses that may be changed
// allocate one.
type change struct {
	scanner  head.Scanner
	body     body
	buffer   buffer      // of the page's text
	trailers trailers    // announced in the header that is held back
	sendErr  error       // why the writer below stopped a gzip body
	permit   permit      // set by mayInsert
	sent     policyLines // the policies that left with the page
}

// drop gives the memory of body and buffer back.
func (c *change) drop() {
	c.body.drop()
	c.buffer.drop()
}

// Serve calls next with a response that goes through w to the writer below, and
// carries out plan. If next panics, as a proxy does when its origin fails in
// mid-response, the bytes held back are dropped, so that the page does not look whole.
func (w *Writer) Serve(below http.ResponseWriter, r *http.Request, next caddyhttp.Handler, plan *Plan, visitor Visitor) error {
	w.ResponseWriter, w.task = below, task{plan, visitor, r, plan.changes() && document.TakesGzip(r.Header)}
	var original *variant.Request
	if plan.Covered {
		original = variant.EditRequest(r.Header, plan.edit(r))
	}
	ended := false
	defer func() {
		original.Restore(r.Header)
		if w.change != nil {
			w.change.drop()
		}
		if !ended || w.failed || w.clientLeft() {
			w.decision.outcome = outcome.Aborted
		}
	}()

	err := next.ServeHTTP(w, r)
	if w.change != nil && (err == nil || w.stage > splicing) {
		err = cmp.Or(w.finishBody(), err)
	}
	if err == nil {
		w.finish()
	} else {
		w.fail(err)
	}
	ended = true
	return err
}

// Outcome returns what became of the response. Call it after Serve.
func (w *Writer) Outcome() outcome.Outcome { return w.decision.outcome }

// clientLeft reports whether the client left before the origin responded, which
// Caddy's reverse_proxy shows by the status 499. The context must agree, because
// some origins send 499 themselves (https://github.com/caddyserver/caddy/issues/7396).
func (w *Writer) clientLeft() bool {
	return w.status == 499 && w.request.Context().Err() != nil
}

// WriteHeader passes 1xx responses on and takes the first final status. It ignores
// later ones, as net/http does.
func (w *Writer) WriteHeader(status int) {
	if 100 <= status && status <= 199 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	if w.stage <= flushed {
		w.status = status
		w.begin()
	}
}

// begin decides by the final header, or waits for the body's first bytes if the
// header leaves the type to them. A handler that sets the field to nil forbids that,
// as Caddy's file_server does (net/http.ResponseWriter).
func (w *Writer) begin() {
	h := w.Header()
	if contentType, named := h["Content-Type"]; named || !w.mayBeSniffed() {
		w.decide(document.ContentType(contentType))
		return
	}
	w.change = &change{trailers: announced(h)}
	w.stage = sniffing
}

// mayBeSniffed reports whether the response, whose header names no type, may be
// changed if net/http finds HTML in its first bytes.
func (w *Writer) mayBeSniffed() bool {
	const contentType = "text/html"
	return w.covers() && w.stage != flushed && w.Header()["Transfer-Encoding"] == nil &&
		document.Kind(w.finalStatus(), w.Header(), contentType) == outcome.Undecided &&
		document.Refusal(w.Header(), contentType) == outcome.Undecided
}

// finalStatus returns the status that the client gets.
func (w *Writer) finalStatus() int { return cmp.Or(w.status, http.StatusOK) }

// decide makes the decision by the final header, and holds the response back if it
// may be changed.
func (w *Writer) decide(contentType string) {
	w.decision = w.judge(contentType)
	switch undecided := w.decision.outcome == outcome.Undecided; {
	case w.request.Method == http.MethodHead && w.decision.html:
		// the same header as for GET, as far as it can be known without the body
		w.stage = through
		if undecided {
			w.change = new(change)
			if w.mayInsert() {
				w.stage = discarding // net/http would count a body that is not the changed page's
			} else {
				w.decision.missed = w.plan.misses(outcome.CSPBlocked)
			}
		}
		w.decision.outcome = outcome.NoBody
		w.sendHeader(w.stage == discarding, false)
	case !undecided:
		w.stage = through
		w.sendHeader(false, false)
	default:
		if w.change == nil {
			w.change = &change{trailers: announced(w.Header())}
		}
		w.stage = holding
		w.change.scanner.Reset(kapa.ScriptFile)
		if document.NamesEncoding(contentType) {
			w.change.scanner.TrustEncoding() // it keeps ASCII, otherwise judge had refused it
		}
	}
}

// judge returns the decision that status and header allow.
func (w *Writer) judge(contentType string) decision {
	h, p := w.Header(), w.plan
	if !w.covers() {
		return decision{outcome: outcome.OtherPage}
	}
	if o := document.Kind(w.finalStatus(), h, contentType); o != outcome.Undecided {
		// RFC 9110 section 15.3.7: a 206 has the Vary that the whole page has
		return decision{outcome: o, html: o == outcome.Partial && document.IsHTML(contentType)}
	}
	o := document.Refusal(h, contentType)
	if o != outcome.Undecided && o != outcome.Encoded {
		return decision{outcome: o}
	}
	switch {
	case p.Destination == document.Other:
		o = outcome.NotDocument
	case w.stage == flushed:
		o = w.decision.outcome // flushEarly decided: it is too late to change the page
	case !p.changes():
		o = p.Outcome
	case document.IsGzip(h["Content-Encoding"]): // it is decoded
		o = outcome.Undecided
	default:
		o = p.unchanged(o)
	}
	return decision{outcome: o, html: true, missed: p.misses(o)}
}

// sendHeader edits the final header and passes it down. changed says that the body
// gets the insertion, exact that the whole body is still to be written.
func (w *Writer) sendHeader(changed, exact bool) {
	w.editHeader(changed, exact)
	if w.status != 0 { // without a status, net/http sends the header with the first write, and can still name the type
		w.ResponseWriter.WriteHeader(w.status)
	}
}

// editHeader edits the final header; see sendHeader.
func (w *Writer) editHeader(changed, exact bool) {
	h := w.Header()
	if w.describe(h, w.decision, w.change, changed, exact) {
		w.private = true
	}
	if !w.clientLeft() && w.deleteID(h) {
		w.private = true
	}
}

// Write takes the origin's bytes. On success it returns len(p), however many bytes
// went down, because the reverse proxy aborts the response on any other number.
func (w *Writer) Write(p []byte) (int, error) {
	w.imply()
	if w.passes() {
		return w.send(p)
	}
	defer w.setApartTrailers()()
	var err error
	if w.stage == sniffing {
		err = w.sniff(p)
	} else {
		err = w.read(p)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// imply begins the response if the handler has not called WriteHeader.
func (w *Writer) imply() {
	if w.stage <= flushed {
		w.begin()
	}
}

// passes reports whether the origin's further writes go down as they are.
func (w *Writer) passes() bool {
	return w.stage == through && (w.change == nil || w.change.body.coding != zipped)
}

// send writes p to the writer below.
func (w *Writer) send(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.note(err)
	return n, err
}

// note remembers that the writer below failed. Handlers often do not return the
// error: http.ServeContent, which file_server calls, cannot. Two errors are the
// handler's own mistake and do not mean that the client has left: a body where
// none is allowed, and a body longer than Content-Length.
func (w *Writer) note(err error) {
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) && !errors.Is(err, http.ErrContentLength) {
		w.failed = true
	}
}

// below is the Writer for its buffer: bytes written to it go to the writer below.
type below Writer

func (b *below) Write(p []byte) (int, error) { return (*Writer)(b).send(p) }

// spliced is the Writer for its body: bytes written to it are the gzip that leaves.
type spliced Writer

func (s *spliced) Write(p []byte) (n int, err error) {
	w := (*Writer)(s)
	if w.stage == splicing {
		n, err = len(p), w.gather(p)
	} else {
		n, err = w.send(p)
	}
	w.change.sendErr = err
	return n, err
}

// text is the Writer for its body: bytes written to it are the page's text.
type text Writer

func (t *text) Write(p []byte) (int, error) { return len(p), (*Writer)(t).take(p) }

// sniff holds the first bytes of a body without a type until they tell whether it
// is HTML. net/http gathers several writes before it names the type. HTTP/3 does
// not: there the first write decides.
func (w *Writer) sniff(p []byte) error {
	b := &w.change.buffer
	first := p
	if b.begun() {
		first = append(b.held, p[:min(len(p), sniffLength)]...)
	}
	if !mayBecomeHTML(first) || w.status == 0 && w.request.ProtoMajor == 3 {
		return w.sniffed(p)
	}
	if !b.begun() {
		b.begin()
	}
	b.hold(p)
	return nil
}

// sniffed names the type by the held bytes and p, decides, and then takes both.
func (w *Writer) sniffed(p []byte) error {
	b := &w.change.buffer
	held := bytes.Clone(b.held)
	b.drop()
	contentType := http.DetectContentType(append(held, p[:min(len(p), sniffLength)]...))
	if w.decide(contentType); w.stage == holding {
		w.Header()["Content-Type"] = []string{contentType} // net/http might name another one for the changed page
	}
	if err := w.read(held); err != nil {
		return err
	}
	return w.read(p)
}

// read takes bytes of the body as the origin sent them. As long as nothing has left,
// it leaves an error in a compressed body to finishBody, so that an error route can
// respond.
func (w *Writer) read(p []byte) error {
	switch {
	case w.passes():
		_, err := w.send(p)
		return err
	case w.stage == discarding:
		return nil
	}
	field := gzipField{isLabelledGzip(w.Header()), w.takesGzip}
	unread, err := w.change.body.write(p, field, (*text)(w), (*spliced)(w))
	switch {
	case unread != nil:
		return w.pass(outcome.Encoded, unread)
	case w.stage == holding:
		return nil
	case err == nil && w.stage == splicing && w.lengthIsKnown():
		return w.endSplicing()
	default:
		return err
	}
}

// lengthIsKnown reports whether the length of the spliced gzip is known.
func (w *Writer) lengthIsKnown() bool {
	_, known := w.change.body.splicer.Growth()
	return known
}

// gather holds spliced gzip back until its length is known, or there is too much of it.
func (w *Writer) gather(p []byte) error {
	b := &w.change.buffer
	if !b.begun() {
		b.begin()
	}
	if len(b.held)+len(p) <= cap(b.held) {
		b.hold(p)
		return nil
	}
	if err := w.endSplicing(); err != nil {
		return err
	}
	_, err := w.send(p)
	return err
}

// endSplicing sends the header, with the page's length if it is known, and what was held
// back.
func (w *Writer) endSplicing() error {
	w.sendHeader(true, true)
	w.stage = through
	return w.sendAll()
}

// take takes bytes of the page as plain text, decoded if need be.
func (w *Writer) take(p []byte) error {
	if w.stage == through {
		_, err := w.send(p)
		return err
	}
	if len(p) == 0 {
		return nil
	}
	c := w.change
	off, done := c.scanner.Feed(p)
	switch {
	case done:
		return w.settle(c.held()+off, p)
	case w.stage == holding && c.held()+len(p) <= gatherLimit:
		c.hold(p)
		return nil
	default:
		return w.release(p)
	}
}

// held returns how much of the page's text is held back.
func (c *change) held() int {
	if c.body.coding == zipped {
		return c.body.held
	}
	return len(c.buffer.held)
}

// isEmpty reports whether no text of the page has come.
func (c *change) isEmpty() bool {
	return c.body.coding != plain && c.body.held == 0
}

// hold holds p back. The body does that itself for gzip.
func (c *change) hold(p []byte) {
	if c.body.coding == zipped {
		c.body.held += len(p)
		return
	}
	if !c.buffer.begun() {
		c.buffer.begin()
	}
	c.buffer.hold(p)
}

// settle ends the search. The anchor stands behind the first at bytes of the held
// bytes and p together. settle inserts, unless the head or a policy forbids that.
func (w *Writer) settle(at int, p []byte) error {
	if o := w.refusal(); o != outcome.Undecided {
		return w.pass(o, p)
	}
	// A browser that opens a page says so. But what comes before <esi:include> would come
	// before the doctype of the included fragment, and bring on quirks mode.
	if s := &w.change.scanner; !s.Evidence() && (w.plan.Destination != document.Document || s.BeforeESI()) {
		return w.pass(outcome.NotDocument, p)
	}
	if !w.mayInsert() {
		return w.pass(outcome.CSPBlocked, p)
	}
	if charset := w.change.scanner.Charset(); charset != "" {
		w.change.permit.html = slices.Concat([]byte(charset), w.change.permit.html)
	}
	w.decision.outcome = w.plan.changed()
	c := w.change
	if c.body.coding == zipped {
		w.splice(c.body.held + len(p) - at)
		return nil
	}
	if w.stage == holding {
		w.sendHeader(true, true)
	}
	w.stage = through

	var room [head.MaxHeld]byte
	b := &c.buffer
	if !b.begun() {
		b.begin()
	}
	behind := b.cut(min(at, len(b.held)), room[:0]) // held bytes behind the anchor
	before := at - len(b.held)                      // how many bytes of p stand before the anchor
	return w.sendAll(p[:before], w.change.permit.html, behind, p[before:])
}

// insertion returns what goes into gzip: as the plan has prepared it, unless the page
// changed it.
func (w *Writer) insertion() gzsplice.Insertion {
	html := w.change.permit.html
	if p := w.plan.Insertion; p.gzip != nil && bytes.Equal(html, p.HTML) {
		return *p.gzip
	}
	return gzsplice.Insertion{Text: html}
}

// splice has the body splice the insertion in, before the last behind bytes of its text.
// If the origin has named a length, the header waits for the new one.
func (w *Writer) splice(behind int) {
	switch waits := w.stage == holding && w.Header()["Content-Length"] != nil; {
	case waits:
		w.stage = splicing
	case w.stage == holding:
		w.sendHeader(true, false)
		w.stage = through
	default:
		w.stage = through
	}
	w.change.body.splicer.Insert(behind, w.insertion())
}

// sendAll passes the held bytes and then parts down, and gives the buffer back.
func (w *Writer) sendAll(parts ...[]byte) (err error) {
	b := &w.change.buffer
	defer b.drop()
	for _, part := range parts {
		if err = b.write((*below)(w), part); err != nil {
			return err
		}
	}
	return b.flush((*below)(w))
}

// mayInsert asks the policies seen so far for a permit, and reports whether they
// let the script in. Once the header is sent, its policies can no longer be edited.
func (w *Writer) mayInsert() bool {
	w.change.permit = w.permit(source{w.Header(), w.stage != scanning, &w.change.scanner}, newNonce)
	return w.change.permit.html != nil
}

// refusal returns the outcome of a page if the part of its head that was scanned
// forbids the insertion, and Undecided if it does not.
func (w *Writer) refusal() outcome.Outcome {
	switch scanner := &w.change.scanner; {
	case scanner.Unusable():
		return outcome.Charset
	case scanner.AMP():
		return outcome.AMP
	case scanner.HasScript():
		return outcome.AlreadyPresent
	default:
		return outcome.Undecided
	}
}

// pass ends the search without an insertion, because of o.
func (w *Writer) pass(o outcome.Outcome, p []byte) error {
	w.decision.outcome, w.decision.missed = w.plan.unchanged(o), w.plan.misses(o)
	if w.stage == holding {
		w.sendHeader(false, true)
	}
	w.stage = through
	if c := w.change; c.body.coding == zipped {
		c.body.splicer.Pass()
		return nil
	}
	return w.sendAll(p)
}

// release sends the held bytes and p, although the anchor is not found yet. It
// keeps only the last few, which may begin the element at the anchor. The header
// leaves as that of a changed page.
func (w *Writer) release(p []byte) error {
	if off, found := w.change.scanner.Release(); found {
		return w.settle(w.change.held()+len(p)+off, p)
	}
	if w.stage == holding {
		if o := w.refusal(); o != outcome.Undecided {
			return w.pass(o, p)
		}
		if !w.mayInsert() {
			return w.pass(outcome.CSPBlocked, p)
		}
		w.sendHeader(true, false)
		w.stage = scanning
	}
	c, keep := w.change, w.change.scanner.Held()
	if c.body.coding == zipped {
		c.body.splicer.Release(keep)
		c.body.held = keep
		return nil
	}
	var room [head.MaxHeld]byte
	b := &c.buffer
	if !b.begun() {
		b.begin()
	}
	ofP := min(keep, len(p)) // how many of them are in p; the others are in the buffer
	last := b.cut(len(b.held)-(keep-ofP), room[:0])
	last = append(last, p[len(p)-ofP:]...)
	if err := b.write((*below)(w), p[:len(p)-ofP]); err != nil {
		return err
	}
	if err := b.flush((*below)(w)); err != nil {
		return err
	}
	b.hold(last)
	return nil
}

// ReadFrom lets the kernel copy a response that is not changed, and what follows
// the anchor in one that is.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	w.imply()
	if w.stage == discarding {
		return io.Copy(io.Discard, r)
	}
	n, err := w.readUntilPassing(r)
	if err == io.EOF {
		return n, nil
	}
	if err != nil {
		return n, err
	}
	rest, err := w.ResponseWriterWrapper.ReadFrom(r)
	w.note(err)
	return n + rest, err
}

// readUntilPassing copies from r to w until the rest can pass as it is. If r ends
// before that, it returns io.EOF.
func (w *Writer) readUntilPassing(r io.Reader) (n int64, err error) {
	if w.passes() {
		return 0, nil
	}
	pooled := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(pooled)
	for !w.passes() {
		nr, err := r.Read(pooled[:gatherLimit])
		if nr > 0 {
			nw, err := w.Write(pooled[:nr])
			n += int64(nw)
			if err != nil {
				return n, err
			}
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// FlushError sends what can be sent. While the header is held back and no body byte
// has come, it sends nothing, as Caddy's encode does
// (https://github.com/caddyserver/caddy/issues/4314).
func (w *Writer) FlushError() error {
	defer w.setApartTrailers()()
	switch w.stage {
	case waiting, flushed:
		if !w.flushEarly() {
			return nil
		}
	case sniffing:
		if err := w.endSniffing(); err != nil {
			return err
		}
	}
	if w.stage == holding {
		// release leaves MaxHeld bytes at most, also where the scanner holds more
		if c := w.change; c.held() <= min(c.scanner.Held(), head.MaxHeld) || c.body.isBroken() {
			return nil // no byte may leave yet
		}
		if err := w.release(nil); err != nil {
			return err
		}
	}
	if c := w.change; c != nil && c.body.coding == zipped {
		if err := w.flushSpliced(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// flushSpliced sends all of the gzip that may leave.
func (w *Writer) flushSpliced() error {
	if err := w.change.body.splicer.Flush(); err != nil {
		return err
	}
	if w.stage == splicing {
		return w.endSplicing()
	}
	return nil
}

// endSniffing names the type by the bytes that have come.
func (w *Writer) endSniffing() error {
	if len(w.change.buffer.held) > 0 {
		return w.sniffed(nil)
	}
	w.decide("") // like net/http, which names no type for an empty body
	return nil
}

// flushEarly prepares the header for a flush that comes before the status, and
// reports whether the flush may go on. Afterwards it is too late to change the page.
// Nothing else is decided: an encode in front may swallow the flush, and then a
// later status still counts.
func (w *Writer) flushEarly() bool {
	contentType, named := w.Header()["Content-Type"]
	d := w.judge(document.ContentType(contentType))
	if w.plan.changes() {
		if d.outcome == outcome.Undecided || !named {
			return false
		}
		w.stage = flushed
	}
	w.decision = d
	w.editHeader(false, false)
	return true
}

// setApartTrailers takes trailers out of the header while it is held back. undo
// puts them back.
func (w *Writer) setApartTrailers() (undo func()) {
	if w.stage >= through || w.change == nil || w.change.trailers == nil {
		return func() {}
	}
	return w.change.trailers.setApart(w.Header())
}

// finish ends a response whose handler returned without an error.
func (w *Writer) finish() {
	defer w.setApartTrailers()()
	if w.stage == sniffing && len(w.change.buffer.held) > 0 {
		_ = w.sniffed(nil)
	}
	switch {
	case w.stage <= flushed: // the handler wrote nothing: the status is up to the server
		w.decision.outcome = outcome.NoBody
		w.deleteID(w.Header())
		return
	case w.stage == sniffing, w.stage == holding && w.change.isEmpty():
		w.decision.outcome = outcome.NoBody
		w.stage = through
		w.sendHeader(false, true)
	}
	w.endBody()
	w.checkHeader()
}

// endBody sends what is held back of a body that is whole.
func (w *Writer) endBody() {
	if w.stage == holding || w.stage == scanning {
		if off, ok := w.change.scanner.End(); ok {
			_ = w.settle(w.change.held()+off, nil)
		} else {
			_ = w.pass(outcome.NoAnchor, nil)
		}
	}
	if c := w.change; c != nil && c.body.coding == zipped {
		_ = c.body.splicer.Close() // that the body is whole is known
		if w.stage == splicing {
			_ = w.endSplicing()
		}
	}
}

// checkHeader reports if a handler in front has overwritten the policies or the caching
// fields of the response. The writer cannot prevent that: a deferred header directive
// runs after the header has left the writer.
func (w *Writer) checkHeader() {
	h, c := w.Header(), w.change
	inserted := c != nil && c.permit.html != nil && w.decision.outcome == w.plan.changed()
	if inserted && !w.scriptsStillRun(h, c) {
		w.decision.outcome = outcome.HeaderOverridden
		w.visitor.Report(PolicyOverridden, Detail{})
	}
	if w.private && !variant.IsPrivate(h) {
		w.decision.outcome = outcome.HeaderOverridden
		w.visitor.Report(PrivacyOverridden, Detail{})
	}
}

// finishBody decodes the end of the body. A page that cannot be decoded to its end
// must not look whole: it becomes an error, or a panic that aborts the response if a
// part of the page has left already.
func (w *Writer) finishBody() error {
	unread, err := w.change.body.finish(isLabelledGzip(w.Header()))
	switch {
	case unread != nil:
		return w.pass(outcome.Encoded, unread)
	case err == nil:
		return nil
	case w.stage <= splicing:
		return undecodable(err)
	case err != w.change.sendErr: // which means that the client has left
		w.visitor.Report(Undecodable, Detail{Err: err})
	}
	panic(http.ErrAbortHandler)
}

// undecodable returns a 502, as for an origin that cannot be reached.
func undecodable(err error) error {
	return caddyhttp.Error(http.StatusBadGateway, fmt.Errorf("the origin's compressed page cannot be decoded: %w", err))
}

// fail ends a response whose handler returned an error. If the header has left, the body
// ends as far as the handler wrote it. Otherwise fail drops what is held back,
// because an error route may respond instead. It also takes back a deletion of the
// id, because the route may make its response public. The next page deletes the id.
func (w *Writer) fail(err error) {
	if w.stage > splicing {
		w.endBody()
		w.decision.outcome = outcome.Error
		return
	}
	h := w.Header()
	switch w.stage {
	case waiting, flushed:
		if w.private { // by an early flush that encode swallowed
			w.visitor.KeepID(h)
		}
	default:
		w.setApartTrailers() // never undone
		for _, field := range variant.PageFields {
			delete(h, field)
		}
	}
	w.decision.outcome, w.status = Failure(err)
}

// Failure returns the outcome and the status of a response whose handler returned
// err. The status is 0 if err has none. The outcome is NoBody for a 4xx, such as
// that of a missing file, because nothing was written, and Error for any other.
func Failure(err error) (o outcome.Outcome, status int) {
	e, _ := errors.AsType[caddyhttp.HandlerError](err)
	if 0 < e.StatusCode && e.StatusCode < 500 {
		return outcome.NoBody, e.StatusCode
	}
	return outcome.Error, e.StatusCode
}

// Interface guards
var (
	_ http.ResponseWriter             = (*Writer)(nil)
	_ io.ReaderFrom                   = (*Writer)(nil)
	_ http.Pusher                     = (*Writer)(nil)
	_ interface{ FlushError() error } = (*Writer)(nil)
	_ interface {
		Unwrap() http.ResponseWriter
	} = (*Writer)(nil)
)
