package faulttest

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// TestUnsure is where repetition inside a call ends: the server has done what was asked, and cannot be reached until the
// deadline. What a client may do then differs.
func TestUnsure(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	direct := openDirect(t, databaseOf(server))
	relay, dsn := startRelay(t, databaseOf(server))
	store := openPool(t, dsn, repo.Config{Timeout: 200 * time.Millisecond}, repo.PoolConfig{MaxConns: 1})
	// loseAnswer makes a call whose answer gets lost, after which there is no way to the server any more.
	loseAnswer := func(call func() error) {
		t.Helper()
		_, err := store.DB().ExecContext(t.Context(), "SELECT 1")
		require.NoError(t, err)
		relay.turnNewTo("127.0.0.1:1")
		defer relay.turnTo(hostOf(t, databaseOf(server)))
		relay.arm(downstream, 0)
		failure, ok := errors.AsType[*repo.DatabaseError](call())
		require.True(t, ok)
		require.Equal(t, repo.Unsure, failure.Effect)
	}

	t.Run("ATokenMayBeSentAgain", func(t *testing.T) {
		session := repotest.NewSession(t, direct, repo.IssueParams{}, 0)
		loseAnswer(func() error {
			_, err := store.RefreshTokens.Rotate(t.Context(), session.Request(0))
			return err
		})
		again, err := direct.RefreshTokens.Rotate(t.Context(), session.Request(0))
		require.NoError(t, err)
		require.Equal(t, repo.Retried, again.Outcome)
		looked, err := direct.RefreshTokens.Lookup(t.Context(), string(again.RefreshToken))
		require.NoError(t, err)
		require.True(t, looked.Active)
	})

	// No code is spent twice (RFC 6749 4.1.2), whoever presents it: the client begins anew.
	t.Run("ACodeMayBeSpent", func(t *testing.T) {
		code := repotest.NewCode(t, direct, repo.IssueParams{})
		loseAnswer(func() error {
			_, err := store.AuthCodes.Exchange(t.Context(), code.Request())
			return err
		})
		again, err := direct.AuthCodes.Exchange(t.Context(), code.Request())
		require.NoError(t, err)
		require.Equal(t, repo.Replayed, again.Outcome)
	})
}
