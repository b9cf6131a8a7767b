package repo_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
)

func TestBatchesOfAJanitorAreObserved(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	store, janitor := janitorStore(t, repo.JanitorConfig{Observer: w, BatchSize: 200})
	loadDead(t, store, 1000)
	result, err := janitor.Purge(t.Context())
	require.NoError(t, err)
	calls := w.take()
	require.Len(t, calls, result.Batches+1)
	whole := calls[len(calls)-1]
	require.Equal(t, heard{repo.Observation{Attempts: 1}, "Janitor.Purge", ""}, whole)
	var counts repo.PurgeCounts
	var steps []string
	for _, batch := range calls[:len(calls)-1] {
		require.Equal(t, "Janitor.Batch", batch.op)
		require.Equal(t, "Janitor.Purge", batch.inside)
		require.NoError(t, batch.Err)
		counts = counts.Plus(batch.Purged)
		steps = append(steps, batch.Step)
	}
	require.NotZero(t, counts.Total())
	require.Equal(t, result.PurgeCounts, counts)
	require.Subset(t, steps, []string{"codes", "ended sessions", "expired sessions", "nonces", "events"})
}

// TestAnotherJanitorAtWorkIsNoFailure: most replicas find that, every hour.
func TestAnotherJanitorAtWorkIsNoFailure(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	skipped := false
	store, janitor := janitorStore(t, repo.JanitorConfig{Observer: w, Interval: time.Millisecond, OnPurge: func(r repo.PurgeResult, err error) {
		skipped = r.Skipped && err == nil
		cancel()
	}})
	require.NoError(t, store.DB().RunInTx(t.Context(), nil, func(txCtx context.Context, tx bun.Tx) error {
		_, err := tx.ExecContext(txCtx, "SELECT pg_advisory_xact_lock(?)", 0x6770746a)
		require.NoError(t, err)
		require.ErrorIs(t, janitor.Run(ctx), context.Canceled)
		return nil
	}))
	require.True(t, skipped)
	calls := w.take()
	require.Len(t, calls, 2)
	require.Equal(t, repo.Observation{Attempts: 1, Step: "codes"}, calls[0].Observation)
	require.Equal(t, repo.Observation{Attempts: 1}, calls[1].Observation)
}

// TestTheEndOfAContextIsNoFailureOfAJanitor, as it is with each deploy; but that there was no time for a purge is one.
func TestTheEndOfAContextIsNoFailureOfAJanitor(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	_, janitor := janitorStore(t, repo.JanitorConfig{Observer: w})
	deploy := errors.New("deploy")
	stopped, stop := context.WithCancelCause(t.Context())
	stop(deploy)
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for ctx, want := range map[context.Context][2]error{
		stopped: {deploy, nil},
		late:    {context.DeadlineExceeded, context.DeadlineExceeded},
	} {
		_, err := janitor.Purge(ctx)
		require.ErrorIs(t, err, want[0], "the caller is told")
		calls := w.take()
		require.Len(t, calls, 2)
		require.Equal(t, repo.Observation{Step: "codes", Err: want[1]}, calls[0].Observation, "nothing was sent")
		require.ErrorIs(t, calls[1].Err, want[1])
	}
}

// asking is a query hook that tells when the lock of the janitors has been asked for twice.
type asking struct {
	times atomic.Int32
	twice chan struct{}
}

func (*asking) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (a *asking) AfterQuery(_ context.Context, event *bun.QueryEvent) {
	if strings.Contains(event.Query, "pg_try_advisory_xact_lock") && a.times.Add(1) == 2 {
		close(a.twice)
	}
}

func TestWaitingForAnotherJanitorIsNoRepetition(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	store, _ := janitorStore(t, repo.JanitorConfig{})
	hook := &asking{twice: make(chan struct{})}
	janitor, err := repo.NewJanitor(store.DB().(*bun.DB).WithQueryHook(hook), repo.JanitorConfig{Observer: w})
	require.NoError(t, err)
	ended := make(chan error, 1)
	require.NoError(t, store.DB().RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(?)", 0x6770746a)
		require.NoError(t, err)
		go func() { ended <- second(janitor.Purge(t.Context())) }()
		<-hook.twice
		return nil
	}))
	require.NoError(t, <-ended)
	require.Equal(t, repo.Observation{Attempts: 1, Step: "codes"}, w.take()[0].Observation)
}

// TestTheErrorOfABatchHasTheNameThatIsObserved, so that a log of errors and a trace can be joined, and says which step it was.
func TestTheErrorOfABatchHasTheNameThatIsObserved(t *testing.T) {
	t.Parallel()
	w := &watcher{}
	store, janitor := janitorStore(t, repo.JanitorConfig{Observer: w})
	_, err := store.DB().ExecContext(t.Context(), "ALTER TABLE public.gpt_authorization_codes RENAME TO elsewhere")
	require.NoError(t, err)
	_, err = janitor.Purge(t.Context())
	var failure *repo.DatabaseError
	require.ErrorAs(t, err, &failure)
	require.Equal(t, "42P01", failure.SQLState())
	batch := w.take()[0]
	require.Equal(t, batch.op, failure.Op)
	require.ErrorContains(t, err, "repo: Janitor.Purge: repo: Janitor.Batch: refused: codes: ")
	require.Equal(t, 1, batch.Attempts)
}
