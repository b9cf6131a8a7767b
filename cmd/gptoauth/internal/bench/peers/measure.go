package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// warmUp is how many calls each client makes before the clock runs: its connection is open then, and what is prepared once is.
const warmUp = 5

// tally is what one peer did in one stretch of time.
type tally struct {
	calls   int64
	refused int64
	elapsed time.Duration
	wal     float64
	allocs  uint64
}

func (t *tally) perSecond() float64 { return float64(t.calls) / t.elapsed.Seconds() }

// add sums up runs. The time of the sum is that of all of them.
func (t *tally) add(other tally) {
	t.calls += other.calls
	t.refused += other.refused
	t.elapsed += other.elapsed
	t.wal += other.wal
	t.allocs += other.allocs
}

// measure lets each client call for a while.
func (d *database) measure(ctx context.Context, op operation, clients int, duration time.Duration) (tally, error) {
	s, err := d.peer.open(ctx, d.url, clients)
	if err != nil {
		return tally{}, fmt.Errorf("%s: %w", d.peer.name, err)
	}
	t, err := d.measureStore(ctx, s, op, clients, duration)
	if err = errors.Join(err, s.close()); err != nil {
		return tally{}, fmt.Errorf("%s, %s: %w", d.peer.name, op.name, err)
	}
	if t.calls == 0 {
		return tally{}, fmt.Errorf("%s, %s: not one call in %v", d.peer.name, op.name, duration)
	}
	return t, nil
}

func (d *database) measureStore(ctx context.Context, s store, op operation, clients int, duration time.Duration) (tally, error) {
	steps := make([]step, clients)
	err := parallel(ctx, clients, func(ctx context.Context, client int) error {
		var err error
		steps[client], err = op.prepare(ctx, s, client, duration)
		for i := 0; i < warmUp && err == nil; i++ {
			if _, err = steps[client](ctx); errors.Is(err, errRefused) {
				err = nil
			}
		}
		return err
	})
	if err != nil {
		return tally{}, err
	}
	if err := d.settle(ctx); err != nil {
		return tally{}, err
	}
	wal, err := d.wal(ctx)
	if err != nil {
		return tally{}, err
	}
	t, err := callAll(ctx, steps, duration)
	if err != nil {
		return tally{}, err
	}
	after, err := d.wal(ctx)
	t.wal = after - wal
	return t, err
}

// callAll ends when the time is up or the first client has nothing left to call with, so that it is always all that call.
func callAll(ctx context.Context, steps []step, duration time.Duration) (tally, error) {
	var calls, refused atomic.Int64
	var over atomic.Bool
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := time.Now()
	err := parallel(ctx, len(steps), func(ctx context.Context, client int) error {
		for !over.Load() && time.Since(begin) < duration {
			if err := ctx.Err(); err != nil { // not every peer asks
				return err
			}
			more, err := steps[client](ctx)
			switch {
			case errors.Is(err, errRefused):
				refused.Add(1)
			case err != nil:
				return err
			case more:
				calls.Add(1)
			default:
				over.Store(true)
			}
		}
		return nil
	})
	elapsed := time.Since(begin)
	runtime.ReadMemStats(&after)
	return tally{calls: calls.Load(), refused: refused.Load(), elapsed: elapsed, allocs: after.Mallocs - before.Mallocs}, err
}

func parallel(ctx context.Context, clients int, do func(ctx context.Context, client int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for client := range clients {
		group.Go(func() error { return do(ctx, client) })
	}
	return group.Wait()
}
