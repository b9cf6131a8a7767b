package invariants_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/internal/invariants"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// violations break each check on a database with a session of three generations and an unused code, of one person.
var violations = map[string]string{
	"a used code has a session, an unused one has none":                        "UPDATE gpt_authorization_codes SET session_id = NULL",
	"a session comes from one code":                                            "UPDATE gpt_authorization_codes SET session_id = (SELECT id FROM gpt_sessions)",
	"a session is what its code consented to":                                  "UPDATE gpt_sessions SET scope = 'admin'",
	"a code was used before it expired":                                        "UPDATE gpt_authorization_codes SET expires_at = created_at",
	"a token belongs to the person of its session":                             "UPDATE gpt_refresh_tokens SET clerk_user_id = 'user_2'",
	"a token has one predecessor":                                              "UPDATE gpt_refresh_tokens SET rotated_to = (SELECT refresh_token_id FROM gpt_sessions) WHERE rotated_to IS NOT NULL",
	"a successor is in the session of its predecessor":                         "UPDATE gpt_refresh_tokens SET session_id = NULL WHERE revoked_at IS NULL",
	"a rotated token was revoked when its successor was issued":                "UPDATE gpt_refresh_tokens SET revoked_at = NULL",
	"a token was rotated before it expired":                                    "UPDATE gpt_refresh_tokens SET expires_at = created_at",
	"a session has one living token at most, its current one, which is a leaf": "UPDATE gpt_sessions SET refresh_token_id = (SELECT id FROM gpt_refresh_tokens WHERE rotated_to IS NOT NULL LIMIT 1)",
	"the chain of a session is not forked":                                     "UPDATE gpt_refresh_tokens SET rotated_to = NULL",
	"an ended session has no living token":                                     "UPDATE gpt_sessions SET ended_at = clock_timestamp(), end_reason = 'x', successor_nonce = NULL",
	"the current token of a session that has not ended is not revoked":         "UPDATE gpt_refresh_tokens SET revoked_at = clock_timestamp() WHERE revoked_at IS NULL",
	"no token was issued after its session had ended":                          "UPDATE gpt_sessions SET ended_at = created_at, end_reason = 'x', successor_nonce = NULL",
	"no token outlives its session":                                            "UPDATE gpt_sessions SET expires_at = created_at + interval '1 day'",
	"an ended session says why, and keeps no nonce":                            "UPDATE gpt_sessions SET ended_at = clock_timestamp(), end_reason = 'x'",
	"an ended session has the event that ended it":                             "UPDATE gpt_sessions SET ended_at = clock_timestamp(), end_reason = 'token_reuse', successor_nonce = NULL",
	"a session with an event that ends sessions has ended":                     "UPDATE gpt_oauth_events SET event_type = 'token_reuse' WHERE event_type = 'token_refresh'",
	"a session has one event of its exchange, and one of its end at most":      "DELETE FROM gpt_oauth_events WHERE event_type = 'token_exchange'",
	"each rotation and each retry has its event":                               "DELETE FROM gpt_oauth_events WHERE event_type = 'token_refresh'",
	"each code has the event of its issue":                                     "UPDATE gpt_oauth_events SET clerk_user_id = 'user_2' WHERE id = (SELECT max(id::text)::uuid FROM gpt_oauth_events WHERE event_type = 'authorize')",
}

func TestCheck(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, invariants.Names(), slices.Collect(maps.Keys(violations)), "each check needs rows that break it")

	for name, violation := range violations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := repotest.Store(t, repo.Config{})
			session := repotest.NewSession(t, store, repo.IssueParams{ClerkUserID: "user_1"}, 2)
			repotest.NewCode(t, store, repo.IssueParams{ClerkUserID: "user_1"})
			require.Empty(t, check(t, store))

			result, err := store.DB().ExecContext(t.Context(), violation)
			require.NoError(t, err)
			n, err := result.RowsAffected()
			require.NoError(t, err)
			require.NotZero(t, n)

			var found []string
			for _, finding := range check(t, store) {
				found = append(found, finding.Check)
				require.NotEmpty(t, finding.ID)
				require.NotEmpty(t, finding.Detail)
			}
			require.Contains(t, found, name, "session %v", session.SessionID)
		})
	}
}

// TestNothingIsFound: what may be, is not a finding.
func TestNothingIsFound(t *testing.T) {
	t.Parallel()

	t.Run("AfterEveryKindOfEnd", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		for _, end := range []func(repotest.Session) (any, error){
			func(s repotest.Session) (any, error) { return store.RefreshTokens.Rotate(t.Context(), s.Request(0)) },
			func(s repotest.Session) (any, error) { return store.AuthCodes.Exchange(t.Context(), s.Code.Request()) },
			func(s repotest.Session) (any, error) {
				return store.RefreshTokens.Revoke(t.Context(), repo.RevokeParams{RefreshToken: s.Tokens[1], ClientID: "client_1"})
			},
			func(s repotest.Session) (any, error) {
				return store.Sessions.End(t.Context(), repo.EndParams{SessionID: s.SessionID, Reason: "sign_out"})
			},
			func(s repotest.Session) (any, error) { return store.EndUser(t.Context(), s.ClerkUserID, "offboarded") },
			func(s repotest.Session) (any, error) { return store.RefreshTokens.Rotate(t.Context(), s.Request(1)) }, // a retry
		} {
			session := repotest.NewSession(t, store, repo.IssueParams{Data: []byte(`{"a": 1}`)}, 2)
			_, err := end(session)
			require.NoError(t, err)
			_, err = store.AuthCodes.Exchange(t.Context(), session.Code.Request()) // a replay, perhaps one more
			require.NoError(t, err)
		}
		require.Empty(t, check(t, store))
		repotest.Age(t, store, 400*24*time.Hour)
		require.Empty(t, check(t, store))
	})

	t.Run("InRowsFromBeforeGptoauth", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		_, err := store.DB().ExecContext(t.Context(), `
			INSERT INTO gpt_refresh_tokens (id, token_hash, clerk_user_id, expires_at, revoked_at, rotated_to) VALUES
				('00000000-0000-0000-0000-000000000002', 'b', 'user_1', now(), NULL, NULL),
				('00000000-0000-0000-0000-000000000001', 'a', 'user_1', now(), now(), '00000000-0000-0000-0000-000000000002');
			INSERT INTO gpt_sessions (clerk_user_id, refresh_token_id) VALUES ('user_1', '00000000-0000-0000-0000-000000000002'), ('user_2', NULL);
			INSERT INTO gpt_authorization_codes (code, code_challenge, clerk_user_id, redirect_uri, expires_at, used_at) VALUES
				('c', 'x', 'user_1', 'https://client.example/', now() - interval '1 day', now());
			INSERT INTO gpt_oauth_events (event_type, created_at) VALUES ('authorize', now() - interval '1 day')`)
		require.NoError(t, err)
		require.Empty(t, check(t, store))
	})

	t.Run("AfterPurging", func(t *testing.T) {
		t.Parallel()
		store := repotest.Store(t, repo.Config{})
		session := repotest.NewSession(t, store, repo.IssueParams{}, 3)
		repotest.Age(t, store, time.Hour)
		repotest.NewSession(t, store, repo.IssueParams{}, 0)
		_, err := store.DB().ExecContext(t.Context(), `
			DELETE FROM gpt_oauth_events WHERE created_at < now() - interval '1 minute';
			DELETE FROM gpt_authorization_codes WHERE created_at < now() - interval '1 minute'`)
		require.NoError(t, err)
		_, err = store.DB().ExecContext(t.Context(), `
			DELETE FROM gpt_refresh_tokens AS t WHERE t.session_id = ?
			   AND NOT EXISTS (SELECT FROM gpt_refresh_tokens AS p WHERE p.rotated_to = t.id)`, session.SessionID)
		require.NoError(t, err)
		require.Empty(t, check(t, store))

		// Ids are made by many clocks, so that a successor may be purged first; its predecessor is then unlinked.
		other := repotest.NewSession(t, store, repo.IssueParams{}, 3)
		_, err = store.DB().ExecContext(t.Context(), `
			WITH unlinked AS (UPDATE gpt_refresh_tokens SET rotated_to = NULL WHERE id = ?0 RETURNING 1)
			DELETE FROM gpt_refresh_tokens WHERE id = ?1`, tokenID(t, store, other, 0), tokenID(t, store, other, 1))
		require.NoError(t, err)
		require.Empty(t, check(t, store))
	})
}

func tokenID(t *testing.T, store *repo.Store, session repotest.Session, generation int) uuid.UUID {
	t.Helper()
	looked, err := store.RefreshTokens.Lookup(t.Context(), session.Tokens[generation])
	require.NoError(t, err)
	return looked.Token.ID
}

func check(t *testing.T, store *repo.Store) []invariants.Finding {
	t.Helper()
	findings, err := invariants.Check(t.Context(), store.DB())
	require.NoError(t, err)
	return findings
}
