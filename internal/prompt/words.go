package prompt

import (
	"strconv"
	"strings"
	"time"
)

// words are the sentences of one language. What is known about Kapa's script, and from
// where, is in docs/privacy.md.
type words struct {
	tag string

	question    string
	sent        string // what is sent to whom, and why
	captcha     string
	id          string // what it is for
	shared      string // {site}, {age} and {renewed}: where and how long it is kept, if subdomains get it
	alone       string // the same, if they do not
	email       string
	user        string // {list}
	fingerprint string
	joined      string // what the identities come to together
	choice      string // {age}

	accept, refuse, change string
	yes, no, failed        string
	policy                 string

	keys                   map[string]string // what the site tells Kapa, by its name
	hour, hours, day, days string
}

// renewedFor is how long Kapa's script keeps the id from each question on
// (https://docs.kapa.ai/integrations/support-form-deflector/user-tracking).
const renewedFor = 399 * 24 * time.Hour

// text returns the question, and below it what the visitor must know to answer it.
func (w *words) text(f Facts) string {
	var identity []string
	if f.ID {
		reach := w.alone
		if f.Shared {
			reach = w.shared
		}
		identity = append(identity, w.id, strings.NewReplacer(
			"{site}", f.Site, "{age}", w.duration(f.IDAge), "{renewed}", w.duration(renewedFor)).Replace(reach))
	}
	if f.Fingerprint {
		identity = append(identity, w.fingerprint)
	}
	if f.Email {
		identity = append(identity, w.email)
	}
	if len(f.User) > 0 {
		identity = append(identity, strings.Replace(w.user, "{list}", w.list(f.User), 1))
	}
	if (f.ID || f.Fingerprint) && (f.Email || len(f.User) > 0) {
		identity = append(identity, w.joined)
	}
	lines := []string{w.question, w.sent + " " + w.captcha}
	if identity != nil {
		lines = append(lines, strings.Join(identity, " "))
	}
	return strings.Join(append(lines, strings.Replace(w.choice, "{age}", w.duration(f.ChoiceAge), 1)), "\n")
}

// list names the values that the site tells Kapa.
func (w *words) list(keys []string) string {
	names := make([]string, len(keys))
	for i, key := range keys {
		if names[i] = w.keys[key]; names[i] == "" {
			names[i] = key
		}
	}
	return strings.Join(names, ", ")
}

// duration returns d in days, or in hours if it is shorter than a day. Both are rounded
// up, because it is the longest time.
func (w *words) duration(d time.Duration) string {
	unit, one, more := time.Hour, w.hour, w.hours
	if d > 23*time.Hour {
		unit, one, more = 24*time.Hour, w.day, w.days
	}
	n := max(1, int((d+unit-1)/unit))
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}
