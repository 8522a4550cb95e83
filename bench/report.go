package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// fewestRounds make an interval: that all of 5 lie on one side of the median
// has a chance of 6 in 100.
const fewestRounds = 5

// report writes what was measured as text: a table for each heat, and if there
// are enough rounds to go by, each target beside what was measured.
func report(out io.Writer, heats []*heat) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, h := range heats {
		fmt.Fprintf(t, "\n%s, %s\tCPU us\tratio\tspread\treq/s\tratio\tpeak MB\tratio\tfirst byte us\tratio\t\n", h.field.name, sizeName(h.size))
		base := h.results[0]
		for i, r := range h.results {
			fmt.Fprintf(t, "%s\t%.1f\t%.3f\t%v\t%.0f\t%.2f\t%.1f\t%.2f\t%.0f\t%.2f\t\n", h.field.contenders[i].name,
				median(r.cpu), h.cpu(i).median, h.cpu(i),
				median(r.rate), ratios(r.rate, base.rate).median,
				r.memory, r.memory/base.memory,
				median(r.firstByte), ratios(r.firstByte, base.firstByte).median)
		}
	}
	if n := len(heats[0].results[0].cpu); n < fewestRounds {
		fmt.Fprintf(t, "\n%d of the %d rounds that it takes to say whether a target is met\n", n, fewestRounds)
		return t.Flush()
	}
	fmt.Fprint(t, "\ntarget, as a ratio of CPU time\tat most\tmeasured\tspread\t\t\n")
	for _, h := range heats {
		for i, c := range h.field.contenders {
			if c.target != nil {
				limit := c.target(h.size)
				fmt.Fprintf(t, "%s, %s, %s\t%.2f\t%.3f\t%v\t%s\t\n", h.field.name, sizeName(h.size), c.name,
					limit, h.cpu(i).median, h.cpu(i), h.cpu(i).verdict(limit))
			}
		}
	}
	return t.Flush()
}

// cpu is the CPU time of a contender in proportion to the first one's.
func (h *heat) cpu(contender int) spread {
	return spreadOf(h.results[contender].cpuRatio)
}

// verdict says whether a ratio is within its limit, or not, or whether the
// spread leaves that open.
func (s spread) verdict(limit float64) string {
	switch {
	case s.median <= limit && s.high <= limit:
		return "met"
	case s.median <= limit:
		return "met, within the noise"
	case s.low <= limit:
		return "MISSED, within the noise"
	default:
		return "MISSED"
	}
}

func (s spread) String() string { return fmt.Sprintf("%.3f-%.3f", s.low, s.high) }
