// Package consent reads a visitor's choice out of Cookie header fields.
//
// It knows neither HTTP nor Caddy: header lines go in, a verdict comes out.
// There are three verdicts, because "has not chosen yet" is neither a yes nor
// a withdrawal. Doubt is never consent: whatever is malformed, oversized or
// contradictory is Unknown.
package consent

// Verdict is what a request says about the visitor's choice.
type Verdict uint8

// The verdicts. The zero value neither grants nor deletes.
const (
	// Unknown is no choice, or none that can be read without doubt.
	Unknown Verdict = iota
	// Denied is an explicit refusal or withdrawal.
	Denied
	// Granted is an explicit yes.
	Granted
)

// precedes reports whether v takes precedence over other: any Denied is Denied,
// else any Unknown is Unknown.
func (v Verdict) precedes(other Verdict) bool {
	return v != other && (v == Denied || other == Granted)
}

// String returns "denied", "unknown" or "granted".
func (v Verdict) String() string {
	switch v {
	case Denied:
		return "denied"
	case Granted:
		return "granted"
	default:
		return "unknown"
	}
}

// Reason says why a verdict is not Granted. It holds nothing that came from
// the visitor, so it may be logged and counted.
type Reason uint8

// The reasons; a granted verdict has none.
const (
	NoReason Reason = iota
	NoCookieHeader
	CookieAbsent
	Unanswered
	Malformed
	Conflict
	Refused
	GPC
)

// String returns the reason as logs and metrics name it, "" for none.
func (r Reason) String() string {
	return [...]string{
		NoReason:       "",
		NoCookieHeader: "no_cookie_header",
		CookieAbsent:   "cookie_absent",
		Unanswered:     "unanswered",
		Malformed:      "malformed",
		Conflict:       "conflict",
		Refused:        "refused",
		GPC:            "gpc",
	}[r]
}

// Finding is a verdict with its reason.
type Finding struct {
	Verdict Verdict
	Reason  Reason
}

// The findings that rules give.
var (
	granted    = Finding{Verdict: Granted}
	refused    = Finding{Denied, Refused}
	unanswered = Finding{Unknown, Unanswered}
	malformed  = Finding{Unknown, Malformed}
	conflict   = Finding{Unknown, Conflict}
)

// Rule reads one aspect of consent from the lines of the Cookie header.
type Rule interface {
	Find(header []string) Finding
	// Cookies returns the names of the cookies that Find reads: regular
	// expressions, each for whole names.
	Cookies() []string
}

// Find combines rules to the most careful verdict: any denied is denied, else
// any unknown is unknown, else granted. Without rules it is Unknown.
func Find(rules []Rule, header []string) Finding {
	if len(rules) == 0 {
		return unanswered
	}
	most := granted
	for _, rule := range rules {
		most = Careful(most, rule.Find(header))
	}
	return most
}
