package check

import (
	"net/http"
	"strings"
	"testing"
)

func TestNothingIsFoundOnASoundSite(t *testing.T) {
	planted{fault: "none", plant: func(*Site) {}}.run(t)
	r := Judge(*sound(), product)
	if !r.Tag.Present || r.Tag.Place != "head" || r.Tag.Line != 6 || r.Tag.Offset != len(theHead) || r.Tag.Source != script {
		t.Errorf("tag: %+v", r.Tag)
	}
	if len(r.Attributes) != 6 || len(r.Selectors) != 4 || r.Selectors[0].First != `<textarea id="description">` || r.Selectors[2].Matches != 1 {
		t.Errorf("attributes %v, selectors %v", r.Attributes, r.Selectors)
	}
	if want := (IDCookie{Set: true, Kept: true, Domain: "acme.com", Path: "/", MaxAge: 34473600, Secure: true, SameSite: "Lax", Valid: true}); r.IDCookie != want {
		t.Errorf("id: %+v", r.IDCookie)
	}
	if r.Caching.Revalidation != 304 || !r.Caching.ETag || r.CSP.Present {
		t.Errorf("caching %+v, CSP %+v", r.Caching, r.CSP)
	}
}

// Why there is no tag.
func TestReasonsForAMissingTag(t *testing.T) {
	status := func(code int, fields ...string) func(*Site) {
		return func(s *Site) {
			untagged(plainPage, fields...)(s)
			s.With.Status, s.Without.Status = code, code
			if len(fields) == 0 {
				s.With.Header.Del("Vary") // the directive did not run
			}
		}
	}
	without := func(plant func(*Site), field string) func(*Site) {
		return func(s *Site) { plant(s); s.With.Header.Del(field); s.Without.Header.Del(field) }
	}
	for _, p := range []planted{
		{"plain text", without(untagged(plainPage, "Content-Type: text/plain"), "Vary"), "tag_missing:not_html", ""},
		{"XHTML", without(untagged(plainPage, "Content-Type: application/xhtml+xml"), "Vary"), "tag_missing:not_html", ""},
		{"no Content-Type", without(untagged(plainPage), "Content-Type"), "tag_missing:not_html", ""},
		{"an empty page", untagged(""), "tag_missing:empty", ""},
		{"a host that no site block is for", func(s *Site) {
			untagged("")(s)
			s.With.Header, s.Without.Header = http.Header{}, http.Header{}
		}, "tag_missing:empty", ""},
		{"no-transform", untagged(plainPage, "Cache-Control: public, no-transform"), "tag_missing:no_transform", ""},
		{"a signed response", untagged(plainPage, "Signature-Input: sig=()"), "tag_missing:no_transform", ""},
		{"brotli", untagged("\x1b\x9c", "Content-Encoding: br"), "tag_missing:encoded", ""},
		{"a download", untagged(plainPage, `Content-Disposition: attachment; filename="a.html"`), "tag_missing:attachment", ""},
		{"UTF-16", untagged("\xff\xfe<\x00h\x00", "Content-Type: text/html; charset=UTF-16"), "tag_missing:charset", ""},
		{"UTF-16 by its mark", without(untagged("\xff\xfe<\x00h\x00"), "Content-Type"), "tag_missing:not_html", ""},
		{"AMP", untagged("<!doctype html><html amp><head></head><body>" + theForm), "tag_missing:amp", ""},
		{"a title that is not closed", untagged("<!doctype html><title>Open a ticket<p>" + theForm), "tag_missing:no_anchor", ""},
		{"401", status(401), "tag_missing:login", ""},
		{"403 of a bot protection", status(403, "Cf-Mitigated: challenge"), "tag_missing:challenge", ""},
		{"404 of another site block", status(404), "tag_missing:status", ""},
		{"502 of an upstream that is gone", status(502), "tag_missing:status", ""},
		{"206", status(206), "tag_missing:status", ""},
		{"a redirect to another site", status(302, "Location: https://login.example.com/?token=secret"), "tag_missing:redirect", ""},
		{"a policy that allows no script without integrity", untagged(plainPage, "Integrity-Policy: blocked-destinations=(script)"), "tag_missing:csp_blocked", ""},
		{"a policy that allows no other site's scripts", untagged(plainPage, "Content-Security-Policy: script-src 'self'"), "tag_missing:csp_blocked", ""},
		{"the same in a meta element", untagged(strings.Replace(plainPage, "<title>", `<meta http-equiv=Content-Security-Policy content="script-src &#39;self&#39;"><title>`, 1)), "tag_missing:csp_blocked", ""},
		{"a cache that does not heed Vary", func(s *Site) {
			s.WithAfresh = s.With
			untagged(plainPage, "Cf-Cache-Status: HIT")(s)
		}, "tag_missing:cached", ""},
		{"a cache, somewhere", untagged(plainPage, "Cf-Cache-Status: HIT"), "tag_missing:no_consent", "cache_seen"},
		{"a cache, and an error at the other address", func(s *Site) {
			s.WithAfresh = answerOf(taggedPage)
			s.WithAfresh.Status = 404
			untagged(plainPage, "Cf-Cache-Status: HIT")(s)
		}, "tag_missing:no_consent", "cache_seen"},
		{"an address that is not in pages", without(untagged(plainPage), "Vary"), "tag_missing:not_covered", ""},
		{"a frameset", without(untagged("<!doctype html><head></head><frameset><frame src=/form></frameset>"), "Vary"), "tag_missing:not_covered", ""},
		{"another value than the one that means yes", untagged(plainPage), "tag_missing:no_consent", ""},
		{"a login page", untagged("<!doctype html><head></head><form><input type=password></form>"), "tag_missing:login", ""},
		{"another value, and a login in the page's header", untagged(strings.Replace(plainPage, "<form", "<form><input type=password></form><form", 1)), "tag_missing:no_consent", ""},
		{"a login page by its address", func(s *Site) {
			untagged(plainPage)(s)
			s.With.URL, s.With.Redirects = "https://support.acme.com/users/sign_in", 1
		}, "tag_missing:login", ""},
		{"a page nested too deep", untagged(plainPage + strings.Repeat("<div>", 600)), "page_unreadable", ""},
	} {
		p.run(t)
	}
}

func TestWithoutCookies(t *testing.T) {
	only := func(a *Response) func(*Site) {
		return func(s *Site) { *s = Site{URL: s.URL, Without: a} }
	}
	notRequired := func(a *Response) func(*Site) {
		return func(s *Site) { *s = Site{URL: s.URL, NotRequired: true, With: a, Again: s.Again} }
	}
	private := []string{"Cache-Control: private, no-cache", `Etag: "v1-kapa-0"`, "Set-Cookie: " + theCookie}
	untracked := strings.Replace(taggedPage, "<script async", `<script async data-user-analytics-cookie-enabled="false"`, 1)
	bare := answerOf(plainPage)
	bare.Header.Del("Vary")
	for _, p := range []planted{
		{"no cookie was given", only(answerOf(plainPage)), "", "no_cookie"},
		{"no cookie was given, and the page could not get the tag", only(answerOf(plainPage, "Cache-Control: no-transform")), "tag_missing:no_transform", ""},
		{"no cookie was given, and the directive does not run", only(bare), "tag_missing:not_covered", ""},
		{"the tag comes without consent", only(answerOf(taggedPage, private...)), "tag_without_consent id_without_consent", "no_cookie"},
		{"the untracked tag comes without consent", only(answerOf(untracked)), "", "no_cookie untracked_tag"},
		{"consent is not required", notRequired(answerOf(taggedPage, private...)), "", ""},
		{"consent is not required, nor tracking", notRequired(answerOf(untracked, "Cache-Control: public, max-age=60")), "", ""},
		{"consent is not required, and the directive wants it", notRequired(answerOf(plainPage)), "tag_missing:no_consent", ""},
		{"consent is not required, and the page is public", notRequired(answerOf(taggedPage, "Cache-Control: public")), "id_missing cache_control", ""},
	} {
		p.run(t)
	}
}

func TestWhatVisitorsWithoutConsentGet(t *testing.T) {
	untracked := strings.Replace(taggedPage, "<script async", `<script async data-user-analytics-cookie-enabled="false"`, 1)
	for _, p := range []planted{
		{"the tag in the page's template", func(s *Site) { s.With = answerOf(taggedPage); s.Without = s.With }, "tag_without_consent", ""},
		{"the tag out of a cache", func(s *Site) {
			s.WithoutAfresh, s.Without.Body = answerOf(plainPage), s.With.Body
			s.Without.Header.Set("Age", "12")
		}, "tag_without_consent", ""},
		{"the tag out of a cache, somewhere", func(s *Site) { s.Without.Body = s.With.Body; s.Without.Header.Set("Age", "12") }, "tag_without_consent", "cache_seen"},
		{"an id", func(s *Site) { s.Without.Header.Set("Set-Cookie", theCookie) }, "id_without_consent", ""},
		{"a login, as cookies are missing", func(s *Site) {
			s.Without = answerOf(plainPage, "Vary: Accept-Encoding", `Etag: "v1-kapa-0123456789abcdef"`)
			s.Without.URL, s.Without.Redirects = "https://support.acme.com/login", 1
		}, "", "other_page"},
		{"401, as cookies are missing", func(s *Site) { s.Without = answerOf("", "Vary: Accept-Encoding"); s.Without.Status = 401 }, "", "other_page"},
		{"an id is deleted", func(s *Site) { s.Without.Header.Set("Set-Cookie", "kapa_web_id=; Max-Age=0") }, "", ""},
		{"without_consent untracked", func(s *Site) { s.Without.Body = []byte(untracked) }, "", "untracked_tag"},
		{"without_consent untracked, and a consent that is not understood", func(s *Site) {
			s.Without.Body, s.With.Body, s.Again = []byte(untracked), []byte(untracked), nil
			s.With.Header.Del("Set-Cookie")
		}, "consent_not_recognised", ""},
	} {
		p.run(t)
	}
}

func TestTags(t *testing.T) {
	for _, p := range []planted{
		{"a second tag in the body", replace(theEnd, theTag+theEnd), "tag_twice", ""},
		{"a tag in the body alone", replace(theTag+"</head><body>"+theForm, "</head><body>"+theForm+theTag), "", "tag_in_body"},
		{"a tag in a template is none", replace(theEnd, "<template>"+theTag+"</template>"+theEnd), "", ""},
		{"a tag in a comment is none", replace(theEnd, "<!--"+theTag+"-->"+theEnd), "", ""},
		{"another file name", replace(file, "kapa.js"), "script_file", ""},
		{"a release of Kapa's", replace(file, "kapa-support-form-deflector-v1.2.3.bundle.js"), "", ""},
		{"a path, and a base on another host", replace(theTag, "<base href=//cdn.example/>"+strings.Replace(theTag, script, "/"+file, 1)), "script_base", ""},
		{"a path, and a base on the site itself", replace(theTag, "<base href=/a/><base href=//cdn.example/>"+strings.Replace(theTag, script, "/"+file, 1)), "", ""},
		{"a path, and a base behind it", replace(theTag, strings.Replace(theTag, script, "/"+file, 1)+"<base href=//cdn.example/>"), "", ""},
		{"an address, and a base on another host", replace(theTag, "<base href=//cdn.example/>"+theTag), "", ""},
		{"no src", replace(`src="`+script+`"`, ""), "script_source", ""},
		{"a script over http", replace(script, "http://cdn.acme.com/"+file), "script_mixed_content", ""},
		{"Rocket Loader", replace("<script async", `<script async type="4f1b-text/javascript"`), "script_type", ""},
		{"a frameset", replace("<body>"+theForm+theEnd, "<frameset><frame src=/form></frameset>"), "frameset",
			"selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script"},
		{"a required attribute is missing", replace(` data-integration-id="abc"`, ""), "attribute_missing", ""},
		{"a required attribute is blank", replace(`data-integration-id="abc"`, `data-integration-id=" "`), "attribute_missing", ""},
		{"a placeholder that nobody filled in", replace(`data-integration-id="abc"`, `data-integration-id="{env.KAPA_ID}"`), "attribute_placeholder", ""},
		{"an event in the wrong case", replace("onSubmit", "onsubmit"), "attribute_value", ""},
		{"an attribute of the website widget", replace("<script async", `<script async data-website-id="x"`), "", "attribute_name"},
		{"a login page", replace(theForm, "<form><input type=password></form>"), "login", ""},
		{"a page that says 404", func(s *Site) {
			s.With.Status, s.Without.Status = 404, 404
			replace(theForm, "<p>There is no such page.</p>")(s)
		}, "error_page", ""},
		{"a page that says 503", func(s *Site) { s.With.Status, s.Without.Status = 503, 503 }, "error_page", ""},
		{"status 422", func(s *Site) { s.With.Status, s.Without.Status = 422, 422 }, "", "status"},
		{"a page that is longer than was read", func(s *Site) { s.With.Cut = true }, "", "page_cut"},
	} {
		p.run(t)
	}
}

func TestIDCookies(t *testing.T) {
	on := func(address string, plant func(*Site)) func(*Site) {
		return func(s *Site) {
			plant(s)
			for _, a := range []*Response{s.With, s.Without} {
				a.URL = address
			}
		}
	}
	for _, p := range []planted{
		{"none", header("Set-Cookie", ""), "id_missing", ""},
		{"none, and the visitor has one", func(s *Site) { s.With.Header.Del("Set-Cookie"); s.Cookies = append(s.Cookies, "kapa_web_id") }, "", ""},
		{"none, and the tag wants none", func(s *Site) {
			s.With.Header.Del("Set-Cookie")
			replace("<script async", `<script async data-user-analytics-cookie-enabled="false"`)(s)
		}, "", ""},
		{"none, and the tag goes by a fingerprint", func(s *Site) {
			s.With.Header.Del("Set-Cookie")
			replace("<script async", `<script async data-user-analytics-fingerprint-enabled="true"`)(s)
		}, "", ""},
		{"a deletion", header("Set-Cookie", "kapa_web_id=; Max-Age=0; Domain=acme.com"), "id_deleted", ""},
		{"a deletion by date", header("Set-Cookie", "kapa_web_id=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), "id_deleted", ""},
		{"a twin is deleted", func(s *Site) { s.With.Header.Add("Set-Cookie", "kapa_web_id=; Max-Age=0; Path=/") }, "", ""},
		{"two", func(s *Site) { s.With.Header.Add("Set-Cookie", "kapa_web_id="+anID+"; Path=/; Max-Age=60; Secure") }, "id_twice", ""},
		{"no UUID", header("Set-Cookie", "kapa_web_id=abc; Path=/; Domain=acme.com; Max-Age=60; Secure"), "id_value", ""},
		{"an empty value", header("Set-Cookie", "kapa_web_id=; Path=/; Domain=acme.com; Max-Age=60; Secure"), "id_value", ""},
		{"HttpOnly", id("Path=/; Domain=acme.com; Max-Age=60; Secure; HttpOnly"), "id_http_only", ""},
		{"not Secure on https", id("Path=/; Domain=acme.com; Max-Age=60"), "id_not_secure", ""},
		{"Secure on http", on("http://support.acme.com/", id("Path=/; Domain=acme.com; Max-Age=60; Secure")), "id_dropped", ""},
		{"Secure on http on this machine", on("http://support.acme.localhost:8080/", id("Path=/; Domain=acme.localhost; Max-Age=60; Secure")), "", ""},
		{"SameSite=None without Secure", on("http://support.acme.com/", id("Path=/; Domain=acme.com; Max-Age=60; SameSite=None")), "id_dropped", ""},
		{"another site's domain", id("Path=/; Domain=acme.net; Max-Age=60; Secure"), "id_dropped", ""},
		{"a domain that ends alike", on("https://notacme.com/", id("Path=/; Domain=acme.com; Max-Age=60; Secure")), "id_dropped", ""},
		{"a domain below the host", id("Path=/; Domain=a.support.acme.com; Max-Age=60; Secure"), "id_dropped", ""},
		{"a public suffix", id("Path=/; Domain=com; Max-Age=60; Secure"), "id_dropped", ""},
		{"a private public suffix", on("https://acme.github.io/", id("Path=/; Domain=github.io; Max-Age=60; Secure")), "id_dropped", ""},
		{"a domain for an address", on("https://192.0.2.1/", id("Path=/; Domain=2.1; Max-Age=60; Secure")), "id_dropped", ""},
		{"a domain with a dot and in upper case", id("Path=/; Domain=.ACME.com; Max-Age=60; Secure"), "", ""},
		{"longer than browsers keep", header("Set-Cookie", "kapa_web_id="+strings.Repeat("a", 4096)+"; Path=/; Domain=acme.com; Max-Age=60; Secure"), "id_dropped id_value", ""},
		{"400 days", id("Path=/; Domain=acme.com; Max-Age=34560000; Secure"), "", ""},
		{"more than 400 days", id("Path=/; Domain=acme.com; Max-Age=34560001; Secure"), "id_max_age", ""},
		{"until the browser is closed", id("Path=/; Domain=acme.com; Secure"), "id_max_age", ""},
		{"another path", id("Path=/tickets; Domain=acme.com; Max-Age=60; Secure"), "id_path", ""},
		{"this host alone", id("Path=/; Max-Age=60; Secure"), "", "id_host_only"},
		{"this host alone, which has no others", on("http://localhost/", id("Path=/; Max-Age=60")), "", ""},
	} {
		p.run(t)
	}
}

func TestPolicies(t *testing.T) {
	const kapa = "https://widget.kapa.ai https://proxy.kapa.ai"
	csp := func(policy string) func(*Site) { return header("Content-Security-Policy", policy) }
	withUser := func(policy string) func(*Site) {
		return func(s *Site) {
			replace("<script async", `<script>window.kapaSettings={user:{}}</script><script async`)(s)
			csp(policy)(s)
		}
	}
	meta := `<meta http-equiv="content-security-policy" content="script-src 'none'">`
	for _, p := range []planted{
		{"all that is needed", csp("default-src 'none'; script-src 'self' " + kapa + "; connect-src " + kapa), "", ""},
		{"no scripts of others", csp("script-src 'self'"), "csp_script", ""},
		{"no scripts without integrity", header("Integrity-Policy", "blocked-destinations=(script)"), "csp_script", ""},
		{"the same, only reported", header("Integrity-Policy-Report-Only", "blocked-destinations=(script)"), "", ""},
		{"no connections to others", header("Connection-Allowlist", "(response-origin)"), "csp_script", ""},
		{"the hash of another address", csp("script-src https: 'url-sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"), "csp_script", ""},
		{"the script by its host, where a base moves it", func(s *Site) {
			replace(theTag, "<base href=//cdn.example/>"+strings.Replace(theTag, script, "/"+file, 1))(s)
			csp("script-src 'self'")(s)
		}, "script_base csp_script", ""},
		{"no connections to others", csp("default-src 'self'; script-src " + kapa), "csp_connection", ""},
		{"a nonce that the tag has not", csp("script-src 'nonce-abc'; connect-src *"), "csp_script", ""},
		{"a nonce that the tag has", func(s *Site) {
			replace("<script async", `<script nonce="abc" async`)(s)
			csp("script-src 'nonce-abc' 'strict-dynamic'")(s)
		}, "", ""},
		{"a nonce whose keyword is in upper case", func(s *Site) {
			replace("<script async", `<script nonce="aBc" async`)(s)
			csp("script-src 'NONCE-aBc' 'strict-dynamic'")(s)
		}, "", ""},
		{"a nonce in another case", func(s *Site) {
			replace("<script async", `<script nonce="abc" async`)(s)
			csp("script-src 'nonce-aBc' 'strict-dynamic'")(s)
		}, "csp_script", ""},
		{"the second of two nonces", func(s *Site) {
			replace("<script async", `<script nonce="b" async`)(s)
			csp("script-src 'nonce-a' 'nonce-b'")(s)
		}, "", ""},
		{"a nonce that is for styles", func(s *Site) {
			replace("<script async", `<script nonce="b" async`)(s)
			csp("script-src 'nonce-a'; style-src 'nonce-b'")(s)
		}, "csp_script", ""},
		{"the nonce of a meta element", replace("<script async",
			`<meta http-equiv="content-security-policy" content="script-src 'nonce-abc'"><script nonce="abc" async`), "", ""},
		{"what is known of the visitor, without the nonce", func(s *Site) {
			replace("<script async", `<script>window.kapaSettings={user:{}}</script><script nonce="abc" async`)(s)
			csp("script-src 'nonce-abc'")(s)
		}, "csp_user", ""},
		{"what is known of the visitor, with the nonce", func(s *Site) {
			replace("<script async", `<script nonce="abc">window.kapaSettings={user:{}}</script><script nonce="abc" async`)(s)
			csp("script-src 'nonce-abc'")(s)
		}, "", ""},
		{"a meta element ahead of the tag", replace("<script async", meta+"<script async"), "csp_script", ""},
		{"a meta element behind the tag", replace("</head>", meta+"</head>"), "", ""},
		{"a policy that only reports", header("Content-Security-Policy-Report-Only", "script-src 'none'"), "", ""},
		{"what is known of the visitor", withUser("script-src " + kapa), "csp_user", ""},
		{"what is known of the visitor, allowed", withUser("script-src 'unsafe-inline' " + kapa), "", ""},
		{"Trusted Types", csp("require-trusted-types-for 'script'"), "", "csp_trusted_types"},
	} {
		p.run(t)
	}
}

func TestCaching(t *testing.T) {
	both := func(plant func(*Response)) func(*Site) {
		return func(s *Site) { plant(s.With); plant(s.Without) }
	}
	for _, p := range []planted{
		{"no Vary", both(func(a *Response) { a.Header.Del("Vary") }), "vary_missing", ""},
		{"no Vary without consent", func(s *Site) { s.Without.Header.Del("Vary") }, "vary_missing", ""},
		{"no Vary with consent", header("Vary", "Accept-Encoding"), "vary_missing", ""},
		{"Vary in another case, in a list", header("Vary", "accept-encoding, COOKIE"), "", ""},
		{"Vary: *", header("Vary", "*"), "", ""},
		{"public", header("Cache-Control", "public, max-age=600"), "cache_control", ""},
		{"no Cache-Control", header("Cache-Control", ""), "cache_control", ""},
		{"private, and good for a while", header("Cache-Control", "private, max-age=600"), "cache_control", ""},
		{"no-store", header("Cache-Control", "no-store"), "", ""},
		{"a field for CDNs", header("CDN-Cache-Control", "max-age=600"), "cache_control", ""},
		{"a field for CDNs that forbids it", header("Surrogate-Control", "no-store"), "", ""},
		{"a 304 that makes the page public", func(s *Site) { s.Again.Header.Set("Cache-Control", "max-age=600") }, "cache_control", ""},
		{"a cache, somewhere", header("X-Cache", "TCP_HIT from edge"), "", "cache_seen"},
		{"a cache, by its age", header("Age", "3"), "", "cache_seen"},
		{"a cache, by RFC 9211", header("Cache-Status", "origin; fwd=miss, ExampleCache; ttl=30; hit"), "", "cache_seen"},
		{"a cache that asked again, by RFC 9211", header("Cache-Status", "ExampleCache; fwd=stale; stored"), "", ""},
		{"CloudFront", header("X-Cache", "RefreshHit from cloudfront"), "", "cache_seen"},
		{"Akamai", header("Server-Timing", "cdn-cache; desc=HIT, edge; dur=1"), "", "cache_seen"},
		{"the origin's own timing", header("Server-Timing", "cache; desc=HIT, cdn-cache; desc=MISS"), "", ""},
		{"past Cloudflare", header("Cf-Cache-Status", "DYNAMIC"), "", ""},
		{"past a cache", header("X-Cache", "MISS, MISS"), "", ""},
		{"the tag out of a cache, with another visitor's id", func(s *Site) {
			s.With.Header.Set("Age", "3")
			s.Again.Header.Set("Set-Cookie", theCookie)
		}, "tag_from_cache id_shared", ""},
		{"the tag out of a cache, and no tag at another address", func(s *Site) {
			s.With.Header.Set("Age", "3")
			s.WithAfresh = answerOf(plainPage)
		}, "tag_from_cache", ""},
		{"a cache, and the tag at another address, too", func(s *Site) {
			s.With.Header.Set("Age", "3")
			s.WithAfresh = answerOf(taggedPage)
		}, "", "cache_seen"},
		{"the page without the tag out of a cache", func(s *Site) { s.Without.Header.Set("X-Cache", "HIT"); s.Without.Header.Set("Age", "9") }, "", ""},
		{"the same ETag", header("Etag", `W/"v1"`), "etag_shared", ""},
		{"no ETags at all", func(s *Site) {
			both(func(a *Response) { a.Header.Del("Etag") })(s)
			s.Again, s.WithdrawnAgain, s.GrantedAgain = s.GrantedAgain, nil, nil
			s.Again.Header.Set("Set-Cookie", "kapa_web_id=1b8a2f6e-3f0c-4f5e-9a53-1c2d3e4f5a6b")
		}, "", ""},
		{"the tag stays after withdrawal", func(s *Site) { s.WithdrawnAgain.Status = http.StatusNotModified }, "tag_after_withdrawal", ""},
		{"no tag comes after consent", func(s *Site) { s.GrantedAgain.Status = http.StatusNotModified }, "no_tag_after_consent", ""},
		{"a second server that does not know the directive", func(s *Site) { s.Again = answerOf(plainPage) }, "tag_unsteady", ""},
		{"one id for two visitors", func(s *Site) { s.Again.Header.Set("Set-Cookie", theCookie) }, "id_shared", ""},
		{"an origin that compresses, without encode", func(s *Site) { s.With.Coding = "" }, "not_compressed", ""},
		{"nobody compresses", both(func(a *Response) { a.Coding = "" }), "", ""},
	} {
		p.run(t)
	}
}
