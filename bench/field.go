package main

import (
	"bytes"
	"fmt"
	"strings"
)

// field is a set of contenders to compare. All get the same page from the same
// origin and do the same coding work; they differ only in what their names say. The
// first is the reference.
type field struct {
	name       string
	contenders []contender
}

// contender is one kind of question to one program.
type contender struct {
	name    string
	program *program
	host    string
	page    string // the origin's kind of page
	cookies string
	site    site                   // the one that is asked
	tagged  bool                   // what it answers holds the tag
	loader  bool                   // what it answers holds the loader
	newID   bool                   // and the visitor gets an id
	target  func(size int) float64 // the most that its CPU time may be; nil for none
}

// ours: it has the directive.
func (c contender) ours() bool { return c.program.caddy && c.host != hostWithout }

// The visitors. Their cookies are of one length, so that all requests are.
const (
	withoutConsent = "cookie_wording=accepted; " + otherID
	withConsent    = "cookie_consent=accepted; " + visitorID
	firstVisit     = "cookie_consent=accepted; " + otherID

	visitorID = "kapa_web_id=6f1d2c7e-0b3a-4c58-9d21-7e5a4b3c2d10"
	otherID   = "kapa_wob_id=6f1d2c7e-0b3a-4c58-9d21-7e5a4b3c2d10"
)

// Targets, as ratios of CPU time per request.

func unchanged(size int) float64 {
	if size < 512<<10 {
		return 1.02
	}
	return 1.01
}

func inserted(size int) float64 {
	switch {
	case size < 64<<10:
		return 1.08
	case size < 512<<10:
		return 1.04
	default:
		return 1.01
	}
}

func spliced(size int) float64 {
	switch {
	case size < 512<<10:
		return 1.6
	case size < 8<<20:
		return 1.5
	default:
		return 1.1
	}
}

// newFields are all comparisons, without nginx if it is nil.
func newFields(caddy, nginx *program) []field {
	identity := field{name: "identity", contenders: []contender{
		{name: "Caddy", program: caddy, host: hostWithout, page: "html", cookies: withConsent},
		{name: "Caddy, once more", program: caddy, host: hostWithout, page: "html", cookies: withConsent},
		{name: "no consent", program: caddy, host: hostWith, page: "html", cookies: withoutConsent, target: unchanged},
		{name: "not HTML", program: caddy, host: hostWith, page: "other", cookies: withConsent, target: unchanged},
		{name: "tag", program: caddy, host: hostWith, page: "html", cookies: withConsent, tagged: true, target: inserted},
		{name: "tag and a new id", program: caddy, host: hostWith, page: "html", cookies: firstVisit, tagged: true, newID: true, target: inserted},
		{name: "loader", program: caddy, host: hostLoader, page: "html", cookies: withConsent, loader: true, target: inserted},
	}}
	if nginx != nil {
		identity.contenders = append(identity.contenders,
			contender{name: "nginx", program: nginx, host: hostWithout, page: "html", cookies: withConsent},
			contender{name: "nginx sub_filter", program: nginx, host: hostWith, page: "html", cookies: withConsent, tagged: true})
	}
	fields := []field{identity, {name: "gzip by the proxy"}}
	files := field{name: "precompressed files"}
	for _, level := range levels {
		fields = append(fields, field{name: fmt.Sprintf("gzip -%d by the origin", level)})
	}
	for _, c := range identity.contenders {
		c.site = compressing
		fields[1].contenders = append(fields[1].contenders, c)

		switch c.name {
		case "not HTML", "tag and a new id", "nginx", "nginx sub_filter":
			continue
		case "tag", "loader":
			c.target = spliced
		}
		for i, level := range levels {
			c.page = gzipped(level)
			fields[2+i].contenders = append(fields[2+i].contenders, c)
		}
		c.page, c.site = kindFile, serving
		files.contenders = append(files.contenders, c)
	}
	return append(fields, files)
}

// withoutLoader returns a page without the loader's element, which stands before </head>.
func withoutLoader(page []byte) []byte {
	head := bytes.Index(page, []byte("</head>"))
	begin := bytes.LastIndex(page[:max(head, 0)], []byte("<script>"))
	if begin < 0 || !bytes.Contains(page[begin:head], []byte("kapa_deflector=1.")) {
		return nil
	}
	return append(bytes.Clone(page[:begin]), page[head:]...)
}

// check asks once, and returns an error if the answer is not what c stands
// for: a number would mean nothing then.
func (c contender) check(v *visitor, page []byte) error {
	got, coding, header, err := v.fetch()
	if err != nil {
		return err
	}
	if gzip := coding == "gzip"; gzip != (c.site != passing) {
		return fmt.Errorf("content coding %q, want gzip: %v", coding, !gzip)
	}
	want := page
	if c.tagged {
		want = bytes.Replace(page, []byte("</head>"), []byte(tag()+"</head>"), 1)
	}
	if c.loader {
		got = withoutLoader(got)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("a page of %d bytes that is not the one of %d that was expected: %.200q", len(got), len(want), got)
	}
	if mints := strings.HasPrefix(header.Get("Set-Cookie"), "kapa_web_id="); mints != c.newID {
		return fmt.Errorf("an id is set: %v, want %v", mints, c.newID)
	}
	return nil
}
