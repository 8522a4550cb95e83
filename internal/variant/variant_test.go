package variant

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestStamp(t *testing.T) {
	for tag, want := range map[string]string{
		`"v1"`: `"v1-kapa-x"`, `W/"v1"`: `W/"v1-kapa-x"`, `""`: `"-kapa-x"`, ` "v1" `: `"v1-kapa-x"`,
		`v1`: "", `"`: "", "": "",
	} {
		h := http.Header{"Etag": {tag}, "Last-Modified": {"x"}}
		Stamp(h, `-kapa-x"`)
		if h.Get("Etag") != want || h.Get("Last-Modified") != "" {
			t.Errorf("%s: %v, want %s", tag, h, want)
		}
	}
}

// MakePrivate removes the fields that outrank Cache-Control, and IsPrivate notices if
// somebody puts one back.
func TestMakePrivate(t *testing.T) {
	for _, field := range []string{
		"CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Vercel-CDN-Cache-Control", "Netlify-CDN-Cache-Control",
		"Akamai-Cache-Control", "X-LiteSpeed-Cache-Control", "Edge-Control", "Surrogate-Control", "X-Accel-Expires",
	} {
		h := http.Header{"Cache-Control": {"public, max-age=60"}, "X-Own": {"1"}}
		h.Set(field, "max-age=60")
		if IsPrivate(h) {
			t.Errorf("%v passes for private", h)
		}
		MakePrivate(h)
		if want := (http.Header{"Cache-Control": {"private, no-cache"}, "X-Own": {"1"}}); !reflect.DeepEqual(h, want) {
			t.Errorf("%s: %v", field, h)
		}
		h.Set(field, "max-age=60")
		if IsPrivate(h) {
			t.Errorf("%v passes for private", h)
		}
	}
	for cacheControl, want := range map[string]bool{
		"private": true, "Private, max-age=60": true, "no-store": true, "max-age=60, no-store": true,
		`no-store, community="UCI, x"`: true, `x="a", private`: true, ", ,private": true,
		`community="UCI, no-store, x"`: false, `no-cache="X-A, private"`: false, `x="\", no-store"`: false, `x="private, no-store`: false,
		"": false, "public": false, "no-cache": false, `private="set-cookie"`: false, "no-store, must-understand": false,
	} {
		if got := IsPrivate(http.Header{"Cache-Control": {cacheControl}}); got != want {
			t.Errorf("%s: %v", cacheControl, got)
		}
	}
}

func TestAddVary(t *testing.T) {
	for _, tc := range []struct {
		lines []string
		want  string
	}{
		{nil, "Cookie, Sec-GPC"},
		{[]string{""}, "Cookie, Sec-GPC"},
		{[]string{"Accept-Encoding,"}, "Accept-Encoding, Cookie, Sec-GPC"},
		{[]string{"Origin", "cookie"}, "Origin, cookie, Sec-GPC"},
		{[]string{"sec-gpc , COOKIE"}, "sec-gpc , COOKIE"},
		{[]string{"Origin", "*"}, "Origin|*"},
	} {
		h := http.Header{"Vary": tc.lines}
		AddVary(h, "Cookie, Sec-GPC")
		if got := strings.Join(h["Vary"], "|"); got != tc.want {
			t.Errorf("%q: %s, want %s", tc.lines, got, tc.want)
		}
	}
}

// For any entity tags, the origin sees only those of the variant, without the suffix,
// and Restore puts back what came in.
func FuzzConditionalRequest(f *testing.F) {
	suffix := Suffix([]byte("x"))
	f.Add(`"v1`+suffix+`, W/"v2", *`, `"v1`+suffix)
	f.Add(`","`, `,,"`)
	f.Add(suffix, suffix+suffix)
	f.Fuzz(func(t *testing.T, match, rng string) {
		for _, variant := range []string{"", suffix} {
			allowed := make(map[string]bool)
			for _, tag := range entityTags(match) {
				if origin, has := Cut(tag); has == variant {
					allowed[origin] = true
				}
			}
			h := http.Header{"If-None-Match": {match}, "If-Range": {rng}, "X": {"y"}}
			before := h.Clone()
			v := EditRequest(h, Edit{Suffix: variant, Identity: variant != ""})
			for _, tag := range entityTags(h.Get("If-None-Match")) {
				if v != nil && !allowed[tag] {
					t.Errorf("%q became %q", match, h["If-None-Match"])
				}
			}
			v.Restore(h)
			if !reflect.DeepEqual(h, before) {
				t.Errorf("%v came back as %v", before, h)
			}
		}
	})
}
