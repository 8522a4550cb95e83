package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Nginx runs nginx as a cache in front of c until the test ends. directives are
// those of its location.
func Nginx(t *testing.T, c *Caddy, directives string) (address string) {
	t.Helper()
	return startProxy(t, "nginx", func(program, dir string, port int) *exec.Cmd {
		user := ""
		if os.Geteuid() == 0 {
			user = "user root;" // others may not read dir
		}
		config := filepath.Join(dir, "nginx.conf")
		WriteFile(t, config, fmt.Sprintf(`
%[1]s
daemon off;
worker_processes 1;
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
	proxy_cache_path %[2]s/cache keys_zone=pages:1m;
	server {
		listen 127.0.0.1:%[3]d;
		location / {
			proxy_pass http://127.0.0.1:%[4]d;
			proxy_http_version 1.1;
			proxy_set_header Host $http_host;
			proxy_set_header Connection "";
			proxy_cache pages;
			add_header X-Cache $upstream_cache_status always;
			%[5]s
		}
	}
}
`, user, dir, port, c.EdgePort, directives))
		return exec.Command(program, "-e", "stderr", "-p", dir, "-c", config)
	})
}

// Varnish runs Varnish as a cache in front of c until the test ends.
func Varnish(t *testing.T, c *Caddy, subroutines string) (address string) {
	t.Helper()
	return startProxy(t, "varnishd", func(program, dir string, port int) *exec.Cmd {
		config := filepath.Join(dir, "cache.vcl")
		WriteFile(t, config, fmt.Sprintf(`vcl 4.1;
backend default {
	.host = "127.0.0.1";
	.port = "%d";
}
%s
sub vcl_deliver {
	if (obj.hits > 0) {
		set resp.http.X-Cache = "HIT";
	} else {
		set resp.http.X-Cache = "MISS";
	}
}
`, c.EdgePort, subroutines))
		return exec.Command(program, "-F", "-j", "none", "-n", filepath.Join(dir, "varnish"),
			"-a", fmt.Sprintf("127.0.0.1:%d", port), "-f", config, "-s", "malloc,16m", "-p", "vsl_space=1M")
	})
}

func startProxy(t *testing.T, name string, command func(program, dir string, port int) *exec.Cmd) (address string) {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil { // Debian has its daemons where not every PATH leads
		program, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil {
		Missing(t, name, "install Debian's nginx-light and varnish, or the like, so that nginx and varnishd are in PATH or /usr/sbin")
	}
	dir := t.TempDir()
	return StartServer(t, name, func(port int) *exec.Cmd { return command(program, dir, port) })
}

// StartServer runs a program that serves HTTP at a port of 127.0.0.1 until the
// test ends.
func StartServer(t *testing.T, name string, command func(port int) *exec.Cmd) (address string) {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	address = fmt.Sprintf("127.0.0.1:%d", port)
	cmd := command(port)
	exited, log, err := run(cmd, "http://"+address+"/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end(cmd, exited)
		if t.Failed() {
			t.Logf("%s said:\n%s", name, log)
		}
	})
	return address
}
