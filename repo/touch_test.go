package repo_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// newSessions makes sessions of one generation and returns their ids.
func newSessions(t *testing.T, store *repo.Store, n int) []uuid.UUID {
	t.Helper()
	ids := make([]uuid.UUID, n)
	for i := range ids {
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		ids[i] = session.SessionID
	}
	return ids
}

func TestTouchAll(t *testing.T) {
	t.Parallel()

	t.Run("ReturnsTheLivingOnce", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		ids := newSessions(t, store, 4)
		end(t, store, ids[1])
		repotest.AgeSession(t, store, ids[2], 31*24*time.Hour)

		alive, err := store.Sessions.TouchAll(t.Context(), append(ids, ids[0], uuid.New())...)
		require.NoError(t, err)
		require.ElementsMatch(t, []uuid.UUID{ids[0], ids[3]}, alive)

		alive, err = store.Sessions.TouchAll(t.Context(), ids[1])
		require.NoError(t, err)
		require.Empty(t, alive)
		alive, err = store.Sessions.TouchAll(t.Context())
		require.NoError(t, err)
		require.Empty(t, alive)
	})

	t.Run("WritesAtMostOnceAMinute", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		ids := newSessions(t, store, 2)
		fresh := get(t, store, ids[0]).LastActiveAt
		repotest.AgeSession(t, store, ids[1], time.Minute)
		for range 2 {
			_, err := store.Sessions.TouchAll(t.Context(), ids...)
			require.NoError(t, err)
		}
		require.Equal(t, fresh, get(t, store, ids[0]).LastActiveAt)
		require.WithinDuration(t, databaseNow(t, store), get(t, store, ids[1]).LastActiveAt, 5*time.Second)
	})

	t.Run("TouchesNothingThatIsOver", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{TouchInterval: repo.Off})
		ids := newSessions(t, store, 2)
		end(t, store, ids[0])
		repotest.AgeSession(t, store, ids[1], 31*24*time.Hour)
		before := []time.Time{get(t, store, ids[0]).LastActiveAt, get(t, store, ids[1]).LastActiveAt}
		_, err := store.Sessions.TouchAll(t.Context(), ids...)
		require.NoError(t, err)
		require.Equal(t, []time.Time{get(t, store, ids[0]).LastActiveAt, get(t, store, ids[1]).LastActiveAt}, before)
	})

	t.Run("WaitsForNoOne", func(t *testing.T) {
		t.Parallel()
		store := repotest.CommittingStore(t, repo.Config{TouchInterval: repo.Off}, 2)
		ids := newSessions(t, store, 2)
		before := get(t, store, ids[0]).LastActiveAt
		err := store.InTx(t.Context(), func(ctx context.Context, _ *repo.Store, tx bun.Tx) error {
			if _, err := tx.ExecContext(ctx, "SELECT FROM gpt_sessions WHERE id = ? FOR UPDATE", ids[0]); err != nil {
				return err
			}
			alive, err := store.Sessions.TouchAll(ctx, ids...)
			require.ElementsMatch(t, ids, alive)
			return err
		})
		require.NoError(t, err)
		require.Equal(t, before, get(t, store, ids[0]).LastActiveAt, "someone else had it")
		require.Greater(t, get(t, store, ids[1]).LastActiveAt, before)
	})

	t.Run("RefusesMoreThanAThousand", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		_, err := store.Sessions.TouchAll(t.Context(), make([]uuid.UUID, 1001)...)
		var bad *repo.InputError
		require.ErrorAs(t, err, &bad)
		alive, err := store.Sessions.TouchAll(t.Context(), make([]uuid.UUID, 1000)...)
		require.NoError(t, err)
		require.Empty(t, alive)
	})
}

// TestTouchesAreHeapOnly: on pages as full as they get, the first touch of each session and those that follow change no
// index; in batches most. On a server of its own, because a transaction of any other test would keep dead rows in place.
func TestTouchesAreHeapOnly(t *testing.T) {
	t.Parallel()
	server, err := privatepg.Start(t.Context(), privatepg.Options{Settings: map[string]string{"autovacuum": "off"}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.WithoutCancel(t.Context())) })
	db := open(t, server.URL("postgres"), repo.PoolConfig{MaxConns: 1})
	require.NoError(t, migrations.Up(t.Context(), db))
	store, err := repo.New(db, repo.Config{TouchInterval: repo.Off})
	require.NoError(t, err)

	ids := newSessions(t, store, 200)
	touchEach := func() {
		for _, id := range ids {
			alive, err := store.Sessions.Touch(t.Context(), id)
			require.NoError(t, err)
			require.True(t, alive)
		}
	}
	touchEach()
	touchEach()
	updated, heapOnly := updates(t, store)
	require.Equal(t, 400, updated)
	require.Equal(t, 400, heapOnly)

	for batch := range 20 {
		_, err := store.Sessions.TouchAll(t.Context(), ids[batch*10:batch*10+10]...)
		require.NoError(t, err)
	}
	updated, heapOnly = updates(t, store)
	require.Equal(t, 600, updated)
	require.Greater(t, heapOnly-400, 100, "a batch of neighbours fills their page before it can be tidied")
}

// updates counts those of sessions so far. The store's one connection reports its own.
func updates(t *testing.T, store *repo.Store) (all, heapOnly int) {
	t.Helper()
	for range 2 { // what is flushed is there at the end of the statement
		require.NoError(t, store.DB().QueryRowContext(t.Context(), `
			SELECT n_tup_upd, n_tup_hot_upd
			  FROM pg_stat_force_next_flush(), pg_stat_user_tables
			 WHERE relname = 'gpt_sessions'`).Scan(&all, &heapOnly))
	}
	return all, heapOnly
}
