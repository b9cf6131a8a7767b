package faulttest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
)

// TestCrash ends the processes of the server.
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, fault := range []struct {
		name    string
		inflict func(t *testing.T, server *privatepg.Server, direct *repo.Store)
		// loses: answers get lost, so that a naive store must be found out. When the postmaster is killed, the processes that
		// serve the clients end only after what they have begun, so that it takes dozens of rounds.
		loses bool
	}{
		{"BackendsTerminated", terminateBackends, true},
		{"StoppedAtOnce", func(t *testing.T, server *privatepg.Server, _ *repo.Store) {
			require.NoError(t, server.StopImmediate(t.Context()))
			require.NoError(t, server.StartAgain(t.Context()))
		}, true},
		{"PostmasterKilled", func(t *testing.T, server *privatepg.Server, _ *repo.Store) {
			require.NoError(t, server.Kill())
			require.NoError(t, server.StartAgain(t.Context()))
		}, false},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			// What is logged at the end of a statement takes time between COMMIT and its answer. A crash that falls into that
			// time is the one that a naive store does not bear.
			server := startServer(t, privatepg.Options{Settings: map[string]string{"log_statement_stats": "on"}})
			direct := openDirect(t, databaseOf(server))
			store := openStore(t, databaseOf(server), patient)
			inflict := func(t *testing.T) { fault.inflict(t, server, direct) }
			t.Run("TheStoreLosesNothing", func(t *testing.T) {
				newCrowd(t, store, crowdSize).suffer(t, direct, inflict)
			})
			if fault.loses {
				t.Run("NaiveIsCaught", func(t *testing.T) {
					emptyTables(t, direct)
					naiveCrowd(store).sufferUntilCaught(t, direct, inflict)
				})
			}
		})
	}
}

// terminateBackends ends the connections of the clients, again and again.
func terminateBackends(t *testing.T, _ *privatepg.Server, direct *repo.Store) {
	t.Helper()
	terminated := 0
	for terminated < 3*crowdSize {
		var n int
		err := direct.DB().QueryRowContext(t.Context(), `SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))
			FROM pg_stat_activity WHERE application_name = ? AND state = 'active'`, crowdName).Scan(&n)
		require.NoError(t, err)
		terminated += n
	}
}

// TestOutOfConnections takes every connection of the server, those of the clients included, and lets go of them later.
func TestOutOfConnections(t *testing.T) {
	t.Parallel()
	const hogName = "hog"
	server := startServer(t, privatepg.Options{Settings: map[string]string{"max_connections": "40"}})
	direct := openDirect(t, databaseOf(server))
	newCrowd(t, openStore(t, databaseOf(server), patient), crowdSize).suffer(t, direct, func(t *testing.T) {
		const refusal = "too many clients already"
		before := logged(t, server, refusal)
		hog := openPool(t, databaseOf(server), patient, repo.PoolConfig{MaxConns: 40, ApplicationName: hogName})
		ctx, release := context.WithCancel(t.Context())
		defer release()
		for range 40 {
			go func() { // insists until it has a connection
				for ctx.Err() == nil {
					_, _ = hog.DB().ExecContext(ctx, "SELECT pg_sleep(60)")
				}
			}()
		}
		require.Eventually(t, func() bool {
			terminate(t, direct, crowdName)
			return logged(t, server, refusal) > before+crowdSize
		}, time.Minute, 10*time.Millisecond, "the fault broke nothing")
		release()
		require.NoError(t, hog.DB().(*bun.DB).Close())
		require.Eventually(t, func() bool { return terminate(t, direct, hogName) == 0 }, time.Minute, 10*time.Millisecond)
	})
}

// terminate ends connections by their name, and returns how many there were.
func terminate(t *testing.T, direct *repo.Store, name string) (n int) {
	t.Helper()
	err := direct.DB().QueryRowContext(t.Context(),
		"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = ?", name).Scan(&n)
	require.NoError(t, err)
	return n
}

// TestTimeouts holds a lock that every call needs, until calls have been given up by the server: by the timeout of the
// statement, which is the shorter one in the first case, or by that of the lock, which the functions set to 3 seconds.
func TestTimeouts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config repo.Config
		reason string
	}{
		"Statement": {repo.Config{StatementTimeout: 200 * time.Millisecond, Timeout: 2 * time.Minute, Grace: grace}, "canceling statement due to statement timeout"},
		"Lock":      {repo.Config{StatementTimeout: 20 * time.Second, Timeout: 2 * time.Minute, Grace: grace}, "canceling statement due to lock timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, privatepg.Options{})
			direct := openDirect(t, databaseOf(server))
			store := openPool(t, databaseOf(server), test.config, repo.PoolConfig{MaxConns: crowdSize, ReadTimeout: 30 * time.Second})
			newCrowd(t, store, crowdSize).suffer(t, direct, func(t *testing.T) {
				before := logged(t, server, test.reason)
				tx, err := direct.DB().BeginTx(t.Context(), nil)
				require.NoError(t, err)
				defer tx.Rollback()
				_, err = tx.ExecContext(t.Context(), "LOCK TABLE public.gpt_sessions IN ACCESS EXCLUSIVE MODE")
				require.NoError(t, err)
				require.Eventually(t, func() bool { return logged(t, server, test.reason) >= before+crowdSize },
					time.Minute, 10*time.Millisecond, "the fault broke nothing")
			})
		})
	}
}
