package consent

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/consent/tctest"
)

// packedRule reads a rule in lines; the cookie's name is cc.
func packedRule(text string) PackedRule {
	return platformRule{"cc", text}.fill("cc", "")
}

func compiled(t testing.TB, text string) Rule {
	t.Helper()
	rule, err := packedRule(text).Compile()
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

func TestSteps(t *testing.T) {
	const yes = "\ngranted equals yes"
	tc := tctest.Consent{Purposes: []int{1, 8}}.String()
	for _, tt := range []struct {
		name, rule, value string
		want              Finding
	}{
		{"none", yes, "yes", granted},
		{"none: another word", yes, "no", refused},
		{"none: empty", yes, "", unanswered},
		{"none: quoted", yes, `"yes"`, granted},
		{"none: one pair of quotes is dropped, not two", yes, `""yes""`, refused},
		{"none: one quote is no pair", yes, `"`, refused},
		{"none: quotes around nothing", yes, `""`, unanswered},
		{"none: not decoded", yes, "%79es", refused},

		{"percent", "decode percent" + yes, "%79e%73", granted},
		{"percent: nothing encoded", "decode percent" + yes, "yes", granted},
		{"percent: a plus is a plus", "decode percent\ngranted equals a+b", "a+b", granted},
		{"percent: bad, taken as it is", "decode percent\ngranted equals 100%", "100%", granted},
		{"percent: quotes inside stay", "decode percent\ngranted equals \"yes\"", "%22yes%22", granted},
		{"percent: twice", "decode percent\ndecode percent" + yes, "%2579es", granted},

		{"form", "decode form a" + yes, "b=no&a=yes&c=", granted},
		{"form: a plus is white space, as in names", "decode form a\ndecode list\ngranted has yes", "a=no+yes", granted},
		{"form: encoded", "decode form a" + yes, "a=%79es", granted},
		{"form: the name encoded", "decode form a.b" + yes, "a%2Eb=yes", granted},
		{"form: no such field", "decode form a" + yes, "b=yes&aa=yes", unanswered},
		{"form: field without a value", "decode form a" + yes, "a&b=yes", unanswered},
		{"form: bad encoding", "decode form a" + yes, "a=yes%", malformed},
		{"form: bad encoding elsewhere", "decode form a" + yes, "b=%&%=x&a=yes", granted},
		{"form: twice the same", "decode form a" + yes, "a=yes&a=yes", granted},
		{"form: twice, not the same", "decode form a" + yes, "a=yes&a=no", conflict},

		{"base64", "decode base64" + yes, "eWVz", granted},
		{"base64: padded", "decode base64\ngranted equals a", "YQ==", granted},
		{"base64: not padded", "decode base64\ngranted equals a", "YQ", granted},
		{"base64: standard alphabet", "decode base64\ngranted equals ~~~", "fn5+", granted},
		{"base64: URL alphabet", "decode base64\ngranted equals ~~~", "fn5-", granted},
		{"base64: both alphabets", "decode base64\ngranted equals x", "fn5-fn5+", malformed},
		{"base64: none", "decode base64" + yes, "yes!", malformed},
		{"base64: none at all", "decode base64" + yes, "!", malformed},
		{"base64: padding alone", "decode base64" + yes, "==", unanswered},

		{"from", "decode from {\ndecode json\ngranted json a equals 1", `x:1:{"a":1}`, granted},
		{"from: at once", "decode from y" + yes, "yes", granted},
		{"from: the first", "decode from y\ngranted equals yyes", "xyyes", granted},
		{"from: not there", "decode from {" + yes, "yes", malformed},

		{"gpp", "decode gpp\ndecode tcf\ngranted purposes 1 8", tctest.GPPHeader([]int{2}, false) + "~" + tc, granted},
		{"gpp: other purposes", "decode gpp\ndecode tcf\ngranted purposes 1 2", tctest.GPPHeader([]int{2}, false) + "~" + tc, refused},
		{"gpp: no TC string", "decode gpp\ndecode tcf\ngranted purposes 1", tctest.GPPHeader([]int{7}, false) + "~BAAAAAAAAQA", unanswered},
		{"gpp: none", "decode gpp\ndecode tcf\ngranted purposes 1", tc, malformed},

		{"list", "decode list\ngranted has b", "a, b,c", granted},
		{"list: white space alone", "decode list\ngranted has b", "a b\tc", granted},
		{"list: not the whole word", "decode list\ngranted has b", "ab,bc,B", refused},
		{"list: another separator", "decode list _|\ngranted has b", "a_b|c", granted},
		{"list: another separator, and white space", "decode list _\ngranted has b", "a b_c", granted},
		{"list: commas, where another is given", "decode list _\ngranted has b", "a,b", refused},
		{"list: nothing but separators", "decode list\ngranted has b", ", ,", refused},
		{"list: more than a byte", "decode list ·\ngranted has b", "a·b", granted},

		{"pairs", "decode pairs , :\ngranted pair b yes", "a:no,b:yes,c:no", granted},
		{"pairs: several separators", "decode pairs ,; :=\ngranted pair b yes", "a=no,b:yes", granted},
		{"pairs: quotes and white space", "decode pairs , :\ngranted pair b yes", `a:no, 'b' : "yes" `, granted},
		{"pairs: the first separator cuts", "decode pairs , :\ngranted pair b yes:no", "b:yes:no", granted},
		{"pairs: no such key", "decode pairs , :\ngranted pair b yes", "bb:yes,ab:yes", refused},

		{"json", "decode json\ngranted json a equals yes", `{"a":"yes"}`, granted},
		{"json: cut off", "decode json\ngranted json a equals yes", `{"a":"yes"`, malformed},
		{"json: a plain word", "decode json\ngranted json a equals yes", "yes", malformed},

		{"tcf", "decode tcf\ngranted purposes 1", tc, granted},
		{"tcf: none", "decode tcf\ngranted purposes 1", "yes", malformed},

		{"many", "decode percent\ndecode form a\ndecode base64\ndecode json\ngranted json b equals true", "a%3DeyJiIjp0cnVlfQ%253D%253D", granted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := compiled(t, tt.rule).Find([]string{"cc=" + tt.value}); got != tt.want {
				t.Errorf("got %s, want %s", findingText(got), findingText(tt.want))
			}
		})
	}
}

func TestTests(t *testing.T) {
	const pairs, json = "decode pairs , :\n", "decode json\n"
	doubtful := tctest.Consent{Purposes: []int{1, 2}, Undisclosed: true}.String()
	publisher := tctest.Consent{Purposes: []int{1}, Publisher: true, PublisherPurposes: []int{2}}.String()
	for _, tt := range []struct {
		name, rule, header string
		want               Finding
	}{
		{"equals: any of the words", "granted equals a yes", "cc=yes", granted},
		{"equals: in any shape", "decode json\ngranted equals true", "cc=true", granted},

		{"has: all of the words", "decode list\ngranted has a b", "cc=b,c,a", granted},
		{"has: not all", "decode list\ngranted has a b", "cc=b,c", refused},

		{"pair: any of the words", pairs + "granted pair a yes 1", "cc=a:1", granted},
		{"pair: any value", pairs + "granted pair a", "cc=a:x", granted},
		{"pair: no value", pairs + "granted pair a", "cc=a:", refused},
		{"pair: no separator", pairs + "granted pair a", "cc=a", refused},
		{"pair: twice, agreeing", pairs + "granted pair a yes 1", "cc=a:1,a:yes", granted},
		{"pair: twice, not agreeing", pairs + "granted pair a yes", "cc=a:yes,a:no", conflict},
		{"pair: twice, one empty", pairs + "granted pair a", "cc=a:,a:yes", conflict},
		{"pair: a doubt that another line settles", pairs + "granted pair a yes\ngranted pair b yes", "cc=a:yes,a:no,b:no", refused},
		{"pair: a doubt that another test settles", pairs + "granted pair a yes or pair b yes", "cc=a:yes,a:no,b:yes", granted},
		{"pair: a doubt about whether there is an answer", pairs + "answered pair a yes\ngranted pair b yes", "cc=a:yes,a:no,b:yes", conflict},

		{"json equals: a string", json + "granted json a.b equals yes", `cc={"a":{"b":"yes"}}`, granted},
		{"json equals: true", json + "granted json a equals true", `cc={"a":true}`, granted},
		{"json equals: false", json + "granted json a equals true", `cc={"a":false}`, refused},
		{"json equals: a number", json + "granted json a equals 1", `cc={"a":1}`, granted},
		{"json equals: a number as JavaScript has it", json + "granted json a equals 100", `cc={"a":1.0e2}`, granted},
		{"json equals: a fraction", json + "granted json a equals 0.5", `cc={"a":0.50}`, granted},
		{"json equals: a long id", json + "granted json a equals 1764000000123", `cc={"a":1764000000123}`, granted},
		{"json equals: null", json + "granted json a equals null", `cc={"a":null}`, refused},
		{"json equals: a list is no string", json + "granted json a equals yes", `cc={"a":["yes"]}`, refused},
		{"json equals: nothing there", json + "granted json a equals yes", `cc={"b":"yes"}`, refused},
		{"json equals: the whole", json + "granted json . equals yes", `cc= "yes" `, malformed}, // its quotes are the cookie's
		{"json contains", json + "granted json a contains 1 b", `cc={"a":["b",1,null]}`, granted},
		{"json contains: not all", json + "granted json a contains 1 b", `cc={"a":["b"]}`, refused},
		{"json contains: anything", json + "granted json a contains *", `cc={"a":[false]}`, granted},
		{"json contains: anything, of nothing", json + "granted json a contains *", `cc={"a":[]}`, refused},
		{"json contains: the whole", json + "granted json . contains a", `cc=["a"]`, granted},
		{"json contains: no list", json + "granted json a contains b", `cc={"a":"b"}`, malformed},
		{"json contains: an object has no members", json + "granted json a contains b", `cc={"a":{"b":true}}`, malformed},
		{"json contains: a list in a string", json + "granted json a contains b", `cc={"a":"[\"b\"]"}`, granted},
		{"json: an object in a string", json + "granted json a.b equals c", `cc={"a":"{\"b\":\"c\"}"}`, granted},
		{"json: a string that looks like JSON", json + "granted json a equals {b", `cc={"a":"{b"}`, granted},
		{"json: a string that holds JSON, whole", json + `granted json a equals []`, `cc={"a":"[]"}`, granted},
		{"json: any key", json + "granted json *.b equals c", `cc={"x":{"b":"d"},"y":{"b":"c"}}`, granted},
		{"json: any key, none fits", json + "granted json *.b equals c", `cc={"x":{"b":"d"},"y":1}`, refused},
		{"json: a dot in a key", json + `granted json a\.b equals c`, `cc={"a.b":"c"}`, granted},
		{"json: a dot between keys", json + `granted json a\.b equals c`, `cc={"a":{"b":"c"}}`, refused},
		{"json: an empty key", json + "granted json a. equals c", `cc={"a":{"":"c"}}`, granted},
		{"json: keys in exact case", json + "granted json A equals c", `cc={"a":"c"}`, refused},
		{"json non_empty: a list", json + "granted json a non_empty", `cc={"a":[0]}`, granted},
		{"json non_empty: an object", json + "granted json a non_empty", `cc={"a":{"b":0}}`, granted},
		{"json non_empty: a string", json + "granted json a non_empty", `cc={"a":"b"}`, granted},
		{"json non_empty: nothing in it", json + "granted json a non_empty or json b non_empty or json c non_empty", `cc={"a":[],"b":{},"c":""}`, refused},
		{"json non_empty: neither", json + "granted json a non_empty or json b non_empty", `cc={"a":true,"b":1}`, refused},
		{"json exists", json + "granted json a exists", `cc={"a":false}`, granted},
		{"json exists: null is nothing", json + "granted json a exists", `cc={"a":null}`, refused},
		{"json missing", json + "granted json a missing", `cc={"b":1}`, granted},
		{"json missing: null is nothing", json + "granted json a missing", `cc={"a":null}`, granted},
		{"json missing: it is there", json + "granted json a missing", `cc={"a":0}`, refused},
		{"json missing: through what is no object", json + "granted json a.b missing", `cc={"a":1}`, granted},

		{"purposes", "decode tcf\ngranted purposes 1", "cc=" + publisher, granted},
		{"purposes: not all", "decode tcf\ngranted purposes 1 2", "cc=" + publisher, refused},
		{"purposes: not disclosed", "decode tcf\ngranted purposes 1", "cc=" + doubtful, unanswered},
		{"purposes: not disclosed, turned round", "decode tcf\ngranted not purposes 1", "cc=" + doubtful, unanswered},
		{"publisher_purposes", "decode tcf\ngranted publisher_purposes 2", "cc=" + publisher, granted},
		{"publisher_purposes: refused", "decode tcf\ngranted publisher_purposes 1", "cc=" + publisher, refused},
		{"publisher_purposes: not in it", "decode tcf\ngranted publisher_purposes 1", "cc=" + doubtful, unanswered},
		{"purposes of either", "decode tcf\ngranted purposes 2 or publisher_purposes 2", "cc=" + publisher, granted},

		{"cookie: any value", "answered cookie seen\ngranted equals yes", "cc=yes; seen=1", granted},
		{"cookie: no value", "answered cookie seen\ngranted equals yes", "cc=yes; seen=", unanswered},
		{"cookie: absent", "answered cookie seen\ngranted equals yes", "cc=yes; seen2=1", unanswered},
		{"cookie: before", "answered cookie seen\ngranted equals yes", "seen=1; cc=yes", granted},
		{"cookie: any of the words", "answered cookie seen 1 yes\ngranted equals yes", "cc=yes; seen=yes", granted},
		{"cookie: another word", "answered cookie seen 1 yes\ngranted equals yes", "cc=yes; seen=no", unanswered},
		{"cookie: a star in a word", "answered cookie seen in,*\ngranted equals yes", "cc=yes; seen=in,eu", granted},
		{"cookie: a star stands for letters and digits", "answered cookie seen in,*\ngranted equals yes", "cc=yes; seen=in,eu,us", unanswered},
		{"cookie: a star in the name", "answered cookie seen-*\ngranted equals yes", "cc=yes; seen-1=1", granted},
		{"cookie: copies that agree", "answered cookie seen\ngranted equals yes", "cc=yes; seen=1; seen=2", granted},
		{"cookie: copies that do not", "answered cookie seen 1\ngranted equals yes", "cc=yes; seen=1; seen=2", conflict},
		{"cookie: copies that do not, turned round", "answered not cookie seen 1\ngranted equals yes", "cc=yes; seen=1; seen=2", conflict},
		{"cookie: too long", "answered cookie seen\ngranted equals yes", "cc=yes; seen=" + strings.Repeat("1", maxValue+1), malformed},

		{"not", "answered not equals later\ngranted equals yes", "cc=later", unanswered},
		{"not: it does not hold", "answered not equals later\ngranted equals yes", "cc=yes", granted},
		{"not: a doubt stays one", pairs + "granted not pair a no", "cc=a:yes,a:no", conflict},
		{"not: for one test of a line", "granted not equals a b or equals a", "cc=a", granted},
		{"not: a cookie that is absent", "answered not cookie seen\ngranted equals yes", "cc=yes", granted},

		{"or: the first", "granted equals yes or equals no", "cc=yes", granted},
		{"or: the last", "granted equals no or equals a b or equals yes", "cc=yes", granted},
		{"or: none", "granted equals no or equals never", "cc=yes", refused},

		{"several lines: all", pairs + "granted pair a yes\ngranted pair b yes", "cc=a:yes,b:yes", granted},
		{"several lines: not all", pairs + "granted pair a yes\ngranted pair b yes", "cc=a:yes,b:no", refused},
		{"several lines tell an answer: not all", pairs + "answered pair a\nanswered pair b\ngranted pair a yes", "cc=a:yes", unanswered},
		{"refused, but not answered", pairs + "answered pair b\ngranted pair a yes", "cc=a:no", unanswered},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := compiled(t, tt.rule).Find([]string{tt.header}); got != tt.want {
				t.Errorf("got %s, want %s", findingText(got), findingText(tt.want))
			}
		})
	}
}

func TestCopiesAndSize(t *testing.T) {
	rule := compiled(t, "decode json\ngranted json a equals 1")
	const yes, no = `cc={"a":1}`, `cc={"a":0}`
	long := `cc={"a":1,"b":"` + strings.Repeat("x", maxValue-len(`{"a":1,"b":""}`)) + `"}`
	for _, tt := range []struct {
		name   string
		header []string
		want   Finding
	}{
		{"no header", nil, Finding{Unknown, NoCookieHeader}},
		{"an empty header", []string{""}, Finding{Unknown, CookieAbsent}},
		{"absent", []string{"c=1; ccc=1"}, Finding{Unknown, CookieAbsent}},
		{"twice the same", []string{yes, yes}, granted},
		{"twice, spelled in two ways", []string{yes + `; cc={ "a" : 1.0 }`}, granted},
		{"yes and no", []string{yes + "; " + no}, conflict},
		{"no and yes", []string{no + "; " + yes}, conflict},
		{"yes and empty", []string{yes + "; cc="}, conflict},
		{"yes and malformed", []string{yes + "; cc={"}, conflict},
		{"no and malformed", []string{no, "cc={"}, conflict},
		{"empty and malformed", []string{"cc=; cc={"}, malformed},
		{"as many copies as may be", []string{strings.Repeat(yes+"; ", maxCopies)}, granted},
		{"one more", []string{strings.Repeat(yes+"; ", maxCopies+1)}, malformed},
		{"as long as may be", []string{long}, granted},
		{"a byte longer", []string{long + " x"}, malformed},
		{"a byte longer, within the quotes", []string{strings.Replace(long, "x", "xx", 1)}, malformed},
		{"a long one beside a yes", []string{yes, long + " x"}, conflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := rule.Find(tt.header); got != tt.want {
				t.Errorf("got %s, want %s", findingText(got), findingText(tt.want))
			}
		})
	}
}

// A header full of copies does not make a rule look for another cookie as often.
func TestAnotherCookieIsLookedForOnce(t *testing.T) {
	names, err := parseNames("seen")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	judge := func(string) Finding {
		looked++
		return granted
	}
	r := reading{header: []string{"seen=1"}}
	for range 3 {
		for _, test := range []string{"seen", "seen 1"} {
			if f := r.find(test, names, judge); f != granted {
				t.Errorf("%s: got %v", test, f)
			}
		}
	}
	if looked != 2 {
		t.Errorf("looked %d times for two tests", looked)
	}
}

func TestCookiesOfRules(t *testing.T) {
	for _, tt := range []struct {
		name, rule string
		want       []string // beside the rule's own
	}{
		{"none", "granted equals yes", nil},
		{"one", "answered cookie seen\ngranted equals yes", []string{"seen"}},
		{"all of a line", "answered cookie a or not cookie b-* x or equals c\ngranted cookie d yes", []string{"a", "b-[A-Za-z0-9]*", "d"}},
		{"dots", "answered cookie a.b\ngranted equals yes", []string{`a\.b`}},
		{"a word that is no test's", "answered equals not cookie\ngranted equals cookie", nil},
		{"a key that is no test's", "decode pairs or cookie\ngranted pair not cookie or pair cookie", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := compiled(t, tt.rule).Cookies(); !slices.Equal(got, append([]string{"cc"}, tt.want...)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"a", "a", true},
		{"a", "A", false},
		{"a", "ab", false},
		{"a", "", false},
		{"a-*", "a-1", true},
		{"a-*", "a-s1Z", true},
		{"a-*", "a-", true},
		{"a-*", "a", false},
		{"a-*", "a-1-b", false},
		{"a-*", "a-ä", false},
		{"a-*", "b-1", false},
		{"a*", "a", true},
		{"a*", "a9", true},
		{"a*", "ba", false},
		{"*", "abc", true},
		{"*", "a-b", false},
		{"*_a", "12_a", true},
		{"*_a", "12_a3", false},
		{"v:*_b:*_p:*", "v:3_b:1_p:abc", true},
		{"v:*_b:*_p:*", "v:3_b:1_q:abc", false},
		{"v:*_b:*_p:*", "v:3_b:1_p:abc-tcf", false},
		{"*-*-x", "a-b-x", true},
		{"*-*-x", "a-b-c-x", false},
	} {
		if err := checkPattern(tt.pattern); err != nil {
			t.Error(err)
		}
		if got := newPattern(tt.pattern).matches(tt.name); got != tt.want {
			t.Errorf("%q fits %q: got %v", tt.pattern, tt.name, got)
		}
	}
}

func TestSeveralNames(t *testing.T) {
	rule, err := PackedRule{Cookie: " new\told-* ", Granted: [][]string{{"equals", "yes"}}}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]Finding{
		"new=yes":            granted,
		"old-1=yes":          granted,
		"new=yes; old-1=no":  conflict,
		"new=no; old-1=no":   refused,
		"newold-1=yes":       {Unknown, CookieAbsent},
		"old-1=yes; old-2=x": conflict,
	} {
		if got := rule.Find([]string{header}); got != want {
			t.Errorf("%s: got %v, want %v", header, got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	nested := func(depth int) string { return strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth) }
	for _, tt := range []struct {
		name, text string
		want       string // as Go prints it; "" for what is no JSON
	}{
		{"the last of two members counts, as in JSON.parse", `{"a":1,"a":2}`, "map[a:2]"},
		{"the last of two objects counts, whole", `{"a":{"b":1},"a":{"c":2}}`, "map[a:map[c:2]]"},
		{"a name spelled with an escape is the same name", `{"a":1,"\u0061":2}`, "map[a:2]"},
		{"white space around", " \t\r\n{} \n", "map[]"},
		{"as deep as may be", nested(maxDepth), fmt.Sprint(strings.Repeat("map[a:", maxDepth), "1", strings.Repeat("]", maxDepth))},
		{"deeper", nested(maxDepth + 1), ""},
		{"deeper, in lists", strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), ""},
		{"many in a row are not deep", "[" + strings.Repeat("[],", 100) + "[]]", "[" + strings.Repeat("[] ", 100) + "[]]"},
		{"braces within strings are not deep", `["` + strings.Repeat("{[", 100) + `"]`, "[" + strings.Repeat("{[", 100) + "]"},
		{"a quote within a string", `["\"` + strings.Repeat("{", 100) + `"]`, `["` + strings.Repeat("{", 100) + "]"},
		{"a number out of range", "[1e999]", ""},
		{"a surrogate without its half", `["\ud800"]`, "[\ufffd]"},
		{"no UTF-8", "[\"\xff\"]", "[\ufffd]"},
		{"trailing garbage", `{"a":1}x`, ""},
		{"another value behind", `{"a":1}{"a":1}`, ""},
		{"trailing comma", `{"a":1,}`, ""},
		{"single quotes", `{'a':1}`, ""},
		{"bare names", `{a:1}`, ""},
		{"a control character in a string", "[\"\x01\"]", ""},
		{"a leading zero", "[01]", ""},
		{"not a number", "[NaN]", ""},
		{"nothing", "", ""},
		{"a byte order mark", "\ufeff{}", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, ok := parseJSON(tt.text)
			if ok != (tt.want != "") || ok && fmt.Sprint(v) != tt.want {
				t.Errorf("got %v, %v", v, ok)
			}
		})
	}
	// the strings inside nest only as deep as the path
	rule := compiled(t, "decode json\ngranted json a.a.a exists")
	text := `{"a":1}`
	for range 8 {
		text = `{"a":` + strconv.Quote(text) + `}`
	}
	if got := rule.Find([]string{"cc=" + text}); got != granted {
		t.Errorf("strings within strings: got %v", got)
	}
}

// ruleErrors are rules that do not compile, each with the text that says why.
var ruleErrors = []struct {
	name string
	rule PackedRule
	want string
}{
	{"no cookie", PackedRule{Granted: [][]string{{"equals", "a"}}}, "the cookie's name is empty"},
	{"a blank cookie", PackedRule{Cookie: " \t", Granted: [][]string{{"equals", "a"}}}, "the cookie's name is empty"},
	{"a bad name", PackedRule{Cookie: "a=b", Granted: [][]string{{"equals", "a"}}}, `cookie name "a=b": a cookie's name has no white space, = or ;`},
	{"a bad star", PackedRule{Cookie: "a*b", Granted: [][]string{{"equals", "a"}}}, `cookie name "a*b": behind a * there must be neither a letter, a digit nor another *`},
	{"two stars", PackedRule{Cookie: "a**", Granted: [][]string{{"equals", "a"}}}, `cookie name "a**": behind a * there must be neither a letter, a digit nor another *`},
	{"many names", PackedRule{Cookie: "a b c d e f g h i", Granted: [][]string{{"equals", "a"}}}, "a cookie with 9 names: must be at most 8"},
	{"nothing granted", PackedRule{Cookie: "a"}, "there is no granted line, so that nothing would ever be a yes"},

	{"an unknown step", packedRule("decode hex\ngranted equals a"), `decode hex: unknown step "hex": must be one of percent, form, base64, from, gpp and, at the end, list, pairs, json, tcf`},
	{"no step", packedRule("decode\ngranted equals a"), "decode : a step is missing: must be one of percent, form, base64, from, gpp and, at the end, list, pairs, json, tcf"},
	{"percent with a word", packedRule("decode percent a\ngranted equals a"), "decode percent a: write decode percent"},
	{"form without a field", packedRule("decode form\ngranted equals a"), "decode form: write decode form <field>"},
	{"form with two", packedRule("decode form a b\ngranted equals a"), "decode form a b: write decode form <field>"},
	{"base64 with a word", packedRule("decode base64 a\ngranted equals a"), "decode base64 a: write decode base64"},
	{"from without a text", packedRule("decode from\ngranted equals a"), "decode from: write decode from <text>"},
	{"gpp with a word", packedRule("decode gpp a\ngranted equals a"), "decode gpp a: write decode gpp"},
	{"list with two words", packedRule("decode list a b\ngranted equals a"), "decode list a b: write decode list [<separators>]"},
	{"pairs with one", packedRule("decode pairs ,\ngranted equals a"), "decode pairs ,: write decode pairs <separators between pairs> <separators within a pair>"},
	{"json with a word", packedRule("decode json a\ngranted equals a"), "decode json a: write decode json"},
	{"tcf with a word", packedRule("decode tcf a\ngranted equals a"), "decode tcf a: write decode tcf"},
	{"an empty word in a step", PackedRule{Cookie: "a", Decode: [][]string{{"form", ""}}, Granted: [][]string{{"equals", "a"}}}, "decode form : a word is empty"},
	{"a step behind the last", packedRule("decode json\ndecode percent\ngranted equals a"), "decode percent: nothing can follow json"},
	{"two shapes", packedRule("decode list\ndecode json\ngranted equals a"), "decode json: nothing can follow list"},
	{"many steps", packedRule(strings.Repeat("decode percent\n", 33) + "granted equals a"), "33 decode lines: must be at most 32"},

	{"an unknown test", packedRule("granted is a"), `granted is a: unknown test "is": must be one of equals, has, pair, json, purposes, publisher_purposes, cookie`},
	{"no test", packedRule("granted"), "granted : a test is missing: must be one of equals, has, pair, json, purposes, publisher_purposes, cookie"},
	{"no test behind or", packedRule("granted equals a or"), "granted equals a or: a test is missing: must be one of equals, has, pair, json, purposes, publisher_purposes, cookie"},
	{"no test before or", packedRule("answered or equals a\ngranted equals a"), "answered or equals a: a test is missing: must be one of equals, has, pair, json, purposes, publisher_purposes, cookie"},
	{"no test behind not", packedRule("granted not"), `granted not: unknown test "not": must be one of equals, has, pair, json, purposes, publisher_purposes, cookie`},
	{"not twice", packedRule("granted not not equals a"), `granted not not equals a: unknown test "not": must be one of equals, has, pair, json, purposes, publisher_purposes, cookie`},
	{"a test behind not that is wrong", packedRule("granted not equals"), "granted not equals: write equals <word>..."},
	{"equals without a word", packedRule("granted equals"), "granted equals: write equals <word>..."},
	{"has without a word", packedRule("decode list\ngranted has"), "granted has: write has <word>..."},
	{"has without a list", packedRule("granted has a"), "granted has a: has needs a line decode list"},
	{"pair without a key", packedRule("decode pairs , :\ngranted pair"), "granted pair: write pair <key> [<word>...]"},
	{"pair without pairs", packedRule("decode list\ngranted pair a"), "granted pair a: pair needs a line decode pairs"},
	{"json without json", packedRule("granted json a exists"), "granted json a exists: json needs a line decode json"},
	{"json without a test", packedRule("decode json\ngranted json a"), "granted json a: write json <path> equals|contains <word>..., or json <path> non_empty|exists|missing"},
	{"json with an unknown one", packedRule("decode json\ngranted json a is b"), "granted json a is b: write json <path> equals|contains <word>..., or json <path> non_empty|exists|missing"},
	{"json equals without a word", packedRule("decode json\ngranted json a equals"), "granted json a equals: write json <path> equals|contains <word>..., or json <path> non_empty|exists|missing"},
	{"json exists with a word", packedRule("decode json\ngranted json a exists b"), "granted json a exists b: write json <path> equals|contains <word>..., or json <path> non_empty|exists|missing"},
	{"purposes without tcf", packedRule("granted purposes 1"), "granted purposes 1: purposes needs a line decode tcf"},
	{"purposes without a number", packedRule("decode tcf\ngranted purposes"), "granted purposes: write purposes <number from 1 to 24>..."},
	{"a purpose out of range", packedRule("decode tcf\ngranted purposes 0"), "granted purposes 0: write purposes <number from 1 to 24>..."},
	{"a purpose that is no number", packedRule("decode tcf\ngranted publisher_purposes 1 x"), "granted publisher_purposes 1 x: write publisher_purposes <number from 1 to 24>..."},
	{"cookie without a name", packedRule("answered cookie\ngranted equals a"), "answered cookie: write cookie <name> [<word>...]"},
	{"cookie with a bad name", packedRule("answered cookie a=b\ngranted equals a"), "answered cookie a=b: write cookie <name> [<word>...]"},
	{"cookie with a bad star", packedRule("answered cookie a b*c\ngranted equals a"), "answered cookie a b*c: write cookie <name> [<word>...]"},
	{"an empty word in a test", PackedRule{Cookie: "a", Granted: [][]string{{"equals", ""}}}, "granted equals : a word is empty"},
	{"many lines", packedRule(strings.Repeat("granted equals a\n", 33)), "33 granted lines: must be at most 32"},
	{"many answered lines", packedRule(strings.Repeat("answered equals a\n", 33) + "granted equals a"), "33 answered lines: must be at most 32"},
	{"many words", packedRule("granted equals" + strings.Repeat(" a", 64)), "a granted line of 65 words: must be at most 64"},
}

func TestRulesThatDoNotCompile(t *testing.T) {
	for _, tt := range ruleErrors {
		t.Run(tt.name, func(t *testing.T) {
			rule, err := tt.rule.Compile()
			if err == nil || err.Error() != tt.want || rule != nil {
				t.Errorf("got %v, %v, want %s", rule, err, tt.want)
			}
		})
	}
}

// Every error text is written out here, so that someone has read it.
func TestEveryErrorTextIsExpected(t *testing.T) {
	tests, err := os.ReadFile("platforms_test.go")
	if err != nil {
		t.Fatal(err)
	}
	expected := string(tests)
	for _, tt := range ruleErrors {
		expected += "\n" + tt.want
	}
	files, _ := filepath.Glob("*.go")
	fset := token.NewFileSet()
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || slices.Contains([]string{"tcstring.go", "gpp.go"}, name) {
			continue // their errors have tests of their own
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			called, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || called.Sel.Name != "Errorf" && called.Sel.Name != "New" {
				return true
			}
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			format, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			found++
			text := strings.ReplaceAll(regexp.QuoteMeta(format), "%w", ".*")
			text = regexp.MustCompile("%[a-z]").ReplaceAllString(text, ".*")
			if !regexp.MustCompile(text).MatchString(expected) {
				t.Errorf("%s: no test expects %q", fset.Position(call.Pos()), format)
			}
			return true
		})
	}
	if found < 15 {
		t.Errorf("only %d texts found", found)
	}
}
