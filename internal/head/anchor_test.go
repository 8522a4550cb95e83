package head_test

import (
	"strings"
	"testing"
)

// In these documents | is the anchor; documents without | have none. A real parser
// checks each.
var anchors = []struct{ name, document string }{
	// What keeps the head open, and what ends it.

	{"every tag written", "<!doctype html><html><head><title>x</title>|</head><body>y</body></html>"},
	{"upper case", "<!DOCTYPE HTML><HTML><HEAD><TITLE>x</TITLE>|</HEAD><BODY>y"},
	{"no head tags", "<!doctype html><html><title>x</title>|<body>y"},
	{"no head tags, and text", "<!doctype html><title>x</title>\n|y"},
	{"no </head>", "<head><meta charset=utf-8>\n|<body>y"},
	{"no head at all", "<!doctype html>\n<html>\n|<body>y"},
	{"nothing but text", "|y"},
	{"nothing but space", " \t\n\f\r |"},
	{"no input", ""},
	{"all of head's elements", "<base><basefont><bgsound><link><meta>|<p>"},
	{"<head> twice", "<head><head lang=de>|</head>"},
	{"<html> in the head", "<head><html lang=de>|</head>"},
	{"doctype in the head", "<head><!doctype html>|</head>"},
	{"content after </head>", "<head>|</head><meta name=x><title>x</title><body>"},
	{"</head> without <head>", "<!doctype html>|</head><meta name=x>"},
	{"</body>", "<title>x</title>|</body>"},
	{"</html>", "<title>x</title>|</html>"},
	{"</br>", "<title>x</title>|</br>"},
	{"</p> and other end tags", "<head></p></title></script></template></x-y></>|<p>"},
	{"long end tag", "<head></aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>|</head>"},
	{"end tag with attributes", "<head></link a='>' b=\">\">|</head>"},
	{"end tag that begins as </head>", "<head></heads></headx a></hea></bodyy></brr></b>|</head>"},
	{"end tag with NUL", "<head></head\x00></br\x00>|</head>"},
	{"end tag without a space before /", "<title>x</title>|</head/>y"},
	{"</head> with attributes", "<title>x</title>|</head a='>'>"},
	{"</ and a space", "<head></ head>|</head>"},
	{"<frameset>", "<title>x</title>|<frameset><frame></frameset>"},
	{"<svg>", "<title>x</title>|<svg><title></head></title></svg>"},
	{"<math>", "|<math><mi></mi></math>"},
	{"<table>", "<meta name=x>|<table><td></table>"},
	{"<select>", "<meta name=x>|<select><option></select>"},
	{"<plaintext>", "<meta name=x>|<plaintext></head>"},
	{"<textarea>", "<meta name=x>|<textarea></head></textarea>"},
	{"<iframe>", "<meta name=x>|<iframe></head></iframe>"},
	{"<object>", "<head><meta name=x>|<object></object></head>"},
	{"<template> is ended before", "<head><meta name=x>|<template><svg></template></head>"},
	{"React's marker of a boundary that is pending", "<head><title>x</title><!--$?--><template id=\"B:0\"></template><!--/$-->|</head>"},
	{"Next.js' marker of an error", "<head><!--$!--><template data-dgst=\"1\"></template><!--/$-->|</head>"},
	{"marker and template before <head>", "<!doctype html><!--$?--><template id=B:0></template><!--/$-->|<body>"},
	{"two markers", "<head><!--$?--><template id=B:0></template><!--/$--><!--$?--><template id=B:1></TEMPLATE ><!--/$-->|<body>"},
	{"fallback of a marker", "<head><!--$?--><template id=B:0></template>|Loading<!--/$-->"},
	{"Solid's marker after the template", "<head><!--$--><template id=pl-0></template><link><!--pl-0-->|</head>"},
	{"Vue's and Svelte's markers", "<head><!--[--><link><!--]-->|<body><!--[--><p>"},
	{"a template that touches another's comment", "<head><!--[-->|<template><p></template></head>"},
	{"a template that touches no comment", "<head><!-- x -->\n|<template></template></head>"},
	{"a marked template that is not empty", "<head><!--$--><template><p></template></head>"},
	{"a marked template with space in it", "<head><!--$--><template> </template></head>"},
	{"a marked template with another in it", "<head><!--$--><template><template></template></template></head>"},
	{"a marked template after an escaped script", "<head><script><!--</script><!--$--><template></template>|</head>"},
	{"ends in a marked template", "<head><!--$--><template></templat"},
	{"<header>", "<!doctype html><meta name=x>|<header><h1>y</h1></header>"},
	{"<head-x>", "<meta name=x>|<head-x>"},
	{"<scriptx>", "<meta name=x>|<scriptx></head></scriptx>"},
	{"<titlex>", "<meta name=x>|<titlex></head>"},
	{"<metax>", "|<metax>"},
	{"<link\x00>", "|<link\x00>"},
	{"long name", "<meta name=x>|<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>"},
	{"name that begins as a long one", "|<noscripts></noscripts>"},
	{"<h1>", "<meta name=x>|<h1>"},
	{"<head/>", "<head/><title>x</title>|</head>"},
	{"<meta/>", "<meta/><meta / name=x>|</head>"},

	// Text.

	{"space before text", "<title>x</title> \n |y"},
	{"no-break space", "<title>x</title>|\u00A0</head>"},
	{"NUL", "<title>x</title>|\x00</head>"},
	{"form feed", "<title>x</title>\f|</head>"},
	{"vertical tab", "<title>x</title>|\v</head>"},
	{"second byte order mark", "\uFEFF|\uFEFF<title>x</title></head>"},
	{"< before a digit", "<title>x</title>|<1"},
	{"< before a space", "<title>x</title>|< meta>"},
	{"< before <", "<title>x</title>|<<meta>"},
	{"JSON", `|{"html": "<head></head>"}`},
	{"two PHP warnings", "|<br />\n<b>Warning</b>: x\n<!doctype html><head></head>"},

	// References.

	{"&Tab;", "<head>&Tab;|</head>"},
	{"&NewLine;", "<head>&NewLine;|</head>"},
	{"&Tab", "<head>|&Tab</head>"},
	{"&tab;", "<head>|&tab;</head>"},
	{"&TabX;", "<head>|&TabX;</head>"},
	{"&NewLine<", "<head>|&NewLine</head>"},
	{"&nbsp;", "<head>|&nbsp;</head>"},
	{"&;", "<head>|&;</head>"},
	{"& and a space", "<head>|& </head>"},
	{"&lt;", "<head>|&lt;/head></head>"},
	{"&#32;", "<head>&#32;|</head>"},
	{"&#32", "<head>&#32|</head>"},
	{"&#32x", "<head>&#32|x</head>"},
	{"&#0032;", "<head>&#0032;|</head>"},
	{"&#9;&#10;&#12;&#13;", "<head>&#9;&#10;&#12;&#13;|</head>"},
	{"&#x20;&#X20;&#xA;&#xd", "<head>&#x20;&#X20;&#xA;&#xd|</head>"},
	{"&#11;", "<head>|&#11;</head>"},
	{"&#x3c;", "<head>|&#x3c;/head></head>"},
	{"&#0;", "<head>|&#0;</head>"},
	{"&#;", "<head>|&#;</head>"},
	{"&#x;", "<head>|&#x;</head>"},
	{"&#xg", "<head>|&#xg</head>"},
	{"&#320;", "<head>|&#320;</head>"},
	{"&#4294967328;", "<head>|&#4294967328;</head>"},
	{"&#3a;", "<head>|&#3a;</head>"},
	{"reference as long as can be held", "<!doctype html>&#00000000000032;<head>|</head>"},
	{"reference too long to be held", "<!doctype html>&#000000000000032;<head></head>"},
	{"many zeros before text", "<!doctype html>|&#000000000000033;<head></head>"},
	{"reference before <head>", "<!doctype html>&#32;<html>&Tab;<head class=x>|</head>"},

	// Comments, and what counts as one.

	{"comment", "<head><!-- </head><body> -->|</head>"},
	{"comment before <html>", "<!-- <head> --><!doctype html><!-- <body> --><html><!-- </head> -->|<body>"},
	{"comment with > and --", "<head><!-- a > b -- c -> d --- e -->|</head>"},
	{"<!-->", "<head><!-->|</head>"},
	{"<!--->", "<head><!--->|</head>"},
	{"<!---->", "<head><!---->|</head>"},
	{"<!---!>", "<head><!---!> --!>|</head>"},
	{"<!--!>", "<head><!--!> -->|</head>"},
	{"--!>", "<head><!-- --!>|</head>"},
	{"--!->", "<head><!-- --!-> --!--!-->|</head>"},
	{"<!-- within a comment", "<head><!-- <!-- -->|</head>"},
	{"<!-- right before the end of a comment", "<head><!-- <!-->|</head>"},
	{"conditional comment", "<head><!--[if lt IE 9]><script src=\"</head>\"></script><![endif]-->|</head>"},
	{"conditional tags", "<head><![if !IE]><link><![endif]>|</head>"},
	{"<!>", "<head><!>|</head>"},
	{"<!->", "<head><!->|</head>"},
	{"<!-x->", "<head><!-x->|</head>"},
	{"CDATA", "<head><![CDATA[ </head> |]]></head>"},
	{"processing instruction", "<?xml version='1.0'?><!doctype html><head><?php echo '?>|'</head>"},
	{"<?>", "<head><?>|</head>"},
	{"doctype with > in quotes", "<!doctype html PUBLIC \">|\"><head></head>"},
	{"</ and a sign", "<head></!-- </head>|-->"},

	// Attributes.

	{"> in quotes", "<head><meta content=\"></head>\"><meta content='></head>'>|</head>"},
	{"> without quotes", "<head><meta content=a>|></head>"},
	{"the other quotes", "<head><meta content=\"'\"><meta content='\"'>|</head>"},
	{"quotes inside a value", "<head><meta content=a\">|\"></head>"},
	{"quotes in a name", "<head><meta a\">|\"></head>"},
	{"= first in a name", "<head><meta =\"x>|y\"></head>"},
	{"= after /", "<head><meta a/=\"x>|y\"></head>"},
	{"space around =", "<head><meta content = \"></head>\" >|</head>"},
	{"no space between", "<head><meta a=\"></head>\"b='></head>'/c>|</head>"},
	{"no value", "<head><meta a= >|</head>"},
	{"/ in a value", "<head><meta a=/>|</head>"},
	{"/ between", "<head><meta / a / = / b=\"/\" />|</head>"},
	{"tag as a name", "<head><meta <script>|</head>"},
	{"line breaks", "<head\n><meta\n\ta\n=\n'>'\n>|</head\n>"},
	{"> in <html>", "<html a=\">\" b='<head>'>|<body>"},
	{"svg in a data: URL", `<head><link rel=icon href="data:image/svg+xml,<svg xmlns='x'><path/></svg></head>">|</head>`},

	// Raw text.

	{"title", "<head><title></head><body>&lt;</title>|</head>"},
	{"<title/>", "<head><title/></head></title>|</head>"},
	{"title in a title", "<head><title><title></title></title>|</head>"},
	{"</title > with attributes", "<head><title></titlex></title a='></head>'>|</head>"},
	{"</TITLE/", "<head><title></TITLE/>|</head>"},
	{"</title and NUL", "<head><title></title\x00></title>|</head>"},
	{"comment in a title", "<head><title><!--</title>|--></title></head>"},
	{"style", "<head><style>a::after { content: '</head>' } /* <!-- */</style>|</head>"},
	{"noscript", "<head><noscript><img src=x></head><body></noscript>|</head>"},
	{"<noscript/>", "<head><noscript/><p></noscript>|</head>"},
	{"noframes", "<head><noframes><body></noframes>|</head>"},
	{"end tag of another", "<head><style></title></script></head></style>|</head>"},
	{"< at the end of raw text", "<head><style><</style>|</head>"},
	{"</ at the end of raw text", "<head><style></</style>|</head>"},
	{"text after raw text", "<title>x</title>\n|y"},

	// Scripts.

	{"string in a script", `<head><script>document.write("<head></head><body>")</script>|</head>`},
	{"comment in a script", "<head><script>// </head>\n/* <body> */</script>|</head>"},
	{"template in a script", `<head><script type="text/html"><body><p></p></body></script>|</head>`},
	{"<script/>", "<head><script/></head></script>|</head>"},
	{"end tag in a string", `<head><script>"</script>|"</script></head>`},
	{"escaped", "<head><script><!-- </head> //--></script>|</head>"},
	{"escaped, ended inside", "<head><script><!-- </script>|--></script></head>"},
	{"escaped twice", "<head><script><!-- <script></script> </head> --></script>|</head>"},
	{"escaped twice, ended before -->", "<head><script><!-- <script></script> </script>|--></head>"},
	{"escaped twice, not ended inside", "<head><script><!--<script></script></head>--></script>|</head>"},
	{"escaped twice, and -->", "<head><script><!--<script>--></script>|</head>"},
	{"escaped twice, again", "<head><script><!--<script></script><script></script></script>|--></head>"},
	{"<!-->", "<head><script><!--></script>|</head>"},
	{"<!--->", "<head><script><!---></script>|</head>"},
	{"<!-- after <!--", "<head><script><!--<!--></script>|</head>"},
	{"<!- -", "<head><script><!- -<script></script>|</head>"},
	{"hyphens before >", "<head><script><!--<script>----></script>|</head>"},
	{"hyphens and space before >", "<head><script><!--<script>-- ></script></script>|</head>"},
	{"hyphens with < between", "<head><script><!--<script>--<></script></script>|</head>"},
	{"<scripts> in an escaped script", "<head><script><!--<scripts></script>|--></head>"},
	{"<script/ in an escaped script", "<head><script><!--<script/</script>--></script>|</head>"},
	{"<SCRIPT in an escaped script", "<head><script><!--<SCRIPT </Script >--></script>|</head>"},
	{"</scripts> when escaped twice", "<head><script><!--<script></scripts></script></script>|</head>"},
	{"<!-- in a style is nothing", "<head><style><!--<style></style>|</head>"},
	{"a script after an escaped one", "<head><script><!--</script><script><script></script>|</head>"},

	// The end of the input.

	{"ends in the head", "<head><title>x</title>|"},
	{"ends in space", "<head>\n|"},
	{"ends after <", "<head>|<"},
	{"ends after </", "<head>|</"},
	{"ends in a name", "<head>|<tit"},
	{"ends in </head", "<head>|</head"},
	{"ends in <body", "<head>|<bod"},
	{"ends in another end tag", "<head></title"},
	{"ends in a tag", "<head><meta "},
	{"ends in a quoted value", "<head><meta content=\"</head>"},
	{"ends in an unquoted value", "<head><meta content=x"},
	{"ends after <!", "<head><!"},
	{"ends in a doctype", "<!doctype html"},
	{"ends in a comment", "<head><!-- </head>"},
	{"ends in a title", "<head><title></head>"},
	{"ends in a style", "<head><style></styl"},
	{"ends in a script", "<head><script></script"},
	{"ends in an escaped script", "<head><script><!--<script></script>"},
	{"ends in a noscript", "<head><noscript><p>"},
	{"ends after &", "<head>|&"},
	{"ends in &#", "<head>|&#"},
	{"ends in &#3", "<head>|&#3"},
	{"ends in &#32, which is a space", "<head>&#32|"},
	{"ends in &#x0a, before <head>", "<!doctype html>&#x0a|"},
	{"ends in &#9, which is a tab", "<head>&#9|"},
	{"ends in &#x", "<head>|&#x"},
	{"ends in &Tab", "<head>|&Tab"},
	{"ends in &NewLine", "<head>|&NewLine"},
	{"ends in &#000", "<head>|&#000"},
	{"ends after a byte order mark", "\uFEFF|"},
	{"ends in a byte order mark", "|\xEF\xBB"},
	{"ends after one byte", "|\xFE"},

	// The start.

	{"byte order mark", "\uFEFF<!doctype html><head>|</head>"},
	{"byte order mark and text", "\uFEFF|x"},
	{"a part of a byte order mark", "|\xEF\xBB<!doctype html>"},
	{"not quite a byte order mark", "|\xEF\xBB\xBE<!doctype html>"},
	{"space before the doctype", "\n\n<!doctype html>|<body>"},

	// Other documents that other tools are known to get wrong.

	{"everything in one line", "<!doctype html><html><head><meta charset=utf-8><title>x</title>|</head><body><p>y</p></body></html>"},
	{"Windows line ends", "<!doctype html>\r\n<head>\r\n<title>x</title>\r\n|</head>\r\n"},
	{"</body> in a script in the body", "<head>|</head><body><script>'</body>'</script></body>"},
	{"a comment in the body", "<head>|</head><body><!-- </head> <head> --></body>"},
	{"articles with markup in them", "<head>|</head><body><pre>&lt;head&gt;</pre><xmp></head></xmp></body>"},
	{"feed with <head>", "<?xml version='1.0'?>|<rss><head></head></rss>"},
	{"a head over 50 KB", "<head><style>" + strings.Repeat("a { b: c }\n", 6_000) + "</style>|</head><body>"},
	{"a head over 1 MB", "<head>" + strings.Repeat("<meta name=x content='</head>'>", 40_000) + "|</head><body>"},
}

func TestAnchor(t *testing.T) {
	for _, test := range anchors {
		t.Run(test.name, func(t *testing.T) {
			document, anchor := checkAnchor(t, test.document)
			if anchor == noAnchor {
				checkNoAnchor(t, document)
			} else {
				checkInsertion(t, document, anchor)
			}
		})
	}
}

// Where x/net's parser is wrong, only the standard can judge, as others read it.
func TestAnchorDespiteNet(t *testing.T) {
	document, _ := checkAnchor(t, "<head><script><!--<<script></script>--></script>|</head>")
	if !netIsWrong.MatchString(document) {
		t.Error("not recognized as such a document")
	}
	checkAnchor(t, "<head><script><!--<!<script></script>--></script>|</head>")
	checkAnchor(t, "<head><script><!--< --></script>|</head>")
}

// checkAnchor compares the anchor with the mark in a document.
func checkAnchor(t *testing.T, marked string) (document string, anchor int) {
	t.Helper()
	before, after, ok := strings.Cut(marked, "|")
	want := noAnchor
	if ok {
		want = len(before)
	}
	document = before + after
	found := scanAll(t, document)
	if found.unusable || found.anchor != want {
		t.Fatalf("got %+v: %s", found, mark(document, found.anchor))
	}
	return document, want
}

// mark shows where an anchor is.
func mark(document string, anchor int) string {
	if anchor == noAnchor {
		return "no anchor"
	}
	const around = 60
	from, to := max(anchor-around, 0), min(anchor+around, len(document))
	return document[from:anchor] + "|" + document[anchor:to]
}
