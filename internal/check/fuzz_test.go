package check

import (
	"strings"
	"testing"
)

// Whatever a site answers, a report comes out, and it can be printed.
func FuzzJudge(f *testing.F) {
	f.Add(taggedPage, "#description", "onSubmit", theCookie, "script-src 'self'", "private, no-cache")
	f.Add(plainPage, "", "", "", "", "")
	f.Add("<frameset><template><script src="+file+">", ":has(> a)", "onClick", "kapa_web_id=; Max-Age=0", "sandbox", "no-store")
	for _, selector := range []string{"#1st", ":is(#form)", "form:has(> p)", "#x_ifr ifr>> #tinymce", "a sh>> b", "ifr>>", "[a='", "form,"} {
		f.Add(taggedPage, selector, "onSubmit", "kapa_web_id", "", "")
	}
	f.Fuzz(func(t *testing.T, body, selector, event, cookie, policy, caching string) {
		if len(selector) > 64 {
			return // which takes long, and nothing else
		}
		s := sound()
		s.With.Body = []byte(body)
		if readPage(&Response{Body: s.With.Body}, product).tags != nil {
			setAttribute(s, attrInput, selector)
			setAttribute(s, attrEventType, event)
		}
		s.With.Header.Set("Set-Cookie", cookie)
		s.With.Header.Set("Content-Security-Policy", policy)
		s.With.Header.Set("Cache-Control", caching)
		r := Judge(*s, product)
		if (r.Result == ResultFine) != (len(r.Findings) == 0) || r.Tag.Present == (r.Tag.Reason != "") && !r.has("page_unreadable") {
			t.Errorf("%+v", r)
		}
		if got := printed(t, r, false); strings.ContainsAny(got, "\x1b\x07\r\u202e") {
			t.Errorf("%q", got)
		}
	})
}
