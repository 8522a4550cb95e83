// Command bench measures what the kapa_deflector directive costs, side by side
// with the same Caddy without it. From the repository's root:
//
//	go -C bench run .                    a few minutes
//	go -C bench run . -svg chart.svg     with a chart of the ratios
//	go -C bench run . -short             seconds: whether it still works
//	go -C bench run . -profile /tmp      the directive's share in CPU profiles instead
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
//	Caddy, once more    another site of the same: how far from 1 a ratio of nothing comes out
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
//	req/s          of a server that has half of the machine's cores; client and origin have the others
//	peak MB        VmHWM under load, in a process of its own
//	first byte us  median, over one connection while nothing else is asked
//
// In a round, servers are started anew: one Caddy and one nginx, whose sites are
// the contenders. They take turns of some 20 ms, in another order each time. A
// round's figure is the median of its turns, and its ratio the median of the
// ratios of turns that lie next to each other. A ratio in the table is the median
// of the rounds', with the interval in which it lies in 95 of 100 cases. CPU time
// is what targets are set for: it depends least on what else the machine does.
// On a busy machine the intervals are wider than any target.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// repository is where Caddy is built.
const repository = ".."

func main() {
	var o options
	flag.BoolVar(&o.short, "short", false, "one round with short pages: whether everything works, no figures to go by")
	flag.IntVar(&o.rounds, "rounds", 7, "how often all of it is measured, each time by servers that are started anew")
	flag.StringVar(&o.field, "field", "", "only this field")
	flag.StringVar(&o.svg, "svg", "", "write a chart to this file")
	flag.StringVar(&o.profiles, "profile", "", "write CPU profiles of each Caddy with the directive into this directory, and print the directive's share")
	flag.Parse()
	if err := run(os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	short    bool
	rounds   int
	field    string
	svg      string
	profiles string
}

func (o options) plan() plan {
	if o.short {
		return plan{sizes: []int{8 << 10, 64 << 10}, rounds: 1, turns: 1, turn: 20 * time.Millisecond, connections: 4, profile: time.Second}
	}
	return plan{sizes: []int{8 << 10, 64 << 10, 512 << 10, 8 << 20}, rounds: o.rounds, turns: 24, turn: 20 * time.Millisecond, connections: 4, profile: 30 * time.Second}
}

func run(out io.Writer, opts options) error {
	p := opts.plan()
	if p.rounds < 1 {
		return errors.New("-rounds: at least 1")
	}
	dir, err := os.MkdirTemp("", "kapa-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fields, err := findFields(out, dir)
	if err != nil {
		return err
	}
	var heats []*heat
	for _, f := range fields {
		if opts.field == "" || f.name == opts.field {
			for _, size := range p.sizes {
				heats = append(heats, &heat{field: f, size: size, results: make([]result, len(f.contenders))})
			}
		}
	}
	if heats == nil {
		return fmt.Errorf("-field: there is no %q", opts.field)
	}
	if err := splitCores(); err != nil {
		fmt.Fprintf(out, "The servers share their cores with what asks them: %v\n", err)
	}
	o, err := newOrigin(p.sizes)
	if err != nil {
		return err
	}
	defer o.close()

	if opts.profiles != "" {
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(t, "CPU time by profile\tsamples of the directive\tratio\tspread\tat most\t\n")
		for _, h := range heats {
			if err := h.profile(t, o, dir, opts.profiles, p); err != nil {
				return err
			}
		}
		return t.Flush()
	}
	begin := time.Now()
	for round := range p.rounds {
		for _, h := range heats {
			if err := h.round(o, dir, p); err != nil {
				return err
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d, %.0f s\n", round+1, p.rounds, time.Since(begin).Seconds())
	}
	for _, h := range heats {
		if err := h.memory(o, dir, p); err != nil {
			return err
		}
	}
	note := machine(p, begin)
	fmt.Fprintln(out, note)
	if err := report(out, heats); err != nil {
		return err
	}
	if opts.svg == "" {
		return nil
	}
	return os.WriteFile(opts.svg, chart(heats, note), 0o644)
}

// findFields builds Caddy into dir, looks for nginx, and returns what can be
// compared. What is missing is told, and may not be missing in CI.
func findFields(out io.Writer, dir string) ([]field, error) {
	caddyBinary := filepath.Join(dir, "caddy")
	build := exec.Command("go", "build", "-o", caddyBinary, "./cmd/caddy")
	build.Dir = repository
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building Caddy: %w\n%s", err, text)
	}
	nginxBinary, err := findNginx()
	if err != nil {
		if os.Getenv("CI") != "" {
			return nil, err
		}
		fmt.Fprintf(out, "SKIPPED, both contenders of nginx: %v\n", err)
	}
	return newFields(caddyBinary, nginxBinary), nil
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
