package navigation

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// A service worker that passes navigations on, as many do, fetches the pages in
// the browser's place.
func TestServiceWorkerThatPassesNavigationsOn(t *testing.T) {
	t.Parallel()
	origin := testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if r.URL.Path == "/worker.js" {
			h.Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, `
addEventListener('install', () => skipWaiting());
addEventListener('activate', (e) => e.waitUntil(clients.claim()));
addEventListener('fetch', (e) => e.respondWith(fetch(e.request)));`)
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "max-age=600")
		h.Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, testenv.FormPage("", `<script>navigator.serviceWorker.register('/worker.js')</script>`))
	}))
	c := testenv.StartCaddy(t, fmt.Sprintf(`
http://`+testenv.Support+`:{$EDGE_PORT} {
	log
	log_append outcome {http.kapa_deflector.outcome}
	encode
	kapa_deflector {`+testenv.Required+`
		script /shared`+testenv.StandIn+`
		consent cookie cookie_consent accepted
	}
	reverse_proxy /shared/* 127.0.0.1:%d
	reverse_proxy %s
}`, testenv.Sample(t).SitePort, origin))

	v := testenv.NewVisitor(t)
	const path = "/form"
	form := c.Edge(testenv.Support, path)
	set := func(cookie string) {
		t.Helper()
		testenv.Eval[bool](v, `(document.cookie = `+testenv.Quote(cookie)+`, true)`)
	}
	// what became of the page, which the service worker has asked for last
	wantPassedOn := func(outcome string) {
		t.Helper()
		testenv.Eventually(t, "the page is in the log as "+outcome, func() bool {
			requests := c.Requests(path)
			if len(requests) == 0 {
				return false
			}
			last := requests[len(requests)-1]
			sent := last.Request.Headers
			return last.Outcome == outcome && sent.Get("Sec-Fetch-Mode") == "navigate" && sent.Get("Sec-Fetch-Dest") == "empty"
		})
	}
	v.Open(form)
	v.WaitFor(`navigator.serviceWorker.controller`)
	reload := func(outcome string) {
		t.Helper()
		v.Reload()
		wantPassedOn(outcome)
	}
	reload("not_modified")
	v.WantNoTag()
	v.WantNoID()

	set("cookie_consent=accepted; Path=/")
	if body := testenv.Eval[string](v, `fetch(location.href).then((page) => page.text())`); strings.Contains(body, "data-integration-id") {
		t.Error("a script of the page has got the tag")
	}
	reload("injected")
	v.WantTag()
	id := v.ID().Value
	if body := testenv.Eval[string](v, `fetch(location.href).then((page) => page.text())`); strings.Contains(body, "data-integration-id") {
		t.Error("a script of the page has got the tag")
	}
	reload("injected") // for what the browser keeps is the script's
	v.WantTag()
	v.WantID(id)

	t.Log("the script writes the id SameSite=Strict")
	set("kapa_web_id=" + id + "; Path=/; Domain=acme.localhost; SameSite=Strict")
	v.Open(testenv.OtherSite(t, form))
	v.Follow("a")
	wantPassedOn("not_modified") // which the id does not come with either
	v.WantTag()
	v.WantID(id)

	set("cookie_consent=refused; Path=/")
	v.Open(form) // anew, for a reload still counts as from the other site
	wantPassedOn("denied")
	v.WantNoTag()
	v.WantNoID()
}
