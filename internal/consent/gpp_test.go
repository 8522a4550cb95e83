package consent

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent/tctest"
)

// gppString has a word for each of its sections.
func gppString(sections []int, groups bool) string {
	s := tctest.GPPHeader(sections, groups)
	for _, n := range sections {
		s += "~section-" + strconv.Itoa(n)
	}
	return s
}

func TestGPP(t *testing.T) {
	for _, tc := range []struct {
		name, s string
		want    string // the TC string, "" for none
	}{
		// from "Global Privacy Platform String", sections "Header Examples" and
		// "GPP String Examples", by either of two ways to fill up the header
		{"published, 2 alone", "DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA", "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"},
		{"published, 2 and 6", "DBACNYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN", "CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA"},
		{"published, 5 to 6", "DBABjw~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN", ""},
		{"the header 2 alone, filled up less", "DBABM~CP", "CP"},
		{"the header 2 and 6, filled up less", "DBACNY~CP~1YNN", "CP"},
		{"no section", "DBAA", ""},

		{"2 alone", gppString([]int{2}, false), "section-2"},
		{"1 and 2", gppString([]int{1, 2}, false), "section-2"},
		{"1 to 2", gppString([]int{1, 2}, true), "section-2"},
		{"2 to 3", gppString([]int{2, 3}, true), "section-2"},
		{"1 to 12", gppString([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, true), "section-2"},
		{"1, 2, 7 and more", gppString([]int{1, 2, 7, 8, 10, 23}, false), "section-2"},
		{"1 alone", gppString([]int{1}, false), ""},
		{"1 and 3", gppString([]int{1, 3}, true), ""},
		{"6", gppString([]int{6}, false), ""},
		{"7 to 23", gppString([]int{7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}, true), ""},
		{"22, which is 21 and 1 in Fibonacci's numbers", gppString([]int{22}, false), ""},
		{"2 and the highest", gppString([]int{2, maxGPPSection}, true), "section-2"},
		{"empty section", "DBABMA~", ""},
		{"padding of the header", "DBABMAAAAA~CP", "CP"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, found, err := TCStringOfGPP(tc.s)
			if wantFound := tc.want != "" || tc.name == "empty section"; err != nil || found != wantFound || got != tc.want {
				t.Errorf("%s: got %q, %v, %v, want %q", tc.s, got, found, err, tc.want)
			}
		})
	}
}

func TestGPPStringsThatAreNone(t *testing.T) {
	var farGroup tctest.Bits
	for _, field := range [...]struct{ v, n int }{{3, 6}, {1, 6}, {1, 12}, {1, 1}} {
		farGroup.Int(field.v, field.n)
	}
	farGroup.Fibonacci(2)
	farGroup.Fibonacci(maxGPPSection - 1)

	for name, s := range map[string]string{
		"empty":                       "",
		"a word":                      "accepted",
		"a TC string":                 tctest.Consent{Purposes: allPurposes}.String(),
		"sections and no header":      "~CP",
		"another type":                "CBABMA~CP",
		"another version":             "DCABMA~CP",
		"a header that is cut":        "DBAB~CP",
		"cut in a number":             "DBABE~CP", // 0 001, and the end
		"cut in a group's length":     "DBABm~CP", // 1 0011 0
		"more items than there are":   "DBACMA~CP~CP",
		"4095 items":                  "DB__MA~CP",
		"a section less than listed":  "DBACNYA~CP",
		"a section more than listed":  "DBABMA~CP~1YNN",
		"no section":                  "DBABMA",
		"one where none is listed":    "DBAA~CP",
		"padding":                     "DBABMA==~CP",
		"white space":                 "DBABMA ~CP",
		"standard base64":             "DBAB+A~CP",
		"percent-encoded":             "DBABMA%7ECP",
		"a number above the highest":  gppString([]int{maxGPPSection + 1}, false),
		"a number far above":          gppString([]int{2, 1 << 30}, false),
		"a group that reaches beyond": farGroup.String() + "~CP",
		"a number without an end":     "DBAB" + strings.Repeat("A", 1000) + "~CP",
		"a number of twos for ever":   "DBAB" + strings.Repeat("V", 1000) + "~CP", // 010101...
	} {
		t.Run(name, func(t *testing.T) {
			got, found, err := TCStringOfGPP(s)
			if !errors.Is(err, errGPP) || found || got != "" {
				t.Errorf("%s: got %q, %v, %v", s, got, found, err)
			}
		})
	}
}

// Every number that is read, by itself and as the reach of a group.
func TestGPPSectionNumbers(t *testing.T) {
	for n := 1; n <= maxGPPSection; n++ {
		var w tctest.Bits
		w.Fibonacci(n)
		w.Int(0, 7)
		r := bitReader{s: w.String()}
		if got := r.fibonacci(); got != n || r.short || r.next != len(w)-7 {
			t.Fatalf("%d: read %d, %d bits of %d", n, got, r.next, len(w)-7)
		}
	}
	for n := 3; n <= 300; n++ {
		var listed []int
		for i := 2; i <= n; i++ {
			listed = append(listed, i)
		}
		if total, at, ok := gppSections(tctest.GPPHeader(listed, true)); !ok || total != n-1 || at != 0 {
			t.Errorf("2 to %d: %d sections, the TCF's is %d, %v", n, total, at, ok)
		}
	}
}

// What is read is one of the pieces between the tildes, at the place where a
// header written again lists section 2.
func FuzzGPP(f *testing.F) {
	f.Add("DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA")
	f.Add("DBACNYA~CP~1YNN")
	f.Add("DBABjw~CP~1YNN")
	f.Add("DBAA")
	f.Add(gppString([]int{1, 2, 3, 4, 5}, true))
	f.Add("DBAB" + strings.Repeat("A", 100) + "~")
	f.Add("~~~~")
	f.Fuzz(func(t *testing.T, s string) {
		got, found, err := TCStringOfGPP(s)
		pieces := strings.Split(s, "~")
		switch {
		case err != nil:
			if got != "" || found {
				t.Errorf("%q: %v, and yet %q, %v", s, err, got, found)
			}
			return
		case !found:
			if got != "" {
				t.Errorf("%q: nothing is found, and it is %q", s, got)
			}
		case got != pieces[1] && (len(pieces) < 3 || got != pieces[2]): // only section 1 can be before it
			t.Errorf("%q: %q is neither the first section nor the second", s, got)
		}
		if again, foundAgain, err := TCStringOfGPP(strings.Clone(s)); again != got || foundAgain != found || err != nil {
			t.Errorf("%q: %q, then %q, %v, %v", s, got, again, foundAgain, err)
		}
		if _, _, err := TCStringOfGPP(s + "~x"); err == nil {
			t.Errorf("%q: one section more is no error", s)
		}
		if other, foundOther, err := TCStringOfGPP("A" + s); err == nil {
			t.Errorf("%q after an A: %q, %v", s, other, foundOther)
		}
	})
}

func TestGPPAllocatesNothing(t *testing.T) {
	for _, s := range []string{"DBACNYA~" + tctest.Consent{}.String() + "~1YNN", "DBAA", "x"} {
		if n := testing.AllocsPerRun(100, func() { _, _, _ = TCStringOfGPP(s) }); n != 0 {
			t.Errorf("%q: %v allocations", s, n)
		}
	}
}

func BenchmarkGPP(b *testing.B) {
	s := "DBACNYA~" + tctest.Consent{Purposes: allPurposes, Vendors: []int{1300}, Publisher: true}.String() + "~1YNN"
	b.SetBytes(int64(len(s)))
	b.ReportAllocs()
	for b.Loop() {
		tc, found, err := TCStringOfGPP(s)
		if err != nil || !found {
			b.Fatal(found, err)
		}
		if _, err := ParseTCString(tc); err != nil {
			b.Fatal(err)
		}
	}
}
