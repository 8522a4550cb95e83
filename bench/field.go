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
	gzip    bool                   // asked of the site that compresses; the visitor gets gzip
	tagged  bool                   // what it answers holds the tag
	newID   bool                   // and the visitor gets an id
	target  func(size int) float64 // the most that its CPU time may be; nil for none
}

// ours: it has the directive.
func (c contender) ours() bool { return c.program.caddy && c.host == hostWith }

// The visitors. Their cookies are of one length, so that all requests are.
const (
	withoutConsent = "cookie_wording=accepted; " + otherID
	withConsent    = "cookie_consent=accepted; " + visitorID
	firstVisit     = "cookie_consent=accepted; " + otherID

	visitorID = "kapa_web_id=6f1d2c7e-0b3a-4c58-9d21-7e5a4b3c2d10"
	otherID   = "kapa_wob_id=6f1d2c7e-0b3a-4c58-9d21-7e5a4b3c2d10"
)

// Targets, as ratios of CPU time per request.
func unchanged(int) float64 { return 1.02 }

func inserted(size int) float64 {
	switch {
	case size < 64<<10:
		return 1.10
	case size < 512<<10:
		return 1.05
	default:
		return 1.02
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
	}}
	if nginx != nil {
		identity.contenders = append(identity.contenders,
			contender{name: "nginx", program: nginx, host: hostWithout, page: "html", cookies: withConsent},
			contender{name: "nginx sub_filter", program: nginx, host: hostWith, page: "html", cookies: withConsent, tagged: true})
	}
	byProxy, byOrigin := field{name: "gzip by the proxy"}, field{name: "gzip by the origin"}
	for _, c := range identity.contenders {
		c.gzip = true
		byProxy.contenders = append(byProxy.contenders, c)

		// Here the work differs: Caddy must encode a page that it changes; otherwise
		// the origin's bytes pass.
		switch c.name {
		case "not HTML", "tag and a new id", "nginx", "nginx sub_filter":
			continue
		case "tag": // more work than the first one's
			c.target = nil
		}
		c.page = "gzip"
		byOrigin.contenders = append(byOrigin.contenders, c)
	}
	return []field{identity, byProxy, byOrigin}
}

// check asks once, and returns an error if the answer is not what c stands
// for: a number would mean nothing then.
func (c contender) check(v *visitor, page []byte) error {
	got, coding, header, err := v.fetch()
	if err != nil {
		return err
	}
	if gzip := coding == "gzip"; gzip != c.gzip {
		return fmt.Errorf("content coding %q, want gzip: %v", coding, c.gzip)
	}
	want := page
	if c.tagged {
		want = bytes.Replace(page, []byte("</head>"), []byte(tag()+"</head>"), 1)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("a page of %d bytes that is not the one of %d that was expected: %.200q", len(got), len(want), got)
	}
	if mints := strings.HasPrefix(header.Get("Set-Cookie"), "kapa_web_id="); mints != c.newID {
		return fmt.Errorf("an id is set: %v, want %v", mints, c.newID)
	}
	return nil
}
