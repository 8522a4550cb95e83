package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// report writes what was measured as text: a table for each heat, and each
// target beside what was measured.
func report(out io.Writer, heats []heat) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, h := range heats {
		fmt.Fprintf(t, "\n%s, %s\tCPU us\tratio\t95 %%\treq/s\tratio\tpeak MB\tratio\tfirst byte us\tratio\t\n", h.field, sizeName(h.size))
		base := h.results[0]
		for _, r := range h.results {
			cpu := ratios(r.cpu, base.cpu)
			fmt.Fprintf(t, "%s\t%.1f\t%.3f\t%.3f-%.3f\t%.0f\t%.2f\t%.1f\t%.2f\t%.0f\t%.2f\t\n", r.name,
				median(r.cpu), cpu.median, cpu.low, cpu.high,
				median(r.rate), ratios(r.rate, base.rate).median,
				r.memory, r.memory/base.memory,
				median(r.firstByte), ratios(r.firstByte, base.firstByte).median)
		}
	}
	fmt.Fprintf(t, "\ntarget\tat most\tmeasured\t95 %%\t\t\n")
	for _, h := range heats {
		for _, r := range h.results {
			if r.target == nil {
				continue
			}
			cpu := ratios(r.cpu, h.results[0].cpu)
			fmt.Fprintf(t, "%s, %s, %s\t%.2f\t%.3f\t%.3f-%.3f\t%s\t\n", h.field, sizeName(h.size), r.name,
				r.target(h.size), cpu.median, cpu.low, cpu.high, verdict(cpu, r.target(h.size)))
		}
	}
	return t.Flush()
}

// verdict says whether a ratio is within its limit, and whether the spread
// leaves room for doubt.
func verdict(s spread, limit float64) string {
	v := "met"
	if s.median > limit {
		v = "MISSED"
	}
	if s.low <= limit && s.high > limit {
		v += ", but the spread reaches across"
	}
	return v
}
