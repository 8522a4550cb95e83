// Package caddytest starts Caddy in a test's own process.
package caddytest

import (
	"net"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// Load runs Caddy with a JSON configuration until the test ends.
func Load(t testing.TB, config []byte) {
	t.Helper()
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Stop(t) })
}

// Stop ends Caddy, which then has written all that it logs.
func Stop(t testing.TB) {
	t.Helper()
	if err := caddy.Stop(); err != nil {
		t.Error(err)
	}
}

// FreePort returns a port of the loopback address that nobody listens on.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
