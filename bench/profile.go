package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/pprof/profile"
)

// profiled is a contender of a heat, and its share in each round.
type profiled struct {
	heat
	contender
	shares []share
	writes counters // a request's, more than without the directive
}

// counters are write system calls and what they wrote.
type counters struct{ writes, bytes float64 }

// profile has Caddy take profiles of itself under load, and prints the
// directive's share of them.
func (b *bench) profile(ctx context.Context, out io.Writer) error {
	if err := os.MkdirAll(b.profiles, 0o755); err != nil {
		return fmt.Errorf("-profile: %w", err)
	}
	var all []*profiled
	for _, f := range b.fields {
		if f.contenders[0].page != "html" && b.field == "" {
			continue // what the origin compresses is another work with the tag
		}
		for _, size := range b.sizes {
			for _, c := range f.contenders {
				if c.ours() {
					all = append(all, &profiled{heat: heat{field: f, size: size}, contender: c})
				}
			}
		}
	}
	err := b.repeat(func(r *running) error {
		for _, p := range all {
			if err := p.round(ctx, r); err != nil {
				return p.wrap(p.contender, err)
			}
		}
		return nil
	})
	return errors.Join(err, reportShares(out, all))
}

// seconds that a profile takes: small pages have the finest targets.
func (p *profiled) seconds(short bool) int {
	if p.size <= 64<<10 && !short {
		return 3
	}
	return 1
}

func (p *profiled) round(ctx context.Context, r *running) error {
	plain, err := r.enter(p.field.contenders[0], p.size)
	if err != nil {
		return err
	}
	e, err := r.enter(p.contender, p.size)
	if err != nil {
		return err
	}
	without, err := plain.writes()
	if err != nil {
		return err
	}
	with, err := e.writes()
	if err != nil {
		return err
	}
	p.writes = counters{with.writes - without.writes, with.bytes - without.bytes}

	name := fmt.Sprintf("%s-%s-%s-%d", p.field.name, sizeName(p.size), p.contender.name, len(p.shares)+1)
	name = filepath.Join(r.profiles, strings.ReplaceAll(name, " ", "_"))
	var cpu, allocs *profile.Profile
	fetched := make(chan error, 2)
	go func() (err error) {
		defer func() { fetched <- err }()
		cpu, err = e.server.fetchProfile(ctx, "profile", p.seconds(r.short), name+".cpu.pprof")
		return err
	}()
	go func() (err error) {
		defer func() { fetched <- err }()
		allocs, err = e.server.fetchProfile(ctx, "allocs", p.seconds(r.short), name+".allocs.pprof")
		return err
	}()
	for left := 2; left > 0; {
		select {
		case err := <-fetched:
			if err != nil {
				return err
			}
			left--
		default:
			if _, _, err := e.visitor.load(10 * time.Millisecond); err != nil {
				return err
			}
		}
	}
	s := shareOf(cpu, allocs)
	if s.all == 0 {
		return fmt.Errorf("%s: no samples", name)
	}
	p.shares = append(p.shares, s)
	return nil
}

// writes warms the server up, and counts what it writes for a request, to the
// visitor and to the origin.
func (e *entrant) writes() (counters, error) {
	if _, _, err := e.visitor.load(2 * warm); err != nil {
		return counters{}, err
	}
	before, err := written(e.server.pid())
	if err != nil {
		return counters{}, err
	}
	requests, _, err := e.visitor.load(2 * warm)
	if err != nil {
		return counters{}, err
	}
	after, err := written(e.server.pid())
	n := float64(requests)
	return counters{(after.writes - before.writes) / n, (after.bytes - before.bytes) / n}, err
}

// fetchProfile writes a profile of the next seconds into a file, and reads it.
func (s *server) fetchProfile(ctx context.Context, kind string, seconds int, file string) (*profile.Profile, error) {
	url := fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", s.admin, kind, seconds)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		return nil, err
	}
	return profile.ParseData(data)
}

// reportShares prints what the profiles say, beside the targets.
func reportShares(out io.Writer, all []*profiled) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "CPU time by profile\tsamples\town %\tgarbage %\tratio\tinterval\tat most\t\twrites\tbytes\t\n")
	for _, p := range all {
		if len(p.shares) == 0 {
			continue
		}
		var samples, own, garbage float64
		var ratios []float64
		for _, s := range p.shares {
			samples += float64(s.all)
			own += float64(s.own)
			garbage += float64(s.collecting) * s.garbage
			ratios = append(ratios, s.ratio())
		}
		limit, verdict, ratio := "", "", spreadOf(ratios)
		if p.target != nil {
			limit = fmt.Sprintf("%.2f", p.target(p.size))
			if len(ratios) >= fewestRounds {
				verdict = ratio.verdict(p.target(p.size))
			}
		}
		fmt.Fprintf(t, "%s, %s, %s\t%.0f\t%.2f\t%.2f\t%.3f\t%v\t%s\t%s\t%+.2f\t%+.0f\t\n", p.field.name, sizeName(p.size), p.contender.name,
			samples, 100*own/samples, 100*garbage/samples, ratio.middle, ratio, limit, verdict, p.writes.writes, p.writes.bytes)
	}
	return t.Flush()
}
