package check

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
)

// What keeps the deflector from working although the tag is there.
func TestObstacles(t *testing.T) {
	name := func(attribute, selector string, more ...func(*Site)) func(*Site) {
		return func(s *Site) {
			setAttribute(s, attribute, selector)
			for _, plant := range more {
				plant(s)
			}
		}
	}
	behind := func(html string) func(*Site) { return replace(theEnd, html+theEnd) }
	shadow := `<acme-form id="host"><template shadowrootmode="open"><div id="inner"></div></template></acme-form>`
	for _, p := range []planted{
		{"Next.js", behind("<script>self.__next_f.push([1])</script>"), "framework", ""},
		{"VitePress", replace("<title>", `<meta name="generator" content="VitePress v1.6.3"><title>`), "framework", ""},
		{"Nuxt", behind(`<div id="__nuxt"></div>`), "framework", ""},
		{"SvelteKit", behind("<script>__sveltekit_1a2b = {}</script>"), "framework", ""},
		{"React", behind(`<script>$RC("B:0","S:0")</script>`), "framework", ""},
		{"Discourse", replace("<title>", `<meta name="generator" content="Discourse 3.5.0"><title>`), "framework", ""},
		{"an island of Astro around the form", replace(theForm, "<astro-island>"+theForm+"</astro-island>"), "framework", ""},
		{"an island of Astro elsewhere", behind("<astro-island></astro-island>"), "", ""},
		{"Astro's client router", replace("<title>", `<meta name="astro-view-transitions-enabled" content="true"><title>`), "client_navigation", ""},
		{"htmx's boost", replace("<body>", `<body hx-boost="true">`), "client_navigation", ""},
		{"Turbo", replace("<title>", `<meta name="turbo-cache-control" content="no-cache"><title>`), "", "turbo"},
		{"a framework, on a site that calls render()", func(s *Site) {
			replace("<script async", `<script async data-render-on-load="false"`)(s)
			behind(`<div id="__nuxt"></div>`)(s)
		}, "", ""},

		{"CKEditor 4", func(s *Site) {
			replace("<textarea", `<textarea class="richtext"`)(s)
			behind(`<script src="/ckeditor.js"></script>`)(s)
		}, "editor", ""},
		{"TinyMCE", behind(`<script src="/tinymce.min.js"></script><script>tinymce.init({selector: "#description"})</script>`), "editor", ""},
		{"Quill, perhaps", behind(`<script src="/quill.js"></script>`), "", "editor_seen"},
		{"CKEditor 4, and a selector that leads into it", func(s *Site) {
			replace("<textarea", `<textarea class="richtext"`)(s)
			behind(`<script src="/ckeditor.js"></script>`)(s)
			setAttribute(s, attrInput, "#cke_description iframe ifr>> body")
		}, "", "selector_untried"},

		{"a field in a frame", name(attrInput, "#body", behind(`<iframe id="f" srcdoc="<textarea id=body></textarea>"></iframe>`)), "selector_boundary", ""},
		{"a field in a frame, as Kapa writes it", name(attrInput, "#f ifr>> #body", behind(`<iframe id="f" srcdoc="<textarea id=body></textarea>"></iframe>`)), "", ""},
		{"a frame that is none", name(attrInput, "#form ifr>> textarea"), "selector_boundary", ""},
		{"a frame as a shadow host", name(attrInput, "#f sh>> textarea", behind(`<iframe id="f" srcdoc="<textarea></textarea>"></iframe>`)), "selector_boundary", ""},
		{"a field in a frame of another site", name(attrInput, "#f ifr>> textarea", behind(`<iframe id="f" src="https://forms.example.com/"></iframe>`)), "form_elsewhere", ""},
		{"a field in a frame of the site", name(attrInput, "#f ifr>> textarea", behind(`<iframe id="f" src="/form"></iframe>`)), "", "selector_untried"},
		{"an element in a shadow root", name(attrAnchor, "#inner", behind(shadow)), "selector_boundary", ""},
		{"an element in a shadow root, by an operator", name(attrAnchor, "#host anyword>> #inner", behind(shadow)), "", ""},
		{"half a selector behind an operator", name(attrInput, "#f ifr>> #1st"), "selector_invalid", ""},

		{"a login in place of the form, by its title", func(s *Site) {
			replace(theForm, "<p>Enter your address, and we send you a link.</p>")(s)
			replace("<title>Open a ticket", "<title>Sign in")(s)
		}, "login", "selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script"},
		{"an error in place of the form, by its title", func(s *Site) {
			replace(theForm, "<p>Possible cross-site request forgery.</p>")(s)
			replace("<title>Open a ticket", "<title>Access denied")(s)
		}, "error_page", "selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script selector_drawn_by_script"},
		{"an embedder policy", header("Cross-Origin-Embedder-Policy", "require-corp"), "", "embedder_policy_seen"},
		{"an embedder policy that asks for nothing", header("Cross-Origin-Embedder-Policy", "credentialless"), "", ""},
		{"cookies that a redirect leaves behind", func(s *Site) { s.With.Strange = true }, "", "cookies_not_sent"},
	} {
		p.run(t)
	}
}

func TestBundle(t *testing.T) {
	const code = "console.log(1)"
	fetched := func(body string, fields ...string) func(*Site) {
		return func(s *Site) {
			a := answerOf(body, append([]string{"Content-Type: text/javascript"}, fields...)...)
			s.Bundle = &BundleAnswer{URL: script, Response: a}
		}
	}
	and := func(plants ...func(*Site)) func(*Site) {
		return func(s *Site) {
			for _, plant := range plants {
				plant(s)
			}
		}
	}
	// of an empty script
	const other = "sha384-OLBgp1GsljhM2TJ+sbHjaiH9txEUvgdDTAzHv2P24donTt6/529l+9Ua0vFImLlb"
	for _, p := range []planted{
		{"as it should be", fetched(code), "", ""},
		{"no answer", func(s *Site) { s.Bundle = &BundleAnswer{URL: script, Err: os.ErrDeadlineExceeded} }, "bundle_unreachable", ""},
		{"404", and(fetched(code), func(s *Site) { s.Bundle.Response.Status = 404 }), "bundle_unreachable", ""},
		{"a page", fetched(code, "Content-Type: text/html"), "bundle_unreachable", ""},
		{"a page that calls itself a script", fetched("\n<!doctype html>"), "bundle_unreachable", ""},
		{"a type that browsers guess", fetched(code, "Content-Type: application/octet-stream"), "", ""},
		{"a type that they must not guess", fetched(code, "Content-Type: text/plain", "X-Content-Type-Options: nosniff"), "bundle_unreachable", ""},
		{"another hash", and(fetched(code), replace("<script async", `<script async crossorigin integrity="`+other+`"`)), "bundle_integrity", ""},
		{"a weaker hash beside the right one", and(fetched(""+code), replace("<script async", `<script async crossorigin integrity="sha256-AA== `+codeHash+`"`)), "", ""},
		{"no compression", and(fetched(strings.Repeat(code, 10000)), func(s *Site) { s.Bundle.Response.Coding = "" }), "", "bundle_plain"},
		{"an embedder policy, and a script that agrees", and(fetched(code, "Cross-Origin-Resource-Policy: cross-origin"), header("Cross-Origin-Embedder-Policy", "require-corp")), "", ""},
		{"an embedder policy, and a script that does not", and(fetched(code), header("Cross-Origin-Embedder-Policy", "require-corp")), "embedder_policy", ""},
	} {
		p.run(t)
	}

	s := sound()
	fetched(code, "Cache-Control: public, max-age=600")(s)
	b := Judge(*s, product).Bundle
	if b.Size != len(code) || b.Integrity != codeHash || b.Lifetime != 600 || !b.Compressed {
		t.Errorf("%+v", b)
	}
	if got := b.text(); got != "0.0 KB, sent compressed, "+codeHash+", kept for 10m0s" {
		t.Error(got)
	}
}

const codeHash = "sha384-vuz+yO71bcb30P4dMUNzy6/D2y+6d/n0KcOnt5clJtTBxEDoKAqGay0stFlC8Dpr"

// Where a redirect leads past Caddy, that is the reason.
func TestRedirectsPastCaddy(t *testing.T) {
	to := func(url string, redirects int) func(*Site) {
		return func(s *Site) {
			untagged(plainPage)(s)
			for _, a := range []*Response{s.With, s.Without} {
				a.URL, a.Redirects = url, redirects
				a.Header.Del("Vary")
			}
		}
	}
	location := func(url string) func(*Site) {
		return func(s *Site) {
			untagged("", "Location: "+url)(s)
			for _, a := range []*Response{s.With, s.Without} {
				a.Status = 302
				a.Header.Del("Vary")
			}
		}
	}
	for _, p := range []planted{
		{"to another port", to("https://support.acme.com:3000/tickets/new", 1), "tag_missing:past_caddy", ""},
		{"to another port, where the directive runs", func(s *Site) {
			to("https://support.acme.com:8443/tickets/new", 1)(s)
			s.With.Header.Set("Vary", "Cookie")
			s.Without.Header.Set("Vary", "Cookie")
		}, "tag_missing:no_consent", ""},
		{"to the origin's own address", location("http://10.0.0.5:3000/tickets/new"), "tag_missing:past_caddy", ""},
		{"to the origin's own name", location("http://support-backend:3000/tickets/new"), "tag_missing:past_caddy", ""},
		{"to another site", location("https://login.example.com/"), "tag_missing:redirect", ""},
		{"to another host of the site", to("https://help.acme.com/tickets/new", 1), "tag_missing:not_covered", ""},
	} {
		p.run(t)
	}
}

// Pages that are not the form's are quoted by their title.
func TestTitles(t *testing.T) {
	s := sound()
	replace("<title>Open a ticket", "<title>Sign in to Acme")(s)
	replace(theForm, "<form><input type=password></form>")(s)
	if got := printed(t, Judge(*s, product), false); !strings.Contains(got, `"Sign in to Acme"`) {
		t.Error(got)
	}
	s = sound()
	untagged(strings.Replace(plainPage, "Open a ticket", "502 Bad Gateway \u202e", 1))(s)
	s.With.Status, s.Without.Status = 502, 502
	if got := printed(t, Judge(*s, product), false); !strings.Contains(got, `"502 Bad Gateway \u{202E}"`) {
		t.Error(got)
	}
}

// If a selector finds nothing, the report has selectors that do.
func TestFormsAreListed(t *testing.T) {
	s := sound()
	setAttribute(s, attrInput, "#message")
	r := Judge(*s, product)
	want := PageForm{Form: "#form", Input: "#description", Button: "#form button", Event: "onSubmit"}
	if len(r.Forms) != 1 || r.Forms[0] != want {
		t.Errorf("%+v", r.Forms)
	}
	if got := printed(t, r, false); !strings.Contains(got, "\n  form    #form\n   field  #description\n  button  #form button\n") {
		t.Error(got)
	}
	if r := Judge(*sound(), product); r.Forms != nil {
		t.Errorf("%+v", r.Forms)
	}
}

// Whatever the user passes is not shown, even if the site repeats it.
func TestSecretsAreNotShown(t *testing.T) {
	s := sound()
	s.secrets = Survey{Header: http.Header{"Authorization": {"Bearer t0k3n-of-mine"}}}.secrets(s.With.Address(), "session=s3cr3t; theme=dark; q=a%20b%20c; consent=true")
	replace("<script async", `<script async data-a="s3cr3t" data-b="t0k3n-of-mine" data-c="a b c" data-d="`+anID+`" data-render-on-load="true" data-s3cr3t-query-selector="#s3cr3t"`)(s)
	s.With.Header.Set("Cache-Control", "public, s3cr3t")
	s.With.Redirects, s.With.URL = 1, "https://support.acme.com/s3cr3t/new"
	r := Judge(*s, product)
	var b strings.Builder
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{printed(t, r, false), b.String()} {
		for _, secret := range []string{"s3cr3t", "t0k3n", "a b c", anID} {
			if strings.Contains(got, secret) {
				t.Errorf("%s is shown:\n%s", secret, got)
			}
		}
		if !strings.Contains(got, "true") {
			t.Errorf("data-render-on-load is not shown:\n%s", got)
		}
	}
}

func TestJSONIsHarmless(t *testing.T) {
	s := sound()
	setAttribute(s, "data-integration-id", "a\u202eb\u009bc\u200dd\U000e0041é<")
	r := Judge(*s, product)
	var b strings.Builder
	if err := r.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), `"a\u202eb\u009bc\u200dd\udb40\udc41é<"`) {
		t.Error(b.String())
	}
	var back Report
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil || back.Attributes[0].Value != r.Attributes[0].Value {
		t.Errorf("%v, %q", err, back.Attributes)
	}
}
