package bench

import (
	"context"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gptoauth/gptoauth/repo"
)

// tally adds up the runs of one operation at one concurrency.
type tally struct {
	latencies []time.Duration
	calls     int
	elapsed   time.Duration
	wal       float64
	commits   float64
	mallocs   uint64
	bytes     uint64
	cpu       time.Duration
}

func (t *tally) measure(ctx context.Context, store *repo.Store, steps []step, duration time.Duration) (calls int, elapsed time.Duration, err error) {
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

func (t *tally) result(operation string, clients int) Result {
	slices.Sort(t.latencies)
	n := float64(max(t.calls, 1))
	return Result{
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
func (t *tally) quantile(q float64) float64 {
	if len(t.latencies) == 0 {
		return 0
	}
	at := min(int(q*float64(len(t.latencies))), len(t.latencies)-1)
	return float64(t.latencies[at].Microseconds()) / 1000
}

// median is nil for no values.
func median(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return &sorted[middle]
	}
	mean := (sorted[middle-1] + sorted[middle]) / 2
	return &mean
}
