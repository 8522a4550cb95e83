package main

import (
	"testing"

	"github.com/google/pprof/profile"
)

// The functions that samples of these tests are of.
const (
	ourHandler = ourPackage + ".(*Handler).ServeHTTP"
	ourScanner = ourPackage + "/internal/head.(*Scanner).Write"
	proxy      = "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy.(*Handler).ServeHTTP"
	encoder    = "github.com/caddyserver/caddy/v2/modules/caddyhttp/encode.(*responseWriter).Write"
	connWrite  = "net/http.(*response).Write"
	headerSet  = "net/http.Header.Set"
	mallocs    = "runtime.mallocgc"
	marker     = "runtime.gcBgMarkWorker"
	assist     = "runtime.gcAssistAlloc"
	sweep      = "runtime.(*sweepLocked).sweep"
	profiles   = "runtime/pprof.profileWriter"
	page       = "net/http/pprof.Profile"
)

// stack is a sample of n, given from the leaf on as profiles have it.
func stack(n int64, functions ...string) *profile.Sample {
	s := &profile.Sample{Value: []int64{n}}
	for _, f := range functions {
		s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: f}}}})
	}
	return s
}

func TestOwner(t *testing.T) {
	for name, tc := range map[string]struct {
		stack []string
		want  owner
	}{
		"the directive itself":             {[]string{ourHandler, connWrite}, directive},
		"a package of it":                  {[]string{ourScanner, ourHandler}, directive},
		"what it calls":                    {[]string{headerSet, ourHandler}, directive},
		"what it allocates":                {[]string{mallocs, ourHandler}, directive},
		"the handler behind it":            {[]string{mallocs, proxy, ourHandler}, others},
		"the writer below it":              {[]string{connWrite, ourScanner, proxy, ourHandler}, others},
		"an encoder below it":              {[]string{encoder, ourHandler}, others},
		"it, called by the handler behind": {[]string{ourHandler, proxy, ourHandler}, directive},
		"a package of a longer name":       {[]string{ourPackage + "s.Run"}, others},
		"nothing known":                    {[]string{"runtime.mcall"}, others},
		"marking":                          {[]string{"runtime.scanobject", marker}, collector},
		"helping to mark":                  {[]string{assist, mallocs, ourHandler}, collector},
		"sweeping":                         {[]string{sweep, mallocs, proxy, ourHandler}, collector},
		"the profile in the making":        {[]string{profiles}, profiler},
		"its answer":                       {[]string{mallocs, page, connWrite}, profiler},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ownerOf(stack(1, tc.stack...)); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// An inlined function is a line of its caller's location, and comes first.
func TestOwnerOfInlined(t *testing.T) {
	s := stack(1, proxy)
	s.Location[0].Line = append([]profile.Line{{Function: &profile.Function{Name: ourHandler}}}, s.Location[0].Line...)
	if got := ownerOf(s); got != directive {
		t.Errorf("%v, want %v", got, directive)
	}
}

func TestShare(t *testing.T) {
	// the bytes of allocations are the second of their values
	allocated := func(bytes int64, functions ...string) *profile.Sample {
		s := stack(1000, functions...)
		s.Value = append(s.Value, bytes)
		return s
	}
	allocations := func(samples ...*profile.Sample) *profile.Profile {
		return &profile.Profile{SampleType: []*profile.ValueType{{Type: "alloc_objects"}, {Type: "alloc_space"}}, Sample: samples}
	}
	for name, tc := range map[string]struct {
		cpu    []*profile.Sample
		allocs *profile.Profile
		want   share
		ratio  float64
	}{
		"nothing of the directive": {
			[]*profile.Sample{stack(80, proxy), stack(20, marker)},
			allocations(allocated(50, proxy)),
			share{collecting: 20, all: 100}, 1,
		},
		"its own time": {
			[]*profile.Sample{stack(80, proxy, ourHandler), stack(20, ourScanner)},
			allocations(allocated(50, proxy)),
			share{own: 20, all: 100}, 1.25,
		},
		"its garbage alone": {
			[]*profile.Sample{stack(60, proxy, ourHandler), stack(40, marker)},
			allocations(allocated(25, mallocs, ourHandler), allocated(25, proxy, ourHandler)),
			share{collecting: 40, all: 100, garbage: 0.5}, 1.25,
		},
		"both": {
			[]*profile.Sample{stack(50, proxy, ourHandler), stack(10, ourHandler), stack(40, assist, mallocs, proxy)},
			allocations(allocated(25, ourHandler), allocated(75, proxy, ourHandler)),
			share{own: 10, collecting: 40, all: 100, garbage: 0.25}, 1.25,
		},
		"what takes the profiles is nobody's": {
			[]*profile.Sample{stack(80, proxy, ourHandler), stack(20, ourHandler), stack(50, profiles)},
			allocations(allocated(50, proxy), allocated(500, page)),
			share{own: 20, all: 100}, 1.25,
		},
		"no allocation was sampled": {
			[]*profile.Sample{stack(80, proxy, ourHandler), stack(20, ourHandler)},
			allocations(),
			share{own: 20, all: 100}, 1.25,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := shareOf(&profile.Profile{Sample: tc.cpu}, tc.allocs)
			if got != tc.want || got.ratio() != tc.ratio {
				t.Errorf("%+v, %v, want %+v, %v", got, got.ratio(), tc.want, tc.ratio)
			}
		})
	}
}
