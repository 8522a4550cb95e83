package testenv

import (
	"fmt"
	"net"
	"sync"
)

// Packages are tested side by side, and Caddy shares a port that another Caddy
// listens on (SO_REUSEPORT) instead of failing. So each test process has ports of
// its own, below those that systems hand out to connections. It holds the first
// of them for as long as it runs, which keeps the others from that block.
const (
	firstPort     = 10_000
	lastPort      = 32_000
	portsPerBlock = 200
)

var ports struct {
	mu       sync.Mutex
	held     net.Listener
	next, to int
}

// freePort is a port that nobody listens on, and that no other test gets.
func freePort() (int, error) {
	ports.mu.Lock()
	defer ports.mu.Unlock()
	for block := firstPort; ports.held == nil; block += portsPerBlock {
		if block > lastPort-portsPerBlock {
			return 0, fmt.Errorf("no free block of %d ports from %d to %d", portsPerBlock, firstPort, lastPort)
		}
		if held, err := net.Listen("tcp", fmt.Sprintf(":%d", block)); err == nil {
			ports.held, ports.next, ports.to = held, block+1, block+portsPerBlock
		}
	}
	for ports.next < ports.to {
		port := ports.next
		ports.next++
		if l, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("one package starts more than %d servers", portsPerBlock)
}
