package kapadeflector

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/caddytest"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
)

// fields are the keys and raw values of a handler's JSON.
type fields map[string]string

// soundFields are a handler's JSON without a mistake.
var soundFields = fields{
	"attributes": requiredAttributesJSON(nil),
	"consent":    `[{"kind": "cookie", "cookie": "cookie_consent", "values": ["accepted"]}]`,
}

// with returns f with other fields added or replaced; an empty one removes the field.
func (f fields) with(others fields) fields {
	f = maps.Clone(f)
	maps.Copy(f, others)
	maps.DeleteFunc(f, func(_, val string) bool { return val == "" })
	return f
}

func (f fields) json() json.RawMessage {
	var members []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		members = append(members, fmt.Sprintf("%q: %s", name, f[name]))
	}
	return json.RawMessage("{" + strings.Join(members, ", ") + "}")
}

// requiredAttributesJSON is the list of the required attributes, with other
// values for some, and further attributes at its end.
func requiredAttributesJSON(others fields, further ...string) string {
	var members []string
	for _, name := range kapa.RequiredAttributes {
		value, ok := others[name]
		switch {
		case ok:
		case name == kapa.EventType:
			value = "onSubmit"
		default:
			value = "#form"
		}
		members = append(members, fmt.Sprintf(`{"name": %q, "value": %q}`, name, value))
	}
	return "[" + strings.Join(append(members, further...), ", ") + "]"
}

// load decodes and provisions a module as Caddy does while it loads a config.
func load[M any](t *testing.T, id string, raw json.RawMessage) (*M, error) {
	t.Helper()
	base, err := quietContext()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(base)
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID(id, raw)
	if err != nil {
		return nil, err
	}
	return module.(*M), nil
}

// quietContext is that of an empty config that logs nothing.
var quietContext = sync.OnceValues(func() (caddy.Context, error) {
	return caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, Logging: discardLogs()})
})

const (
	handlerID = "http.handlers.kapa_deflector"
	matcherID = "http.matchers.consent"
)

func loadHandler(t *testing.T, f fields) (*Handler, error) {
	t.Helper()
	return load[Handler](t, handlerID, f.json())
}

// The JSON of a Caddyfile is read back as it is, and makes what the Caddyfile
// makes: the whole config, and each of our modules in it.
func TestAdaptedJSONLoads(t *testing.T) {
	setTestEnv(t)
	for _, g := range goldens(t) {
		if g.isError() {
			continue
		}
		t.Run(g.name(), func(t *testing.T) {
			if err := caddy.Validate(quietConfig(t, []byte(g.want))); err != nil {
				t.Errorf("the whole config: %v", err)
			}
			var root any
			if err := json.Unmarshal([]byte(g.want), &root); err != nil {
				t.Fatal(err)
			}
			found := 0
			visitModules(root, func(id string, raw json.RawMessage) {
				found++
				var module any
				var err error
				switch id {
				case handlerID:
					module, err = load[Handler](t, id, raw)
				case matcherID:
					module, err = load[MatchConsent](t, id, raw)
				}
				if err != nil {
					t.Fatal(err)
				}
				back, err := json.Marshal(module)
				if err != nil {
					t.Fatal(err)
				}
				if !equalJSON(t, string(back), string(raw)) {
					t.Errorf("%s became %s", raw, back)
				}
			})
			if found == 0 && !strings.Contains(g.want, "consent('") {
				t.Error("none of our modules is in it")
			}
		})
	}
}

// visitModules calls f with the JSON of each of our modules within v.
func visitModules(v any, f func(id string, raw json.RawMessage)) {
	switch v := v.(type) {
	case []any:
		for _, member := range v {
			visitModules(member, f)
		}
	case map[string]any:
		if v["handler"] == "kapa_deflector" {
			own := maps.Clone(v)
			delete(own, "handler")
			raw, _ := json.Marshal(own)
			f(handlerID, raw)
			return
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if rules, ok := v[key].(map[string]any); ok && key == "consent" {
				raw, _ := json.Marshal(rules)
				f(matcherID, raw)
				continue
			}
			visitModules(v[key], f)
		}
	}
}

// quietConfig is a Caddy's JSON config without an admin endpoint and a log.
func quietConfig(t *testing.T, raw []byte) *caddy.Config {
	t.Helper()
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(raw, cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Admin = &caddy.AdminConfig{Disabled: true}
	cfg.StorageRaw = json.RawMessage(fmt.Sprintf(`{"module": "file_system", "root": %q}`, t.TempDir()))
	cfg.Logging = discardLogs()
	return cfg
}

func discardLogs() *caddy.Logging {
	return &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output": "discard"}`)}},
	}}
}

// badConfigs are what Provision refuses, with the whole of its error: in
// JSON, or once placeholders are resolved. The environment is that of
// setBadEnv.
var badConfigs = []struct {
	name   string
	fields fields
	want   string
}{
	// attributes
	{
		"no attributes", fields{"attributes": ""},
		"attributes: required attributes are missing: data-integration-id, data-main-input-query-selector, data-submit-element-query-selector, " +
			"data-submit-element-event-type, data-submit-button-query-selector, data-anchor-element-query-selector",
	},
	{
		"some attributes", fields{"attributes": `[{"name": "data-integration-id", "value": "abc"}, {"name": "data-submit-element-event-type", "value": "onClick"}]`},
		"attributes: required attributes are missing: data-main-input-query-selector, data-submit-element-query-selector, " +
			"data-submit-button-query-selector, data-anchor-element-query-selector",
	},
	{
		"an attribute without a name", fields{"attributes": requiredAttributesJSON(nil, `{"value": "x"}`)},
		`attributes: attribute name "": must be data- and lower-case letters, digits and hyphens`,
	},
	{
		"an attribute in upper case", fields{"attributes": requiredAttributesJSON(nil, `{"name": "data-Integration-id", "value": "x"}`)},
		`attributes: attribute name "data-Integration-id": must be data- and lower-case letters, digits and hyphens`,
	},
	{
		"an attribute that would end the tag", fields{"attributes": requiredAttributesJSON(nil, `{"name": "data-x><script>", "value": "x"}`)},
		`attributes: attribute name "data-x><script>": must be data- and lower-case letters, digits and hyphens`,
	},
	{
		"an attribute that is none of the deflector's", fields{"attributes": requiredAttributesJSON(nil, `{"name": "onload", "value": "alert(1)"}`)},
		`attributes: attribute name "onload": must be data- and lower-case letters, digits and hyphens`,
	},
	{
		"a name with a line behind it", fields{"attributes": requiredAttributesJSON(nil, `{"name": "data-x\n", "value": "x"}`)},
		`attributes: attribute name "data-x\n": must be data- and lower-case letters, digits and hyphens`,
	},
	{
		"an attribute twice", fields{"attributes": requiredAttributesJSON(nil, `{"name": "data-integration-id", "value": "def"}`)},
		"attributes: data-integration-id is given twice",
	},
	{
		"an event type of {env}", fields{"attributes": requiredAttributesJSON(fields{kapa.EventType: "{env.BAD_EVENT}"})},
		`attributes: data-submit-element-event-type is "onsubmit": must be one of onClick, onSubmit`,
	},
	{
		"an event type of an {env} that is not set", fields{"attributes": requiredAttributesJSON(fields{kapa.EventType: "{env.BAD_UNSET}"})},
		`attributes: data-submit-element-event-type is empty ({env.BAD_UNSET} is not set): must be one of onClick, onSubmit`,
	},
	{
		"a boolean of {env}", fields{"attributes": requiredAttributesJSON(nil, `{"name": "data-render-on-load", "value": "{env.BAD_EVENT}"}`)},
		`attributes: data-render-on-load is "onsubmit": must be one of true, false`,
	},
	{
		"required attributes that are empty, by {env} or as they stand, all at once",
		fields{"attributes": requiredAttributesJSON(fields{
			"data-integration-id":                "{env.BAD_UNSET}",
			"data-main-input-query-selector":     "",
			"data-submit-element-query-selector": "{env.BAD_EMPTY}",
			"data-anchor-element-query-selector": "{env.BAD_UNSET} {env.BAD_UNSET}{env.BAD_EMPTY}",
		})},
		"attributes: required, but empty: data-integration-id ({env.BAD_UNSET} is not set), data-main-input-query-selector, " +
			"data-submit-element-query-selector ({env.BAD_EMPTY} is empty), " +
			"data-anchor-element-query-selector ({env.BAD_UNSET} is not set, {env.BAD_EMPTY} is empty)",
	},

	// script
	{
		"a script of {env}", fields{"script": `{"url": "{env.BAD_URL}"}`},
		`script: script URL "http://cdn.acme.com/a.js": this kind of URL is not allowed; must be an https URL, a path on the site itself, or a URL of a loopback host`,
	},
	{
		"a script with a placeholder of the request", fields{"script": `{"url": "https://{http.request.host}/a.js"}`},
		`script: script URL "https://{http.request.host}/a.js": request placeholders do not work here; must be an https URL, a path on the site itself, or a URL of a loopback host`,
	},
	{
		"a script with a placeholder of the request, beside one of load time", fields{"script": `{"url": "{env.BAD_SCHEME}://{http.request.host}/a.js"}`},
		`script: script URL "https://{http.request.host}/a.js": request placeholders do not work here; must be an https URL, a path on the site itself, or a URL of a loopback host`,
	},
	{
		"a script with a placeholder of the request that {env} holds", fields{"script": `{"url": "{env.BAD_HOST_URL}"}`},
		`script: script URL "https://{http.request.host}/a.js": request placeholders do not work here; must be an https URL, a path on the site itself, or a URL of a loopback host`,
	},
	{
		"a script without a scheme", fields{"script": `{"url": "//cdn.acme.com/a.js"}`},
		`script: script URL "//cdn.acme.com/a.js": the scheme is missing; must be an https URL, a path on the site itself, or a URL of a loopback host`,
	},
	{
		"a script with a line in it", fields{"script": `{"url": "/a.js\nb"}`},
		`script: script URL "/a.js\nb": white space, backslashes and non-ASCII characters must be percent-encoded; must be an https URL, a path on the site itself, or a URL of a loopback host`,
	},
	{
		"a script with a user", fields{"script": `{"url": "https://a:b@cdn.acme.com/a.js"}`},
		`script: script URL "https://a:b@cdn.acme.com/a.js": it holds a user name; must be an https URL, a path on the site itself, or a URL of a loopback host`,
	},
	{
		"a script that is no URL", fields{"script": `{"url": "https://[::1/a.js"}`},
		`script: script URL "https://[::1/a.js": it cannot be parsed; must be an https URL, a path on the site itself, or a URL of a loopback host`,
	},
	{
		"integrity", fields{"script": `{"integrity": "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="}`},
		`script: integrity "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=": must be sha256-, sha384- or sha512- and the hash in base64`,
	},
	{
		"integrity of {env}", fields{"script": `{"integrity": "{env.BAD_EVENT}"}`},
		`script: integrity "onsubmit": must be sha256-, sha384- or sha512- and the hash in base64`,
	},
	{
		"crossorigin", fields{"script": `{"crossorigin": "yes"}`},
		`script: crossorigin is "yes": must be anonymous or use-credentials`,
	},
	{
		"loading", fields{"script": `{"loading": "lazy"}`},
		`script: loading is "lazy": must be async or defer`,
	},

	// pages
	{
		"a page", fields{"pages": `["/tickets/new", "feedback"]`},
		`pages: path "feedback" matches nothing: a path must begin with / or *`,
	},
	{
		"an empty page", fields{"pages": `[""]`},
		`pages: path "" matches nothing: a path must begin with / or *`,
	},

	// consent
	{
		"no consent", fields{"consent": ""},
		"consent: there is no consent line: write consent cookie <name> [<value>...], consent <platform>, consent ask if the site asks nobody yet or, where the law asks for no consent, consent not_required; to find out which, accept the site's banner in a private window and look up the cookie that it sets (docs/consent.md)",
	},
	{
		"an empty list of consent rules", fields{"consent": `[]`},
		"consent: there is no consent line: write consent cookie <name> [<value>...], consent <platform>, consent ask if the site asks nobody yet or, where the law asks for no consent, consent not_required; to find out which, accept the site's banner in a private window and look up the cookie that it sets (docs/consent.md)",
	},
	{
		"a consent rule without a kind", fields{"consent": `[{"cookie": "cookie_consent"}]`},
		`consent: consent kind "": must be one of cookie, rule, ask, not_required, onetrust, cookiebot, cookieyes, didomi, iubenda, insites, trustarc, complianz, wp_consent_api, real_cookie_banner, borlabs, cookie_law_info, moove, klaro, orestbida, tarteaucitron, civic, axeptio, cookie_script, cookiefirst, cookie_information, consentmanager, ketch, transcend, hubspot, drupal_eucc, cookie_notice, hu_compliance, wpconsent, c15t, consent_pro, datagrail, segment, gitbook, odoo, liferay, aspnet, typo3_sg, cookieadmin, wplp, shopware, magento, tcf, gpp, osano, silktide, termly, usercentrics`,
	},
	{
		"a platform with values", fields{"consent": `[{"kind": "onetrust", "values": ["C0002"]}]`},
		"consent: consent onetrust has no values",
	}, {
		"a platform with a rule", fields{"consent": `[{"kind": "onetrust", "granted": [["equals", "yes"]]}]`},
		"consent: consent onetrust has no granted",
	}, {
		"a cookie with categories", fields{"consent": `[{"kind": "cookie", "cookie": "a", "categories": ["b"]}]`},
		"consent: consent cookie has no categories",
	}, {
		"a platform that the edge cannot see", fields{"consent": `[{"kind": "silktide"}]`},
		"consent silktide needs loader, because only the page can see its answer: add the line loader",
	}, {
		"consent ask for half a day", fields{"loader": `"idle"`, "consent": `[{"kind": "ask", "ask": {"policy": "/privacy", "max_age": 43200000000000}}]`},
		"consent: consent ask: max_age is 12h0m0s: must be whole days, from 1d to 400d",
	}, {
		"consent ask without its settings", fields{"loader": `"idle"`, "consent": `[{"kind": "ask"}]`},
		"consent: consent ask has no policy: write policy <url>, with the address of your privacy policy",
	}, {
		"another kind with a question", fields{"consent": `[{"kind": "onetrust", "ask": {"policy": "/privacy"}}]`},
		"consent: consent onetrust has no ask",
	}, {
		"an experiment that holds everybody out", fields{"loader": `"idle"`, "cookie": `{"renew": true}`, "experiment": `{"holdout": 100, "submissions": ["/x"]}`},
		"experiment holdout is 100: must be above 0 and below 100",
	}, {
		"an experiment whose submissions match nothing", fields{"loader": `"idle"`, "cookie": `{"renew": true}`, "experiment": `{"holdout": 1, "submissions": ["x"]}`},
		`experiment submissions: path "x" matches nothing: a path must begin with / or *`,
	}, {
		"a cookie of a platform that only the page sees", fields{"consent": `[{"kind": "cookie", "cookie": "osano_consentmanager"}]`},
		"consent: consent cookie osano_consentmanager is of osano, whose answer only the page can see: write consent osano and loader",
	}, {
		"a platform that nobody can see", fields{"consent": `[{"kind": "sourcepoint"}]`},
		"consent: consent sourcepoint cannot be read here, because its cookie holds nothing but an id; where it keeps a TC string, write tcf: " + mirrorCookie,
	}, {
		"a category of {env} that is not set", fields{"consent": `[{"kind": "onetrust", "categories": ["{env.BAD_UNSET}"]}]`},
		`consent: consent onetrust category "": it is empty, a word of its own or given twice`,
	}, {
		"a rule without a cookie", fields{"consent": `[{"kind": "rule", "granted": [["equals", "yes"]]}]`},
		"consent: consent rule : the cookie's name is empty",
	}, {
		"a rule with an empty line", fields{"consent": `[{"kind": "rule", "cookie": "a", "granted": [[]]}]`},
		"consent: consent rule a: granted : a test is missing: must be one of equals, has, pair, json, purposes, publisher_purposes, cookie",
	},
	{
		"a consent cookie without a name", fields{"consent": `[{"kind": "cookie", "values": ["accepted"]}]`},
		"consent: consent cookie has no name: write consent cookie <name> [<value>...]",
	},
	{
		"a consent cookie with a name of {env} that is not set", fields{"consent": `[{"kind": "cookie", "cookie": "{env.BAD_UNSET}"}]`},
		"consent: consent cookie has no name: write consent cookie <name> [<value>...]",
	},
	{
		"a consent cookie with a bad name of {env}", fields{"consent": `[{"kind": "cookie", "cookie": "{env.BAD_PAIR}"}]`},
		`consent: consent cookie name "a=b;c": a cookie's name has no white space, = or ;`,
	},
	{
		"a consent value of {env} that is not set", fields{"consent": `[{"kind": "cookie", "cookie": "cookie_consent", "values": ["accepted", "{env.BAD_UNSET}"]}]`},
		"consent: consent cookie cookie_consent: an empty value cannot mean yes",
	},
	{
		"a bad consent value of {env}", fields{"consent": `[{"kind": "cookie", "cookie": "cookie_consent", "values": ["{env.BAD_PAIR}"]}]`},
		`consent: consent cookie cookie_consent: the value "a=b;c" must not hold ; or begin or end with white space`,
	},
	{
		"the second rule", fields{"consent": `[{"kind": "cookie", "cookie": "cookie_consent"}, {"kind": "cookie", "cookie": "a b"}]`},
		`consent: consent cookie name "a b": a cookie's name has no white space, = or ;`,
	},
	{
		"not_required beside another", fields{"consent": `[{"kind": "cookie", "cookie": "cookie_consent"}, {"kind": "not_required"}]`},
		"consent: consent not_required stands alone: remove it or the other consent lines",
	},
	{
		"not_required with a cookie", fields{"consent": `[{"kind": "not_required", "cookie": "cookie_consent"}]`},
		"consent: consent not_required has no cookie",
	},
	{
		"without_consent", fields{"without_consent": `"deny"`},
		`without_consent is "deny": must be skip or untracked`,
	},
	{
		"a loader that starts at no time", fields{"loader": `"soon"`},
		`loader is "soon": must be load, idle or interaction`,
	}, {
		"without_consent where none is required", fields{"without_consent": `"untracked"`, "consent": `[{"kind": "not_required"}]`},
		"without_consent has no effect with consent not_required, where no visitor is without consent: remove one of them",
	},

	// cookie
	{
		"cookie off and a domain", fields{"cookie": `{"off": true, "domain": "acme.com"}`},
		"cookie: off allows no domain, max_age, same_site or renew, because no id is set",
	},
	{
		"cookie off and renew", fields{"cookie": `{"off": true, "renew": true}`},
		"cookie: off allows no domain, max_age, same_site or renew, because no id is set",
	},
	{
		"a domain of {env}", fields{"cookie": `{"domain": "{env.BAD_SUFFIX}"}`},
		`cookie: domain "co.uk" is a public suffix, for which browsers keep no cookie: write a domain below it, or "host"`,
	},
	{
		"a domain that {env} makes an address", fields{"cookie": `{"domain": "192.0.2.{env.BAD_NUMBER}"}`},
		`cookie: domain "192.0.2.7": cookies of an address or a single name have no domain: write "host"`,
	},
	{
		"a domain that {env} leaves empty", fields{"cookie": `{"domain": "{env.BAD_UNSET}"}`},
		"cookie: domain is empty: {env.BAD_UNSET} is not set",
	},
	{
		"a URL that {env} leaves empty", fields{"script": `{"url": "{env.BAD_UNSET}"}`},
		"script: url is empty: {env.BAD_UNSET} is not set",
	},
	{
		"a hash that {env} leaves empty", fields{"script": `{"url": "/a.js", "integrity": "{env.BAD_UNSET}"}`},
		"script: integrity is empty: {env.BAD_UNSET} is not set",
	},
	{
		"one cookie in two rules", fields{"consent": `[{"kind": "cookie", "cookie": "c", "values": ["a"]}, {"kind": "cookie", "cookie": "c", "values": ["b"]}]`},
		"consent: consent cookie c is given twice, and both lines would have to be satisfied: list all values that mean yes in one line",
	},
	{
		"a domain in upper case", fields{"cookie": `{"domain": "ACME.com"}`},
		`cookie: domain "ACME.com": must be a domain name in lower case, in its ASCII form (xn--...), or "host"`,
	},
	{
		"a domain with another attribute behind it", fields{"cookie": `{"domain": "acme.com; HttpOnly"}`},
		`cookie: domain "acme.com; HttpOnly": must be a domain name in lower case, in its ASCII form (xn--...), or "host"`,
	},
	{
		"a domain with a placeholder of the request", fields{"cookie": `{"domain": "{http.request.host}"}`},
		`cookie: domain "{http.request.host}": request placeholders do not work here; without the line it is the registrable domain of each request's host`,
	},
	{
		"max_age below zero", fields{"cookie": `{"max_age": -1}`},
		"cookie: max_age is -1ns: must be 1s to 400d (9600h), where browsers cut it off",
	},
	{
		"max_age in seconds, where Caddy takes nanoseconds", fields{"cookie": `{"max_age": 34473600}`},
		"cookie: max_age is 34.4736ms: must be 1s to 400d (9600h), where browsers cut it off",
	},
	{
		"max_age above 400 days", fields{"cookie": `{"max_age": "401d"}`},
		"cookie: max_age is 9624h0m0s: must be 1s to 400d (9600h), where browsers cut it off",
	},
	{
		"same_site", fields{"cookie": `{"same_site": "Lax"}`},
		`cookie: same_site is "Lax": must be lax, strict or none`,
	},

	// user
	{
		"an empty user", fields{"user": `{}`},
		"user is empty: write unique_client_id, email or metadata",
	},
	{
		"metadata without a name", fields{"user": `{"metadata": {"": "x"}}`},
		"user metadata has a key without a name",
	},

	// csp
	{
		"csp", fields{"csp": `{"mode": "on"}`},
		`csp is "on": must be reuse, extend or off`,
	},
	{
		"sources that nothing is done with", fields{"csp": `{"sources": {"connect-src": ["https://proxy.kapa.ai"]}}`},
		"csp sources have no effect without csp extend: write csp extend, or remove the sources",
	},
	{
		"a source of an {env} that is not set", fields{"csp": `{"mode": "extend", "sources": {"connect-src": ["{env.BAD_UNSET}"]}}`},
		`csp connect-src "": must be a scheme, such as data:, or a host, such as https://proxy.example.com`,
	},
	{
		"a source of {env}", fields{"csp": `{"mode": "extend", "sources": {"connect-src": ["{env.BAD_PAIR}"]}}`},
		`csp connect-src "a=b;c": must be a scheme, such as data:, or a host, such as https://proxy.example.com`,
	},
}

// setBadEnv is the environment of badConfigs.
func setBadEnv(t *testing.T) {
	t.Helper()
	for name, val := range map[string]string{
		"EVENT":    "onsubmit",
		"URL":      "http://cdn.acme.com/a.js",
		"SCHEME":   "https",
		"HOST_URL": "https://{http.request.host}/a.js",
		"PAIR":     "a=b;c",
		"SUFFIX":   "co.uk",
		"NUMBER":   "7",
		"EMPTY":    "",
	} {
		t.Setenv("BAD_"+name, val)
	}
}

func expectedConfigErrors() (all []string) {
	for _, tc := range badConfigs {
		all = append(all, tc.want)
	}
	return all
}

func TestBadConfigs(t *testing.T) {
	setBadEnv(t)
	for _, tc := range badConfigs {
		t.Run(tc.name, func(t *testing.T) {
			_, err := loadHandler(t, soundFields.with(tc.fields))
			if err == nil {
				t.Fatal("no error")
			}
			want := "provision " + handlerID + ": " + tc.want
			if err.Error() != want {
				t.Errorf("got\n%s\nwant\n%s", err, want)
			}
		})
	}
}

// The checks see the content of the file that {file.*} names.
func TestValuesFromFiles(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"id":     "abc-123\n",
		"braces": "{env.HOME}{http.request.host}\n",
		"event":  "onsubmit\n",
		"empty":  "\n",
	} {
		write(t, filepath.Join(dir, name), content)
	}
	file := func(name string) string { return "{file." + filepath.Join(dir, name) + "}" }

	h, err := loadHandler(t, soundFields.with(fields{"attributes": requiredAttributesJSON(fields{
		"data-integration-id":            file("id"),
		"data-main-input-query-selector": file("braces"),
	})}))
	if err != nil {
		t.Fatal(err)
	}
	in, err := h.block.tracked.complete(replacerOf(newRequest(t, "GET", "/")))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`data-integration-id="abc-123"`, `data-main-input-query-selector="{env.HOME}{http.request.host}"`} {
		if !strings.Contains(string(in.HTML), want) {
			t.Errorf("no %s in %s", want, in.HTML)
		}
	}
	if in.varies {
		t.Error("what a file holds is taken for a placeholder of the request")
	}

	for name, tc := range map[string]struct{ attribute, want string }{
		"empty":     {"data-integration-id", "attributes: required, but empty: data-integration-id (" + file("empty") + " is empty or cannot be read)"},
		"not there": {"data-integration-id", "attributes: required, but empty: data-integration-id (" + file("not there") + " is empty or cannot be read)"},
		"event":     {kapa.EventType, `attributes: data-submit-element-event-type is "onsubmit": must be one of onClick, onSubmit`},
	} {
		_, err := loadHandler(t, soundFields.with(fields{"attributes": requiredAttributesJSON(fields{tc.attribute: file(name)})}))
		if err == nil || !strings.HasSuffix(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}

// An unknown field is an error.
func TestUnknownFields(t *testing.T) {
	for name, f := range map[string]fields{
		"live_consent": {"live_consent": "true"},
		"source":       {"csp": `{"mode": "extend", "source": {}}`},
		"attribute":    {"attribute": "[]"},
		"defer":        {"script": `{"defer": true}`},
		"maxage":       {"cookie": `{"maxage": "1d"}`},
		"http_only":    {"cookie": `{"http_only": true}`},
		"company":      {"user": `{"company": "Acme"}`},
		"category":     {"consent": `[{"kind": "cookie", "cookie": "a", "category": "b"}]`},
		"values":       {"attributes": `[{"name": "data-x", "values": "y"}]`},
	} {
		_, err := loadHandler(t, soundFields.with(f))
		if err == nil || !strings.Contains(err.Error(), `unknown field "`+name+`"`) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, raw := range map[string]string{
		"cookie": `{"cookie": "cookie_consent"}`,
		"value":  `{"rules": [{"kind": "cookie", "cookie": "a", "value": "b"}]}`,
	} {
		_, err := load[MatchConsent](t, matcherID, json.RawMessage(raw))
		if err == nil || !strings.Contains(err.Error(), `unknown field "`+name+`"`) {
			t.Errorf("matcher, %s: got %v", name, err)
		}
	}
}

// Provision leaves the settings as they were written, with their placeholders, so
// that Caddy shows and saves the config that it was given.
func TestLoadingChangesNoSetting(t *testing.T) {
	setTestEnv(t)
	f := soundFields.with(fields{
		"pages":  `["/Tickets/New"]`,
		"script": `{"url": "{env.KAPA_TEST_SCRIPT}", "integrity": "{env.KAPA_TEST_INTEGRITY}"}`,
		"cookie": `{"domain": "{env.KAPA_TEST_DOMAIN}"}`,
		"consent": `[{"kind": "cookie", "cookie": "{env.KAPA_TEST_NAME}", "values": ["{env.KAPA_TEST_VALUE}"]},
			{"kind": "cookie", "cookie": "second"}]`,
		"user": `{"email": "{http.request.header.X-Mail}"}`,
		"csp":  `{"mode": "extend", "sources": {"img-src": [], "script-src": ["{env.KAPA_TEST_SCRIPT}"]}}`,
	})
	h, err := loadHandler(t, f)
	if err != nil {
		t.Fatal(err)
	}
	back, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	if !equalJSON(t, string(back), string(f.json())) {
		t.Errorf("got %s, want %s", back, f.json())
	}
	if h.block.cookie.Domain != "acme.com" || len(h.block.consent.rules) != 2 || !slices.Contains(h.block.tracked.script, Attribute{"src", "https://cdn.acme.com/kapa.js"}) {
		t.Errorf("not resolved: %+v", h)
	}
}

func TestDefaults(t *testing.T) {
	h, err := loadHandler(t, soundFields)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Cookie{MaxAge: caddy.Duration(34473600 * time.Second), SameSite: "lax"}); h.block.cookie != want {
		t.Errorf("cookie: got %+v, want %+v", h.block.cookie, want)
	}
	want := []Attribute{{"src", "https://widget.kapa.ai/kapa-support-form-deflector.bundle.js"}}
	if h.block.tracked.loading != "async" || !slices.Equal(h.block.tracked.script, want) {
		t.Errorf("script: got %q, want %q", h.block.tracked.script, want)
	}
	if h.block.policy.Off || h.block.policy.Extend {
		t.Errorf("policies: %+v", h.block.policy)
	}
	if h.block.untracked != nil || len(h.block.pages) != 0 {
		t.Errorf("untracked %v, pages %v", h.block.untracked, h.block.pages)
	}
}

const (
	ownScript = `"url": "https://cdn.acme.com/kapa-support-form-deflector.bundle.js"`
	someHash  = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
)

func attribute(name, value string) string {
	return fmt.Sprintf(`{"name": %q, "value": %q}`, name, value)
}

func attributes(further ...string) fields {
	return fields{"attributes": requiredAttributesJSON(nil, further...)}
}

func TestWarnings(t *testing.T) {
	const (
		noEffect = "user and data-user-email-query-selector have no effect while cookie and fingerprint tracking are off: the deflector then sends no identifiers"
		finger   = "data-user-analytics-fingerprint-enabled is not false: withdrawing consent cannot undo a fingerprint, and no kapa_web_id is set"
		fileName = "script: the file name is neither kapa-support-form-deflector.bundle.js nor a version of it; the bundle may look for its own tag by that name"
		sri      = "script: integrity on Kapa's own URL, which names no version: browsers will block Kapa's next release"
	)
	setTestEnv(t)
	t.Setenv("KAPA_TEST_FALSE", "false")
	email := attribute("data-user-email-query-selector", "#email")
	noCookies := attribute("data-user-analytics-cookie-enabled", "false")
	user := `{"email": "{http.request.header.X-Mail}"}`

	for _, tc := range []struct {
		name   string
		fields fields
		want   []string
	}{
		{"nothing but what is required", nil, nil},
		{
			"everything, and all of it sound",
			attributes(attribute("data-project-color", "#123456"), email, attribute("data-user-analytics-fingerprint-enabled", "false"),
				attribute("data-user-analytics-cookie-enabled", "true"), attribute("data-brand-new", "{http.request.host}")).with(fields{
				"script":          `{` + ownScript + `, "integrity": "` + someHash + `"}`,
				"pages":           `["/tickets/new"]`,
				"without_consent": `"untracked"`,
				"cookie":          `{"domain": "acme.com", "max_age": "395d", "same_site": "strict", "renew": true}`,
				"user":            user,
			}),
			nil,
		},
		{"cookie off", fields{"cookie": `{"off": true}`, "user": user}, nil},

		{
			"a typo", attributes(attribute("data-projekt-color", "#123456")),
			[]string{"attributes: data-projekt-color is passed on as it is; did you mean data-project-color?"},
		},
		{
			"each typo", attributes(attribute("data-font-size-x", "1"), attribute("data-brand-new", "1"), attribute("data-handoff-enable", "true")),
			[]string{
				"attributes: data-font-size-x is passed on as it is; did you mean data-font-size-xs?",
				"attributes: data-handoff-enable is passed on as it is; did you mean data-handoff-enabled?",
			},
		},
		{
			"the website widget's names", attributes(attribute("data-website-id", "abc"), attribute("data-consent-required", "true")),
			[]string{
				"attributes: data-website-id belongs to Kapa's website widget; the deflector does not read it",
				"attributes: data-consent-required belongs to Kapa's website widget; the deflector does not read it",
			},
		},
		{"names in the style of the answer box's parts", attributes(attribute("data-answer-box-color", "red"), attribute("data-answer-box-header-font-size", "1px")), nil},

		{"integrity on Kapa's URL", fields{"script": `{"integrity": "` + someHash + `"}`}, []string{sri}},
		{"integrity on a URL of one's own", fields{"script": `{` + ownScript + `, "integrity": "` + someHash + `"}`}, nil},
		{"another file name", fields{"script": `{"url": "https://cdn.acme.com/kapa.js"}`}, []string{fileName}},
		{"a release of Kapa's", fields{"script": `{"url": "https://widget.kapa.ai/kapa-support-form-deflector.dev-x-v1.2.3.bundle.js"}`}, nil},
		{"another file name, from {env}", fields{"script": `{"url": "{env.KAPA_TEST_SCRIPT}"}`}, []string{fileName}},
		{"another file name on the site itself", fields{"script": `{"url": "/kapa.js"}`}, []string{fileName}},
		{"the file name with a query and a fragment", fields{"script": `{"url": "/js/kapa-support-form-deflector.bundle.js?v=/2#a/b"}`}, nil},
		{"the file name in the query only", fields{"script": `{"url": "/load?file=/kapa-support-form-deflector.bundle.js"}`}, []string{fileName}},

		{"user without tracking", attributes(noCookies).with(fields{"user": user}), []string{noEffect}},
		{"the e-mail selector without tracking", attributes(noCookies, email), []string{noEffect}},
		{"both, logged once", attributes(noCookies, email).with(fields{"user": user}), []string{noEffect}},
		{"without tracking by {env}", attributes(attribute("data-user-analytics-cookie-enabled", "{env.KAPA_TEST_FALSE}"), email), []string{noEffect}},
		{"tracking that a request may switch on", attributes(attribute("data-user-analytics-cookie-enabled", "{http.request.header.X-Track}"), email), nil},
		{"without tracking, and nothing known of the visitor", attributes(noCookies), nil},

		{"fingerprint", attributes(attribute("data-user-analytics-fingerprint-enabled", "true")), []string{finger}},
		{"a fingerprint that a request may switch on", attributes(attribute("data-user-analytics-fingerprint-enabled", "{http.request.header.X-Track}")), []string{finger}},
		{"no fingerprint, by {env}", attributes(attribute("data-user-analytics-fingerprint-enabled", "{env.KAPA_TEST_FALSE}")), nil},
		{
			"the fingerprint in place of the cookie", attributes(noCookies, attribute("data-user-analytics-fingerprint-enabled", "true"), email),
			[]string{finger},
		},

		{
			"consent not required", fields{"consent": `[{"kind": "not_required"}]`},
			[]string{"consent not_required: every visitor gets the script and the id without being asked"},
		},
		{
			"presence", fields{"consent": `[{"kind": "cookie", "cookie": "a"}, {"kind": "cookie", "cookie": "b", "values": ["yes"]}, {"kind": "cookie", "cookie": "c"}]`},
			[]string{
				"consent cookie a: its presence alone counts as consent; name the values that mean yes",
				"consent cookie c: its presence alone counts as consent; name the values that mean yes",
			},
		},
		{
			"a yes for a scroll or a click", fields{"consent": `[{"kind": "cookie_notice"}, {"kind": "klaro", "categories": ["kapa"]}, {"kind": "wplp"}, {"kind": "segment", "categories": ["functional"]}]`},
			[]string{
				`consent cookie_notice: its setting "on scroll" or "on click" would make the platform write a yes for visitors who have not chosen, and its cookie does not show it; see that this is off`,
				`consent wplp: automatic acceptance on scroll or click would make the platform write a yes for visitors who have not chosen, and its cookie does not show it; see that this is off`,
				`consent segment: implyConsentOnInteraction or closeBehavior accept would make the platform write a yes for visitors who have not chosen, and its cookie does not show it; see that this is off`,
			},
		},
		{
			"several at once", attributes(attribute("data-projekt-color", "red")).with(fields{"script": `{"url": "/kapa.js"}`, "consent": `[{"kind": "not_required"}]`}),
			[]string{
				fileName,
				"attributes: data-projekt-color is passed on as it is; did you mean data-project-color?",
				"consent not_required: every visitor gets the script and the id without being asked",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, err := loadHandler(t, soundFields.with(tc.fields))
			if err != nil {
				t.Fatal(err)
			}
			var script Script
			if h.Script != nil {
				script = *h.Script
			}
			if script, err = script.provision(); err != nil {
				t.Fatal(err)
			}
			if got := h.warnings(script); !slices.Equal(got, tc.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

// site is a Caddy's whole JSON config with one route.
func site(listen, route string) []byte {
	return []byte(`{"apps": {"http": {"servers": {"srv0": {"listen": ["` + listen + `"], "routes": [` + route + `]}}}}}`)
}

// handlerRoute is a route with our handler.
func handlerRoute(f fields) string {
	return `{"handle": [` + string(f.with(fields{"handler": `"kapa_deflector"`}).json()) + `]}`
}

// Whatever is wrong with a config is found before anything listens.
func TestMistakesNeverStart(t *testing.T) {
	setBadEnv(t)
	fromCaddyfile := func(lines string) []byte {
		t.Helper()
		cfg, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte("http://support.acme.com {\n"+lines+"\n}\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	block := func(lines string) []byte { return fromCaddyfile("kapa_deflector {\n" + lines + "\n}") }
	matcher := func(raw string) []byte {
		return site(":8080", `{"match": [{"consent": `+raw+`}], "handle": [{"handler": "static_response"}]}`)
	}

	for _, tc := range []struct {
		name string
		cfg  []byte
		want string // in the error; empty where there is none
	}{
		{"sound JSON", site(":8080", handlerRoute(soundFields)), ""},
		{"sound Caddyfile", block(requiredLines + consentLine), ""},
		{"sound matcher", matcher(`{"rules": [{"kind": "cookie", "cookie": "cookie_consent"}]}`), ""},

		{"a bad setting", site(":8080", handlerRoute(soundFields.with(fields{"without_consent": `"deny"`}))), "without_consent is"},
		{"an unknown field", site(":8080", handlerRoute(soundFields.with(fields{"live": `true`}))), `unknown field "live"`},
		{"a wrong type", site(":8080", handlerRoute(soundFields.with(fields{"pages": `"/tickets/new"`}))), "pages"},
		{"nothing but the name", site(":8080", `{"handle": [{"handler": "kapa_deflector"}]}`), "consent: there is no consent line"},
		{
			"in a nested route",
			site(":8080", `{"handle": [{"handler": "subroute", "routes": [`+handlerRoute(soundFields.with(fields{"consent": ""}))+`]}]}`),
			"consent: there is no consent line",
		},
		{"an {env} that is not set", block(strings.Replace(requiredLines, "abc", "{env.BAD_UNSET}", 1) + consentLine), "required, but empty: data-integration-id ({env.BAD_UNSET} is not set)"},
		{"a bad domain in {env}", block(requiredLines + consentLine + "cookie {\n domain {env.BAD_SUFFIX}\n}"), `domain "co.uk" is a public suffix`},
		{"a bad URL in {env}", block(requiredLines + consentLine + "script {env.BAD_URL}"), `script URL "http://cdn.acme.com/a.js"`},
		{"a matcher without rules", matcher(`{}`), "the consent matcher has no rules"},
		{"a matcher with an unknown kind", matcher(`{"rules": [{"kind": "two_trust"}]}`), `consent kind "two_trust"`},
		{"an expression with an unknown kind", fromCaddyfile("@c expression consent('two_trust', 'C0002')\nrespond @c ok"), `consent kind "two_trust"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := caddy.Validate(quietConfig(t, tc.cfg))
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}

	t.Run("nobody listens", func(t *testing.T) {
		address := "127.0.0.1:" + caddytest.FreePort(t)
		cfg := quietConfig(t, site(address, handlerRoute(soundFields.with(fields{"consent": ""}))))
		raw, err := json.Marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := caddy.Load(raw, true); err == nil {
			caddy.Stop()
			t.Fatal("loaded")
		}
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Error("somebody listens")
		}
	})
}

// The warnings of a config are in the log when it is loaded, once each.
func TestWarningsAreLogged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	cfg := quietConfig(t, site(":8080", handlerRoute(soundFields.with(attributes(attribute("data-projekt-color", "red"))))))
	cfg.Logging.Logs["default"].WriterRaw = json.RawMessage(fmt.Sprintf(`{"output": "file", "filename": %q}`, file))
	cfg.Logging.Logs["default"].EncoderRaw = json.RawMessage(`{"format": "json"}`)
	if err := caddy.Validate(cfg); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(log)) {
		var entry struct{ Level, Logger, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Logger != handlerID {
			continue
		}
		found++
		if entry.Level != "warn" || entry.Msg != "attributes: data-projekt-color is passed on as it is; did you mean data-project-color?" {
			t.Errorf("%+v", entry)
		}
	}
	if found != 1 {
		t.Errorf("%d lines in %s", found, log)
	}
}

func TestMatchConsentConfig(t *testing.T) {
	setTestEnv(t)
	setBadEnv(t)
	for _, tc := range []struct{ name, json, want string }{
		{"one rule", `{"rules": [{"kind": "cookie", "cookie": "cookie_consent", "values": ["accepted"]}]}`, ""},
		{"names and values of {env}", `{"rules": [{"kind": "cookie", "cookie": "{env.KAPA_TEST_NAME}", "values": ["{env.KAPA_TEST_VALUE}"]}]}`, ""},
		{"not required", `{"rules": [{"kind": "not_required"}]}`, "consent not_required would match every request: leave the matcher out"},
		{
			"not required beside another", `{"rules": [{"kind": "cookie", "cookie": "a"}, {"kind": "not_required"}]}`,
			"consent not_required would match every request: leave the matcher out",
		},
		{"no name", `{"rules": [{"kind": "cookie"}]}`, "consent cookie has no name: write consent cookie <name> [<value>...]"},
		{"no name in {env}", `{"rules": [{"kind": "cookie", "cookie": "{env.BAD_UNSET}"}]}`, "consent cookie has no name: write consent cookie <name> [<value>...]"},
		{
			"a bad value in {env}", `{"rules": [{"kind": "cookie", "cookie": "a", "values": ["{env.BAD_PAIR}"]}]}`,
			`consent cookie a: the value "a=b;c" must not hold ; or begin or end with white space`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m, err := load[MatchConsent](t, matcherID, json.RawMessage(tc.json))
			if tc.want != "" {
				if want := "provision " + matcherID + ": " + tc.want; err == nil || err.Error() != want {
					t.Errorf("got\n%v\nwant\n%s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for cookies, want := range consentAnswers {
				if got, err := m.MatchWithError(newRequest(t, "GET", "/", "Cookie: "+cookies)); got != want || err != nil {
					t.Errorf("%q: got %v, %v", cookies, got, err)
				}
			}
		})
	}
}

// consentAnswers is whether a Cookie header grants consent by consentLine.
var consentAnswers = map[string]bool{
	"":                                 false,
	granted:                            true,
	"a=1; " + granted + "; b=2":        true,
	granted + "; " + granted:           true,
	granted + "; " + denied:            false,
	denied:                             false,
	unknown:                            false,
	"cookie_consent=":                  false,
	"cookie_consent":                   false,
	"cookie_consent=Accepted":          false,
	"COOKIE_CONSENT=accepted":          false,
	"cookie_consent=accepted\x00":      false,
	"x=1,cookie_consent=accepted":      false,
	`cookie_consent="accepted"`:        false,
	"x=;cookie_consent = accepted\t;;": true,
}

// matchExpression loads an expression as Caddy does.
func matchExpression(t *testing.T, expression string) (*caddyhttp.MatchExpression, error) {
	raw, err := json.Marshal(expression)
	if err != nil {
		t.Fatal(err)
	}
	return load[caddyhttp.MatchExpression](t, "http.matchers.expression", raw)
}

// checkExpression expects the expression to match a request, or not to.
func checkExpression(t *testing.T, expression, path, cookies string, want bool) {
	t.Helper()
	m, err := matchExpression(t, expression)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.MatchWithError(newRequest(t, "GET", path, "Cookie: "+cookies)); got != want || err != nil {
		t.Errorf("%s with %q: got %v, %v", expression, cookies, got, err)
	}
}

func TestMatchConsentInCEL(t *testing.T) {

	for cookies, want := range consentAnswers {
		checkExpression(t, "consent('cookie', 'cookie_consent', 'accepted')", "/", cookies, want)
		checkExpression(t, "!consent('cookie', 'cookie_consent', 'accepted')", "/", cookies, !want)
		checkExpression(t, "consent('cookie', 'cookie_consent', 'accepted') && path('/surveys/*')", "/surveys/1", cookies, want)
		checkExpression(t, "consent('cookie', 'cookie_consent', 'accepted') && path('/surveys/*')", "/", cookies, false)
	}
	checkExpression(t, "consent('cookie', 'cookie_consent', 'all', 'accepted')", "/", granted, true)
	checkExpression(t, "consent('cookie', 'cookie_consent')", "/", granted, true)
	checkExpression(t, "consent('cookie', 'cookie_consent')", "/", denied, false)
	checkExpression(t, "consent('cookie', 'cookie_consent', 'accepted') && consent('cookie', 'second', 'yes')", "/", granted, false)
	checkExpression(t, "consent('cookie', 'cookie_consent', 'accepted') && consent('cookie', 'second', 'yes')", "/", granted+"; second=yes", true)
	checkExpression(t, "consent('cookie', 'cookie_consent', 'accepted') || consent('cookie', 'second', 'yes')", "/", "second=yes", true)

	for expression, want := range map[string]string{
		"consent()":                               "matcher requires at least one argument",
		"consent(1)":                              "matcher arguments must be string constants",
		"consent(['cookie', 'a'])":                "matcher arguments must be string constants",
		"consent('')":                             `consent kind "": must be one of`,
		"consent('cookie')":                       "consent cookie has no name: write consent cookie <name> [<value>...]",
		"consent('cookie', 'a b')":                `consent cookie name "a b"`,
		"consent('cookie', 'a', '')":              "consent cookie a: an empty value cannot mean yes",
		"consent('two_trust', 'C0002')":           `consent kind "two_trust": must be one of`,
		"consent('onetrust', '')":                 `consent onetrust category ""`,
		"consent('rule', 'a')":                    "consent rule a: there is no granted line",
		"consent('termly')":                       "consent termly works in kapa_deflector only, with loader",
		"consent('shopify')":                      "consent shopify cannot be read here",
		"consent('ask')":                          "consent ask works in kapa_deflector only, with loader",
		"consent('not_required')":                 "consent not_required would match every request: leave the matcher out",
		"path('/a') || consent('not_required')":   "consent not_required would match every request: leave the matcher out",
		"consent('not_required', 'cookie', 'a')":  "consent not_required takes no further words",
		"consent('cookie', 'a', 'yes') == 'true'": "no matching overload",
	} {
		if _, err := matchExpression(t, expression); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", expression, err, want)
		}
	}
}

// Caddy's site shows the config's fields with their doc comments, so each field needs
// one. A setting that is not given must not appear in a saved config.
func TestEveryFieldIsDocumented(t *testing.T) {
	comments := docComments(t)
	sentences := regexp.MustCompile("(?s)^[A-Z`].*[.]\n$")
	seen := make(map[reflect.Type]bool)
	var visit func(typ reflect.Type, path string)
	visit = func(typ reflect.Type, path string) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			visit(typ.Elem(), path)
			return
		case reflect.Struct:
		default:
			if pkg := typ.PkgPath(); pkg != "" && !strings.HasPrefix(pkg, "github.com/caddyserver/caddy/v2") {
				t.Errorf("%s is of type %s", path, typ)
			}
			return
		}
		if typ.PkgPath() != reflect.TypeFor[Handler]().PkgPath() {
			t.Errorf("%s is of type %s", path, typ)
			return
		}
		if seen[typ] {
			return
		}
		seen[typ] = true
		if comment := comments[typ.Name()]; !strings.HasPrefix(comment, typ.Name()+" ") {
			t.Errorf("type %s: comment %q", typ.Name(), comment)
		}
		for i := range typ.NumField() {
			field := typ.Field(i)
			if !field.IsExported() {
				continue
			}
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != strings.ToLower(name) || name == "" || options != "omitempty" {
				t.Errorf("%s.%s: tag %q", typ.Name(), field.Name, field.Tag)
			}
			// shown under the field's name: whole sentences, which do not repeat it
			if comment := comments[typ.Name()+"."+field.Name]; !sentences.MatchString(comment) || strings.HasPrefix(comment, field.Name+" ") {
				t.Errorf("%s.%s: comment %q", typ.Name(), field.Name, comment)
			}
			visit(field.Type, typ.Name()+"."+field.Name)
		}
	}
	visit(reflect.TypeFor[Handler](), "")
	visit(reflect.TypeFor[MatchConsent](), "")
	if len(seen) < 7 {
		t.Errorf("only %d types: has this test become blind?", len(seen))
	}
	if raw, err := json.Marshal(Handler{}); string(raw) != "{}" || err != nil {
		t.Errorf("an empty handler is %s, %v", raw, err)
	}
}

// docComments are the comments of types and of their fields, by "Type" and
// "Type.Field".
func docComments(t *testing.T) map[string]string {
	t.Helper()
	comments := make(map[string]string)
	for _, name := range []string{"module.go", "tag.go", "script.go", "cookie.go", "consent.go", "matcher.go", "csp.go", "ask.go", "experiment.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.TYPE {
				continue
			}
			for _, spec := range gen.Specs {
				typ := spec.(*ast.TypeSpec)
				comments[typ.Name.Name] = gen.Doc.Text()
				fields, ok := typ.Type.(*ast.StructType)
				if !ok {
					continue
				}
				for _, field := range fields.Fields.List {
					for _, fieldName := range field.Names {
						comments[typ.Name.Name+"."+fieldName.Name] = field.Doc.Text()
					}
				}
			}
		}
	}
	return comments
}

// Every name that Kapa documents may be configured.
func TestDocumentedAttributesAreAccepted(t *testing.T) {
	for _, name := range kapa.DocumentedAttributes {
		if err := (Attribute{Name: name}).checkName(); err != nil {
			t.Error(err)
		}
	}
}
