package main

import (
	"math"
	"slices"
)

// spread is the mean of a sample and an interval that holds the mean of what
// was sampled in 95 of 100 cases.
type spread struct{ middle, low, high float64 }

// student is the quantile of Student's t for that, by degrees of freedom.
var student = []float64{math.Inf(1), 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23,
	2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09}

// spreadOf takes the sample's values for normal: each is the figure of a whole
// round, and so the middle of many.
func spreadOf(sample []float64) spread {
	n := float64(len(sample))
	var mean, square float64
	for _, x := range sample {
		mean += x / n
	}
	for _, x := range sample {
		square += (x - mean) * (x - mean)
	}
	if n < 2 {
		return spread{mean, math.Inf(-1), math.Inf(1)}
	}
	wide := student[min(len(sample), len(student))-1] * math.Sqrt(square/(n-1)/n)
	return spread{mean, mean - wide, mean + wide}
}

func median(sample []float64) float64 {
	s := slices.Sorted(slices.Values(sample))
	n := len(s)
	if n == 0 {
		return math.NaN()
	}
	return (s[(n-1)/2] + s[n/2]) / 2
}
