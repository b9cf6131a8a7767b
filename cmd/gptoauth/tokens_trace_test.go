package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func TestTraceFollowsARealToken(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	store, err := repo.New(openTest(t, databaseURL), repo.Config{})
	require.NoError(t, err)
	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	for range 2 { // once within the grace period, once as the thief would
		_, err := store.RefreshTokens.Rotate(t.Context(), session.Request(1))
		require.NoError(t, err)
	}
	reused, err := store.RefreshTokens.Rotate(t.Context(), session.Request(0))
	require.NoError(t, err)
	require.Equal(t, repo.Reused, reused.Outcome)

	env := map[string]string{databaseVariable: databaseURL}
	o := runWith(t.Context(), t, env, strings.NewReader("  "+session.Tokens[1]+"\r\nand what else is in the file"), "tokens", "trace", "--json")
	require.Equal(t, exitDone, o.code, o.stderr)
	require.NotRegexp(t, aSecret, o.stdout+o.stderr)
	var got traceResult
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &got))
	require.Equal(t, 2, got.Found.Generation)
	require.Equal(t, byToken, got.Found.By)
	require.False(t, got.Family.Alive)
	require.Equal(t, "token_reuse", got.Family.EndReason)
	require.False(t, got.Family.Generations[0].ReusedAt.IsZero())
	require.Equal(t, 2, got.Family.Generations[1].Retries)
	require.Equal(t, stateEnded, got.Family.Generations[2].State)

	again := gptoauth(t, databaseURL, "tokens", "trace", "--json", strings.ToUpper(digestOf(session.Tokens[1])[:16]))
	require.Equal(t, exitDone, again.code, again.stderr)
	require.Contains(t, again.stdout, `"by": "hash"`)
	require.Contains(t, again.stdout, `"generation": 2`)
}

func TestTraceSaysWhatItDidNotFind(t *testing.T) {
	t.Parallel()
	databaseURL := storyURL(t)
	execIn(t, databaseURL, `INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, expires_at) VALUES
		('01990000-0000-7000-8000-000000d1beef', 'aaaa1', 'user_old', now()), (gen_random_uuid(), 'aaaa2', 'user_old', now())`)
	for name, test := range map[string]struct {
		stdin, argument string
		code            int
		stderr          string
	}{
		"NothingOnStdin":  {"\n", "", exitUsage, "there is nothing on stdin"},
		"MangledToken":    {storyToken[:len(storyToken)-1] + "\n", "", exitFailed, "there is no such token: mangled"},
		"Code":            {"gptc_AZ2cAAECAwQF\n", "", exitUsage, "this is an authorization code"},
		"TokenAsArgument": {"", storyToken, exitUsage, "a token does not belong on the command line"},
		"UnknownID":       {"", "01990000-0000-7000-8000-000000999999", exitFailed, "there is neither a session nor a refresh token with this id"},
		"UnknownHash":     {"", "ffffffff", exitFailed, "there is no token whose hash begins like this"},
		"SeveralHashes":   {"", "aaaa", exitFailed, "several hashes begin like this: give more digits"},
		"ShortHash":       {"", "abc", exitUsage, "neither an id nor 4 to 64 hex digits"},
		"AdoptedToken":    {"", "01990000-0000-7000-8000-000000d1beef", exitFailed, "older than gptoauth here and belongs to no session"},
		"URL":             {"", "postgres://ada:hunter2@db/app", exitUsage, "neither an id nor 4 to 64 hex digits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"tokens", "trace"}
			if test.argument != "" {
				args = append(args, test.argument)
			}
			o := runWith(t.Context(), t, map[string]string{databaseVariable: databaseURL}, strings.NewReader(test.stdin), args...)
			require.Equal(t, test.code, o.code, o.stderr)
			require.Empty(t, o.stdout)
			require.Contains(t, o.stderr, test.stderr)
			require.NotContains(t, o.stderr, storyToken[:20])
			require.NotContains(t, o.stderr, "hunter2")
		})
	}
}

// A family of 10,000 generations, a refresh every ten minutes for ten weeks.
func TestTraceOfTenThousandGenerations(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	execIn(t, databaseURL, longFamilySQL)
	fastest := time.Hour
	for range 3 {
		begin := time.Now()
		o := gptoauth(t, databaseURL, "tokens", "trace", storySession)
		fastest = min(fastest, time.Since(begin))
		require.Equal(t, exitDone, o.code, o.stderr)
		require.Contains(t, o.stdout, "The family, 10,000 generations, 100 asked for again, one every 10 min 00 s")
		require.Contains(t, o.stdout, "`- 10000")
		require.Less(t, strings.Count(o.stdout, "\n"), 100)
	}
	t.Logf("the fastest of three took %s", fastest.Round(time.Millisecond))
	require.Less(t, fastest, 30*time.Second, "half a second where nothing else runs; a query a generation would take minutes")
}

const longFamilySQL = `
WITH tokens AS (
	INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at, revoked_at, rotated_to, created_at)
	SELECT id, encode(sha256(id::text::bytea), 'hex'), 'user_2ada', '01990000-0000-7000-8000-00000051beef', '2999-01-01', at + interval '10 min', next, at
	  FROM (SELECT n, ('01990000-0000-7000-8000-' || lpad(to_hex(n), 8, '0') || 'beef')::uuid AS id,
	               CASE WHEN n < 10000 THEN ('01990000-0000-7000-8000-' || lpad(to_hex(n + 1), 8, '0') || 'beef')::uuid END AS next,
	               timestamptz '2026-01-01Z' + (n - 1) * interval '10 min' AS at
	          FROM generate_series(1, 10000) AS n) AS generation
), events AS (
	INSERT INTO public.gpt_oauth_events (event_type, clerk_user_id, session_id, metadata, ip_address, created_at)
	SELECT CASE WHEN n % 100 = 0 THEN 'token_retry' ELSE 'token_refresh' END, 'user_2ada', '01990000-0000-7000-8000-00000051beef',
	       CASE WHEN n % 100 = 0 THEN jsonb_build_object('refresh_token_id', '01990000-0000-7000-8000-' || lpad(to_hex(n), 8, '0') || 'beef') ELSE '{}' END,
	       '198.51.100.' || n % 5, timestamptz '2026-01-01Z' + (n - 1) * interval '10 min'
	  FROM generate_series(1, 10000) AS n
)
INSERT INTO public.gpt_sessions (id, clerk_user_id, client_id, created_at, refresh_token_id)
VALUES ('01990000-0000-7000-8000-00000051beef', 'user_2ada', 'client_1', '2026-01-01Z', ('01990000-0000-7000-8000-' || lpad(to_hex(10000), 8, '0') || 'beef')::uuid)`
