package kapadeflector

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/variant"
)

// Which fields of a conditional request reach the origin.
func TestConditionalRequests(t *testing.T) {
	ours := `"v1` + variant.Suffix([]byte(staticTag))
	other := `"v1` + variant.Suffix([]byte("another visitor's"))
	for _, tc := range []struct {
		name, method, cookie string
		field, sent          string
		want                 string // what the origin sees
	}{
		{"the tagged copy of a tagged page", "GET", granted, "If-None-Match", ours, `"v1"`},
		{"weak", "GET", granted, "If-None-Match", "W/" + ours, `W/"v1"`},
		{"a list of all kinds", "GET", granted, "If-None-Match", `"v0", ` + ours + `, W/"v2", ` + other + `,"a,b"`, `"v1"`},
		{"the untagged copy says nothing of the tagged page", "GET", granted, "If-None-Match", `"v1"`, ""},
		{"another visitor's copy neither", "GET", granted, "If-None-Match", other, ""},
		{"any copy", "GET", granted, "If-None-Match", "*", ""},
		{"HEAD asks as GET does", "HEAD", granted, "If-None-Match", ours, `"v1"`},
		{"a copy that encode compressed otherwise", "GET", granted, "If-None-Match", strings.TrimSuffix(ours, `"`) + `-zstd"`, ""},
		{"a date", "GET", granted, "If-Modified-Since", "Mon, 02 Nov 2026 10:00:00 GMT", ""},
		{"a range", "GET", granted, "Range", "bytes=0-9", ""},
		{"a range if the copy is good", "GET", granted, "If-Range", ours, ""},
		{"if it is the tagged page", "GET", granted, "If-Match", ours, `"v1"`},
		{"if it is the untagged page", "GET", granted, "If-Match", `"v1"`, `"-"`},
		{"if there is a page", "GET", granted, "If-Match", "*", "*"},

		{"the untagged copy of the untagged page", "GET", unknown, "If-None-Match", `"v1"`, `"v1"`},
		{"untouched as long as nothing in it is ours", "GET", unknown, "If-None-Match", `"v1" ,W/"v2","a,b",*`, `"v1" ,W/"v2","a,b",*`},
		{"the tagged copy after withdrawal", "GET", denied, "If-None-Match", ours, ""},
		{"the tagged copy after withdrawal, in a list", "GET", denied, "If-None-Match", ours + `, "v1"`, `"v1"`},
		{"the tagged copy, in a list of any", "GET", denied, "If-None-Match", ours + `, *`, `*`},
		{"a range of the tagged copy after withdrawal", "GET", denied, "If-Range", ours, ""},
		{"a range of the untagged copy", "GET", unknown, "If-Range", `"v1"`, `"v1"`},
		{"a date without consent", "GET", unknown, "If-Modified-Since", "Mon, 02 Nov 2026 10:00:00 GMT", "Mon, 02 Nov 2026 10:00:00 GMT"},

		{"changing the resource, with consent", "POST", granted, "If-Match", ours, `"v1"`},
		{"changing the resource, without", "PUT", denied, "If-Match", ours + `, ` + other, `"v1", "v1"`},
		{"creating it", "PUT", unknown, "If-None-Match", "*", "*"},
		{"changing it by its own tag", "PUT", granted, "If-Match", `"v1"`, `"v1"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRequest(t, tc.method, "/", "Cookie: "+tc.cookie, tc.field+": "+tc.sent)
			var got http.Header
			serve(t, newHandler(t, consentLine), r, func(w http.ResponseWriter, r *http.Request) error {
				got = r.Header.Clone()
				return pageHandler(w, r)
			})
			if got.Get(tc.field) != tc.want {
				t.Errorf("the origin sees %q, want %q", got.Get(tc.field), tc.want)
			}
			if r.Header.Get(tc.field) != tc.sent {
				t.Errorf("afterwards the request says %q", r.Header.Get(tc.field))
			}
		})
	}

	t.Run("where a tag does not count, a date does not step in", func(t *testing.T) {
		r := newRequest(t, "GET", "/", "Cookie: "+denied, "If-None-Match: "+ours, "If-Modified-Since: Mon, 02 Nov 2026 10:00:00 GMT", "If-Range: "+ours, "Range: bytes=0-9")
		serve(t, newHandler(t, consentLine), r, func(w http.ResponseWriter, r *http.Request) error {
			for _, field := range []string{"If-None-Match", "If-Modified-Since", "If-Range", "Range"} {
				if r.Header.Get(field) != "" {
					t.Errorf("%s: %s", field, r.Header.Get(field))
				}
			}
			return pageHandler(w, r)
		})
	})
}

// Visit, consent, revisit, withdraw, revisit, with an origin that validates by entity
// tag and date: no step validates the copy of another variant.
func TestRevalidation(t *testing.T) {
	for _, etag := range []string{`"v1"`, `W/"v1"`, ""} {
		origin := func(w http.ResponseWriter, r *http.Request) error {
			if etag != "" {
				w.Header().Set("Etag", etag)
			}
			w.Header().Set("Content-Type", "text/html")
			http.ServeContent(w, r, "", time.Unix(1_790_000_000, 0), strings.NewReader(samplePage))
			return nil
		}
		h := newHandler(t, consentLine+"user {\n email {http.request.header.X-Mail}\n}")
		type copied struct{ etag, modified string }
		ask := func(copy copied, status int, tagged bool, fields ...string) copied {
			t.Helper()
			if copy.etag != "" {
				fields = append(fields, "If-None-Match: "+copy.etag)
			}
			if copy.modified != "" {
				fields = append(fields, "If-Modified-Since: "+copy.modified)
			}
			r := newRequest(t, "GET", "/", fields...)
			resp := serve(t, h, r, origin)
			if resp.StatusCode != status {
				t.Errorf("etag %s, %q: status %d, want %d", etag, fields, resp.StatusCode, status)
			}
			if status == 200 && strings.Contains(bodyOf(t, resp), "<script") != tagged {
				t.Errorf("etag %s, %q: the wrong page", etag, fields)
			}
			if vary := resp.Header.Get("Vary"); vary != "Cookie, Sec-GPC" {
				t.Errorf("etag %s, %q: Vary %q", etag, fields, vary)
			}
			if tagged && (resp.Header.Get("Last-Modified") != "" || resp.Header.Get("Cache-Control") != "private, no-cache" || len(idLines(resp)) != 1) {
				t.Errorf("etag %s, %q: header %v", etag, fields, resp.Header)
			}
			return copied{resp.Header.Get("Etag"), resp.Header.Get("Last-Modified")}
		}
		again := 304 // what a tagged copy gets that is still good
		if etag == "" {
			again = 200
		}
		untagged := ask(copied{}, 200, false, "Cookie: "+unknown)
		ask(untagged, 304, false, "Cookie: "+unknown)
		tagged := ask(untagged, 200, true, "Cookie: "+granted)
		if got := ask(tagged, again, true, "Cookie: "+granted); got != tagged {
			t.Errorf("a 304 renames %v to %v", tagged, got)
		}
		mine := ask(tagged, 200, true, "Cookie: "+granted, "X-Mail: me@acme.com")
		ask(mine, again, true, "Cookie: "+granted, "X-Mail: me@acme.com")
		ask(mine, 200, true, "Cookie: "+granted, "X-Mail: you@acme.com")
		ask(mine, 200, false, "Cookie: "+denied)
		ask(tagged, 200, false, "Cookie: "+unknown)
		if etag != "" && (tagged.etag == untagged.etag || mine.etag == tagged.etag) {
			t.Errorf("tags: %q, %q, %q", untagged.etag, tagged.etag, mine.etag)
		}
	}
}
