// Command bench measures what the kapa_deflector directive costs, side by side
// with the same Caddy without it. From the repository's root:
//
//	go -C bench run .                    compares, for 6 minutes
//	go -C bench run . -svg chart.svg     with a chart of the ratios
//	go -C bench run . -profile DIR       counts the directive's share in profiles instead, for 6 minutes
//	go -C bench run . -field identity    only this field, and so more of it
//	go -C bench run . -time 30m          narrower intervals
//	go -C bench run . -short             whether it still works
//
// The time does not count the building of this repository's Caddy. Nothing else
// is needed; nginx is compared where it is installed. Everything listens on
// loopback. Linux only.
//
// # What is compared
//
// Every server is a reverse proxy in front of one origin that answers each
// request in one write from memory; Caddy also serves files. Every request is a browser's, of the same
// length. In a field, each contender is compared with the first:
//
//	field               Caddy                    with the directive
//	identity            reverse_proxy            no coding on either side
//	gzip by the proxy   encode gzip              encode gzip; the origin never compresses, so both encode
//	gzip by the origin  the origin's bytes pass  the same, with the tag spliced in. There is a field for each of
//	                                             zlib's levels 1, 6 and 9
//	precompressed files file_server              the same, from files with gzip beside them in place of the origin
//
//	contender           what it is
//	Caddy               without the directive
//	Caddy, once more    the same again: how far from 1 a ratio of nothing comes out
//	no consent          with the directive; the consent cookie is absent
//	not HTML            the same bytes under another media type; the visitor has consented
//	tag                 a page with the tag, for a visitor who has an id
//	tag and a new id    the visitor's first tagged page
//	loader              a page with the loader, the same for everybody
//	nginx               proxy_pass in one process, at Caddy's gzip level in nginx's own gzip
//	nginx sub_filter    the tag put before </head> in everybody's page: it knows no consent
//
// All contenders of a program are hosts of one site in one process, over the
// same connections: two processes of the same program differ by up to a quarter,
// by where their memory lies and how long the chains of their hash tables are.
//
// # What is measured
//
//	CPU us         user and system time of the server's process for a request
//	req/s          of a server that has one core; client and origin have another one
//	peak MB        VmHWM under load, in a process of its own, by the end of this size
//	first byte us  median, over one connection while nothing else is asked
//
// In a round, servers are started anew, and contenders take turns of some
// milliseconds, in another order each time. The figure of a round is
//
//	median of the turns + bytes allocated for a request × the process' CPU time in collections for a byte
//
// and its ratio that of the ratios of turns close to each other. The ratio in the
// table is the mean of the rounds', and its interval Student's of 95 in 100.
//
// The sum of all turns would need no second term. But a virtual machine loses
// its cores to others, here for 2 to 60 % of the time in pieces of 1 to 10
// milliseconds, and the kernel takes these for time of the server: the sums of
// the same, once more, differ by a tenth after minutes. They are in the table
// as "of sums", for machines of their own. The median leaves such pieces out,
// and with them the garbage collections, which come every 200 requests or so
// and would have hit the neighbour's turn as often as the own: so they are
// charged by the bytes.
//
// The server has a core for itself, as an edge has whose visitors and origin are
// elsewhere. On the same core as both, where each request finds the caches cold,
// the directive, whose code runs once for a request, costs half as much again.
//
// A target is met or missed if the whole interval says so, or else open. In six
// minutes on such a machine of 2 cores the interval of the same, once more, is
// within 1.6 % to either side for pages of 8 KB, 64 KB and (identity) 512 KB, and within
// 3 to 7 % where a page takes milliseconds, in which the directive's part is small.
// -field and -time make it narrower.
//
// # Profiles
//
// With -profile, a Caddy takes profiles of itself under load, while client and
// origin have a core of their own. The directive's share is what its functions
// take (own), and its part of the collector's time by the bytes that it allocates
// (garbage). Not in the ratio is what it makes others do, or saves them: that is in the
// columns writes and bytes, system calls and what they write for a request, to the
// visitor and to the origin, more than without it. They count in what is compared.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

func main() {
	var o options
	flag.BoolVar(&o.short, "short", false, "one round with short pages: whether everything works, no figures to go by")
	flag.DurationVar(&o.time, "time", 6*time.Minute, "about how long to measure")
	flag.StringVar(&o.field, "field", "", "only this field")
	flag.StringVar(&o.svg, "svg", "", "write a chart to this file")
	flag.StringVar(&o.profiles, "profile", "", "write profiles of Caddy into this folder, and print the directive's share of them, instead of comparing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	short    bool
	time     time.Duration
	field    string
	svg      string
	profiles string
	caddy    string // the tests' binary, instead of building one
}

// bench is what all ways to measure have in common.
type bench struct {
	options
	dir    string // for the servers' files
	origin *origin
	fields []field
	sizes  []int
	begin  time.Time
}

func run(ctx context.Context, out io.Writer, o options) error {
	if o.svg != "" && o.profiles != "" {
		return errors.New("-svg draws what is compared: it is allowed without -profile only")
	}
	b := &bench{options: o, sizes: []int{8 << 10, 64 << 10, 512 << 10, 8 << 20}}
	if o.short {
		b.sizes, b.time = b.sizes[:2], 0
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "kapa-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	binary := o.caddy
	if binary == "" {
		binary = filepath.Join(b.dir, "caddy")
	}
	if b.fields, err = findFields(out, binary, o.field); err != nil {
		return err
	}
	if o.caddy == "" {
		progress("building Caddy")
		if err := buildCaddy(binary); err != nil {
			return err
		}
	}
	if err := pin(); err != nil {
		fmt.Fprintf(out, "Nothing is bound to a core: %v\n", err)
	}
	if b.origin, err = newOrigin(b.sizes); err != nil {
		return err
	}
	defer b.origin.close()
	if err := b.origin.writeFiles(b.folder(), b.sizes); err != nil {
		return err
	}
	b.begin = time.Now()
	progress("measuring for %v", b.time)
	if o.profiles != "" {
		return b.profile(ctx, out)
	}
	return b.compare(ctx, out)
}

// findFields looks for nginx, and returns what can be compared, or only what
// has this name. What is missing is told, and may not be missing in CI.
func findFields(out io.Writer, caddyBinary, name string) (fields []field, err error) {
	var proxy *program
	switch nginxBinary, err := findNginx(); {
	case err == nil:
		proxy = nginx(nginxBinary)
	case os.Getenv("CI") != "":
		return nil, err
	default:
		fmt.Fprintf(out, "SKIPPED, both contenders of nginx: %v\n", err)
	}
	var names []string
	for _, f := range newFields(caddy(caddyBinary), proxy) {
		names = append(names, f.name)
		if name == "" || f.name == name {
			fields = append(fields, f)
		}
	}
	if fields == nil {
		return nil, fmt.Errorf("-field: there is no %q, but %q", name, names)
	}
	return fields, nil
}

// folder is that of the pages that Caddy serves from files.
func (b *bench) folder() string { return filepath.Join(b.dir, "pages") }

func (b *bench) running() *running {
	return &running{bench: b, servers: make(map[*program]*server), pools: make(map[string][]*connection)}
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
