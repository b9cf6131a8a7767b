package repo_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func TestRotate(t *testing.T) {
	t.Parallel()

	t.Run("CarriesTheGrant", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		params := repo.IssueParams{Scope: "a b", Resource: "https://r.example", Data: json.RawMessage(`{"n":1}`)}
		session := repotest.NewSession(t, store, params, 5)
		require.Equal(t, params.Scope, session.Scope)
		require.Equal(t, params.Resource, session.Resource)
		require.JSONEq(t, string(params.Data), string(session.Data))
		require.Equal(t, session.RefreshTokenID, get(t, store, session.SessionID).RefreshTokenID)

		family, err := store.RefreshTokens.Family(t.Context(), repo.FamilyParams{SessionID: session.SessionID})
		require.NoError(t, err)
		require.Len(t, family.Tokens, 6)
		for i, token := range family.Tokens[:5] {
			require.Equal(t, family.Tokens[i+1].ID, token.RotatedTo)
			require.False(t, token.RevokedAt.IsZero())
		}
		require.Equal(t, uuid.Nil, family.Tokens[5].RotatedTo)
		require.True(t, family.Tokens[5].RevokedAt.IsZero())
		require.Equal(t, 5, countEvents(t, store, session.ClerkUserID, repo.EventTokenRefresh))
	})

	t.Run("SlidesTheExpiry", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{RefreshTTL: time.Hour})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		repotest.Age(t, store, 59*time.Minute)
		rotated := rotate(t, store, session.Request(0))
		require.Equal(t, repo.Rotated, rotated.Outcome)
		require.WithinDuration(t, databaseNow(t, store).Add(time.Hour), rotated.RefreshExpiresAt, 5*time.Second)
	})

	t.Run("RetriedGivesTheSameSuccessor", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
		for i := range 3 {
			retried := rotate(t, store, session.Request(0))
			require.Equal(t, repo.Retried, retried.Outcome)
			require.NoError(t, retried.Err())
			require.Equal(t, session.Tokens[1], string(retried.RefreshToken))
			require.Equal(t, session.Grant, retried.Grant)
			require.Equal(t, i+1, get(t, store, session.SessionID).Retries)
		}
		require.Equal(t, repo.Rotated, rotate(t, store, session.Request(1)).Outcome)
		require.Equal(t, 3, countEvents(t, store, session.ClerkUserID, repo.EventTokenRetry))
	})

	t.Run("GraceIsCountedFromTheSuccessorsCreation", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{Grace: time.Minute})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
		repotest.Age(t, store, 30*time.Second)
		require.Equal(t, repo.Retried, rotate(t, store, session.Request(0)).Outcome)
		repotest.Age(t, store, 30*time.Second)
		require.Equal(t, repo.Reused, rotate(t, store, session.Request(0)).Outcome, "a retry does not prolong it")
		require.Equal(t, repo.Ended, rotate(t, store, session.Request(1)).Outcome)
		ended := get(t, store, session.SessionID)
		require.Equal(t, "token_reuse", ended.EndReason)
		require.False(t, ended.Alive)
		require.Equal(t, 1, countEvents(t, store, session.ClerkUserID, repo.EventTokenReuse))
	})

	t.Run("OlderThanTheDirectPredecessorIsReused", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
		require.Equal(t, repo.Reused, rotate(t, store, session.Request(0)).Outcome)
	})

	t.Run("GraceOffIsStrictAndStoresNoNonce", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{Grace: repo.Off})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
		require.Equal(t, 0, count(t, store, "gpt_sessions", "id = ? AND successor_nonce IS NOT NULL", session.SessionID))
		require.Equal(t, repo.Reused, rotate(t, store, session.Request(0)).Outcome)
	})

	t.Run("EndingClearsTheNonce", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
		require.Equal(t, 1, count(t, store, "gpt_sessions", "id = ? AND length(successor_nonce) = 32", session.SessionID))
		end(t, store, session.SessionID)
		require.Equal(t, 0, count(t, store, "gpt_sessions", "id = ? AND successor_nonce IS NOT NULL", session.SessionID))
	})

	t.Run("ReuseIsSeenAfterTheExpiryOfWhatWasStolen", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{RefreshTTL: time.Hour})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		repotest.Age(t, store, 50*time.Minute)
		thief := rotate(t, store, session.Request(0))
		require.Equal(t, repo.Rotated, thief.Outcome)
		repotest.Age(t, store, 50*time.Minute)
		require.Equal(t, repo.Reused, rotate(t, store, session.Request(0)).Outcome)
		require.Equal(t, repo.Ended, rotate(t, store, repo.RotateParams{RefreshToken: string(thief.RefreshToken), ClientID: "client_1"}).Outcome)
	})

	t.Run("Expired", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{RefreshTTL: time.Hour})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		repotest.Age(t, store, time.Hour)
		require.Equal(t, repo.Expired, rotate(t, store, session.Request(0)).Outcome)
		require.Equal(t, []string{"authorize", "token_exchange"}, trail(t, store, session.ClerkUserID))
	})

	t.Run("RetryOfAnExpiredSuccessorIsExpired", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{RefreshTTL: time.Minute, Grace: 5 * time.Minute})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
		repotest.Age(t, store, 2*time.Minute)
		require.Equal(t, repo.Expired, rotate(t, store, session.Request(0)).Outcome)
	})

	t.Run("PastTheAbsoluteEnd", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{SessionTTL: time.Hour})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		repotest.Age(t, store, time.Hour)
		require.Equal(t, repo.Ended, rotate(t, store, session.Request(0)).Outcome)
	})

	t.Run("OtherClientIsAMismatchAndChangesNothing", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
		for generation := range session.Tokens {
			for _, client := range []string{"client_2", "", "client_1\x00", "\xff"} {
				request := session.Request(generation)
				request.ClientID = client
				require.Equal(t, repo.Mismatch, rotate(t, store, request).Outcome)
			}
		}
		require.Equal(t, repo.Rotated, rotate(t, store, session.Request(2)).Outcome)
		require.Equal(t, 12, countEvents(t, store, session.ClerkUserID, repo.EventTokenMismatch))
	})

	t.Run("AdoptedTokenIsUnknown", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		_, err := store.DB().NewUpdate().TableExpr("gpt_sessions").Set("client_id = NULL").Where("id = ?", session.SessionID).Exec(t.Context())
		require.NoError(t, err)
		require.Equal(t, repo.Unknown, rotate(t, store, session.Request(0)).Outcome)
		_, err = store.DB().NewUpdate().TableExpr("gpt_refresh_tokens").Set("session_id = NULL").Where("session_id = ?", session.SessionID).Exec(t.Context())
		require.NoError(t, err)
		require.Equal(t, repo.Unknown, rotate(t, store, session.Request(0)).Outcome)
	})
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	revoke := func(t *testing.T, store *repo.Store, request repo.RotateParams) repo.RevokeResult {
		t.Helper()
		result, err := store.RefreshTokens.Revoke(t.Context(), repo.RevokeParams{RefreshToken: request.RefreshToken, ClientID: request.ClientID, IPAddress: address})
		require.NoError(t, err)
		return result
	}

	t.Run("AnyGenerationEndsTheSessionAlsoWithinGrace", func(t *testing.T) {
		t.Parallel()
		for generation := range 3 {
			store := repotest.Store(t, repo.Config{})
			session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
			require.Equal(t, repo.Revoked, revoke(t, store, session.Request(generation)).Outcome)
			for g := range 3 {
				require.Equal(t, repo.Ended, rotate(t, store, session.Request(g)).Outcome)
			}
			require.Equal(t, "token_revoke", get(t, store, session.SessionID).EndReason)
			require.Equal(t, repo.Ended, revoke(t, store, session.Request(generation)).Outcome)
			require.Equal(t, 1, countEvents(t, store, session.ClerkUserID, repo.EventTokenRevoke))
		}
	})

	t.Run("ExpiredOnesToo", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		repotest.Age(t, store, 400*24*time.Hour)
		require.Equal(t, repo.Revoked, revoke(t, store, session.Request(0)).Outcome)
	})

	t.Run("OtherClientIsAMismatch", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
		request := session.Request(0)
		request.ClientID = "client_2"
		result := revoke(t, store, request)
		require.Equal(t, repo.Mismatch, result.Outcome)
		require.ErrorIs(t, result.Err(), repo.ErrInvalidGrant)
		requireAlive(t, store, session.SessionID, true)
	})

	t.Run("UnknownIsSuccess", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		other := repotest.NewSession(t, repotest.Store(t, repo.Config{}), repo.IssueParams{}, 0)
		result := revoke(t, store, other.Request(0))
		require.Equal(t, repo.Unknown, result.Outcome)
		require.NoError(t, result.Err())
	})
}

func TestLookup(t *testing.T) {
	t.Parallel()
	store := repotest.Store(t, repo.Config{RefreshTTL: time.Hour})
	session := repotest.NewSession(t, store, repo.IssueParams{Scope: "a"}, 1)
	lookup := func(generation int) repo.LookupResult {
		t.Helper()
		result, err := store.RefreshTokens.Lookup(t.Context(), session.Tokens[generation])
		require.NoError(t, err)
		return result
	}

	current := lookup(1)
	require.True(t, current.Active)
	require.Equal(t, session.RefreshTokenID, current.Token.ID)
	require.Equal(t, "a", current.Session.Scope)
	require.Equal(t, session.RefreshExpiresAt, current.Session.RefreshExpiresAt)

	require.False(t, lookup(0).Active, "rotated")
	require.Equal(t, session.SessionID, lookup(0).Session.ID)

	repotest.Age(t, store, time.Hour)
	require.False(t, lookup(1).Active, "expired")
	end(t, store, session.SessionID)
	require.False(t, lookup(1).Active, "ended")

	other := repotest.NewSession(t, repotest.Store(t, repo.Config{}), repo.IssueParams{}, 0)
	unknown, err := store.RefreshTokens.Lookup(t.Context(), other.Tokens[0])
	require.NoError(t, err)
	require.Equal(t, repo.LookupResult{}, unknown)
}

func TestFamilyPages(t *testing.T) {
	t.Parallel()
	store := repotest.Store(t, repo.Config{})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 6)
	var ids []uuid.UUID
	params := repo.FamilyParams{SessionID: session.SessionID, Limit: 3}
	for pages := 1; ; pages++ {
		page, err := store.RefreshTokens.Family(t.Context(), params)
		require.NoError(t, err)
		for _, token := range page.Tokens {
			ids = append(ids, token.ID)
		}
		if page.Next == "" {
			require.Equal(t, 3, pages)
			break
		}
		params.Cursor = page.Next
	}
	require.Len(t, ids, 7)
	require.Equal(t, session.RefreshTokenID, ids[6])
}
