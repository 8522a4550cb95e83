package testenv

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Response is a page as it came.
type Response struct {
	Status int
	Header http.Header
	Body   string
}

// Client asks loopback whatever the name: browsers resolve names under
// localhost by themselves, Go does not.
var Client = &http.Client{
	Timeout: Patience,
	Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
		DisableCompression: true,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Get fetches a page with a browser's fields, and further ones as "Name: value".
func Get(url string, fields ...string) (Response, error) {
	return get(url, append([]string{
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: none",
	}, fields...))
}

// Fetch fetches a page as a script of the same origin does.
func Fetch(url string, fields ...string) (Response, error) {
	return get(url, append([]string{"Accept: */*", "Sec-Fetch-Dest: empty", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin"}, fields...))
}

func get(url string, fields []string) (Response, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return Response{}, err
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		req.Header.Add(name, value)
	}
	resp, err := Client.Do(req)
	if err != nil {
		return Response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return Response{resp.StatusCode, resp.Header, string(body)}, err
}

// MustGet is Get where nothing may go wrong.
func MustGet(t *testing.T, url string, fields ...string) Response {
	t.Helper()
	resp, err := Get(url, fields...)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// Serve runs an origin until the test ends, and returns its host and port.
func Serve(t *testing.T, origin http.Handler) (address string) {
	t.Helper()
	server := httptest.NewServer(origin)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return strings.TrimPrefix(server.URL, "http://")
}

// OtherSite is a page on another site, as browsers see it, with one link.
func OtherSite(t *testing.T, link string) (address string) {
	t.Helper()
	return "http://" + strings.Replace(Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>Other</title><link rel="icon" href="data:,"><a href="%s">to the form</a>`, link)
	})), "127.0.0.1", "other.localhost", 1) + "/"
}
