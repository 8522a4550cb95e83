package csp

import (
	"fmt"
	"strings"
	"testing"
)

// What a policy costs grows with its length, and no faster.
func TestCost(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	letters := strings.NewReplacer("0", "a", "1", "b", "2", "c", "3", "d", "4", "e", "5", "f", "6", "g", "7", "h", "8", "i", "9", "j")
	page := URL{Scheme: "https", Host: "support.acme.com", Path: "/"}
	script := Script{URL: URL{Scheme: "https", Host: "widget.kapa.ai", Path: "/kapa.js"}, Source: "https://widget.kapa.ai/kapa.js"}
	for _, tc := range []struct{ name, begin, each string }{
		{"directives that nobody has heard of", "", "x%d;"},
		{"directives with a value", "", "x%d https:;"},
		{"hosts", "script-src", " https://h%d.example"},
		{"nonces", "script-src", " 'nonce-%d'"},
		{"hashes", "script-src", " 'sha256-%d'"},
		{"hashes of URLs", "script-src", " 'url-sha256-%d'"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			allocations := func(n int) float64 {
				text := tc.begin + many(n, tc.each)
				if tc.begin == "" {
					text = letters.Replace(text)
				}
				if len(text) > maxText {
					t.Fatal("too long to be read")
				}
				p := Read(page, []string{text}, nil)
				if got := len(p.lines[0].members[0].directives); got > len(names) {
					t.Errorf("%d directives are kept", got)
				}
				return testing.AllocsPerRun(3, func() {
					p := Read(page, []string{text}, nil)
					p.Script(script)
					p.Inline("alert(1)")
				})
			}
			if few, all := allocations(64), allocations(2048); all > few+64 {
				t.Errorf("%v allocations with 64 of them, %v with 2048", few, all)
			}
		})
	}
}
