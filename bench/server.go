package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// server is a running server, in a process of its own.
type server struct {
	place
	cmd    *exec.Cmd
	begin  time.Time
	log    bytes.Buffer
	exited chan struct{}
}

// start starts p and returns when it listens. pages is a folder for its files.
func start(p *program, dir, origin, pages string) (*server, error) {
	dir, err := os.MkdirTemp(dir, "server-")
	if err != nil {
		return nil, err
	}
	free, err := freeAddresses(1 + int(siteCount))
	if err != nil {
		return nil, err
	}
	at := place{dir: dir, file: filepath.Join(dir, "config"), origin: origin, pages: pages, admin: free[0], sites: [siteCount]string(free[1:])}
	if err := os.WriteFile(at.file, []byte(p.config(at)), 0o600); err != nil {
		return nil, err
	}

	command := append(slices.Clone(onServerCore), p.command(at)...)
	s := &server{place: at, cmd: exec.Command(command[0], command[1:]...), begin: time.Now(), exited: make(chan struct{})}
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "GOMAXPROCS=1")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	endWithUs(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	sites := at.sites[:serving] // a Caddy listens on all or none
	for deadline := time.After(20 * time.Second); ; {
		for len(sites) > 0 {
			conn, err := net.Dial("tcp", sites[0])
			if err != nil {
				break
			}
			conn.Close()
			sites = sites[1:]
		}
		if len(sites) == 0 {
			return s, nil
		}
		select {
		case <-s.exited:
			return nil, fmt.Errorf("%s ended:\n%s", command[0], &s.log)
		case <-deadline:
			s.stop()
			return nil, fmt.Errorf("%s does not listen:\n%s", command[0], &s.log)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	select {
	case <-s.exited:
	case <-time.After(5 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.exited
	}
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// freeAddresses are n that nobody listens at.
func freeAddresses(n int) (free []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // after all are found, so that none is found twice
		free = append(free, l.Addr().String())
	}
	return free, nil
}
