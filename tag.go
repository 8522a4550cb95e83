package kapadeflector

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
)

// Attribute is one attribute of the deflector's script tag.
type Attribute struct {
	// The name as Kapa documents it, `data-` and lower-case letters, digits
	// and hyphens. Names that this plugin does not know are passed on.
	Name string `json:"name,omitempty"`

	// The value. `{env.*}`, `{file.*}` and `{system.*}` placeholders are
	// resolved when the configuration is loaded, all others for each request;
	// what they hold is escaped and never expanded again.
	Value string `json:"value,omitempty"`
}

// Script is the deflector's bundle and how the page loads it.
type Script struct {
	// The bundle's URL: https, a path on the site itself, or a loopback host
	// for trying things out. Default:
	// `https://widget.kapa.ai/kapa-support-form-deflector.bundle.js`.
	URL string `json:"url,omitempty"`

	// Subresource Integrity hashes (https://www.w3.org/TR/SRI/), such as
	// `sha384-...`. For a bundle of your own version only: Kapa's URL names no
	// version, and its next release would be blocked. Default: none.
	Integrity string `json:"integrity,omitempty"`

	// The crossorigin attribute: `anonymous` or `use-credentials`. Default:
	// none, or `anonymous` where integrity is set and the URL is not a path,
	// since browsers check no hash without it.
	CrossOrigin string `json:"crossorigin,omitempty"`

	// `async` or `defer`. Default: `async`, as Kapa documents.
	Loading string `json:"loading,omitempty"`
}

// User is what the site knows about its visitor; the deflector sends it to
// Kapa with each question. A value that is empty for a request leaves its key
// out. Placeholders work as in attributes.
type User struct {
	// The site's own id of the visitor, `uniqueClientId` in Kapa's terms.
	UniqueClientID string `json:"unique_client_id,omitempty"`

	// The visitor's e-mail address.
	Email string `json:"email,omitempty"`

	// Further values by their names in Kapa's terms, such as `company_name`.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// check finds mistakes in the block as a whole.
func (u User) check() error {
	if u.UniqueClientID == "" && u.Email == "" && len(u.Metadata) == 0 {
		return errors.New("user says nothing: allowed are unique_client_id, email, metadata")
	}
	if _, ok := u.Metadata[""]; ok {
		return errors.New("user metadata has a key without a name")
	}
	return nil
}

// The size that the inserted bytes may have for one request. Request
// placeholders hold what a visitor sent, which only the server's header limit
// bounds (1 MiB by default), and escaping can make that several times longer.
const maxInsertion = 256 << 10

var attributeName = regexp.MustCompile(`^data-[a-z0-9-]+$`)

// checkName finds mistakes in the attribute's name.
func (a Attribute) checkName() error {
	if !attributeName.MatchString(a.Name) {
		return fmt.Errorf("attribute name %q: allowed are data- and lower-case letters, digits and hyphens", a.Name)
	}
	return nil
}

// checkValue finds mistakes in a value that no request can change.
func (a Attribute) checkValue() error {
	words := attributeValues[a.Name]
	s, static := parseValue(a.Value).static()
	switch {
	case !static:
		return nil
	case words != nil && !slices.Contains(words, s):
		return fmt.Errorf("%s is %q: allowed are %s", a.Name, s, strings.Join(words, ", "))
	default:
		return nil
	}
}

// checkAttributes finds what is wrong with the list as a whole, all missing
// names at once.
func checkAttributes(attrs []Attribute) error {
	for i, a := range attrs {
		if hasAttribute(attrs[:i], a.Name) {
			return fmt.Errorf("%s is given twice", strings.ToLower(a.Name))
		}
	}
	var missing []string
	for _, name := range requiredAttributes {
		if !hasAttribute(attrs, name) {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return fmt.Errorf("required attributes are missing: %s", strings.Join(missing, ", "))
	}
	return nil
}

// hasAttribute compares names as HTML does, without regard to case.
func hasAttribute(attrs []Attribute, name string) bool {
	return slices.ContainsFunc(attrs, func(a Attribute) bool { return strings.EqualFold(a.Name, name) })
}

// fields are the settings by their names.
func (s *Script) fields() map[string]*string {
	return map[string]*string{"url": &s.URL, "integrity": &s.Integrity, "crossorigin": &s.CrossOrigin, "loading": &s.Loading}
}

// withDefaults returns s with the defaults filled in.
func (s Script) withDefaults() Script {
	if s.URL == "" {
		s.URL = kapaScriptURL
	}
	if s.Loading == "" {
		s.Loading = "async"
	}
	if s.Integrity != "" && s.CrossOrigin == "" && !strings.HasPrefix(s.URL, "/") {
		s.CrossOrigin = "anonymous"
	}
	return s
}

// check finds mistakes in the script's own text.
func (s Script) check() error {
	if err := checkScriptURL(s.URL); err != nil {
		return err
	}
	if s.Integrity != "" && strings.TrimSpace(s.Integrity) == "" {
		return errors.New("integrity is empty")
	}
	for hash := range strings.FieldsSeq(s.Integrity) {
		alg, sum, _ := strings.Cut(hash, "-")
		size := map[string]int{"sha256": 32, "sha384": 48, "sha512": 64}[alg]
		if b, err := base64.StdEncoding.DecodeString(sum); err != nil || size == 0 || len(b) != size {
			return fmt.Errorf("integrity %q: allowed are sha256-, sha384- or sha512- and the hash in base64", hash)
		}
	}
	if s.CrossOrigin != "" && s.CrossOrigin != "anonymous" && s.CrossOrigin != "use-credentials" {
		return fmt.Errorf("crossorigin is %q: allowed are anonymous, use-credentials", s.CrossOrigin)
	}
	if s.Loading != "" && s.Loading != "async" && s.Loading != "defer" {
		return fmt.Errorf("loading is %q: allowed are async, defer", s.Loading)
	}
	return nil
}

func checkScriptURL(s string) error {
	bad := func(why string) error {
		return fmt.Errorf("script URL %q: %s; allowed are https URLs, paths on the site itself, and loopback hosts", s, why)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return bad("white space, backslashes and non-ASCII characters must be percent-encoded")
	}
	if strings.ContainsAny(s, "{}") {
		return bad("request placeholders do not work here")
	}
	if strings.HasPrefix(s, "//") {
		return bad("the scheme is missing")
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad("it cannot be parsed")
	}
	switch {
	case strings.HasPrefix(s, "/"):
		return nil
	case u.User != nil:
		return bad("it holds a user name")
	case u.Scheme == "https" && u.Hostname() != "":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	default:
		return bad("it is none of those")
	}
}

func isLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// warnings says what is allowed but seldom meant.
func (s Script) warnings() (w []string) {
	if s.Integrity != "" && s.URL == kapaScriptURL {
		w = append(w, "script: integrity on Kapa's own URL, which names no version: browsers will block Kapa's next release")
	}
	u, err := url.Parse(s.URL)
	if err == nil && path.Base(u.Path) != kapaScriptFile {
		w = append(w, "script: the file is not called "+kapaScriptFile+"; the bundle may look for its own tag by that name")
	}
	return w
}

// tag is what is put into a page, built once at load and completed for each
// request: an inline script with what is known about the visitor, where
// anything is, and the deflector's script element.
type tag struct {
	open  string // "<script async src=..."
	attrs []tagAttribute
	user  []userValue // in the order in which they are written
	fixed *insertion  // the whole, where no request can change it
}

type tagAttribute struct {
	name     string
	value    value
	required bool
}

// userValue is one value of window.kapaSettings.user; group is "" for its own
// keys and "metadata" for those of the object within.
type userValue struct {
	group, key string
	value      value
}

// insertion is what one request's document gets.
type insertion struct {
	html []byte
	// What ends the entity tag of a page with them.
	suffix string
	// Whether the deflector may use the visitor's id, and a fingerprint.
	cookies, fingerprint bool
	// Whether the bytes depend on the request.
	varies bool
}

// newTag builds the tag. untracked is the one for visitors without consent: it
// switches Kapa's identifiers off and says nothing about the visitor.
func newTag(script Script, attrs []Attribute, user *User, untracked bool) *tag {
	t := new(tag)

	var b strings.Builder
	b.WriteString("<script " + script.Loading)
	for _, a := range []Attribute{{"src", script.URL}, {"integrity", script.Integrity}, {"crossorigin", script.CrossOrigin}} {
		if a.Value != "" {
			b.WriteString(" " + a.Name + `="`)
			escapeAttribute(&b, a.Value)
			b.WriteString(`"`)
		}
	}
	t.open = b.String()

	if untracked {
		attrs = withoutIdentifiers(attrs)
		user = nil
	}
	for _, a := range attrs {
		t.attrs = append(t.attrs, tagAttribute{a.Name, parseValue(a.Value), slices.Contains(requiredAttributes, a.Name)})
	}
	if user != nil {
		t.user = append(t.user,
			userValue{"", "uniqueClientId", parseValue(user.UniqueClientID)},
			userValue{"", "email", parseValue(user.Email)})
		for _, key := range slices.Sorted(maps.Keys(user.Metadata)) {
			t.user = append(t.user, userValue{"metadata", key, parseValue(user.Metadata[key])})
		}
	}

	if t.isStatic() {
		if fixed, err := t.complete(nil); err == nil {
			t.fixed = &fixed
		}
	}
	return t
}

// withoutIdentifiers is attrs with everything off by which Kapa could tell one
// visitor from another.
func withoutIdentifiers(attrs []Attribute) []Attribute {
	var out []Attribute
	for _, a := range attrs {
		switch a.Name {
		case attrEmail:
		case attrCookies, attrFingerprint:
			out = append(out, Attribute{a.Name, "false"})
		default:
			out = append(out, a)
		}
	}
	for _, name := range []string{attrCookies, attrFingerprint} {
		if !hasAttribute(out, name) {
			out = append(out, Attribute{name, "false"})
		}
	}
	return out
}

func (t *tag) isStatic() bool {
	for _, a := range t.attrs {
		if _, ok := a.value.static(); !ok {
			return false
		}
	}
	for _, u := range t.user {
		if _, ok := u.value.static(); !ok {
			return false
		}
	}
	return true
}

// emptyRequired returns the names of required attributes that no request can
// fill, because their values came out empty at load.
func (t *tag) emptyRequired() (names []string) {
	for _, a := range t.attrs {
		if s, static := a.value.static(); a.required && static && isBlank(s) {
			names = append(names, a.name)
		}
	}
	return names
}

func isBlank(s string) bool { return strings.TrimSpace(s) == "" }

var (
	errEmptyAttribute = errors.New("a required attribute is empty")
	errTooLong        = fmt.Errorf("the tag would be longer than %d bytes", maxInsertion)
)

// complete returns what the request that repl belongs to gets, or an error
// that says why it can get nothing.
func (t *tag) complete(repl *caddy.Replacer) (insertion, error) {
	if t.fixed != nil {
		return *t.fixed, nil
	}

	// the vendor's defaults: cookie on, fingerprint off; a word that is
	// neither "true" nor "false" counts for the careful side
	in := insertion{cookies: true, varies: !t.isStatic()}

	var b strings.Builder
	if err := t.writeUser(&b, repl); err != nil {
		return insertion{}, err
	}
	b.WriteString(t.open)
	for _, a := range t.attrs {
		s := a.value.read(repl)
		switch {
		case a.required && isBlank(s):
			return insertion{}, errEmptyAttribute
		case len(s) > maxInsertion:
			return insertion{}, errTooLong
		case a.name == attrCookies:
			in.cookies = s == "true"
		case a.name == attrFingerprint:
			in.fingerprint = s != "false"
		}
		b.WriteString(" " + a.name + `="`)
		escapeAttribute(&b, s)
		b.WriteString(`"`)
	}
	b.WriteString("></script>")
	if b.Len() > maxInsertion {
		return insertion{}, errTooLong
	}
	in.html = []byte(b.String())
	in.suffix = variantSuffix(in.html)
	return in, nil
}

// writeUser writes the inline script that hands the visitor's values over, or
// nothing if all are empty. They go into what the page itself has set before:
// https://docs.kapa.ai/integrations/support-form-deflector/user-tracking
func (t *tag) writeUser(b *strings.Builder, repl *caddy.Replacer) error {
	var object, metadata strings.Builder
	for _, u := range t.user {
		s := u.value.read(repl)
		if s == "" {
			continue
		}
		if len(s) > maxInsertion {
			return errTooLong
		}
		in := &object
		if u.group == "metadata" {
			in = &metadata
		}
		if in.Len() > 0 {
			in.WriteByte(',')
		}
		escapeJSON(in, u.key)
		in.WriteByte(':')
		escapeJSON(in, s)
	}
	if object.Len() == 0 && metadata.Len() == 0 {
		return nil
	}
	fmt.Fprintf(b, `<script>(function(w,u,m){`+
		`var s=w.kapaSettings=w.kapaSettings||{},p=s.user=s.user||{};`+
		`Object.assign(p,u);`+
		`if(m)p.metadata=Object.assign(p.metadata||{},m)`+
		`})(window,{%s}`, object.String())
	if metadata.Len() > 0 {
		fmt.Fprintf(b, `,{%s}`, metadata.String())
	}
	b.WriteString(`)</script>`)
	return nil
}

// escapeAttribute writes s for a double-quoted HTML attribute value in pure
// ASCII, so that it means the same in every charset whose ASCII bytes are
// ASCII. A numeric reference to U+0080..U+009F would mean another character
// (HTML, "numeric character reference end state"); those controls, NUL and
// what is not UTF-8 become U+FFFD.
func escapeAttribute(b *strings.Builder, s string) {
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r == '\'':
			b.WriteString("&#39;")
		case r == 0 || 0x7f < r && r < 0xa0:
			fmt.Fprintf(b, "&#x%X;", utf8.RuneError)
		case r < 0x20 || r > 0x7e:
			fmt.Fprintf(b, "&#x%X;", r)
		default:
			b.WriteByte(byte(r))
		}
	}
}

// escapeJSON writes s as a JSON string in pure ASCII that cannot end, or open
// a comment in, the script element around it (HTML, "restrictions for contents
// of script elements").
func escapeJSON(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteByte(byte(r))
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		case r < 0x20 || r > 0x7e || r == '<' || r == '>' || r == '&':
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteByte(byte(r))
		}
	}
	b.WriteByte('"')
}
