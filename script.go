package kapadeflector

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/authority"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/placeholder"
)

// Script is the deflector's script and how the page loads it.
type Script struct {
	// The script's URL: an https URL, a path on the site itself, or a URL of a
	// loopback host for trials. Default:
	// `https://widget.kapa.ai/kapa-support-form-deflector.bundle.js`.
	URL string `json:"url,omitempty"`

	// Subresource Integrity hashes (https://www.w3.org/TR/SRI/), such as
	// `sha384-...`, separated by spaces. Use them only with a URL whose script never
	// changes: Kapa's own URL names no version, and browsers would block its next
	// release. Default: none.
	Integrity string `json:"integrity,omitempty"`

	// The crossorigin attribute: `anonymous` or `use-credentials`. Default: none;
	// but `anonymous` if integrity is set and the URL is not a path, because
	// browsers check the hash of another origin's script only with it.
	CrossOrigin string `json:"crossorigin,omitempty"`

	// When the script runs: `async` or `defer`. Default: `async`, as Kapa documents.
	Loading string `json:"loading,omitempty"`
}

// provision returns s checked, with placeholders resolved and defaults filled in.
func (s Script) provision() (_ Script, err error) {
	for name, field := range s.fields() {
		if *field, err = placeholder.ResolveSetting(name, *field); err != nil {
			return s, err
		}
	}
	s = s.withDefaults()
	return s, s.check()
}

// fields returns pointers to the settings by their names.
func (s *Script) fields() map[string]*string {
	return map[string]*string{"url": &s.URL, "integrity": &s.Integrity, "crossorigin": &s.CrossOrigin, "loading": &s.Loading}
}

// withDefaults returns s with the defaults filled in.
func (s Script) withDefaults() Script {
	if s.URL == "" {
		s.URL = kapa.ScriptURL
	}
	if s.Loading == "" {
		s.Loading = "async"
	}
	if s.Integrity != "" && s.CrossOrigin == "" && !strings.HasPrefix(s.URL, "/") {
		s.CrossOrigin = "anonymous"
	}
	return s
}

// check finds mistakes in the settings.
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
			return fmt.Errorf("integrity %q: must be sha256-, sha384- or sha512- and the hash in base64", hash)
		}
	}
	if s.CrossOrigin != "" && s.CrossOrigin != "anonymous" && s.CrossOrigin != "use-credentials" {
		return fmt.Errorf("crossorigin is %q: must be anonymous or use-credentials", s.CrossOrigin)
	}
	if s.Loading != "" && s.Loading != "async" && s.Loading != "defer" {
		return fmt.Errorf("loading is %q: must be async or defer", s.Loading)
	}
	return nil
}

func checkScriptURL(s string) error {
	bad := func(why string) error {
		return fmt.Errorf("script URL %q: %s; must be an https URL, a path on the site itself, or a URL of a loopback host", s, why)
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
	if port, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || port < 1 || port > 65535) {
		return bad("there is no such port")
	}
	switch {
	case strings.HasPrefix(s, "/"):
		return nil
	case u.User != nil:
		return bad("it holds a user name")
	case u.Scheme == "https" && u.Hostname() != "":
		return nil
	case u.Scheme == "http" && authority.IsLoopback(u.Hostname()):
		return nil
	default:
		return bad("this kind of URL is not allowed")
	}
}

// warnings returns a text for each setting that is allowed but rarely intended.
func (s Script) warnings() (w []string) {
	if s.Integrity != "" && s.URL == kapa.ScriptURL {
		w = append(w, "script: integrity on Kapa's own URL, which names no version: browsers will block Kapa's next release")
	}
	u, err := url.Parse(s.URL)
	if err == nil && !head.IsVersion(path.Base(u.Path), kapa.ScriptFile) {
		w = append(w, "script: the file name is neither "+kapa.ScriptFile+" nor a version of it; the bundle may look for its own tag by that name")
	}
	return w
}
