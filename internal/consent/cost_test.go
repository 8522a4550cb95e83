package consent

import (
	"strings"
	"testing"
)

// usualCookies are those that any site's visitors bring along.
const usualCookies = "_ga=GA1.1.1104500000.1764000000; _gid=GA1.1.1; _gcl_au=1.1.1; session_id=8f14e45fceea167a5a36dedd4bea2543; theme=dark; locale=en-gb; csrftoken=VdB1m3l7; "

// costs are rules of every kind, with the most allocations that a yes may take.
// Allocations by package encoding/json are left to that package.
var costs = []struct {
	name, platform string
	allocations    float64
}{
	{"word/complianz", "complianz", 2},
	{"pairs/onetrust", "onetrust", 4},
	{"pairs/cookieyes", "cookieyes", 1},
	{"pairs encoded/cookiebot", "cookiebot", 2},
	{"list/trustarc", "trustarc", 2},
	{"json/klaro", "klaro", 20},
	{"json/orestbida", "orestbida", 60},
	{"json/iubenda", "iubenda", 40},
	{"json in a string/cookie_script", "cookie_script", 45},
	{"json base64/didomi", "didomi", 55},
	{"json base64/ketch", "ketch", 70},
	{"tcf", "tcf", 1},
	{"gpp", "gpp", 1},
}

// accepted returns a platform's rules and the header of a visitor who accepted all.
func accepted(t testing.TB, name string) (rules []Rule, header []string) {
	t.Helper()
	platform, _ := LookUp(name)
	for _, g := range goldensOf(t, name) {
		if g.state == "accepted all" {
			rules, err := platform.Compile("", g.categories)
			if err != nil {
				t.Fatal(err)
			}
			return rules, []string{usualCookies + strings.Join(g.header, "; ")}
		}
	}
	t.Fatalf("%s: nobody accepted", name)
	return nil, nil
}

func TestAllocations(t *testing.T) {
	allocations := func(name string, most float64, rules []Rule, header []string, want Verdict) {
		t.Run(name, func(t *testing.T) {
			var found Finding
			n := testing.AllocsPerRun(100, func() { found = Find(rules, header) })
			if n > most || found.Verdict != want {
				t.Errorf("%v allocations, at most %v: %v", n, most, found)
			}
		})
	}
	plain := []Rule{Cookie{Name: "cc", Values: []string{"accepted"}}, Cookie{Name: "plain"}}
	allocations("no header/cookie", 0, plain, nil, Unknown)
	allocations("absent/cookie", 0, plain, []string{usualCookies}, Unknown)
	allocations("cookie", 0, plain, []string{usualCookies + "cc=accepted", "plain=yes"}, Granted)
	for _, name := range PlatformNames() {
		rules, _ := accepted(t, name)
		allocations("no header/"+name, 0, rules, nil, Unknown)
		allocations("absent/"+name, 0, rules, []string{usualCookies}, Unknown)
	}
	for _, c := range costs {
		rules, header := accepted(t, c.platform)
		allocations(c.name, c.allocations, rules, header, Granted)
	}
}

func BenchmarkFind(b *testing.B) {
	bench := func(name string, rules []Rule, header []string, want Verdict) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if Find(rules, header).Verdict != want {
					b.Fatal("not found")
				}
			}
		})
	}
	plain := []Rule{Cookie{Name: "cookie_consent", Values: []string{"accepted"}}}
	bench("no header", plain, nil, Unknown)
	bench("absent/cookie", plain, []string{usualCookies}, Unknown)
	for _, name := range []string{"onetrust", "klaro", "iubenda", "real_cookie_banner"} {
		rules, _ := accepted(b, name)
		bench("absent/"+name, rules, []string{usualCookies}, Unknown)
	}
	bench("cookie", plain, []string{usualCookies + "cookie_consent=accepted"}, Granted)
	for _, c := range costs {
		rules, header := accepted(b, c.platform)
		bench(c.name, rules, header, Granted)
	}
	platform, _ := LookUp("didomi")
	rules, err := platform.Compile("", []string{"analytics-x7Kd2", "advertising-Qw34", "geolocation_data"})
	if err != nil {
		b.Fatal(err)
	}
	_, header := accepted(b, "didomi")
	bench("three categories/didomi", rules, header, Granted)
}
