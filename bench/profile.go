package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// profile has every Caddy with the directive take a CPU profile of itself under
// load, for go tool pprof, and prints the directive's share of it.
func (h *heat) profile(out io.Writer, o *origin, dir, into string, p plan) error {
	for _, c := range h.field.contenders {
		if !c.ours {
			continue
		}
		file := strings.ReplaceAll(fmt.Sprintf("%s-%s-%s.pprof", h.field.name, sizeName(h.size), c.name), " ", "_")
		file = filepath.Join(into, file)
		err := h.alone(c, o, dir, p, func(e *entrant) error { return e.profile(file, p) })
		if err != nil {
			return err
		}
		if err := reportShare(out, h, c, file); err != nil {
			return err
		}
	}
	return nil
}

func (e *entrant) profile(name string, p plan) error {
	if _, err := e.visitor.load(100 * p.connections); err != nil {
		return err
	}
	fetched := make(chan error, 1)
	go func() { fetched <- fetchProfile(e.server.admin, name, p.profile.Seconds()) }()
	for {
		select {
		case err := <-fetched:
			return err
		default:
			if _, err := e.visitor.load(p.connections); err != nil {
				return err
			}
		}
	}
}

func fetchProfile(admin, name string, seconds float64) error {
	client := &http.Client{Timeout: time.Minute}
	resp, err := client.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%.0f", admin, seconds))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the profile: %s", resp.Status)
	}
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, resp.Body); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
