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

// profile has every Caddy among the contenders take a CPU profile of itself
// under load, for go tool pprof, and returns the file's names.
func (h *heat) profile(o *origin, dir, into string, p plan) (files []string, err error) {
	for _, c := range h.field.contenders {
		if strings.HasPrefix(c.name, "nginx") {
			continue
		}
		name := strings.ReplaceAll(fmt.Sprintf("%s-%s-%s.pprof", h.field.name, sizeName(h.size), c.name), " ", "_")
		name = filepath.Join(into, name)
		err := h.alone(c, o, dir, p, func(e *entrant) error { return e.profile(name, p) })
		if err != nil {
			return files, err
		}
		files = append(files, name)
	}
	return files, nil
}

func (e *entrant) profile(name string, p plan) error {
	if _, err := e.visitor.load(100 * p.connections); err != nil {
		return err
	}
	fetched := make(chan error, 1)
	go func() { fetched <- fetchProfile(e.server.admin, name) }()
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

func fetchProfile(admin, name string) error {
	client := &http.Client{Timeout: time.Minute}
	resp, err := client.Get("http://" + admin + "/debug/pprof/profile?seconds=5")
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
