package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// server is a running server, in a process of its own.
type server struct {
	cmd    *exec.Cmd
	sites  []site
	admin  string // Caddy's admin endpoint
	log    bytes.Buffer
	exited chan struct{}
}

// site is one of a server's sites: what it has beside the proxy.
type site struct{ listen, directives string }

// place is where a server is to run.
type place struct {
	dir           string // for its files
	admin, origin string // addresses
	sites         []site
}

// program is how a server is started: its configuration file and the command.
type program struct {
	setup func(place) (config string, command []string)
}

// start starts p with a site for each of these directives, and returns when
// it listens.
func start(p *program, directives []string, dir, origin string) (*server, error) {
	dir, err := os.MkdirTemp(dir, "server-")
	if err != nil {
		return nil, err
	}
	free, err := freeAddresses(1 + len(directives))
	if err != nil {
		return nil, err
	}
	at := place{dir: dir, admin: free[0], origin: origin}
	for i, d := range directives {
		at.sites = append(at.sites, site{listen: free[1+i], directives: d})
	}
	config, command := p.setup(at)
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		return nil, err
	}

	command = append(slices.Clone(onServerCores), command...)
	s := &server{cmd: exec.Command(command[0], command[1:]...), sites: at.sites, admin: at.admin, exited: make(chan struct{})}
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	endWithUs(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	listening := 0
	for deadline := time.After(20 * time.Second); ; {
		for listening < len(s.sites) {
			conn, err := net.Dial("tcp", s.sites[listening].listen)
			if err != nil {
				break
			}
			conn.Close()
			listening++
		}
		if listening == len(s.sites) {
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
		defer l.Close() // not before all are found, lest one be found twice
		free = append(free, l.Addr().String())
	}
	return free, nil
}

// caddy is this repository's Caddy as a reverse proxy, where each site has
// further directives in front.
func caddy(binary, encode string) *program {
	return &program{func(p place) (string, []string) {
		config := fmt.Sprintf("{\n\tauto_https off\n\tadmin %s\n\tpersist_config off\n}\n", p.admin)
		for _, s := range p.sites {
			_, port, _ := net.SplitHostPort(s.listen)
			config += fmt.Sprintf(`http://:%s {
	bind 127.0.0.1
	%s
	%s
	reverse_proxy %s
}
`, port, encode, s.directives, p.origin)
		}
		return config, []string{binary, "run", "--config", "config", "--adapter", "caddyfile"}
	}}
}

// attributes are those of the tag that every page gets.
var attributes = []string{
	`data-integration-id`, `00000000-0000-4000-8000-000000000000`,
	`data-main-input-query-selector`, `#description`,
	`data-submit-element-query-selector`, `#support-form`,
	`data-submit-element-event-type`, `onSubmit`,
	`data-submit-button-query-selector`, `#support-form button[type=submit]`,
	`data-anchor-element-query-selector`, `#support-form`,
}

// deflector is the directive as the README's first Caddyfile has it.
func deflector() string {
	var b strings.Builder
	b.WriteString("kapa_deflector {\n\t\tpages /page/*\n\t\tconsent cookie cookie_consent accepted\n")
	for i := 0; i < len(attributes); i += 2 {
		fmt.Fprintf(&b, "\t\t%s %q\n", attributes[i], attributes[i+1])
	}
	return b.String() + "\t}"
}

// tag is the tag that the directive inserts.
func tag() string {
	b := `<script async src="https://widget.kapa.ai/kapa-support-form-deflector.bundle.js"`
	for i := 0; i < len(attributes); i += 2 {
		b += fmt.Sprintf(` %s="%s"`, attributes[i], attributes[i+1])
	}
	return b + "></script>"
}

// nginx is nginx as a reverse proxy, in one process, where each site has
// further directives.
func nginx(binary, gzip string) *program {
	return &program{func(p place) (string, []string) {
		user := ""
		if os.Geteuid() == 0 {
			user = "user root;" // others may not read the directory
		}
		config := fmt.Sprintf(`%[1]s
daemon off;
master_process off;
pid %[2]s/nginx.pid;
error_log stderr warn;
events {
	worker_connections 128;
}
http {
	access_log off;
	%[4]s
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	keepalive_timeout 10m;
	keepalive_requests 1000000;
	upstream origin {
		server %[3]s;
		keepalive 32;
		keepalive_requests 1000000;
	}
`, user, p.dir, p.origin, gzip)
		for _, s := range p.sites {
			config += fmt.Sprintf(`	server {
		listen %s;
		location / {
			proxy_pass http://origin;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Connection "";
			proxy_max_temp_file_size 0;
			%s
		}
	}
`, s.listen, s.directives)
		}
		return config + "}\n", []string{binary, "-e", "stderr", "-p", p.dir, "-c", filepath.Join(p.dir, "config")}
	}}
}

// findNginx returns the nginx that is installed, if it can insert a tag.
func findNginx() (binary string, err error) {
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} { // Debian's place is not in everybody's PATH
		if binary, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return "", errors.New("nginx is not installed: apt-get install nginx-light")
	}
	built, err := exec.Command(binary, "-V").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s -V: %w", binary, err)
	}
	if !bytes.Contains(built, []byte("--with-http_sub_module")) {
		return "", fmt.Errorf("%s is built without sub_filter: apt-get install nginx-full", binary)
	}
	return binary, nil
}
