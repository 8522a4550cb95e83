package check

import (
	"cmp"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// secrets are values that no report shows, although the site may repeat them: those of
// cookies and of the user's own header fields, and passwords in addresses.
type secrets []string

// shortestSecret is the length below which a value says nothing of anybody. To hide it
// would make the report unreadable.
const shortestSecret = 4

// secrets returns what the user has passed.
func (s Survey) secrets(address *url.URL, cookies string) (all secrets) {
	for pair := range strings.SplitSeq(cookies, ";") {
		_, value, _ := strings.Cut(pair, "=")
		all.add(value)
	}
	for _, values := range s.Header {
		for _, value := range values {
			all.add(value)
			for word := range strings.FieldsSeq(value) { // without Bearer or Basic
				all.add(word)
			}
		}
	}
	password, _ := address.User.Password()
	all.add(password)
	return all
}

// Hider returns a function that hides what the user has passed in text that may repeat it.
func (s Survey) Hider(address *url.URL, cookies string) func(text string) string {
	return s.secrets(address, cookies).sorted().hide
}

// allSecrets returns what the user has passed, and the values of cookies that the site
// sets.
func (s Site) allSecrets() secrets {
	all := slices.Clone(s.secrets)
	for _, a := range []*Response{s.With, s.Without, s.WithAfresh, s.WithoutAfresh, s.Again, s.WithdrawnAgain, s.GrantedAgain} {
		if a == nil {
			continue
		}
		for _, line := range a.Header["Set-Cookie"] {
			if c, err := http.ParseSetCookie(line); err == nil {
				all.add(c.Value)
			}
		}
	}
	return all.sorted()
}

// sorted returns the secrets with the longest first, because a secret may contain another.
func (s secrets) sorted() secrets {
	slices.SortFunc(s, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return slices.Compact(s)
}

func (s *secrets) add(value string) {
	value = strings.Trim(strings.TrimSpace(value), `"`)
	if len(value) < shortestSecret || value == "true" || value == "false" {
		return
	}
	*s = append(*s, value)
	if decoded, err := url.QueryUnescape(value); err == nil && decoded != value && len(decoded) >= shortestSecret {
		*s = append(*s, decoded)
	}
}

// hide returns text without the secrets.
func (s secrets) hide(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, "...")
	}
	return text
}

// hideAll hides the secrets in what the report repeats of the site.
func (s secrets) hideAll(r *Report) {
	finding := reflect.TypeFor[Finding]()
	var walk func(reflect.Value)
	walk = func(v reflect.Value) {
		switch {
		case v.Type() == finding: // its text is written without them
			if f := v.Addr().Interface().(*Finding); strings.HasPrefix(f.About, "data-") {
				f.About = s.hide(f.About)
			}
		case v.Kind() == reflect.String && v.Type() == reflect.TypeFor[string]():
			v.SetString(s.hide(v.String()))
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case v.Kind() == reflect.Pointer && !v.IsNil():
			walk(v.Elem())
		}
	}
	walk(reflect.ValueOf(r).Elem())
}
