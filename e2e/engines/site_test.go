package engines

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// startSite runs a Caddy with the loader before the sample site, a site that is one
// page, and a form whose deflector waits for the visitor.
func startSite(t *testing.T) *testenv.Caddy {
	t.Helper()
	const deflector = `
	kapa_deflector {` + testenv.Required + `
		script /shared` + testenv.StandIn + `
		consent cookie cookie_consent accepted
`
	return testenv.StartCaddy(t, fmt.Sprintf(`
http://`+testenv.Support+`:{$EDGE_PORT} {
	encode`+deflector+`
		loader
		pages `+form+` `+lateForm+` `+contact+`
	}`+deflector+`
		loader interaction
		pages `+patient+`
	}
	@own path `+app+`* `+patient+`
	reverse_proxy @own %s
	reverse_proxy 127.0.0.1:%d
}`, testenv.Serve(t, http.HandlerFunc(serveOwnPages)), testenv.Sample(t).SitePort))
}

// head is what the pages of the sample site have in their heads.
const head = `<link rel="stylesheet" href="/shared/site.css"><link rel="stylesheet" href="/shared/consent-banner.css">
<script defer src="/shared/consent-banner.js" data-cookie-domain="acme.localhost"></script>`

func serveOwnPages(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if r.URL.Path == patient {
		_, _ = io.WriteString(w, testenv.FormPage(head, ""))
		return
	}
	_, _ = io.WriteString(w, appPage)
}

// appPage is a site that is one page at many addresses. Its script follows links by
// itself, and draws the form some time after the visitor has arrived at it.
const appPage = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>App</title><link rel="icon" href="data:,">` + head + `</head><body>
<nav><a id="home" href="` + app + `">Home</a> <a id="contact" href="` + contact + `">Contact</a></nav>
<main></main>
<script>
const main = document.querySelector('main');
const draw = () => {
	main.innerHTML = '<form id="support-form" action="/tickets" method="post">' +
		'<input id="email" name="email"><input id="subject" name="subject"><textarea id="description" name="description"></textarea>' +
		'<button type="submit">Send</button></form>';
};
const arrive = () => {
	main.textContent = 'On its way';
	const arrived = location.pathname;
	setTimeout(() => {
		if (location.pathname !== arrived) return;
		if (arrived === '` + contact + `') draw();
		else main.textContent = 'Welcome';
	}, 300);
};
document.querySelector('nav').addEventListener('click', (e) => {
	e.preventDefault();
	history.pushState(null, '', e.target.href);
	arrive();
});
addEventListener('popstate', arrive);
arrive();
</script></body></html>`
