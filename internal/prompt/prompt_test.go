package prompt

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

const day = 24 * time.Hour

// all are facts of which every sentence speaks.
var all = Facts{
	ID: true, IDAge: 180 * day, Site: "acme.com", Shared: true, Email: true,
	User: []string{"unique_client_id", "email", "company_name", "first_name", "last_name", "plan"}, Fingerprint: true,
	ChoiceAge: 180 * day, Policy: "/privacy",
}

func TestTextSpeaksOfWhatIsConfigured(t *testing.T) {
	id := Facts{ID: true, IDAge: 180 * day, Site: "support.acme.com", ChoiceAge: 180 * day}
	with := func(change func(*Facts)) Facts {
		f := id
		change(&f)
		return f
	}
	const always = "Kapa|reCAPTCHA|hCaptcha|IP address|Your answer is kept in a cookie for 180 days.|change it here at any time|works without the assistant"
	for _, tc := range []struct {
		name        string
		facts       Facts
		says, never string // parts, separated by |
	}{
		{"the assistant alone", Facts{ChoiceAge: 180 * day}, "", "kapa_web_id|subdomains|e-mail|fingerprint|tells Kapa|connect"},
		{"an id for one host", id, "kapa_web_id|for 180 days, for support.acme.com; |399 days and for the whole domain", "subdomains|e-mail|fingerprint|tells Kapa|connect"},
		{"an id for the domain", with(func(f *Facts) { f.Site, f.Shared = "acme.com", true }), "for acme.com and all its subdomains|may renew it for 399 days", "whole domain"},
		{"an id for a day", with(func(f *Facts) { f.IDAge = day }), "kept for 1 day,", ""},
		{"an id for some hours", with(func(f *Facts) { f.IDAge = 90 * time.Minute }), "kept for 2 hours,", ""},
		{"an id for a minute", with(func(f *Facts) { f.IDAge = time.Minute }), "kept for 1 hour,", ""},
		{"an id for a day and a bit", with(func(f *Facts) { f.IDAge = day + time.Second }), "kept for 2 days,", ""},
		{"the e-mail address", with(func(f *Facts) { f.Email = true }), "e-mail address that you enter|connect the questions", "tells Kapa"},
		{"the e-mail address without an id", Facts{Email: true, ChoiceAge: 180 * day}, "e-mail address that you enter", "connect"},
		{"user values", with(func(f *Facts) { f.User = []string{"unique_client_id", "email", "company_name", "plan"} }),
			"tells Kapa about you: your customer or user number, your e-mail address, your company’s name, plan.|connect the questions", "that you enter"},
		{"a fingerprint", Facts{Fingerprint: true, ChoiceAge: 180 * day}, "fingerprint", "kapa_web_id|connect"},
		{"everything", all, "kapa_web_id|fingerprint|that you enter|tells Kapa|connect", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := New("en", tc.facts, nil).Text
			for _, part := range strings.Split(always+"|"+tc.says, "|") {
				if !strings.Contains(text, part) {
					t.Errorf("%q is not in it:\n%s", part, text)
				}
			}
			for _, part := range strings.FieldsFunc(tc.never, func(r rune) bool { return r == '|' }) {
				if strings.Contains(text, part) {
					t.Errorf("%q is in it:\n%s", part, text)
				}
			}
		})
	}
}

// The names of cookies, companies and sites are the same in every language.
func TestEveryLanguageSaysTheSame(t *testing.T) {
	if got := strings.Join(Languages(), " "); got != "de en es fr it nl" {
		t.Fatal(got)
	}
	english := New("en", all, nil)
	for _, language := range Languages() {
		t.Run(language, func(t *testing.T) {
			w := languages[language]
			for i, v := 0, reflect.ValueOf(*w); i < v.NumField(); i++ {
				name, field := v.Type().Field(i).Name, v.Field(i)
				if field.Kind() != reflect.String {
					continue
				}
				text := field.String()
				if strings.TrimSpace(text) == "" || strings.TrimSpace(text) != text || strings.ContainsAny(text, "\n<>&'\"") {
					t.Errorf("%s: %q", name, text)
				}
				want := reflect.ValueOf(*languages["en"]).Field(i).String()
				for _, kept := range []string{"{site}", "{age}", "{renewed}", "{list}", "kapa_web_id", "Kapa", "reCAPTCHA", "Google", "hCaptcha", "IP"} {
					if strings.Contains(want, kept) && !strings.Contains(text, kept) {
						t.Errorf("%s says nothing of %s: %s", name, kept, text)
					}
				}
				if language != "en" && text == want && !slices.Contains([]string{"tag"}, name) {
					t.Errorf("%s is English: %s", name, text)
				}
			}
			for key := range languages["en"].keys {
				if w.keys[key] == "" {
					t.Errorf("no word for %s", key)
				}
			}
			p := New(language, all, nil)
			if p.Language != language || p.Direction != "ltr" {
				t.Errorf("%s, %s", p.Language, p.Direction)
			}
			if got, want := strings.Count(p.Text, "\n"), strings.Count(english.Text, "\n"); got != want || got != 3 {
				t.Errorf("%d lines, and in English %d", got+1, want+1)
			}
			if strings.ContainsAny(p.Text, "{}") || strings.Contains(p.Text, "  ") {
				t.Error(p.Text)
			}
			for line := range strings.SplitSeq(p.Text, "\n") {
				if end, _ := lastRune(line); !strings.ContainsRune(".?", end) {
					t.Errorf("it does not end as a sentence does: %s", line)
				}
			}
			if a, b := len([]rune(p.Accept)), len([]rune(p.Refuse)); a > b || b > a+6 {
				t.Errorf("the buttons are not equals: %s, %s", p.Accept, p.Refuse)
			}
		})
	}
}

func lastRune(s string) (r rune, ok bool) {
	for _, r = range s {
		ok = true
	}
	return r, ok
}

func TestLanguageOfThePage(t *testing.T) {
	for page, want := range map[string]string{
		"": "en", "de": "de", "de-AT": "de", "DE": "de", "de_CH": "de", "fr-CA": "fr", "es-419": "es", "it-IT": "it", "nl-BE": "nl", "en-GB": "en",
		"pl": "en", "deu": "en", "d": "en", "x-de": "en", "<de>": "en", "de-" + strings.Repeat("x", 40): "en",
	} {
		if p := New(page, all, nil); p.Language != want || p.Text != New(want, all, nil).Text || p.Direction != "ltr" {
			t.Errorf("%q: %s, %s", page, p.Language, p.Direction)
		}
	}
}

func TestOverrides(t *testing.T) {
	arabic := Texts{"سؤال", "نعم", "لا", "تغيير"}
	german := New("de", all, nil)
	for _, tc := range []struct {
		name, page string
		overrides  map[string]Texts
		want       Texts
		language   string
		direction  string
	}{
		{"none", "de-AT", nil, german.Texts, "de", "ltr"},
		{"of one button", "de", map[string]Texts{"": {Accept: "OK"}}, Texts{german.Text, "OK", german.Refuse, german.Change}, "de", "ltr"},
		{"for another language", "de", map[string]Texts{"ar": arabic}, german.Texts, "de", "ltr"},
		{"for a language that is written from right to left", "ar-EG", map[string]Texts{"ar": arabic}, arabic, "ar", "rtl"},
		{"for all languages", "pl", map[string]Texts{"": {"Pytanie", "Tak", "Nie", "Zmień"}}, Texts{"Pytanie", "Tak", "Nie", "Zmień"}, "pl", "ltr"},
		{"for all languages, on a page without one", "", map[string]Texts{"": {"Q", "Y", "N", "C"}}, Texts{"Q", "Y", "N", "C"}, "", ""},
		{"the longer tag first", "pt-BR", map[string]Texts{"": {"0", "0", "0", "0"}, "pt": {"1", "1", "1", ""}, "PT-br": {"2", "", "", ""}}, Texts{"2", "1", "1", "0"}, "pt-br", "ltr"},
		{"the region is another", "pt-PT", map[string]Texts{"pt-BR": {Text: "2"}, "pt": {"1", "1", "1", "1"}}, Texts{"1", "1", "1", "1"}, "pt", "ltr"},
		{"a script", "az-Arab-IR", map[string]Texts{"az-Arab": arabic}, arabic, "az-arab", "rtl"},
		{"another script", "ks-Deva", map[string]Texts{"ks-Deva": {"q", "y", "n", "c"}}, Texts{"q", "y", "n", "c"}, "ks-deva", "ltr"},
		{"Persian", "fa", map[string]Texts{"fa": arabic}, arabic, "fa", "rtl"},
		{"Hebrew", "he-IL", map[string]Texts{"he": arabic}, arabic, "he", "rtl"},
		{"Urdu", "ur", map[string]Texts{"ur": arabic}, arabic, "ur", "rtl"},
		{"buttons only, in an unknown language", "ar", map[string]Texts{"ar": {Accept: "نعم"}}, Texts{New("", all, nil).Text, "نعم", english.refuse, english.change}, "en", "ltr"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := New(tc.page, all, tc.overrides)
			if p.Texts != tc.want || p.Language != tc.language || p.Direction != tc.direction {
				t.Errorf("%+v, %s, %s", p.Texts, p.Language, p.Direction)
			}
		})
	}
}

// What cannot be overridden is in the language of the text, or in none.
func TestNoTwoLanguagesInOnePrompt(t *testing.T) {
	f := all
	f.Policy = "https://acme.com/privacy"
	p := New("ar", f, map[string]Texts{"ar": {"سؤال", "نعم", "لا", "تغيير"}})
	for _, text := range []string{p.Yes, p.No, p.Failed} {
		if strings.ContainsFunc(text, func(r rune) bool { return r < unicode.MaxASCII && unicode.IsLetter(r) }) {
			t.Errorf("English: %s", text)
		}
	}
	if !strings.Contains(p.Yes, "نعم") || !strings.Contains(p.No, "لا") || p.Failed == "" || p.PolicyLabel != "acme.com/privacy" {
		t.Errorf("%q, %q, %q, %q", p.Yes, p.No, p.Failed, p.PolicyLabel)
	}
	if p := New("de", f, map[string]Texts{"": {Text: "Frage?"}}); p.Yes != languages["de"].yes || p.PolicyLabel != languages["de"].policy {
		t.Errorf("%q, %q", p.Yes, p.PolicyLabel)
	}
}

func TestWriteJSON(t *testing.T) {
	p := Prompt{
		Language: "de", Direction: "ltr",
		Texts:     Texts{"Frage?\n\"</script><!--\\", "Ä", "🙂", "\u2028"},
		PolicyURL: "/privacy?a=b&c", PolicyLabel: "l", Yes: "y", No: "n", Failed: "f", Color: "#ff0", Choice: "yes",
	}
	var b strings.Builder
	p.WriteJSON(&b)
	var got struct {
		Lang, Dir, Text, Accept, Refuse, Change, Yes, No, Failed, Color, Choice string

		Policy []string
	}
	decoder := json.NewDecoder(strings.NewReader(b.String()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err, b.String())
	}
	if len(got.Policy) != 2 {
		t.Fatal(b.String())
	}
	back := Prompt{
		Language: got.Lang, Direction: got.Dir, Texts: Texts{got.Text, got.Accept, got.Refuse, got.Change},
		PolicyURL: got.Policy[0], PolicyLabel: got.Policy[1], Yes: got.Yes, No: got.No, Failed: got.Failed, Color: got.Color, Choice: got.Choice,
	}
	if back != p {
		t.Errorf("%+v\nwant %+v", back, p)
	}
	for _, r := range b.String() {
		if r > unicode.MaxASCII || strings.ContainsRune("<>&\n", r) {
			t.Fatalf("%q in %s", r, b.String())
		}
	}
}

func FuzzLanguage(f *testing.F) {
	for _, tag := range []string{"", "de-AT", "ar", "-", "a--b", "zh-Hant-TW"} {
		f.Add(tag, tag)
	}
	f.Fuzz(func(t *testing.T, page, overridden string) {
		p := New(page, all, map[string]Texts{overridden: {Text: "?"}})
		if p.Text == "" || p.Accept == "" || len(p.Language) > longestTag || canonical(p.Language) != p.Language {
			t.Errorf("%+v", p)
		}
	})
}
