package repo_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/invariants"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

const day = 24 * time.Hour

// janitorStore is a store with real commits, which a janitor needs, and the janitor.
func janitorStore(t *testing.T, config repo.JanitorConfig) (*repo.Store, *repo.Janitor) {
	t.Helper()
	store := repotest.CommittingStore(t, repo.Config{}, 10)
	return store, newJanitor(t, store, config)
}

func newJanitor(t *testing.T, store *repo.Store, config repo.JanitorConfig) *repo.Janitor {
	t.Helper()
	janitor, err := repo.NewJanitor(store.DB().(*bun.DB), config)
	require.NoError(t, err)
	return janitor
}

// purge compares what a purge does with what a count said it would, and looks for orphans afterwards.
func purge(t *testing.T, janitor *repo.Janitor) repo.PurgeCounts {
	t.Helper()
	counted, err := janitor.Count(t.Context())
	require.NoError(t, err)
	result, err := janitor.Purge(t.Context())
	require.NoError(t, err)
	require.Equal(t, counted, result.PurgeCounts)
	requireNoOrphans(t, janitor)
	return result.PurgeCounts
}

func requireNoOrphans(t *testing.T, janitor *repo.Janitor) {
	t.Helper()
	orphans, err := janitor.Check(t.Context())
	require.NoError(t, err)
	require.Empty(t, orphans)
}

func TestPurgeCodes(t *testing.T) {
	t.Parallel()
	store, janitor := janitorStore(t, repo.JanitorConfig{})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	unused := repotest.NewCode(t, store, repo.IssueParams{})
	_ = unused

	repotest.Age(t, store, day) // they expired ten minutes later, 23 h 50 min ago
	require.Equal(t, 0, purge(t, janitor).Codes)
	replay := exchange(t, store, session.Code.Request())
	require.Equal(t, repo.Replayed, replay.Outcome, "the tombstone of a used code lets its replay be detected")

	repotest.Age(t, store, 10*time.Minute)
	require.Equal(t, 2, purge(t, janitor).Codes)
	require.Equal(t, repo.Unknown, exchange(t, store, session.Code.Request()).Outcome)
}

func TestPurgeSessions(t *testing.T) {
	t.Parallel()
	store, janitor := janitorStore(t, repo.JanitorConfig{})
	living := repotest.NewSession(t, store, repo.IssueParams{}, 3)
	ended := repotest.NewSession(t, store, repo.IssueParams{}, 3)
	expired := repotest.NewSession(t, store, repo.IssueParams{}, 1)
	_, err := store.Sessions.End(t.Context(), repo.EndParams{SessionID: ended.SessionID, Reason: "sign_out"})
	require.NoError(t, err)

	repotest.AgeSession(t, store, expired.SessionID, 60*day-time.Minute) // its token expired 30 days ago, less a minute
	repotest.AgeSession(t, store, ended.SessionID, 30*day-time.Minute)
	counts := purge(t, janitor)
	require.Equal(t, 0, counts.Sessions+counts.Tokens)

	repotest.Age(t, store, time.Minute)
	counts = purge(t, janitor)
	require.Equal(t, 2, counts.Sessions)
	require.Equal(t, 4+2, counts.Tokens)
	require.Equal(t, 1, count(t, store, "gpt_sessions", "TRUE"))
	findings, err := invariants.Check(t.Context(), store.DB())
	require.NoError(t, err)
	require.Empty(t, findings)
	require.Equal(t, repo.Unknown, rotate(t, store, ended.Request(3)).Outcome)
	require.Equal(t, repo.Rotated, rotate(t, store, living.Request(3)).Outcome)
}

func TestPurgeSessionWaitsForItsCode(t *testing.T) {
	t.Parallel()
	store, janitor := janitorStore(t, repo.JanitorConfig{Sessions: time.Hour})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	_, err := store.Sessions.End(t.Context(), repo.EndParams{SessionID: session.SessionID, Reason: "sign_out"})
	require.NoError(t, err)

	repotest.Age(t, store, 2*time.Hour)
	require.Equal(t, 0, purge(t, janitor).Total())
	replay := exchange(t, store, session.Code.Request())
	require.Equal(t, repo.Replayed, replay.Outcome)
	require.Equal(t, session.SessionID, replay.SessionID)

	repotest.Age(t, store, day)
	require.Equal(t, repo.PurgeCounts{Codes: 1, Sessions: 1, Tokens: 1}, purge(t, janitor))
}

func TestPurgeLongFamilyInManyBatches(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"ended", "expired"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var batches int
			store, janitor := janitorStore(t, repo.JanitorConfig{BatchSize: 20, OnBatch: func(b repo.Batch) {
				require.LessOrEqual(t, b.Tokens, 20+20)
				if b.Tokens > 0 {
					batches++
				}
			}})
			session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
			long := repotest.NewSession(t, store, repo.IssueParams{}, 0)
			lengthen(t, store, long.SessionID, 150)
			if kind == "ended" {
				for _, id := range []uuid.UUID{session.SessionID, long.SessionID} {
					_, err := store.Sessions.End(t.Context(), repo.EndParams{SessionID: id, Reason: "sign_out"})
					require.NoError(t, err)
				}
			}
			repotest.Age(t, store, 61*day)
			require.Equal(t, repo.PurgeCounts{Codes: 2, Sessions: 2, Tokens: 3 + 151}, purge(t, janitor))
			require.Greater(t, batches, 7)
		})
	}
}

// lengthen puts n generations before a session's only token, a minute apart, the ids in an order of their own, as if many
// clocks had made them.
func lengthen(t *testing.T, store *repo.Store, session uuid.UUID, n int) {
	t.Helper()
	_, err := store.DB().ExecContext(t.Context(), `
		WITH given AS (
			SELECT n, gen_random_uuid() AS id FROM generate_series(1, ?0) AS n
		), chain AS (
			SELECT n, id, lead(id) OVER (ORDER BY n) AS next FROM given
		)
		INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at, revoked_at, rotated_to, created_at)
		SELECT chain.id, chain.id::text, s.clerk_user_id, s.id, t.expires_at, t.created_at - (?0 - chain.n) * interval '1 minute',
		       coalesce(chain.next, t.id), t.created_at - (?0 + 1 - chain.n) * interval '1 minute'
		  FROM chain
		  JOIN public.gpt_sessions AS s ON s.id = ?1
		  JOIN public.gpt_refresh_tokens AS t ON t.id = s.refresh_token_id`, n, session)
	require.NoError(t, err)
}

func TestPurgeTrimsRotatedTokens(t *testing.T) {
	t.Parallel()
	store, janitor := janitorStore(t, repo.JanitorConfig{Rotated: 10 * day, BatchSize: 20})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
	repotest.AgeSession(t, store, session.SessionID, 11*day)
	untrimmed := repotest.NewSession(t, store, repo.IssueParams{}, 5)
	require.Equal(t, repo.PurgeCounts{Codes: 1, Nonces: 1}, purge(t, janitor), "the direct predecessor stays whatever its age")

	// Generations 0 and 1 were rotated away 11 days ago and now, and 200 before them.
	next := rotate(t, store, session.Request(1))
	require.Equal(t, repo.Rotated, next.Outcome)
	lengthenTail(t, store, session.SessionID, 200)
	require.Equal(t, repo.PurgeCounts{Tokens: 201}, purge(t, janitor))
	require.Equal(t, 2, count(t, store, "gpt_refresh_tokens", "session_id = ?", session.SessionID))
	require.Equal(t, 6, count(t, store, "gpt_refresh_tokens", "session_id = ?", untrimmed.SessionID))

	require.Equal(t, repo.Unknown, rotate(t, store, session.Request(0)).Outcome, "a trimmed token is Unknown, not Reused")
	requireActive(t, store, session.SessionID, true)
	again := rotate(t, store, repo.RotateParams{RefreshToken: string(next.RefreshToken), ClientID: "client_1"})
	require.Equal(t, repo.Rotated, again.Outcome)
	require.Equal(t, repo.Reused, rotate(t, store, session.Request(1)).Outcome, "what is kept is still detected")
	requireActive(t, store, session.SessionID, false)
}

// lengthenTail puts n generations before a session's first one, a minute apart, with ids of three clocks that are 90 seconds
// apart.
func lengthenTail(t *testing.T, store *repo.Store, session uuid.UUID, n int) {
	t.Helper()
	_, err := store.DB().ExecContext(t.Context(), `
		WITH first AS (
			SELECT t.id, t.created_at, t.expires_at, t.clerk_user_id, t.session_id FROM public.gpt_refresh_tokens AS t
			 WHERE t.session_id = ?1 ORDER BY t.created_at LIMIT 1
		), given AS (
			SELECT n, first.created_at - (?0 + 1 - n) * interval '1 minute' AS at FROM first CROSS JOIN generate_series(1, ?0) AS n
		), chain AS (
			SELECT n, at, id, lead(id) OVER (ORDER BY n) AS next
			  FROM given
			 CROSS JOIN LATERAL (
			      SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint + n % 3 * 90000), 12, '0') || substr(md5(n::text), 13))::uuid
			 ) AS new (id)
		)
		INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at, revoked_at, rotated_to, created_at)
		SELECT chain.id, chain.id::text, first.clerk_user_id, first.session_id, first.expires_at, chain.at + interval '1 minute',
		       coalesce(chain.next, first.id), chain.at
		  FROM chain CROSS JOIN first`, n, session)
	require.NoError(t, err)
}

func requireActive(t *testing.T, store *repo.Store, id uuid.UUID, want bool) {
	t.Helper()
	active, err := store.Sessions.Active(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, want, active)
}

func TestPurgeClearsNonces(t *testing.T) {
	t.Parallel()
	store, janitor := janitorStore(t, repo.JanitorConfig{})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
	require.Equal(t, 0, purge(t, janitor).Nonces)
	require.Equal(t, repo.Retried, rotate(t, store, session.Request(0)).Outcome)

	repotest.Age(t, store, 11*time.Minute)
	require.Equal(t, 1, purge(t, janitor).Nonces)
	require.Equal(t, 0, count(t, store, "gpt_sessions", "successor_nonce IS NOT NULL"))
	require.Equal(t, repo.Rotated, rotate(t, store, session.Request(1)).Outcome)
}

func TestPurgeEvents(t *testing.T) {
	t.Parallel()
	store, janitor := janitorStore(t, repo.JanitorConfig{})
	user := repotest.NewUser(t, store, 10)
	repotest.AgeSession(t, store, user.SessionID, 400*day)
	counts := purge(t, janitor)
	require.Equal(t, 11, counts.Events, "all that name the session")
	require.Equal(t, 1, count(t, store, "gpt_oauth_events", "TRUE"))
}

func TestPurgeKeepsWhatIsOff(t *testing.T) {
	t.Parallel()
	store, janitor := janitorStore(t, repo.JanitorConfig{Codes: repo.Off, Sessions: repo.Off, Events: repo.Off})
	repotest.NewUser(t, store, 10)
	repotest.Age(t, store, 10_000*day)
	require.Equal(t, repo.PurgeCounts{}, purge(t, janitor))
}

func TestPurgeAdoptedRows(t *testing.T) {
	t.Parallel()
	store, janitor := janitorStore(t, repo.JanitorConfig{BatchSize: 20})
	for i, at := range []string{"-31 days", "-29 days"} {
		_, err := store.DB().ExecContext(t.Context(), `
			WITH given AS (
				SELECT n, gen_random_uuid() AS id FROM generate_series(1, 50) AS n
			), chain AS (
				SELECT n, id, lead(id) OVER (ORDER BY n) AS next FROM given
			), token AS (
				INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, expires_at, revoked_at, rotated_to)
				SELECT id, id::text, 'user_' || ?0, now() + ?1::interval, CASE WHEN n < 50 OR ?0 > 0 THEN now() END, next FROM chain
			)
			INSERT INTO public.gpt_sessions (clerk_user_id, refresh_token_id, last_active)
			SELECT 'user_' || ?0, chain.id, now() + ?1::interval FROM chain WHERE n = 50
			UNION ALL
			SELECT 'user_' || ?0, NULL, now() + ?1::interval`, i, at)
		require.NoError(t, err)
	}
	revoked := uuid.New() // signed out before gptoauth: its session says nothing of it
	_, err := store.DB().ExecContext(t.Context(), `
		WITH token AS (
			INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, expires_at, revoked_at)
			VALUES (?0, 'revoked', 'user_2', now() - interval '31 days', now() - interval '90 days')
		)
		INSERT INTO public.gpt_sessions (clerk_user_id, refresh_token_id) VALUES ('user_2', ?0)`, revoked)
	require.NoError(t, err)

	counts := purge(t, janitor)
	require.Equal(t, repo.PurgeCounts{Sessions: 3, Tokens: 51}, counts)
	require.Equal(t, 50, count(t, store, "gpt_refresh_tokens", "TRUE"))
	require.Equal(t, 2, count(t, store, "gpt_sessions", "TRUE"))
}

func TestCheckFindsOrphans(t *testing.T) {
	t.Parallel()
	store, janitor := janitorStore(t, repo.JanitorConfig{})
	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	requireNoOrphans(t, janitor)
	for _, statement := range []string{
		"ALTER TABLE public.gpt_refresh_tokens DROP CONSTRAINT gpt_refresh_tokens_session_id_fkey",
		fmt.Sprintf("UPDATE public.gpt_refresh_tokens SET session_id = '%s' WHERE rotated_to IS NULL", uuid.New()),
		fmt.Sprintf("UPDATE public.gpt_refresh_tokens SET revoked_at = now() WHERE id = '%s'", session.RefreshTokenID),
	} {
		_, err := store.DB().ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	orphans, err := janitor.Check(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []repo.Orphans{
		{Name: "tokens of a session that does not exist", Rows: 1},
		{Name: "tokens rotated to one of another session", Rows: 1},
		{Name: "sessions whose current token is of another session", Rows: 1},
		{Name: "living sessions whose current token was rotated or revoked", Rows: 1},
		{Name: "foreign keys missing or not valid", Rows: 1},
	}, orphans)
}

func TestRunPurgesUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	purged := make(chan repo.PurgeResult)
	store, janitor := janitorStore(t, repo.JanitorConfig{
		Interval: 10 * time.Millisecond,
		OnPurge: func(result repo.PurgeResult, err error) {
			if err == nil && result.Total() > 0 {
				purged <- result
			}
		},
	})
	repotest.NewCode(t, store, repo.IssueParams{})
	repotest.Age(t, store, 2*day)

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- janitor.Run(ctx) }()
	require.Equal(t, 1, (<-purged).Codes)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestJanitorConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, config := range []repo.JanitorConfig{
		{Codes: time.Second},
		{Sessions: time.Second},
		{Rotated: time.Hour},
		{Events: -2},
		{BatchSize: 10_001},
		{BatchSize: -1},
		{Interval: -1},
	} {
		_, err := repo.NewJanitor(nil, config)
		var input *repo.InputError
		require.ErrorAs(t, err, &input, "%+v", config)
	}
}
