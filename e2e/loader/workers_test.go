package loader

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// Service workers. Each counts the questions that it has seen.
var workers = map[string]string{
	"answering": `
addEventListener('fetch', (e) => {
	if (e.request.headers.has('Kapa-Deflector')) asked++;
	e.respondWith(new Response('<!doctype html><title>from the worker</title>', { headers: { 'Content-Type': 'text/html' } }));
});`,
	// what many do, so that there is a page without a network
	"keeping": `
addEventListener('fetch', (e) => {
	if (e.request.method !== 'GET') return;
	if (e.request.headers.has('Kapa-Deflector')) asked++;
	e.respondWith((async () => {
		const answer = await fetch(e.request);
		const copy = answer.clone();
		e.waitUntil(caches.open('pages').then((cache) => cache.put(e.request, copy)).catch(() => {}));
		return answer;
	})());
});`,
	// and what some do, so that it is fast
	"serving": `
addEventListener('fetch', (e) => {
	if (e.request.method !== 'GET') return;
	if (e.request.headers.has('Kapa-Deflector')) asked++;
	e.respondWith((async () => {
		const cache = await caches.open('pages');
		const kept = await cache.match(e.request, { ignoreSearch: true, ignoreVary: true });
		if (kept) return kept;
		const answer = await fetch(e.request);
		await cache.put(e.request, answer.clone()).catch(() => {});
		return answer;
	})());
});`,
	"failing": `
addEventListener('fetch', (e) => {
	if (e.request.headers.has('Kapa-Deflector')) asked++;
	e.respondWith(Response.error());
});`,
}

const workerStart = `
let asked = 0;
addEventListener('install', () => skipWaiting());
addEventListener('activate', (e) => e.waitUntil(clients.claim()));
addEventListener('message', (e) => e.ports[0].postMessage(asked));`

// A service worker may answer the question, or keep its answer.
func TestServiceWorkers(t *testing.T) {
	t.Parallel()
	e := newEdge(t, consentLine+pagesLine+"\n\t\tloader load", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/own/page/")
		if worker, ok := workers[strings.TrimSuffix(name, ".js")]; ok && strings.HasSuffix(name, ".js") {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, workerStart+worker)
			return
		}
		pages{name: empty("")}.ServeHTTP(w, r)
	}))
	register := func(t *testing.T, name string) *visitor {
		t.Helper()
		v := e.visitor(t, "/own/page/"+name)
		v.have(yes)
		v.arrive()
		v.run(`navigator.serviceWorker.register('/own/page/` + name + `.js')`)
		v.WaitFor(`navigator.serviceWorker.controller`)
		return v
	}
	const asked = `new Promise((done) => {
		const { port1, port2 } = new MessageChannel();
		port1.onmessage = (e) => done(e.data);
		navigator.serviceWorker.controller.postMessage(null, [port2]);
	})`
	wantAskedWorker := func(v *visitor, n int) {
		v.T.Helper()
		testenv.Eventually(v.T, "the worker is asked", func() bool { return testenv.Eval[int](v.Visitor, asked) >= n })
		v.wantAsked(0, "behind the worker")
		if got := testenv.Eval[int](v.Visitor, asked); got != n {
			v.T.Errorf("the worker was asked %d times, want %d", got, n)
		}
	}

	everyBrowser(t, "one that has a page for everything", func(t *testing.T, prepare func(*visitor)) {
		t.Parallel()
		v := e.visitor(t, "/own/page/answering")
		prepare(v)
		v.have(yes)
		v.arrive()
		v.run(`navigator.serviceWorker.register('/own/page/answering.js')`)
		v.WaitFor(`navigator.serviceWorker.controller`)
		v.run(`draw()`)
		wantAskedWorker(v, 1)
		v.wantNothing()
		v.set(no)
		wantAskedWorker(v, 2)
		v.wantNothing()
		v.mustBeMarked()
	})

	t.Run("one that keeps what it gets", func(t *testing.T) {
		t.Parallel()
		v := register(t, "keeping")
		v.run(`await caches.open('pages').then((cache) => cache.add(location.href)); draw()`)
		v.wantDeflector(1)
		v.wantAsked(1, "through the worker")
		kept := testenv.Eval[string](v.Visitor, `caches.match(location.href, { ignoreVary: true }).then((page) => page.text())`)
		if !strings.HasPrefix(kept, "<!doctype html>") {
			t.Errorf("in place of the page the worker keeps %s", kept)
		}
		if n := testenv.Eval[int](v.Visitor, `caches.open('pages').then((cache) => cache.keys()).then((kept) => kept.filter(({ url }) => url.includes('kapa_deflector')).length)`); n > 0 {
			t.Errorf("the worker keeps %d answers", n)
		}
		v.set(no)
		v.wantIDGone()
	})

	t.Run("one that serves what it keeps, whatever the query", func(t *testing.T) {
		t.Parallel()
		v := register(t, "serving")
		v.run(`await fetch(location.href); draw()`)
		wantAskedWorker(v, 1)
		v.wantNothing()
		v.set(no)
		wantAskedWorker(v, 2)
		v.wantNothing()
	})

	t.Run("one that fails", func(t *testing.T) {
		t.Parallel()
		v := register(t, "failing")
		v.Expect("net::ERR_FAILED")
		v.run(`draw()`)
		wantAskedWorker(v, 1)
		v.wantNothing()
		v.run(`(await navigator.serviceWorker.getRegistration()).unregister()`)
		page := testenv.Eval[string](v.Visitor, `location.href`)
		v.Open("about:blank")
		testenv.Eventually(t, "the worker is gone", func() bool { // it goes when its last page has gone
			_, err := chromedp.Run(v.Ctx, chromedp.NavigateResponse(page))
			return err == nil
		})
		v.mark()
		v.run(`draw()`)
		v.wantDeflector(1)
	})
}
