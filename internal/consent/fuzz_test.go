package consent

import (
	"slices"
	"strings"
	"testing"
)

// checkFinding checks what is true of any finding.
func checkFinding(t *testing.T, f Finding) {
	t.Helper()
	var fits bool
	switch f.Verdict {
	case Granted:
		fits = f.Reason == NoReason
	case Denied:
		fits = f.Reason == Refused
	case Unknown:
		fits = slices.Contains([]Reason{NoCookieHeader, CookieAbsent, Unanswered, Malformed, Conflict}, f.Reason)
	}
	if !fits {
		t.Errorf("verdict %v with reason %q", f.Verdict, f.Reason)
	}
}

// A rule of any words compiles or is an error, and one that compiles reads any
// header: nothing there is a yes without a cookie, in a cookie that is too long,
// or beside a copy that says nothing.
func FuzzRule(f *testing.F) {
	for _, p := range platforms {
		for _, rule := range p.rules {
			category := "analytics"
			if p.Defaults != nil {
				category = p.Defaults[0]
			}
			filled := rule.fill(p.Cookie(), category)
			for _, g := range goldensOf(f, p.Name) {
				f.Add(filled.Cookie, strings.ReplaceAll(rule.lines, categoryMark, category), strings.Join(g.header, "; "))
			}
		}
	}
	for _, e := range ruleErrors {
		var text strings.Builder
		for name, lines := range map[string][][]string{"decode": e.rule.Decode, "answered": e.rule.Answered, "granted": e.rule.Granted} {
			for _, words := range lines {
				text.WriteString(name + " " + strings.Join(words, " ") + "\n")
			}
		}
		f.Add(e.rule.Cookie, text.String(), "a=b")
	}
	f.Fuzz(func(t *testing.T, cookie, text, line string) {
		packed := platformRule{cookie, text}.fill(cookie, "analytics")
		rule, err := packed.Compile()
		if err != nil {
			if rule != nil || err.Error() == "" {
				t.Errorf("a rule beside an error %q", err)
			}
			return
		}
		if len(rule.Cookies()) == 0 {
			t.Error("a rule that reads no cookie")
		}
		for _, header := range [][]string{nil, {""}, {";"}} {
			if got := rule.Find(header); got.Verdict != Unknown {
				t.Errorf("%q: got %v", header, got)
			}
		}
		name := strings.ReplaceAll(strings.Fields(packed.Cookie)[0], "*", "1")
		if got := rule.Find([]string{name + "=" + strings.Repeat("1", maxValue+1)}); got.Verdict != Unknown {
			t.Errorf("too long: got %v", got)
		}
		got := rule.Find([]string{line})
		checkFinding(t, got)
		if got.Verdict == Granted {
			if f := rule.Find([]string{line, name + "="}); f != conflict && f != malformed { // too many copies
				t.Errorf("%q beside a copy that says nothing: got %v", line, f)
			}
		}
	})
}

// Any header gives every platform a finding, the same in one line as in
// several; and no yes stands against a copy of one of its cookies that says
// something else.
func FuzzPlatforms(f *testing.F) {
	for i, name := range PlatformNames() {
		for _, g := range goldensOf(f, name) {
			f.Add(uint8(i), strings.Join(g.header, "; "), "no")
		}
	}
	f.Add(uint8(0), "OptanonConsent=groups=C0002:1; OptanonAlertBoxClosed=x", "groups=C0002:0")

	compiled := make([][]Rule, len(platforms))
	for i, p := range platforms {
		var categories []string
		if p.Defaults == nil && p.Category != "" {
			categories = goldensOf(f, p.Name)[0].categories
		}
		var err error
		if compiled[i], err = p.Compile("", categories); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, i uint8, line, other string) {
		platform, rules := platforms[int(i)%len(platforms)], compiled[int(i)%len(platforms)]
		got := Find(rules, []string{line})
		checkFinding(t, got)
		if split := Find(rules, strings.Split(line, ";")); split != got {
			t.Errorf("%s: %q: got %v, in several lines %v", platform.Name, line, got, split)
		}
		if strings.Contains(other, ";") {
			return
		}
		var answers patterns // the names of the cookies from which the answer comes
		for _, rule := range rules {
			answers = append(answers, rule.(*packed).names...)
		}
		for c := NewCookies([]string{line}); ; {
			name, _, ok := c.Next()
			if !ok {
				break
			}
			if !answers.matches(name) {
				continue
			}
			copied := name + "=" + other
			for _, header := range [][]string{{line, copied}, {copied, line}} {
				both := Find(rules, header)
				checkFinding(t, both)
				if both.Verdict == Granted && disagrees(rules, name, other, line) {
					t.Errorf("%s: %q beside %q: granted", platform.Name, copied, line)
				}
			}
		}
	})
}

// disagrees reports whether the cookie of this name and value is not a yes for one
// of the rules that read it, if it replaces all other cookies that they read.
func disagrees(rules []Rule, name, value, line string) bool {
	return slices.ContainsFunc(rules, func(rule Rule) bool {
		names := rule.(*packed).names
		return names.matches(name) &&
			rule.Find([]string{name + "=" + value + "; " + withoutCookies(line, names)}).Verdict != Granted
	})
}

// withoutCookies takes all cookies of these names out of a line.
func withoutCookies(line string, names patterns) string {
	var pairs []string
	for c := NewCookies([]string{line}); ; {
		name, value, ok := c.Next()
		if !ok {
			return strings.Join(pairs, "; ")
		}
		if !names.matches(name) {
			pairs = append(pairs, name+"="+value)
		}
	}
}

// No text makes the reader of JSON panic or nest deeper than it may, and every
// path leads to the right value.
func FuzzJSON(f *testing.F) {
	for _, name := range PlatformNames() {
		for _, g := range goldensOf(f, name) {
			for _, holds := range g.holds {
				f.Add(holds, "purposes.enabled")
			}
		}
	}
	f.Add(`{"a":"{\"b\":[1,true,null,\"x\"]}"}`, `*.b`)
	f.Add(strings.Repeat("[", 40)+strings.Repeat("]", 40), ".")
	f.Add(`{"a.b":{"":1e3}}`, `a\.b.`)
	f.Fuzz(func(t *testing.T, text, path string) {
		v, ok := parseJSON(text)
		if ok && depthOf(v) > maxDepth {
			t.Errorf("%q: %d deep", text, depthOf(v))
		}
		r := reading{json: v}
		exists, isThere := parseJSONTest([]string{path, "exists"})
		missing, isMissing := parseJSONTest([]string{path, "missing"})
		if !isThere || !isMissing {
			t.Fatalf("path %q", path)
		}
		there, _ := exists(&r)
		absent, _ := missing(&r)
		if there == absent {
			t.Errorf("%q in %q: both there and missing", path, text)
		}
		for _, words := range [][]string{{path, "equals", "true"}, {path, "contains", "1"}, {path, "non_empty"}} {
			holds, ok := parseJSONTest(words)
			if !ok {
				t.Fatalf("%q", words)
			}
			if yes, _ := holds(&r); yes && !there {
				t.Errorf("%q holds in %q, where nothing is", words, text)
			}
		}
		if keys := splitPath(escapeKey(path)); path != "" && path != "*" && (len(keys) != 1 || keys[0] != path) {
			t.Errorf("%q as one key: %q", path, keys)
		}
	})
}

func depthOf(v any) (depth int) {
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			depth = max(depth, depthOf(member))
		}
		return depth + 1
	case []any:
		for _, member := range v {
			depth = max(depth, depthOf(member))
		}
		return depth + 1
	default:
		return 0
	}
}
