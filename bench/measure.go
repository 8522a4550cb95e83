package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// heat is a field measured with pages of one size.
type heat struct {
	field  field
	size   int
	rounds [][]result // one of each contender
	memory []float64  // the most that was resident in a process of its own, in MB
}

// result is what a contender has shown in a round.
type result struct {
	cpu       []float64 // of each turn: microseconds of the server's process per request
	ratio     []float64 // of each turn to the first contender's in the same block
	rate      []float64 // of each turn: requests per second
	firstByte []float64 // of requests that were asked one by one, in microseconds
	allocated float64   // bytes per request
	garbage   float64   // microseconds per request, to collect them
	requests  int       // of all turns
	used      float64   // by all turns, in microseconds
}

// compare measures all contenders of all heats, and reports it.
func (b *bench) compare(ctx context.Context, out io.Writer) error {
	var heats []*heat
	var err error
	for _, f := range b.fields {
		sizes := make([]*heat, len(b.sizes))
		for i, size := range b.sizes {
			sizes[i] = &heat{field: f, size: size, memory: make([]float64, len(f.contenders))}
		}
		heats = append(heats, sizes...)
		if err == nil {
			err = b.measureMemory(ctx, sizes)
		}
	}
	if err == nil {
		progress("memory measured, %.0f s", time.Since(b.begin).Seconds())
		err = b.repeat(func(r *running) error {
			for _, h := range heats {
				if err := h.round(ctx, r); err != nil {
					return err
				}
			}
			return nil
		})
	}
	note := b.machine(len(heats[0].rounds))
	fmt.Fprintln(out, note)
	return errors.Join(err, report(out, heats), b.draw(heats, note))
}

const (
	// turn is about how long a contender is loaded before it is the next one's.
	turn = time.Millisecond
	// warm is how long it is loaded before it counts.
	warm = 20 * time.Millisecond
	// Another program gets only every seldom-th turn: no target depends on its figure.
	seldom = 4
)

// span is how long a heat takes in a round: the finest targets are those of
// small pages.
func (h *heat) span() time.Duration {
	span := 5 * time.Second
	if h.size > 64<<10 {
		span = 2 * time.Second
	}
	if h.field.contenders[0].page != "html" { // the coarsest targets
		span /= 4
	}
	return span
}

// round measures all contenders once more, in blocks: in a block each has one
// turn, each time in another order.
func (h *heat) round(ctx context.Context, r *running) error {
	results := make([]result, len(h.field.contenders))
	var entrants []*entrant
	for i, c := range h.field.contenders {
		e, err := r.enter(c, h.size)
		if err == nil {
			err = e.prepare(&results[i])
		}
		if err != nil {
			return h.wrap(c, err)
		}
		entrants = append(entrants, e)
	}
	for start, block := time.Now(), 0; block == 0 || !r.short && time.Since(start) < h.span(); block++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		turns := make([]float64, len(entrants))
		for _, i := range rand.Perm(len(entrants)) {
			if e := entrants[i]; e.program == entrants[0].program || block%seldom == 0 {
				var err error
				if turns[i], err = e.turn(&results[i]); err != nil {
					return h.wrap(e.contender, err)
				}
			}
		}
		for i, cpu := range turns {
			if cpu > 0 {
				results[i].cpu = append(results[i].cpu, cpu)
				results[i].ratio = append(results[i].ratio, cpu/turns[0])
			}
		}
	}
	collecting, err := entrants[0].server.collecting()
	for i := range results {
		results[i].garbage = results[i].allocated * collecting
	}
	h.rounds = append(h.rounds, results)
	return err
}

// prepare warms the server up, and measures what takes no turns.
func (e *entrant) prepare(to *result) (err error) {
	if _, _, err = e.visitor.load(warm); err != nil {
		return err
	}
	if to.firstByte, err = e.visitor.firstBytes(warm / 2); err != nil {
		return err
	}
	to.allocated, err = e.allocated()
	return err
}

// turn loads the server, and returns the CPU time of a request.
func (e *entrant) turn(to *result) (cpu float64, err error) {
	before, err := idleCPUTime(e.server.pid())
	if err != nil {
		return 0, err
	}
	requests, took, err := e.visitor.load(turn)
	if err != nil {
		return 0, err
	}
	after, err := idleCPUTime(e.server.pid())
	if err != nil {
		return 0, err
	}
	used := microseconds(after - before)
	to.rate = append(to.rate, float64(requests)/took.Seconds())
	to.requests += requests
	to.used += used
	return used / float64(requests), nil
}

func (h *heat) wrap(c contender, err error) error {
	return fmt.Errorf("%s, %s, %s: %w", h.field.name, sizeName(h.size), c.name, err)
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func sizeName(size int) string {
	if size < 1<<20 {
		return fmt.Sprintf("%d KB", size>>10)
	}
	return fmt.Sprintf("%d MB", size>>20)
}
