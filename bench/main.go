// Command bench measures what the kapa_deflector directive costs, side by side
// with the same Caddy without it. From the repository's root:
//
//	go -C bench run .                    a few minutes
//	go -C bench run . -svg chart.svg     with a chart of the ratios
//	go -C bench run . -short             seconds: whether it still works
//
// It builds this repository's Caddy, and needs nothing else; nginx is measured
// beside it where it is installed. Everything listens on loopback. Linux only.
//
// # What is compared
//
// Every server is a reverse proxy in front of one origin that answers each
// request in one write from memory. Every request is a browser's, of the same
// length. In a field, each contender is compared with the first:
//
//	field               Caddy                    with the directive
//	identity            reverse_proxy            no coding on either side
//	gzip by the proxy   encode gzip              encode gzip; the origin never compresses, so both encode
//	gzip by the origin  the origin's bytes pass  the same without consent; for a tagged page the origin is asked
//	                                             for identity, and Caddy encodes: more work, so there is no target
//
//	contender           what it is
//	Caddy               without the directive
//	Caddy, once more    another process of the same: how far from 1 a ratio of nothing comes out
//	no consent          with the directive; the consent cookie is absent
//	not HTML            the same bytes under another media type; the visitor has consented
//	tag                 a page with the tag, for a visitor who has an id
//	tag and a new id    the visitor's first tagged page
//	nginx               proxy_pass in one process, at Caddy's gzip level in nginx's own gzip
//	nginx sub_filter    the tag put before </head> in everybody's page: it knows no consent
//
// # What is measured
//
//	CPU us         user and system time of the server's process for a request, under load
//	req/s          of a machine whose cores the client and the origin share with the server
//	peak MB        VmHWM at the end
//	first byte us  median, over one connection while nothing else is asked
//
// The contenders take turns, in another order each round. A ratio is the median
// of the rounds' ratios, with the interval in which that median lies in 95 of
// 100 cases. CPU time is what targets are set for: it depends least on what
// else the machine does.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// repository is where Caddy is built.
const repository = ".."

func main() {
	short := flag.Bool("short", false, "one round with short pages: whether everything works, no figures to go by")
	rounds := flag.Int("rounds", 7, "how often all of it is measured, each time by servers that are started anew")
	svg := flag.String("svg", "", "write a chart to this file")
	only := flag.String("field", "", "measure only this field")
	flag.Parse()

	p := plan{sizes: []int{8 << 10, 64 << 10, 512 << 10, 8 << 20}, rounds: *rounds, turns: 12, turn: 20 * time.Millisecond, connections: 4}
	if *short {
		p.sizes, p.rounds, p.turns = []int{8 << 10, 64 << 10}, 1, 1
	}
	if err := run(p, *only, *svg); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(p plan, only, svg string) error {
	if p.rounds < 1 {
		return errors.New("-rounds: at least 1")
	}
	dir, err := os.MkdirTemp("", "kapa-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "caddy")
	build := exec.Command("go", "build", "-o", binary, "./cmd/caddy")
	build.Dir = repository
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building Caddy: %w\n%s", err, out)
	}
	nginxBinary, canFilter, err := findNginx()
	if err != nil {
		fmt.Printf("SKIPPED, both of nginx: %v\n", err)
	} else if !canFilter {
		fmt.Println("SKIPPED, nginx sub_filter: this nginx is built without it: apt-get install nginx-full")
	}

	o, err := newOrigin(p.sizes)
	if err != nil {
		return err
	}
	defer o.close()
	if err := splitCores(); err != nil {
		fmt.Printf("The servers share their cores with what asks them: %v\n", err)
	}
	begin := time.Now()
	var heats []*heat
	for _, f := range newFields(binary, nginxBinary, canFilter) {
		if only == "" || f.name == only {
			for _, size := range p.sizes {
				heats = append(heats, &heat{field: f, size: size, results: make([]result, len(f.contenders))})
			}
		}
	}
	if heats == nil {
		return fmt.Errorf("there is no field %q", only)
	}
	for round := range p.rounds {
		for _, h := range heats {
			if err := h.round(o, dir, p); err != nil {
				return err
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d, %.0f s\n", round+1, p.rounds, time.Since(begin).Seconds())
	}
	fmt.Println(machine(p, begin))
	if err := report(os.Stdout, heats); err != nil {
		return err
	}
	if svg == "" {
		return nil
	}
	return os.WriteFile(svg, chart(heats, machine(p, begin)), 0o644)
}

// machine says where and how the figures came about.
func machine(p plan, begin time.Time) string {
	cpu := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(info), "model name"); ok {
			name, _, _ := strings.Cut(rest, "\n")
			cpu = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return fmt.Sprintf("%d cores of %s, %s, %s; %d rounds, %d connections, %.0f s",
		runtime.NumCPU(), cpu, runtime.GOOS, runtime.Version(), p.rounds, p.connections, time.Since(begin).Seconds())
}
