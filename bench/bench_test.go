package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// built is this repository's Caddy, once for all tests.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "kapa-bench-")
		if err == nil {
			defer os.RemoveAll(dir)
			built = filepath.Join(dir, "caddy")
			err = buildCaddy(built)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// The command, as -short runs it, measures every contender and draws them.
func TestShort(t *testing.T) {
	svg := filepath.Join(t.TempDir(), "chart.svg")
	var out bytes.Buffer
	if err := run(t.Context(), &out, options{caddy: built, short: true, svg: svg}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", &out)
	drawn, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	wantWellFormed(t, drawn)
	for _, f := range newFields(caddy(""), nil) {
		for _, c := range f.contenders {
			if !strings.Contains(out.String(), c.name) || !strings.Contains(string(drawn), c.name) && c.name != "Caddy" {
				t.Errorf("%s, %s: missing from the table or the chart", f.name, c.name)
			}
		}
	}
}

// So does -profile, for each contender that has the directive, into a folder
// that it makes.
func TestProfileShort(t *testing.T) {
	const name = "identity"
	folder := filepath.Join(t.TempDir(), "new")
	var out bytes.Buffer
	if err := run(t.Context(), &out, options{caddy: built, short: true, profiles: folder, field: name}); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", &out)
	for _, f := range newFields(caddy(""), nil) {
		for _, c := range f.contenders {
			row := fmt.Sprintf("%s, 8 KB, %s ", f.name, c.name)
			if want := f.name == name && c.ours(); strings.Contains(out.String(), row) != want {
				t.Errorf("%q is in the table: %v, want %v", row, !want, want)
			}
		}
	}
	for _, kind := range []string{"cpu", "allocs"} {
		if files, err := filepath.Glob(filepath.Join(folder, "*."+kind+".pprof")); len(files) != 10 || err != nil {
			t.Errorf("%d profiles of %s, want 10: those of 5 contenders at 2 sizes", len(files), kind)
		}
	}
}

// What was measured before an interruption is told.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, o := range map[string]options{"compared": {caddy: built, short: true}, "profiled": {caddy: built, short: true, profiles: t.TempDir()}} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(ctx, &out, o); !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want %v", err, context.Canceled)
			}
			if out.Len() == 0 {
				t.Error("nothing was told")
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		options
		want string
	}{
		"a chart of profiles": {options{svg: "chart.svg", profiles: "profiles"}, "-svg"},
		"an unknown field":    {options{field: "brotli"}, "-field"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), io.Discard, tc.options); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want something about %s", err, tc.want)
			}
		})
	}
}

func wantWellFormed(t *testing.T, svg []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("the chart is no XML: %v\n%s", err, svg)
		}
	}
}

// A contender that does not do what it stands for is not measured.
func TestWrongAnswersAreNotMeasured(t *testing.T) {
	const size = 8 << 10
	o, err := newOrigin([]int{size})
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	for name, c := range map[string]contender{
		"a tag is missing": {page: "html", tagged: true},
		"an id is missing": {page: "html", newID: true},
		"no gzip":          {page: "html", site: compressing},
		"gzip":             {page: gzipped(6)},
		"no page":          {page: "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			pool, err := dial(o.address(), 1)
			if err != nil {
				t.Fatal(err)
			}
			defer pool[0].Close()
			v := newVisitor(pool, hostWith, path(c.page, size), withConsent)
			if err := c.check(v, o.pages[path("html", size)]); err == nil {
				t.Error("it passed")
			} else {
				t.Log(err)
			}
		})
	}
}

func TestCPUTime(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if errors.Is(err, errors.ErrUnsupported) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for x, start := 0, time.Now(); time.Since(start) < 20*time.Millisecond; {
		x++
	}
	after, err := cpuTime(os.Getpid())
	if err != nil || after <= before {
		t.Errorf("%v before and %v after, %v", before, after, err)
	}
}

func TestSpread(t *testing.T) {
	for name, tc := range map[string]struct {
		sample []float64
		want   spread
	}{
		"one":   {[]float64{3}, spread{3, math.Inf(-1), math.Inf(1)}},
		"equal": {[]float64{3, 3, 3}, spread{3, 3, 3}},
		"five":  {[]float64{1, 2, 3, 4, 5}, spread{3, 3 - 2.78*math.Sqrt(0.5), 3 + 2.78*math.Sqrt(0.5)}},
	} {
		t.Run(name, func(t *testing.T) {
			got := spreadOf(tc.sample)
			for i, x := range []float64{got.middle - tc.want.middle, got.low - tc.want.low, got.high - tc.want.high} {
				if math.Abs(x) > 1e-9 {
					t.Errorf("%v, want %v: value %d", got, tc.want, i)
				}
			}
		})
	}
}

// Turns that something else has disturbed do not count, and garbage does.
func TestCPURatio(t *testing.T) {
	first := result{cpu: []float64{90, 90, 900}, ratio: []float64{1, 1, 1}, garbage: 10}
	ours := result{cpu: []float64{900, 99, 990}, ratio: []float64{10, 1.1, 1.1}, garbage: 21}
	h := heat{rounds: [][]result{{first, ours}, {first, ours}}}
	if got := h.cpu(1).middle; math.Abs(got-1.2) > 1e-9 {
		t.Errorf("%v, want 1.2: 99 and 21 to 90 and 10", got)
	}
}

func TestVerdict(t *testing.T) {
	for _, tc := range []struct {
		ratio spread
		want  string
	}{
		{spread{1.01, 1, 1.02}, "met"},
		{spread{1.01, 1, 1.03}, "open"},
		{spread{1.03, 1.01, 1.04}, "open"},
		{spread{1.04, 1.03, 1.05}, "MISSED"},
	} {
		if got := tc.ratio.verdict(1.02); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.ratio, got, tc.want)
		}
	}
}
