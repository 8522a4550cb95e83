package kapadeflector

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/outcome"
	"golang.org/x/net/html"
)

// insertionOf is what serve put into page.
func insertionOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	before, after, _ := strings.Cut(samplePage, "</head>")
	body := bodyOf(t, resp)
	if !strings.HasPrefix(body, before) || !strings.HasSuffix(body, "</head>"+after) {
		t.Fatalf("more than the insertion has changed: %s", body)
	}
	return strings.TrimSuffix(strings.TrimPrefix(body, before), "</head>"+after)
}

// parseInsertion returns the script elements of an insertion, as a browser
// would read them, and fails if there is anything else.
func parseInsertion(t *testing.T, insertion string) (scripts []*html.Node) {
	t.Helper()
	for _, c := range []byte(insertion) {
		if c < 0x20 || c > 0x7e {
			t.Errorf("byte %#x: the insertion is not plain ASCII", c)
		}
	}
	doc, err := html.Parse(strings.NewReader("<!doctype html><head>" + insertion + "</head>"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Parent != nil && n.Parent.Data == "head" {
			if n.Data != "script" {
				t.Errorf("the insertion holds <%s>", n.Data)
			}
			scripts = append(scripts, n)
		}
	}
	return scripts
}

func TestTagIsWrittenAsConfigured(t *testing.T) {
	for _, tc := range []struct {
		name, lines string
		fields      []string
		want        string // what is inserted
	}{
		{"the required attributes, in their order", "", nil, staticTag},
		{
			"an attribute that nobody knows",
			"data-brand-new yes", nil,
			strings.Replace(staticTag, " src=", ` data-brand-new="yes" src=`, 1),
		},
		{
			"a path on the site",
			"script /js/kapa-support-form-deflector.bundle.js?v=1&w=2", nil,
			strings.Replace(staticTag, kapa.ScriptURL, "/js/kapa-support-form-deflector.bundle.js?v=1&amp;w=2", 1),
		},
		{
			"defer",
			"script https://cdn.acme.com/k.js {\n loading defer\n}", nil,
			strings.Replace(strings.Replace(staticTag, "script async", "script defer", 1), kapa.ScriptURL, "https://cdn.acme.com/k.js", 1),
		},
		{
			"integrity on another origin implies crossorigin",
			"script https://cdn.acme.com/k.js {\n integrity sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n}", nil,
			strings.Replace(staticTag, `src="`+kapa.ScriptURL, `integrity="sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" crossorigin="anonymous" src="https://cdn.acme.com/k.js`, 1),
		},
		{
			"integrity on the site itself does not",
			"script /k.js {\n integrity sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n}", nil,
			strings.Replace(staticTag, `src="`+kapa.ScriptURL, `integrity="sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" src="/k.js`, 1),
		},
		{
			"crossorigin as configured",
			"script https://cdn.acme.com/k.js {\n crossorigin use-credentials\n}", nil,
			strings.Replace(staticTag, `src="`+kapa.ScriptURL, `crossorigin="use-credentials" src="https://cdn.acme.com/k.js`, 1),
		},
		{
			"a placeholder of the request",
			"data-x a-{http.request.header.X-Brand}-{http.request.method}", []string{"X-Brand: acme"},
			strings.Replace(staticTag, " src=", ` data-x="a-acme-GET" src=`, 1),
		},
		{
			"an optional attribute that is empty stays",
			"data-x {http.request.header.X-Brand}", nil,
			strings.Replace(staticTag, " src=", ` data-x="" src=`, 1),
		},
		{
			"user with nothing known",
			"user {\n email {http.request.header.X-Mail}\n}", nil, staticTag,
		},
		{
			"user",
			"user {\n unique_client_id {http.request.header.X-User}\n metadata firstName {http.request.header.X-First}\n metadata companyName Acme\n}", []string{"X-User: 7"},
			`<script>(function(w,u,m){var s=w.kapaSettings=w.kapaSettings||{},p=s.user=s.user||{};Object.assign(p,u);` +
				`if(m)p.metadata=Object.assign(p.metadata||{},m)})(window,{"uniqueClientId":"7"},{"companyName":"Acme"})</script>` + staticTag,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRequest(t, "GET", "/", append([]string{"Cookie: " + granted}, tc.fields...)...)
			resp := serve(t, newHandler(t, consentLine+tc.lines), r, pageHandler)
			if got := insertionOf(t, resp); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// The tag of a visitor who has consented carries, before src, what keeps the script
// blockers of the configured platforms away from it. No other tag does.
func TestExemptFromTheBlocker(t *testing.T) {
	const (
		onetrust  = "OptanonConsent=groups=C0002%3A1; OptanonAlertBoxClosed=2026-11-24T09:00:00.000Z"
		cookiebot = "CookieConsent={statistics:true%2Cmethod:%27explicit%27}"
	)
	for _, tc := range []struct {
		name, lines, cookie string
		want                string // between the last required attribute and src
	}{
		{"onetrust", "consent onetrust", onetrust, ` data-ot-ignore=""`},
		{"cookiebot", "consent cookiebot", cookiebot, ` data-cookieconsent="ignore"`},
		{"iubenda", "consent iubenda", "_iub_cs-1=%7B%22purposes%22%3A%7B%224%22%3Atrue%7D%7D", ` class="_iub_cs_skip"`},
		{"two platforms", "consent cookiebot\nconsent onetrust", onetrust + "; " + cookiebot, ` data-cookieconsent="ignore" data-ot-ignore=""`},
		{"another cookie name", "consent cookiebot {\n cookie mine\n}", strings.Replace(cookiebot, "CookieConsent", "mine", 1), ` data-cookieconsent="ignore"`},
		{"after the user's own attributes", "consent cookiebot\ndata-x 1", cookiebot, ` data-x="1" data-cookieconsent="ignore"`},
		{"the user's own value", "consent cookiebot\ndata-cookieconsent statistics", cookiebot, ` data-cookieconsent="statistics"`},
		{"a platform without one", "consent insites", "cookieconsent_status=allow", ""},
		{"a rule for a platform's cookie", "consent rule CookieConsent {\n decode percent\n decode pairs ,{} :\n granted pair statistics true\n}", cookiebot, ""},
		{"no consent needed", "consent not_required", cookiebot, ""},
		{"untracked", "consent cookiebot\nwithout_consent untracked", "CookieConsent=0", ` data-user-analytics-cookie-enabled="false" data-user-analytics-fingerprint-enabled="false"`},
		{"untracked, consented", "consent cookiebot\nwithout_consent untracked", cookiebot, ` data-cookieconsent="ignore"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp := serve(t, newHandler(t, tc.lines), newRequest(t, "GET", "/", "Cookie: "+tc.cookie), pageHandler)
			if got, want := insertionOf(t, resp), strings.Replace(staticTag, " src=", tc.want+" src=", 1); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	t.Run("a platform that only the page sees", func(t *testing.T) {
		h := newHandler(t, "consent termly\nloader")
		question := questionOf(t, h, "/")
		question.Header.Set("Kapa-Deflector", "question; termly=yes")
		if body := bodyOf(t, serve(t, h, question, pageHandler)); !strings.Contains(body, `,["data-categories","essential"],`) {
			t.Errorf("the answer is %s", body)
		}
	})
	t.Run("in the loader's answer", func(t *testing.T) {
		h := newHandler(t, "consent cookiebot\nloader")
		body := bodyOf(t, serve(t, h, questionOf(t, h, "/", "Cookie: "+cookiebot), pageHandler))
		if !strings.Contains(body, `,["data-cookieconsent","ignore"],`) {
			t.Errorf("the answer is %s", body)
		}
	})
}

// Every attribute that Kapa documents, in whatever order it is configured.
func TestEveryDocumentedAttribute(t *testing.T) {
	names := slices.Clone(kapa.DocumentedAttributes)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var attrs []Attribute
	for i, name := range names {
		value := itoa(i) + " \"<&'ä"
		if words := kapa.AttributeValues[name]; words != nil {
			value = words[0]
		}
		attrs = append(attrs, Attribute{name, value})
	}
	h := newHandler(t, consentLine)
	h.block.tracked = newTag(Script{}.withDefaults(), attrs, nil)
	r := newRequest(t, "GET", "/", "Cookie: "+granted)
	scripts := parseInsertion(t, insertionOf(t, serve(t, h, r, pageHandler)))
	got := scripts[0].Attr
	if last := got[len(got)-1]; got[0].Key != "async" || last.Key != "src" {
		t.Errorf("%s is the first attribute, %s the last", got[0].Key, last.Key)
	}
	got = got[1 : len(got)-1]
	if len(scripts) != 1 || len(got) != len(attrs) {
		t.Fatalf("%d scripts, %d attributes, want %d", len(scripts), len(got), len(attrs))
	}
	for i, a := range attrs {
		if got[i].Key != a.Name || got[i].Val != a.Value {
			t.Errorf("%d: %s=%q, want %s=%q", i, got[i].Key, got[i].Val, a.Name, a.Value)
		}
	}
}

func TestUntracked(t *testing.T) {
	h := newHandler(t, consentLine+`
		without_consent untracked
		data-user-email-query-selector "#email"
		data-user-analytics-fingerprint-enabled true
		data-project-color "#123456"
		user {
			email someone@acme.com
		}`)
	want := strings.Replace(staticTag, " src=", ` data-user-analytics-fingerprint-enabled="false"`+
		` data-project-color="#123456" data-user-analytics-cookie-enabled="false" src=`, 1)
	for _, cookies := range []string{unknown, denied} {
		r := newRequest(t, "GET", "/", "Cookie: "+cookies)
		resp := serve(t, h, r, pageHandler)
		if got := insertionOf(t, resp); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", cookies, got, want)
		}
		if o, _ := outcomeOf(r); o != outcome.Untracked {
			t.Errorf("%s: outcome %s", cookies, o)
		}
	}
	// and the visitor who consented gets all of it
	got := insertionOf(t, serve(t, h, newRequest(t, "GET", "/", "Cookie: "+granted), pageHandler))
	for _, part := range []string{`fingerprint-enabled="true"`, `data-user-email-query-selector="#email"`, `"email":"someone@acme.com"`} {
		if !strings.Contains(got, part) {
			t.Errorf("granted: no %s in %s", part, got)
		}
	}
}

func TestIncomplete(t *testing.T) {
	h := newHandler(t, consentLine)
	h.block.tracked = newTag(Script{URL: kapa.ScriptURL, Loading: "async"}, []Attribute{{"data-integration-id", "{http.request.header.X-Integration}"}}, nil)
	for _, tc := range []struct {
		value string
		want  outcome.Outcome
	}{{"", outcome.Incomplete}, {"abc", outcome.Injected}, {strings.Repeat("x", maxInsertion), outcome.Incomplete}} {
		r := newRequest(t, "GET", "/", "Cookie: "+granted, "X-Integration: "+tc.value)
		resp := serve(t, h, r, pageHandler)
		o, _ := outcomeOf(r)
		if o != tc.want || (bodyOf(t, resp) == samplePage) != (o == outcome.Incomplete) || (idLines(resp) == nil) != (o == outcome.Incomplete) {
			t.Errorf("%.10q: outcome %s, ids %q", tc.value, o, idLines(resp))
		}
	}
}

// hostile are values that a visitor may send in a header.
var hostile = []string{
	`"><script>alert(1)</script>`,
	`'><img src=x onerror=alert(1)>`,
	`</script><script>alert(1)</script>`,
	`<!--<script>`,
	"a\r\nb\nc\td",
	"&quot;&#34;&amp;&",
	`\" \\ \u0022 </`,
	"ä ß € 漢字 \U0001F600 \u2028 \u2029 \ufeff \u00a0",
	"\x80\xff\xc3\x28", // not UTF-8
	"\u0080\u0085\u009f",
	"\x00\x01\x1f\x7f",
	"{env.HOME} {http.request.host} {file./etc/passwd} ${x} {{.}}",
	"`${alert(1)}`",
	"]]>",
	strings.Repeat("ä<", 5<<10), // 15 KB, and many times that when escaped
}

// asHTML is the value that a browser reads from an attribute: the same value, with
// U+FFFD for bytes and controls that HTML cannot express.
func asHTML(s string) string {
	return strings.Map(func(r rune) rune {
		if r == 0 || 0x7f < r && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, s) // Map makes each bad byte U+FFFD
}

var settings = regexp.MustCompile(`\(window,(\{.*?\}),(\{.*\})\)$`)

func TestHostileValues(t *testing.T) {
	h := newHandler(t, consentLine+`
		data-x "{http.request.header.X-Hostile}"
		user {
			email "{http.request.header.X-Hostile}"
			metadata a"b</script> "{http.request.header.X-Hostile}"
		}`)
	for _, value := range hostile {
		r := newRequest(t, "GET", "/", "Cookie: "+granted)
		r.Header["X-Hostile"] = []string{value}
		scripts := parseInsertion(t, insertionOf(t, serve(t, h, r, pageHandler)))
		if len(scripts) != 2 {
			t.Fatalf("%.40q: %d script elements", value, len(scripts))
		}
		attrs := scripts[1].Attr
		if got := attrs[len(attrs)-2]; got.Key != "data-x" || got.Val != asHTML(value) || len(attrs) != 9 {
			t.Errorf("attribute: sent %.40q, got %s=%.40q of %d", value, got.Key, got.Val, len(attrs))
		}
		m := settings.FindStringSubmatch(scripts[0].FirstChild.Data)
		if m == nil {
			t.Fatalf("%.40q: script is %s", value, scripts[0].FirstChild.Data)
		}
		var user, metadata map[string]string
		if err := json.Unmarshal([]byte(m[1]), &user); err != nil {
			t.Errorf("%.40q: %v", value, err)
		}
		if err := json.Unmarshal([]byte(m[2]), &metadata); err != nil {
			t.Errorf("%.40q: %v", value, err)
		}
		want := strings.Map(func(r rune) rune { return r }, value)
		if user["email"] != want || metadata[`a"b</script>`] != want {
			t.Errorf("JSON: sent %.40q, got %.40q and %.40q", value, user["email"], metadata[`a"b</script>`])
		}
	}
}

func FuzzTag(f *testing.F) {
	for _, value := range hostile {
		f.Add(value)
	}
	h := newHandler(f, consentLine+`
		data-x "{http.request.header.X-Hostile}"
		user {
			email "{http.request.header.X-Hostile}"
		}`)
	f.Fuzz(func(t *testing.T, value string) {
		r := newRequest(t, "GET", "/", "Cookie: "+granted)
		r.Header["X-Hostile"] = []string{value}
		in, err := h.block.tracked.complete(replacerOf(r))
		if err != nil {
			return
		}
		if len(in.HTML) > maxInsertion {
			t.Errorf("%d bytes", len(in.HTML))
		}
		scripts := parseInsertion(t, string(in.HTML))
		want := 2
		if value == "" {
			want = 1
		}
		if len(scripts) != want {
			t.Fatalf("%q: %d script elements", value, len(scripts))
		}
		attrs := scripts[want-1].Attr
		if got := attrs[len(attrs)-2].Val; len(attrs) != 9 || strings.Map(dropReplacement, got) != strings.Map(dropReplacement, asHTML(value)) {
			t.Errorf("sent %q, got %q of %d", value, got, len(attrs))
		}
	})
}

func dropReplacement(r rune) rune {
	if r == '\ufffd' {
		return -1
	}
	return r
}
