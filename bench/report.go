package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// fewestRounds give an interval that is narrow enough to go by.
const fewestRounds = 3

// report writes what was measured as text: a table for each heat, and if there
// are enough rounds to go by, each target beside what was measured.
func report(out io.Writer, heats []*heat) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, h := range heats {
		if len(h.rounds) == 0 {
			continue
		}
		fmt.Fprintf(t, "\n%s, %s\tCPU us\tratio\tinterval\tof sums\treq/s\tratio\tpeak MB\tratio\tfirst byte us\tratio\t\n", h.field.name, sizeName(h.size))
		for i, c := range h.field.contenders {
			cpu := h.cpu(i)
			fmt.Fprintf(t, "%s\t%.1f\t%.3f\t%v\t%.3f\t%.0f\t%.2f\t%.1f\t%.2f\t%.0f\t%.2f\t\n", c.name,
				h.median(i, result.typical), cpu.middle, cpu, h.ratio(i, result.average),
				h.median(i, result.speed), h.ratio(i, result.speed),
				h.memory[i], h.memory[i]/h.memory[0],
				h.median(i, result.wait), h.ratio(i, result.wait))
		}
	}
	last := heats[len(heats)-1]
	if n := len(last.rounds); n < fewestRounds {
		fmt.Fprintf(t, "\n%d of the %d rounds that it takes to say whether a target is met\n", n, fewestRounds)
		return t.Flush()
	}
	fmt.Fprint(t, "\ntarget, as a ratio of CPU time\tat most\tmeasured\tinterval\t\t\n")
	for _, h := range heats {
		for i, c := range h.field.contenders {
			if c.target != nil {
				limit, cpu := c.target(h.size), h.cpu(i)
				fmt.Fprintf(t, "%s, %s, %s\t%.2f\t%.3f\t%v\t%s\t\n", h.field.name, sizeName(h.size), c.name,
					limit, cpu.middle, cpu, cpu.verdict(limit))
			}
		}
	}
	return t.Flush()
}

// typical is the CPU time of a request: the median of the turns, and what the
// garbage takes.
func (r result) typical() float64 { return median(r.cpu) + r.garbage }

// average counts whatever came between, too.
func (r result) average() float64 { return r.used / float64(r.requests) }

func (r result) speed() float64 { return median(r.rate) }
func (r result) wait() float64  { return median(r.firstByte) }

// cpu is a contender's typical CPU time in proportion to the first one's.
// Turns that are close to each other are compared.
func (h *heat) cpu(contender int) spread {
	var ratios []float64
	for _, round := range h.rounds {
		first, r := round[0], round[contender]
		ratios = append(ratios, (median(r.ratio)*median(first.cpu)+r.garbage)/first.typical())
	}
	return spreadOf(ratios)
}

// ratio is what a contender has of something in proportion to the first one.
func (h *heat) ratio(contender int, of func(result) float64) float64 {
	var ratios []float64
	for _, round := range h.rounds {
		ratios = append(ratios, of(round[contender])/of(round[0]))
	}
	return median(ratios)
}

func (h *heat) median(contender int, of func(result) float64) float64 {
	var values []float64
	for _, round := range h.rounds {
		values = append(values, of(round[contender]))
	}
	return median(values)
}

// verdict says whether a ratio is within its limit, or whether the interval
// leaves that open.
func (s spread) verdict(limit float64) string {
	switch {
	case s.high <= limit:
		return "met"
	case s.low > limit:
		return "MISSED"
	default:
		return "open"
	}
}

func (s spread) String() string {
	if math.IsInf(s.high, 0) {
		return "one round"
	}
	return fmt.Sprintf("%.3f-%.3f", s.low, s.high)
}

// machine says where and how the figures came about.
func (b *bench) machine(rounds int) string {
	cpu := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(info), "model name"); ok {
			name, _, _ := strings.Cut(rest, "\n")
			cpu = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return fmt.Sprintf("%d cores of %s, %s, %s; %d rounds, %d connections, %.0f s",
		runtime.NumCPU(), cpu, runtime.GOOS, runtime.Version(), rounds, connections, time.Since(b.begin).Seconds())
}
