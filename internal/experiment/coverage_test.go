package experiment

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A population is one for which docs/experiment.md says how many tickets a result needs.
type population struct {
	name      string
	holdout   float64 // share
	deflected float64 // share of the tickets of visitors with the deflector
	visitors  int
}

// perVisitor is how many tickets a visitor writes on average. How many it is differs
// between visitors by a lognormal factor, whose square is 4 on average, so that a few
// visitors write most tickets. The author of a ticket then writes 1 + 4 * perVisitor = 2
// tickets on average, which is the D of docs/experiment.md.
const perVisitor = 0.25

// sigma is the standard deviation of the factor's logarithm.
var sigma = math.Sqrt(math.Log(4))

// tickets returns how many tickets a visitor would write without the deflector.
func tickets(random *rand.Rand) (n int) {
	rate := perVisitor * math.Exp(sigma*random.NormFloat64()-sigma*sigma/2)
	for rest := random.ExpFloat64(); rest < rate; rest += random.ExpFloat64() { // a Poisson process
		n++
	}
	return n
}

// run returns what three edges count together. Each ticket comes to any of them.
func (p population) run(random *rand.Rand, newID func() string) *Counts {
	edges := [3]Assignment{NewAssignment(p.holdout), NewAssignment(p.holdout), NewAssignment(p.holdout)}
	var counted [len(edges)]Counts
	for range p.visitors {
		id := newID()
		for range tickets(random) {
			edge := random.IntN(len(edges))
			arm, bucket := edges[edge].Of(id, "an integration")
			if arm == Deflector && random.Float64() < p.deflected {
				continue // the visitor has found the answer
			}
			counted[edge][arm][bucket]++
		}
	}
	var sum Counts
	for _, c := range counted {
		for arm := range c {
			for bucket, n := range c[arm] {
				sum[arm][bucket] += n
			}
		}
	}
	return &sum
}

// simulate runs the experiment so many times. covered is the share of intervals with the
// truth in them, shown of those without 1.
func (p population) simulate(seed uint64, runs int) (covered, shown float64) {
	random, newID := rand.New(rand.NewPCG(seed, 2)), newIDs(seed)
	truth := 1 - p.deflected
	for range runs {
		e := p.run(random, newID).Estimate(p.holdout)
		if e.Lower <= truth && truth <= e.Upper {
			covered++
		}
		if e.Upper < 1 || e.Lower > 1 {
			shown++
		}
	}
	return covered / float64(runs), shown / float64(runs)
}

// The interval contains the truth in 95 of 100 experiments, and the documented number of
// tickets shows the effect in 80 of them. 1000 runs tell 95 from 93 of 100; 200 would leave
// an honest interval outside of these bounds once in five times.
func TestCoverage(t *testing.T) {
	if raceDetector {
		t.Skip("the simulation has one goroutine, and would take minutes: the stage browsers runs it")
	}
	const runs = 1000
	for _, p := range []population{
		{"30 % deflected, holdout 20%", 0.2, 0.3, 3490},
		{"nothing deflected, holdout 20%", 0.2, 0, 3490},
	} {
		covered, shown := p.simulate(1, runs)
		t.Logf("%s: %.1f of 100 intervals contain the truth, %.1f show an effect", p.name, 100*covered, 100*shown)
		if covered < 0.93 || covered > 0.97 {
			t.Errorf("%s: %.3f of the intervals contain the truth, want 0.93 to 0.97", p.name, covered)
		}
		if p.deflected > 0 && (shown < 0.75 || shown > 0.9) {
			t.Errorf("%s: %.3f show an effect, want 0.8", p.name, shown)
		}
	}
}
