package authority

import (
	"net/netip"
	"strings"
)

// IsLoopback reports whether host names this machine: an address in 127.0.0.0/8,
// ::1, localhost, or a name below localhost.
func IsLoopback(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
