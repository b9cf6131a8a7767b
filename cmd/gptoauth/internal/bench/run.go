package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"
)

// Measure takes one operation at one concurrency, beside pgbench where that is wanted and there.
func (d *Database) Measure(ctx context.Context, name string, clients int) (Result, error) {
	result, err := d.measure(ctx, operations[name], clients)
	if err != nil {
		return result, fmt.Errorf("%s with %d clients: %w", name, clients, err)
	}
	return result, nil
}

func (d *Database) measure(ctx context.Context, op operation, clients int) (Result, error) {
	kinds, pairs := []string{"library"}, 1
	if d.options.Pgbench && op.pgbench && d.hasPgbench() {
		kinds, pairs = append(kinds, "function", "bare"), d.options.Pairs
	}
	var tally tally
	ofFunction, ofLimit := []float64{}, []float64{} // null is no array in JSON
	for pair := range pairs {
		d.options.Progress("%s, %d clients, run %d of %d", op.name, clients, pair+1, pairs)
		perSecond := make(map[string]float64)
		for i := range kinds { // another one comes first each time
			kind := kinds[(i+pair)%len(kinds)]
			var err error
			if kind == "library" {
				perSecond[kind], err = d.runLibrary(ctx, op, clients, d.options.Duration, &tally)
			} else {
				perSecond[kind], err = d.runPgbench(ctx, op.name, kind, clients, d.options.Duration)
			}
			if err != nil {
				return Result{}, err
			}
		}
		if len(kinds) > 1 {
			ofFunction = append(ofFunction, perSecond["library"]/perSecond["function"])
			ofLimit = append(ofLimit, perSecond["library"]/perSecond["bare"])
		}
	}
	roundTrips, err := d.roundTrips(ctx, op)
	if err != nil {
		return Result{}, err
	}
	result := tally.result(op.name, clients)
	result.RoundTrips = roundTrips
	result.OfFunction, result.OfFunctionPairs = median(ofFunction), ofFunction
	result.OfLimit, result.OfLimitPairs = median(ofLimit), ofLimit
	return result, nil
}

// prepare makes a step for each client, over connections that are closed again.
func (d *Database) prepare(ctx context.Context, op operation, clients int, duration time.Duration) ([]step, error) {
	store, db, err := d.open(ctx, clients)
	if err != nil {
		return nil, err
	}
	defer db.Close() //nolint:errcheck // its calls are answered
	steps := make([]step, clients)
	group, ctx := errgroup.WithContext(ctx)
	for i := range steps {
		group.Go(func() error {
			var err error
			steps[i], err = op.prepare(ctx, store, duration)
			return err
		})
	}
	return steps, group.Wait()
}

// runLibrary lets each client call for a while and returns the calls a second.
func (d *Database) runLibrary(ctx context.Context, op operation, clients int, duration time.Duration, tally *tally) (float64, error) {
	steps, err := d.prepare(ctx, op, clients, duration)
	if err != nil {
		return 0, err
	}
	before, err := d.counters(ctx)
	if err != nil {
		return 0, err
	}
	store, db, err := d.open(ctx, clients)
	if err != nil {
		return 0, err
	}
	defer db.Close() //nolint:errcheck // its calls are answered
	if err := connectAll(ctx, db, clients); err != nil {
		return 0, err
	}

	calls, elapsed, err := tally.measure(ctx, store, steps, duration)
	if err != nil {
		return 0, err
	}
	if err := db.Close(); err != nil { // which makes the server count what was done on them
		return 0, err
	}
	after, err := d.counters(ctx)
	tally.wal += after.wal - before.wal
	tally.commits += after.commits - before.commits
	return float64(calls) / elapsed.Seconds(), err
}

// connectAll opens every connection before the clock runs.
func connectAll(ctx context.Context, db *bun.DB, clients int) error {
	conns := make([]bun.Conn, 0, clients)
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	for range clients {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		conns = append(conns, conn)
	}
	return nil
}
