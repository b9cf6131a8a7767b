package bench

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
)

// queryCounter is a query hook that counts: pgdriver sends each query as one message and waits for its answer.
type queryCounter struct{ n atomic.Int64 }

func (*queryCounter) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (q *queryCounter) AfterQuery(context.Context, *bun.QueryEvent) { q.n.Add(1) }

// roundTrips counts those of a call, in calls of their own, because a hook costs something.
func (d *Database) roundTrips(ctx context.Context, op operation) (float64, error) {
	steps, err := d.prepare(ctx, op, 1, 10*time.Millisecond)
	if err != nil {
		return 0, err
	}
	queries := &queryCounter{}
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
