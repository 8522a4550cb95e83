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
	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// stage is how far a response has come.
type stage uint8

const (
	waiting  stage = iota // for the final header
	flushed               // the same, but the header may have left in an early flush
	sniffing              // for the first body bytes: the header names no type
	holding               // the header and the body so far, until the anchor is found
	scanning              // the header is sent, the anchor is still ahead
	through               // everything passes
)

// A Writer carries out the plan for one response: it decides once what becomes of
// the response, and inserts once.
//
// A page that is to be changed is held back until its head ends, so that the
// header can still say how long the page is, and never beyond gatherLimit or the
// first flush. From the anchor on, the origin's writes pass untouched, as they do
// from the first one in all other responses.
//
// The header map is that of the writer below, never a copy: handlers announce
// trailers in it after the body (https://github.com/caddyserver/caddy/issues/3236).
// It is edited only when the final header is passed down, so that neither a 103
// nor an error route shows what was meant for the page.
type Writer struct {
	caddyhttp.ResponseWriterWrapper // of the writer below
	task

	stage    stage
	status   int // 0 until it is named; if nobody names one, it stands for 200
	decision decision
	private  bool    // we have kept the response out of shared caches
	failed   bool    // a write failed: the client has left
	change   *change // nil unless the response is a page that may be changed
}

// A task is a plan, with whom to ask while it is carried out.
type task struct {
	plan    *Plan
	visitor Visitor
	request *http.Request
}

// A decision is what is known of a response when its final header comes. It is
// made in [Writer.decide]; what ends the search for the anchor completes it.
type decision struct {
	outcome outcome.Outcome // Undecided as long as the insertion may go in
	html    bool            // an HTML document under the configured pages: its Vary says by what it differs
}

// A change is what it takes to change a page. Other responses do not pay for it.
type change struct {
	scanner  head.Scanner
	body     body
	buffer   buffer   // of the page's text
	trailers trailers // announced in the header that is held
	permit   permit   // to insert, once the policies were asked for it
	sent     policyLines
}

// drop gives back what is held.
func (c *change) drop() {
	c.body.drop()
	c.buffer.drop()
}

// Serve passes r on to next, in front of the writer below, and carries out plan.
// A panic is how a proxy breaks off a response whose origin failed: what is held
// then goes nowhere, so that the page does not look whole.
func (w *Writer) Serve(below http.ResponseWriter, r *http.Request, next caddyhttp.Handler, plan *Plan, visitor Visitor) error {
	w.ResponseWriter, w.task = below, task{plan, visitor, r}
	var original *variant.Request
	if plan.Covered {
		original = variant.EditRequest(r.Header, plan.suffix(), document.IsUnsafe(r.Method))
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
	if w.change != nil && (err == nil || w.stage > holding) {
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

// Outcome returns what became of the response, once Serve has ended.
func (w *Writer) Outcome() outcome.Outcome { return w.decision.outcome }

// clientLeft reports whether Caddy's reverse_proxy has said by the status 499 that
// the client was gone before the origin answered. Some origins use that status for
// something else (https://github.com/caddyserver/caddy/issues/7396).
func (w *Writer) clientLeft() bool {
	return w.status == 499 && w.request.Context().Err() != nil
}

// WriteHeader takes the first final status; others change nothing, as in
// net/http.
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

// begin takes the final header. Without a status it is that of a 200.
func (w *Writer) begin() {
	h := w.Header()
	if contentType := h["Content-Type"]; contentType != nil || !w.mayBeSniffed() {
		w.decide(document.ContentType(contentType))
		return
	}
	w.change = new(change)
	w.stage = sniffing
}

// mayBeSniffed reports whether net/http will name the type by the first bytes of
// the body, and may make the response a page.
func (w *Writer) mayBeSniffed() bool {
	const contentType = "text/html"
	return w.plan.Covered && w.stage != flushed &&
		document.Kind(w.finalStatus(), w.Header(), contentType) == outcome.Undecided &&
		document.Refusal(w.Header(), contentType) == outcome.Undecided
}

// finalStatus returns the status that the client sees.
func (w *Writer) finalStatus() int { return cmp.Or(w.status, http.StatusOK) }

// decide settles whether the response is held back to be changed.
func (w *Writer) decide(contentType string) {
	w.decision = w.judge(contentType)
	switch undecided := w.decision.outcome == outcome.Undecided; {
	case w.request.Method == http.MethodHead && w.decision.html:
		// the header that GET would get, without a body
		if undecided {
			w.change = new(change)
			undecided = w.mayInsert()
		}
		w.decision.outcome = outcome.NoBody
		w.stage = through
		w.sendHeader(undecided, false)
	case !undecided:
		w.stage = through
		w.sendHeader(false, false)
	default:
		if w.change == nil {
			w.change = new(change)
		}
		w.stage = holding
		w.change.trailers = announced(w.Header())
		w.change.scanner.Reset(kapa.ScriptFile)
		if document.NamesEncoding(contentType) {
			w.change.scanner.TrustEncoding() // one that keeps ASCII, or judge had refused
		}
	}
}

// judge makes the decision by the status and the header.
func (w *Writer) judge(contentType string) decision {
	h, p := w.Header(), w.plan
	if !p.Covered {
		return decision{outcome: outcome.OtherPage}
	}
	if o := document.Kind(w.finalStatus(), h, contentType); o != outcome.Undecided {
		// RFC 9110 section 15.3.7: a part of a page varies as the page does
		return decision{o, o == outcome.Partial && document.IsHTML(contentType)}
	}
	o := document.Refusal(h, contentType)
	if o != outcome.Undecided && o != outcome.Encoded {
		return decision{outcome: o}
	}
	switch {
	case p.Destination == document.Other:
		o = outcome.NotDocument
	case w.stage == flushed:
		o = w.decision.outcome // too late for the page to be changed
	case !p.changes():
		o = p.Outcome
	case document.IsGzip(h["Content-Encoding"]): // the origin was asked not to
		o = outcome.Undecided
	default:
		o = p.unchanged(o) // a coding matters only to who would get something
	}
	return decision{o, true}
}

// sendHeader passes the final header down. changed says that the body gets the
// insertion, exact that all of it is still to be written.
func (w *Writer) sendHeader(changed, exact bool) {
	w.editHeader(changed, exact)
	if w.status != 0 { // else a server names the type by the first write
		w.ResponseWriter.WriteHeader(w.status)
	}
}

// editHeader makes the header what it is to be as it leaves.
func (w *Writer) editHeader(changed, exact bool) {
	h := w.Header()
	if w.describe(h, w.decision, w.change, changed, exact) {
		w.private = true
	}
	if !w.clientLeft() && w.deleteID(h) {
		w.private = true
	}
}

// Write takes the origin's bytes. It returns len(p) on success, whatever was
// written below: the reverse proxy breaks a response off otherwise.
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

// imply takes the header of a response whose handler writes without having named
// a status.
func (w *Writer) imply() {
	if w.stage <= flushed {
		w.begin()
	}
}

// passes reports whether what the origin writes from now on needs no look.
func (w *Writer) passes() bool {
	return w.stage == through && (w.change == nil || w.change.body.decoder == nil)
}

// send passes bytes of the body down.
func (w *Writer) send(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.note(err)
	return n, err
}

// note remembers an error of the writer below, because most handlers do not:
// http.ServeContent, which file_server calls, has no way to return it. A body that
// the response may not have, or that is longer than its header says, breaks
// nothing off.
func (w *Writer) note(err error) {
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) && !errors.Is(err, http.ErrContentLength) {
		w.failed = true
	}
}

// below is the Writer as its buffer sees it.
type below Writer

func (b *below) Write(p []byte) (int, error) { return (*Writer)(b).send(p) }

// text is the Writer as its decoder sees it.
type text Writer

func (t *text) Write(p []byte) (int, error) { return len(p), (*Writer)(t).take(p) }

// sniff takes the first bytes of a body without a type, until they tell whether it
// is HTML. net/http sees several writes at once, but not in HTTP/3.
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

// sniffed names the type by what is held and p, and takes both.
func (w *Writer) sniffed(p []byte) error {
	b := &w.change.buffer
	held := bytes.Clone(b.held)
	b.drop()
	contentType := http.DetectContentType(append(held, p[:min(len(p), sniffLength)]...))
	if w.decide(contentType); w.stage == holding {
		w.Header()["Content-Type"] = []string{contentType} // what leaves may begin otherwise
	}
	if err := w.read(held); err != nil {
		return err
	}
	return w.read(p)
}

// read takes bytes of the body as the origin sends it. As long as nothing has left,
// an error in a compressed body is for finishBody to return, so that an error route
// can answer.
func (w *Writer) read(p []byte) error {
	if w.passes() {
		_, err := w.send(p)
		return err
	}
	unread, err := w.change.body.write(p, isLabelledGzip(w.Header()), (*text)(w))
	switch {
	case unread != nil:
		return w.pass(outcome.Encoded, unread)
	case w.stage == holding:
		return nil
	default:
		return err
	}
}

// take takes bytes of the page's text.
func (w *Writer) take(p []byte) error {
	if w.stage == through {
		_, err := w.send(p)
		return err
	}
	if len(p) == 0 {
		return nil
	}
	c := w.change
	if !c.buffer.begun() {
		c.buffer.begin()
	}
	off, done := c.scanner.Feed(p)
	switch {
	case done:
		return w.settle(len(c.buffer.held)+off, p)
	case w.stage == holding && len(c.buffer.held)+len(p) <= gatherLimit:
		c.buffer.hold(p)
		return nil
	default:
		return w.release(p)
	}
}

// settle ends the search: the anchor is at that many bytes of what is held and
// p together. What the scanner has seen may still speak against the insertion.
func (w *Writer) settle(at int, p []byte) error {
	if o := w.refusal(); o != outcome.Undecided {
		return w.pass(o, p)
	}
	if !w.change.scanner.Evidence() && w.plan.Destination != document.Document {
		return w.pass(outcome.NotDocument, p)
	}
	if !w.mayInsert() {
		return w.pass(outcome.CSPBlocked, p)
	}
	if charset := w.change.scanner.Charset(); charset != "" {
		w.change.permit.html = slices.Concat([]byte(charset), w.change.permit.html)
	}
	w.decision.outcome = w.plan.changed()
	if w.stage == holding {
		w.sendHeader(true, true)
	}
	w.stage = through

	var room [head.MaxHeld]byte
	b := &w.change.buffer
	behind := b.cut(min(at, len(b.held)), room[:0]) // held bytes behind the anchor
	before := at - len(b.held)                      // bytes of p before it
	return w.sendAll(p[:before], w.change.permit.html, behind, p[before:])
}

// sendAll passes down what is held and then parts, and gives the buffer back.
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

// mayInsert reports whether the policies seen so far let the script in. Once the
// header is sent, the policies in it are final.
func (w *Writer) mayInsert() bool {
	w.change.permit = w.permit(source{w.Header(), w.stage != scanning, &w.change.scanner}, newNonce)
	return w.change.permit.html != nil
}

// refusal returns the outcome of a page whose head, as far as it was seen, forbids
// the insertion, and Undecided for any other.
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

// pass ends the search without an insertion.
func (w *Writer) pass(o outcome.Outcome, p []byte) error {
	w.decision.outcome = w.plan.unchanged(o)
	if w.stage == holding {
		w.sendHeader(false, true)
	}
	w.stage = through
	return w.sendAll(p)
}

// release lets go of what is held, and of p, but for the few bytes that may be
// the beginning of the anchor's tag. The header goes out as a changed page's.
func (w *Writer) release(p []byte) error {
	if off, found := w.change.scanner.Release(); found {
		return w.settle(len(w.change.buffer.held)+len(p)+off, p)
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
	var room [head.MaxHeld]byte
	b := &w.change.buffer
	keep := w.change.scanner.Held()
	ofP := min(keep, len(p)) // bytes of p to keep; the others are held
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

// ReadFrom lets the kernel copy what needs no look: all of a response that is
// not changed, and what follows the anchor of one that is.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	w.imply()
	n, err := w.readUntilPassing(r)
	if err != nil {
		if err == io.EOF {
			err = nil
		}
		return n, err
	}
	rest, err := w.ResponseWriterWrapper.ReadFrom(r)
	w.note(err)
	return n + rest, err
}

// readUntilPassing writes what r has until the rest needs no look. At r's end it
// returns io.EOF.
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

// FlushError sends what can be sent. While no body byte has come and the header is
// held, that is nothing, as in Caddy's encode
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
		if c := w.change; len(c.buffer.held) <= min(c.scanner.Held(), head.MaxHeld) || c.body.isBroken() {
			return nil // no byte may leave
		}
		if err := w.release(nil); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// endSniffing names the type by what there is.
func (w *Writer) endSniffing() error {
	if len(w.change.buffer.held) > 0 {
		return w.sniffed(nil)
	}
	w.decide("") // net/http names no type for an empty body
	return nil
}

// flushEarly prepares the header for a flush before there is a status, and
// reports whether it may leave. encode, outside, may keep the flush to itself and
// heed a status that comes later, so that nothing is decided but this: it is too
// late to change the page.
func (w *Writer) flushEarly() bool {
	contentType := w.Header()["Content-Type"]
	d := w.judge(document.ContentType(contentType))
	if w.plan.changes() {
		if d.outcome == outcome.Undecided || contentType == nil {
			return false
		}
		w.stage = flushed
	}
	w.decision = d
	w.editHeader(false, false)
	return true
}

// setApartTrailers keeps trailers out of the header as long as it is held.
func (w *Writer) setApartTrailers() (undo func()) {
	if w.stage == through || w.change == nil || w.change.trailers == nil {
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
	case w.stage <= flushed: // nothing was written; what that means, the server decides
		w.decision.outcome = outcome.NoBody
		w.deleteID(w.Header())
		return
	case w.stage == sniffing, w.stage == holding && !w.change.buffer.begun(): // no body
		w.decision.outcome = outcome.NoBody
		w.stage = through
		w.sendHeader(false, true)
	case w.stage != through:
		if off, ok := w.change.scanner.End(); ok {
			_ = w.settle(len(w.change.buffer.held)+off, nil)
		} else {
			_ = w.pass(outcome.NoAnchor, nil)
		}
	}
	w.checkHeader()
}

// checkHeader finds out whether a handler further out has undone what the response
// needs. It cannot be prevented: a deferred header directive runs when the header
// has left this writer.
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

// finishBody ends the body. A page that is cut short must not look as if it was
// whole: it becomes an error, or where some of it has left already, the response is
// broken off.
func (w *Writer) finishBody() error {
	unread, err := w.change.body.finish(isLabelledGzip(w.Header()))
	switch {
	case unread != nil:
		return w.pass(outcome.Encoded, unread)
	case err == nil:
		return nil
	case w.stage == holding:
		return undecodable(err)
	case err != errBelow: // else the client has left
		w.visitor.Report(Undecodable, Detail{Err: err})
	}
	panic(http.ErrAbortHandler)
}

// undecodable is an error as of an origin that is down.
func undecodable(err error) error {
	return caddyhttp.Error(http.StatusBadGateway, fmt.Errorf("the origin's compressed page cannot be decoded: %w", err))
}

// fail ends a response whose handler returned an error. What is held goes nowhere,
// for an error route may answer instead. Nor does a deletion of the id, because the
// route may make its answer public: the next page deletes the id.
func (w *Writer) fail(err error) {
	if w.stage > holding {
		w.decision.outcome = outcome.Error
		return
	}
	h := w.Header()
	switch w.stage {
	case waiting, flushed:
		if w.private { // by a flush that encode kept to itself
			w.visitor.KeepID(h)
		}
	default:
		w.setApartTrailers() // for good
		for _, field := range variant.PageFields {
			delete(h, field)
		}
	}
	w.decision.outcome, w.status = Failure(err)
}

// Failure returns the outcome of a response that its handler leaves to an error
// route, and its status, 0 if the error has none. Faults of the server are errors;
// for a missing file and the like, nothing was written.
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
