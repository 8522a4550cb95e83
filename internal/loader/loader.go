// Package loader is the script that stands in every page under the loader
// subdirective, and the language in which it talks to the edge.
//
// The script (loader.js) is the same for every visitor. When the support form is on
// the page, it sends a question to the page's own address. The edge takes the
// question out of the request with [Take], and replies with an [Answer]: what this
// visitor gets at this address. Nobody stores an answer.
package loader

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/escape"
)

// The minified sources: the loader, the loader for a configuration with adapters or a
// prompt, the prompt, and the adapters by the names of their platforms.
var (
	//go:embed loader.min.js
	source string
	//go:embed loader-more.min.js
	sourceMore string
	//go:embed prompt.min.js
	promptSource string
	//go:embed adapters/*.min.js
	adapterSources embed.FS
)

// A Start says when Kapa's script may load.
type Start uint8

// The starts. Whichever it is, the form must be on the page, and the visitor must
// see the page.
const (
	Load        Start = iota // after the page has loaded
	Idle                     // when the browser is then idle
	Interaction              // when the visitor then touches the form
)

var starts = []string{Load: "load", Idle: "idle", Interaction: "interaction"}

// Starts are the words for the starts, in their order.
func Starts() []string { return starts }

// Config is what the script must know. All of it is the same for every visitor. Its JSON
// is what Script.ID names: to rename a field changes every ID.
type Config struct {
	// Selectors of the main input, the submit element, the submit button and the
	// anchor element. "" for one that is not waited for.
	Selectors [4]string

	Cookies  []string // regular expressions for the names of the cookies that record consent
	Start    Start
	HonorGPC bool // whether the script ends at once if the browser sends Global Privacy Control
	Adapters []Adapter
	Prompt   bool // whether the script may ask the visitor for consent

	// Pages tell blocks with the same script apart. They are the edge's business; only
	// a hash of them is in the script.
	Pages []string `json:"-"`

	// Version is the plugin's version, such as v0.1.0, for whoever looks at a page; ""
	// if it is not known. It changes nothing but a comment.
	Version string `json:"-"`
}

// An Adapter asks a consent platform's script for the visitor's choice.
type Adapter struct {
	Platform   string
	Categories []string // all of which the visitor must have consented to
}

// A Script is the loader for one configuration.
type Script struct {
	ID      string // names the configuration, in every version of the plugin; see [Take]
	Block   string // names the pages
	Content string // of the script element
}

// New returns the script for c. Scripts for equal configurations are equal, on every
// edge of the same version. Edges of other versions, and copies of pages that they have
// sent, have the same ID, so each answers the questions of the other's script.
func New(c Config) Script {
	configuration, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and numbers always have a JSON
	}
	s := Script{ID: name(string(configuration)), Block: name(strings.Join(c.Pages, " "))}
	s.Content = c.comment() + c.call(key+s.ID+"."+s.Block+".")
	return s
}

// versions matches what a version consists of (https://semver.org, and what Go adds).
// Nothing in it ends a comment or a script element.
const versions = `[A-Za-z0-9.+-]{1,64}`

var version = regexp.MustCompile("^" + versions + "$")

// comment returns what the script begins with; "" if the version is not known.
func (c Config) comment() string {
	if !version.MatchString(c.Version) {
		return ""
	}
	return "/*kapa_deflector " + c.Version + "*/"
}

// name returns a short name for s.
func name(s string) string {
	hash := sha256.Sum256([]byte(s))
	return hex.EncodeToString(hash[:4])
}

// call returns the code that runs the script, whose questions begin with prefix.
func (c Config) call(prefix string) string {
	var b strings.Builder
	more := c.Adapters != nil || c.Prompt
	if more {
		b.WriteString(strings.TrimSuffix(sourceMore, "\n"))
	} else {
		b.WriteString(strings.TrimSuffix(source, "\n"))
	}
	b.WriteString("([")
	for i, selector := range c.Selectors {
		if i > 0 {
			b.WriteByte(',')
		}
		escape.JSON(&b, selector)
	}
	b.WriteString("],")
	escape.JSON(&b, strings.Join(c.Cookies, "|"))
	b.WriteByte(',')
	escape.JSON(&b, prefix)
	b.WriteString("," + strconv.Itoa(int(c.Start)))
	if c.HonorGPC {
		b.WriteString(",1")
	} else {
		b.WriteString(",0")
	}
	if more {
		c.writeMore(&b)
	}
	b.WriteByte(')')
	return b.String()
}

// writeMore writes the arguments for adapters and prompt.
func (c Config) writeMore(b *strings.Builder) {
	b.WriteString(",{")
	for i, adapter := range c.Adapters {
		if i > 0 {
			b.WriteByte(',')
		}
		code, err := adapterSources.ReadFile("adapters/" + adapter.Platform + ".min.js")
		if err != nil {
			panic(err) // a platform that consent.SeenByPage knows has an adapter
		}
		b.WriteString(adapter.Platform + ":" + strings.TrimSuffix(string(code), "\n") + "(")
		for i, category := range adapter.Categories {
			if i > 0 {
				b.WriteByte(',')
			}
			escape.JSON(b, category)
		}
		b.WriteByte(')')
	}
	b.WriteString("},")
	if c.Prompt {
		b.WriteString(strings.TrimSuffix(promptSource, "\n"))
	} else {
		b.WriteByte('0')
	}
}
