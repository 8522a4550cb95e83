package kapadeflector

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/escape"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/page"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/placeholder"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// Attribute is one attribute of the deflector's script tag.
type Attribute struct {
	// The name as Kapa documents it: `data-` followed by lower-case letters, digits
	// and hyphens. Names that this plugin does not know are passed on. Required.
	Name string `json:"name,omitempty"`

	// The value. `{env.*}`, `{file.*}` and `{system.*}` placeholders are
	// resolved when the configuration is loaded, all others for each request.
	// Their values are escaped, and braces in them are text.
	Value string `json:"value,omitempty"`
}

// User is what the site knows about its visitor. The deflector sends it to Kapa with
// each question. A value that is empty for a request is left out. Placeholders work
// as in attributes. At least one value is required.
type User struct {
	// The site's own id for the visitor; Kapa calls it `uniqueClientId`. Default:
	// none.
	UniqueClientID string `json:"unique_client_id,omitempty"`

	// The visitor's e-mail address. Default: none.
	Email string `json:"email,omitempty"`

	// Further values by Kapa's names for them, such as `company_name`. Default: none.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// check finds mistakes in the block as a whole.
func (u User) check() error {
	if u.UniqueClientID == "" && u.Email == "" && len(u.Metadata) == 0 {
		return errors.New("user is empty: write unique_client_id, email or metadata")
	}
	if _, ok := u.Metadata[""]; ok {
		return errors.New("user metadata has a key without a name")
	}
	return nil
}

// maxInsertion is the longest insertion, in bytes. Request placeholders hold what a
// visitor sent, up to the server's header limit (1 MiB by default), and escaping can
// make that several times longer.
const maxInsertion = 256 << 10

var attributeName = regexp.MustCompile(`^data-[a-z0-9-]+$`)

// checkName finds mistakes in the attribute's name.
func (a Attribute) checkName() error {
	if !attributeName.MatchString(a.Name) {
		return fmt.Errorf("attribute name %q: must be data- and lower-case letters, digits and hyphens", a.Name)
	}
	return nil
}

// checkValue finds mistakes in a value that no request can change.
func (a Attribute) checkValue() error {
	words := kapa.AttributeValues[a.Name]
	s, static := placeholder.Parse(a.Value).Static()
	switch {
	case !static:
		return nil
	case words != nil && s == "" && a.Value != "":
		return fmt.Errorf("%s is empty (%s): must be one of %s", a.Name, placeholder.WhyEmpty(a.Value), strings.Join(words, ", "))
	case words != nil && !slices.Contains(words, s):
		return fmt.Errorf("%s is %q: must be one of %s", a.Name, s, strings.Join(words, ", "))
	default:
		return nil
	}
}

// checkAttributes finds mistakes in the list as a whole. Its error names all missing
// attributes.
func checkAttributes(attrs []Attribute) error {
	for i, a := range attrs {
		if hasAttribute(attrs[:i], a.Name) {
			return fmt.Errorf("%s is given twice", strings.ToLower(a.Name))
		}
	}
	var missing []string
	for _, name := range kapa.RequiredAttributes {
		if !hasAttribute(attrs, name) {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return fmt.Errorf("required attributes are missing: %s", strings.Join(missing, ", "))
	}
	return nil
}

// emptyRequired returns the names of required attributes that are empty for every
// request, each with the placeholders to blame.
func emptyRequired(attrs []Attribute) (empty []string) {
	for _, a := range attrs {
		s, static := placeholder.Parse(a.Value).Static()
		if !static || !isBlank(s) || !slices.Contains(kapa.RequiredAttributes, a.Name) {
			continue
		}
		if why := placeholder.WhyEmpty(a.Value); why != "" {
			empty = append(empty, fmt.Sprintf("%s (%s)", a.Name, why))
		} else {
			empty = append(empty, a.Name)
		}
	}
	return empty
}

// hasAttribute compares names as HTML does, without regard to case.
func hasAttribute(attrs []Attribute, name string) bool {
	return slices.ContainsFunc(attrs, func(a Attribute) bool { return strings.EqualFold(a.Name, name) })
}

// mayTakeFingerprints reports whether a tag with these attributes may let the
// deflector take fingerprints.
func mayTakeFingerprints(attrs []Attribute) bool {
	return slices.ContainsFunc(attrs, func(a Attribute) bool {
		s, static := placeholder.Parse(a.Value).Static()
		return a.Name == kapa.FingerprintTracking && !(static && s == "false")
	})
}

// alwaysTakesFingerprints reports whether a tag with these attributes has the deflector
// recognise every visitor by a fingerprint, and so none by the id.
func alwaysTakesFingerprints(attrs []Attribute) bool {
	return slices.ContainsFunc(attrs, func(a Attribute) bool {
		s, static := placeholder.Parse(a.Value).Static()
		return a.Name == kapa.FingerprintTracking && static && s != "false"
	})
}

// neverTracksByCookie reports whether a tag with these attributes always keeps the
// deflector from using the id.
func neverTracksByCookie(attrs []Attribute) bool {
	return slices.ContainsFunc(attrs, func(a Attribute) bool {
		s, static := placeholder.Parse(a.Value).Static()
		return a.Name == kapa.CookieTracking && static && s == "false"
	})
}

// tag makes insertions with the deflector's element. It is built at load and
// completed for each request. The insertion begins with an inline script if something
// is known about the visitor.
type tag struct {
	loading string         // async or defer
	attrs   []tagAttribute // the configured attributes, in their order
	script  []Attribute    // the attributes from the script setting; src is the last
	user    []userValue    // in the order in which they are written
	fixed   *completeTag   // the insertion, if it is the same for all requests
}

type tagAttribute struct {
	name     string
	value    placeholder.Text
	required bool
}

// userValue is one value of window.kapaSettings.user. group is "metadata" for the
// values of the object with that name, "" for others.
type userValue struct {
	group, key string
	value      placeholder.Text
}

// newTag builds the tag. user is nil if nothing is known about visitors.
func newTag(script Script, attrs []Attribute, user *User) *tag {
	t := &tag{loading: script.Loading}
	// Cloudflare's Rocket Loader heeds data-cfasync only before src
	for _, a := range []Attribute{{"integrity", script.Integrity}, {"crossorigin", script.CrossOrigin}, {"src", script.URL}} {
		if a.Value != "" {
			t.script = append(t.script, a)
		}
	}
	for _, a := range attrs {
		t.attrs = append(t.attrs, tagAttribute{a.Name, placeholder.Parse(a.Value), slices.Contains(kapa.RequiredAttributes, a.Name)})
	}
	if user != nil {
		t.user = append(t.user,
			userValue{"", "uniqueClientId", placeholder.Parse(user.UniqueClientID)},
			userValue{"", "email", placeholder.Parse(user.Email)})
		for _, key := range slices.Sorted(maps.Keys(user.Metadata)) {
			t.user = append(t.user, userValue{"metadata", key, placeholder.Parse(user.Metadata[key])})
		}
	}

	if t.isStatic() {
		t.fixed, _ = t.complete(nil) // nil if a required attribute is empty
	}
	return t
}

// withoutIdentifiers returns attrs with everything switched off by which Kapa could
// recognise a visitor.
func withoutIdentifiers(attrs []Attribute) []Attribute {
	var out []Attribute
	for _, a := range attrs {
		switch a.Name {
		case kapa.EmailSelector:
		case kapa.CookieTracking, kapa.FingerprintTracking:
			out = append(out, Attribute{a.Name, "false"})
		default:
			out = append(out, a)
		}
	}
	for _, name := range []string{kapa.CookieTracking, kapa.FingerprintTracking} {
		if !hasAttribute(out, name) {
			out = append(out, Attribute{name, "false"})
		}
	}
	return out
}

// withExemptions returns attrs with the attributes that keep the script blockers of
// the platforms in rules away from the tag, except those that the user has set. It is
// for a tag that has consent: a blocker stays right about any other.
func withExemptions(attrs []Attribute, rules []ConsentRule) []Attribute {
	out := slices.Clone(attrs)
	for _, rule := range rules {
		if a := Attribute(consent.ExemptionFrom(rule.Kind)); a.Name != "" && !hasAttribute(out, a.Name) {
			out = append(out, a)
		}
	}
	return out
}

func (t *tag) isStatic() bool {
	for _, a := range t.attrs {
		if _, ok := a.value.Static(); !ok {
			return false
		}
	}
	for _, u := range t.user {
		if _, ok := u.value.Static(); !ok {
			return false
		}
	}
	return true
}

// integrationID returns the value of data-integration-id for r.
func (t *tag) integrationID(r *http.Request) string {
	for _, a := range t.attrs {
		if a.name == kapa.IntegrationID {
			return a.value.Read(replacerOf(r))
		}
	}
	return ""
}

func isBlank(s string) bool { return strings.TrimSpace(s) == "" }

var (
	errEmptyAttribute = errors.New("a required attribute is empty")
	errTooLong        = fmt.Errorf("the tag would be longer than %d bytes", maxInsertion)
)

// A filledTag is the tag with the values of one request.
type filledTag struct {
	attrs          []Attribute // of the script element
	user, metadata []Attribute // of window.kapaSettings.user, without empty ones

	cookies, fingerprint bool // the deflector may use the id, and take a fingerprint
}

// A completeTag is the insertion for one request.
type completeTag struct {
	page.Insertion
	cookies bool // as in filledTag
	varies  bool // the bytes depend on the request
}

// fill reads the values of the request that repl belongs to. It returns an error if
// the request can get no tag.
func (t *tag) fill(repl *caddy.Replacer) (f filledTag, err error) {
	// Kapa's defaults: cookie on, fingerprint off. A value that is neither "true"
	// nor "false" means that no id is set: cookie off, fingerprint on.
	f.cookies = true
	for _, a := range t.attrs {
		s := a.value.Read(repl)
		switch {
		case a.required && isBlank(s):
			return f, errEmptyAttribute
		case len(s) > maxInsertion:
			return f, errTooLong
		case a.name == kapa.CookieTracking:
			f.cookies = s == "true"
		case a.name == kapa.FingerprintTracking:
			f.fingerprint = s != "false"
		}
		f.attrs = append(f.attrs, Attribute{a.name, s})
	}
	f.attrs = append(f.attrs, t.script...)
	for _, u := range t.user {
		s := u.value.Read(repl)
		if len(s) > maxInsertion {
			return f, errTooLong
		}
		switch {
		case s == "":
		case u.group == "metadata":
			f.metadata = append(f.metadata, Attribute{u.key, s})
		default:
			f.user = append(f.user, Attribute{u.key, s})
		}
	}
	return f, nil
}

// complete returns the insertion for the request that repl belongs to, or an error if
// the request can get no tag.
func (t *tag) complete(repl *caddy.Replacer) (*completeTag, error) {
	if t.fixed != nil {
		return t.fixed, nil
	}
	f, err := t.fill(repl)
	if err != nil {
		return nil, err
	}
	in := page.Insertion{Fingerprint: f.fingerprint}
	var b strings.Builder
	f.writeUser(&b)
	in.User = b.Len()
	b.WriteString("<script " + t.loading)
	for _, a := range f.attrs {
		in.Unnonceable = in.Unnonceable || page.VoidsNonce(a.Value)
		b.WriteString(" " + a.Name + `="`)
		if a.Name == "src" {
			in.Src = b.Len()
		}
		escape.Attribute(&b, a.Value)
		b.WriteString(`"`)
	}
	b.WriteString("></script>")
	if b.Len() > maxInsertion {
		return nil, errTooLong
	}
	in.HTML = []byte(b.String())
	in.Suffix = variant.Suffix(in.HTML)
	return &completeTag{Insertion: in, cookies: f.cookies, varies: !t.isStatic()}, nil
}

// writeUser writes the inline script that hands the visitor's values over, or
// nothing if all are empty. The script adds them to values that the page has set:
// https://docs.kapa.ai/integrations/support-form-deflector/user-tracking
func (f *filledTag) writeUser(b *strings.Builder) {
	if f.user == nil && f.metadata == nil {
		return
	}
	b.WriteString(page.InlineOpen + `(function(w,u,m){` +
		`var s=w.kapaSettings=w.kapaSettings||{},p=s.user=s.user||{};` +
		`Object.assign(p,u);` +
		`if(m)p.metadata=Object.assign(p.metadata||{},m)` +
		`})(window,`)
	writeObject(b, f.user)
	if f.metadata != nil {
		b.WriteByte(',')
		writeObject(b, f.metadata)
	}
	b.WriteString(`)` + page.InlineClose)
}

// writeObject writes pairs as a JSON object.
func writeObject(b *strings.Builder, pairs []Attribute) {
	b.WriteByte('{')
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte(',')
		}
		escape.JSON(b, p.Name)
		b.WriteByte(':')
		escape.JSON(b, p.Value)
	}
	b.WriteByte('}')
}
