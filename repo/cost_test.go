package repo_test

import (
	"context"
	"database/sql"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// countingConn counts the messages that are sent: pgdriver writes each with one call.
type countingConn struct {
	net.Conn

	sent *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	c.sent.Add(1)
	return c.Conn.Write(b)
}

// TestOneRoundTripAndOneCommit counts on the wire and in the server.
func TestOneRoundTripAndOneCommit(t *testing.T) {
	t.Parallel()
	const calls = 40
	var sent atomic.Int64
	sqlDB := sql.OpenDB(pgdriver.NewConnector(pgdriver.WithDSN(repotest.URL(t)), func(c *pgdriver.Config) {
		c.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			return countingConn{conn, &sent}, err
		}
		c.TLSConfig = nil // the server of the tests is on this machine
	}))
	defer sqlDB.Close()
	sqlDB.SetMaxOpenConns(1)
	store, err := repo.New(bun.NewDB(sqlDB, pgdialect.New()), repo.Config{TouchInterval: repo.Off})
	require.NoError(t, err)

	commits := func() int64 {
		var n int64
		for range 2 { // what is flushed is there at the end of the statement
			require.NoError(t, sqlDB.QueryRowContext(t.Context(), `
				SELECT xact_commit FROM pg_stat_force_next_flush(), pg_stat_database WHERE datname = current_database()`).Scan(&n))
		}
		return n
	}
	sessions := make([]repotest.Session, calls)
	codes := make([]repotest.Code, calls)
	for i := range calls {
		sessions[i] = repotest.NewSession(t, store, repo.IssueParams{}, 0)
		codes[i] = repotest.NewCode(t, store, repo.IssueParams{})
	}
	for _, call := range []struct {
		name string
		do   func(i int)
	}{
		{"Exchange", func(i int) { exchange(t, store, codes[i].Request()) }},
		{"Touch", func(i int) {
			_, err := store.Sessions.Touch(t.Context(), sessions[i].SessionID)
			require.NoError(t, err)
		}},
		{"Lookup", func(i int) {
			_, err := store.RefreshTokens.Lookup(t.Context(), sessions[i].Tokens[0])
			require.NoError(t, err)
		}},
		{"Rotate", func(i int) { rotate(t, store, sessions[i].Request(0)) }},
		{"End", func(i int) { end(t, store, sessions[i].SessionID) }},
	} {
		committed, messages := commits(), sent.Load()
		for i := range calls {
			call.do(i)
		}
		require.EqualValues(t, calls, sent.Load()-messages, call.name)
		require.InDelta(t, calls, commits()-committed, calls/4, "%s, those of the counting and of the server itself aside", call.name)
	}
}

// TestLongFamily: what concerns a session costs the same after ten thousand rotations as after one.
func TestLongFamily(t *testing.T) {
	t.Parallel()
	const generations = 10_000

	t.Run("EndingTouchesTwoRows", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		lengthenFamily(t, store, session, generations)
		before := tupleWork(t, store)
		end(t, store, session.SessionID)
		after := tupleWork(t, store)
		require.Equal(t, 1, after.sessions-before.sessions)
		require.Equal(t, 1, after.tokens-before.tokens)
		require.LessOrEqual(t, after.read-before.read, 10)
		require.Equal(t, generations+1, count(t, store, "gpt_refresh_tokens", "session_id = ? AND revoked_at IS NOT NULL", session.SessionID))
	})

	t.Run("ReuseIsFoundByALookup", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		lengthenFamily(t, store, session, generations)
		before := tupleWork(t, store)
		require.Equal(t, repo.Reused, rotate(t, store, session.Request(0)).Outcome, "the oldest of all")
		after := tupleWork(t, store)
		require.Equal(t, 1, after.sessions-before.sessions)
		require.Equal(t, 1, after.tokens-before.tokens)
		require.LessOrEqual(t, after.read-before.read, 10)
		requireAlive(t, store, session.SessionID, false)
	})
}

// lengthenFamily gives a session of one generation so many more.
func lengthenFamily(t *testing.T, store *repo.Store, session repotest.Session, generations int) {
	t.Helper()
	_, err := store.DB().ExecContext(t.Context(), `
		WITH new AS (
			SELECT g, gen_random_uuid() AS id FROM generate_series(1, ?0) AS g
		), chain AS (
			SELECT g, id, lead(id) OVER (ORDER BY g) AS next FROM new
		), tokens AS (
			INSERT INTO gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at, revoked_at, rotated_to)
			SELECT id, encode(sha256(id::text::bytea), 'hex'), ?2, ?1, now() + interval '30 days', CASE WHEN next IS NOT NULL THEN now() END, next
			  FROM chain
		), first AS (
			UPDATE gpt_refresh_tokens SET rotated_to = (SELECT id FROM new WHERE g = 1), revoked_at = now() WHERE id = ?3
		)
		UPDATE gpt_sessions SET refresh_token_id = (SELECT id FROM new WHERE g = ?0) WHERE id = ?1`,
		generations, session.SessionID, session.ClerkUserID, session.RefreshTokenID)
	require.NoError(t, err)
	// The connection may have planned for tables that were nearly empty, and reads such from end to end.
	_, err = store.DB().ExecContext(t.Context(), "ANALYZE public.gpt_refresh_tokens, public.gpt_sessions")
	require.NoError(t, err)
}

// tupleCounts is what the transaction of the store has done so far: rows it updated, and rows of tokens and sessions it
// read, by index or otherwise.
type tupleCounts struct{ sessions, tokens, read int }

func tupleWork(t *testing.T, store *repo.Store) tupleCounts {
	t.Helper()
	var n tupleCounts
	require.NoError(t, store.DB().QueryRowContext(t.Context(), `
		SELECT pg_stat_get_xact_tuples_updated('gpt_sessions'::regclass),
		       pg_stat_get_xact_tuples_updated('gpt_refresh_tokens'::regclass),
		       sum(pg_stat_get_xact_tuples_fetched(c) + pg_stat_get_xact_tuples_returned(c))
		  FROM (VALUES ('gpt_sessions'::regclass), ('gpt_refresh_tokens')) AS v (c)`).Scan(&n.sessions, &n.tokens, &n.read))
	return n
}
