package main

import (
	"time"
)

// connections to a site.
const connections = 4

// running are the servers of a round, one of each program, and whoever asks
// them.
type running struct {
	*bench
	servers map[*program]*server
	pools   map[string][]*connection // by address
}

// entrant is a contender that is ready: its server, and who asks it.
type entrant struct {
	contender
	server  *server
	visitor *visitor
}

// enter starts the contender's server if it does not run yet, and makes sure
// that the contender does what it is measured for.
func (r *running) enter(c contender, size int) (*entrant, error) {
	s := r.servers[c.program]
	if s == nil {
		var err error
		if s, err = start(c.program, r.dir, r.origin.address(), r.folder()); err != nil {
			return nil, err
		}
		r.servers[c.program] = s
	}
	address := s.sites[c.site]
	if r.pools[address] == nil {
		var err error
		if r.pools[address], err = dial(address, connections); err != nil {
			return nil, err
		}
	}
	pool := r.pools[address]
	if size > 64<<10 || c.site != passing && size > 8<<10 {
		pool = pool[:1] // a page at a time is load enough, and a turn is over soon
	}
	v := newVisitor(pool, c.host, path(c.page, size), c.cookies)
	return &entrant{c, s, v}, c.check(v, r.origin.pages[path(c.page, size)])
}

func (r *running) stop() {
	for _, pool := range r.pools {
		for _, c := range pool {
			c.Close()
		}
	}
	for _, s := range r.servers {
		s.stop()
	}
}

// repeat does rounds while there is time for most of one more, one at least. Each has
// servers that are started anew.
func (b *bench) repeat(round func(*running) error) error {
	for n := 1; ; n++ {
		start := time.Now()
		r := b.running()
		err := round(r)
		r.stop()
		if err != nil {
			return err
		}
		progress("round %d, after %.0f of %.0f s", n, time.Since(b.begin).Seconds(), b.time.Seconds())
		if time.Since(b.begin)+time.Since(start)/2 > b.time {
			return nil
		}
	}
}
