package kapadeflector

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// This file is the life of one response: how it begins, and how it ends where
// its handler returns, fails or panics. What is written in between is in
// inject.go.

// serve runs next and ends the response. A panic is how a proxy breaks off a
// response whose origin failed: what is held then goes nowhere, and the page
// does not look whole.
func (rw *responseWriter) serve(next caddyhttp.Handler) (err error) {
	v := &rw.visit
	var original *variantRequest
	if v.onPage {
		original = editRequest(v.request.Header, v.variant(), isUnsafe(v.request.Method))
	}
	returned := false
	defer func() {
		original.restore(v.request.Header)
		if rw.edit != nil {
			rw.edit.drop()
		}
		if !returned {
			rw.outcome = outcomeAborted
		}
		v.end(rw.outcome, err != nil)
	}()

	err = rw.run(next)
	if err == nil && rw.edit != nil && rw.edit.half {
		err = rw.endHalf()
	}
	if rw.isDecoding() && (err == nil || rw.stage > holding) {
		err = rw.finishDecoding(err)
	}
	if err != nil {
		rw.fail(err)
	} else {
		rw.finish()
	}
	if rw.failed || rw.clientLeft() {
		rw.outcome = outcomeAborted
	}
	returned = true
	return err
}

// clientLeft reports whether Caddy's reverse_proxy has said by the status 499 that
// the client was gone before the origin answered. Some origins have another use
// for that status (https://github.com/caddyserver/caddy/issues/7396).
func (rw *responseWriter) clientLeft() bool {
	return rw.status == 499 && rw.visit.request.Context().Err() != nil
}

// tunnel passes a CONNECT on, whose answer is never a page.
func (v *visit) tunnel(w http.ResponseWriter, next caddyhttp.Handler) (err error) {
	v.onPage, v.siblings.claimed = true, true // the other blocks have no say
	o := outcomeAborted                       // by a panic
	defer func() { v.end(o, err != nil) }()
	err = next.ServeHTTP(w, v.request)
	if o = outcomeUpgrade; err != nil {
		o, _ = failure(err)
	}
	return err
}

// isDecoding reports whether a compressed body has begun.
func (rw *responseWriter) isDecoding() bool { return rw.edit != nil && rw.edit.decoder != nil }

// drop gives back what is held.
func (e *edit) drop() {
	if e.decoder != nil {
		e.decoder.abandon()
	}
	e.dropBuffer()
}

// run runs next. If it could not go on because the compressed page is broken,
// and nothing of it was sent, that is an error as of an origin that is down,
// whatever next has made of what Write said: reverse_proxy panics.
func (rw *responseWriter) run(next caddyhttp.Handler) (err error) {
	defer func() {
		if !rw.isUndecodable() {
			return
		}
		if r := recover(); r != nil && r != http.ErrAbortHandler {
			panic(r)
		}
		err = badGateway(rw.edit.decoder.err)
	}()
	return next.ServeHTTP(rw, rw.visit.request)
}

// endHalf ends a body that is the first byte of gzip, and nothing else.
func (rw *responseWriter) endHalf() error {
	if rw.gzip {
		return badGateway(errTruncated)
	}
	_ = rw.pass(outcomeEncoded, []byte{0x1f})
	return nil
}

// isUndecodable reports whether the compressed page is broken, and nothing was
// sent of it.
func (rw *responseWriter) isUndecodable() bool {
	return rw.stage == holding && rw.isDecoding() && rw.edit.decoder.err != nil
}

func badGateway(err error) error {
	return caddyhttp.Error(http.StatusBadGateway, fmt.Errorf("the origin's compressed page cannot be decoded: %w", err))
}

// finishDecoding ends the decoding. A body that was not whole is an error while
// nothing was sent; later the response is broken off, for a page that is cut
// short must not look like one that is not.
func (rw *responseWriter) finishDecoding(before error) error {
	err := rw.edit.decoder.finish()
	switch {
	case err == nil:
		return before
	case rw.stage == holding:
		return badGateway(err)
	case !rw.edit.decoder.writeFailed: // else the client has left
		rw.visit.handler.logger.Error("aborting the response: the origin's compressed page cannot be decoded", zap.Error(err))
	}
	panic(http.ErrAbortHandler)
}

// announcedIn returns the fields that h announces as trailers, with what h says
// of them itself, nil for nothing.
func announcedIn(h http.Header) http.Header {
	fields := make(http.Header)
	for _, line := range h["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			fields[name] = h[name]
		}
	}
	return fields
}

// hideTrailers takes the trailers that were set since the handler named the
// status out of the header while what is held may leave, and the header with it:
// without us it would have left before. What the header said of those fields
// itself stays in it. restore puts the trailers back.
func (rw *responseWriter) hideTrailers() (restore func()) {
	if rw.stage == through || rw.announced == nil {
		return func() {}
	}
	h := rw.Header()
	trailers := make(http.Header)
	for name, before := range rw.announced {
		if slices.Equal(h[name], before) {
			continue
		}
		trailers[name] = h[name]
		if h[name] = before; before == nil {
			delete(h, name)
		}
	}
	return func() { maps.Copy(h, trailers) }
}

// finish ends a response whose handler returned without an error.
func (rw *responseWriter) finish() {
	defer rw.hideTrailers()()
	switch {
	case rw.stage == waiting: // nothing was written; what is meant, the server decides
		rw.outcome = outcomeNoBody
		rw.visit.forgetID(rw.Header())
		return
	case rw.stage == sniffing || rw.stage == holding && rw.edit.pooled == nil: // no body
		rw.outcome = outcomeNoBody
		rw.gzip = rw.isDecoding() // what was nothing once decoded has no coding
		rw.stage = through
		rw.sendHeader(false, true)
	case rw.stage != through:
		if off, ok := rw.edit.scanner.End(); ok {
			_ = rw.settle(len(rw.edit.buf)+off, nil)
		} else {
			_ = rw.pass(outcomeNoAnchor, nil)
		}
	}
	rw.checkPolicies()
	rw.checkHeader()
}

// checkHeader finds out whether a handler further out has undone what keeps a
// visitor's page out of shared caches. It cannot be prevented: a deferred
// header directive runs when the header has left this writer.
func (rw *responseWriter) checkHeader() {
	if !rw.private || isPrivate(rw.Header()) {
		return
	}
	rw.outcome = outcomeHeaderOverridden
	if h := rw.visit.handler; h.warnedOverridden.CompareAndSwap(false, true) {
		h.logger.Error("a header directive replaced Cache-Control on a page that is for one visitor alone; " +
			"put its deletions, which defer the whole block, into a header block of their own; said once")
	}
}

// failure returns what becomes of a response that its handler leaves to an error
// route, and its status. error is for faults of the server: of a file that is
// missing, and the like, nothing was written.
func failure(err error) (outcome, int) {
	e, ok := errors.AsType[caddyhttp.HandlerError](err)
	if ok && 0 < e.StatusCode && e.StatusCode <= 499 {
		return outcomeNoBody, e.StatusCode
	}
	return outcomeError, e.StatusCode
}

// fail ends a response whose handler returned an error. What is held goes
// nowhere: an error route may have something else to say. Nor does a deletion of
// the id, since the route may make the answer public: the next page deletes it.
func (rw *responseWriter) fail(err error) {
	rw.outcome = outcomeError
	if rw.stage <= holding {
		rw.outcome, rw.status = failure(err)
	}
	h := rw.Header()
	switch rw.stage {
	case waiting:
		if rw.private { // by a flush that encode kept to itself
			rw.visit.keepID(h)
		}
	case sniffing, holding:
		rw.hideTrailers()                  // for good
		for _, field := range pageFields { // of the page that is dropped
			delete(h, field)
		}
	}
}
