package loader

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// A page may be the answer to a form. It is loaded again, but the form is not sent again.
func TestWithdrawalDoesNotSendAFormAgain(t *testing.T) {
	t.Parallel()
	var posts counter
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.add()
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, strings.Replace(testenv.FormPage("", ""), `"/tickets"`, `""`, 1))
	}))
	v := e.visitor(t, "/own/page/form")
	v.Expect("status 422", "status of 422")
	v.have(yes)
	v.arrive()
	v.wantDeflector(1)
	v.FillIn(testenv.ShortQuestion)
	v.Follow(testenv.SendButton)
	v.mark()
	v.wantDeflector(1)
	v.set(no)
	v.wantIDGone()
	v.Await("the page is loaded again", `!window.marked && document.readyState === 'complete'`)
	if n := posts.value(); n != 1 {
		t.Errorf("the form was sent %d times", n)
	}
	v.wantNothing()
}
