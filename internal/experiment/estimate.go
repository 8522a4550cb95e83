package experiment

import "math"

// Counts are what visitors did, by arm and bucket.
type Counts [ArmCount][BucketCount]float64

// An Estimate is what an experiment says: how many of something the visitors do who
// have the deflector, as a ratio to what those do who are held out.
type Estimate struct {
	Ratio        float64
	StdErr       float64 // of the logarithm of Ratio
	Lower, Upper float64 // the 95 % interval of Ratio
}

// t975 is the quantile 0.975 of the t distribution with BucketCount-1 degrees of
// freedom.
const t975 = 2.01

// Estimate returns what the counts come to if this share of the visitors was held out.
// All of it is NaN or infinite if one arm has no counts. The variance is that of the delta
// method with buckets as clusters (https://doi.org/10.1145/3219819.3219919). It is what
// the recording rules in docs/experiment.md compute; no request needs it.
func (c *Counts) Estimate(share float64) (e Estimate) {
	var total [ArmCount]float64
	for a := range ArmCount {
		for _, n := range c[a] {
			total[a] += n
		}
	}
	e.Ratio = total[Deflector] / (1 - share) / (total[Holdout] / share)
	var sum float64
	for b := range BucketCount {
		z := c[Deflector][b]/total[Deflector] - c[Holdout][b]/total[Holdout]
		sum += z * z
	}
	e.StdErr = math.Sqrt(sum * BucketCount / (BucketCount - 1))
	e.Lower = e.Ratio * math.Exp(-t975*e.StdErr)
	e.Upper = e.Ratio * math.Exp(t975*e.StdErr)
	return e
}
