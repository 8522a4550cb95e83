package loader

import (
	"net/http"
	"regexp"
	"strings"
)

// For whoever checks a page from outside: how to know the script, and how to ask as it
// does.

var (
	ownKey     = regexp.MustCompile(regexp.QuoteMeta(key) + `(?:[0-9a-f]+\.)+`)
	ownVersion = regexp.MustCompile(`^/\*kapa_deflector (` + versions + `)\*/`)
)

// KeyIn returns what the questions of a script begin with, if the content of a script
// element is the loader; "" if it is another script.
func KeyIn(content string) string { return ownKey.FindString(content) }

// VersionIn returns the plugin's version that the content of the loader names; "" if it
// names none. A version consists of letters, digits, dots, plus and minus signs.
func VersionIn(content string) string {
	if m := ownVersion.FindStringSubmatch(content); m != nil {
		return m[1]
	}
	return ""
}

// Ask makes a request for a page the question of a script. key is that of KeyIn. word must
// not have been used before. platforms are those of which the page says that the visitor
// has consented.
func Ask(r *http.Request, key, word string, platforms []string) {
	if r.URL.RawQuery != "" {
		r.URL.RawQuery += "&"
	}
	r.URL.RawQuery += key + word
	field := question
	for _, platform := range platforms {
		field += "; " + platform + "=" + yes
	}
	r.Header[Field] = []string{field}
	for name, value := range map[string]string{"Accept": "*/*", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"} {
		r.Header.Set(name, value)
	}
	r.Header.Del("Sec-Fetch-User")
	r.Header.Del("Upgrade-Insecure-Requests")
	r.Header.Set("Cache-Control", "no-cache") // as fetch() does with cache: "no-store"
}

// AdaptersIn returns those of the platforms for which the script has an adapter.
func AdaptersIn(content string, platforms []string) (found []string) {
	for _, platform := range platforms {
		if strings.Contains(content, "{"+platform+":(") || strings.Contains(content, ","+platform+":(") {
			found = append(found, platform)
		}
	}
	return found
}
