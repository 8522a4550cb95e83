package experiment

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// newIDs returns a source of ids, the same for each seed.
func newIDs(seed uint64) func() string {
	random := rand.New(rand.NewPCG(seed, 1))
	return func() string {
		var id uuid.UUID
		for i := range id {
			id[i] = byte(random.Uint32())
		}
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // a version 4, as Caddy's and Kapa's are
		return id.String()
	}
}

// A visitor is in one arm and one bucket, on every edge and however the id is spelled.
// Another integration deals anew. A larger holdout moves only the difference.
func TestAssignment(t *testing.T) {
	const visitors = 20000
	newID := newIDs(1)
	ten, thirty, onAnotherEdge := NewAssignment(0.1), NewAssignment(0.3), NewAssignment(0.3)
	var heldOut, elsewhere float64
	var perBucket [ArmCount][BucketCount]float64
	for range visitors {
		id := newID()
		arm, bucket := thirty.Of(id, "one")
		perBucket[arm][bucket]++
		if a, b := onAnotherEdge.Of(strings.ToUpper(id), "one"); a != arm || b != bucket {
			t.Fatal("another edge puts the visitor elsewhere")
		}
		if a, b := ten.Of(id, "one"); a == Holdout && arm != Holdout || b != bucket {
			t.Fatal("a visitor of a small holdout is not in the larger one")
		}
		if arm == Holdout {
			heldOut++
			if a, _ := thirty.Of(id, "two"); a == Holdout {
				elsewhere++
			}
		}
	}
	if share := heldOut / visitors; share < 0.28 || share > 0.32 {
		t.Errorf("%.3f are held out, want 0.3", share)
	}
	if share := elsewhere / heldOut; share < 0.27 || share > 0.33 {
		t.Errorf("%.3f of the held-out visitors are held out by another integration, too; want 0.3", share)
	}
	for arm, share := range [ArmCount]float64{Deflector: 0.7, Holdout: 0.3} {
		for bucket, n := range perBucket[arm] {
			if want := visitors * share / BucketCount; n < want*0.6 || n > want*1.4 {
				t.Errorf("%v visitors in bucket %d of the arm %s, want about %v", n, bucket, Arm(arm), want)
			}
		}
	}
}

// The ends of what holdout may be.
func TestSmallAndLargeHoldouts(t *testing.T) {
	newID := newIDs(2)
	least, most := NewAssignment(1e-9), NewAssignment(99.99999999999999/100)
	for range 1000 {
		id := newID()
		if a, _ := least.Of(id, ""); a != Deflector {
			t.Error("held out by almost no holdout")
		}
		if a, _ := most.Of(id, ""); a != Holdout {
			t.Error("not held out by almost all of it")
		}
	}
}
