package repo_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// plannedCall is a call of the library, which takes one way through its functions.
type plannedCall struct {
	name  string
	sorts bool // what it ends, which is what it was asked for, or a constant
	do    func(t *testing.T, store *repo.Store)
}

// heavyUser has one in ten of all sessions and events; see bulk.Fill.
const heavyUser = "user_heavy"

func plannedCalls() []plannedCall {
	calls := append(changingCalls(), readingCalls()...)
	return append(calls, listingCalls()...)
}

func changingCalls() []plannedCall {
	return []plannedCall{
		{name: "Exchange", do: func(t *testing.T, store *repo.Store) {
			code := repotest.NewCode(t, store, repo.IssueParams{})
			wrong := code.Request()
			wrong.ClientID = "client_2"
			require.Equal(t, repo.Mismatch, exchange(t, store, wrong).Outcome)
			require.Equal(t, repo.Exchanged, exchange(t, store, code.Request()).Outcome)
			require.Equal(t, repo.Replayed, exchange(t, store, code.Request()).Outcome)
		}},
		{name: "Rotate", do: func(t *testing.T, store *repo.Store) {
			session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
			require.Equal(t, repo.Retried, rotate(t, store, session.Request(1)).Outcome)
			require.Equal(t, repo.Reused, rotate(t, store, session.Request(0)).Outcome)
			require.Equal(t, repo.Ended, rotate(t, store, session.Request(2)).Outcome)
		}},
		{name: "Revoke", do: func(t *testing.T, store *repo.Store) {
			session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
			result, err := store.RefreshTokens.Revoke(t.Context(), repo.RevokeParams{RefreshToken: session.Tokens[0], ClientID: "client_1"})
			require.NoError(t, err)
			require.Equal(t, repo.Revoked, result.Outcome)
		}},
		{name: "End", do: func(t *testing.T, store *repo.Store) {
			session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
			end(t, store, session.SessionID)
		}},
		{name: "EndAll", sorts: true, do: func(t *testing.T, store *repo.Store) {
			session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
			repotest.NewCode(t, store, repo.IssueParams{ClerkUserID: session.ClerkUserID})
			result, err := store.Sessions.EndAll(t.Context(), repo.EndAllParams{ClerkUserID: session.ClerkUserID, ClientID: "client_1", Reason: "sign_out"})
			require.NoError(t, err)
			require.Equal(t, repo.EndedResult{Codes: 1, Sessions: 1}, result)
		}},
		{name: "EndUser", sorts: true, do: func(t *testing.T, store *repo.Store) {
			session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
			result, err := store.EndUser(t.Context(), session.ClerkUserID, "offboarded")
			require.NoError(t, err)
			require.Equal(t, repo.EndedResult{Sessions: 1}, result)
		}},
		{name: "EraseUser", sorts: true, do: func(t *testing.T, store *repo.Store) {
			session := repotest.NewUser(t, store, 10)
			_, err := store.EraseUser(t.Context(), session.ClerkUserID)
			require.NoError(t, err)
		}},
		{name: "Append", do: func(t *testing.T, store *repo.Store) {
			repotest.NewUser(t, store, 10)
		}},
	}
}

func readingCalls() []plannedCall {
	return []plannedCall{
		{name: "Touch", do: func(t *testing.T, store *repo.Store) {
			session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
			alive, err := store.Sessions.Touch(t.Context(), session.SessionID)
			require.NoError(t, err)
			require.True(t, alive)
		}},
		{name: "TouchAll", do: func(t *testing.T, store *repo.Store) {
			ids := make([]uuid.UUID, 20)
			for i := range ids {
				session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
				ids[i] = session.SessionID
			}
			alive, err := store.Sessions.TouchAll(t.Context(), ids...)
			require.NoError(t, err)
			require.Len(t, alive, len(ids))
		}},
		{name: "Get", do: func(t *testing.T, store *repo.Store) {
			session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
			require.True(t, get(t, store, session.SessionID).Alive)
		}},
		{name: "Active", do: func(t *testing.T, store *repo.Store) {
			session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
			requireAlive(t, store, session.SessionID, true)
		}},
		{name: "RefreshTokens.Get and Find", sorts: true, do: func(t *testing.T, store *repo.Store) {
			session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
			_, err := store.RefreshTokens.Get(t.Context(), session.RefreshTokenID)
			require.NoError(t, err)
			_, err = store.RefreshTokens.Find(t.Context(), repo.TokenFindParams{HashPrefix: "abcd"})
			require.NoError(t, err)
		}},
		{name: "Lookup", do: func(t *testing.T, store *repo.Store) {
			session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
			found, err := store.RefreshTokens.Lookup(t.Context(), session.Tokens[0])
			require.NoError(t, err)
			require.True(t, found.Active)
		}},
	}
}

func listingCalls() []plannedCall {
	calls := []plannedCall{
		{name: "Family", do: func(t *testing.T, store *repo.Store) {
			session := repotest.NewSession(t, store, repo.IssueParams{}, 3)
			page, err := store.RefreshTokens.Family(t.Context(), repo.FamilyParams{SessionID: session.SessionID, Limit: 2})
			require.NoError(t, err)
			page, err = store.RefreshTokens.Family(t.Context(), repo.FamilyParams{SessionID: session.SessionID, Limit: 2, Cursor: page.Next})
			require.NoError(t, err)
			require.Len(t, page.Tokens, 2)
		}},
		{name: "Sessions.List", do: func(t *testing.T, store *repo.Store) {
			page, err := store.Sessions.List(t.Context(), repo.SessionListParams{ClerkUserID: heavyUser})
			require.NoError(t, err)
			page, err = store.Sessions.List(t.Context(), repo.SessionListParams{ClerkUserID: heavyUser, Cursor: page.Next})
			require.NoError(t, err)
			require.Len(t, page.Sessions, 100)
		}},
	}
	for name, params := range map[string]repo.EventListParams{
		"of all":              {},
		"of a person":         {ClerkUserID: heavyUser},
		"of a person by type": {ClerkUserID: heavyUser, Type: repo.EventTokenRefresh},
		"by type":             {Type: repo.EventTokenRefresh},
		"of a client, since":  {ClientID: "client_1", Since: time.Now().Add(-24 * time.Hour)},
	} {
		calls = append(calls, plannedCall{name: "Events.List " + name, do: func(t *testing.T, store *repo.Store) {
			page, err := store.Events.List(t.Context(), params)
			require.NoError(t, err)
			params.Cursor = page.Next
			page, err = store.Events.List(t.Context(), params)
			require.NoError(t, err)
			require.Len(t, page.Events, 100)
		}})
	}
	calls = append(calls, eventCalls()...)
	return append(calls, plannedCall{name: "Events.List of a session", do: func(t *testing.T, store *repo.Store) {
		session := repotest.NewSession(t, store, repo.IssueParams{}, 3)
		page, err := store.Events.List(t.Context(), repo.EventListParams{SessionID: session.SessionID})
		require.NoError(t, err)
		require.Len(t, page.Events, 4)
	}})
}

func eventCalls() []plannedCall {
	counted := func(t *testing.T, store *repo.Store, params repo.EventListParams, want int) {
		t.Helper()
		counts, err := store.Events.Count(t.Context(), repo.EventCountParams{Filter: params, Bucket: time.Hour})
		require.NoError(t, err)
		got := 0
		for _, c := range counts {
			got += c.Events
		}
		require.GreaterOrEqual(t, got, want)
	}
	return []plannedCall{
		{name: "Events.Count of a person", sorts: true, do: func(t *testing.T, store *repo.Store) {
			counted(t, store, repo.EventListParams{ClerkUserID: repotest.NewUser(t, store, 10).ClerkUserID}, 10)
		}},
		{name: "Events.Count of a moment", sorts: true, do: func(t *testing.T, store *repo.Store) {
			repotest.NewUser(t, store, 10)
			counted(t, store, repo.EventListParams{Since: time.Now().Add(-10 * time.Second)}, 10)
		}},
		{name: "Events.Follow", do: func(t *testing.T, store *repo.Store) {
			begin := time.Now().Add(-19 * 24 * time.Hour) // far more follow than a page
			seen := 0
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for event, err := range store.Events.Follow(ctx, repo.FollowParams{Filter: repo.EventListParams{Since: begin}}) {
				require.NoError(t, err)
				require.False(t, event.CreatedAt.Before(begin))
				if seen++; seen == 1500 {
					return
				}
			}
			require.Fail(t, "there were no more events", "%d", seen)
		}},
		{name: "Events.Recorder", do: func(t *testing.T, store *repo.Store) {
			recorder, err := store.Events.Recorder(repo.RecorderConfig{Writers: 1})
			require.NoError(t, err)
			for range 20 {
				require.NoError(t, recorder.Record(t.Context(), repo.AppendParams{Type: "job_search", ClerkUserID: heavyUser}))
			}
			require.NoError(t, recorder.Close(t.Context()))
		}},
	}
}
