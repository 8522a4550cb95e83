package consent

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent/tctest"
)

var allPurposes = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24}

// numbers returns the numbers from 1 to 24 whose finding is granted.
func numbers(find func(...int) Finding) (found []int) {
	for n := range 30 {
		if find(n).Verdict == Granted {
			found = append(found, n)
		}
	}
	return found
}

func TestTCPurposes(t *testing.T) {
	one, eight := []int{1}, []int{8}
	both := []int{1, 8}
	for _, tc := range []struct {
		name   string
		model  tctest.Consent
		wanted []int
		want   Finding
	}{
		{"all accepted", tctest.Consent{Purposes: allPurposes}, both, granted},
		{"all refused", tctest.Consent{}, both, refused},
		{"just these two", tctest.Consent{Purposes: both}, both, granted},
		{"all but 8", tctest.Consent{Purposes: slices.Concat(allPurposes[:7], allPurposes[8:])}, both, refused},
		{"all but 1", tctest.Consent{Purposes: allPurposes[1:]}, both, refused},
		{"only 1, and that is enough", tctest.Consent{Purposes: one}, one, granted},
		{"legitimate interest is no consent", tctest.Consent{Interests: allPurposes}, both, refused},
		{"legitimate interest beside consent", tctest.Consent{Purposes: one, Interests: eight}, both, refused},
		{"vendors are no consent", tctest.Consent{Vendors: []int{1, 8, 755}}, both, refused},
		{"1 was not disclosed", tctest.Consent{Purposes: allPurposes[1:], Undisclosed: true}, one, unanswered},
		{"1 was not disclosed, 8 is granted", tctest.Consent{Purposes: eight, Undisclosed: true}, both, unanswered},
		{"1 was not disclosed, 8 is refused", tctest.Consent{Undisclosed: true}, both, refused},
		{"1 was not disclosed and all the same has a bit", tctest.Consent{Purposes: both, Undisclosed: true}, both, unanswered},
		{"1 was not disclosed and is not asked for", tctest.Consent{Purposes: eight, Undisclosed: true}, eight, granted},
		{"24", tctest.Consent{Purposes: []int{24}}, []int{24}, granted},
		{"23 is not 24", tctest.Consent{Purposes: []int{23}}, []int{24}, refused},
		{"0 is none", tctest.Consent{Purposes: allPurposes}, []int{0}, unanswered},
		{"25 is none", tctest.Consent{Purposes: allPurposes}, []int{25}, unanswered},
		{"-1 is none", tctest.Consent{Purposes: allPurposes}, []int{-1}, unanswered},
		{"a good one and none", tctest.Consent{Purposes: allPurposes}, []int{1, 25}, unanswered},
		{"none and a refused one", tctest.Consent{}, []int{25, 1}, refused},
		{"nothing is asked", tctest.Consent{Purposes: allPurposes}, nil, unanswered},
		{"the publisher's consent is not the vendors'", tctest.Consent{Publisher: true, PublisherPurposes: both}, both, refused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseTCString(tc.model.String())
			if err != nil {
				t.Fatal(err)
			}
			if f := got.Purposes(tc.wanted...); f != tc.want {
				t.Errorf("got %v, want %v", f, tc.want)
			}
		})
	}
}

func TestTCPublisherPurposes(t *testing.T) {
	both := []int{1, 8}
	for _, tc := range []struct {
		name  string
		model tctest.Consent
		want  Finding
	}{
		{"no segment", tctest.Consent{Purposes: allPurposes}, unanswered},
		{"no segment, but others", tctest.Consent{Purposes: allPurposes, Vendors: []int{2}}, unanswered},
		{"granted", tctest.Consent{Publisher: true, PublisherPurposes: both}, granted},
		{"refused", tctest.Consent{Publisher: true}, refused},
		{"granted to vendors only", tctest.Consent{Publisher: true, Purposes: allPurposes}, refused},
		{"one of two", tctest.Consent{Publisher: true, PublisherPurposes: []int{8}}, refused},
		{"legitimate interest is no consent", tctest.Consent{Publisher: true, Interests: allPurposes}, refused},
		{"custom purposes are others", tctest.Consent{Publisher: true, CustomPurposes: 63}, refused},
		{"beside custom purposes", tctest.Consent{Publisher: true, PublisherPurposes: both, CustomPurposes: 3}, granted},
		{"behind disclosed vendors", tctest.Consent{Publisher: true, PublisherPurposes: both, Vendors: []int{1, 2, 999}}, granted},
		{"1 was not disclosed", tctest.Consent{Publisher: true, PublisherPurposes: []int{8}, Undisclosed: true}, unanswered},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseTCString(tc.model.String())
			if err != nil {
				t.Fatal(err)
			}
			if f := got.PublisherPurposes(both...); f != tc.want {
				t.Errorf("got %v, want %v", f, tc.want)
			}
		})
	}
}

func TestTCStringsThatAreValid(t *testing.T) {
	full := tctest.Consent{Purposes: []int{1, 3, 8}, Publisher: true, PublisherPurposes: []int{2, 24}, Vendors: []int{2, 755}}
	core, disclosed, publisher := full.Core(), tctest.VendorSegment(1, full.Vendors), full.PublisherSegment()
	for name, s := range map[string]string{
		"core and publisher":                   core + "." + publisher,
		"publisher before disclosed":           core + "." + publisher + "." + disclosed,
		"all four":                             core + "." + disclosed + "." + tctest.VendorSegment(2, nil) + "." + publisher,
		"a segment of a type yet to come":      core + ".g." + publisher, // 4
		"filled up to whole bytes":             core + "A." + publisher + "A",
		"filled up to three bytes, as IAB's":   core + "AAA." + publisher + "AAA",
		"policy version 4":                     tctest.Consent{Policy: 4, Purposes: full.Purposes}.Core() + "." + publisher,
		"policy version 63":                    tctest.Consent{Policy: 63, Purposes: full.Purposes}.Core() + "." + publisher,
		"restrictions":                         tctest.Consent{Restrictions: 40, Purposes: full.Purposes}.Core() + "." + publisher,
		"dates, language and country":          tctest.Consent{Created: 1<<36 - 1, LastUpdated: 1, Language: [2]byte{'D', 'E'}, Country: [2]byte{'A', 'T'}, Purposes: full.Purposes}.Core() + "." + publisher,
		"dates before any CMP, whatever clock": tctest.Consent{Created: 0, LastUpdated: 0, Purposes: full.Purposes}.Core() + "." + publisher,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTCString(s)
			if err != nil {
				t.Fatal(err)
			}
			if found := numbers(got.Purposes); !slices.Equal(found, full.Purposes) {
				t.Errorf("purposes %v, want %v", found, full.Purposes)
			}
			if found := numbers(got.PublisherPurposes); !slices.Equal(found, full.PublisherPurposes) {
				t.Errorf("publisher purposes %v, want %v", found, full.PublisherPurposes)
			}
		})
	}
}

func TestTCStringsThatAreNot(t *testing.T) {
	full := tctest.Consent{Purposes: allPurposes, Publisher: true, PublisherPurposes: allPurposes, Vendors: []int{2, 755}}
	core, disclosed, publisher := full.Core(), tctest.VendorSegment(1, full.Vendors), full.PublisherSegment()
	for _, tc := range []struct {
		name, s string
		want    error
	}{
		{"empty", "", errTCShort},
		{"a word", "accepted", errTCShort},
		{"version 1", tctest.Consent{Version: 1}.Core(), errTCVersion},
		{"version 3", tctest.Consent{Version: 3}.Core(), errTCVersion},
		{"global", tctest.Consent{Global: true}.Core(), errTCScope},
		{"policy version 2", tctest.Consent{Policy: 2}.Core(), errTCPolicy},
		{"policy version 3", tctest.Consent{Policy: 3}.Core(), errTCPolicy},
		{"cut after the purposes", core[:175/6+1], errTCShort},
		{"cut before the list of restrictions", tctest.Consent{}.Core()[:43], errTCShort},
		{"cut, and a segment behind", core[:30] + "." + publisher, errTCShort},
		{"no core", "." + core, errTCShort},
		{"publisher's first", publisher + "." + core, errTCShort},
		{"two cores", core + "." + core, errTCDuplicate},
		{"two publisher segments", core + "." + publisher + "." + publisher, errTCDuplicate},
		{"two with others between", core + "." + publisher + "." + disclosed + "." + publisher, errTCDuplicate},
		{"two segments of disclosed vendors", core + "." + disclosed + "." + disclosed, errTCDuplicate},
		{"two of a type yet to come", core + ".g.g", errTCDuplicate},
		{"a publisher segment that is cut", core + "." + publisher[:9], errTCShort},
		{"an empty segment", core + "..", errTCShort},
		{"a dot at the end", core + ".", errTCShort},
		{"padding", core + "=", errTCAlphabet},
		{"padding of a segment", core + "." + publisher + "==", errTCAlphabet},
		{"standard base64, +", core + "+", errTCAlphabet},
		{"standard base64, /", core + "/", errTCAlphabet},
		{"white space", core + " ", errTCAlphabet},
		{"NUL", core + "\x00", errTCAlphabet},
		{"not ASCII", core + ".\xff", errTCAlphabet},
		{"still percent-encoded", core + "%2E" + publisher, errTCAlphabet},
		{"quoted", `"` + core + `"`, errTCAlphabet},
		{"a GPP string", "DBABMA~" + core, errTCAlphabet},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseTCString(tc.s)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if got != (TCString{}) || got.Purposes(1).Verdict == Granted || got.PublisherPurposes(1).Verdict == Granted {
				t.Errorf("and answers all the same: %+v", got)
			}
		})
	}
	if _, err := ParseTCString(core + "." + disclosed + "." + publisher); err != nil {
		t.Errorf("what the cases above are made of is no good: %v", err)
	}
}

// TC strings from their specification and from those who write about it.
func TestPublishedTCStrings(t *testing.T) {
	for _, s := range []string{
		// "Consent string and vendor list formats v2", policy version 2
		"CLcVDxRMWfGmWAVAHCENAXCkAKDAADnAABRgA5mdfCKZuYJez-NQm0TBMYA4oCAAGQYIAAAAAAEAIAEgAA.argAC0gAAAAAAAAAAAA",
		// "Global Privacy Platform String"
		"CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA",
	} {
		if _, err := ParseTCString(s); !errors.Is(err, errTCPolicy) {
			t.Errorf("%s: got %v, want %v", s, err, errTCPolicy)
		}
	}
}

// Every bit of the core, turned by itself, changes only its own meaning.
func TestEveryBitOfACore(t *testing.T) {
	base := tctest.Consent{Purposes: []int{1, 8, 24}}
	core := base.Core()
	want, err := ParseTCString(core)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(core) * 6 {
		got, err := ParseTCString(flip(core, bit))
		switch {
		case bit < 6:
			if !errors.Is(err, errTCVersion) {
				t.Errorf("bit %d, Version: %v", bit, err)
			}
		case bit == 135: // policy version 5, 000101, to 1
			if !errors.Is(err, errTCPolicy) {
				t.Errorf("bit %d, policy Version: %v", bit, err)
			}
		case bit == 138:
			if !errors.Is(err, errTCScope) {
				t.Errorf("bit %d, service specific: %v", bit, err)
			}
		case err != nil:
			t.Errorf("bit %d: %v", bit, err)
		case bit >= 152 && bit < 176:
			if purpose := bit - 151; (got.Purposes(purpose) == granted) == (want.Purposes(purpose) == granted) ||
				got.purposes&^(1<<(MaxPurpose-purpose)) != want.purposes&^(1<<(MaxPurpose-purpose)) {
				t.Errorf("bit %d: purposes %v", bit, numbers(got.Purposes))
			}
		case bit == 200:
			if got.Purposes(1) != unanswered || got.Purposes(8) != granted {
				t.Errorf("bit %d: purposes %v", bit, numbers(got.Purposes))
			}
		case got != want:
			t.Errorf("bit %d: got %+v, want %+v", bit, got, want)
		}
	}
}

// flip turns one bit of a base64url string.
func flip(s string, bit int) string {
	b := []byte(s)
	b[bit/6] = base64URL[sextets[b[bit/6]]^1<<(5-bit%6)]
	return string(b)
}

// A string cut in the fields that every core has is no TC string, and a string
// with more vendors says the same about purposes.
func TestCutAndExtendedCores(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		m := tctest.Consent{Undisclosed: r.IntN(2) == 1}
		for _, purpose := range allPurposes {
			if r.IntN(2) == 1 {
				m.Purposes = append(m.Purposes, purpose)
			}
		}
		short := m.Core()
		for n := range coreBits / 6 {
			if _, err := ParseTCString(short[:n]); err == nil {
				t.Fatalf("%s, cut to %d: no error", short, n)
			}
		}
		for range 20 {
			m.Vendors = append(m.Vendors, 1+r.IntN(1500))
		}
		one, err1 := ParseTCString(short)
		two, err2 := ParseTCString(m.Core())
		if err1 != nil || err2 != nil || one != two {
			t.Fatalf("%+v: %v with %v, %v with %v", m, one, err1, two, err2)
		}
	}
}

func FuzzTCString(f *testing.F) {
	for _, m := range []tctest.Consent{
		{},
		{Purposes: allPurposes, Publisher: true, PublisherPurposes: []int{1, 8}, CustomPurposes: 2},
		{Purposes: []int{1, 8}, Vendors: []int{2, 755}, Undisclosed: true},
		{Global: true},
		{Policy: 2},
		{Restrictions: 2},
	} {
		f.Add(m.String(), uint16(300), "AAA")
	}
	f.Add("CLcVDxRMWfGmWAVAHCENAXCkAKDAADnAABRgA5mdfCKZuYJez-NQm0TBMYA4oCAAGQYIAAAAAAEAIAEgAA.argAC0gAAAAAAAAAAAA", uint16(210), "_")
	f.Add("..", uint16(0), ".")
	f.Fuzz(func(t *testing.T, s string, bit uint16, more string) {
		got, err := ParseTCString(s)
		if err != nil {
			if got != (TCString{}) {
				t.Errorf("%q: %v, and yet %+v", s, err, got)
			}
			return
		}
		if again, err := ParseTCString(strings.Clone(s)); err != nil || again != got {
			t.Errorf("%q: %+v, then %+v with %v", s, got, again, err)
		}

		core, rest, segments := strings.Cut(s, ".")
		for n := range coreBits / 6 {
			if _, err := ParseTCString(core[:n]); err == nil {
				t.Errorf("%q, cut to %d: no error", s, n)
			}
		}
		same := func(what, core string) {
			changed := core
			if segments {
				changed += "." + rest
			}
			if other, err := ParseTCString(changed); err != nil || other != got {
				t.Errorf("%q: %+v, with %s %+v and %v", s, got, what, other, err)
			}
		}
		if bit := int(bit); bit > coreUndisclosed && bit < len(core)*6 {
			same("another bit of vendors", flip(core, bit))
		}
		if isBase64URL(more) {
			same("more vendors", core+more)
		}

		// what the bits say, read another way
		for purpose := 1; purpose <= MaxPurpose; purpose++ {
			at := corePurposes + purpose - 1
			bit := strings.IndexByte(base64URL, core[at/6])>>(5-at%6)&1 == 1
			f := got.Purposes(purpose)
			if purpose == 1 && got.undisclosed {
				bit = false
			}
			if (f == granted) != bit {
				t.Errorf("%q: purpose %d is %v", s, purpose, f)
			}
		}
		if !segments && got.PublisherPurposes(allPurposes...) != unanswered {
			t.Errorf("%q: the publisher was answered without being asked", s)
		}
	})
}

func TestTCStringAllocatesNothing(t *testing.T) {
	good := tctest.Consent{Purposes: []int{1, 8}, Publisher: true, Vendors: []int{2, 755}}.String()
	for _, s := range []string{good, good + "=", "", tctest.Consent{Policy: 2}.String()} {
		if n := testing.AllocsPerRun(100, func() {
			tc, _ := ParseTCString(s)
			tc.Purposes(1, 8)
		}); n != 0 {
			t.Errorf("%q: %v allocations", s, n)
		}
	}
}

func BenchmarkTCString(b *testing.B) {
	var many []int
	for n := range 1300 {
		many = append(many, n+1)
	}
	for name, m := range map[string]tctest.Consent{
		"refused":             {},
		"with 1300 vendors":   {Purposes: allPurposes, Vendors: many[1299:]},
		"with publisher's TC": {Purposes: allPurposes, Publisher: true, PublisherPurposes: allPurposes},
	} {
		s := m.String()
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			b.ReportAllocs()
			for b.Loop() {
				tc, err := ParseTCString(s)
				if err != nil {
					b.Fatal(err)
				}
				tc.Purposes(1, 8)
			}
		})
	}
}
