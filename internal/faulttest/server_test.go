package faulttest

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

// grace is longer than any round. A server that recovers on a machine with much else to do has taken longer than the default,
// and then a rotation that was done and not told is rightly taken for reuse.
const grace = 2 * roundTimeout

// patient is the configuration of stores whose server is away for longer than usual, on a machine that does much else.
var patient = repo.Config{Timeout: 2 * time.Minute, Grace: grace}

// startServer starts a server of the test's own, with gptoauth's schema.
func startServer(t testing.TB, options privatepg.Options) *privatepg.Server {
	t.Helper()
	server, err := privatepg.Start(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Log(err)
		}
	})
	db, err := repo.Open(t.Context(), databaseOf(server), repo.PoolConfig{MaxConns: 2, ReadTimeout: -1})
	require.NoError(t, err)
	require.NoError(t, migrations.Up(t.Context(), db))
	require.NoError(t, db.Close())
	return server
}

func databaseOf(server *privatepg.Server) string { return server.URL("postgres") }

// openStore opens a store with one connection a client.
func openStore(t testing.TB, dsn string, config repo.Config) *repo.Store {
	t.Helper()
	return openPool(t, dsn, config, repo.PoolConfig{MaxConns: crowdSize, ApplicationName: crowdName})
}

// crowdName tells the connections of the clients from those of the test.
const crowdName = "crowd"

func openPool(t testing.TB, dsn string, config repo.Config, pool repo.PoolConfig) *repo.Store {
	t.Helper()
	db, err := repo.Open(t.Context(), dsn, pool)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	store, err := repo.New(db, config)
	require.NoError(t, err)
	return store
}

// openDirect opens the store that the test itself looks with.
func openDirect(t testing.TB, dsn string) *repo.Store {
	t.Helper()
	return openPool(t, dsn, patient, repo.PoolConfig{MaxConns: 2, ReadTimeout: -1, ApplicationName: "the test"})
}

// logged counts the lines in the log of the server that contain a text.
func logged(t testing.TB, server *privatepg.Server, text string) int {
	t.Helper()
	content, err := os.ReadFile(server.LogFile())
	require.NoError(t, err)
	return strings.Count(string(content), text)
}

// emptyTables lets the next crowd begin with nothing.
func emptyTables(t testing.TB, direct *repo.Store) {
	t.Helper()
	_, err := direct.DB().ExecContext(t.Context(), `TRUNCATE public.gpt_authorization_codes, public.gpt_sessions,
		public.gpt_refresh_tokens, public.gpt_oauth_events`)
	require.NoError(t, err)
}
