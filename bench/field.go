package main

import (
	"bytes"
	"fmt"
	"strings"
)

// field is what is compared with each other: contenders that get the same page
// from the same origin and do the same coding work, but for the one thing that
// their name says. The first one is what the others are measured by.
type field struct {
	name       string
	contenders []contender
}

// contender is a site of a server, asked one kind of question. Those of one
// program are sites of one process.
type contender struct {
	name       string
	program    *program
	directives string
	page       string // the origin's kind of page
	cookies    string
	ours       bool                   // it has the directive
	tagged     bool                   // what it answers holds the tag
	newID      bool                   // and the visitor gets an id
	coding     string                 // what visitors get
	target     func(size int) float64 // the most that its CPU time may be; nil for none
}

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

// newFields are all comparisons, without nginx if there is none.
func newFields(caddyBinary, nginxBinary string) []field {
	contenders := func(encode, gzip string) (all []contender) {
		plain, proxy := caddy(caddyBinary, encode), nginx(nginxBinary, gzip)
		all = []contender{
			{name: "Caddy", program: plain, page: "html", cookies: withConsent},
			{name: "Caddy, once more", program: plain, page: "html", cookies: withConsent},
			{name: "no consent", program: plain, ours: true, page: "html", cookies: withoutConsent, target: unchanged},
			{name: "not HTML", program: plain, ours: true, page: "other", cookies: withConsent, target: unchanged},
			{name: "tag", program: plain, ours: true, page: "html", cookies: withConsent, tagged: true, target: inserted},
			{name: "tag and a new id", program: plain, ours: true, page: "html", cookies: firstVisit, tagged: true, newID: true, target: inserted},
		}
		if nginxBinary != "" {
			filter := "proxy_set_header Accept-Encoding \"\";\n\t\t\tsub_filter '</head>' '" + tag() + "</head>';"
			all = append(all,
				contender{name: "nginx", program: proxy, page: "html", cookies: withConsent},
				contender{name: "nginx sub_filter", program: proxy, directives: filter, page: "html", cookies: withConsent, tagged: true})
		}
		for i := range all {
			if all[i].ours {
				all[i].directives = deflector()
			}
		}
		return all
	}
	identity := field{name: "identity", contenders: contenders("", "")}
	// at the level that Caddy takes by itself
	gzip := field{name: "gzip by the proxy", contenders: contenders("encode gzip", "gzip on;\n\tgzip_comp_level 5;")}
	for i := range gzip.contenders {
		gzip.contenders[i].coding = "gzip"
	}

	// Here the work is not the same: what is to be changed has to be encoded
	// by Caddy, and otherwise the origin's bytes pass.
	passed := field{name: "gzip by the origin"}
	for _, c := range gzip.contenders {
		switch c.name {
		case "not HTML", "tag and a new id", "nginx", "nginx sub_filter":
			continue
		case "tag": // more work than the first one's
			c.target = nil
		}
		c.page = "gzip"
		passed.contenders = append(passed.contenders, c)
	}
	return []field{identity, gzip, passed}
}

// check asks once, and returns an error if the answer is not what c stands
// for: a number would mean nothing then.
func (c contender) check(v *visitor, page []byte) error {
	got, coding, header, err := v.fetch()
	if err != nil {
		return err
	}
	if coding != c.coding {
		return fmt.Errorf("content coding %q, want %q", coding, c.coding)
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
