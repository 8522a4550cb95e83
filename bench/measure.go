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
	profile     time.Duration // that a CPU profile takes
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
	cpuRatio  []float64 // to the first contender's
	rate      []float64 // requests per second
	firstByte []float64 // microseconds
	memory    float64   // the most that was resident in a process of its own, in MB
}

// entrant is a contender in a round: its server, and who asks it.
type entrant struct {
	contender
	server  *server // whose process it may share with others
	visitor *visitor

	cpu, rate, firstByte []float64 // of each turn, and of each answer
}

// round measures all contenders once more. They take turns, each time in
// another order, so that whatever else the machine does meets all of them. All
// sites of a program are in one process, since two processes of the same
// program may differ by a quarter: by where their memory lies, or how long the
// chains of their hash tables are. That is dealt anew for each round.
func (h *heat) round(o *origin, dir string, p plan) error {
	entrants, leave, err := h.enter(o, dir, p)
	defer leave()
	if err != nil {
		return err
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
		r := &h.results[i]
		r.cpu = append(r.cpu, median(e.cpu))
		r.cpuRatio = append(r.cpuRatio, ratios(e.cpu, entrants[0].cpu).median)
		r.rate = append(r.rate, median(e.rate))
		r.firstByte = append(r.firstByte, median(e.firstByte))
	}
	return nil
}

// enter starts a server for each program, and makes sure that every contender
// does what it is measured for. leave ends what was started, also after an
// error.
func (h *heat) enter(o *origin, dir string, p plan) (entrants []*entrant, leave func(), err error) {
	sites := make(map[*program][]string)
	for _, c := range h.field.contenders {
		sites[c.program] = append(sites[c.program], c.directives)
	}
	servers := make(map[*program]*server)
	leave = func() {
		for _, e := range entrants {
			e.visitor.close()
		}
		for _, s := range servers {
			s.stop()
		}
	}
	taken := make(map[*program]int)
	for _, c := range h.field.contenders {
		if servers[c.program] == nil {
			s, err := start(c.program, sites[c.program], dir, o.address())
			if err != nil {
				return entrants, leave, h.wrap(c, err)
			}
			servers[c.program] = s
		}
		s := servers[c.program]
		e, err := c.meet(s, s.sites[taken[c.program]].listen, o, h.size, p.connections)
		if err != nil {
			return entrants, leave, h.wrap(c, err)
		}
		taken[c.program]++
		entrants = append(entrants, e)
	}
	return entrants, leave, nil
}

// meet sends a visitor to a server's site.
func (c contender) meet(s *server, address string, o *origin, size, connections int) (*entrant, error) {
	v, err := newVisitor(address, path(c.page, size), c.cookies, connections)
	if err != nil {
		return nil, err
	}
	if err := c.check(v, o.pages[path(c.page, size)]); err != nil {
		v.close()
		return nil, err
	}
	return &entrant{contender: c, server: s, visitor: v}, nil
}

// alone calls do with the contender in a process of its own.
func (h *heat) alone(c contender, o *origin, dir string, p plan, do func(*entrant) error) error {
	s, err := start(c.program, []string{c.directives}, dir, o.address())
	if err != nil {
		return h.wrap(c, err)
	}
	defer s.stop()
	e, err := c.meet(s, s.sites[0].listen, o, h.size, p.connections)
	if err != nil {
		return h.wrap(c, err)
	}
	defer e.visitor.close()
	if err := do(e); err != nil {
		return h.wrap(c, err)
	}
	return nil
}

// memory measures what each contender needs under load.
func (h *heat) memory(o *origin, dir string, p plan) error {
	for i, c := range h.field.contenders {
		err := h.alone(c, o, dir, p, func(e *entrant) error {
			for start := time.Now(); time.Since(start) < 10*p.turn; {
				if _, err := e.visitor.load(10 * p.connections); err != nil {
					return err
				}
			}
			peak, err := peakMemory(e.server.pid())
			h.results[i].memory = float64(peak) / (1 << 20)
			return err
		})
		if err != nil {
			return err
		}
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
