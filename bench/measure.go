package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// plan bounds what is measured.
type plan struct {
	sizes       []int
	rounds      int           // each with servers that are started anew
	turns       int           // of each contender in a round
	turn        time.Duration // about how long one takes
	connections int
}

// heat is a field measured with pages of one size.
type heat struct {
	field   field
	size    int
	results []result // of each contender
}

// result is what was measured, a value for each round.
type result struct {
	cpu       []float64 // microseconds of the server's process per request
	rate      []float64 // requests per second
	firstByte []float64 // microseconds
	memory    []float64 // the most that was resident, in MB
}

// entrant is a contender in a round: its server, and who asks it.
type entrant struct {
	contender
	server  *server
	visitor *visitor

	cpu, rate, firstByte []float64 // of each turn, and of each answer
}

// round measures all contenders once more. They take turns, each time in
// another order, so that whatever else the machine does meets all of them, and
// whatever a process is dealt at its start (where its memory lies, how long
// its hash tables' chains are) lasts for one round.
func (h *heat) round(o *origin, dir string, p plan) error {
	entrants := make([]*entrant, len(h.field.contenders))
	defer func() {
		for _, e := range entrants {
			if e != nil {
				e.leave()
			}
		}
	}()
	for i, c := range h.field.contenders {
		entrants[i] = &entrant{contender: c}
		if err := entrants[i].enter(o, h.size, dir, p.connections); err != nil {
			return h.wrap(c, err)
		}
	}
	requests, turns, err := h.pace(entrants, p)
	if err != nil {
		return err
	}
	for range turns {
		for _, i := range rand.Perm(len(entrants)) {
			if err := entrants[i].turn(requests, p.turn/4); err != nil {
				return h.wrap(entrants[i].contender, err)
			}
		}
	}
	for i, e := range entrants {
		peak, err := peakMemory(e.server.pid())
		if err != nil {
			return err
		}
		r := &h.results[i]
		r.cpu = append(r.cpu, median(e.cpu))
		r.rate = append(r.rate, median(e.rate))
		r.firstByte = append(r.firstByte, median(e.firstByte))
		r.memory = append(r.memory, float64(peak)/(1<<20))
	}
	return nil
}

// pace warms all servers up, and returns how many requests make a turn, the
// same for all, and how many turns there are: fewer where pages take long.
func (h *heat) pace(entrants []*entrant, p plan) (requests, turns int, err error) {
	requests = p.connections
	for warming := range 3 {
		var slowest time.Duration
		for i, e := range entrants {
			took, err := e.visitor.load(requests)
			if err != nil {
				return 0, 0, h.wrap(e.contender, err)
			}
			slowest = max(slowest, took)
			if i == len(entrants)-1 && warming < 2 {
				// by the slowest, which in the beginning takes longer than later
				requests = max(p.connections, int(float64(requests)*float64(p.turn)/float64(slowest)))
			}
		}
		turns = max(3, int(min(1, 2*float64(p.turn)/float64(slowest))*float64(p.turns)))
	}
	return requests, min(turns, p.turns), nil
}

func (h *heat) wrap(c contender, err error) error {
	return fmt.Errorf("%s, %s, %s: %w", h.field.name, sizeName(h.size), c.name, err)
}

// enter starts the contender's server, and makes sure that it does what it is
// measured for.
func (e *entrant) enter(o *origin, size int, dir string, connections int) (err error) {
	if e.server, err = start(e.program, dir, o.address()); err != nil {
		return err
	}
	if e.visitor, err = newVisitor(e.server.listen, path(e.page, size), e.cookies, connections); err != nil {
		return err
	}
	return e.check(e.visitor, o.pages[path(e.page, size)])
}

func (e *entrant) leave() {
	if e.visitor != nil {
		e.visitor.close()
	}
	if e.server != nil {
		e.server.stop()
	}
}

// turn loads the server with so many requests, and then asks one by one, for
// about as long as alone says.
func (e *entrant) turn(requests int, alone time.Duration) error {
	before, err := idleCPUTime(e.server.pid())
	if err != nil {
		return err
	}
	took, err := e.visitor.load(requests)
	if err != nil {
		return err
	}
	after, err := idleCPUTime(e.server.pid())
	if err != nil {
		return err
	}
	firstBytes, err := e.visitor.firstBytes(alone)
	if err != nil {
		return err
	}
	e.cpu = append(e.cpu, microseconds(after-before)/float64(requests))
	e.rate = append(e.rate, float64(requests)/took.Seconds())
	for _, t := range firstBytes {
		e.firstByte = append(e.firstByte, microseconds(t))
	}
	return nil
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func sizeName(size int) string {
	if size < 1<<20 {
		return fmt.Sprintf("%d KB", size>>10)
	}
	return fmt.Sprintf("%d MB", size>>20)
}
