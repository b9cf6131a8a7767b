package repo_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
)

func exchange(t *testing.T, store *repo.Store, params repo.ExchangeParams) repo.ExchangeResult {
	t.Helper()
	result, err := store.AuthCodes.Exchange(t.Context(), params)
	require.NoError(t, err)
	return result
}

func rotate(t *testing.T, store *repo.Store, params repo.RotateParams) repo.RotateResult {
	t.Helper()
	result, err := store.RefreshTokens.Rotate(t.Context(), params)
	require.NoError(t, err)
	return result
}

func get(t *testing.T, store *repo.Store, id uuid.UUID) repo.Session {
	t.Helper()
	session, err := store.Sessions.Get(t.Context(), id)
	require.NoError(t, err)
	return session
}

func end(t *testing.T, store *repo.Store, id uuid.UUID) {
	t.Helper()
	result, err := store.Sessions.End(t.Context(), repo.EndParams{SessionID: id, Reason: "sign_out", IPAddress: address})
	require.NoError(t, err)
	require.Equal(t, repo.EndedResult{Sessions: 1}, result)
}

// requireAlive asks in all the ways there are.
func requireAlive(t *testing.T, store *repo.Store, id uuid.UUID, want bool) {
	t.Helper()
	active, err := store.Sessions.Active(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, want, active)
	touched, err := store.Sessions.Touch(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, want, touched)
	require.Equal(t, want, get(t, store, id).Alive)
}

// trail lists the types of a person's events, oldest first.
func trail(t *testing.T, store *repo.Store, clerkUserID string) []string {
	t.Helper()
	var types []string
	for event, err := range store.Events.All(t.Context(), repo.EventListParams{ClerkUserID: clerkUserID, Limit: 7}) {
		require.NoError(t, err)
		types = append(types, event.Type)
	}
	slices.Reverse(types)
	return types
}

func countEvents(t *testing.T, store *repo.Store, clerkUserID, eventType string) int {
	t.Helper()
	return count(t, store, "gpt_oauth_events", "clerk_user_id = ? AND event_type = ?", clerkUserID, eventType)
}

func count(t *testing.T, store *repo.Store, table, where string, args ...any) int {
	t.Helper()
	n, err := store.DB().NewSelect().TableExpr(table).Where(where, args...).Count(t.Context())
	require.NoError(t, err)
	return int(n)
}

func databaseNow(t *testing.T, store *repo.Store) time.Time {
	t.Helper()
	var now time.Time
	require.NoError(t, store.DB().QueryRowContext(t.Context(), "SELECT clock_timestamp()").Scan(&now))
	return now
}
