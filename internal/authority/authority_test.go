package authority

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestParse(t *testing.T) {
	for host, want := range map[string]struct {
		host string
		kind Kind
	}{
		"support.acme.com":                     {"support.acme.com", Name},
		"Support.ACME.com:8443":                {"support.acme.com", Name},
		"support.acme.com.":                    {"support.acme.com", Rooted},
		"my_help.acme.com":                     {"my_help.acme.com", Name},
		"xn--bcher-kva.example":                {"xn--bcher-kva.example", Name},
		"localhost:2015":                       {"localhost", Single},
		"127.0.0.1:80":                         {"127.0.0.1", IP},
		"127.1":                                {"127.1", IP},
		"[::1]:443":                            {"::1", IP},
		"[fe80::1]":                            {"fe80::1", IP},
		"":                                     {"", Invalid},
		"a..b":                                 {"", Invalid},
		".acme.com":                            {"", Invalid},
		"acme.com; HttpOnly":                   {"", Invalid},
		"bücher.example":                       {"", Invalid},
		strings.Repeat("a", 64) + ".acme.com":  {"", Invalid},
		strings.Repeat("a.", 126) + "acme.com": {"", Invalid},
	} {
		if got, kind := Parse(host); got != want.host || kind != want.kind {
			t.Errorf("%q: %q, kind %d, want %q, kind %d", host, got, kind, want.host, want.kind)
		}
	}
}

// X-Forwarded-* count from a trusted proxy only.
func TestSeen(t *testing.T) {
	r := httptest.NewRequest("GET", "http://edge.internal:8080/", nil)
	r.Header.Set("X-Forwarded-Host", "Support.acme.com, other.example")
	r.Header.Set("X-Forwarded-Proto", "HTTPS")
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
	named := Site{Host: "edge.internal", Kind: Name, Port: 8080}
	if got := Seen(r); got != named {
		t.Errorf("from anybody: %+v", got)
	}
	caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, true)
	if got := Seen(r); got != (Site{Host: "support.acme.com", Kind: Name, HTTPS: true}) {
		t.Errorf("from a trusted proxy: %+v", got)
	}
	if got := Named(r); got != named {
		t.Errorf("the request itself names %+v", got)
	}
	if at := Seen(r).PageURL(); at.Scheme != "https" || at.Host != "support.acme.com" || at.Port != 0 {
		t.Errorf("page URL %+v", at)
	}
}

func TestIsOrigin(t *testing.T) {
	for _, tc := range []struct {
		host, origin string
		want         bool
	}{
		{"support.acme.com", "https://support.acme.com", true},
		{"Support.acme.com:443", "https://support.acme.com", true},
		{"support.acme.com:8443", "https://support.acme.com:8443", true},
		{"[::1]:8443", "https://[::1]:8443", true},
		{"support.acme.com.", "https://support.acme.com.", true},
		{"support.acme.com.", "https://support.acme.com", false},
		{"support.acme.com", "https://support.acme.com.", false},
		{"support.acme.com", "https://support.acme.com:8443", false},
		{"support.acme.com", "http://support.acme.com", false},
		{"support.acme.com", "https://acme.com", false},
		{"support.acme.com", "null", false},
		{"support.acme.com", "", false},
		{"acme.com; HttpOnly", "https://acme.com", false},
	} {
		if got := newSite(tc.host, true).IsOrigin(tc.origin); got != tc.want {
			t.Errorf("%s, %s: %t", tc.host, tc.origin, got)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "support.acme.localhost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true,
		"localhost.acme.com": false, "10.0.0.1": false, "": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}
