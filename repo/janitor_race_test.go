package repo_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// A session that looks dead to the janitor may be given a new token at that moment. It is then either gone before, or
// untouched.
func TestPurgeRacingRotationsTakesSessionsWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	expiring := make(chan struct{})
	began := sync.OnceFunc(func() { close(expiring) })
	store, janitor := janitorStore(t, repo.JanitorConfig{BatchSize: 20, OnBatch: func(b repo.Batch) {
		if b.Step == "expired sessions" {
			began()
		}
	}})
	loadDead(t, store, 1000)
	_, err := newJanitor(t, store, repo.JanitorConfig{Sessions: repo.Off}).Purge(t.Context())
	require.NoError(t, err)
	var ids []uuid.UUID
	require.NoError(t, store.DB().NewSelect().TableExpr("gpt_sessions").Column("id").Where("ended_at IS NULL").OrderExpr("random()").Scan(t.Context(), &ids))
	require.Len(t, ids, 500)

	var revived sync.Map
	var working sync.WaitGroup
	for worker := range 2 {
		working.Go(func() {
			<-expiring
			for i := worker; i < len(ids); i += 2 {
				ok, err := revive(t.Context(), store, ids[i])
				if err != nil {
					t.Error(err)
				}
				if ok {
					revived.Store(ids[i], true)
				}
			}
		})
	}
	for range 2 {
		working.Go(func() {
			_, err := janitor.Purge(t.Context())
			if err != nil {
				t.Error(err)
			}
		})
	}
	working.Wait()
	_, err = janitor.Purge(t.Context())
	require.NoError(t, err)
	requireNoOrphans(t, janitor)

	n := 0
	revived.Range(func(id, _ any) bool {
		n++
		requireActive(t, store, id.(uuid.UUID), true)
		require.Equal(t, 4, count(t, store, "gpt_refresh_tokens", "session_id = ?", id))
		return true
	})
	require.Equal(t, n, count(t, store, "gpt_sessions", "TRUE"))
	t.Logf("%d of %d sessions were revived in time", n, len(ids))
}

// revive does what a rotation does, for a session whose token has expired.
func revive(ctx context.Context, store *repo.Store, session uuid.UUID) (ok bool, err error) {
	err = store.InTx(ctx, func(ctx context.Context, _ *repo.Store, tx bun.Tx) error {
		var locked []uuid.UUID
		if err := tx.NewRaw("SELECT id FROM public.gpt_sessions WHERE id = ? FOR NO KEY UPDATE", session).Scan(ctx, &locked); err != nil || len(locked) == 0 {
			return err
		}
		ok = true
		_, err := tx.ExecContext(ctx, `
			WITH successor AS (
				INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at)
				SELECT ?1, ?1::text, s.clerk_user_id, s.id, now() + interval '1 day' FROM public.gpt_sessions AS s WHERE s.id = ?0
			), presented AS (
				UPDATE public.gpt_refresh_tokens AS t SET rotated_to = ?1, revoked_at = now()
				  FROM public.gpt_sessions AS s WHERE s.id = ?0 AND t.id = s.refresh_token_id
			)
			UPDATE public.gpt_sessions SET refresh_token_id = ?1 WHERE id = ?0`, session, uuid.New())
		return err
	})
	return ok && err == nil, err
}

// soloArchive notices when it is used by two at once.
type soloArchive struct {
	working, clashes, lines atomic.Int32
}

func (a *soloArchive) Write(p []byte) (int, error) {
	if a.working.Add(1) > 1 {
		a.clashes.Add(1)
	}
	for _, c := range p {
		if c == '\n' {
			a.lines.Add(1)
		}
	}
	return len(p), nil
}

func (a *soloArchive) Sync() error {
	time.Sleep(time.Millisecond) // a disk's
	a.working.Add(-1)
	return nil
}

func TestPurgeByManyReplicasAtOnceWorksOneAtATime(t *testing.T) {
	t.Parallel()
	archive := &soloArchive{}
	store, janitor := janitorStore(t, repo.JanitorConfig{BatchSize: 50, Archive: archive})
	loadDead(t, store, 300)
	due, err := janitor.Count(t.Context())
	require.NoError(t, err)

	results := make([]repo.PurgeResult, 4)
	var working sync.WaitGroup
	for i := range results {
		working.Go(func() {
			var err error
			if results[i], err = newJanitor(t, store, repo.JanitorConfig{BatchSize: 50, Archive: archive}).Purge(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	working.Wait()
	total := 0
	for _, result := range results {
		total += result.Total()
	}
	require.Equal(t, due.Total(), total, "nothing is counted twice")
	require.Zero(t, archive.clashes.Load())
	require.EqualValues(t, due.Events, archive.lines.Load())
	requireNoOrphans(t, janitor)
}

func TestPurgeInterruptedAnywhereCanGoOn(t *testing.T) {
	t.Parallel()
	store, janitor := janitorStore(t, repo.JanitorConfig{})
	loadDead(t, store, 100)
	due, err := janitor.Count(t.Context())
	require.NoError(t, err)

	interrupted := errors.New("interrupted")
	var done repo.PurgeCounts
	for rounds := 0; ; rounds++ {
		ctx, cancel := context.WithCancelCause(t.Context())
		interrupting := newJanitor(t, store, repo.JanitorConfig{BatchSize: 100, OnBatch: func(b repo.Batch) {
			if b.Total() > 0 {
				cancel(interrupted)
			}
		}})
		result, err := interrupting.Purge(ctx)
		cancel(nil)
		done = done.Plus(result.PurgeCounts)
		requireNoOrphans(t, janitor)
		if err == nil {
			require.Greater(t, rounds, 5)
			break
		}
		require.ErrorIs(t, err, interrupted)
	}
	require.Equal(t, due, done)
}

func TestPurgeOutlivesItsConnections(t *testing.T) {
	t.Parallel()
	url := repotest.URL(t)
	killer, err := repo.Open(t.Context(), url, repo.PoolConfig{MaxConns: 1})
	require.NoError(t, err)
	defer killer.Close()
	db, err := repo.Open(t.Context(), url, repo.PoolConfig{})
	require.NoError(t, err)
	defer db.Close()
	store, err := repo.New(db, repo.Config{})
	require.NoError(t, err)
	janitor := newJanitor(t, store, repo.JanitorConfig{BatchSize: 50})
	loadDead(t, store, 300)

	stop := make(chan struct{})
	var killing sync.WaitGroup
	killing.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
			}
			if _, err := killer.ExecContext(t.Context(), `
				SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				 WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'`); err != nil {
				t.Error(err)
			}
		}
	})
	_, err = janitor.Purge(t.Context())
	close(stop)
	killing.Wait()
	require.NoError(t, err)
	requireNoOrphans(t, janitor)
	due, err := janitor.Count(t.Context())
	require.NoError(t, err)
	require.Zero(t, due.Total())
}
