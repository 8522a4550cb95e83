// Command caddy is Caddy with the kapa_deflector directive and the consent
// matcher in it. It is what the README starts with "go run"; for a build of
// your own, with other plugins, use xcaddy.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/kapadeflector/caddy-kapa-deflector"
)

func main() {
	caddycmd.Main()
}
