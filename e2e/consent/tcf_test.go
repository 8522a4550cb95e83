package consent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent/tctest"
)

// How many strings the judge makes, and from what seed.
const (
	tcSeed     = 20261
	tcStrings  = 10_000
	gppStrings = 3_000
)

const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// judged is what IAB Tech Lab's libraries say of a TC string; see tcf.mjs.
type judged struct {
	String            string
	Error             string // of @iabtcf/core, which says the rest
	Version, Policy   int
	ServiceSpecific   bool
	Undisclosed       bool // PurposeOneTreatment
	Purposes          []int
	Publisher         bool // there is a publisher TC segment
	PublisherPurposes []int
	GPP               struct { // of @iabgpp/cmpapi
		Error                       string
		Purposes, PublisherPurposes []int
	}
}

// judge runs tcf.mjs and returns its answers.
func judge[T any](t *testing.T, stdin []string, args ...string) (answers []T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		testenv.Missing(t, "node", "install Node.js")
	}
	for _, library := range []string{"@iabtcf/core", "@iabgpp/cmpapi"} {
		testenv.Module(t, library)
	}
	cmd := exec.Command("node", append([]string{"tcf.mjs"}, args...)...)
	cmd.Stdin = strings.NewReader(strings.Join(stdin, "\n"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tcf.mjs: %v", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for decoder.More() {
		var answer T
		if err := decoder.Decode(&answer); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer)
	}
	return answers
}

// purposes returns the numbers that a way to ask for one purpose grants.
func purposes(find func(...int) consent.Finding) (granted []int) {
	for n := range consent.MaxPurpose + 2 {
		if find(n).Verdict == consent.Granted {
			granted = append(granted, n)
		}
	}
	return granted
}

// differs says in what our decoder and the library differ about a string that
// the library could read; "" is in nothing.
func (j judged) differs() string {
	tc, err := consent.ParseTCString(j.String)
	if valid := j.Version == 2 && j.ServiceSpecific && j.Policy >= 4; err != nil || !valid {
		if (err == nil) == valid {
			return ""
		}
		return fmt.Sprintf("we say %v; by the library version %d, policy %d, service specific %v", err, j.Version, j.Policy, j.ServiceSpecific)
	}

	// purpose 1 that was not disclosed is no answer, whatever its bit
	ours := func(judged []int) []int {
		return slices.DeleteFunc(slices.Clone(judged), func(n int) bool { return n == 1 && j.Undisclosed })
	}
	if got, want := purposes(tc.Purposes), ours(j.Purposes); !slices.Equal(got, want) {
		return fmt.Sprintf("purposes %v, by the library %v", got, want)
	}
	if got := tc.Purposes(1); j.Undisclosed != (got == consent.Finding{Verdict: consent.Unknown, Reason: consent.Unanswered}) {
		return fmt.Sprintf("purpose 1 is %v, by the library undisclosed %v", got, j.Undisclosed)
	}
	if got := tc.PublisherPurposes(2); j.Publisher != (got.Verdict != consent.Unknown) {
		return fmt.Sprintf("publisher %v, by the library there is its segment: %v", got, j.Publisher)
	}
	if got, want := purposes(tc.PublisherPurposes), ours(j.PublisherPurposes); j.Publisher && !slices.Equal(got, want) {
		return fmt.Sprintf("publisher's purposes %v, by the library %v", got, want)
	}
	// denied is what was asked for and is not granted
	for n := 1; n <= consent.MaxPurpose; n++ {
		if denied := !slices.Contains(j.Purposes, n) && (n > 1 || !j.Undisclosed); denied != (tc.Purposes(n).Verdict == consent.Denied) {
			return fmt.Sprintf("purpose %d is %v", n, tc.Purposes(n))
		}
	}

	if j.GPP.Error != "" {
		return ""
	}
	if got, want := purposes(tc.Purposes), ours(j.GPP.Purposes); !slices.Equal(got, want) {
		return fmt.Sprintf("purposes %v, by the library of GPP %v", got, want)
	}
	if got, want := purposes(tc.PublisherPurposes), ours(j.GPP.PublisherPurposes); j.Publisher && !slices.Equal(got, want) {
		return fmt.Sprintf("publisher's purposes %v, by the library of GPP %v", got, want)
	}
	return ""
}

func TestTCStringsAsIABsLibraryMakesThem(t *testing.T) {
	t.Parallel()
	all := judge[judged](t, nil, "make", strconv.Itoa(tcSeed), strconv.Itoa(tcStrings))
	if len(all) != tcStrings {
		t.Fatalf("the library made %d strings, want %d", len(all), tcStrings)
	}
	var valid, publisher, undisclosed int
	for _, j := range all {
		if j.Error != "" || j.GPP.Error != "" {
			t.Fatalf("%s: the libraries cannot read what one of them made: %s%s", j.String, j.Error, j.GPP.Error)
		}
		if why := j.differs(); why != "" {
			t.Errorf("%s: %s", j.String, why)
		}
		if _, err := consent.ParseTCString(j.String); err == nil {
			valid++
			if j.Publisher {
				publisher++
			}
			if j.Undisclosed {
				undisclosed++
			}
		}
	}
	t.Logf("%d strings; of %d valid ones %d have a publisher TC segment, and in %d purpose 1 was not disclosed", len(all), valid, publisher, undisclosed)
	if min(valid, len(all)-valid) < tcStrings/4 || publisher < valid/4 || undisclosed < valid/20 {
		t.Error("too few of one kind to say anything")
	}
}

// The library reads what our tests write, and what is made of its own strings
// by changing them: where both of us can read it, we read the same.
func TestTCStringsAsIABsLibraryReadsThem(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(tcSeed, 1))
	some := func(n int) (numbers []int) {
		p := r.Float64()
		for i := range n {
			if r.Float64() < p {
				numbers = append(numbers, i+1)
			}
		}
		return numbers
	}
	var strs []string
	for range tcStrings / 2 {
		c := tctest.Consent{
			Policy: 2 + r.IntN(5), Global: r.IntN(10) == 0,
			Purposes: some(24), Interests: some(24), Undisclosed: r.IntN(4) == 0,
			Vendors: some(r.IntN(800)), Restrictions: r.IntN(3),
			Publisher: r.IntN(2) == 0, PublisherPurposes: some(24), CustomPurposes: r.IntN(64),
			Created: r.Int64N(1 << 36), LastUpdated: r.Int64N(1 << 36),
			Language: [2]byte{byte('A' + r.IntN(26)), byte('A' + r.IntN(26))},
		}
		strs = append(strs, c.String())
	}
	for _, j := range judge[judged](t, nil, "make", strconv.Itoa(tcSeed+1), strconv.Itoa(tcStrings/2)) {
		strs = append(strs, change(r, j.String))
	}

	var both, neither, onlyOurs, onlyTheirs int
	for i, j := range judge[judged](t, strs, "read") {
		if j.String != strs[i] {
			t.Fatalf("%q came back as %q", strs[i], j.String)
		}
		_, err := consent.ParseTCString(j.String)
		valid := j.Version == 2 && j.ServiceSpecific && j.Policy >= 4
		switch {
		case j.Error != "":
			if err == nil {
				onlyOurs++ // it reads vendors, which we do not
			} else {
				neither++
			}
		case err != nil && valid:
			onlyTheirs++
			if !repeats(j.String) {
				t.Errorf("%s: %v, and the library reads it", j.String, err)
			}
		default:
			both++
			if why := j.differs(); why != "" {
				t.Errorf("%s: %s", j.String, why)
			}
		}
	}
	t.Logf("%d strings: %d read alike, %d by nobody, %d by us alone, %d by the library alone", len(strs), both, neither, onlyOurs, onlyTheirs)
	if both < tcStrings/2 {
		t.Error("too few to say anything")
	}
}

// change makes another string of a TC string: a bit, a character or a length is
// another, or its segments are in another order or twice there.
func change(r *rand.Rand, s string) string {
	segments := strings.Split(s, ".")
	core := []byte(segments[0])
	switch r.IntN(5) {
	case 0: // one bit of those that every core has
		bit := r.IntN(213)
		core[bit/6] = base64URL[strings.IndexByte(base64URL, core[bit/6])^1<<(5-bit%6)]
	case 1: // one character
		core[r.IntN(len(core))] = base64URL[r.IntN(64)]
	case 2: // cut
		core = core[:r.IntN(len(core))]
	case 3: // longer
		core = append(core, base64URL[r.IntN(64)], base64URL[r.IntN(64)])
	case 4: // a segment more
		segments = append(segments, segments[r.IntN(len(segments))])
	}
	segments[0] = string(core)
	r.Shuffle(len(segments)-1, func(i, j int) { segments[i+1], segments[j+1] = segments[j+1], segments[i+1] })
	return strings.Join(segments, ".")
}

// repeats is whether two segments are of one type, which is in their first
// three bits. The library takes the last of them.
func repeats(s string) bool {
	var seen [8]bool
	for segment := range strings.SplitSeq(s, ".") {
		kind := strings.IndexByte(base64URL, segment[0]) >> 3
		if seen[kind] {
			return true
		}
		seen[kind] = true
	}
	return false
}

func TestGPPStringsAsIABsLibraryMakesThem(t *testing.T) {
	t.Parallel()
	type made struct {
		judged
		TC       string // section 2, "" for none
		Sections []int
	}
	var with, behind int
	for _, m := range judge[made](t, nil, "make-gpp", strconv.Itoa(tcSeed), strconv.Itoa(gppStrings)) {
		tc, found, err := consent.TCStringOfGPP(m.String)
		if err != nil || found != (m.TC != "") || tc != m.TC {
			t.Errorf("%s: got %q, %v, %v, want %q", m.String, tc, found, err, m.TC)
			continue
		}
		if header, _, _ := strings.Cut(m.String, "~"); strings.TrimRight(header, "A") != strings.TrimRight(tctest.GPPHeader(m.Sections, true), "A") {
			t.Errorf("%s: the header our tests write is %s", m.String, tctest.GPPHeader(m.Sections, true))
		}
		if !found {
			continue
		}
		with++
		if len(m.Sections) > 1 {
			behind++
		}
		m.judged.String, m.Version, m.Policy, m.ServiceSpecific = tc, 2, 5, true
		m.Purposes, m.PublisherPurposes, m.Publisher = m.GPP.Purposes, m.GPP.PublisherPurposes, true
		if why := m.differs(); why != "" {
			t.Errorf("%s: %s", m.String, why)
		}
	}
	t.Logf("%d strings, %d of them with section 2, %d of these with others", gppStrings, with, behind)
	if with < gppStrings/3 || behind < gppStrings/6 || with > gppStrings*9/10 {
		t.Error("too few of one kind to say anything")
	}
}
