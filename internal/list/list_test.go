package list

import "testing"

func TestHas(t *testing.T) {
	for _, tc := range []struct {
		lines []string
		want  bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"no-store"}, true},
		{[]string{" No-Store\t"}, true},
		{[]string{"public", ",, max-age=60 ,no-store,"}, true},
		{[]string{`x="a, b", no-store`}, true},
		{[]string{`x="a\\", no-store`}, true},

		{[]string{"no-stored"}, false},
		{[]string{"no-store=1"}, false},
		{[]string{`no-store="x"`}, false},
		{[]string{`community="UCI, no-store, x"`}, false},
		{[]string{`no-cache="X-A, no-store"`}, false},
		{[]string{`x="a\", no-store, b"`}, false},
		{[]string{`x="never closed, no-store`}, false},
		{[]string{`"no-store"`}, false},
	} {
		if got := Has(tc.lines, "no-store"); got != tc.want {
			t.Errorf("%q: %t", tc.lines, got)
		}
	}
}

func TestHasAllocates(t *testing.T) {
	lines := []string{"public, max-age=60", `x="a, b", no-transform`}
	if n := testing.AllocsPerRun(100, func() { Has(lines, "no-store") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
