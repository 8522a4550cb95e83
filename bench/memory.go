package main

import (
	"context"
	"time"
)

// memoryTime is how long each size is asked for.
const memoryTime = 250 * time.Millisecond

// measureMemory loads a process for each contender of a field, and notes the
// most that it has had resident by the end of each size, smaller pages first.
func (b *bench) measureMemory(ctx context.Context, heats []*heat) error {
	for i := range heats[0].field.contenders {
		if err := b.measurePeak(ctx, heats, i); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) measurePeak(ctx context.Context, heats []*heat, i int) error {
	r, c := b.running(), heats[0].field.contenders[i]
	defer r.stop()
	for _, h := range heats {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e, err := r.enter(c, h.size)
		if err != nil {
			return h.wrap(c, err)
		}
		if _, _, err := e.visitor.load(memoryTime); err != nil {
			return h.wrap(c, err)
		}
		peak, err := peakMemory(e.server.pid())
		if err != nil {
			return h.wrap(c, err)
		}
		h.memory[i] = float64(peak) / (1 << 20)
	}
	return nil
}
