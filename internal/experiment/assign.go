// Package experiment assigns visitors to the arms of an experiment, and estimates from
// their counts what the deflector does. docs/experiment.md explains both.
package experiment

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// An Arm is one of the two sides of an experiment.
type Arm uint8

const (
	Deflector Arm = iota
	Holdout
	ArmCount
)

// String returns the arm as metrics name it.
func (a Arm) String() string { return [...]string{Deflector: "deflector", Holdout: "holdout"}[a] }

// BucketCount is into how many groups visitors are counted. Their differences tell how
// much of a result is chance, because all visits of a visitor are in one group.
const BucketCount = 50

// An Assignment says which visitors are held out. It is the same on every edge.
type Assignment struct {
	holdout uint64 // ids whose hash is below are held out
}

// NewAssignment returns the assignment that holds out a share of the visitors. share is
// more than 0 and less than 1. A larger share holds out those of a smaller one as well.
func NewAssignment(share float64) Assignment {
	return Assignment{holdout: uint64(share * (1 << 63) * 2)}
}

// Of returns the arm and the bucket, from 0 to BucketCount-1, of the visitor with this
// id. Another salt assigns anew.
func (a Assignment) Of(id, salt string) (Arm, int) {
	hash := sha256.Sum256([]byte(salt + "\n" + strings.ToLower(id)))
	bucket := int(binary.BigEndian.Uint64(hash[8:16]) % BucketCount)
	if binary.BigEndian.Uint64(hash[:8]) < a.holdout {
		return Holdout, bucket
	}
	return Deflector, bucket
}
