package kapadeflector

import (
	"net/http"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/loader"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
)

// isAsked reports whether a loader of this block asks q.
func (b *block) isAsked(q *loader.Question) bool { return b.loader != nil && b.loader.id == q.ID }

// answer answers a loader's question by the rules by which pages get the tag, and
// gives or deletes the id as with a page.
func (x *exchange) answer(w http.ResponseWriter) outcome.Outcome {
	if !x.question.SameOrigin {
		loader.Refuse(w)
		return outcome.Answered
	}
	a, o, givesID := x.decide()
	switch {
	case givesID:
		x.GiveID(w.Header())
	case x.finding.Verdict == consent.Denied:
		x.DeleteID(w.Header())
	}
	if err := a.Write(w); err != nil { // the client is gone
		return outcome.Aborted
	}
	return o
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
		return a, withoutTag(verdict), false
	}
	f, err := t.fill(replacerOf(x.request))
	if err != nil {
		a.Kind = loader.None
		return a, outcome.Incomplete, false
	}
	return f.answer(kind, b.loader.renders), o, granted && f.cookies && !f.fingerprint
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
