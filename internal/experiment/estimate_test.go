package experiment

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

// documented reads docs/experiment.md.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/experiment.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The worked example of docs/experiment.md: 1584 and 220 submissions, whose shares differ
// by 0.0002 = z² in each of the 50 buckets.
func TestTheDocumentedExample(t *testing.T) {
	var c Counts
	for b := range BucketCount {
		sign := float64(1 - b%2*2)
		c[Deflector][b] = 1584. / BucketCount
		c[Holdout][b] = 220 * (1./BucketCount + sign*math.Sqrt(0.0002))
	}
	e := c.Estimate(0.1)
	text := documented(t)
	for _, want := range []string{
		fmt.Sprintf("1760 / 2200 = %.3f", e.Ratio),
		fmt.Sprintf("*s* = √(50/49 · 0.0100) = %.3f", e.StdErr),
		fmt.Sprintf("%.3f · exp(±2.01 · %.3f) = %.3f to %.3f", e.Ratio, e.StdErr, e.Lower, e.Upper),
		fmt.Sprintf("**%.0f %%, between %.0f %% and %.0f %%**", 100*(1-e.Ratio), 100*(1-e.Upper), 100*(1-e.Lower)),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("docs/experiment.md does not say %q", want)
		}
	}
}

// Buckets without submissions count as 0. Without any submissions in an arm there is no
// result.
func TestEstimateOfFewSubmissions(t *testing.T) {
	var c Counts
	c[Deflector][1], c[Holdout][2] = 3, 3
	e := c.Estimate(0.5)
	if want := math.Sqrt(2 * 50. / 49); e.Ratio != 1 || math.Abs(e.StdErr-want) > 1e-12 {
		t.Errorf("%+v, want the ratio 1 and the error %v", e, want)
	}
	c[Holdout][2] = 0
	if e := c.Estimate(0.5); !math.IsInf(e.Ratio, 1) || !math.IsNaN(e.Upper) {
		t.Errorf("%+v without submissions of the holdout", e)
	}
}

// Each number in the tables of docs/experiment.md is that of the formula below them.
func TestTheDocumentedSizes(t *testing.T) {
	size := func(holdout, deflected float64) float64 {
		return 2 * (1/holdout + 1/((1-holdout)*(1-deflected))) * math.Pow(2.86/math.Log(1-deflected), 2)
	}
	holdouts := []float64{0.05, 0.1, 0.2, 0.3, 0.5}
	perVisitors := []float64{0.1, 0.25, 0.5, 1}
	found := 0
	for line := range strings.Lines(documented(t)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | ")
		percent, err := strconv.ParseFloat(strings.TrimSuffix(cells[0], " %"), 64)
		if err != nil || len(cells) < 2 {
			continue
		}
		for i, cell := range cells[1:] {
			want := size(0.1, percent/100)
			if len(cells) == 1+len(holdouts) {
				want = size(holdouts[i], percent/100)
			} else {
				want /= perVisitors[i]
			}
			got, err := strconv.ParseFloat(strings.ReplaceAll(cell, ",", ""), 64)
			if err != nil || math.Abs(got/want-1) > 0.005 {
				t.Errorf("%s is in the row %q, want %.0f", cell, line, want)
			}
			found++
		}
	}
	if found != 27 {
		t.Errorf("%d numbers, want 27", found)
	}
}
