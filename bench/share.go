package main

import (
	"regexp"
	"strings"

	"github.com/google/pprof/profile"
)

// share is how much of a server's CPU time is the directive's: in samples of a
// CPU profile, so that no other process' luck is in it.
type share struct {
	own        int64   // in its functions and in what they call, but not in the handler behind it or the writer below it
	collecting int64   // in the garbage collector
	all        int64   // but for the taking of profiles
	garbage    float64 // what part of the garbage is the directive's
}

// ratio is the CPU time with the directive in proportion to that without it.
// The collector's time is due by bytes: the more are allocated the more often it
// runs, and what it has to look through is the same without the directive.
func (s share) ratio() float64 {
	return float64(s.all) / (float64(s.all) - float64(s.own) - float64(s.collecting)*s.garbage)
}

// shareOf counts what was sampled of CPU time and of allocations.
func shareOf(cpu, allocs *profile.Profile) (s share) {
	for _, sample := range cpu.Sample {
		n := sample.Value[0]
		owner := ownerOf(sample)
		switch owner {
		case profiler:
			continue
		case directive:
			s.own += n
		case collector:
			s.collecting += n
		}
		s.all += n
	}
	bytes := 0
	for i, t := range allocs.SampleType {
		if t.Type == "alloc_space" {
			bytes = i
		}
	}
	var own, all int64
	for _, sample := range allocs.Sample {
		switch ownerOf(sample) {
		case profiler:
			continue
		case directive:
			own += sample.Value[bytes]
		}
		all += sample.Value[bytes]
	}
	if all > 0 {
		s.garbage = float64(own) / float64(all)
	}
	return s
}

// owner is whom a sample is charged to.
type owner int

const (
	others owner = iota
	directive
	collector
	profiler
)

const ourPackage = "github.com/kapadeflector/caddy-kapa-deflector"

var (
	// the handlers behind ours and the writers below, in Caddy's packages and Go's
	around = regexp.MustCompile(`^(github\.com/caddyserver/caddy/v2/modules/caddyhttp|net/http)\b.*\.(ServeHTTP|Write|WriteHeader|ReadFrom|FlushError|Flush)$`)
	// what collects: in the background, and in the midst of whoever allocates
	collects = regexp.MustCompile(`^runtime\.(gcBgMarkWorker|bgsweep|bgscavenge|gcStart|gcAssistAlloc|deductSweepCredit|\(\*sweepLocked\)\.sweep)\b`)
)

// ownerOf goes by the innermost function that says something.
func ownerOf(sample *profile.Sample) owner {
	for _, location := range sample.Location { // from the leaf on
		for _, line := range location.Line {
			switch name := line.Function.Name; {
			case collects.MatchString(name):
				return collector
			case strings.HasPrefix(name, "net/http/pprof."), strings.HasPrefix(name, "runtime/pprof."):
				return profiler
			case strings.HasPrefix(name, ourPackage+"."), strings.HasPrefix(name, ourPackage+"/"):
				return directive
			case around.MatchString(name):
				return others
			}
		}
	}
	return others
}
