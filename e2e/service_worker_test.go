package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A service worker that passes navigations on, as many do, fetches the pages in
// the browser's place.
func TestServiceWorkerThatPassesNavigationsOn(t *testing.T) {
	if browser == nil {
		missing(t, "browser", browserHelp)
	}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
		livePage(w, "", `<script>navigator.serviceWorker.register('/worker.js')</script>`)
	}))
	t.Cleanup(origin.Close)
	c := &liveEdge{caddy: ownCaddy(t, fmt.Sprintf(`
http://`+support+`:{$EDGE_PORT} {`+loggedBlock+`
	}
	reverse_proxy /shared/* 127.0.0.1:%d
	reverse_proxy %s
}`, sample.sitePort, strings.TrimPrefix(origin.URL, "http://")))}

	v := c.visitor(t, "/form")
	v.open(v.url)
	v.waitFor(`navigator.serviceWorker.controller`)
	reload := func(outcome string) {
		t.Helper()
		v.reload()
		v.wantPassedOn(outcome)
	}
	reload("not_modified")
	v.wantNoTag()
	v.wantNoID()

	v.set(yes)
	if body := eval[string](v.visitor, `fetch(location.href).then((page) => page.text())`); strings.Contains(body, "data-integration-id") {
		t.Error("a script of the page has got the tag")
	}
	reload("injected")
	v.wantTag()
	id := v.id().Value
	if body := eval[string](v.visitor, `fetch(location.href).then((page) => page.text())`); strings.Contains(body, "data-integration-id") {
		t.Error("a script of the page has got the tag")
	}
	reload("injected") // for what the browser keeps is the script's
	v.wantTag()
	v.wantID(id)

	t.Log("the script writes the id SameSite=Strict")
	v.set("kapa_web_id=" + id + "; Path=/; Domain=acme.localhost; SameSite=Strict")
	v.open(otherSite(t, v.url))
	v.follow("a")
	v.wantPassedOn("not_modified") // which the id does not come with either
	v.wantTag()
	v.wantID(id)

	v.set(no)
	v.open(v.url) // anew, for a reload still counts as from the other site
	v.wantPassedOn("denied")
	v.wantNoTag()
	v.wantNoID()
}

// wantPassedOn checks what became of the page, which the service worker has
// asked for last.
func (v *liveVisitor) wantPassedOn(outcome string) {
	v.t.Helper()
	eventually(v.t, "the page is in the log as "+outcome, func() bool {
		requests := v.edge.requests(v.uri)
		if len(requests) == 0 {
			return false
		}
		last := requests[len(requests)-1]
		sent := last.Request.Headers
		return last.Outcome == outcome && sent.Get("Sec-Fetch-Mode") == "navigate" && sent.Get("Sec-Fetch-Dest") == "empty"
	})
}
