// Command caddy is Caddy with the kapa_deflector directive and the consent matcher.
// The README starts it with "go run". To build Caddy with other plugins too, use
// xcaddy.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/kapadeflector/caddy-kapa-deflector"
)

func main() {
	caddycmd.Main()
}
