package kapadeflector

import (
	"net/http"

	"go.uber.org/zap"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/loader"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/prompt"
)

// isAsked reports whether a loader of this block asks q, or the same script of another
// block.
func (b *block) isAsked(q *loader.Question) bool { return b.loader != nil && b.loader.id == q.ID }

// isOwn reports whether a loader of this block asks q. Blocks with the same script
// differ in their pages.
func (b *block) isOwn(q *loader.Question) bool { return b.isAsked(q) && b.loader.block == q.Block }

// answer answers a loader's question by the rules by which pages get the tag, and
// gives or deletes the id as with a page.
func (x *exchange) answer(w http.ResponseWriter) outcome.Outcome {
	if !x.question.SameOrigin || !x.mayChoose() {
		loader.Refuse(w)
		return outcome.Answered
	}
	if x.question.Choice != "" {
		x.keepChoice(w.Header())
	}
	a, o, givesID := x.decide()
	switch {
	case givesID:
		x.GiveID(w.Header())
	case x.finding.Verdict == consent.Denied:
		x.DeleteID(w.Header())
	}
	if o == outcome.Injected && x.isHeldOut(w.Header()) {
		a, o = loader.Answer{Kind: loader.None}, outcome.HeldOut
	}
	if err := a.Write(w); err != nil { // the client is gone
		return outcome.Aborted
	}
	return o
}

// isHeldOut counts a view of the form under an experiment, and reports whether the
// experiment keeps the deflector from the visitor. h may give the visitor an id. A
// visitor who gets none takes no part.
func (x *exchange) isHeldOut(h http.Header) bool {
	b := x.block
	if b.experimenter == nil {
		return false
	}
	id := readIDs(x.request.Header["Cookie"]).first
	if id == "" {
		id = idIn(h)
	}
	return id != "" && b.experimenter.view(id, b.tracked.integrationID(x.request))
}

// mayChoose reports whether the question brings no choice, or one that this block asks
// for.
func (x *exchange) mayChoose() bool {
	return x.question.Choice == "" || x.block.asker != nil && x.covered && x.block.isAsked(x.question)
}

// keepChoice keeps what the visitor has answered to consent ask, and counts it.
func (x *exchange) keepChoice(h http.Header) {
	b := x.block
	chosen := choiceNo
	if x.question.Choice == "yes" {
		chosen = choiceYes
	}
	if !b.asker.keep(h, x.request, chosen == choiceYes) {
		b.notices.warnUncoveredChoice(b.logger)
	}
	b.metrics.choices[chosen].Inc()
	b.logger.Info("consent ask: a visitor has answered", zap.Stringer("choice", chosen))
}

// promptFor returns the question that the visitor gets at the form, nil if there is
// none.
func (x *exchange) promptFor() *prompt.Prompt {
	b := x.block
	if b.asker == nil || b.consent.isGPC(x.request) {
		return nil
	}
	choice := ""
	switch x.finding.Verdict {
	case consent.Granted:
		choice = "yes"
	case consent.Denied:
		choice = "no"
	}
	return b.asker.promptFor(x.request, x.question.Language, choice)
}

// decide returns the answer to the question, the outcome that the tag would have had in
// the page that is asked about, and whether the visitor gets an id.
func (x *exchange) decide() (a loader.Answer, o outcome.Outcome, givesID bool) {
	b, verdict := x.block, x.finding.Verdict
	granted := verdict == consent.Granted
	a.Kind = loader.None
	if !granted {
		a.Kind = loader.NoConsent
	}
	if !x.covered || !b.isAsked(x.question) {
		return a, outcome.OtherPage, false
	}
	t, kind, o := b.tracked, loader.Tag, outcome.Injected
	if !granted {
		t, kind, o = b.untracked, loader.Untracked, outcome.Untracked
	}
	if t == nil {
		a.Prompt = x.promptFor()
		return a, withoutTag(verdict), false
	}
	f, err := t.fill(replacerOf(x.request))
	if err != nil {
		a.Kind = loader.None
		return a, outcome.Incomplete, false
	}
	a = f.answer(kind, b.loader.renders)
	a.Prompt = x.promptFor()
	return a, o, granted && f.cookies && !f.fingerprint
}

// answer returns the tag as the loader reads it. render says that the loader starts the
// deflector.
func (f *filledTag) answer(kind loader.Kind, render bool) loader.Answer {
	a := loader.Answer{Kind: kind, Render: render}
	for _, attribute := range f.attrs {
		if render && attribute.Name == "src" { // src stays the last
			a.Attributes = append(a.Attributes, [2]string{kapa.RenderOnLoad, "false"})
		}
		a.Attributes = append(a.Attributes, [2]string{attribute.Name, attribute.Value})
	}
	for _, v := range f.user {
		a.User = append(a.User, [3]string{v.Name, v.Value})
	}
	for _, v := range f.metadata {
		a.User = append(a.User, [3]string{v.Name, v.Value, "metadata"})
	}
	return a
}
