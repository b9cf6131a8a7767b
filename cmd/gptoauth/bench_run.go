package main

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"github.com/gptoauth/gptoauth/repo"
)

// benchTally adds up the runs of one operation at one concurrency.
type benchTally struct {
	latencies []time.Duration
	calls     int
	elapsed   time.Duration
	wal       float64
	commits   float64
	mallocs   uint64
	bytes     uint64
	cpu       time.Duration
}

// benchOne measures one operation at one concurrency, beside pgbench where that is wanted.
func (a *app) benchOne(ctx context.Context, d *benchDatabase, op benchOperation, clients int, options benchOptions) (benchResult, error) {
	kinds, pairs := []string{"library"}, 1
	if options.pgbench && op.pgbench && d.hasPgbench() {
		kinds, pairs = append(kinds, "function", "bare"), options.pairs
	}
	var tally benchTally
	ofFunction, ofLimit := []float64{}, []float64{} // null is no array in JSON
	for pair := range pairs {
		a.progressf("%s, %d clients, run %d of %d", op.name, clients, pair+1, pairs)
		perSecond := make(map[string]float64)
		for i := range kinds { // another one comes first each time
			kind := kinds[(i+pair)%len(kinds)]
			var err error
			if kind == "library" {
				perSecond[kind], err = d.runLibrary(ctx, op, clients, options.duration, &tally)
			} else {
				perSecond[kind], err = d.runPgbench(ctx, op.name, kind, clients, options.duration)
			}
			if err != nil {
				return benchResult{}, err
			}
		}
		if len(kinds) > 1 {
			ofFunction = append(ofFunction, perSecond["library"]/perSecond["function"])
			ofLimit = append(ofLimit, perSecond["library"]/perSecond["bare"])
		}
	}
	roundTrips, err := d.roundTrips(ctx, op)
	if err != nil {
		return benchResult{}, err
	}
	result := tally.result(op.name, clients)
	result.RoundTrips = roundTrips
	result.OfFunction, result.OfFunctionPairs = median(ofFunction), ofFunction
	result.OfLimit, result.OfLimitPairs = median(ofLimit), ofLimit
	return result, nil
}

// prepare makes a step for each client, over connections that are closed again.
func (d *benchDatabase) prepare(ctx context.Context, op benchOperation, clients int, duration time.Duration) ([]benchStep, error) {
	store, db, err := d.open(ctx, clients)
	if err != nil {
		return nil, err
	}
	defer db.Close() //nolint:errcheck // its calls are answered
	steps := make([]benchStep, clients)
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
func (d *benchDatabase) runLibrary(ctx context.Context, op benchOperation, clients int, duration time.Duration, tally *benchTally) (float64, error) {
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

func (t *benchTally) measure(ctx context.Context, store *repo.Store, steps []benchStep, duration time.Duration) (calls int, elapsed time.Duration, err error) {
	latencies := make([][]time.Duration, len(steps))
	for i := range latencies {
		latencies[i] = make([]time.Duration, 0, 1<<14) // growing it would be an allocation of the benchmark's own
	}
	counts := make([]int, len(steps))
	var before, after runtime.MemStats
	group, ctx := errgroup.WithContext(ctx)
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu, begin := processCPU(), time.Now()
	for i, step := range steps {
		group.Go(func() error {
			for time.Since(begin) < duration {
				start := time.Now()
				done, err := step(ctx, store)
				if err != nil || done == 0 {
					return err
				}
				latencies[i] = append(latencies[i], time.Since(start))
				counts[i] += done
			}
			return nil
		})
	}
	err = group.Wait()
	elapsed = time.Since(begin)
	t.cpu += processCPU() - cpu
	runtime.ReadMemStats(&after)
	t.elapsed += elapsed
	t.mallocs += after.Mallocs - before.Mallocs
	t.bytes += after.TotalAlloc - before.TotalAlloc
	t.latencies = append(t.latencies, slices.Concat(latencies...)...)
	for _, n := range counts {
		calls += n
	}
	t.calls += calls
	return calls, elapsed, err
}

func (t *benchTally) result(operation string, clients int) benchResult {
	slices.Sort(t.latencies)
	n := float64(max(t.calls, 1))
	return benchResult{
		Operation:  operation,
		Clients:    clients,
		Calls:      t.calls,
		PerSecond:  n / t.elapsed.Seconds(),
		P50MS:      t.quantile(0.50),
		P99MS:      t.quantile(0.99),
		Commits:    t.commits / n,
		WALBytes:   t.wal / n,
		Allocs:     float64(t.mallocs) / n,
		AllocBytes: float64(t.bytes) / n,
		CPUMicros:  float64(t.cpu.Microseconds()) / n,
	}
}

// quantile of the sorted latencies, in milliseconds.
func (t *benchTally) quantile(q float64) float64 {
	if len(t.latencies) == 0 {
		return 0
	}
	at := min(int(q*float64(len(t.latencies))), len(t.latencies)-1)
	return float64(t.latencies[at].Microseconds()) / 1000
}

// benchQueries is a query hook that counts: pgdriver sends each query as one message and waits for its answer.
type benchQueries struct{ n atomic.Int64 }

func (*benchQueries) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (q *benchQueries) AfterQuery(context.Context, *bun.QueryEvent) { q.n.Add(1) }

// roundTrips counts those of a call, in calls of their own, because a hook costs something.
func (d *benchDatabase) roundTrips(ctx context.Context, op benchOperation) (float64, error) {
	steps, err := d.prepare(ctx, op, 1, 10*time.Millisecond)
	if err != nil {
		return 0, err
	}
	queries := &benchQueries{}
	store, err := repo.New(d.db.WithQueryHook(queries), repo.Config{})
	if err != nil {
		return 0, err
	}
	calls := 0
	for range 10 {
		done, err := steps[0](ctx, store)
		if err != nil {
			return 0, err
		}
		if calls += done; done == 0 {
			break
		}
	}
	return float64(queries.n.Load()) / float64(max(calls, 1)), nil
}
