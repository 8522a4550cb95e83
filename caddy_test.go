package kapadeflector

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/caddytest"
)

// server is a running Caddy.
type server struct {
	t         testing.TB
	http, tls string // host:port
}

// startCaddy runs Caddy until the test ends. In the Caddyfile, HTTP and TLS
// stand for the ports of the two protocols.
func startCaddy(t testing.TB, caddyfile string) *server {
	t.Helper()
	s := &server{t: t, http: caddytest.FreePort(t), tls: caddytest.FreePort(t)}
	caddyfile = "{\n admin off\n auto_https disable_redirects\n skip_install_trust\n local_certs\n grace_period 1s\n" +
		" storage file_system " + t.TempDir() + "\n log {\n output discard\n }\n servers {\n trusted_proxies static 127.0.0.2\n max_header_size 1MB\n }\n}\n" +
		strings.NewReplacer("HTTP", s.http, "TLS", s.tls).Replace(caddyfile)
	cfg, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "formatted") {
			t.Log(w)
		}
	}
	caddytest.Load(t, cfg)
	if strings.Contains(caddyfile, "https://") {
		s.awaitCertificate()
	}
	return s
}

// awaitCertificate waits until Caddy has issued its own certificate.
func (s *server) awaitCertificate() {
	var err error
	for range 1000 {
		var conn *tls.Conn
		conn, err = tls.Dial("tcp", "127.0.0.1:"+s.tls, &tls.Config{ServerName: "support.acme.com", InsecureSkipVerify: true})
		if err == nil {
			conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.t.Fatal(err)
}

// client speaks the protocol "h1", "h1+tls" or "h2" to s, from the loopback address
// from. It connects to s for every host.
func (s *server) client(protocol, from string) *http.Client {
	port := s.http
	transport := &http.Transport{
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2:  protocol == "h2",
	}
	if protocol != "h1" {
		port = s.tls
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, "127.0.0.1:"+port)
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// get asks for a page of support.acme.com as a browser does.
func (s *server) get(protocol, path string, fields ...string) (*http.Response, string) {
	s.t.Helper()
	return s.do(s.client(protocol, "127.0.0.1"), protocol, path, fields...)
}

func (s *server) do(client *http.Client, protocol, path string, fields ...string) (*http.Response, string) {
	s.t.Helper()
	scheme := "https"
	if protocol == "h1" {
		scheme = "http"
	}
	r, err := http.NewRequest("GET", scheme+"://support.acme.com"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Dest", "document")
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	resp, err := client.Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", protocol, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", protocol, path, err)
	}
	if protocol == "h2" && resp.ProtoMajor != 2 {
		s.t.Fatalf("spoke %s instead of HTTP/2", resp.Proto)
	}
	return resp, string(b)
}

var protocols = []string{"h1", "h1+tls", "h2"}

const sampleBlock = "kapa_deflector {\n" + requiredLines + consentLine + "}\n"

// The handlers that sites have behind the directive: proxied origins that know their
// length, that stream, or that send chunks as php-fpm does; files; templates.
func TestRunningCaddy(t *testing.T) {
	root := t.TempDir()
	long := "<!doctype html>\n<title>file</title>\n<p>" + strings.Repeat("file ", 3000)
	write(t, filepath.Join(root, "file.html"), long)
	write(t, filepath.Join(root, "template.html"), `<!doctype html><title>{{.Req.URL.Path}}</title><p>`+strings.Repeat("template ", 200))
	write(t, filepath.Join(root, "data.json"), `{"html":"<head></head>"}`)

	origin := http.NewServeMux()
	origin.HandleFunc("/length", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", itoa(len(samplePage)+6000))
		io.WriteString(w, samplePage+strings.Repeat("x", 6000))
	})
	origin.HandleFunc("/chunks", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		for _, chunk := range []string{"<!doctype html>\n<ht", "ml><head><meta charset=utf-8><tit", "le>x</title></he", "ad><body>", strings.Repeat("y", 6000)} {
			io.WriteString(w, chunk)
			w.(http.Flusher).Flush()
		}
	})
	origin.HandleFunc("/gzip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			io.WriteString(w, samplePage)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		io.WriteString(z, samplePage)
		z.Close()
	})
	origin.HandleFunc("/trailer", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, samplePage)
		w.Header().Set("X-Sum", "7")
	})
	origin.HandleFunc("/form", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(422)
		io.WriteString(w, samplePage)
	})
	upstream := httptest.NewServer(origin)
	t.Cleanup(upstream.Close)

	site := "encode\n" + sampleBlock + `
		handle /files/* {
			uri strip_prefix /files
			root * ` + root + `
			templates /template.html
			file_server
		}
		handle /respond {
			header Content-Type text/html
			respond "` + samplePage + `"
		}
		reverse_proxy ` + strings.TrimPrefix(upstream.URL, "http://")
	s := startCaddy(t, "http://support.acme.com:HTTP {\n"+site+"\n}\nhttps://support.acme.com:TLS {\n"+site+"\n}\n")

	for _, protocol := range protocols {
		for path, long := range map[string]bool{ // enough for encode to compress
			"/length": true, "/files/file.html": true, "/files/template.html": true,
			"/chunks": false, "/gzip": false, "/trailer": false, "/form": false, "/respond": false,
		} {
			t.Run(protocol+path, func(t *testing.T) {
				plain, body := s.get(protocol, path, "Cookie: "+unknown)
				if strings.Contains(body, "kapa") || len(plain.Header["Set-Cookie"]) != 0 {
					t.Errorf("without consent: %v\n%.200s", plain.Header, body)
				}
				tagged, changed := s.get(protocol, path, "Cookie: "+granted)
				if strings.Replace(changed, staticTag, "", 1) != body || strings.Count(changed, staticTag) != 1 {
					t.Errorf("with consent: %.600s", changed)
				}
				if tagged.StatusCode != plain.StatusCode {
					t.Errorf("status %d, without consent %d", tagged.StatusCode, plain.StatusCode)
				}
				if cookies := tagged.Cookies(); len(cookies) != 1 || cookies[0].Domain != "acme.com" || cookies[0].Secure != (protocol != "h1") {
					t.Errorf("cookies: %v", cookies)
				}
				if tagged.ContentLength >= 0 && tagged.ContentLength != int64(len(changed)) {
					t.Errorf("Content-Length %d of %d", tagged.ContentLength, len(changed))
				}
				if plain.Trailer.Get("X-Sum") != tagged.Trailer.Get("X-Sum") || path == "/trailer" && tagged.Trailer.Get("X-Sum") != "7" {
					t.Errorf("trailers: %v, without consent %v", tagged.Trailer, plain.Trailer)
				}
				zipped, _ := s.get(protocol, path, "Cookie: "+granted, "Accept-Encoding: gzip")
				if long && zipped.Header.Get("Content-Encoding") != "gzip" {
					t.Error("not compressed")
				}
			})
		}
		if _, body := s.get(protocol, "/files/data.json", "Cookie: "+granted); body != `{"html":"<head></head>"}` {
			t.Errorf("JSON: %s", body)
		}
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What must pass untouched: early hints, event streams, WebSockets.
func TestStreamsAndUpgrades(t *testing.T) {
	release := make(chan struct{})
	origin := http.NewServeMux()
	origin.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(103)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(404)
		io.WriteString(w, samplePage)
	})
	origin.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: <head>\n\n")
		w.(http.Flusher).Flush()
		<-release
	})
	origin.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><head><title>first</title>")
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, "</head>")
	})
	origin.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, samplePage)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	origin.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		rw.WriteString("echo <head></head> " + line)
		rw.Flush()
	})
	upstream := httptest.NewServer(origin)
	upstream.Config.ErrorLog = nil
	t.Cleanup(upstream.Close)
	s := startCaddy(t, "http://support.acme.com:HTTP {\nencode\n"+sampleBlock+"reverse_proxy "+strings.TrimPrefix(upstream.URL, "http://")+"\n}\n"+
		"https://support.acme.com:TLS {\nencode\n"+sampleBlock+"reverse_proxy "+strings.TrimPrefix(upstream.URL, "http://")+"\n}\n")

	request := func(protocol, path string) *http.Request {
		scheme := "https"
		if protocol == "h1" {
			scheme = "http"
		}
		r, _ := http.NewRequest("GET", scheme+"://support.acme.com"+path, nil)
		r.Header.Set("Sec-Fetch-Dest", "document")
		r.Header.Set("Cookie", granted)
		return r
	}

	for _, protocol := range protocols {
		client := s.client(protocol, "127.0.0.1")

		t.Run(protocol+" 103 then 404", func(t *testing.T) {
			var hints []textproto.MIMEHeader
			trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, h)
				return nil
			}}
			r := request(protocol, "/hints")
			resp, err := client.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body := bodyOf(t, resp); resp.StatusCode != 404 || body != taggedPage {
				t.Errorf("status %d, body %s", resp.StatusCode, body)
			}
			if len(hints) != 1 || hints[0].Get("Link") == "" || hints[0].Get("Set-Cookie") != "" || hints[0].Get("Vary") != "" {
				t.Errorf("early hints: %v", hints)
			}
		})

		for path, first := range map[string]string{"/events": "data: <head>\n\n", "/slow": "<!doctype html><head><title>first</title>"} {
			t.Run(protocol+" what is flushed comes at once: "+path, func(t *testing.T) {
				resp, err := client.Do(request(protocol, path))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				buf := make([]byte, len(first))
				if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != first {
					t.Fatalf("got %q, %v", buf, err)
				}
				release <- struct{}{}
				rest := bodyOf(t, resp)
				if want := map[string]string{"/events": "", "/slow": staticTag + "</head>"}[path]; rest != want {
					t.Errorf("then %q, want %q", rest, want)
				}
			})
		}

		t.Run(protocol+" a page that breaks off does not look whole", func(t *testing.T) {
			resp, err := client.Do(request(protocol, "/broken"))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			if err == nil {
				t.Error("no error")
			}
		})
	}

	t.Run("WebSocket", func(t *testing.T) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.http)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: support.acme.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nCookie: %s\r\n\r\n", granted)
		br := bufio.NewReader(conn)
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 101 || resp.Header.Get("Set-Cookie") != "" {
			t.Fatalf("%v, %v", resp, err)
		}
		io.WriteString(conn, "hello\n")
		if line, _ := br.ReadString('\n'); line != "echo <head></head> hello\n" {
			t.Errorf("got %q", line)
		}
	})
}

// A file goes out over the kernel's copy, below and above the anchor.
func TestFileServerRangesAndValidators(t *testing.T) {
	root := t.TempDir()
	content := "<!doctype html><title>x</title></head>" + strings.Repeat("0123456789", 20_000)
	write(t, filepath.Join(root, "a.html"), content)
	s := startCaddy(t, "http://support.acme.com:HTTP {\n"+sampleBlock+"root * "+root+"\nfile_server\n}\n")

	plain, body := s.get("h1", "/a.html")
	if body != content || plain.Header.Get("Etag") == "" || !strings.Contains(plain.Header.Get("Vary"), "Cookie") {
		t.Fatalf("header %v", plain.Header)
	}
	// a visitor who may have the tag must not keep the copy without it
	tagged, body := s.get("h1", "/a.html", "Cookie: "+granted, "If-None-Match: "+plain.Header.Get("Etag"))
	if tagged.StatusCode != 200 || body != strings.Replace(content, "</head>", staticTag+"</head>", 1) {
		t.Errorf("status %d, %.100s", tagged.StatusCode, body)
	}
	if tagged.Header.Get("Last-Modified")+tagged.Header.Get("Accept-Ranges") != "" {
		t.Errorf("header %v", tagged.Header)
	}
	// the copy with the tag may be kept
	again, _ := s.get("h1", "/a.html", "Cookie: "+granted, "If-None-Match: "+tagged.Header.Get("Etag"))
	if again.StatusCode != 304 || again.Header.Get("Etag") != tagged.Header.Get("Etag") || again.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("revalidation with consent: %d, %v", again.StatusCode, again.Header)
	}
	// but not after consent is withdrawn
	if resp, body := s.get("h1", "/a.html", "Cookie: "+denied, "If-None-Match: "+tagged.Header.Get("Etag")); resp.StatusCode != 200 || body != content {
		t.Errorf("revalidation of the tagged copy after withdrawal: %d, %v", resp.StatusCode, resp.Header)
	}
	if resp, body := s.get("h1", "/a.html", "Cookie: "+granted, "Range: bytes=10-20"); resp.StatusCode != 200 || len(body) != len(content)+len(staticTag) {
		t.Errorf("range with consent: %d, %d bytes", resp.StatusCode, len(body))
	}
	if resp, body := s.get("h1", "/a.html", "Range: bytes=10-20"); resp.StatusCode != 206 || body != content[10:21] {
		t.Errorf("range without consent: %d, %q", resp.StatusCode, body)
	}
	if resp, _ := s.get("h1", "/a.html", "If-None-Match: "+plain.Header.Get("Etag")); resp.StatusCode != 304 {
		t.Errorf("revalidation without consent: %d", resp.StatusCode)
	}
	resp, _ := s.get("h1", "/a.html", "Cookie: "+denied+"; kapa_web_id="+idA, "If-None-Match: "+plain.Header.Get("Etag"))
	if resp.StatusCode != 304 || len(idLines(resp)) != 2 || resp.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("revalidation after withdrawal: %d, %v", resp.StatusCode, resp.Header)
	}
}

// X-Forwarded-* counts from the proxies that the server trusts: 127.0.0.2 here.
func TestTrustedProxies(t *testing.T) {
	s := startCaddy(t, "http://:HTTP {\n"+sampleBlock+"header Content-Type text/html\nrespond `"+samplePage+"`\n}\n")
	fields := []string{"Cookie: " + granted, "X-Forwarded-Proto: https", "X-Forwarded-Host: help.brand.org"}
	for from, want := range map[string]string{"127.0.0.1": "acme.com false", "127.0.0.2": "brand.org true"} {
		resp, _ := s.do(s.client("h1", from), "h1", "/", fields...)
		cookies := resp.Cookies()
		if len(cookies) != 1 || fmt.Sprint(cookies[0].Domain, " ", cookies[0].Secure) != want {
			t.Errorf("from %s: %v, want %s", from, cookies, want)
		}
	}
}

// The matcher in its three forms, beside the handler.
func TestConsentMatcher(t *testing.T) {
	s := startCaddy(t, `http://support.acme.com:HTTP {
		@one consent cookie cookie_consent accepted
		@both {
			consent cookie cookie_consent accepted
			consent cookie second yes
		}
		@cel expression consent('cookie', 'cookie_consent', 'accepted') && path('/cel')
		@not not consent cookie cookie_consent accepted
		header @one X-One yes
		header @both X-Both yes
		header @cel X-Cel yes
		header @not X-Not yes
		respond ok
	}`)
	for cookies, want := range map[string]string{
		"":                       "not",
		unknown:                  "not",
		denied:                   "not",
		granted:                  "one cel",
		granted + "; second=no":  "one cel",
		granted + "; second=yes": "one both cel",
		granted + "; " + denied:  "not",
	} {
		resp, _ := s.get("h1", "/cel", "Cookie: "+cookies)
		var got []string
		for _, name := range []string{"one", "both", "cel", "not"} {
			if resp.Header.Get("X-"+name) != "" {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: matched %q, want %q", cookies, got, want)
		}
	}
}

// Error routes: the tag is there where the directive is.
func TestHandleErrors(t *testing.T) {
	site := func(inErrors string) string {
		return sampleBlock + "root * " + t.TempDir() + "\nfile_server\nhandle_errors {\n" + inErrors + "header Content-Type text/html\nrespond `" + samplePage + "`\n}\n"
	}
	s := startCaddy(t, "http://support.acme.com:HTTP {\n"+site("")+"}\nhttps://support.acme.com:TLS {\n"+site(sampleBlock)+"}\n")
	if resp, body := s.get("h1", "/missing", "Cookie: "+granted); body != samplePage || resp.StatusCode != 404 || resp.Header["Set-Cookie"] != nil {
		t.Errorf("without the directive: %d %v %s", resp.StatusCode, resp.Header, body)
	}
	if resp, body := s.get("h2", "/missing", "Cookie: "+granted); body != taggedPage || resp.StatusCode != 404 || len(idLines(resp)) != 1 {
		t.Errorf("with the directive: %d %v %s", resp.StatusCode, resp.Header, body)
	}
}

// The hostile Cookie headers that a server lets in: they never grant, never
// break anything, and the page comes.
func TestHostileCookieHeaders(t *testing.T) {
	s := startCaddy(t, "http://support.acme.com:HTTP {\n"+sampleBlock+"header Content-Type text/html\nrespond `"+samplePage+"`\n}\n")
	for name, lines := range map[string][]string{
		"64 KB":              {"x=" + strings.Repeat("a", 64<<10)},
		"64 KB of consent":   {"cookie_consent=" + strings.Repeat("accepted", 8<<10)},
		"thousands of pairs": {strings.Repeat("cookie_consent=no; ", 3000)},
		"no equals sign":     {"cookie_consent", "accepted;;;=;=accepted"},
		"several lines":      {"cookie_consent=", "accepted", "cookie_consent=accepted "},
		"quotes":             {`cookie_consent="accepted"; "cookie_consent=accepted"`},
		"a name in a value":  {"x=cookie_consent=accepted"},
	} {
		fields := make([]string, len(lines))
		for i, line := range lines {
			fields[i] = "Cookie: " + line
		}
		if resp, body := s.get("h1", "/", fields...); body != samplePage || resp.StatusCode != 200 {
			t.Errorf("%s: %d %.100s", name, resp.StatusCode, body)
		}
	}
}

// Access logs can have the outcome, and nothing else about the visitor.
func TestAccessLog(t *testing.T) {
	logFile := filepath.Join(t.TempDir(), "access.json")
	s := startCaddy(t, "http://support.acme.com:HTTP {\nlog {\noutput file "+logFile+"\n}\n"+
		"log_append kapa {http.kapa_deflector.outcome}\nlog_append why {http.kapa_deflector.reason}\n"+
		sampleBlock+"error /broken 503\nabort /cut\nheader Content-Type text/html\nrespond `"+samplePage+"`\n"+
		"handle_errors {\nlog_append in_errors {http.kapa_deflector.outcome}\n"+sampleBlock+"header Content-Type text/html\nrespond `"+samplePage+"`\n}\n}\n")
	s.get("h1", "/", "Cookie: "+granted)
	s.get("h1", "/", "Cookie: "+denied)
	s.get("h1", "/broken", "Cookie: "+granted)
	if resp, err := s.client("h1", "127.0.0.1").Get("http://support.acme.com/cut"); err == nil {
		t.Errorf("not broken off: %s", resp.Status)
	}

	var got []string
	deadline := time.Now().Add(20 * time.Second)
	for len(got) < 4 && time.Now().Before(deadline) {
		b, _ := os.ReadFile(logFile)
		got = nil
		for line := range bytes.Lines(b) {
			var entry struct {
				Kapa, Why string
				InErrors  string `json:"in_errors"`
			}
			if err := json.Unmarshal(line, &entry); err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(line, []byte(`"kapa":`)) == bytes.Contains(line, []byte(`"/cut"`)) {
				t.Errorf("log_append runs where nothing is broken off, and only there: %s", line)
			}
			got = append(got, entry.Kapa+" "+entry.Why+entry.InErrors)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if strings.Join(got, "|") != "injected |denied refused|error injected| " {
		t.Errorf("logged %q", got)
	}
}

// A template's httpInclude sends a request through the whole site, with all of the
// visitor's fields. The response is a part of the page, and must not get the tag.
func TestTemplatesThatInclude(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "page.html"), samplePage+`{{httpInclude "/part.html"}}`)
	write(t, filepath.Join(root, "part.html"), "<header>menu</header>")
	s := startCaddy(t, "http://support.acme.com:HTTP {\n"+sampleBlock+"root * "+root+"\ntemplates\nfile_server\n}\n")
	resp, body := s.get("h1", "/page.html", "Cookie: "+granted)
	if strings.Count(body, "data-integration-id") != 1 || !strings.HasSuffix(body, "<header>menu</header>") || len(idLines(resp)) != 1 {
		t.Errorf("%v\n%s", resp.Header, body)
	}
}

// An expression may take words from the request. Placeholders in such words are not
// resolved.
func TestExpressionWordsFromTheRequest(t *testing.T) {
	t.Setenv("KAPA_SECRET", "s3cret")
	s := startCaddy(t, `http://support.acme.com:HTTP {
		@c expression consent('cookie', 'cookie_consent', {http.request.header.X-Word})
		respond @c yes
		respond no
	}`)
	for word, cookies := range map[string]string{
		"yes":               "yes cookie_consent=yes",
		"{env.KAPA_SECRET}": "no cookie_consent=s3cret",
		"other":             "no cookie_consent=yes",
	} {
		want, cookie, _ := strings.Cut(cookies, " ")
		if _, body := s.get("h1", "/", "Cookie: "+cookie, "X-Word: "+word); body != want {
			t.Errorf("%s, %s: %s, want %s", word, cookie, body, want)
		}
	}
}
