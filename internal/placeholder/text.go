// Package placeholder reads configured text that may hold placeholders.
package placeholder

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// A Text is a configured text. It is split at load into fixed text and the
// placeholders that each request fills in.
type Text []part

// part is either text or the name of a request placeholder, without its braces.
type part struct {
	text        string
	placeholder string
}

// Parse splits s. It resolves {env.*}, {file.*} and {system.*} now; braces in their
// values are text. A backslash before a brace makes the brace text, as in Caddy's own
// replacer.
func Parse(s string) Text {
	var (
		t    Text
		text strings.Builder
		load = caddy.NewReplacer()
	)
	for s != "" {
		i := strings.IndexAny(s, `{\`)
		if i < 0 {
			break
		}
		text.WriteString(s[:i])
		s = s[i:]
		if s[0] == '\\' {
			if len(s) > 1 && (s[1] == '{' || s[1] == '}') {
				s = s[1:]
			}
			text.WriteByte(s[0])
			s = s[1:]
			continue
		}
		end := strings.IndexAny(s[1:], "{}")
		if end < 1 || s[1+end] == '{' {
			text.WriteByte('{')
			s = s[1:]
			continue
		}
		key := s[1 : 1+end]
		s = s[end+2:]
		if isLoadTime(key) {
			resolved, known := load.GetString(key)
			if !known {
				resolved = "{" + key + "}"
			}
			text.WriteString(resolved)
			continue
		}
		if text.Len() > 0 {
			t = append(t, part{text: text.String()})
			text.Reset()
		}
		t = append(t, part{placeholder: key})
	}
	text.WriteString(s)
	if text.Len() > 0 {
		t = append(t, part{text: text.String()})
	}
	return t
}

// isLoadTime reports whether the placeholder with this name is resolved at load.
func isLoadTime(key string) bool {
	return strings.HasPrefix(key, "env.") ||
		strings.HasPrefix(key, "file.") ||
		strings.HasPrefix(key, "system.")
}

// Static returns t's text if no request can change it.
func (t Text) Static() (string, bool) {
	switch {
	case len(t) == 0:
		return "", true
	case len(t) == 1 && t[0].placeholder == "":
		return t[0].text, true
	default:
		return "", false
	}
}

// Read returns t's text for the request that repl belongs to. An unknown placeholder
// stays as it is written.
func (t Text) Read(repl *caddy.Replacer) string {
	if s, ok := t.Static(); ok {
		return s
	}
	var b strings.Builder
	for _, p := range t {
		if p.placeholder == "" {
			b.WriteString(p.text)
		} else if s, known := repl.GetString(p.placeholder); known {
			b.WriteString(s)
		} else {
			b.WriteString("{" + p.placeholder + "}")
		}
	}
	return b.String()
}

// ResolveSetting is Resolve for a setting that has a default. It returns an error
// if s is not empty but its result is, because the default was not meant then.
func ResolveSetting(name, s string) (string, error) {
	resolved := Resolve(s)
	if s != "" && strings.TrimSpace(resolved) == "" {
		return "", fmt.Errorf("%s is empty: %s", name, cmp.Or(WhyEmpty(s), strconv.Quote(s)))
	}
	return resolved, nil
}

// Resolve returns s with {env.*}, {file.*} and {system.*} filled in. Request
// placeholders stay as they are written, so that later checks can refuse them.
func Resolve(s string) string {
	var b strings.Builder
	for _, p := range Parse(s) {
		b.WriteString(p.text)
		if p.placeholder != "" {
			b.WriteString("{" + p.placeholder + "}")
		}
	}
	return b.String()
}

// AwaitsLoad reports whether s holds a placeholder that is resolved at load. Such a
// value cannot be checked while a Caddyfile is read.
func AwaitsLoad(s string) bool {
	return strings.Contains(s, "{env.") || strings.Contains(s, "{file.") || strings.Contains(s, "{system.")
}

var loadTime = regexp.MustCompile(`\{((?:env|file|system)\.[^{}]+)\}`)

// WhyEmpty says which placeholders left s empty at load, and why, such as
// "{env.KAPA_INTEGRATION_ID} is not set". It returns "" if s has none. The result of
// s must be empty or blank.
func WhyEmpty(s string) string {
	var why []string
	for _, m := range loadTime.FindAllStringSubmatch(s, -1) {
		reason := m[0] + " is empty"
		if name, ok := strings.CutPrefix(m[1], "env."); ok {
			if _, set := os.LookupEnv(name); !set {
				reason = m[0] + " is not set"
			}
		} else if strings.HasPrefix(m[1], "file.") {
			reason += " or cannot be read"
		}
		if !slices.Contains(why, reason) {
			why = append(why, reason)
		}
	}
	return strings.Join(why, ", ")
}
