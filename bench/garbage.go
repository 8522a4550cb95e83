package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// allocated is how many bytes Caddy allocates for a request.
func (e *entrant) allocated() (float64, error) {
	if !e.program.caddy {
		return 0, nil
	}
	before, err := e.server.memoryStats()
	if err != nil {
		return 0, err
	}
	requests, _, err := e.visitor.load(warm)
	if err != nil {
		return 0, err
	}
	after, err := e.server.memoryStats()
	return float64(after.TotalAlloc-before.TotalAlloc) / float64(requests), err
}

// collecting is how many microseconds Caddy has spent on the collection of each
// byte so far. A collection comes with so many bytes allocated, and takes as
// long as what is in use asks for, which is the same for all contenders: so its
// time is due by the bytes.
func (s *server) collecting() (float64, error) {
	stats, err := s.memoryStats()
	return stats.GCCPUFraction * microseconds(time.Since(s.begin)) / float64(stats.TotalAlloc), err
}

type memoryStats struct {
	TotalAlloc    uint64
	GCCPUFraction float64
}

// memoryStats are those of a Caddy.
func (s *server) memoryStats() (memoryStats, error) {
	var vars struct {
		Stats memoryStats `json:"memstats"`
	}
	resp, err := http.Get("http://" + s.admin + "/debug/vars")
	if err != nil {
		return vars.Stats, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return vars.Stats, fmt.Errorf("memory statistics: %s", resp.Status)
	}
	err = json.NewDecoder(resp.Body).Decode(&vars)
	return vars.Stats, err
}
