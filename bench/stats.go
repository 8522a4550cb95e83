package main

import (
	"math"
	"slices"
)

// spread is the median of a sample and an interval that holds the median of
// what was sampled in 95 of 100 cases.
type spread struct{ median, low, high float64 }

// ratios compares one by one what was measured at about the same time: what
// disturbs the machine for longer disturbs both.
func ratios(of, by []float64) spread {
	r := make([]float64, len(of))
	for i := range of {
		r[i] = of[i] / by[i]
	}
	return spreadOf(r)
}

// spreadOf takes the interval from the order of the sample, so that nothing is
// assumed of how it is distributed: how many of n values lie below the median
// is binomial. A small sample's interval is all of it.
func spreadOf(sample []float64) spread {
	s := slices.Sorted(slices.Values(sample))
	n := len(s)
	if n == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	k, below := 0, math.Pow(0.5, float64(n)) // the chance that at most k values lie below
	for p := below; ; k++ {
		p *= float64(n-k) / float64(k+1)
		if below+p > 0.025 || k+1 > n/2 {
			break
		}
		below += p
	}
	return spread{median: middle(s), low: s[k], high: s[n-1-k]}
}

func median(sample []float64) float64 { return middle(slices.Sorted(slices.Values(sample))) }

// middle is the median of a sorted sample.
func middle(s []float64) float64 {
	n := len(s)
	if n == 0 {
		return math.NaN()
	}
	return (s[(n-1)/2] + s[n/2]) / 2
}
