package testenv

import "regexp"

// StandIn is where Kapa's bundle is on the sites of the tests.
const StandIn = "/kapa-support-form-deflector.bundle.js"

// Required are the lines of a block that lacks only its consent.
const Required = `
		data-integration-id                abc
		data-main-input-query-selector     "#description"
		data-submit-element-query-selector "#support-form"
		data-submit-element-event-type     onSubmit
		data-submit-button-query-selector  "#support-form button"
		data-anchor-element-query-selector "#support-form"
`

// TagSelector finds the tag on a page.
const TagSelector = `script[data-integration-id]`

var tagPattern = regexp.MustCompile(`(<script>\(function\(w,u,m\)[^<]*</script>)?<script async [^>]*data-integration-id="abc"[^>]*></script></head>`)

// CutTag takes the insertion of a block with Required out of a page, if it is at
// its place.
func CutTag(page string) (tag, rest string) {
	at := tagPattern.FindStringIndex(page)
	if at == nil {
		return "", page
	}
	end := at[1] - len("</head>")
	return page[at[0]:end], page[:at[0]] + page[end:]
}

// FormPage is a page with the form of the sample.
func FormPage(head, body string) string {
	return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title><link rel="icon" href="data:,">` + head + `</head><body>
<main><form id="support-form" action="/tickets" method="post">
<input id="email" name="email"><input id="subject" name="subject"><textarea id="description" name="description"></textarea>
<button type="submit">Send</button></form></main>` + body + `</body></html>`
}
