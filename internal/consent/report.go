package consent

import "strings"

// Report returns what a page reports of a platform, whose answer only the page can see.
// reports are of the form "usercentrics=yes; osano=no". A platform that is missing, or
// reported twice with different words, or with another word than yes and no, has no
// answer.
func Report(reports, platform string) Finding {
	found := unanswered
	for n, report := range strings.Split(reports, ";") {
		name, word, _ := strings.Cut(strings.TrimSpace(report), "=")
		if n >= maxReports {
			return malformed
		}
		if name != platform {
			continue
		}
		var one Finding
		switch word {
		case "yes":
			one = granted
		case "no":
			one = refused
		default:
			return unanswered
		}
		if found != unanswered && found != one {
			return conflict
		}
		found = one
	}
	return found
}

// maxReports is the most platforms that one page reports.
const maxReports = 16

// Careful returns the finding that counts if both must be satisfied: any denied is
// denied, else any unknown is unknown, else granted.
func Careful(a, b Finding) Finding {
	if b.Verdict.precedes(a.Verdict) {
		return b
	}
	return a
}
