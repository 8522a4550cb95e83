package consent

import "strconv"

// The tests of TC strings; see [PackedRule.Compile].

func parsePurposes(args []string) (test, bool) {
	return parseConsented(args, TCString.Purposes)
}

func parsePublisherPurposes(args []string) (test, bool) {
	return parseConsented(args, TCString.PublisherPurposes)
}

// parseConsented is for purposes, whose finding find returns. A purpose that the
// visitor was never asked about is in doubt.
func parseConsented(args []string, find func(tc TCString, purposes ...int) Finding) (test, bool) {
	var purposes []int
	for _, arg := range args {
		n, err := strconv.Atoi(arg)
		if err != nil || n < 1 || n > MaxPurpose {
			return nil, false
		}
		purposes = append(purposes, n)
	}
	return func(r *reading) (bool, Reason) {
		f := find(r.tc, purposes...)
		if f.Verdict == Unknown {
			return false, f.Reason
		}
		return f.Verdict == Granted, NoReason
	}, len(purposes) > 0
}
