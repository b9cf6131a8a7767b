package repo_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func TestOnSecurityEvent(t *testing.T) {
	t.Parallel()
	var found []repo.SecurityEvent
	config := repo.Config{OnSecurityEvent: func(_ context.Context, event repo.SecurityEvent) { found = append(found, event) }}
	store := repotest.CommittingStore(t, config, 2)
	take := func() []repo.SecurityEvent {
		taken := found
		found = nil
		return taken
	}
	reuse := func(ctx context.Context, store *repo.Store, session repotest.Session) {
		params := session.Request(0)
		params.IPAddress = address
		result, err := store.RefreshTokens.Rotate(ctx, params)
		require.NoError(t, err)
		require.Equal(t, repo.Reused, result.Outcome)
	}

	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	require.Equal(t, repo.Retried, rotate(t, store, session.Request(1)).Outcome)
	require.Empty(t, take(), "nothing is wrong so far")
	reuse(t.Context(), store, session)
	alarm := take()
	require.Len(t, alarm, 1)
	require.Equal(t, repo.SecurityEvent{
		Type: repo.EventTokenReuse, ClerkUserID: session.ClerkUserID, ClientID: "client_1", SessionID: session.SessionID, IPAddress: address,
	}, alarm[0])
	require.Equal(t, repo.Ended, rotate(t, store, session.Request(0)).Outcome)
	require.Empty(t, take())

	replayed := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	require.Equal(t, repo.Replayed, exchange(t, store, replayed.Code.Request()).Outcome)
	alarm = take()
	require.Len(t, alarm, 1)
	require.Equal(t, repo.EventCodeReplay, alarm[0].Type)
	require.Equal(t, replayed.SessionID, alarm[0].SessionID)

	// In a transaction of the store's it waits for the commit.
	session = repotest.NewSession(t, store, repo.IssueParams{}, 2)
	require.NoError(t, store.InTx(t.Context(), func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
		err := store.InTx(ctx, func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
			reuse(ctx, store, session)
			return nil
		})
		require.Empty(t, take(), "a savepoint is no commit")
		return err
	}))
	require.Len(t, take(), 1)

	// What was rolled back was no alarm, and the commit of a caller's transaction is not ours to know of.
	session = repotest.NewSession(t, store, repo.IssueParams{}, 2)
	undone := errors.New("undone")
	require.ErrorIs(t, store.InTx(t.Context(), func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
		reuse(ctx, store, session)
		return undone
	}), undone)
	require.NoError(t, store.DB().RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		reuse(ctx, store.With(tx), session)
		return nil
	}))
	require.Empty(t, take())
}
