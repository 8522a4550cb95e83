package policies

// A policyRow is one policy, or several, and what is predicted of the deflector's
// script under them.
//
// In the texts, CDN is the origin of the script, OTHER one that nobody asked to
// allow, SITE the page's own; CDNHOST and SITEHOST are host and port alone, and
// CDNPORT is the port. HASH is the hash of an inline script of the page, and
// INTEGRITY that of the deflector's. The nonce of the page's own script is abc.
type policyRow struct {
	name string

	// Which block the page is under: "" loads the script from CDN; "own" from
	// SITE, "sri" from CDN with integrity and crossorigin, "user" with an inline
	// script before it, "void" with an attribute that holds <script.
	block string

	header []string // lines of the field; those with "report: " before them of the one that only reports
	metas  []string // content attributes of meta elements in the head
	fields []string // further header fields, as "Name: value"

	reuse, extend prediction
	inline        prediction // of the inline script, in both modes; default: that of the script
	noConnect     bool       // extend does not let the script connect
	noScripts     bool       // nothing runs on the page at all
	reported      bool       // the console has reports about the script even with extend
	stops         string     // a probe that succeeds only in a browser that does not know the fields
}

type prediction string

const (
	runs      prediction = "runs"
	withNonce prediction = "runs with a nonce"
	blocked   prediction = "blocked"
)

var policyRows = []policyRow{
	{name: "no policy", reuse: runs, extend: runs},
	{name: "an empty policy", header: []string{""}, reuse: runs, extend: runs},
	{name: "nothing about scripts", header: []string{"frame-ancestors 'none'; base-uri 'self'; upgrade-insecure-requests"}, reuse: runs, extend: runs},

	// Shapes of real sites.
	{name: "a generator of strict policies", reuse: withNonce, extend: withNonce,
		header: []string{"object-src 'none'; script-src 'nonce-abc' 'unsafe-inline' 'unsafe-eval' 'strict-dynamic' https: http:; base-uri 'none'; report-uri /csp"}},
	{name: "a code host", reuse: blocked, extend: runs,
		header: []string{"default-src 'none'; base-uri 'self'; child-src SITEHOST/assets-cdn/worker/; connect-src 'self' uploads.acme.example; font-src OTHER; form-action 'self'; frame-ancestors 'none'; img-src 'self' data: blob:; script-src OTHER; style-src 'unsafe-inline' OTHER; upgrade-insecure-requests; worker-src SITEHOST/assets-cdn/worker/"}},
	{name: "a blog", reuse: runs, extend: runs, header: []string{"default-src * 'unsafe-inline' 'unsafe-eval' data: blob:"}},
	{name: "a shop", reuse: runs, extend: runs, header: []string{"block-all-mixed-content; frame-ancestors 'none'; upgrade-insecure-requests;"}},
	{name: "the defaults of a middleware", reuse: blocked, extend: runs,
		header: []string{"default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests"}},
	{name: "a scanner's advice", reuse: blocked, extend: runs,
		header: []string{"default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; style-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"}},
	{name: "a framework with nonces", reuse: withNonce, extend: withNonce,
		header: []string{"default-src 'self' https:; font-src 'self' https: data:; img-src 'self' https: data:; object-src 'none'; script-src 'self' https: 'nonce-abc'; style-src 'self' https: 'nonce-abc'"}},
	{name: "a forum", reuse: withNonce, extend: withNonce,
		header: []string{"upgrade-insecure-requests; base-uri 'self'; object-src 'none'; script-src 'nonce-abc' 'strict-dynamic'; frame-ancestors 'self'; manifest-src 'self'"}},
	{name: "a static site with hashes", reuse: blocked, extend: runs, header: []string{"default-src 'self'; script-src 'self' HASH; style-src 'self' 'unsafe-inline'"}},
	{name: "a static site with hashes and 'strict-dynamic'", reuse: blocked, extend: withNonce, header: []string{"script-src 'strict-dynamic' HASH 'unsafe-inline' https:; object-src 'none'"}},
	{name: "tag managers and their friends", reuse: blocked, extend: runs,
		header: []string{"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' *.googletagmanager.com *.google-analytics.com https://js.stripe.com https://cdn.segment.com; connect-src 'self' *.google-analytics.com wss://*.intercom.io; frame-src https://js.stripe.com; img-src * data:"}},
	{name: "a help centre", reuse: blocked, extend: runs,
		header: []string{"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: *.zdassets.example *.zendesk.example; frame-ancestors 'self'"}},
	{name: "a saved page", reuse: blocked, extend: blocked,
		metas: []string{"default-src 'none'; font-src 'self' data:; img-src 'self' data:; style-src 'unsafe-inline'; media-src 'self' data:; script-src 'unsafe-inline' data:; object-src 'self' data:; frame-src 'self' data:;"}},
	{name: "everything by default, little by exception", reuse: runs, extend: runs, header: []string{"default-src http: https: data: 'unsafe-inline'; object-src 'none'"}},
	{name: "two policies, of the site and of its CDN", reuse: blocked, extend: runs, header: []string{"script-src 'self' CDN", "default-src 'self' 'unsafe-inline'"}},

	// The governing directive.
	{name: "default-src alone", header: []string{"default-src 'self'"}, reuse: blocked, extend: runs},
	{name: "default-src with 'unsafe-inline'", header: []string{"default-src 'self' 'unsafe-inline' 'unsafe-eval'"}, reuse: blocked, extend: runs},
	{name: "default-src with a nonce", header: []string{"default-src 'self' 'nonce-abc'"}, reuse: withNonce, extend: withNonce},
	{name: "default-src with 'strict-dynamic' and a hash", header: []string{"default-src 'strict-dynamic' HASH"}, reuse: blocked, extend: withNonce},
	{name: "default-src 'none'", header: []string{"default-src 'none'"}, reuse: blocked, extend: blocked},
	{name: "script-src-elem", header: []string{"script-src 'self' 'unsafe-inline'; script-src-elem 'self'"}, reuse: blocked, extend: runs},
	{name: "script-src-elem allows", header: []string{"script-src 'none'; script-src-elem CDN"}, reuse: runs, extend: runs},
	{name: "script-src-elem 'none'", header: []string{"script-src *; script-src-elem 'none'"}, reuse: blocked, extend: blocked},
	{name: "script-src-attr", header: []string{"script-src-attr 'none'"}, reuse: runs, extend: runs},
	{name: "script-src before default-src", header: []string{"default-src 'none'; script-src CDN"}, reuse: runs, extend: runs},

	// Parsing.
	{name: "case", header: []string{"SCRIPT-SRC 'SELF' CDN"}, reuse: runs, extend: runs},
	{name: "keywords in upper case", header: []string{"Script-Src 'NONCE-abc' 'STRICT-DYNAMIC'"}, reuse: withNonce, extend: withNonce},
	{name: "'NONE'", header: []string{"script-src 'NONE'"}, reuse: blocked, extend: blocked},
	{name: "an empty list", header: []string{"script-src"}, reuse: blocked, extend: blocked},
	{name: "only a sample", header: []string{"script-src 'report-sample'"}, reuse: blocked, extend: blocked},
	{name: "'none' beside others", header: []string{"script-src 'none' 'self'"}, reuse: blocked, extend: runs},
	{name: "'none' beside ours", header: []string{"script-src 'none' CDN"}, reuse: runs, extend: runs},
	{name: "nothing valid", header: []string{"script-src self nonce-abc unsafe-inline"}, reuse: blocked, extend: runs},
	{name: "the first of two", header: []string{"script-src 'self'; script-src *"}, reuse: blocked, extend: runs},
	{name: "not ASCII", header: []string{"script-src 'none' h\xc3\xb6st.example"}, reuse: runs, extend: runs},
	{name: "not ASCII, and the name again", header: []string{"script-src \xc3\xb6; script-src 'none'"}, reuse: runs, extend: runs},
	{name: "not ASCII, and default-src", header: []string{"default-src 'self'; script-src-elem \xc3\xb6"}, reuse: blocked, extend: blocked},
	{name: "a list of policies", header: []string{"img-src *, script-src 'self',, default-src *"}, reuse: blocked, extend: runs},
	{name: "white space", header: []string{"  ;; script-src \t CDN   ;"}, reuse: runs, extend: runs},
	{name: "no white space", header: []string{"default-src 'self';script-src 'self'"}, reuse: blocked, extend: runs},
	{name: "an underscore in the name", header: []string{"script_src 'none'"}, reuse: runs, extend: runs},
	{name: "a directive forgotten its semicolon", header: []string{"default-src 'self' script-src *"}, reuse: runs, extend: runs},

	// URLs.
	{name: "any", header: []string{"script-src *"}, reuse: runs, extend: runs},
	{name: "the scheme", header: []string{"script-src http:"}, reuse: runs, extend: runs},
	{name: "another scheme", header: []string{"script-src https:"}, reuse: blocked, extend: runs},
	{name: "the host and port", header: []string{"script-src CDNHOST"}, reuse: runs, extend: runs},
	{name: "the host in upper case", header: []string{"script-src HTTP://CDN.ACME.LOCALHOST:CDNPORT"}, reuse: runs, extend: runs},
	{name: "the host without its port", header: []string{"script-src cdn.acme.localhost"}, reuse: blocked, extend: runs},
	{name: "any port", header: []string{"script-src cdn.acme.localhost:*"}, reuse: runs, extend: runs},
	{name: "another port", header: []string{"script-src cdn.acme.localhost:1"}, reuse: blocked, extend: runs},
	{name: "a port that is none", header: []string{"script-src cdn.acme.localhost:x"}, reuse: blocked, extend: runs},
	{name: "subdomains", header: []string{"script-src *.acme.localhost:CDNPORT"}, reuse: runs, extend: runs},
	{name: "subdomains of the host itself", header: []string{"script-src *.cdn.acme.localhost:CDNPORT"}, reuse: blocked, extend: runs},
	{name: "a wildcard that is none", header: []string{"script-src cdn.*.localhost:CDNPORT *acme.localhost:CDNPORT"}, reuse: blocked, extend: runs},
	{name: "any host on the port", header: []string{"script-src http://*:CDNPORT"}, reuse: runs, extend: runs},
	{name: "the path", header: []string{"script-src CDN/kapa-support-form-deflector.bundle.js"}, reuse: runs, extend: runs},
	{name: "the path, encoded, with a query", header: []string{"script-src CDN/%6bapa-support-form-deflector.bundle.js?v=1"}, reuse: runs, extend: runs},
	{name: "another path", header: []string{"script-src CDN/other.js"}, reuse: blocked, extend: runs},
	{name: "the path as a directory", header: []string{"script-src CDN/kapa-support-form-deflector.bundle.js/"}, reuse: blocked, extend: runs},
	{name: "the root", header: []string{"script-src CDN/"}, reuse: runs, extend: runs},
	{name: "the path in upper case", header: []string{"script-src CDN/KAPA-SUPPORT-FORM-DEFLECTOR.BUNDLE.JS"}, reuse: blocked, extend: runs},
	{name: "'self', elsewhere", header: []string{"script-src 'self'"}, reuse: blocked, extend: runs},
	{name: "'self', on the site", block: "own", header: []string{"script-src 'self'"}, reuse: runs, extend: runs},
	{name: "the site by its name", block: "own", header: []string{"script-src SITEHOST"}, reuse: runs, extend: runs},
	{name: "the site without its port", block: "own", header: []string{"script-src own-reuse.acme.localhost"}, reuse: blocked, extend: runs},
	{name: "not the site", block: "own", header: []string{"default-src OTHER 'unsafe-inline'"}, reuse: blocked, extend: runs},

	// Nonces and 'unsafe-inline'.
	{name: "a nonce", header: []string{"script-src 'nonce-abc'"}, reuse: withNonce, extend: withNonce},
	{name: "a nonce that is not needed", header: []string{"script-src 'nonce-abc' CDN"}, reuse: runs, extend: runs},
	{name: "a nonce of either alphabet", header: []string{"script-src 'nonce-a+/-_Z9=='"}, reuse: withNonce, extend: withNonce},
	{name: "a nonce that is none", header: []string{"script-src 'nonce-a.b'"}, reuse: blocked, extend: runs},
	{name: "'unsafe-inline' keeps its meaning", header: []string{"script-src 'self' 'unsafe-inline'"}, reuse: blocked, extend: runs},
	{name: "a nonce, and an attribute that voids it", block: "void", header: []string{"script-src 'nonce-abc'"}, reuse: blocked, extend: runs},
	{name: "'strict-dynamic', and an attribute that voids nonces", block: "void", header: []string{"script-src 'nonce-abc' 'strict-dynamic'"}, reuse: blocked, extend: blocked},
	{name: "'strict-dynamic' alone", header: []string{"script-src 'strict-dynamic' CDN"}, reuse: blocked, extend: withNonce},
	{name: "'strict-dynamic' with a nonce", header: []string{"script-src 'strict-dynamic' 'nonce-abc'"}, reuse: withNonce, extend: withNonce},

	// Integrity.
	{name: "integrity and crossorigin", block: "sri", header: []string{"script-src CDN"}, reuse: runs, extend: runs},
	{name: "integrity, extended", block: "sri", header: []string{"script-src 'self'"}, reuse: blocked, extend: runs},
	{name: "integrity in the policy", block: "sri", header: []string{"script-src INTEGRITY"}, reuse: runs, extend: runs},
	{name: "integrity in the policy with 'strict-dynamic'", block: "sri", header: []string{"script-src 'strict-dynamic' INTEGRITY"}, reuse: runs, extend: runs},
	{name: "integrity, and another's hash", block: "sri", header: []string{"script-src 'strict-dynamic' HASH"}, reuse: blocked, extend: withNonce},
	{name: "integrity and a nonce", block: "sri", header: []string{"script-src 'nonce-abc'"}, reuse: withNonce, extend: withNonce},
	{name: "the script's hash without integrity", header: []string{"script-src INTEGRITY"}, reuse: blocked, extend: runs},

	// Several policies.
	{name: "one nonce for two", header: []string{"script-src 'nonce-abc'", "script-src 'self' 'nonce-abc'"}, reuse: withNonce, extend: withNonce},
	{name: "two nonces", header: []string{"script-src 'nonce-abc'", "script-src 'nonce-def'"}, reuse: blocked, extend: withNonce},
	{name: "two nonces with 'strict-dynamic'", header: []string{"script-src 'strict-dynamic' 'nonce-abc', script-src 'strict-dynamic' 'nonce-def'"}, reuse: blocked, extend: withNonce},
	{name: "a nonce and hosts", header: []string{"script-src 'nonce-abc', script-src http:"}, reuse: withNonce, extend: withNonce},
	{name: "a nonce, and hosts without ours", header: []string{"script-src 'nonce-abc'", "script-src 'self' 'unsafe-inline'"}, reuse: blocked, extend: withNonce},
	{name: "one of two is 'none'", header: []string{"script-src *", "script-src 'none'"}, reuse: blocked, extend: blocked},

	// Reports.
	{name: "only reported", header: []string{"report: script-src 'self'"}, reuse: runs, extend: runs},
	{name: "only reported, by a nonce", header: []string{"report: script-src 'strict-dynamic' 'nonce-abc'"}, reuse: withNonce, extend: withNonce},
	{name: "only reported 'none'", header: []string{"report: script-src 'none'; sandbox"}, reuse: runs, extend: runs, reported: true},
	{name: "reported and enforced", header: []string{"script-src CDN 'unsafe-inline'", "report: default-src 'self'"}, reuse: runs, extend: runs},

	// Sandboxes.
	{name: "a sandbox", header: []string{"sandbox allow-forms"}, reuse: blocked, extend: blocked, noScripts: true},
	{name: "a sandbox with scripts", header: []string{"sandbox allow-scripts allow-forms"}, reuse: runs, extend: runs},
	{name: "a sandbox with scripts, and 'self'", block: "own", header: []string{"sandbox Allow-Scripts; script-src 'self'"}, reuse: runs, extend: runs},
	{name: "a sandbox in a meta element", metas: []string{"sandbox"}, reuse: runs, extend: runs},

	// Meta elements.
	{name: "a meta element", metas: []string{"script-src 'self'"}, reuse: blocked, extend: blocked},
	{name: "a meta element that allows", metas: []string{"script-src CDN"}, reuse: runs, extend: runs},
	{name: "a meta element with references", metas: []string{"script-src &#39;self&#x27;&semi;&Tab;img-src *"}, reuse: blocked, extend: blocked},
	{name: "a meta element with a nonce", metas: []string{"script-src 'nonce-abc'"}, reuse: withNonce, extend: withNonce},
	{name: "a list in a meta element", metas: []string{"img-src *, script-src 'self'"}, reuse: blocked, extend: blocked},
	{name: "two meta elements", metas: []string{"img-src *", "default-src 'self'"}, reuse: blocked, extend: blocked},
	{name: "a meta element and a header", header: []string{"script-src 'self'"}, metas: []string{"script-src CDN"}, reuse: blocked, extend: runs},
	{name: "a nonce for both", header: []string{"script-src 'nonce-def' 'nonce-abc'"}, metas: []string{"script-src 'nonce-abc'"}, reuse: withNonce, extend: withNonce},
	{name: "a nonce in the meta element alone", header: []string{"script-src 'self'"}, metas: []string{"script-src 'strict-dynamic' 'nonce-abc'"}, reuse: blocked, extend: withNonce},

	// The inline script.
	{name: "user, and no policy", block: "user", reuse: runs, extend: runs},
	{name: "user, and 'unsafe-inline'", block: "user", header: []string{"script-src CDN 'unsafe-inline'"}, reuse: runs, extend: runs},
	{name: "user, and a nonce", block: "user", header: []string{"script-src 'nonce-abc'"}, reuse: withNonce, extend: withNonce},
	{name: "user, and the host alone", block: "user", header: []string{"script-src CDN"}, reuse: runs, extend: runs, inline: blocked},
	{name: "user, and nothing", block: "user", header: []string{"default-src 'self'"}, reuse: blocked, extend: runs},
	{name: "user, and 'strict-dynamic'", block: "user", header: []string{"script-src 'strict-dynamic' HASH"}, reuse: blocked, extend: withNonce},
	{name: "user, and 'unsafe-inline' that is void", block: "user", header: []string{"script-src 'self' 'unsafe-inline' HASH"}, reuse: blocked, extend: runs},
	{name: "user, and a meta element", block: "user", metas: []string{"script-src CDN"}, reuse: runs, extend: runs, inline: blocked},

	// What else a page may do.
	{name: "connect-src 'none'", header: []string{"connect-src 'none'"}, reuse: runs, extend: runs, noConnect: true},
	{name: "connections in a meta element", metas: []string{"connect-src 'self'"}, reuse: runs, extend: runs, noConnect: true},
	{name: "connections by default", header: []string{"default-src 'none'; script-src http:"}, reuse: runs, extend: runs},
	{name: "Trusted Types", header: []string{"require-trusted-types-for 'script'; trusted-types 'none'"}, reuse: runs, extend: runs},
	{name: "COEP, on the site", block: "own", fields: []string{"Cross-Origin-Embedder-Policy: require-corp"}, reuse: runs, extend: runs, noConnect: false},
	{name: "COEP, with crossorigin", block: "sri", fields: []string{"Cross-Origin-Embedder-Policy: require-corp"}, reuse: runs, extend: runs},
	{name: "COEP without credentials", fields: []string{"Cross-Origin-Embedder-Policy: credentialless"}, reuse: runs, extend: runs},
	{name: "integrity is required", fields: []string{"Integrity-Policy: blocked-destinations=(script)"}, reuse: blocked, extend: blocked, stops: "other"},
	{name: "integrity is required, on the site", block: "own", fields: []string{"Integrity-Policy: blocked-destinations=(script)"}, reuse: blocked, extend: blocked, stops: "other"},
	{name: "integrity is required, and is there", block: "sri", fields: []string{"Integrity-Policy: blocked-destinations=(script)"}, reuse: runs, extend: runs},
	{name: "integrity is required of what the page itself names", fields: []string{"Integrity-Policy: blocked-destinations=(script), sources=(inline)"}, reuse: blocked, extend: blocked, stops: "other"},
	{name: "integrity is required by a source that is unknown", fields: []string{"Integrity-Policy: blocked-destinations=(script), sources=(unknown)"}, reuse: runs, extend: runs},
	{name: "integrity is required, and a nonce does not help", header: []string{"script-src 'nonce-abc' OTHER"}, fields: []string{"Integrity-Policy: blocked-destinations=(script)"}, reuse: blocked, extend: blocked, stops: "other"},
	{name: "integrity is required of styles", fields: []string{"Integrity-Policy: blocked-destinations=(style)"}, reuse: runs, extend: runs},
	{name: "integrity is reported", fields: []string{"Integrity-Policy-Report-Only: blocked-destinations=(script)"}, reuse: runs, extend: runs, reported: true},
	{name: "integrity is required by a field that is malformed", fields: []string{"Integrity-Policy: blocked-destinations=(script"}, reuse: runs, extend: runs},
}
