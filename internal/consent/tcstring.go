package consent

import (
	"errors"
	"strings"
)

// TCString is what a Transparency and Consent string of IAB Europe's TCF v2
// says about purposes. Vendors, publisher restrictions and legitimate interest
// are not read: Kapa is no vendor of that list, and an interest is no consent.
//
// The format is that of "Consent string and vendor list formats v2", section
// "TC String Format".
type TCString struct {
	purposes    purposeBits // PurposesConsent
	publisher   purposeBits // PubPurposesConsent, of the publisher TC segment
	segments    [8]bool     // whether there is a segment of each type
	undisclosed bool        // PurposeOneTreatment: purpose 1 was not asked for
}

// MaxPurpose is the highest number that a purpose can have.
const MaxPurpose = 24

// purposeBits holds one bit for each purpose, purpose 1 in the highest of 24.
type purposeBits uint32

// The segments of a TC string, by their type.
const (
	segmentCore      = 0
	segmentPublisher = 3
)

// Fields that have a fixed place: their first bit, or the number of bits of a
// segment's fields that are in every string.
const (
	coreVersion         = 0
	corePolicyVersion   = 132
	coreServiceSpecific = 138
	corePurposes        = 152
	coreUndisclosed     = 200
	coreBits            = 259 // with two vendor sections and a list of restrictions, all empty

	publisherPurposes = 3
	publisherBits     = 57 // without custom purposes
)

// minPolicyVersion is that of TCF 2.2: "Consent string and vendor list formats
// v2" declares strings of an older policy invalid since 30 September 2023.
const minPolicyVersion = 4

// Errors of ParseTCString. They quote nothing of the string.
var (
	errTCAlphabet  = errors.New("TC string: a character that is not of base64url without padding")
	errTCVersion   = errors.New("TC string: version is not 2")
	errTCScope     = errors.New("TC string: global scope, only service-specific strings are valid")
	errTCPolicy    = errors.New("TC string: policy version below 4 is no longer valid")
	errTCShort     = errors.New("TC string: a segment ends before its fields do")
	errTCDuplicate = errors.New("TC string: two segments of one type")
)

// ParseTCString reads a TC string: segments joined by dots, the core first. A
// string that breaks the format's rules is an error and has no answers.
//
// The dates in it are not looked at: they say nothing about the choice, and
// come from the visitor's clock. Segments of types that are not known yet are
// passed over. The time it takes grows with the string and with nothing else.
func ParseTCString(s string) (TCString, error) {
	core, rest, more := strings.Cut(s, ".")
	tc, err := parseTCCore(core)
	for err == nil && more {
		var segment string
		segment, rest, more = strings.Cut(rest, ".")
		err = tc.addSegment(segment)
	}
	if err != nil {
		return TCString{}, err
	}
	return tc, nil
}

func parseTCCore(core string) (tc TCString, err error) {
	switch {
	case !isBase64URL(core):
		return tc, errTCAlphabet
	case len(core)*6 < coreBits:
		return tc, errTCShort
	case bits(core, coreVersion, 6) != 2:
		return tc, errTCVersion
	case bits(core, coreServiceSpecific, 1) != 1:
		return tc, errTCScope
	case bits(core, corePolicyVersion, 6) < minPolicyVersion:
		return tc, errTCPolicy
	}
	tc.segments[segmentCore] = true // its first three bits belong to the version, and are 0
	tc.purposes = purposeBits(bits(core, corePurposes, MaxPurpose))
	tc.undisclosed = bits(core, coreUndisclosed, 1) == 1
	return tc, nil
}

// addSegment reads one of the optional segments, which come in any order.
func (tc *TCString) addSegment(segment string) error {
	switch {
	case !isBase64URL(segment):
		return errTCAlphabet
	case segment == "":
		return errTCShort
	}
	kind := bits(segment, 0, 3)
	if tc.segments[kind] {
		return errTCDuplicate
	}
	tc.segments[kind] = true
	if kind != segmentPublisher {
		return nil
	}
	if len(segment)*6 < publisherBits {
		return errTCShort
	}
	tc.publisher = purposeBits(bits(segment, publisherPurposes, MaxPurpose))
	return nil
}

// Purposes finds whether the visitor consented to all of these purposes of the
// core segment, numbered from 1 to MaxPurpose. Purpose 1 of a string that says
// it was never disclosed is unanswered, whatever its bit; so is a number out of
// range, and an empty list. The most careful answer counts.
func (tc TCString) Purposes(wanted ...int) Finding {
	return tc.all(tc.purposes, wanted)
}

// PublisherPurposes does the same for the consent that the publisher asked for
// in its own name. Without a publisher TC segment it is unanswered.
func (tc TCString) PublisherPurposes(wanted ...int) Finding {
	if !tc.segments[segmentPublisher] {
		return unanswered
	}
	return tc.all(tc.publisher, wanted)
}

func (tc TCString) all(consented purposeBits, wanted []int) Finding {
	if len(wanted) == 0 {
		return unanswered
	}
	most := granted
	for _, purpose := range wanted {
		f := granted
		switch {
		case purpose < 1 || purpose > MaxPurpose:
			f = unanswered
		case purpose == 1 && tc.undisclosed:
			f = unanswered
		case consented>>(MaxPurpose-purpose)&1 == 0:
			f = refused
		}
		if f.Verdict.precedes(most.Verdict) {
			most = f
		}
	}
	return most
}
