package repo_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
)

const (
	plannedBatch = 500

	// readsPerRow is how many rows a statement of a purge may read for each that it may delete: a session with its tokens, and
	// what refers to them.
	readsPerRow = 12
)

// checkPurgePlans: every statement of a purge goes by an index from where the last one stopped, and stops at its limit,
// however many rows there are. The counting of a dry run is not held to that: it looks at all there is.
func checkPurgePlans(t *testing.T, planned *explained, mode string, age time.Duration) {
	t.Helper()
	expireSome(t, planned.db, age)
	leaveSomeNonces(t, planned.db)
	janitor, err := repo.NewJanitor(planned.db, repo.JanitorConfig{
		Codes: age, Sessions: age, Rotated: age, Events: age, BatchSize: plannedBatch,
		OnBatch: func(batch repo.Batch) {
			require.NotEmpty(t, planned.plans, batch.Step)
			for _, plan := range planned.plans {
				requireNoSeqScan(t, mode+" purge of "+batch.Step, plan)
				require.LessOrEqual(t, plan.read(), float64(plannedBatch*readsPerRow), "%s purge of %s:\n%s", mode, batch.Step, plan.Query)
			}
			planned.plans = nil
		},
	})
	require.NoError(t, err)
	planned.plans = nil
	result, err := janitor.Purge(t.Context())
	require.NoError(t, err)
	for name, rows := range map[string]int{
		"codes": result.Codes, "sessions": result.Sessions, "tokens": result.Tokens, "nonces": result.Nonces, "events": result.Events,
	} {
		require.NotZero(t, rows, "%s: nothing was due", name)
	}
}

// expireSome lets the oldest sessions expire for want of use, so that there are some of that kind.
func expireSome(t *testing.T, db *bun.DB, age time.Duration) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), `
		UPDATE public.gpt_refresh_tokens AS t
		   SET expires_at = now() - ? * interval '1 us'
		 WHERE t.id IN (SELECT s.refresh_token_id FROM public.gpt_sessions AS s WHERE s.ended_at IS NULL ORDER BY s.id LIMIT 300)`,
		(age + time.Hour).Microseconds())
	require.NoError(t, err)
}

// leaveSomeNonces is what rotations leave behind whose grace is over.
func leaveSomeNonces(t *testing.T, db *bun.DB) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), `
		UPDATE public.gpt_sessions AS s
		   SET successor_nonce = '\x00'
		 WHERE s.id IN (SELECT s.id FROM public.gpt_sessions AS s WHERE s.ended_at IS NULL ORDER BY s.id DESC LIMIT 300)`)
	require.NoError(t, err)
}
