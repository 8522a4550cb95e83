package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
)

// program is how a server is started: its configuration and the command.
type program struct {
	caddy   bool
	config  func(place) string
	command func(place) []string
}

// place is where a server runs.
type place struct {
	dir, file string            // for its files; its configuration
	admin     string            // address of Caddy's admin endpoint
	origin    string            // address
	pages     string            // the folder of the pages that Caddy serves from files
	sites     [siteCount]string // addresses
}

// site is one of those that a server has.
type site int

const (
	passing     site = iota // passes the origin's pages on
	compressing             // compresses them as well
	serving                 // serves files that are there with and without gzip; nginx has no such site
	siteCount
)

// The hosts, of one length: the first one's pages get the tag, the last one's the loader.
const (
	hostWith    = "support.acme.com"
	hostWithout = "without.acme.com"
	hostLoader  = "loaders.acme.com"
)

// attributes are those of the tag that every page gets.
var attributes = []string{
	`data-integration-id`, `00000000-0000-4000-8000-000000000000`,
	`data-main-input-query-selector`, `#description`,
	`data-submit-element-query-selector`, `#support-form`,
	`data-submit-element-event-type`, `onSubmit`,
	`data-submit-button-query-selector`, `#support-form button[type=submit]`,
	`data-anchor-element-query-selector`, `#support-form`,
}

// tag is the tag that the directive inserts.
func tag() string {
	b := `<script async`
	for i := 0; i < len(attributes); i += 2 {
		b += fmt.Sprintf(` %s="%s"`, attributes[i], attributes[i+1])
	}
	return b + ` src="https://widget.kapa.ai/kapa-support-form-deflector.bundle.js"></script>`
}

// caddy is this repository's Caddy as a reverse proxy. Both hosts share everything,
// including connections to the origin and buffers, except the directive, which is as
// in the README's first Caddyfile. The matcher that tells them apart costs both the
// same.
func caddy(binary string) *program {
	var tag strings.Builder
	for i := 0; i < len(attributes); i += 2 {
		fmt.Fprintf(&tag, "\t\t%s %q\n", attributes[i], attributes[i+1])
	}
	site := func(address, encode, source string) string {
		_, port, _ := net.SplitHostPort(address)
		return fmt.Sprintf(`http://:%s {
	bind 127.0.0.1
	%s
	@with host %s
	kapa_deflector @with {
		pages /page/*
		consent cookie cookie_consent accepted
%s	}
	@loader host %s
	kapa_deflector @loader {
		pages /page/*
		consent cookie cookie_consent accepted
		loader
%s	}
	%s
}
`, port, encode, hostWith, &tag, hostLoader, &tag, source)
	}
	return &program{
		caddy: true,
		config: func(p place) string {
			proxy := "reverse_proxy " + p.origin
			return fmt.Sprintf("{\n\tauto_https off\n\tadmin %s\n\tpersist_config off\n}\n", p.admin) +
				site(p.sites[passing], "", proxy) + site(p.sites[compressing], "encode gzip", proxy) +
				site(p.sites[serving], "root "+p.pages, "file_server {\n\t\tprecompressed gzip\n\t}")
		},
		command: func(p place) []string {
			return []string{binary, "run", "--config", p.file, "--adapter", "caddyfile"}
		},
	}
}

// nginx is nginx as a reverse proxy, in one process, at the level of gzip that
// Caddy takes by itself.
func nginx(binary string) *program {
	site := func(address, host, directives string) string {
		return fmt.Sprintf(`	server {
		listen %s;
		server_name %s;
		location / {
			proxy_pass http://origin;
			proxy_set_header Host $http_host;
			proxy_set_header Connection "";
			%s
		}
	}
`, address, host, directives)
	}
	filter := "proxy_set_header Accept-Encoding \"\"; sub_filter '</head>' '" + tag() + "</head>';"
	return &program{
		config: func(p place) string {
			user := ""
			if os.Geteuid() == 0 {
				user = "user root;" // others may not read the directory
			}
			return fmt.Sprintf(`%[1]s
daemon off;
master_process off;
pid %[2]s/nginx.pid;
error_log stderr warn;
events {
	worker_connections 128;
}
http {
	access_log off;
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
	proxy_http_version 1.1;
	proxy_max_temp_file_size 0;
	gzip_comp_level 5;
`, user, p.dir, p.origin) +
				site(p.sites[passing], hostWithout, "") + site(p.sites[passing], hostWith, filter) +
				site(p.sites[compressing], hostWithout, "gzip on;") + site(p.sites[compressing], hostWith, "gzip on; "+filter) + "}\n"
		},
		command: func(p place) []string {
			return []string{binary, "-e", "stderr", "-p", p.dir, "-c", p.file}
		},
	}
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

// buildCaddy builds this repository's Caddy.
func buildCaddy(binary string) error {
	build := exec.Command("go", "build", "-o", binary, "./cmd/caddy")
	build.Dir = ".."
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building Caddy: %w\n%s", err, text)
	}
	return nil
}
