package kapadeflector

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/authority"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/placeholder"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/prompt"
)

// Ask is a question of the plugin's own, which stands at the form and asks the visitor
// for consent. Its text says what the other settings do. It needs `loader`.
type Ask struct {
	// The URL of the site's privacy policy: an https URL, or a path on the site.
	// Required.
	Policy string `json:"policy,omitempty"`

	// The name of the cookie that keeps the answer. Default: `kapa_deflector_choice`.
	Cookie string `json:"cookie,omitempty"`

	// The domain for which the answer counts. Default: the one host at which it was
	// given.
	Domain string `json:"domain,omitempty"`

	// How long an answer counts, yes and no alike, in whole days from 1 to 400. The
	// visitor's id lives no longer. Default: 180 days.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// Names what visitors are asked. Visitors who have answered another version are
	// asked again. Letters and digits. Default: a hash of the texts, and of the
	// settings of which they speak.
	Version string `json:"version,omitempty"`

	// The question, in all languages. Default: put together from the settings, in the
	// page's language: English, German, French, Spanish, Italian or Dutch, and English
	// for all others.
	Text string `json:"text,omitempty"`

	// The button for yes, in all languages. Default: in the page's language.
	Accept string `json:"accept,omitempty"`

	// The button for no, in all languages. Default: in the page's language.
	Refuse string `json:"refuse,omitempty"`

	// The button that shows the question again after an answer, in all languages.
	// Default: in the page's language.
	Change string `json:"change,omitempty"`

	// Texts by language, as tags such as `de` or `pt-BR`. They take precedence over
	// the texts for all languages. Default: none.
	Languages map[string]AskTexts `json:"languages,omitempty"`
}

// AskTexts are the words of the question in one language.
type AskTexts struct {
	// The question. Default: the text for all languages.
	Text string `json:"text,omitempty"`

	// The button for yes. Default: the text for all languages.
	Accept string `json:"accept,omitempty"`

	// The button for no. Default: the text for all languages.
	Refuse string `json:"refuse,omitempty"`

	// The button that shows the question again after an answer. Default: the text for
	// all languages.
	Change string `json:"change,omitempty"`
}

const (
	choiceCookie = "kapa_deflector_choice"
	choiceMaxAge = 180 * day
	day          = 24 * time.Hour
)

var (
	versionWord = regexp.MustCompile(`^[A-Za-z0-9]{1,32}$`)
	languageTag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)
)

// check finds mistakes in the settings.
func (a Ask) check() error {
	switch age := time.Duration(a.MaxAge); {
	case a.Policy == "":
		return errors.New("consent ask has no policy: write policy <url>, with the address of your privacy policy")
	case !isPolicyURL(a.Policy):
		return fmt.Errorf("consent ask: policy is %q: must be an https URL, or a path on the site", a.Policy)
	case strings.ContainsAny(a.Cookie, "=; \t\r\n,\"\\") || a.Cookie == kapa.IDCookie:
		return fmt.Errorf("consent ask: cookie is %q: must be a cookie's name, other than %s", a.Cookie, kapa.IDCookie)
	case a.MaxAge != 0 && (age < day || age > longestMaxAge || age%day != 0):
		return fmt.Errorf("consent ask: max_age is %s: must be whole days, from 1d to 400d", age)
	case a.Version != "" && !versionWord.MatchString(a.Version):
		return fmt.Errorf("consent ask: version is %q: must be 1 to 32 letters and digits", a.Version)
	case a.Domain == hostOnly:
		return errors.New("consent ask: domain host is the default: remove the line")
	}
	if err := (Cookie{Domain: a.Domain}).checkDomain(); err != nil {
		return fmt.Errorf("consent ask: %w", err)
	}
	for _, tag := range slices.Sorted(maps.Keys(a.Languages)) {
		if !languageTag.MatchString(tag) {
			return fmt.Errorf("consent ask: language %q: must be a tag such as de or pt-BR", tag)
		}
		if a.Languages[tag] == (AskTexts{}) {
			return fmt.Errorf("consent ask: language %s has no texts: write text, accept, refuse or change", tag)
		}
	}
	return a.checkTexts()
}

// checkTexts finds texts of white space alone, with which nobody could answer.
func (a Ask) checkTexts() error {
	for _, texts := range append(slices.Collect(maps.Values(a.Languages)), a.texts()) {
		for name, text := range texts.fields() {
			if *text != "" && isBlank(*text) {
				return fmt.Errorf("consent ask: %s is blank: write a text, or remove the line", name)
			}
		}
	}
	return nil
}

// texts returns the texts for all languages.
func (a Ask) texts() AskTexts { return AskTexts{a.Text, a.Accept, a.Refuse, a.Change} }

// fields returns pointers to the settings of one word, by their names.
func (a *Ask) fields() map[string]*string {
	return map[string]*string{
		"policy": &a.Policy, "cookie": &a.Cookie, "domain": &a.Domain, "version": &a.Version,
		"text": &a.Text, "accept": &a.Accept, "refuse": &a.Refuse, "change": &a.Change,
	}
}

// fields returns pointers to the texts by their names.
func (t *AskTexts) fields() map[string]*string {
	return map[string]*string{"text": &t.Text, "accept": &t.Accept, "refuse": &t.Refuse, "change": &t.Change}
}

func isPolicyURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && !strings.ContainsAny(s, "\\{} ") && !strings.HasPrefix(s, "//") &&
		(strings.HasPrefix(s, "/") || u.Scheme == "https" && u.Host != "" || u.Scheme == "http" && authority.IsLoopback(u.Hostname()))
}

// words returns pointers to all words of the settings.
func (a *Ask) words() []*string { return slices.Collect(maps.Values(a.fields())) }

// clone returns a copy that shares nothing with a.
func (a *Ask) clone() *Ask {
	if a == nil {
		return nil
	}
	b := *a
	b.Languages = maps.Clone(a.Languages)
	return &b
}

// resolveTexts fills {env.*}, {file.*} and {system.*} in the texts by language.
func (a *Ask) resolveTexts() {
	for tag, texts := range a.Languages {
		for _, text := range texts.fields() {
			*text = placeholder.Resolve(*text)
		}
		a.Languages[tag] = texts
	}
}

// An asker asks visitors for consent and keeps their answers.
type asker struct {
	choice consent.Choice
	cookie Cookie // how the answer is kept; its MaxAge is the longest
	facts  prompt.Facts
	texts  map[string]prompt.Texts
	color  string
	id     Cookie // how the id is set
}

// newAsker returns what asks with the settings a, for a block with these attributes,
// user values and id.
func newAsker(a Ask, attrs []Attribute, user *User, id Cookie) *asker {
	k := &asker{id: id, texts: map[string]prompt.Texts{"": prompt.Texts(a.texts())}}
	for tag, texts := range a.Languages {
		k.texts[tag] = prompt.Texts(texts)
	}
	k.cookie = Cookie{Domain: a.Domain, MaxAge: a.MaxAge, SameSite: "lax"}
	if k.cookie.Domain == "" {
		k.cookie.Domain = hostOnly
	}
	if a.MaxAge == 0 {
		k.cookie.MaxAge = caddy.Duration(choiceMaxAge)
	}
	maxAge := time.Duration(k.cookie.MaxAge)
	k.facts = prompt.Facts{
		ID:          !neverTracksByCookie(attrs) && !alwaysTakesFingerprints(attrs),
		IDAge:       min(time.Duration(id.MaxAge), maxAge),
		Email:       hasAttribute(attrs, kapa.EmailSelector),
		Fingerprint: mayTakeFingerprints(attrs),
		ChoiceAge:   maxAge,
		Policy:      a.Policy,
	}
	if id.Off { // Kapa's script then sets the id by itself, with a question
		k.facts.IDAge = defaultMaxAge
	}
	if user != nil {
		k.facts.User = user.names()
	}
	for _, attribute := range attrs {
		if attribute.Name == kapa.ProjectColor {
			k.color, _ = placeholder.Parse(attribute.Value).Static()
		}
	}
	k.choice = consent.Choice{Name: a.Cookie, Version: a.Version, MaxAge: maxAge, Now: time.Now}
	if a.Cookie == "" {
		k.choice.Name = choiceCookie
	}
	if a.Version == "" {
		k.choice.Version = k.version()
	}
	return k
}

// names returns the names of the values that are set.
func (u User) names() (names []string) {
	if u.UniqueClientID != "" {
		names = append(names, "unique_client_id")
	}
	if u.Email != "" {
		names = append(names, "email")
	}
	return append(names, slices.Sorted(maps.Keys(u.Metadata))...)
}

// version names the texts and what they speak of.
func (k *asker) version() string {
	text, _ := json.Marshal(struct { // it has no value that cannot be marshalled
		Facts  prompt.Facts
		Texts  map[string]prompt.Texts
		Domain string
	}{k.facts, k.texts, k.id.Domain})
	hash := sha256.Sum256(text)
	return hex.EncodeToString(hash[:4])
}

// promptFor returns what the visitor of r reads, in the page's language.
func (k *asker) promptFor(r *http.Request, language, choice string) *prompt.Prompt {
	facts := k.facts
	site := authority.Seen(r)
	facts.Site = site.Host
	if domain, covered := k.id.domainFor(site); covered && domain != "" {
		facts.Site, facts.Shared = domain, true
	}
	p := prompt.New(language, facts, k.texts)
	p.Color, p.Choice = k.color, choice
	return &p
}

// keep adds to h the Set-Cookie line that keeps the visitor's answer. It reports
// whether the configured domain covers the host of r. A visitor who comes with an answer
// may have it for another domain, from an earlier configuration. That one is deleted,
// because it would contradict the new one.
func (k *asker) keep(h http.Header, r *http.Request, yes bool) (covered bool) {
	site := authority.Seen(r)
	domain, covered := k.cookie.domainFor(site)
	if !covered {
		return false
	}
	name := k.choice.Name
	cookies := consent.NewCookies(r.Header["Cookie"])
	if _, answered := cookies.NextNamed(name); answered {
		for _, other := range k.cookie.domainsFor(site) {
			if other != domain {
				h["Set-Cookie"] = append(h["Set-Cookie"], k.cookie.line(site, name, "", other, -1))
			}
		}
	}
	h["Set-Cookie"] = append(h["Set-Cookie"],
		k.cookie.line(site, name, k.choice.Value(yes), domain, int(time.Duration(k.cookie.MaxAge)/time.Second)))
	return true
}
