package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strings"

	"github.com/google/pprof/profile"
)

// share is how much of a server's CPU time is spent in the directive itself:
// in its own functions, and in what they call, but not in the handler behind
// it or the writer below it, which run without it as well. It is counted in
// samples of one process, so that no other process' luck is in it. What it
// misses is what the directive makes others do: collect its garbage, send more
// bytes.
type share struct{ ours, all int64 }

// ratio is the CPU time with the directive in proportion to that without.
func (s share) ratio() spread {
	n, p := float64(s.all), float64(s.ours)/float64(s.all)
	of := func(p float64) float64 { return 1 / (1 - p) }
	wide := 1.96 * math.Sqrt(p*(1-p)/n) // of a binomial, 95 of 100 cases
	return spread{median: of(p), low: of(max(0, p-wide)), high: of(p + wide)}
}

const ourPackage = "github.com/kapadeflector/caddy-kapa-deflector"

// others are the handlers behind ours and the writers below: their methods,
// in Caddy's packages and Go's.
var others = regexp.MustCompile(`^(github\.com/caddyserver/caddy/v2/modules/caddyhttp|net/http)\b.*\.(ServeHTTP|Write|WriteHeader|ReadFrom|FlushError|Flush)$`)

// shareOf counts the samples of a profile.
func shareOf(p *profile.Profile) (s share) {
	for _, sample := range p.Sample {
		s.all += sample.Value[0]
		if isOurs(sample) {
			s.ours += sample.Value[0]
		}
	}
	return s
}

// isOurs goes by the innermost function that is of either.
func isOurs(sample *profile.Sample) bool {
	for _, location := range sample.Location { // from the leaf on
		for _, line := range location.Line {
			name := line.Function.Name
			if strings.HasPrefix(name, ourPackage+".") || strings.HasPrefix(name, ourPackage+"/") {
				return true
			}
			if others.MatchString(name) {
				return false
			}
		}
	}
	return false
}

// reportShare prints what the profile in a file says, beside the target.
func reportShare(out io.Writer, h *heat, c contender, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	s := shareOf(p)
	if s.all == 0 {
		return fmt.Errorf("%s: no samples", file)
	}
	aim := ""
	if c.target != nil {
		aim = fmt.Sprintf("%.2f", c.target(h.size))
	}
	fmt.Fprintf(out, "%s, %s, %s\t%d of %d\t%.3f\t%v\t%s\t\n", h.field.name, sizeName(h.size), c.name, s.ours, s.all, s.ratio().median, s.ratio(), aim)
	return nil
}
