package csp

import (
	"strings"

	"golang.org/x/net/html"
)

// decodeAttribute decodes the character references of an attribute's value, as
// it stands in the source. Package html of the standard library knows only the
// rules for text, by which "&lt" in the query of a URL would be one.
func decodeAttribute(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	z := html.NewTokenizer(strings.NewReader(`<meta content="` + strings.ReplaceAll(s, `"`, "&quot;") + `">`))
	z.Next()
	_, content, _ := z.TagAttr()
	return string(content)
}
