package kapadeflector

import (
	"crypto/tls"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
)

const (
	idA = "6f1c7b6e-1d1a-4f6e-9a53-0d6c6a4f2b11"
	idB = "0b7f4c0a-7b1e-4a0c-8a3f-5f6a1f0c9d22"
)

// When the id is set, kept and deleted. In an expectation, "new" is a fresh id.
func TestIDCookie(t *testing.T) {
	const attrs = "; SameSite=Lax"
	set := func(id, domain string) string {
		return "kapa_web_id=" + id + "; Path=/" + domain + "; Max-Age=34473600" + attrs
	}
	drop := func(domain string) string {
		return "kapa_web_id=; Path=/" + domain + "; Max-Age=0" + attrs
	}
	const acme = "; Domain=acme.com"

	for _, tc := range []struct {
		name   string
		lines  string // of the directive, beside consentLine
		fields []string
		next   func(http.ResponseWriter, *http.Request) error // default pageHandler
		method string                                         // default GET
		want   []string
	}{
		{name: "minted", fields: []string{"Cookie: " + granted}, want: []string{set("new", acme)}},
		{name: "minted on a POST that shows the form again", method: "POST", fields: []string{"Cookie: " + granted},
			next: answer(422, "text/html", samplePage), want: []string{set("new", acme)}},
		{name: "minted on an error page of the origin", fields: []string{"Cookie: " + granted},
			next: answer(404, "text/html", samplePage), want: []string{set("new", acme)}},
		{name: "unknown: none", fields: []string{"Cookie: " + unknown}},
		{name: "no cookies at all: none"},
		{name: "denied without an id: nothing to delete", fields: []string{"Cookie: " + denied}},
		{name: "HEAD: none", method: "HEAD", fields: []string{"Cookie: " + granted}},
		{name: "not HTML: none", fields: []string{"Cookie: " + granted}, next: answer(200, "application/json", "{}")},
		{name: "redirect: none", fields: []string{"Cookie: " + granted}, next: answer(302, "text/html", "")},
		{name: "fragment: none", fields: []string{"Cookie: " + granted, "Hx-Request: true"}},
		{name: "no anchor: none", fields: []string{"Cookie: " + granted}, next: answer(200, "text/html", "<!doctype html><title>")},
		{name: "a page that has the deflector: none", fields: []string{"Cookie: " + granted}, next: answer(200, "text/html", taggedPage)},
		{name: "incomplete tag: none", lines: "data-x {http.request.header.X}", fields: []string{"Cookie: " + granted, "X: " + strings.Repeat("x", maxInsertion)}},
		{name: "pages: another page", lines: "pages /tickets/*", fields: []string{"Cookie: " + granted}},

		{name: "adopted", fields: []string{"Cookie: " + granted + "; kapa_web_id=" + idA}},
		{name: "adopted in upper case", fields: []string{"Cookie: " + granted + "; kapa_web_id=" + strings.ToUpper(idA)}},
		{name: "adopted in another version", fields: []string{"Cookie: " + granted + "; kapa_web_id=018f4c6e-1d1a-7f6e-9a53-0d6c6a4f2b11"}},
		{name: "the same id twice is one", fields: []string{"Cookie: " + granted + "; kapa_web_id=" + idA + "; kapa_web_id=" + idA}},
		{name: "unknown: an id is left alone", fields: []string{"Cookie: kapa_web_id=" + idA}},

		{name: "twin healed", fields: []string{"Cookie: " + granted + "; kapa_web_id=" + idA + "; kapa_web_id=" + idB},
			want: []string{drop(""), set(idA, acme)}},
		{name: "twin healed, over two lines", fields: []string{"Cookie: " + granted + "; kapa_web_id=" + idA, "Cookie: kapa_web_id=" + idB},
			want: []string{drop(""), set(idA, acme)}},
		{name: "a valid and an empty one", fields: []string{"Cookie: " + granted + "; kapa_web_id=; kapa_web_id=" + idB},
			want: []string{drop(""), set(idB, acme)}},
		{name: "twins with domain host are left alone", lines: "cookie {\n domain host\n}",
			fields: []string{"Cookie: " + granted + "; kapa_web_id=" + idA + "; kapa_web_id=" + idB}},

		{name: "empty: replaced", fields: []string{"Cookie: " + granted + "; kapa_web_id="}, want: []string{set("new", acme)}},
		{name: "malformed: replaced", fields: []string{"Cookie: " + granted + "; kapa_web_id=x"}, want: []string{set("new", acme)}},
		{name: "nil UUID: replaced", fields: []string{"Cookie: " + granted + "; kapa_web_id=" + uuid.Nil.String()}, want: []string{set("new", acme)}},
		{name: "a UUID in braces: replaced", fields: []string{"Cookie: " + granted + "; kapa_web_id={" + idA + "}"}, want: []string{set("new", acme)}},
		{name: "a UUID without hyphens: replaced", fields: []string{"Cookie: " + granted + "; kapa_web_id=" + strings.ReplaceAll(idA, "-", "")}, want: []string{set("new", acme)}},
		{name: "markup for an id: replaced", fields: []string{"Cookie: " + granted + `; kapa_web_id="><script>alert(1)</script>`}, want: []string{set("new", acme)}},
		{name: "another cookie of a like name", fields: []string{"Cookie: " + granted + "; KAPA_WEB_ID=" + idA + "; xkapa_web_id=" + idA}, want: []string{set("new", acme)}},

		{name: "cross-site: not minted", fields: []string{"Cookie: " + granted, "Sec-Fetch-Site: cross-site"}},
		{name: "cross-site: a malformed one is left", fields: []string{"Cookie: " + granted + "; kapa_web_id=x", "Sec-Fetch-Site: cross-site"}},
		{name: "same-site: minted", fields: []string{"Cookie: " + granted, "Sec-Fetch-Site: same-site"}, want: []string{set("new", acme)}},
		{name: "prefetch: not minted", fields: []string{"Cookie: " + granted, "Sec-Purpose: prefetch"}},
		{name: "prerender: not minted", fields: []string{"Cookie: " + granted, "Sec-Purpose: prefetch;prerender"}},

		{name: "denied: deleted in both forms", fields: []string{"Cookie: " + denied + "; kapa_web_id=" + idA}, want: []string{drop(acme), drop("")}},
		{name: "denied: deleted under a host with an underscore", fields: []string{"Host: my_help.acme.com", "Cookie: " + denied + "; kapa_web_id=" + idA}, want: []string{drop(acme), drop("")}},
		{name: "denied: deleted under a host with a trailing dot", fields: []string{"Host: support.acme.com.", "Cookie: " + denied + "; kapa_web_id=" + idA}, want: []string{drop("")}},
		{name: "denied: deleted under a domain with an underscore", fields: []string{"Host: my_app.github.io", "Cookie: " + denied + "; kapa_web_id=" + idA}, want: []string{drop("; Domain=my_app.github.io"), drop("")}},
		{name: "adopted under a host with a trailing dot", fields: []string{"Host: support.acme.com.", "Cookie: " + granted + "; kapa_web_id=" + idA}},
		{name: "denied: a malformed one too", fields: []string{"Cookie: " + denied + "; kapa_web_id="}, want: []string{drop(acme), drop("")}},
		{name: "denied: cross-site too", fields: []string{"Cookie: " + denied + "; kapa_web_id=" + idA, "Sec-Fetch-Site: cross-site"}, want: []string{drop(acme), drop("")}},
		{name: "denied: on another page too", lines: "pages /tickets/*", fields: []string{"Cookie: " + denied + "; kapa_web_id=" + idA}, want: []string{drop(acme), drop("")}},
		{name: "denied: 304", fields: []string{"Cookie: " + denied + "; kapa_web_id=" + idA}, next: answer(304, "", ""), want: []string{drop(acme), drop("")}},
		{name: "denied: 302", fields: []string{"Cookie: " + denied + "; kapa_web_id=" + idA}, next: answer(302, "", ""), want: []string{drop(acme), drop("")}},
		{name: "denied: 500", fields: []string{"Cookie: " + denied + "; kapa_web_id=" + idA}, next: answer(500, "text/plain", "oops"), want: []string{drop(acme), drop("")}},
		{name: "denied: 204", fields: []string{"Cookie: " + denied + "; kapa_web_id=" + idA}, next: answer(204, "", ""), want: []string{drop(acme), drop("")}},
		{name: "denied: not for a script's own request", fields: []string{"Cookie: " + denied + "; kapa_web_id=" + idA, "X-Requested-With: XMLHttpRequest"}},
		{name: "denied: cookie off too", lines: "cookie off", fields: []string{"Cookie: " + denied + "; kapa_web_id=" + idA}, want: []string{drop(acme), drop("")}},
		{name: "denied: untracked too", lines: "without_consent untracked", fields: []string{"Cookie: " + denied + "; kapa_web_id=" + idA}, want: []string{drop(acme), drop("")}},
		{name: "denied: where Kapa's script wrote it as well as where we did", lines: "cookie {\n domain support.acme.com\n}",
			fields: []string{"Host: support.acme.com", "Cookie: " + denied + "; kapa_web_id=" + idA},
			want:   []string{drop(acme), drop("; Domain=support.acme.com"), drop("")}},

		{name: "renew: the same value again", lines: "cookie {\n renew\n}", fields: []string{"Cookie: " + granted + "; kapa_web_id=" + idA}, want: []string{set(idA, acme)}},
		{name: "renew: minted where there is none", lines: "cookie {\n renew\n}", fields: []string{"Cookie: " + granted}, want: []string{set("new", acme)}},
		{name: "renew: a twin is healed once", lines: "cookie {\n renew\n}", fields: []string{"Cookie: " + granted + "; kapa_web_id=" + idA + "; kapa_web_id=x"},
			want: []string{drop(""), set(idA, acme)}},
		{name: "renew: not from another site", lines: "cookie {\n renew\n}", fields: []string{"Cookie: " + granted + "; kapa_web_id=" + idA, "Sec-Fetch-Site: cross-site"}},

		{name: "off: none", lines: "cookie off", fields: []string{"Cookie: " + granted}},
		{name: "tracking off in the tag: none", lines: kapa.CookieTracking + " false", fields: []string{"Cookie: " + granted}},
		{name: "tracking on in the tag", lines: kapa.CookieTracking + " true", fields: []string{"Cookie: " + granted}, want: []string{set("new", acme)}},
		{name: "tracking off for this request: none", lines: kapa.CookieTracking + " {http.request.header.X-T}", fields: []string{"Cookie: " + granted, "X-T: false"}},
		{name: "tracking on for this request", lines: kapa.CookieTracking + " {http.request.header.X-T}", fields: []string{"Cookie: " + granted, "X-T: true"}, want: []string{set("new", acme)}},
		{name: "tracking in doubt: none", lines: kapa.CookieTracking + " {http.request.header.X-T}", fields: []string{"Cookie: " + granted}},
		{name: "fingerprint on: none", lines: kapa.FingerprintTracking + " true", fields: []string{"Cookie: " + granted}},
		{name: "fingerprint off", lines: kapa.FingerprintTracking + " false", fields: []string{"Cookie: " + granted}, want: []string{set("new", acme)}},
		{name: "untracked: none", lines: "without_consent untracked", fields: []string{"Cookie: " + unknown}},

		{name: "the origin's own is respected", fields: []string{"Cookie: " + granted}, next: func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Add("Set-Cookie", "session=1")
			w.Header().Add("Set-Cookie", "kapa_web_id="+idB+"; Path=/")
			return pageHandler(w, r)
		}, want: []string{"kapa_web_id=" + idB + "; Path=/"}},

		{name: "max_age and same_site", lines: "cookie {\n max_age 395d\n same_site strict\n}", fields: []string{"Cookie: " + granted},
			want: []string{"kapa_web_id=new; Path=/" + acme + "; Max-Age=34128000; SameSite=Strict"}},
		{name: "same_site none needs HTTPS", lines: "cookie {\n same_site none\n}", fields: []string{"Cookie: " + granted}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHandler(t, consentLine+tc.lines)
			next, method := tc.next, tc.method
			if next == nil {
				next = pageHandler
			}
			if method == "" {
				method = "GET"
			}
			r := newRequest(t, method, "/", append([]string{"Host: support.acme.com"}, tc.fields...)...)
			resp := serve(t, h, r, next)
			got := freshAsNew(idLines(resp), r)
			if !slices.Equal(got, tc.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
			ours := slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, "Max-Age") })
			if cc := resp.Header.Get("Cache-Control"); ours && cc != "private, no-cache" {
				t.Errorf("an answer with an id, or without one, has Cache-Control %q", cc)
			}
		})
	}
}

var lowerCaseV4 = regexp.MustCompile(`^kapa_web_id=[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12};`)

// freshAsNew replaces ids that the request did not bring by "new".
func freshAsNew(lines []string, r *http.Request) []string {
	for i, line := range lines {
		id, _, _ := strings.Cut(strings.TrimPrefix(line, kapa.IDCookie+"="), ";")
		if lowerCaseV4.MatchString(line) && id != idB && !strings.Contains(strings.Join(r.Header["Cookie"], ";"), id) {
			lines[i] = strings.Replace(line, id, "new", 1)
		}
	}
	return lines
}

// answer is an origin's response, without a length.
func answer(status int, contentType, body string) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, _ *http.Request) error {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		if body != "" {
			_, err := w.Write([]byte(body))
			return err
		}
		return nil
	}
}

// Which Domain the id gets, by the host that the visitor asked for.
func TestIDCookieDomain(t *testing.T) {
	const none = "no cookie"
	labels := func(n int) string { return strings.Repeat("a.", n-1) + "com" }
	for _, tc := range []struct{ name, domain, host, want string }{
		{"subdomain", "", "support.acme.com", "acme.com"},
		{"the domain itself", "", "acme.com", "acme.com"},
		{"deep", "", "a.b.support.acme.co.uk", "acme.co.uk"},
		{"upper case", "", "Support.ACME.com", "acme.com"},
		{"trailing dot", "", "support.acme.com.", ""},
		{"trailing dot, and a domain that covers the host", "acme.com", "support.acme.com.", ""},
		{"trailing dot, and a domain that does not", "acme.com", "support.acme.org.", none},
		{"trailing dot, domain host", "host", "support.acme.com.", ""},
		{"two trailing dots", "", "support.acme.com..", none},
		{"trailing dot behind a single label", "", "localhost.", ""},
		{"trailing dot behind an address", "", "192.0.2.7.", ""},
		{"underscore", "", "my_help.acme.com", "acme.com"},
		{"underscore in front", "", "_help.acme.com:8443", "acme.com"},
		{"underscore in the registrable domain", "", "my_app.github.io", "my_app.github.io"},
		{"underscore in the configured domain", "my_help.acme.com", "eu.my_help.acme.com", "my_help.acme.com"},
		{"IPv6 with a zone", "", "[fe80::1%25eth0]:8080", ""},
		{"IPv6 with a zone that is called like a domain", "acme.com", "[fe80::1%25x.acme.com]", none},
		{"override in another case", "acme.com", "Support.Acme.COM", "acme.com"},
		{"253 characters", "", strings.Repeat("a.", 123) + "acme.cm", "acme.cm"},
		{"254 characters", "", strings.Repeat("a.", 123) + "acme.com", none},
		{"port", "", "support.acme.com:8443", "acme.com"},
		{"dot and port", "", "support.acme.com.:8443", ""},
		{"punycode", "", "hilfe.xn--mller-kva.de", "xn--mller-kva.de"},
		{"under a private suffix", "", "acme.github.io", "acme.github.io"},
		{"below a private suffix", "", "support.acme.github.io", "acme.github.io"},
		{"a public suffix itself", "", "github.io", ""},
		{"another public suffix itself", "", "co.uk", ""},
		{"under localhost", "", "support.acme.localhost:8080", "acme.localhost"},
		{"an intranet's own top-level domain", "", "help.acme.intranet", "acme.intranet"},
		{"localhost", "", "localhost:8080", ""},
		{"single label", "", "helpdesk", ""},
		{"IPv4", "", "192.0.2.7", ""},
		{"IPv4 and port", "", "192.0.2.7:8080", ""},
		{"IPv6", "", "[2001:db8::1]", ""},
		{"IPv6 and port", "", "[2001:db8::1]:8080", ""},
		{"IPv6 without brackets", "", "2001:db8::1", ""},
		{"IPv6, all of it zeros", "", "::", ""},
		{"IPv6 that begins with a letter", "", "fe80::1", ""},
		{"IPv6 with an IPv4 in it", "", "[::ffff:192.0.2.7]:443", ""},
		{"a name that begins with a digit", "", "1password.com:443", "1password.com"},
		{"a number at the end", "", "127.1", ""},

		{"domain host", "host", "support.acme.com", ""},
		{"override", "acme.com", "support.acme.com", "acme.com"},
		{"override, the domain itself", "acme.com", "acme.com", "acme.com"},
		{"override, narrower", "support.acme.com", "eu.support.acme.com", "support.acme.com"},
		{"override that does not cover the host", "acme.com", "support.acme.org", none},
		{"override that is only a suffix of the name", "acme.com", "support-acme.com", none},
		{"override that is narrower than the host", "support.acme.com", "acme.com", none},
		{"override and an address", "acme.com", "192.0.2.7", none},

		{"hostile: empty label", "", "a..b", none},
		{"hostile: leading dot", "", ".acme.com", none},
		{"hostile: an attribute", "", "a;b.example.com", none},
		{"hostile: an attribute and an equals sign", "", "a.com;Domain=com", none},
		{"hostile: white space", "", "a b.com", none},
		{"hostile: line break", "", "a.com\r\nSet-Cookie: x=1", none},
		{"hostile: non-ASCII", "", "müller.de", none},
		{"hostile: 300 labels", "", labels(300), none},
		{"hostile: long label", "", strings.Repeat("a", 64) + ".com", none},
		{"hostile: nothing", "", "", none},
		{"hostile: only dots", "", "..", none},
		{"hostile: only a port", "", ":80", none},
		{"hostile: broken IPv6", "", "[2001:db8", none},
		{"long but allowed", "", labels(126), "a.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines := consentLine
			if tc.domain != "" {
				lines += "cookie {\n domain " + tc.domain + "\n}"
			}
			r := newRequest(t, "GET", "/", "Host: "+tc.host, "Cookie: "+granted)
			resp := serve(t, newHandler(t, lines), r, pageHandler)
			got := none
			for _, c := range resp.Cookies() {
				if c.Name == kapa.IDCookie {
					got = c.Domain
				}
			}
			if got != tc.want || len(idLines(resp)) > 1 {
				t.Errorf("host %q: got domain %q (%q), want %q", tc.host, got, idLines(resp), tc.want)
			}
			if body := bodyOf(t, resp); body != taggedPage {
				t.Errorf("the tag does not depend on the host, got %s", body)
			}
		})
	}
}

// Secure and the host behind proxies.
func TestIDCookieBehindProxies(t *testing.T) {
	for _, tc := range []struct {
		name    string
		tls     bool
		trusted bool
		fields  []string
		secure  bool
		domain  string
	}{
		{"HTTP", false, false, nil, false, "acme.com"},
		{"HTTPS", true, false, nil, true, "acme.com"},
		{"HTTPS ended by a trusted proxy", false, true, []string{"X-Forwarded-Proto: https"}, true, "acme.com"},
		{"HTTP ended by a trusted proxy that speaks HTTPS to us", true, true, []string{"X-Forwarded-Proto: http"}, false, "acme.com"},
		{"a trusted proxy that says nothing", true, true, nil, true, "acme.com"},
		{"an untrusted client's word counts for nothing", false, false, []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: help.evil.org"}, false, "acme.com"},
		{"a trusted proxy's host", false, true, []string{"X-Forwarded-Host: help.brand.org"}, false, "brand.org"},
		{"a trusted proxy's host with port", false, true, []string{"X-Forwarded-Host: help.brand.org:443"}, false, "brand.org"},
		{"two proxies' lists", false, true, []string{"X-Forwarded-Host: help.brand.org, lb.internal", "X-Forwarded-Proto: https, http"}, true, "brand.org"},
		{"an empty host field", false, true, []string{"X-Forwarded-Host: "}, false, "acme.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRequest(t, "GET", "/", append([]string{"Host: support.acme.com", "Cookie: " + granted}, tc.fields...)...)
			if tc.tls {
				r.TLS = new(tls.ConnectionState)
			}
			if tc.trusted {
				trustProxy(r)
			}
			cookies := serve(t, newHandler(t, consentLine), r, pageHandler).Cookies()
			if len(cookies) != 1 {
				t.Fatalf("cookies: %v", cookies)
			}
			c := cookies[0]
			if c.Secure != tc.secure || c.Domain != tc.domain || c.HttpOnly {
				t.Errorf("got %s, want secure %v and domain %s", c, tc.secure, tc.domain)
			}
		})
	}

	t.Run("same_site none over HTTPS", func(t *testing.T) {
		r := newRequest(t, "GET", "/", "Host: support.acme.com", "Cookie: "+granted)
		r.TLS = new(tls.ConnectionState)
		lines := idLines(serve(t, newHandler(t, consentLine+"cookie {\n same_site none\n}"), r, pageHandler))
		if len(lines) != 1 || !strings.HasSuffix(lines[0], "; Secure; SameSite=None") {
			t.Errorf("got %q", lines)
		}
	})
}

// Ids are not handed out twice.
func TestIDsDiffer(t *testing.T) {
	h := newHandler(t, consentLine)
	seen := make(map[string]bool)
	for range 100 {
		for _, line := range idLines(serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), pageHandler)) {
			seen[line] = true
		}
	}
	if len(seen) != 100 {
		t.Errorf("100 visitors got %d ids", len(seen))
	}
}

// For any request, Set-Cookie lines are well formed, a new id holds nothing that the
// visitor sent, and nothing panics.
func FuzzIDCookie(f *testing.F) {
	f.Add("support.acme.com", granted+"; kapa_web_id="+idA, "help.brand.org")
	f.Add("a;b.example.com", "kapa_web_id=;;=;"+granted, "[::1]:80")
	f.Add("a..b", denied+"; kapa_web_id=\r\nx", "x\x00y")
	h := newHandler(f, consentLine)
	valid := regexp.MustCompile(`^kapa_web_id=(|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}); Path=/(; Domain=[a-z0-9._-]+)?; Max-Age=(0|34473600); SameSite=Lax$`)
	f.Fuzz(func(t *testing.T, host, cookies, forwarded string) {
		for _, trusted := range []bool{false, true} {
			r := newRequest(t, "GET", "/")
			r.Host = host
			r.Header["Cookie"] = []string{cookies}
			r.Header["X-Forwarded-Host"] = []string{forwarded}
			if trusted {
				trustProxy(r)
			}
			for _, line := range serve(t, h, r, pageHandler).Header["Set-Cookie"] {
				if !valid.MatchString(line) {
					t.Errorf("host %q, cookies %q, forwarded %q: %q", host, cookies, forwarded, line)
				}
			}
		}
	})
}
