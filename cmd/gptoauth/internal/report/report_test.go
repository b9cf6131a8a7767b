package report

import (
	"context"
	_ "embed"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/ageing"
	"github.com/gptoauth/gptoauth/internal/bulk"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

//go:embed testdata/month.sql
var monthSQL string

// monthOf is a database of a provider of this many sign-ins, after two months.
func monthOf(t testing.TB, signIns int) *bun.DB {
	t.Helper()
	db := open(t, repotest.URL(t))
	conn, err := db.Conn(t.Context()) // temporary tables belong to a connection
	require.NoError(t, err)
	defer conn.Close()
	for statement := range strings.SplitSeq(monthSQL, ";\n") {
		_, err := conn.ExecContext(t.Context(), statement, signIns)
		require.NoError(t, err, statement)
	}
	return db
}

func read(t testing.TB, db *bun.DB, days int) Report {
	t.Helper()
	r, err := Read(t.Context(), db, Params{Days: days, Timeout: time.Minute, Version: "v1.2.3"})
	require.NoError(t, err)
	return r
}

func newStore(t testing.TB, db *bun.DB) *repo.Store {
	t.Helper()
	store, err := repo.New(db, repo.Config{})
	require.NoError(t, err)
	return store
}

func rotate(t testing.TB, store *repo.Store, request repo.RotateParams, want repo.Outcome) {
	t.Helper()
	result, err := store.RefreshTokens.Rotate(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, want, result.Outcome)
}

// story is one of everything: what there was before the window, within it, and in its last hour.
func story(t testing.TB, db *bun.DB) {
	t.Helper()
	store := newStore(t, db)
	session := func(client string, rotations int, age time.Duration) repotest.Session {
		s := repotest.NewSession(t, store, repo.IssueParams{ClientID: client}, rotations)
		require.NoError(t, ageSession(t.Context(), db, s, age))
		return s
	}
	session("client_1", 3, 45*day) // its token has expired, and is not overdue yet
	stolen := session("client_1", 2, 5*day)
	rotate(t, store, stolen.Request(0), repo.Reused)
	require.NoError(t, ageSession(t.Context(), db, stolen, 2*day))

	living := session("client_2", 1, 0)
	rotate(t, store, living.Request(0), repo.Retried)
	rotate(t, store, living.Request(0), repo.Retried)
	wrong := living.Request(1)
	wrong.ClientID = "client_9"
	rotate(t, store, wrong, repo.Mismatch)

	replayed := session("client_1", 0, 0)
	result, err := store.AuthCodes.Exchange(t.Context(), replayed.Code.Request())
	require.NoError(t, err)
	require.Equal(t, repo.Replayed, result.Outcome)
	_, err = store.Sessions.End(t.Context(), repo.EndParams{SessionID: session("client_3", 0, 0).SessionID, Reason: "sign_out"})
	require.NoError(t, err)
	repotest.NewCode(t, store, repo.IssueParams{ClientID: "client_3"}) // a sign-in that no one finished
	require.NoError(t, store.Events.Append(t.Context(), repo.AppendParams{Type: "job_search"}))
}

// ageSession ages a session with the sign-in that led to it.
func ageSession(ctx context.Context, db *bun.DB, s repotest.Session, d time.Duration) error {
	return ageing.Person(ctx, db, s.ClerkUserID, d)
}

func TestFiguresAreThoseOfTheRows(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t)
	story(t, db)
	r := read(t, db, 30)
	require.Empty(t, r.Gaps)

	require.Equal(t, Counts{
		CodesIssued: 5, Exchanges: 4, Rotations: 3, Retries: 2, Reuses: 1, Replays: 1, Mismatches: 1,
	}, r.Activity.Counts)
	require.Len(t, r.Activity.Buckets, 30)
	require.Equal(t, Counts{CodesIssued: 1, Exchanges: 1, Rotations: 2}, r.Activity.Buckets[22].Counts, "seven days ago")
	require.Equal(t, Counts{Reuses: 1}, r.Activity.Buckets[27].Counts, "two days ago")

	series := func(at ...int) []int {
		values := make([]int, 30)
		for _, i := range at {
			values[i] = 1
		}
		return values
	}
	require.Equal(t, []ClientSeries{
		{"client_1", false, 2, series(22, 29)},
		{"client_2", false, 1, series(29)},
		{"client_3", false, 1, series(29)},
	}, r.SignIns.Clients)

	require.Equal(t, []int{0, 0, 1, 1}, []int{r.Alarms.InGrace, r.Alarms.Soon, r.Alarms.Late, r.Alarms.Replays})
	require.Equal(t, []ClientCount{{"client_1", false, 2}}, r.Alarms.Clients)
	require.WithinDuration(t, r.MadeAt, r.Alarms.LatestAt, time.Minute)
	require.Equal(t, Living{1, 1, 1, []LivingClient{{"client_2", false, 1, 1, 1}}}, *r.Living)
	require.Equal(t, Ended{3, []EndedReason{{"code_replay", false, 1}, {"token_reuse", false, 1}, {"", true, 1}}}, *r.Ended)

	require.Len(t, r.Storage.Tables, 4)
	for _, table := range r.Storage.Tables {
		require.Positive(t, table.TableBytes, table.Name)
		require.NotEmpty(t, table.Indexes, table.Name)
		var indexes int64
		for _, index := range table.Indexes {
			indexes += index.Bytes
		}
		require.Equal(t, table.IndexBytes, indexes, table.Name)
	}

	kinds := make(map[string]Kind)
	for _, kind := range r.Retention.Kinds {
		kinds[kind.Name] = kind
	}
	require.Equal(t, 2, kinds["expired codes"].Overdue, "those of 45 and of 7 days ago")
	tokens := kinds["expired refresh tokens"]
	require.Zero(t, tokens.Overdue)
	require.WithinDuration(t, r.MadeAt.Add(-15*day), tokens.OldestAt, time.Minute)
	require.Equal(t, tokens.OldestAt.Add(30*day), tokens.DueAt)

	var found []string
	for _, finding := range r.Findings {
		found = append(found, finding.Level+" "+finding.Check)
	}
	require.Equal(t, []string{"alarm alarms", "alarm alarms", "warning purge"}, found)
	require.Contains(t, r.Findings[0].Fix, "gptoauth events list --type token_reuse --since 30d")
}

// A session is over when its own time is, whatever its last token says.
func TestASessionPastItsOwnEndIsNotActive(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t)
	session := repotest.NewSession(t, newStore(t, db), repo.IssueParams{ClientID: "client_1"}, 1)
	require.Equal(t, 1, read(t, db, 30).Living.Sessions)
	_, err := db.ExecContext(t.Context(), "UPDATE public.gpt_sessions SET expires_at = now() - interval '1 second' WHERE id = ?", session.SessionID)
	require.NoError(t, err)
	require.Zero(t, read(t, db, 30).Living.Sessions)
}

// Short windows are read by the same index, and do not see what was before.
func TestTheWindowIsWhatCounts(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t)
	story(t, db)
	r := read(t, db, 1)
	require.Len(t, r.Activity.Buckets, 24)
	require.Equal(t, Counts{CodesIssued: 4, Exchanges: 3, Rotations: 1, Retries: 2, Replays: 1, Mismatches: 1}, r.Activity.Counts)
	require.Equal(t, r.Activity.Counts, sum(r.Activity.Buckets[22:]), "all within the last hour, which may have begun since")
	require.Equal(t, []ClientCount{{"client_1", false, 1}}, r.Alarms.Clients)

	r = read(t, db, 400)
	require.Len(t, r.Activity.Buckets, 58)
	require.Equal(t, 5, r.Activity.Exchanges)
	require.Equal(t, r.Activity.Counts, sum(r.Activity.Buckets))
}

func sum(buckets []Bucket) Counts {
	var all Counts
	for _, b := range buckets {
		all.CodesIssued += b.CodesIssued
		all.Exchanges += b.Exchanges
		all.Rotations += b.Rotations
		all.Retries += b.Retries
		all.Reuses += b.Reuses
		all.Replays += b.Replays
		all.Mismatches += b.Mismatches
		all.Revocations += b.Revocations
	}
	return all
}

// A figure that waits for too long costs that figure only, and one that is not allowed is no zero.
func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t)
	story(t, db)
	holder, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = holder.ExecContext(t.Context(), "LOCK TABLE public.gpt_sessions")
	require.NoError(t, err)
	r, err := Read(t.Context(), db, Params{Days: 30, Timeout: 2 * time.Second}) // long enough for what no one locks, on a machine with much to do
	require.NoError(t, err)
	require.NoError(t, holder.Rollback())

	require.Nil(t, r.Living)
	require.Nil(t, r.Ended)
	require.Equal(t, "it took longer than 2s: raise --timeout", r.gap("living"))
	require.NotNil(t, r.Activity)
	require.NotNil(t, r.SignIns)
	require.NotNil(t, r.Alarms)
	text := pageOf(t, r)
	require.Contains(t, text, "Not known: it took longer than 2s: raise --timeout.")
	encoded, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(encoded), `"living":null`)
}

func TestAnEmptyDatabaseIsCalm(t *testing.T) {
	t.Parallel()
	r := read(t, repotest.DB(t), 30)
	require.Empty(t, r.Findings)
	require.Equal(t, levelGood, r.verdict().Level)
	require.Equal(t, Counts{}, r.Activity.Counts)
	text := pageOf(t, r)
	for _, want := range []string{"Nothing is alarming", "No one signed in.", "No session is active.", "No session was ended.", "there is none"} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "NaN")
}

func TestADatabaseWithoutTablesSaysWhatToDo(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t)
	_, err := db.ExecContext(t.Context(), "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
	require.NoError(t, err)
	_, err = Read(t.Context(), db, Params{Days: 30})
	require.ErrorIs(t, err, ErrNoTables)
}

// On large tables every figure comes from an index: no table is read as a whole, unless most of it is what was asked for.
func TestNoTableIsReadAsAWhole(t *testing.T) {
	t.Parallel()
	databaseURL := repotest.URL(t)
	db := open(t, databaseURL)
	require.NoError(t, bulk.Fill(t.Context(), db, 40_000))
	for _, statement := range []string{
		"UPDATE public.gpt_refresh_tokens SET expires_at = created_at + interval '3 hours'", // so that most are dead, as in a large table
		"VACUUM ANALYZE public.gpt_refresh_tokens",
	} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	scans := func() (n int) {
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN ('gpt_authorization_codes', 'gpt_refresh_tokens', 'gpt_sessions', 'gpt_oauth_events')").Scan(&n))
		return n
	}
	settle := func() { // a connection that ends has reported its statistics
		require.NoError(t, db.Close())
		db = open(t, databaseURL)
	}
	settle()
	before := scans()
	r := read(t, db, 2)
	settle()
	require.Positive(t, r.Activity.Exchanges)
	require.Positive(t, r.Living.Sessions)
	require.Positive(t, r.Ended.Sessions)
	require.Equal(t, before, scans())
}

func open(t testing.TB, databaseURL string) *bun.DB {
	t.Helper()
	db, err := repo.Open(t.Context(), databaseURL, repo.PoolConfig{ReadTimeout: -1, MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}
