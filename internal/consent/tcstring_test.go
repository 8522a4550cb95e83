package consent

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// tcModel is a TC string before it is written. Its zero value is a valid
// string's, in which everything is refused.
type tcModel struct {
	version, policy       int // 0 stands for 2, and for 5
	global                bool
	purposes, interests   []int
	undisclosed           bool
	vendors               []int // consented, and disclosed if there are any
	restrictions          int   // each of purpose 2, for one vendor
	publisher             bool
	publisherPurposes     []int
	customPurposes        int // all consented
	created, lastUpdated  int
	language, publisherCC [2]byte
}

// bitWriter writes fields of bits, the highest bit first.
type bitWriter []byte

func (w *bitWriter) int(v, n int) {
	for i := n - 1; i >= 0; i-- {
		*w = append(*w, byte(v>>i&1))
	}
}

// set writes n bits, of which those with these numbers, from 1, are set.
func (w *bitWriter) set(numbers []int, n int) {
	for i := range n {
		w.int(bit01(slices.Contains(numbers, i+1)), 1)
	}
}

func bit01(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (w bitWriter) String() string {
	for len(w)%6 != 0 {
		w = append(w, 0)
	}
	var s strings.Builder
	for i := 0; i < len(w); i += 6 {
		v := 0
		for _, bit := range w[i : i+6] {
			v = v<<1 | int(bit)
		}
		s.WriteByte(base64URL[v])
	}
	return s.String()
}

// vendors writes a vendor section, as a range of single entries or as bits.
func (w *bitWriter) vendors(numbers []int, asRange bool) {
	highest := 0
	if len(numbers) > 0 {
		highest = slices.Max(numbers)
	}
	w.int(highest, 16)
	w.int(bit01(asRange), 1)
	if !asRange {
		w.set(numbers, highest)
		return
	}
	w.entries(numbers)
}

func (w *bitWriter) entries(numbers []int) {
	w.int(len(numbers), 12)
	for _, n := range numbers {
		w.int(0, 1)
		w.int(n, 16)
	}
}

func (m tcModel) core() string {
	var w bitWriter
	w.int(orDefault(m.version, 2), 6)
	w.int(m.created, 36)
	w.int(m.lastUpdated, 36)
	w.int(31, 12) // CmpId
	w.int(7, 12)  // CmpVersion
	w.int(1, 6)   // ConsentScreen
	w.letters(m.language)
	w.int(126, 12) // VendorListVersion
	w.int(orDefault(m.policy, 5), 6)
	w.int(bit01(!m.global), 1)
	w.int(0, 1)  // UseNonStandardTexts
	w.int(0, 12) // SpecialFeatureOptIns
	w.set(m.purposes, MaxPurpose)
	w.set(m.interests, MaxPurpose)
	w.int(bit01(m.undisclosed), 1)
	w.letters(m.publisherCC)
	w.vendors(m.vendors, false)
	w.vendors(m.vendors, true)
	w.int(m.restrictions, 12)
	for range m.restrictions {
		w.int(2, 6)
		w.int(1, 2)
		w.entries([]int{755})
	}
	return w.String()
}

func (w *bitWriter) letters(two [2]byte) {
	for _, letter := range two {
		w.int(int(letter-'A')&63, 6)
	}
}

func orDefault(v, other int) int {
	if v == 0 {
		return other
	}
	return v
}

// vendorSegment is one of disclosed (1) or allowed (2) vendors.
func vendorSegment(kind int, vendors []int) string {
	var w bitWriter
	w.int(kind, 3)
	w.vendors(vendors, false)
	return w.String()
}

func (m tcModel) publisherSegment() string {
	var w bitWriter
	w.int(3, 3)
	w.set(m.publisherPurposes, MaxPurpose)
	w.set(m.interests, MaxPurpose)
	w.int(m.customPurposes, 6)
	w.set([]int{1, 2, 3}, m.customPurposes)
	w.set(nil, m.customPurposes)
	return w.String()
}

func (m tcModel) String() string {
	s := m.core()
	if len(m.vendors) > 0 {
		s += "." + vendorSegment(1, m.vendors)
	}
	if m.publisher {
		s += "." + m.publisherSegment()
	}
	return s
}

var allPurposes = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24}

// numbers returns those of 1 to 24 of which a finding is granted.
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
		model  tcModel
		wanted []int
		want   Finding
	}{
		{"all accepted", tcModel{purposes: allPurposes}, both, granted},
		{"all refused", tcModel{}, both, refused},
		{"just these two", tcModel{purposes: both}, both, granted},
		{"all but 8", tcModel{purposes: slices.Concat(allPurposes[:7], allPurposes[8:])}, both, refused},
		{"all but 1", tcModel{purposes: allPurposes[1:]}, both, refused},
		{"only 1, and that is enough", tcModel{purposes: one}, one, granted},
		{"legitimate interest is no consent", tcModel{interests: allPurposes}, both, refused},
		{"legitimate interest beside consent", tcModel{purposes: one, interests: eight}, both, refused},
		{"vendors are no consent", tcModel{vendors: []int{1, 8, 755}}, both, refused},
		{"1 was not disclosed", tcModel{purposes: allPurposes[1:], undisclosed: true}, one, unanswered},
		{"1 was not disclosed, 8 is granted", tcModel{purposes: eight, undisclosed: true}, both, unanswered},
		{"1 was not disclosed, 8 is refused", tcModel{undisclosed: true}, both, refused},
		{"1 was not disclosed and all the same has a bit", tcModel{purposes: both, undisclosed: true}, both, unanswered},
		{"1 was not disclosed and is not asked for", tcModel{purposes: eight, undisclosed: true}, eight, granted},
		{"24", tcModel{purposes: []int{24}}, []int{24}, granted},
		{"23 is not 24", tcModel{purposes: []int{23}}, []int{24}, refused},
		{"0 is none", tcModel{purposes: allPurposes}, []int{0}, unanswered},
		{"25 is none", tcModel{purposes: allPurposes}, []int{25}, unanswered},
		{"-1 is none", tcModel{purposes: allPurposes}, []int{-1}, unanswered},
		{"a good one and none", tcModel{purposes: allPurposes}, []int{1, 25}, unanswered},
		{"none and a refused one", tcModel{}, []int{25, 1}, refused},
		{"nothing is asked", tcModel{purposes: allPurposes}, nil, unanswered},
		{"the publisher's consent is not the vendors'", tcModel{publisher: true, publisherPurposes: both}, both, refused},
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
		model tcModel
		want  Finding
	}{
		{"no segment", tcModel{purposes: allPurposes}, unanswered},
		{"no segment, but others", tcModel{purposes: allPurposes, vendors: []int{2}}, unanswered},
		{"granted", tcModel{publisher: true, publisherPurposes: both}, granted},
		{"refused", tcModel{publisher: true}, refused},
		{"granted to vendors only", tcModel{publisher: true, purposes: allPurposes}, refused},
		{"one of two", tcModel{publisher: true, publisherPurposes: []int{8}}, refused},
		{"legitimate interest is no consent", tcModel{publisher: true, interests: allPurposes}, refused},
		{"custom purposes are others", tcModel{publisher: true, customPurposes: 63}, refused},
		{"beside custom purposes", tcModel{publisher: true, publisherPurposes: both, customPurposes: 3}, granted},
		{"behind disclosed vendors", tcModel{publisher: true, publisherPurposes: both, vendors: []int{1, 2, 999}}, granted},
		{"1 was not disclosed", tcModel{publisher: true, publisherPurposes: []int{8}, undisclosed: true}, unanswered},
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
	full := tcModel{purposes: []int{1, 3, 8}, publisher: true, publisherPurposes: []int{2, 24}, vendors: []int{2, 755}}
	core, disclosed, publisher := full.core(), vendorSegment(1, full.vendors), full.publisherSegment()
	for name, s := range map[string]string{
		"core and publisher":                   core + "." + publisher,
		"publisher before disclosed":           core + "." + publisher + "." + disclosed,
		"all four":                             core + "." + disclosed + "." + vendorSegment(2, nil) + "." + publisher,
		"a segment of a type yet to come":      core + ".g." + publisher, // 4
		"filled up to whole bytes":             core + "A." + publisher + "A",
		"filled up to three bytes, as IAB's":   core + "AAA." + publisher + "AAA",
		"policy version 4":                     tcModel{policy: 4, purposes: full.purposes}.core() + "." + publisher,
		"policy version 63":                    tcModel{policy: 63, purposes: full.purposes}.core() + "." + publisher,
		"restrictions":                         tcModel{restrictions: 40, purposes: full.purposes}.core() + "." + publisher,
		"dates, language and country":          tcModel{created: 1<<36 - 1, lastUpdated: 1, language: [2]byte{'D', 'E'}, publisherCC: [2]byte{'A', 'T'}, purposes: full.purposes}.core() + "." + publisher,
		"dates before any CMP, whatever clock": tcModel{created: 0, lastUpdated: 0, purposes: full.purposes}.core() + "." + publisher,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTCString(s)
			if err != nil {
				t.Fatal(err)
			}
			if found := numbers(got.Purposes); !slices.Equal(found, full.purposes) {
				t.Errorf("purposes %v, want %v", found, full.purposes)
			}
			if found := numbers(got.PublisherPurposes); !slices.Equal(found, full.publisherPurposes) {
				t.Errorf("publisher purposes %v, want %v", found, full.publisherPurposes)
			}
		})
	}
}

func TestTCStringsThatAreNot(t *testing.T) {
	full := tcModel{purposes: allPurposes, publisher: true, publisherPurposes: allPurposes, vendors: []int{2, 755}}
	core, disclosed, publisher := full.core(), vendorSegment(1, full.vendors), full.publisherSegment()
	for _, tc := range []struct {
		name, s string
		want    error
	}{
		{"empty", "", errTCShort},
		{"a word", "accepted", errTCShort},
		{"version 1", tcModel{version: 1}.core(), errTCVersion},
		{"version 3", tcModel{version: 3}.core(), errTCVersion},
		{"global", tcModel{global: true}.core(), errTCScope},
		{"policy version 2", tcModel{policy: 2}.core(), errTCPolicy},
		{"policy version 3", tcModel{policy: 3}.core(), errTCPolicy},
		{"cut after the purposes", core[:175/6+1], errTCShort},
		{"cut before the list of restrictions", tcModel{}.core()[:43], errTCShort},
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

// What the specification of TC strings and those who write about it print.
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

// Every bit of the core, turned by itself, changes what it stands for and
// nothing else.
func TestEveryBitOfACore(t *testing.T) {
	base := tcModel{purposes: []int{1, 8, 24}}
	core := base.core()
	want, err := ParseTCString(core)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(core) * 6 {
		got, err := ParseTCString(flip(core, bit))
		switch {
		case bit < 6:
			if !errors.Is(err, errTCVersion) {
				t.Errorf("bit %d, version: %v", bit, err)
			}
		case bit == 135: // policy version 5, 000101, to 1
			if !errors.Is(err, errTCPolicy) {
				t.Errorf("bit %d, policy version: %v", bit, err)
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

// What is cut anywhere in the fields that every core has is no TC string, and
// what has more vendors says the same of purposes.
func TestCutAndExtendedCores(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		m := tcModel{undisclosed: r.IntN(2) == 1}
		for _, purpose := range allPurposes {
			if r.IntN(2) == 1 {
				m.purposes = append(m.purposes, purpose)
			}
		}
		short := m.core()
		for n := range coreBits / 6 {
			if _, err := ParseTCString(short[:n]); err == nil {
				t.Fatalf("%s, cut to %d: no error", short, n)
			}
		}
		for range 20 {
			m.vendors = append(m.vendors, 1+r.IntN(1500))
		}
		one, err1 := ParseTCString(short)
		two, err2 := ParseTCString(m.core())
		if err1 != nil || err2 != nil || one != two {
			t.Fatalf("%+v: %v with %v, %v with %v", m, one, err1, two, err2)
		}
	}
}

func FuzzTCString(f *testing.F) {
	for _, m := range []tcModel{
		{},
		{purposes: allPurposes, publisher: true, publisherPurposes: []int{1, 8}, customPurposes: 2},
		{purposes: []int{1, 8}, vendors: []int{2, 755}, undisclosed: true},
		{global: true},
		{policy: 2},
		{restrictions: 2},
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
	good := tcModel{purposes: []int{1, 8}, publisher: true, vendors: []int{2, 755}}.String()
	for _, s := range []string{good, good + "=", "", tcModel{policy: 2}.String()} {
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
	for name, m := range map[string]tcModel{
		"refused":             {},
		"with 1300 vendors":   {purposes: allPurposes, vendors: many[1299:]},
		"with publisher's TC": {purposes: allPurposes, publisher: true, publisherPurposes: allPurposes},
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
