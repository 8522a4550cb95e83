package kapadeflector

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check"
)

// checkedForm is a page at which the tag of requiredLines finds everything.
const checkedForm = `<!doctype html>
<html>
<head><title>Open a ticket</title></head>
<body>
<form id="form"><textarea id="description"></textarea><button>Send</button></form>
<p>We answer on working days, usually within four hours, and in the order in which tickets come in.
Whoever is in a hurry finds the answers to the questions that most customers have in the documentation.</p>
<p>We answer on working days, usually within four hours, and in the order in which tickets come in.
Whoever is in a hurry finds the answers to the questions that most customers have in the documentation.</p>
</body>
</html>
`

// A faultySite is a site with one fault, and the codes of the findings and notes that
// kapa-check must have for it.
type faultySite struct {
	fault    string
	findings string
	notes    string
	anyNotes string // that may be there, or not

	swap   []string // old and new, in the site's part of the Caddyfile
	page   string   // the origin's; checkedForm if empty
	fields []string // further ones of the origin, as "Name: value"
	origin http.HandlerFunc
	front  func(caddy http.RoundTripper) http.Handler // something between Caddy and the visitor
	https  bool                                       // which has a certificate

	cookies     string // of a visitor with consent; granted if empty; "none" for no cookie
	notRequired bool
}

// behind are fields of a cache between Caddy and the origin: Caddy passes them on.
var behind = []string{"Age: 30", "X-Cache: HIT", "Cf-Cache-Status: HIT", "Cache-Status: origin; hit; ttl=30"}

// loaderSwap adds loader, and another line.
func loaderSwap(line string) []string { return []string{consentLine, loaderLines + line + "\n"} }

const checkedSite = `
encode
kapa_deflector {` + requiredLines + consentLine + `}
reverse_proxy ORIGIN
`

var faultySites = []faultySite{
	{fault: "none"},
	{fault: "none, and other cookies", cookies: "theme=dark; " + granted + "; lang=en"},
	{fault: "none, and the visitor has an id", cookies: granted + "; kapa_web_id=0b8a2f6e-3f0c-4f5e-9a53-1c2d3e4f5a6b"},

	// in the Caddyfile
	{fault: "a selector that matches nothing", swap: []string{`"#description"`, `"#message"`}, findings: "selector_matches_nothing"},
	{fault: "an id that begins with a digit", swap: []string{`"#description"`, `"#1"`}, findings: "selector_invalid"},
	{fault: "a selector of jQuery", swap: []string{`"#form button"`, "`button:contains(\"Send\")`"}, findings: "selector_invalid"},
	{fault: "onClick with the form", swap: []string{"onSubmit", "onClick"}, findings: "event_type"},
	{fault: "onSubmit with the button", swap: []string{`data-submit-element-query-selector "#form"`, `data-submit-element-query-selector button`}, findings: "event_type"},
	{fault: "a placeholder that nobody fills in", swap: []string{consentLine, consentLine + "data-project-color {http.nosuch.color}\n"}, findings: "attribute_placeholder"},
	{fault: "an attribute that is misspelt", swap: []string{consentLine, consentLine + "data-project-colour red\n"}, notes: "attribute_name"},
	{fault: "a script of another name", swap: []string{consentLine, consentLine + "script /static/kapa.js\n"}, findings: "script_file"},
	{fault: "other pages", swap: []string{consentLine, consentLine + "pages /contact\n"}, findings: "tag_missing:not_covered"},
	{fault: "another value for yes", swap: []string{"accepted", "yes"}, findings: "tag_missing:no_consent"},
	{fault: "another cookie", swap: []string{"cookie_consent", "CookieConsent"}, findings: "tag_missing:no_consent"},
	{fault: "a visitor who has refused", cookies: denied, findings: "tag_missing:no_consent"},
	{fault: "no consent line, without saying so", swap: []string{consentLine, "consent not_required\n"}, findings: "tag_without_consent id_without_consent"},
	{fault: "none, and consent is not required", swap: []string{consentLine, "consent not_required\n"}, notRequired: true},
	{fault: "none, and without_consent untracked", swap: []string{consentLine, consentLine + "without_consent untracked\n"}, notes: "untracked_tag"},
	{fault: "without_consent untracked, and another value for yes", cookies: "cookie_consent=yes",
		swap: []string{consentLine, consentLine + "without_consent untracked\n"}, findings: "consent_not_recognised"},
	{fault: "a cookie for another domain", swap: []string{consentLine, consentLine + "cookie {\ndomain acme.net\n}\n"}, findings: "id_missing"},
	{fault: "a cookie for this host alone", swap: []string{consentLine, consentLine + "cookie {\ndomain host\n}\n"}, notes: "id_host_only"},
	{fault: "cookie off, without saying so", swap: []string{consentLine, consentLine + "cookie off\n"}, findings: "id_missing"},
	{fault: "a header directive that makes pages public", swap: []string{"encode\n", "encode\nheader >Cache-Control \"public, max-age=600\"\n"}, findings: "cache_control"},
	{fault: "a header directive that takes Vary away", swap: []string{"encode\n", "header {\ndefer\n-Vary\n}\n"}, findings: "vary_missing"},
	{fault: "an upstream that is gone", swap: []string{"ORIGIN", "127.0.0.1:1"}, findings: "tag_missing:status"},

	// under loader
	{fault: "none, under loader", swap: loaderSwap("")},
	{fault: "none, under loader, and a framework", swap: loaderSwap(""), page: strings.Replace(checkedForm, "</body>", `<div id="__nuxt"></div></body>`, 1)},
	{fault: "none, under loader, and pages for everybody", swap: loaderSwap(""), fields: []string{"Cache-Control: public, max-age=600"}},
	{fault: "none, under loader, and a form that is drawn by script", swap: loaderSwap(""), page: "<!doctype html><head></head><div id=app></div><script src=app.js></script>",
		notes: "selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script"},
	{fault: "a selector that matches nothing, under loader", swap: loaderSwap(`data-ticket-query-selector "#message"`), findings: "selector_matches_nothing"},
	{fault: "other pages, under loader", swap: loaderSwap("pages /contact"), findings: "tag_missing:not_covered"},
	{fault: "a visitor who has refused, under loader", cookies: denied, swap: loaderSwap(""), findings: "tag_missing:no_consent"},
	{fault: "no consent line, under loader", swap: []string{consentLine, "consent not_required\nloader\n"}, findings: "tag_without_consent id_without_consent"},
	{fault: "none, under loader, and consent is not required", swap: []string{consentLine, "consent not_required\nloader\n"}, notRequired: true},
	{fault: "none, under loader and without_consent untracked", swap: loaderSwap("without_consent untracked"), notes: "untracked_tag"},
	{fault: "a policy that blocks the loader", swap: loaderSwap(""), front: changing(func(r *http.Response) {
		r.Header.Set("Content-Security-Policy", "script-src https://widget.kapa.ai")
	}), findings: "csp_loader"},
	{fault: "a policy that blocks the loader's question", swap: loaderSwap(""), front: changing(func(r *http.Response) {
		r.Header.Set("Content-Security-Policy", "connect-src https://proxy.kapa.ai")
	}), findings: "csp_loader"},
	{fault: "none, under loader, and a policy with a nonce", swap: loaderSwap(""), fields: []string{"Content-Security-Policy: script-src 'nonce-abc'"}},
	{fault: "none, under loader, and a policy that csp extend widens", swap: loaderSwap("csp extend"), fields: []string{"Content-Security-Policy: script-src 'self'; connect-src 'self'"}},
	{fault: "a CDN that drops the loader's field", swap: loaderSwap(""), front: func(caddy http.RoundTripper) http.Handler {
		next := changing(func(*http.Response) {})(caddy)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { r.Header.Del("Kapa-Deflector"); next.ServeHTTP(w, r) })
	}, findings: "question_lost"},
	{fault: "a CDN that ignores the query", swap: loaderSwap(""), front: func(caddy http.RoundTripper) http.Handler {
		next := changing(func(*http.Response) {})(caddy)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { r.URL.RawQuery = ""; next.ServeHTTP(w, r) })
	}, findings: "question_lost"},
	{fault: "a CDN that stores the loader's answers", swap: loaderSwap(""), front: changing(func(r *http.Response) {
		if r.Header.Get("Kapa-Deflector") != "" {
			r.Header.Set("Cache-Control", "max-age=60")
		}
	}), findings: "cache_control"},
	{fault: "a CDN with a page from before the loader", swap: loaderSwap(""), front: func(caddy http.RoundTripper) http.Handler {
		next := changing(func(*http.Response) {})(caddy)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Cookie") == "" {
				answerPage(w, r, checkedForm)
				return
			}
			next.ServeHTTP(w, r)
		})
	}, findings: "tag_unsteady"},
	{fault: "none, under loader, and a platform that only the page sees", cookies: "none", swap: []string{consentLine, "consent osano\nloader\n"}, notes: "consent_in_page"},
	{fault: "none, and an experiment that holds half of the visitors out", swap: loaderSwap("cookie {\nrenew\n}\nexperiment {\nholdout 50%\nsubmissions /tickets\n}"), anyNotes: "held_out"},
	{fault: "none, under loader, and consent ask", cookies: "none", swap: []string{consentLine, "consent ask {\npolicy /privacy\n}\nloader\n"}, notes: "no_cookie"},

	// at the origin
	{fault: "plain text", fields: []string{"Content-Type: text/plain"}, findings: "tag_missing:not_html"},
	{fault: "no-transform", fields: []string{"Cache-Control: no-transform"}, findings: "tag_missing:no_transform"},
	{fault: "brotli all the same", fields: []string{"Content-Encoding: br"}, findings: "tag_missing:encoded"},
	{fault: "a policy that blocks the script", fields: []string{"Content-Security-Policy: script-src 'self'"}, findings: "tag_missing:csp_blocked"},
	{fault: "a policy that blocks the script's requests", fields: []string{"Content-Security-Policy: script-src *; connect-src 'self'"}, findings: "csp_connection"},
	{fault: "none, and a policy with a nonce", fields: []string{"Content-Security-Policy: script-src 'nonce-abc'"}},
	{fault: "a download", fields: []string{"Content-Disposition: attachment"}, findings: "tag_missing:attachment"},
	{fault: "UTF-16", fields: []string{"Content-Type: text/html; charset=utf-16"}, findings: "tag_missing:charset"},
	{fault: "AMP", page: strings.Replace(checkedForm, "<html>", "<html amp>", 1), findings: "tag_missing:amp"},
	{fault: "a title that is not closed", page: strings.Replace(checkedForm, "</title>", "", 1), findings: "tag_missing:no_anchor"},
	{fault: "a form that is drawn by script", page: "<!doctype html><div id=app></div><script src=app.js></script>",
		notes: "selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script"},
	{fault: "a button outside of the form", page: strings.Replace(strings.Replace(checkedForm, "<button>Send</button>", "", 1), "</body>", "<button>Send</button></body>", 1),
		swap: []string{`"#form button"`, "button"}, findings: "button_outside_form"},
	{fault: "a tag in the page's head", page: strings.Replace(checkedForm, "</head>", staticTag+"</head>", 1), findings: "tag_without_consent"},
	{fault: "a tag in the page's body", page: strings.Replace(checkedForm, "</body>", staticTag+"</body>", 1), findings: "tag_twice tag_without_consent"},
	{fault: "none, and a cache behind Caddy", fields: behind, notes: "cache_seen"},
	{fault: "none, and a cache behind Caddy that had nothing", fields: []string{"X-Cache: MISS", "Age: 0"}},
	{fault: "none, and an origin that times its own cache", fields: []string{`Server-Timing: cache;desc="hit", db;dur=53`}},
	{fault: "a cache behind Caddy, and another value for yes", fields: behind, swap: []string{"accepted", "yes"}, findings: "tag_missing:no_consent", notes: "cache_seen"},
	{fault: "a cache behind Caddy, and other pages", fields: behind, swap: []string{consentLine, consentLine + "pages /contact\n"},
		findings: "tag_missing:not_covered", notes: "cache_seen"},
	{fault: "a cache behind Caddy, and no consent line", fields: behind, swap: []string{consentLine, "consent not_required\n"},
		findings: "tag_without_consent id_without_consent", notes: "cache_seen"},
	{fault: "none, consent is not required, and a cache behind Caddy", fields: behind, swap: []string{consentLine, "consent not_required\n"},
		notRequired: true, notes: "cache_seen"},
	{fault: "none, without_consent untracked, and a cache behind Caddy", fields: behind,
		swap: []string{consentLine, consentLine + "without_consent untracked\n"}, notes: "cache_seen untracked_tag"},
	{fault: "a cache behind Caddy, and a tag in the page's head", fields: behind,
		page: strings.Replace(checkedForm, "</head>", staticTag+"</head>", 1), findings: "tag_without_consent", notes: "cache_seen"},
	{fault: "a cache behind Caddy, and a header directive that makes pages public", fields: behind,
		swap: []string{"encode\n", "encode\nheader >Cache-Control \"public, max-age=600\"\n"}, findings: "cache_control", notes: "cache_seen"},
	{fault: "none, without encode, and an origin that compresses", swap: []string{"encode\n", ""}, origin: compressing("gzip")},
	{fault: "an origin that compresses by zstd, and no encode", swap: []string{"encode\n", ""}, origin: compressing("zstd"), findings: "not_compressed"},
	{fault: "none, and an origin that compresses", origin: compressing("gzip")},
	{fault: "none, and an origin that says of no body that it is compressed", origin: func(w http.ResponseWriter, r *http.Request) {
		if r.Header["If-None-Match"] != nil {
			w.Header().Set("Content-Encoding", "gzip")
		}
		answerPage(w, r, checkedForm)
	}},
	{fault: "an id of the origin's own", origin: func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Cookie"), granted) {
			w.Header().Set("Set-Cookie", "kapa_web_id=0b8a2f6e-3f0c-4f5e-9a53-1c2d3e4f5a6b; Domain=acme.com; Path=/; Max-Age=60; Secure; HttpOnly")
			w.Header().Set("Cache-Control", "private, no-cache")
		}
		answerPage(w, r, checkedForm)
	}, findings: "id_dropped id_http_only id_shared"},
	{fault: "a login in front of the form", findings: "login", origin: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/tickets/new" {
			http.Redirect(w, r, "/welcome?return=/tickets/new", http.StatusFound)
			return
		}
		answerPage(w, r, `<!doctype html><head></head><form><input type="password"></form>`)
	}},
	{fault: "a login in front of the form, outside of pages", findings: "tag_missing:login",
		swap: []string{consentLine, consentLine + "pages /tickets/new\n"}, origin: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/tickets/new" {
				http.Redirect(w, r, "/login", http.StatusFound)
				return
			}
			answerPage(w, r, checkedForm)
		}},
	{fault: "none, and a login without the session's cookie", cookies: granted + "; session=1", notes: "other_page",
		swap: []string{consentLine, consentLine + "pages /tickets/new\n"}, origin: func(w http.ResponseWriter, r *http.Request) {
			if _, err := r.Cookie("session"); err != nil && r.URL.Path == "/tickets/new" {
				http.Redirect(w, r, "/login", http.StatusFound)
				return
			}
			answerPage(w, r, checkedForm)
		}},
	{fault: "a visitor who has to be signed in", findings: "tag_missing:login", origin: func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "who are you?", http.StatusUnauthorized)
	}},
	{fault: "a redirect without end", findings: "tag_missing:redirect", origin: func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	}},
	{fault: "a redirect to another site", findings: "tag_missing:redirect", origin: func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://acme.net/?session=secret", http.StatusFound)
	}},
	{fault: "none, and a redirect that sets a session first", origin: func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("session"); err != nil {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "1", Path: "/"})
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
			return
		}
		answerPage(w, r, checkedForm)
	}},

	// in front
	{fault: "a CDN that takes Vary away", front: changing(func(r *http.Response) { r.Header.Del("Vary") }), findings: "vary_missing"},
	{fault: "a CDN that drops Set-Cookie", front: changing(func(r *http.Response) { r.Header.Del("Set-Cookie") }), findings: "id_missing"},
	{fault: "a CDN that keeps the page of whoever came first", front: keeping(""), findings: "tag_missing:cached"},
	{fault: "a CDN that keeps it, and takes Vary away", front: keeping("", "Vary"), findings: "tag_missing:cached"},
	{fault: "a CDN with the page of a visitor with consent", front: keeping(granted),
		findings: "tag_from_cache etag_shared tag_without_consent id_without_consent"},
	{fault: "a CDN with that page, but without its id", front: keeping(granted, "Set-Cookie"),
		findings: "id_missing tag_from_cache etag_shared tag_without_consent"},
	{fault: "a CDN with that page, and a cookie that is no consent", cookies: "cookie_consent=yes", front: keeping(granted, "Set-Cookie", "Etag"),
		findings: "id_missing tag_from_cache tag_without_consent"},
	{fault: "a CDN that keeps one page for each visitor", front: keepingEach, findings: "tag_from_cache id_shared"},
	{fault: "a CDN that keeps what it may", front: changing(func(r *http.Response) {
		if !strings.Contains(r.Header.Get("Cache-Control"), "private") {
			r.Header.Set("X-Cache", "HIT")
		}
	})},
	{fault: "a CDN that delays scripts", front: rewriting("<script async", `<script type="0f-text/javascript" async`), findings: "script_type"},
	{fault: "a CDN that adds a policy", front: changing(func(r *http.Response) { r.Header.Set("Content-Security-Policy", "script-src 'self'") }), findings: "csp_script"},
	{fault: "a CDN that adds a policy for connections", front: changing(func(r *http.Response) {
		r.Header.Set("Content-Security-Policy", "connect-src 'self'; script-src 'self' https://widget.kapa.ai")
	}), findings: "csp_connection"},
	{fault: "a CDN that takes every copy for good", findings: "tag_after_withdrawal no_tag_after_consent", front: func(caddy http.RoundTripper) http.Handler {
		next := changing(func(*http.Response) {})(caddy)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header["If-None-Match"] != nil {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			next.ServeHTTP(w, r)
		})
	}},
	{fault: "a second server without the directive", findings: "tag_unsteady", front: func(caddy http.RoundTripper) http.Handler {
		next := changing(func(*http.Response) {})(caddy)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header["If-None-Match"] != nil {
				answerPage(w, r, checkedForm)
				return
			}
			next.ServeHTTP(w, r)
		})
	}},
	{fault: "a bot protection", findings: "tag_missing:challenge", front: func(http.RoundTripper) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cf-Mitigated", "challenge")
			http.Error(w, "<!doctype html><title>Just a moment</title>", http.StatusForbidden)
		})
	}},
	{fault: "a proxy that ends TLS and is not trusted", front: changing(func(*http.Response) {}), https: true, findings: "id_not_secure"},
	{fault: "a trusted proxy that claims https", front: claimingHTTPS, findings: "id_dropped"},
}

// changing is a proxy that changes every response.
func changing(change func(*http.Response)) func(http.RoundTripper) http.Handler {
	return func(caddy http.RoundTripper) http.Handler {
		return &httputil.ReverseProxy{
			Rewrite:        func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host },
			Transport:      caddy,
			ModifyResponse: func(r *http.Response) error { change(r); return nil },
		}
	}
}

// rewriting is a proxy that changes pages.
func rewriting(old, with string) func(http.RoundTripper) http.Handler {
	return func(caddy http.RoundTripper) http.Handler {
		p := changing(func(r *http.Response) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(strings.Replace(string(body), old, with, 1)))
			r.Header.Del("Content-Length")
			r.ContentLength = -1
		})(caddy).(*httputil.ReverseProxy)
		rewrite := p.Rewrite
		p.Rewrite = func(r *httputil.ProxyRequest) { rewrite(r); r.Out.Header.Del("Accept-Encoding") }
		return p
	}
}

// claimingHTTPS comes from the address that startCaddy trusts.
func claimingHTTPS(caddy http.RoundTripper) http.Handler {
	p := changing(func(*http.Response) {})(caddy).(*httputil.ReverseProxy)
	rewrite := p.Rewrite
	p.Rewrite = func(r *httputil.ProxyRequest) {
		rewrite(r)
		r.Out.Header.Set("X-Forwarded-Proto", "https")
		r.Out.Header.Set("X-Test-From", "127.0.0.2")
	}
	return p
}

// keeping is a cache that gives everybody the page of a visitor with these cookies,
// without some of its fields.
func keeping(cookies string, dropped ...string) func(http.RoundTripper) http.Handler {
	return func(caddy http.RoundTripper) http.Handler {
		next := changing(func(*http.Response) {})(caddy)
		var once sync.Once
		kept := httptest.NewRecorder()
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery != "" {
				next.ServeHTTP(w, r) // of another address it has nothing
				return
			}
			once.Do(func() {
				first := r.Clone(r.Context())
				first.Header.Set("Cookie", cookies)
				next.ServeHTTP(kept, first)
			})
			serveKept(w, kept, dropped...)
		})
	}
}

// keepingEach is a cache that tells visitors apart by their cookies, but keeps pages
// that it must not keep.
func keepingEach(caddy http.RoundTripper) http.Handler {
	next := changing(func(*http.Response) {})(caddy)
	var mu sync.Mutex
	kept := make(map[string]*httptest.ResponseRecorder)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		key := r.Header.Get("Cookie") + r.URL.RawQuery
		if kept[key] == nil {
			kept[key] = httptest.NewRecorder()
			r.Header.Del("If-None-Match")
			next.ServeHTTP(kept[key], r)
		}
		serveKept(w, kept[key])
	})
}

func serveKept(w http.ResponseWriter, kept *httptest.ResponseRecorder, dropped ...string) {
	maps.Copy(w.Header(), kept.Header())
	for _, name := range dropped {
		w.Header().Del(name)
	}
	w.Header().Set("Age", "7")
	w.WriteHeader(kept.Code)
	_, _ = w.Write(kept.Body.Bytes())
}

// compressing is an origin that compresses for those who accept that coding.
func compressing(coding string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), coding) {
			answerPage(w, r, checkedForm)
			return
		}
		w.Header().Set("Content-Encoding", coding)
		w.Header().Set("Content-Type", "text/html")
		var z io.WriteCloser = gzip.NewWriter(w)
		if coding == "zstd" {
			z, _ = zstd.NewWriter(w)
		}
		_, _ = io.WriteString(z, checkedForm)
		_ = z.Close()
	}
}

// answerPage answers with a page that has an ETag.
func answerPage(w http.ResponseWriter, r *http.Request, page string) {
	w.Header().Set("Etag", `"v1"`)
	if strings.Contains(r.Header.Get("If-None-Match"), `"v1"`) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if w.Header()["Content-Type"] == nil {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	}
	_, _ = io.WriteString(w, page)
}

// kapa-check finds each planted fault, and only it, at a site that a running
// Caddy serves.
func TestKapaCheckFindsPlantedFaults(t *testing.T) {
	hosts := make(map[string]faultySite)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site := hosts[r.Host]
		for _, field := range site.fields {
			name, value, _ := strings.Cut(field, ": ")
			w.Header().Set(name, value)
		}
		switch {
		case site.origin != nil:
			site.origin(w, r)
		case site.page != "":
			answerPage(w, r, site.page)
		default:
			answerPage(w, r, checkedForm)
		}
	}))
	t.Cleanup(origin.Close)

	var caddyfile strings.Builder
	for i, site := range faultySites {
		host := faultyHost(i)
		hosts[host] = site
		text := checkedSite
		if site.swap != nil {
			text = tidy(text)
			if !strings.Contains(text, site.swap[0]) {
				t.Fatalf("%s: no %q in %s", site.fault, site.swap[0], text)
			}
			text = strings.Replace(text, site.swap[0], site.swap[1], 1)
		}
		text = strings.Replace(text, "ORIGIN", strings.TrimPrefix(origin.URL, "http://"), 1)
		fmt.Fprintf(&caddyfile, "http://%s:HTTP {\n%s}\n", host, text)
	}
	s := startCaddy(t, caddyfile.String())

	for i, site := range faultySites {
		t.Run(site.fault, func(t *testing.T) {
			to := "127.0.0.1:" + s.http
			scheme := "http"
			if site.front != nil {
				front := httptest.NewUnstartedServer(site.front(dialing(t, to)))
				if site.https {
					scheme = "https"
					front.StartTLS()
				} else {
					front.Start()
				}
				t.Cleanup(front.Close)
				to = front.Listener.Addr().String()
			}
			address := &url.URL{Scheme: scheme, Host: faultyHost(i), Path: "/tickets/new"}
			cookies := site.cookies
			switch {
			case cookies == "none":
				cookies = ""
			case cookies == "" && !site.notRequired:
				cookies = granted
			}
			answers, err := check.Survey{Transport: dialing(t, to)}.Ask(context.Background(), address, cookies, site.notRequired)
			if err != nil {
				t.Fatal(err)
			}
			report := check.Judge(answers, check.Kapa)
			if got := codesOf(report, report.Findings); got != site.findings {
				t.Errorf("found %q, want %q", got, site.findings)
			}
			if got := codesOf(report, report.Notes); got != site.notes && (site.anyNotes == "" || got != site.anyNotes) {
				t.Errorf("noted %q, want %q", got, site.notes)
			}
			var text strings.Builder
			if err := report.Print(&text, false); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text.String(), "secret") {
				t.Error("a query is shown")
			}
			t.Logf("\n%s", &text)
		})
	}
}

// faultyHost gives each site a name of its own.
func faultyHost(i int) string { return fmt.Sprintf("site%d.acme.com", i) }

// tidy takes the columns out of requiredLines.
func tidy(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n") + "\n"
}

func codesOf(r *check.Report, findings []check.Finding) string {
	var codes []string
	for _, f := range findings {
		code := string(f.Code)
		if f.Code == "tag_missing" {
			code += ":" + string(r.Tag.Reason)
		}
		codes = append(codes, code)
	}
	return strings.Join(codes, " ")
}

// dialing is a transport that connects to address for every host. A request with
// X-Test-From comes from 127.0.0.2, which Caddy trusts.
func dialing(t *testing.T, address string) http.RoundTripper {
	base := func(from string) *http.Transport {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, address)
			},
		}
		t.Cleanup(transport.CloseIdleConnections)
		return transport
	}
	usual, trusted := base("127.0.0.1"), base("127.0.0.2")
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("X-Test-From") != "" {
			r.Header.Del("X-Test-From")
			return trusted.RoundTrip(r)
		}
		return usual.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
