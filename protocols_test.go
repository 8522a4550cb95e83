package kapadeflector

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// A loader's question is answered over each version of HTTP, and its page's origin is
// not asked.
func TestAnswerOverEachVersionOfHTTP(t *testing.T) {
	s := startCaddy(t, `
http://support.acme.com:HTTP, https://support.acme.com:TLS {
	kapa_deflector {
		`+requiredLines+consentLine+`
		loader
	}
	header Content-Type text/html
	respond "<!doctype html><title>t</title><body>page</body>"
}
`)
	for protocol, client := range map[string]*http.Client{"HTTP/1.1": s.client("h1", "127.0.0.1"), "HTTP/2.0": s.client("h2", "127.0.0.1"), "HTTP/3.0": s.h3client()} {
		t.Run(protocol, func(t *testing.T) {
			get := func(query string, fields map[string]string) (*http.Response, string) {
				t.Helper()
				scheme := "https"
				if protocol == "HTTP/1.1" {
					scheme = "http"
				}
				r, err := http.NewRequestWithContext(t.Context(), "GET", scheme+"://support.acme.com/tickets/new"+query, nil)
				if err != nil {
					t.Fatal(err)
				}
				for name, value := range fields {
					r.Header.Set(name, value)
				}
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.Proto != protocol {
					t.Fatal(resp.Proto, err)
				}
				return resp, string(body)
			}
			_, page := get("", map[string]string{"Accept": "text/html"})
			key := regexp.MustCompile(`kapa_deflector=1\.[0-9a-f.]+`).FindString(page)
			if key == "" {
				t.Fatalf("no loader in %s", page)
			}
			for cookie, want := range map[string]string{granted: "200 tag 1 cookie", denied: "204 no-consent 0 cookie", unknown: "204 no-consent 0 cookie"} {
				resp, body := get("?"+key+"x7", map[string]string{"Kapa-Deflector": "question", "Sec-Fetch-Site": "same-origin", "Cookie": cookie})
				got := fmt.Sprintf("%d %s %d cookie", resp.StatusCode, resp.Header.Get("Kapa-Deflector"), len(idLines(resp)))
				if got != want || strings.Contains(body, "page") || (body != "") != (resp.StatusCode == 200) {
					t.Errorf("%s: %s: %s, want %s", cookie, got, body, want)
				}
			}
		})
	}
}
