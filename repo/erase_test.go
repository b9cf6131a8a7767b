package repo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func TestEraseUserForgetsThePerson(t *testing.T) {
	t.Parallel()
	store := repotest.Store(t, repo.Config{})
	user := repotest.NewUserID()
	other := repotest.NewUser(t, store, 1)
	session := repotest.NewSession(t, store, repo.IssueParams{ClerkUserID: user, IPAddress: netip.MustParseAddr("192.0.2.8")}, 2)
	repotest.NewCode(t, store, repo.IssueParams{ClerkUserID: user})
	require.Equal(t, repo.Reused, rotate(t, store, session.Request(0)).Outcome)
	require.NoError(t, store.Events.Append(t.Context(),
		repo.AppendParams{Type: "job_search", ClerkUserID: user, Metadata: json.RawMessage(`{"reason": "their own words"}`)},
		repo.AppendParams{Type: "resume_analyze", SessionID: session.SessionID, IPAddress: netip.MustParseAddr("192.0.2.9"), Metadata: json.RawMessage(`{"name": "Ada"}`)},
	))
	family, err := store.RefreshTokens.Family(t.Context(), repo.FamilyParams{SessionID: session.SessionID})
	require.NoError(t, err)
	before := count(t, store, "gpt_oauth_events", "TRUE")
	theirs := before - len(trail(t, store, other.ClerkUserID))

	erased, err := store.EraseUser(t.Context(), user)
	require.NoError(t, err)
	require.Equal(t, repo.ErasedResult{Codes: 2, Sessions: 1, Tokens: 3, Events: theirs}, erased)
	require.Equal(t, before+1, count(t, store, "gpt_oauth_events", "TRUE"), "events are kept, and one is added")
	for _, table := range []string{"gpt_authorization_codes", "gpt_sessions", "gpt_refresh_tokens", "gpt_oauth_events"} {
		require.Zero(t, count(t, store, table, "to_jsonb(?)::text LIKE ?", bun.Ident(table), "%"+user+"%"), table)
	}
	require.Zero(t, count(t, store, "gpt_oauth_events", "ip_address IS NOT NULL"))
	require.Zero(t, count(t, store, "gpt_oauth_events", "metadata::text LIKE '%Ada%' OR metadata::text LIKE '%own words%'"))
	require.Equal(t, 1, count(t, store, "gpt_oauth_events", "event_type = 'token_reuse' AND session_id = ? AND metadata ->> 'refresh_token_id' = ?",
		session.SessionID, family.Tokens[0].ID.String()), "what the store wrote stays")
	require.Equal(t, 1, count(t, store, "gpt_oauth_events", "event_type = 'user_erase' AND metadata = ?",
		fmt.Sprintf(`{"codes": 2, "sessions": 1, "tokens": 3, "events": %d}`, theirs)))

	requireActive(t, store, other.SessionID, true)
	require.Equal(t, []string{"authorize", "token_exchange", "job_search"}, trail(t, store, other.ClerkUserID))
}

func TestEraseUserTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	store := repotest.Store(t, repo.Config{})
	user := repotest.NewUser(t, store, 3)
	_, err := store.EraseUser(t.Context(), user.ClerkUserID)
	require.NoError(t, err)
	before := count(t, store, "gpt_oauth_events", "TRUE")

	erased, err := store.EraseUser(t.Context(), user.ClerkUserID)
	require.NoError(t, err)
	require.Equal(t, repo.ErasedResult{}, erased)
	require.Equal(t, before, count(t, store, "gpt_oauth_events", "TRUE"))

	_, err = store.EraseUser(t.Context(), "")
	var input *repo.InputError
	require.ErrorAs(t, err, &input)
}

// A call whose answer was lost is sent again with the same event id.
func TestEraseUserRepeatedAfterALostAnswerCountsTheSame(t *testing.T) {
	t.Parallel()
	store := repotest.Store(t, repo.Config{})
	user := repotest.NewUser(t, store, 3)
	var answers [2]struct{ Codes, Sessions, Tokens, Events int }
	for i := range answers {
		require.NoError(t, store.DB().NewRaw(
			"SELECT codes, sessions, tokens, events FROM public.gpt_erase_user_v1(?, '018f0000-0000-7000-8000-000000000000')", user.ClerkUserID).
			Scan(t.Context(), &answers[i]))
	}
	require.Equal(t, 5, answers[0].Events)
	require.Equal(t, answers[0], answers[1])
}

// Whatever exchanges and rotations race it, nothing of the person is left.
func TestEraseUserRacingSignInsLeavesNothing(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, 12)
	for range 30 {
		user := repotest.NewUserID()
		session := repotest.NewSession(t, store, repo.IssueParams{ClerkUserID: user}, 0)
		code := repotest.NewCode(t, store, repo.IssueParams{ClerkUserID: user})

		var racing sync.WaitGroup
		start := make(chan struct{})
		race := func(f func(ctx context.Context) error) {
			racing.Go(func() {
				<-start
				if err := f(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		for range 2 {
			race(func(ctx context.Context) error {
				_, err := store.AuthCodes.Exchange(ctx, code.Request())
				return err
			})
			race(func(ctx context.Context) error {
				_, err := store.RefreshTokens.Rotate(ctx, session.Request(0))
				return err
			})
			race(func(ctx context.Context) error {
				_, err := store.EraseUser(ctx, user)
				return err
			})
		}
		close(start)
		racing.Wait()
		for _, table := range []string{"gpt_authorization_codes", "gpt_sessions", "gpt_refresh_tokens", "gpt_oauth_events"} {
			require.Zero(t, count(t, store, table, "clerk_user_id = ?", user), table)
		}
	}
}

// A sign-in that begins and ends while erasing waits for a session refers to what is then deleted: erasing begins again.
func TestEraseUserBeginsAgainAfterASignInInBetween(t *testing.T) {
	t.Parallel()
	store := repotest.CommittingStore(t, repo.Config{}, 4)
	session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
	tx, err := store.DB().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.ExecContext(t.Context(), "SELECT FROM gpt_sessions WHERE id = ? FOR UPDATE", session.SessionID)
	require.NoError(t, err)

	erased := make(chan error, 1)
	go func() {
		_, err := store.EraseUser(t.Context(), session.ClerkUserID)
		erased <- err
	}()
	awaitWaiter(t, store)
	repotest.NewSession(t, store, repo.IssueParams{ClerkUserID: session.ClerkUserID}, 1)
	require.NoError(t, tx.Commit())

	require.NoError(t, <-erased)
	for _, table := range []string{"gpt_authorization_codes", "gpt_sessions", "gpt_refresh_tokens"} {
		require.Zero(t, count(t, store, table, "clerk_user_id = ?", session.ClerkUserID), table)
	}
}
