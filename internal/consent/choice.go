package consent

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Choice is the cookie in which the edge itself keeps what a visitor has answered:
//
//	yes.<version>.<day>
//	no.<version>.<day>
//
// The version names the text that the visitor has read. The day is that of the answer,
// counted from 1970-01-01 UTC.
type Choice struct {
	Name    string
	Version string           // letters and digits
	MaxAge  time.Duration    // how long an answer counts, in whole days
	Now     func() time.Time // the time of a request
}

// Cookies returns the cookie's name.
func (c Choice) Cookies() []string { return []string{regexp.QuoteMeta(c.Name)} }

// Find returns what the visitor has answered. An answer to another version, or one that
// is too old or comes from the future, is no answer.
func (c Choice) Find(header []string) Finding {
	finding, _ := c.read(header)
	return finding
}

// Remaining returns how long the answer still counts, 0 if there is none.
func (c Choice) Remaining(header []string) time.Duration {
	_, left := c.read(header)
	return left
}

func (c Choice) read(header []string) (found Finding, left time.Duration) {
	cookies := NewCookies(header)
	found = Finding{Unknown, CookieAbsent}
	if len(header) == 0 {
		found.Reason = NoCookieHeader
	}
	for copies := 0; ; copies++ {
		value, ok := cookies.NextNamed(c.Name)
		if !ok {
			return found, left
		}
		one, rest := c.parse(value)
		if copies > 0 && one != found {
			return conflict, 0
		}
		found, left = one, rest
	}
}

func (c Choice) parse(value string) (Finding, time.Duration) {
	if len(value) > maxChoice {
		return malformed, 0
	}
	word, rest, _ := strings.Cut(value, ".")
	version, day, ok := strings.Cut(rest, ".")
	n, err := strconv.ParseUint(day, 10, 16) // to the year 2149
	if !ok || err != nil || word != "yes" && word != "no" {
		return malformed, 0
	}
	age := max(time.Duration(c.today()-int64(n))*day24, -day24) // a day, because clocks differ
	left := min(c.MaxAge-age, c.MaxAge)
	if version != c.Version || left <= 0 || int64(n) > c.today()+1 {
		return unanswered, 0
	}
	if word == "no" {
		return refused, left
	}
	return granted, left
}

// Chosen returns the finding for an answer that is given now.
func Chosen(yes bool) Finding {
	if yes {
		return granted
	}
	return refused
}

// Value returns the cookie's value for an answer that is given now.
func (c Choice) Value(yes bool) string {
	word := "no"
	if yes {
		word = "yes"
	}
	return word + "." + c.Version + "." + strconv.FormatInt(c.today(), 10)
}

const (
	maxChoice = 64 // bytes
	day24     = 24 * time.Hour
)

// today is the current day, counted from 1970-01-01 UTC.
func (c Choice) today() int64 { return c.Now().Unix() / int64(day24/time.Second) }
