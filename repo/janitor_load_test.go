package repo_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

const (
	// deadRowsVariable sets how many dead rows are purged: 2000000 for the figures of the README, on a server of its own
	// that writes to disk.
	deadRowsVariable = "GPTOAUTH_TEST_PURGE_ROWS"

	smallDeadRows = 10_000
	rowsPerDead   = 10 // see loadDead
	loadClients   = 8
)

// Dead rows are purged while clients exchange and rotate: no call fails, nothing alive is touched, and nothing dead is left.
// With GPTOAUTH_TEST_PURGE_ROWS it says what that cost the clients, and how fast a purge is when it is alone.
func TestPurgeWhileClientsWork(t *testing.T) {
	t.Parallel()
	rows, full := smallDeadRows, false
	if text := os.Getenv(deadRowsVariable); text != "" {
		var err error
		rows, err = strconv.Atoi(text)
		require.NoError(t, err)
		full = true
	}
	store := loadStore(t, full)
	janitor := newJanitor(t, store, repo.JanitorConfig{})
	load := func(n int) {
		for ; n > 0; n -= rows / 10 / rowsPerDead {
			loadDead(t, store, rows/10/rowsPerDead)
		}
		vacuum(t, store)
	}
	loadLiving(t, store, rows/100)
	if full {
		load(rows / rowsPerDead)
		result := timedPurge(t, janitor)
		require.Equal(t, rows, result.Total())
		t.Logf("alone: %d rows in %.1f s, %.0f a second", result.Total(), result.Took.Seconds(), float64(result.Total())/result.Took.Seconds())
	}

	load(rows / rowsPerDead)
	living := livingRows(t, store)
	require.NotEmpty(t, living)
	turns := &turns{}
	if full {
		turns.left = 16
	}
	janitor = newJanitor(t, store, repo.JanitorConfig{OnBatch: turns.await})
	purged := make(chan time.Time)
	var result repo.PurgeResult
	go func() {
		defer close(purged)
		var err error
		if result, err = janitor.Purge(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	report := work(t, store, turns, purged)

	require.Equal(t, rows, result.Codes+result.Sessions+result.Tokens+result.Events)
	require.Equal(t, living, livingRows(t, store), "what is alive is what it was, row by row")
	report.requireAllAlive(t, store)
	requireNoOrphans(t, janitor)
	took := result.Took - turns.waited
	t.Logf("while %d clients worked: %d rows in %.1f s, %.0f a second, of which %.1f s were pauses", loadClients, result.Total(),
		took.Seconds(), float64(result.Total())/took.Seconds(), result.Paused.Seconds())
	if full {
		t.Logf("exchange without a purge: %s", report.exchanges[false])
		t.Logf("exchange during a purge:  %s", report.exchanges[true])
		t.Logf("rotate without a purge: %s", report.rotations[false])
		t.Logf("rotate during a purge:  %s", report.rotations[true])
		t.Logf("p99 of exchange, during a purge to without: %.2f", float64(report.exchanges[true].p99())/float64(report.exchanges[false].p99()))
	}
}

// turns has the janitor stand still every other five seconds, a number of times, so that the clients are measured with and
// without it on a machine that is otherwise equally busy.
type turns struct {
	left    int // to come
	began   time.Time
	waited  time.Duration
	stopped atomic.Bool
	over    atomic.Bool // no turn is to come: nothing is measured any more, or the two would be of different times
}

const turn = 5 * time.Second

// await is for OnBatch.
func (w *turns) await(repo.Batch) {
	switch {
	case w.left == 0:
	case w.began.IsZero():
		w.began = time.Now()
	case time.Since(w.began) > turn:
		w.stopped.Store(true)
		time.Sleep(turn) // the turn of those who are measured without
		w.stopped.Store(false)
		w.waited += turn
		w.left--
		w.over.Store(w.left == 0)
		w.began = time.Now()
	}
}

func timedPurge(t *testing.T, janitor *repo.Janitor) repo.PurgeResult {
	t.Helper()
	result, err := janitor.Purge(t.Context())
	require.NoError(t, err)
	return result
}

// loadStore is a store over a database of the test's own; for the figures on a server of its own, whose commits reach the
// disk.
func loadStore(t *testing.T, full bool) *repo.Store {
	t.Helper()
	if !full {
		return repotest.CommittingStore(t, repo.Config{}, loadClients+2)
	}
	server, err := privatepg.Start(t.Context(), privatepg.Options{Settings: map[string]string{
		"fsync": "on", "shared_buffers": "512MB", "max_wal_size": "4GB",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.WithoutCancel(t.Context()))) })
	db, err := repo.Open(t.Context(), server.URL("postgres"), repo.PoolConfig{MaxConns: loadClients + 2, ReadTimeout: -1})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	require.NoError(t, migrations.Up(t.Context(), db))
	store, err := repo.New(db, repo.Config{})
	require.NoError(t, err)
	return store
}

func vacuum(t *testing.T, store *repo.Store) {
	t.Helper()
	for _, statement := range []string{"VACUUM (ANALYZE)", "CHECKPOINT"} {
		_, err := store.DB().ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
}

// livingRows are the rows that loadLiving made, but for the nonces, of which a purge clears some.
func livingRows(t *testing.T, store *repo.Store) []string {
	t.Helper()
	var rows []string
	for _, table := range []string{"gpt_authorization_codes", "gpt_sessions", "gpt_refresh_tokens", "gpt_oauth_events"} {
		var of []string
		require.NoError(t, store.DB().NewRaw("SELECT (to_jsonb(r) - 'successor_nonce')::text FROM ? AS r WHERE clerk_user_id LIKE '%\\_living' ORDER BY 1",
			bun.Ident(table)).Scan(t.Context(), &of))
		rows = append(rows, of...)
	}
	return rows
}

// loadReport is what clients have seen, while a purge worked (true) and while it did not.
type loadReport struct {
	exchanges, rotations measured
	current              []repo.Grant // what each session has in the end
}

func newLoadReport() loadReport {
	return loadReport{exchanges: make(measured), rotations: make(measured)}
}

type measured map[bool]latencies

func (m measured) add(turns *turns, during bool, took time.Duration) {
	if !turns.over.Load() {
		m[during] = append(m[during], took)
	}
}

type latencies []time.Duration

func (l latencies) at(quantile float64) time.Duration {
	slices.Sort(l)
	return l[int(float64(len(l)-1)*quantile)]
}

func (l latencies) p99() time.Duration { return l.at(0.99) }

func (l latencies) String() string {
	return fmt.Sprintf("%d calls, p50 %v, p99 %v, p99.9 %v, most %v", len(l), l.at(0.5).Round(10*time.Microsecond),
		l.p99().Round(10*time.Microsecond), l.at(0.999).Round(10*time.Microsecond), l.at(1).Round(10*time.Microsecond))
}

// work has clients sign in and refresh twice, again and again, until done says so.
func work(t *testing.T, store *repo.Store, turns *turns, done <-chan time.Time) loadReport {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-done; cancel() }()
	reports := make([]loadReport, loadClients)
	var clients sync.WaitGroup
	for i := range reports {
		reports[i] = newLoadReport()
		clients.Go(func() {
			for first := true; first || ctx.Err() == nil; first = false {
				if err := reports[i].signIn(t, store, turns); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	all := newLoadReport()
	for _, r := range reports {
		for _, during := range []bool{false, true} {
			all.exchanges[during] = append(all.exchanges[during], r.exchanges[during]...)
			all.rotations[during] = append(all.rotations[during], r.rotations[during]...)
		}
		all.current = append(all.current, r.current...)
	}
	return all
}

func (r *loadReport) signIn(t *testing.T, store *repo.Store, turns *turns) error {
	during := !turns.stopped.Load()
	code := repotest.NewCode(t, store, repo.IssueParams{})
	started := time.Now()
	exchanged, err := store.AuthCodes.Exchange(t.Context(), code.Request())
	r.exchanges.add(turns, during, time.Since(started))
	if err == nil {
		err = exchanged.Err()
	}
	grant := exchanged.Grant
	for range 2 {
		if err != nil {
			return err
		}
		started = time.Now()
		var rotated repo.RotateResult
		rotated, err = store.RefreshTokens.Rotate(t.Context(), repo.RotateParams{RefreshToken: string(grant.RefreshToken), ClientID: code.Issued.ClientID})
		r.rotations.add(turns, during, time.Since(started))
		if err == nil && rotated.Outcome != repo.Rotated {
			err = fmt.Errorf("outcome %s", rotated.Outcome)
		}
		grant = rotated.Grant
	}
	r.current = append(r.current, grant)
	return err
}

// requireAllAlive compares every session with what its client was given last, and has some refresh once more.
func (r *loadReport) requireAllAlive(t *testing.T, store *repo.Store) {
	t.Helper()
	var sessions []struct {
		ID             uuid.UUID `bun:"id,type:uuid"`
		RefreshTokenID uuid.UUID `bun:"refresh_token_id,type:uuid"`
	}
	require.NoError(t, store.DB().NewRaw(`
		SELECT s.id, s.refresh_token_id FROM public.gpt_sessions AS s
		  JOIN public.gpt_refresh_tokens AS t ON t.id = s.refresh_token_id AND t.session_id = s.id AND t.revoked_at IS NULL
		 WHERE s.ended_at IS NULL`).Scan(t.Context(), &sessions))
	current := make(map[uuid.UUID]uuid.UUID, len(sessions))
	for _, s := range sessions {
		current[s.ID] = s.RefreshTokenID
	}
	for i, grant := range r.current {
		require.Equal(t, grant.RefreshTokenID, current[grant.SessionID])
		if i%(len(r.current)/50+1) == 0 {
			params := repo.RotateParams{RefreshToken: string(grant.RefreshToken), ClientID: "client_1"}
			require.Equal(t, repo.Rotated, rotate(t, store, params).Outcome)
		}
	}
}
