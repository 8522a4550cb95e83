package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// plan bounds what is measured.
type plan struct {
	sizes       []int
	rounds      int
	slice       time.Duration // how long each contender is loaded in a round
	connections int
}

// result is what was measured of one contender, a value for each round.
type result struct {
	contender
	cpu       []float64 // microseconds of the server's process per request
	rate      []float64 // requests per second
	firstByte []float64 // microseconds, the round's median
	memory    float64   // the most that was resident, in MB
}

// heat is a field measured with pages of one size.
type heat struct {
	field   string
	size    int
	results []result
}

// measure has the contenders of f take turns, in another order each round, so
// that whatever else the machine does meets all of them.
func measure(f field, size int, o *origin, dir string, p plan) (heat, error) {
	h := heat{field: f.name, size: size, results: make([]result, len(f.contenders))}
	servers := make([]*server, len(f.contenders))
	visitors := make([]*visitor, len(f.contenders))
	defer func() {
		for i := range servers {
			if visitors[i] != nil {
				visitors[i].close()
			}
			if servers[i] != nil {
				servers[i].stop()
			}
		}
	}()

	requests := 0 // of a slice: the same for all
	for i, c := range f.contenders {
		fail := func(err error) (heat, error) {
			return h, fmt.Errorf("%s, %s, %s: %w", f.name, sizeName(size), c.name, err)
		}
		h.results[i].contender = c
		var err error
		if servers[i], err = start(c.program, dir, o.address()); err != nil {
			return fail(err)
		}
		if visitors[i], err = newVisitor(servers[i].listen, path(c.page, size), c.cookies, p.connections); err != nil {
			return fail(err)
		}
		if err := c.check(visitors[i], o.pages[path(c.page, size)]); err != nil {
			return fail(err)
		}
		took, err := visitors[i].load(2 * p.connections)
		if err != nil {
			return fail(err)
		}
		if requests == 0 { // by Caddy's second go, the first one warms it up
			if took, err = visitors[i].load(2 * p.connections); err != nil {
				return fail(err)
			}
			requests = max(p.connections, int(p.slice/(took/time.Duration(2*p.connections))))
		}
		if _, err := visitors[i].load(requests); err != nil {
			return fail(err)
		}
	}

	for range p.rounds {
		for _, i := range rand.Perm(len(f.contenders)) {
			if err := h.results[i].round(servers[i], visitors[i], requests, p.slice/4); err != nil {
				return h, fmt.Errorf("%s, %s, %s: %w", f.name, sizeName(size), f.contenders[i].name, err)
			}
		}
	}
	for i := range h.results {
		peak, err := peakMemory(servers[i].cmd.Process.Pid)
		if err != nil {
			return h, err
		}
		h.results[i].memory = float64(peak) / (1 << 20)
	}
	return h, nil
}

// round loads the contender once, and then asks it alone.
func (r *result) round(s *server, v *visitor, requests int, alone time.Duration) error {
	before, err := cpuTime(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	took, err := v.load(requests)
	if err != nil {
		return err
	}
	after, err := cpuTime(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	firstBytes, err := v.firstBytes(alone)
	if err != nil {
		return err
	}
	r.cpu = append(r.cpu, microseconds(after-before)/float64(requests))
	r.rate = append(r.rate, float64(requests)/took.Seconds())
	times := make([]float64, len(firstBytes))
	for i, t := range firstBytes {
		times[i] = microseconds(t)
	}
	r.firstByte = append(r.firstByte, median(times))
	return nil
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func sizeName(size int) string {
	if size < 1<<20 {
		return fmt.Sprintf("%d KB", size>>10)
	}
	return fmt.Sprintf("%d MB", size>>20)
}
