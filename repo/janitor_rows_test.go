package repo_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
)

// loadDead adds n dead sessions of ten rows each: the session, 3 tokens, a code, 5 events. Every other one was ended, the
// rest expired.
func loadDead(t *testing.T, store *repo.Store, n int) { t.Helper(); load(t, store, n, true) }

// loadLiving adds n living ones of the same kind, with old events but none that is due.
func loadLiving(t *testing.T, store *repo.Store, n int) { t.Helper(); load(t, store, n, false) }

func load(t *testing.T, store *repo.Store, n int, dead bool) {
	t.Helper()
	_, err := store.DB().ExecContext(t.Context(), `
		WITH given AS MATERIALIZED (
			SELECT n, 'user_' || n || CASE WHEN ?1 THEN '_dead' ELSE '_living' END AS clerk_user_id,
			       gen_random_uuid() AS session_id, gen_random_uuid() AS t1, gen_random_uuid() AS t2, gen_random_uuid() AS t3,
			       -- born 450 days ago, died 400 to 430 days ago; or born a day ago
			       now() - CASE WHEN ?1 THEN interval '450 days' ELSE interval '1 day' END + n * interval '1 millisecond' AS born,
			       CASE WHEN ?1 AND n % 2 = 0 THEN now() - interval '430 days' + n * interval '1 millisecond' END AS ended_at
			  FROM generate_series(1, ?0) AS n
		), session AS (
			INSERT INTO public.gpt_sessions (id, clerk_user_id, client_id, scope, refresh_token_id, last_active, created_at, expires_at, ended_at, end_reason)
			SELECT session_id, clerk_user_id, 'client_1', 'openid', t3, born, born, born + interval '3650 days', ended_at, CASE WHEN ended_at IS NOT NULL THEN 'sign_out' END
			  FROM given
		), token AS (
			INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at, revoked_at, rotated_to, created_at)
			SELECT t.id, encode(sha256(t.id::text::bytea), 'hex'), clerk_user_id, session_id, born + interval '30 days', t.revoked_at, t.rotated_to, born
			  FROM given
			 CROSS JOIN LATERAL (VALUES (t1, born + interval '1 hour', t2), (t2, born + interval '2 hours', t3), (t3, ended_at, NULL)) AS t (id, revoked_at, rotated_to)
		), code AS (
			INSERT INTO public.gpt_authorization_codes (code, code_challenge, clerk_user_id, client_id, redirect_uri, expires_at, used_at, created_at, session_id)
			SELECT encode(sha256(session_id::text::bytea), 'hex'), 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', clerk_user_id, 'client_1', 'https://chatgpt.com/aip/g-1/oauth/callback',
			       born + interval '10 minutes', born, born, session_id
			  FROM given
		)
		INSERT INTO public.gpt_oauth_events (event_type, clerk_user_id, client_id, session_id, ip_address, created_at)
		SELECT 'token_refresh', clerk_user_id, 'client_1', session_id, '192.0.2.1', born + e * interval '1 hour'
		  FROM given CROSS JOIN generate_series(1, 5) AS e`, n, dead)
	require.NoError(t, err)
}
