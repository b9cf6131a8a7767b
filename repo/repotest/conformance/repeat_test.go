package conformance_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest/conformance"
)

// TestRepetitionFindsAnotherState: a call has taken effect, its answer is lost, and before the store repeats it someone
// else changes what it is about. The repetition does what is right by then, and writes its own event beside that of the
// first attempt. Random histories come here too, but seldom.
func TestRepetitionFindsAnotherState(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) (conformance.Subject, *client) {
		t.Helper()
		subject := lossySubject(t, repo.Config{}, pgdriverConnector)
		return subject, &client{subject.Store}
	}

	t.Run("AnObserverHearsThatItWasSentThrice", func(t *testing.T) {
		t.Parallel()
		var observer attempts
		subject := lossySubject(t, repo.Config{Observer: &observer}, pgdriverConnector)
		client := &client{subject.Store}
		client.signIn(t)
		_, err := subject.Store.(conformance.UserEnder).EndUser(
			loseAndThen(t.Context(), func() { client.signIn(t) }), "user_1", "offboarded")
		require.NoError(t, err)
		require.EqualValues(t, 3, observer.Load(), "its answer lost, its event there already, and with another event")
	})

	t.Run("ARetryThatComesTooLateIsReuse", func(t *testing.T) {
		t.Parallel()
		subject, client := setup(t)
		first := client.signIn(t)
		second := client.rotate(t, t.Context(), first.RefreshToken)
		require.Equal(t, repo.Rotated, second.Outcome)

		result := client.rotate(t, loseAndThen(t.Context(), func() {
			require.Equal(t, repo.Rotated, client.rotate(t, t.Context(), second.RefreshToken).Outcome)
		}), first.RefreshToken)
		require.Equal(t, repo.Reused, result.Outcome)
		alive, err := subject.Store.(conformance.Watcher).Active(t.Context(), first.SessionID)
		require.NoError(t, err)
		require.False(t, alive)
		require.Equal(t, []string{"authorize", "token_exchange", "token_refresh", "token_retry", "token_refresh", "token_reuse"}, client.trail(t, "user_1"))
	})

	t.Run("EndUserEndsWhatBeganMeanwhile", func(t *testing.T) {
		t.Parallel()
		subject, client := setup(t)
		client.signIn(t)
		var late uuid.UUID
		ended, err := subject.Store.(conformance.UserEnder).EndUser(
			loseAndThen(t.Context(), func() { late = client.signIn(t).SessionID }), "user_1", "offboarded")
		require.NoError(t, err)
		require.Equal(t, repo.EndedResult{Sessions: 1}, ended)
		alive, err := subject.Store.(conformance.Watcher).Active(t.Context(), late)
		require.NoError(t, err)
		require.False(t, alive)
		require.Equal(t, []string{
			"authorize", "token_exchange", "session_end", "user_end", "authorize", "token_exchange", "session_end", "user_end",
		}, client.trail(t, "user_1"))
	})
}

// attempts is an observer that keeps how often the last call was tried.
type attempts struct{ atomic.Int64 }

func (a *attempts) Begin(ctx context.Context, _ string) (context.Context, func(repo.Observation)) {
	return ctx, func(seen repo.Observation) { a.Store(int64(seen.Attempts)) }
}

// client is the other end of a subject.
type client struct{ conformance.Store }

func (c *client) signIn(t *testing.T) repo.Grant {
	t.Helper()
	issued, err := c.Issue(t.Context(), repo.IssueParams{
		ClerkUserID: "user_1", ClientID: "client_1", RedirectURI: "https://client.example/", WithoutPKCE: true,
	})
	require.NoError(t, err)
	exchanged, err := c.Exchange(t.Context(), repo.ExchangeParams{
		Code: string(issued.Code), ClientID: "client_1", RedirectURI: "https://client.example/", ClientAuthenticated: true,
	})
	require.NoError(t, err)
	require.Equal(t, repo.Exchanged, exchanged.Outcome)
	return exchanged.Grant
}

func (c *client) rotate(t *testing.T, ctx context.Context, token repo.Secret) repo.RotateResult { //nolint:revive // ctx is what matters
	t.Helper()
	result, err := c.Rotate(ctx, repo.RotateParams{RefreshToken: string(token), ClientID: "client_1"})
	require.NoError(t, err)
	return result
}

func (c *client) trail(t *testing.T, user string) []string {
	t.Helper()
	trail, err := c.Store.(conformance.Auditor).Trail(t.Context(), user)
	require.NoError(t, err)
	return trail
}
