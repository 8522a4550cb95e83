package head_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
)

func TestEvidence(t *testing.T) {
	for _, test := range []struct {
		document string
		want     bool
	}{
		{"<!doctype html><p>x", true},
		{"<!DOCTYPE html SYSTEM 'about:legacy-compat'>x", true},
		{"<!doctypehtml>", true},
		{"<!-- x --><html>", true},
		{"<HTML lang=de>x", true},
		{"<head>x", true},
		{"<title>x</title></head>", true},
		{"<title>x</title><body>", true},
		{"<body class=x>y", true},
		{"<frameset>", true},
		{"<title>x</title></body>", true},
		{"</html>", true},

		{"", false},
		{"OK", false},
		{`{"head": "<head>"}`, false},
		{"<p>A paragraph.</p>", false},
		{"<div><!doctype html><html><head></head><body></body></div>", false},
		{"<title>x</title><h1>y</h1>", false},
		{"<link rel=stylesheet href=x><div>y</div>", false},
		{"<script>'<html><head>'</script><div>y</div>", false},
		{"<!-- <!doctype html><html><head> --><div>y</div>", false},
		{"<!doc html><div>y</div>", false},
		{"<!-doctype html><div>y</div>", false},
		{"<![doctype html]><div>y</div>", false},
		{"</doctype><header>", false},
		{"<html-x>", false},
		{"<heads>", false},
		{"<bodyy>", false},
		{"</br><html>", false},
		{"</p>&nbsp;<html>", false},
		{"<rss><head></head></rss>", false},
		{"<template><html></template><html>", false},
	} {
		if got := scanAll(t, test.document).evidence; got != test.want {
			t.Errorf("%q: got %t", test.document, got)
		}
	}
}

func TestAMP(t *testing.T) {
	for _, test := range []struct {
		document string
		want     bool
	}{
		{"<!doctype html><html amp><head></head>", true},
		{"<html AMP lang=de>", true},
		{"<html lang=de amp>", true},
		{"<html amp=''>", true},
		{"<html lang='de'amp/>", true},
		{"<html ⚡>", true},
		{"<html ⚡=x lang=de>", true},
		{"<html ⚡\uFE0F>", true},
		{"<html amp4ads>", true},
		{"<html ⚡4ads>", true},
		{"<html ⚡\uFE0F4ads>", true},
		{"<html Amp4Email>", true},
		{"<html ⚡4email>", true},
		{"<html ⚡\uFE0F4email>", true},
		{"<title>x</title><html amp>", true},

		{"<html>", false},
		{"<html lang=amp>", false},
		{"<html lang=' amp '>", false},
		{"<html data-amp>", false},
		{"<html amp-version=1>", false},
		{"<html am p>", false},
		{"<html amp4>", false},
		{"<html \xE2\x9A>", false},
		{"<html ⚡⚡⚡⚡⚡⚡⚡⚡>", false},
		{"<html =amp>", false},
		{"<head amp>", false},
		{"</html amp>", false},
		{"<!-- <html amp> --><html>", false},
		{"<body><html amp>", false},
	} {
		if got := scanAll(t, test.document).amp; got != test.want {
			t.Errorf("%q: got %t", test.document, got)
		}
	}
}

func TestHasScript(t *testing.T) {
	for _, test := range []struct {
		name, document string
		want           bool
	}{
		{"absolute", `<head><script async src="https://widget.example/` + bundle + `" data-x="y"></script></head>`, true},
		{"relative", `<script src="` + bundle + `"></script>`, true},
		{"absolute path", `<script src='/a/b/` + bundle + `'></script>`, true},
		{"not quoted", `<script src=/` + bundle + `></script>`, true},
		{"not quoted, and more", `<script src=/` + bundle + ` async></script>`, true},
		{"upper case", `<SCRIPT SRC="/` + bundle + `"></SCRIPT>`, true},
		{"query", `<script src="/` + bundle + `?v=1/x"></script>`, true},
		{"fragment", `<script src="/` + bundle + `#/x"></script>`, true},
		{"query with a reference", `<script src="/` + bundle + `?a&amp;b"></script>`, true},
		{"space around it", "<script src='\n\t " + bundle + " \r\n'></script>", true},
		{"line break in it", "<script src='/kapa-support-\nform-deflector.\tbundle.js'></script>", true},
		{"backslashes", `<script src="\a\` + bundle + `"></script>`, true},
		{"begun twice", `<script src="/kapa-support-/` + bundle + `"></script>`, true},
		{"no end tag but an end", `<script src="/` + bundle + `"/></script>`, true},
		{"the second script", `<script>1</script><script src="/x.js"></script><script src="/` + bundle + `"></script>`, true},
		{"before <head>", `<!doctype html><script src="/` + bundle + `"></script><head>`, true},
		{"in a module", `<script type="module" src="/` + bundle + `"></script>`, true},
		{"before a template", `<script src="/` + bundle + `"></script><template></template>`, true},
		{"before an attribute of that name", `<script src="/` + bundle + `" src="/x.js"></script>`, true},
		{"after one with no value", `<script async src="/` + bundle + `"></script>`, true},
		{"a release", `<script src="/kapa-support-form-deflector-v1.20.3.bundle.js"></script>`, true},
		{"a development version", `<script src="/kapa-support-form-deflector.dev-x_1.bundle.js?v=1"></script>`, true},
		{"a release of a development version", `<script src="/kapa-support-form-deflector.dev-x-v1.2.3.bundle.js"></script>`, true},

		{"a release of two numbers", `<script src="/kapa-support-form-deflector-v1.2.bundle.js"></script>`, false},
		{"a release without a number", `<script src="/kapa-support-form-deflector-v1..3.bundle.js"></script>`, false},
		{"a release without its v", `<script src="/kapa-support-form-deflector-1.2.3.bundle.js"></script>`, false},
		{"a development version without a name", `<script src="/kapa-support-form-deflector.dev-.bundle.js"></script>`, false},
		{"a development version after a release", `<script src="/kapa-support-form-deflector-v1.2.3.dev-x.bundle.js"></script>`, false},
		{"another bundle of Kapa's", `<script src="/kapa-widget.bundle.js"></script>`, false},
		{"a name that is too long", `<script src="/kapa-support-form-deflector.dev-` + strings.Repeat("x", 100) + `.bundle.js"></script>`, false},
		{"none", "<head></head>", false},
		{"another", `<script src="/x.js"></script>`, false},
		{"none of its own", `<script src></script>`, false},
		{"a longer name", `<script src="/my-` + bundle + `"></script>`, false},
		{"a longer name at its end", `<script src="/` + bundle + `x"></script>`, false},
		{"a shorter name", `<script src="/` + bundle[:len(bundle)-1] + `"></script>`, false},
		{"other case", `<script src="/` + strings.ToUpper(bundle) + `"></script>`, false},
		{"a folder", `<script src="/` + bundle + `/x.js"></script>`, false},
		{"a folder, and nothing in it", `<script src="/` + bundle + `/"></script>`, false},
		{"in the query", `<script src="/x.js?/` + bundle + `"></script>`, false},
		{"in the fragment", `<script src="/x.js#/` + bundle + `"></script>`, false},
		{"space in it", `<script src="/kapa-support- form-deflector.bundle.js"></script>`, false},
		{"space before it", `<script src="/ ` + bundle + `"></script>`, false},
		{"space and a query after it", `<script src="/` + bundle + ` ?x"></script>`, false},
		{"encoded", `<script src="/kapa%2Dsupport-form-deflector.bundle.js"></script>`, false},
		{"after an attribute of that name", `<script src="/x.js" src="/` + bundle + `"></script>`, false},
		{"after one of that name with no value", `<script src src="/` + bundle + `"></script>`, false},
		{"another attribute", `<script data-src="/` + bundle + `" sr="/` + bundle + `" srcs="/` + bundle + `"></script>`, false},
		{"a value", `<script title=" src='/` + bundle + `' "></script>`, false},
		{"a second URL", `<script src=/x.js /` + bundle + `></script>`, false},
		{"another element", `<link rel="preload" as="script" src="/` + bundle + `" href="/` + bundle + `">`, false},
		{"the end tag", `<script></script src="/` + bundle + `">`, false},
		{"a comment", `<!-- <script src="/` + bundle + `"></script> -->`, false},
		{"a script's text", `<script>'<script src="/` + bundle + `">'</script>`, false},
		{"an escaped script's text", `<script><!-- <script src="/` + bundle + `"></script> --></script>`, false},
		{"noscript", `<noscript><script src="/` + bundle + `"></script></noscript>`, false},
		{"title", `<title><script src="/` + bundle + `"></script></title>`, false},
		{"template", `<template><script src="/` + bundle + `"></script></template>`, false},
		{"the body", `<head></head><script src="/` + bundle + `"></script>`, false},
		{"a tag that does not end", `<script src="/` + bundle + `"`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := scanAll(t, test.document).script; got != test.want {
				t.Errorf("%s: got %t", test.document, got)
			}
		})
	}
}

// The anchor of an unusable document is the place that shows it.
func TestUnusable(t *testing.T) {
	for _, test := range []struct {
		name, document string
		want           int // the anchor, or usable
	}{
		{"UTF-16LE", "\xFF\xFE<\x00h\x00t\x00m\x00l\x00>\x00", 0},
		{"UTF-16BE", "\xFE\xFF\x00<\x00h\x00t\x00m\x00l\x00>", 0},
		{"UTF-16 and nothing else", "\xFF\xFE", 0},
		{"ISO-2022-JP in the title", "<title>\x1b$B%F%9%H\x1b(B</title></head>", 7},
		{"ISO-2022-JP in an attribute", "<meta content=\"\x1b$B$\"\x1b(B\"></head>", 15},
		{"ISO-2022-JP in a comment", "<head><!-- \x1b$B -->", 11},
		{"ISO-2022-JP in a tag", "<link \x1b$B>", 6},
		{"ISO-2022-JP in a long end tag", "</links\x1b$B>", 7},

		{"ISO-2022-JP after the head", "<title>x</title></head><body>\x1b$B%F%9%H\x1b(B", usable},
		{"ISO-2022-JP right after the head", "<title>x</title>\x1b$B%F%9%H\x1b(B</head>", usable},
		{"an escape in a name", "<link>\n<li\x1bnk>", usable},
		{"an escape after <", "<link><\x1b", usable},
		{"an escape after &", "<link>&\x1b", usable},
		{"an escape after &#32", "<link>&#32\x1b", usable},
		{"an escape after a part of a byte order mark", "\xEF\x1b", usable},
		{"NUL before the doctype", "\x00<!doctype html><head></head>", 0},
		{"NUL after a byte order mark", "\uFEFF\x00<!doctype html><head></head>", 3},
		{"NUL after the doctype", "<!doctype html>\n\x00<head class=x></head>", 16},
		{"NUL after <html>", "<html>\x00<head class=x></head>", 6},
		{"NUL in the head", "<!doctype html><head>\x00</head>", usable},
		{"NUL after <title>", "<title>x</title>\x00</head>", usable},
		{"NUL in a comment", "<!-- \x00 --><!doctype html><head></head>", usable},

		{"UTF-16 without a mark", "<\x00h\x00t\x00m\x00l\x00>\x00", usable},
		{"half a mark", "\xFF<html>", usable},
		{"a mark that is not the first", " \xFF\xFE<html>", usable},
		{"UTF-8", "\uFEFF<title>ü</title>", usable},
		{"Latin-1", "<title>\xFC</title>", usable},
		{"Shift_JIS", "<title>\x83\x5C\x83\x3C</title>", usable},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := scanAll(t, test.document)
			switch {
			case found.unusable != (test.want != usable):
				t.Fatalf("got %+v", found)
			case found.unusable && found.anchor != test.want:
				t.Fatalf("got %+v", found)
			case !found.unusable:
				checkInsertion(t, test.document, found.anchor)
			}
		})
	}
}

const usable = -1

// If the encoding is known, an escape byte is an ordinary byte.
func TestTrustEncoding(t *testing.T) {
	for _, test := range []struct {
		document string // | is the anchor
		unusable bool
	}{
		{"<title>\x1b[31m</title>|</head>", false},
		{"<meta content=\x1b><!-- \x1b --><script>\x1b</script>|\x1b", false},
		{"|\xFE\xFF\x00<", true},
		{"|\xFF\xFE<\x00", true},
	} {
		before, after, _ := strings.Cut(test.document, "|")
		document := []byte(before + after)
		for size := 1; size <= len(document); size++ {
			var s head.Scanner
			s.TrustEncoding()
			if got := feed(&s, document, size); got != len(before) || s.Unusable() != test.unusable {
				t.Errorf("%q in pieces of %d: anchor %d, unusable %t", test.document, size, got, s.Unusable())
			}
		}
	}
}

// unread stands for policies that a document has, but the scanner does not keep.
const unread = "(unread)"

func TestPolicies(t *testing.T) {
	const csp = `http-equiv="Content-Security-Policy"`
	for _, test := range []struct {
		name, document string
		want           []string
	}{
		{"one", `<head><meta ` + csp + ` content="script-src 'self'"></head>`, []string{"script-src 'self'"}},
		{"upper case", `<META HTTP-EQUIV='CONTENT-SECURITY-POLICY' CONTENT='x'>`, []string{"x"}},
		{"not quoted", `<meta http-equiv=content-security-policy content=x/>`, []string{"x/"}},
		{"content first", `<meta content="x" ` + csp + `>`, []string{"x"}},
		{"attributes in between", `<meta data-a=1 content="x" id=b class ` + csp + ` lang=de>`, []string{"x"}},
		{"several", `<meta ` + csp + ` content=a><title>t</title><meta content=b ` + csp + `>`, []string{"a", "b"}},
		{"references stay", `<meta ` + csp + ` content="&#39;none&apos;">`, []string{"&#39;none&apos;"}},
		{"line breaks", "<meta " + csp + " content=\"a;\r\n\tb\">", []string{"a;\r\n\tb"}},
		{"before <head>", `<meta ` + csp + ` content=x><head>`, []string{"x"}},
		{"the first content", `<meta content=a content=b ` + csp + ` content=c>`, []string{"a"}},
		{"the first http-equiv", `<meta ` + csp + ` http-equiv=refresh content=a>`, []string{"a"}},
		{"another http-equiv first", `<meta http-equiv=refresh ` + csp + ` content=a>`, nil},
		{"after another's content", `<meta content="long, long" name=a><meta content=b ` + csp + `>`, []string{"b"}},
		{"an empty content", `<meta ` + csp + ` content="">`, []string{""}},
		{"a content without a value", `<meta ` + csp + ` content>`, []string{""}},
		{"up to 8 KiB", `<meta ` + csp + ` content="` + strings.Repeat("a", 8<<10) + `">`, []string{strings.Repeat("a", 8<<10)}},
		{"up to 64", strings.Repeat(`<meta `+csp+` content=x>`, 64), slices.Repeat([]string{"x"}, 64)},

		{"more than 8 KiB", `<meta ` + csp + ` content="` + strings.Repeat("a", 8<<10+1) + `">`, []string{unread}},
		{"more than 8 KiB, and one", `<meta content="` + strings.Repeat("a", 9<<10) + `" ` + csp + `><meta ` + csp + ` content=x>`, []string{"x", unread}},
		{"more than 64", strings.Repeat(`<meta `+csp+` content=x>`, 65), append(slices.Repeat([]string{"x"}, 64), unread)},
		{"more than 64 KiB in all", strings.Repeat(`<meta `+csp+` content="`+strings.Repeat("a", 8<<10)+`">`, 9), append(slices.Repeat([]string{strings.Repeat("a", 8<<10)}, 8), unread)},
		{"by two names", `<meta name=a content=x ` + csp + `>`, []string{unread}},
		{"named before, but known in time", `<meta name=a ` + csp + ` content=x>`, []string{"x"}},

		{"no content", `<meta ` + csp + `>`, nil},
		{"a long content of another", `<meta content="` + strings.Repeat("a", 9<<10) + `" name=a>`, nil},
		{"only reported", `<meta http-equiv="Content-Security-Policy-Report-Only" content=x>`, nil},
		{"a shorter keyword", `<meta http-equiv="Content-Security-Polic" content=x>`, nil},
		{"space around the keyword", `<meta http-equiv=" Content-Security-Policy " content=x>`, nil},
		{"another attribute", `<meta name="Content-Security-Policy" content=x>`, nil},
		{"another element", `<link ` + csp + ` content=x>`, nil},
		{"the end tag", `</meta ` + csp + ` content=x>`, nil},
		{"a comment", `<!-- <meta ` + csp + ` content=x> -->`, nil},
		{"noscript", `<noscript><meta ` + csp + ` content=x></noscript>`, nil},
		{"a title", `<title><meta ` + csp + ` content=x></title>`, nil},
		{"a script", `<script>'<meta ` + csp + ` content=x>'</script>`, nil},
		{"a template", `<template><meta ` + csp + ` content=x></template>`, nil},
		{"the body", `<body><meta ` + csp + ` content=x>`, nil},
		{"after the head", `</head><meta ` + csp + ` content=x>`, nil},
		{"a tag that does not end", `<meta ` + csp + ` content="x"`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 7, len(test.document)} {
				var s head.Scanner
				feed(&s, []byte(test.document), size)
				got, complete := s.Policies()
				got = slices.Clone(got)
				if !complete {
					got = append(got, unread)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("pieces of %d: got %.100q", size, got)
				}
			}
			checkPolicies(t, test.document)
		})
	}
}

// checkPolicies lets a real parser look for policies in the part of the head
// before the anchor.
func checkPolicies(t testing.TB, document string) {
	t.Helper()
	var s head.Scanner
	anchor := feed(&s, []byte(document), max(len(document), 1))
	got, complete := s.Policies()
	doc, ok := parse(document[:anchor])
	if !ok || !complete || s.Unusable() {
		return
	}
	var want []string
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || n.Data != "meta" {
			continue
		}
		attrs := make(map[string]string)
		for _, a := range n.Attr {
			if _, twice := attrs[a.Key]; !twice {
				attrs[a.Key] = a.Val
			}
		}
		content, has := attrs["content"]
		if has && strings.EqualFold(attrs["http-equiv"], "content-security-policy") {
			want = append(want, content)
		}
	}
	sameText := func(source, text string) bool {
		return source == text || strings.ContainsAny(source, "&\r\x00") // a parser changes these
	}
	if !slices.EqualFunc(got, want, sameText) {
		t.Errorf("policies %q, to a parser %q", got, want)
	}
}

func TestBeforeESI(t *testing.T) {
	for document, want := range map[string]bool{
		"<esi:include src=/a/>":                             true,
		"<!-- x -->\n<ESI:include src=/a/>":                 true,
		"<!doctype html><head><title>t</title><esi:try>":    true,
		"<p><esi:include src=/a/>":                          false,
		"</head><esi:include src=/a/>":                      false,
		"<esix:include>":                                    false,
		"<esi>":                                             false,
		"<es:include>":                                      false,
		"<title><esi:include src=/a/></title><p>":           false,
		"<!-- <esi:include src=/a/> --><link href=esi:><p>": false,
	} {
		for _, size := range []int{1, 3, len(document)} {
			var s head.Scanner
			for piece := range slices.Chunk([]byte(document), size) {
				s.Feed(piece)
			}
			if s.BeforeESI() != want {
				t.Errorf("%s in pieces of %d: %t", document, size, !want)
			}
		}
	}
}

// Findings do not depend on earlier documents.
func TestBase(t *testing.T) {
	for _, test := range []struct {
		document, href string
		found          bool
	}{
		{"<base href=/a/>", "/a/", true},
		{"<BASE target=x HREF='https://a.com/'><p>", "https://a.com/", true},
		{"<base target=_top><base href=/a/><base href=/b/>", "/a/", true},
		{"<base href=/a/ href=/b/>", "/a/", true},
		{"<base href>", "", true},
		{`<base href="&#x2f;">`, "&#x2f;", true}, // as it stands in the source
		{`<base href="` + strings.Repeat("x", 2000) + `">`, strings.Repeat("x", 1024), true},
		{"<base data-href=/a/><link href=/b/>", "", false},
		{"<head></head><base href=/a/>", "", false},
		{"<!-- <base href=/a/> --><noscript><base href=/a/></noscript></base href=/a/>", "", false},
	} {
		for _, size := range []int{1, 3, len(test.document)} {
			var s head.Scanner
			for piece := range slices.Chunk([]byte(test.document), size) {
				s.Feed(piece)
			}
			s.End()
			if href, found := s.Base(); href != test.href || found != test.found {
				t.Errorf("%s in pieces of %d: %q, %t", test.document, size, href, found)
			}
		}
	}
}

func TestPoliciesAreReset(t *testing.T) {
	var s head.Scanner
	feed(&s, []byte(strings.Repeat(`<meta http-equiv=content-security-policy content=x>`, 9)), 100)
	s.Reset("")
	feed(&s, []byte(`<meta http-equiv=content-security-policy content=y></head>`), 100)
	if got, complete := s.Policies(); !slices.Equal(got, []string{"y"}) || !complete {
		t.Errorf("%q, complete: %t", got, complete)
	}
}

// A charset behind the anchor, in sight of browsers, is repeated before the
// insertion; if it is not certain, the document is left alone.
func TestCharset(t *testing.T) {
	const again, alone = "<meta charset=utf-8>", "unusable"
	for _, test := range []struct{ name, document, want string }{
		{"behind the anchor", "<head><div><meta charset=utf-8>", again},
		{"the long form", `<div></div><meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />`, again},
		{"after a script", `<div></div><head><script>1</script><meta charset="utf-8">`, again},
		{"after another meta element", `<p><meta name="x" content="y"><meta charset="utf-8">`, again},
		{"after an apostrophe in quotes", `<p><meta name="x" content="l'Europe"><meta charset="utf-8">`, again},
		{"after an apostrophe without quotes", `<p class=l'Europe title = "x"><meta charset="utf-8">`, again},
		{"after a named reference", `<p><meta name="x" content="a &amp; b"><meta charset="utf-8">`, again},
		{"after quotes that are no value's", `<p 'x><meta charset="utf-8">`, alone},
		{"after quotes in a name that begins with =", `<p a="x"='y b='z><meta charset="utf-8">`, alone},
		{"after quotes in a name after a solidus", `<p a/='y b='z><meta charset="utf-8">`, alone},
		{"after a reference to a letter", `<p><meta http-equiv=content-type content="&#99;harset=koi8-r"><meta charset="utf-8">`, alone},
		{"before the anchor", "<meta charset=utf-8><p><meta charset=utf-8>", ""},
		{"the long form before the anchor", `<meta content="text/html; Charset=utf-8" http-equiv=Content-Type><p><meta charset=koi8-r>`, ""},
		{"the long form before the anchor, the other way round", `<meta http-equiv=Content-Type content="text/html; ccharset=utf-8"><p><meta charset=koi8-r>`, ""},
		{"a content that names one and is no such form", `<meta name=x content="charset=utf-8"><p><meta charset=koi8-r>`, alone},
		{"byte order mark", "\uFEFF<p><meta charset=utf-8>", ""},
		{"out of sight", "<p>" + strings.Repeat("x", 1024) + "<meta charset=utf-8>", ""},
		{"none", "<p><meta name=x><p>", ""},
		{"another encoding", "<p><meta charset=windows-1251>", alone},
		{"in a comment", "<p><!-- <meta charset=utf-8> -->", alone},
		{"in a script", "<p><script>'<meta charset=utf-8>'</script>", alone},
		{"in an attribute", "<p title='<meta charset=utf-8>'>", alone},
		{"cut off by the end of sight", "<p>" + strings.Repeat("x", 1010) + "<meta charset=utf-8>", alone},
	} {
		found := scanAll(t, test.document)
		if found.unusable != (test.want == alone) || !found.unusable && found.charset != test.want {
			t.Errorf("%s: %+v", test.name, found)
		}
	}
}

// If bytes are released before the encoding is known, an anchor that a tag has
// shown is final; any other is given up.
func TestRelease(t *testing.T) {
	for _, test := range []struct {
		name, before, after string
		off                 int
		unusable            bool
	}{
		{"behind </head>", "<head></head><body>", "", -len("</head><body>"), false},
		{"behind <body>", "<title>x</title><body>y", "", -len("<body>y"), false},
		{"behind another tag", "<title>x</title><p>y", "", -len("<p>y"), true},
		{"before </head>", "<head><title>x</title>", "</head>", 0, false},
		{"before another tag", "<head><title>x</title>", "<p>", 0, true},
	} {
		var s head.Scanner
		if _, done := s.Feed([]byte(test.before)); done {
			t.Fatalf("%s: done before the encoding is known", test.name)
		}
		off, done := s.Release()
		if done != (test.after == "") {
			t.Errorf("%s: done %t", test.name, done)
		}
		if !done {
			if off, done = s.Feed([]byte(test.after)); !done {
				t.Errorf("%s: not done", test.name)
			}
		}
		if off != test.off || s.Unusable() != test.unusable {
			t.Errorf("%s: anchor at %d, unusable %t", test.name, off, s.Unusable())
		}
	}
}
