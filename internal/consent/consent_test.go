package consent

import (
	"slices"
	"strings"
	"testing"
)

func TestCookies(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines []string
		want  []string // name=value, as read
	}{
		{"none", nil, nil},
		{"one", []string{"a=1"}, []string{"a=1"}},
		{"several in a line", []string{"a=1; b=2;c=3"}, []string{"a=1", "b=2", "c=3"}},
		{"several lines, as HTTP/2 sends them", []string{"a=1", "b=2; c=3"}, []string{"a=1", "b=2", "c=3"}},
		{"white space around both", []string{" \ta = 1\t ;\tb=2 "}, []string{"a=1", "b=2"}},
		{"white space inside is kept", []string{"cmapi=permit 1,2,3"}, []string{"cmapi=permit 1,2,3"}},
		{"the first = cuts", []string{"a=b=c=="}, []string{"a=b=c=="}},
		{"quotes, backslashes, non-ASCII", []string{`a="x"; b={"k":"\u00e4"}; c=ä`}, []string{`a="x"`, `b={"k":"\u00e4"}`, "c=ä"}},
		{"a name that is no token", []string{"real_cookie_banner-v:3_blog:1=x"}, []string{"real_cookie_banner-v:3_blog:1=x"}},
		{"a repeated name keeps all values", []string{"a=1; a=2"}, []string{"a=1", "a=2"}},
		{"empty value", []string{"a=; b="}, []string{"a=", "b="}},
		{"no equals sign", []string{"a; b=2; ;;"}, []string{"b=2"}},
		{"no name", []string{"=1; \t=2; b=3"}, []string{"b=3"}},
		{"empty lines", []string{"", ";", "a=1", ""}, []string{"a=1"}},
		{"NUL is an ordinary byte", []string{"a\x00=1\x00; b=2"}, []string{"a\x00=1\x00", "b=2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for c := NewCookies(tc.lines); ; {
				name, value, ok := c.Next()
				if !ok {
					break
				}
				got = append(got, name+"="+value)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestCookieRule(t *testing.T) {
	values := Cookie{Name: "cc", Values: []string{"accepted", "all"}}
	presence := Cookie{Name: "cc"}
	long := strings.Repeat("x", maxValue)

	for _, tc := range []struct {
		name  string
		rule  Cookie
		lines []string
		want  Finding
	}{
		{"values: no header", values, nil, Finding{Unknown, NoCookieHeader}},
		{"values: absent", values, []string{"other=accepted"}, Finding{Unknown, CookieAbsent}},
		{"values: listed", values, []string{"a=1; cc=accepted"}, granted},
		{"values: listed second", values, []string{"cc=all"}, granted},
		{"values: empty", values, []string{"cc="}, unanswered},
		{"values: any other", values, []string{"cc=refused"}, refused},
		{"values: exact case", values, []string{"cc=Accepted"}, refused},
		{"values: raw, not unquoted", values, []string{`cc="accepted"`}, refused},
		{"values: raw, not decoded", values, []string{"cc=accepte%64"}, refused},
		{"values: not a prefix", values, []string{"cc=accepted1"}, refused},
		{"values: name is case-sensitive", values, []string{"CC=accepted"}, Finding{Unknown, CookieAbsent}},
		{"values: name is not a suffix", values, []string{"xcc=accepted; cc2=accepted"}, Finding{Unknown, CookieAbsent}},
		{"values: agreeing copies count once", values, []string{"cc=accepted; cc=accepted"}, granted},
		{"values: copies that both say yes", values, []string{"cc=accepted", "cc=all"}, granted},
		{"values: copies that both say no", values, []string{"cc=no; cc=never"}, refused},
		{"values: yes and no", values, []string{"cc=accepted; cc=no"}, conflict},
		{"values: no and yes in two lines", values, []string{"cc=no", "cc=accepted"}, conflict},
		{"values: yes and empty", values, []string{"cc=; cc=accepted"}, conflict},
		{"values: a conflict stays one", values, []string{"cc=no; cc=accepted; cc=no"}, conflict},
		{"values: longest", Cookie{"cc", []string{long}}, []string{"cc=" + long}, granted},
		{"values: too long", Cookie{"cc", []string{long + "x"}}, []string{"cc=" + long + "x"}, malformed},
		{"values: yes beside a pair without =", values, []string{"cc; cc=accepted"}, granted},

		{"joined by a comma", Cookie{Name: "cc", Values: []string{"yes"}}, []string{"cc=yes, b=2"}, malformed},
		{"joined by a comma, and a no", Cookie{Name: "cc", Values: []string{"yes"}}, []string{"cc=no,b=2"}, malformed},
		{"joined by a comma, behind another", Cookie{Name: "cc", Values: []string{"yes"}}, []string{"b=2, cc=yes"}, Finding{Unknown, CookieAbsent}},
		{"a value with a comma", Cookie{Name: "cc", Values: []string{"a,b=1"}}, []string{"cc=a,b=1"}, granted},
		{"a list", Cookie{Name: "cc", Values: []string{"yes"}}, []string{"cc=a,b"}, refused},
		{"presence: joined by a comma", presence, []string{"cc=yes, b=2"}, unanswered},
		{"presence: a word", presence, []string{"cc=yes"}, granted},
		{"presence: a timestamp", presence, []string{"cc=1732400000"}, granted},
		{"presence: empty", presence, []string{"cc="}, unanswered},
		{"presence: quoted empty", presence, []string{`cc=""`}, unanswered},
		{"presence: 0", presence, []string{"cc=0"}, refused},
		{"presence: FALSE", presence, []string{"cc=FALSE"}, refused},
		{"presence: quoted no", presence, []string{`cc="no"`}, refused},
		{"presence: encoded no", presence, []string{"cc=%6eo"}, refused},
		{"presence: a word that begins with no", presence, []string{"cc=noted"}, granted},
		{"presence: raw JSON", presence, []string{`cc={"analytics":true}`}, unanswered},
		{"presence: JSON list", presence, []string{`cc=["analytics"]`}, unanswered},
		{"presence: percent-encoded JSON", presence, []string{"cc=%7b%22analytics%22%3Afalse%7d"}, unanswered},
		{"presence: percent-encoded list", presence, []string{"cc=%5B1%5D"}, unanswered},
		{"presence: base64 JSON", presence, []string{"cc=eyJhIjoxfQ"}, unanswered},
		{"presence: pairs", presence, []string{"cc=groups=C0001:1&x"}, unanswered},
		{"presence: encoded separators", presence, []string{"cc=analytics%3Ano"}, unanswered},
		{"presence: list", presence, []string{"cc=1,2"}, unanswered},
		{"presence: a refusal as a JSON string", presence, []string{"cc=%22no%22"}, refused},
		{"presence: a refusal and white space", presence, []string{"cc=no%20"}, refused},
		{"presence: encoded twice", presence, []string{"cc=%257B%2522analytics%2522%253Afalse%257D"}, unanswered},
		{"presence: bars", presence, []string{"cc=0|1|0"}, unanswered},
		{"presence: two words", presence, []string{"cc=not%20accepted"}, unanswered},
		{"presence: null", presence, []string{"cc=null"}, unanswered},
		{"presence: undefined", presence, []string{"cc=undefined"}, unanswered},
		{"presence: a list in base64", presence, []string{"cc=WyJuZWNlc3NhcnkiXQ"}, unanswered},
		{"presence: bad encoding", presence, []string{"cc=yes%"}, malformed},
		{"presence: too long", presence, []string{"cc=" + long + "x"}, malformed},
		{"presence: word and refusal", presence, []string{"cc=yes; cc=no"}, conflict},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.rule.Find(tc.lines); got != tc.want {
				t.Errorf("got %v %v, want %v %v", got.Verdict, got.Reason, tc.want.Verdict, tc.want.Reason)
			}
		})
	}
	words := func(list string, want Finding) {
		for _, word := range strings.Fields(list) {
			for _, spelled := range []string{word, strings.ToUpper(word), strings.ReplaceAll(word, "_", "-"), strings.ReplaceAll(word, "_", "%20"), strings.ReplaceAll(word, "_", "")} {
				if got := presence.Find([]string{"cc=" + spelled}); got != want {
					t.Errorf("presence: %s: got %v %v", spelled, got.Verdict, got.Reason)
				}
			}
		}
	}
	words("0 false no off none n nein non deny denied deny_all decline declined reject rejected reject_all refuse refused "+
		"disagree disagreed disallow disabled dismiss dismissed opt_out opted_out revoked withdrawn no_consent "+
		"necessary necessary_only only_necessary essential essential_only required minimal", refused)
	words("-1 unset undefined null nan pending unknown implied default functional close closed hidden seen shown viewed", unanswered)
	words("1 yes true accept accepted acceptall allow allowed all granted on agree optin noted 1732400000 v-1", granted)
}

// The zero value neither grants nor deletes.
func TestZeroVerdict(t *testing.T) {
	var zero Finding
	if zero.Verdict != Unknown {
		t.Errorf("it is %v", zero.Verdict)
	}
	order := []Verdict{Denied, Unknown, Granted}
	for i, a := range order {
		for j, b := range order {
			if a.precedes(b) != (i < j) {
				t.Errorf("%v precedes %v: %t", a, b, a.precedes(b))
			}
		}
	}
}

func TestSeveralRules(t *testing.T) {
	rule := func(name string) Rule { return Cookie{name, []string{"yes"}} }
	both := []Rule{rule("a"), rule("b")}
	for _, tc := range []struct {
		name  string
		rules []Rule
		line  string
		want  Finding
	}{
		{"no rules", nil, "a=yes", unanswered},
		{"both granted", both, "a=yes; b=yes", granted},
		{"one unknown", both, "a=yes", Finding{Unknown, CookieAbsent}},
		{"one denied", both, "a=yes; b=no", refused},
		{"denied beats unknown, last", both, "b=no", refused},
		{"denied beats unknown, first", both, "a=no", refused},
		{"both unknown: the first reason", both, "a=; c=1", unanswered},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Find(tc.rules, []string{tc.line}); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// A hostile header never grants what no well-formed pair in it grants, never
// panics, and costs one pass.
func FuzzCookieRule(f *testing.F) {
	f.Add("cc=accepted", "a=1")
	f.Add("cc=accepted; cc=no", "")
	f.Add(";;=;cc", "cc")
	f.Add("\x00cc=accepted\x00", "cc =accepted")
	f.Add(strings.Repeat("cc;", 1000), strings.Repeat("=", 1000))
	f.Fuzz(func(t *testing.T, one, two string) {
		got := Cookie{Name: "cc", Values: []string{"accepted"}}.Find([]string{one, two})
		var yes, other bool
		for pair := range strings.SplitSeq(one+";"+two, ";") {
			name, value, ok := strings.Cut(pair, "=")
			if ok && strings.Trim(name, " \t") == "cc" {
				if strings.Trim(value, " \t") == "accepted" {
					yes = true
				} else {
					other = true
				}
			}
		}
		if (got.Verdict == Granted) != (yes && !other) {
			t.Errorf("%q, %q: %v", one, two, got)
		}
		if (got.Reason == NoReason) != (got.Verdict == Granted) {
			t.Errorf("%q, %q: verdict %v with reason %v", one, two, got.Verdict, got.Reason)
		}
	})
}
