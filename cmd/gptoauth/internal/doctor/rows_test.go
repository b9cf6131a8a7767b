package doctor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func newStore(t *testing.T, db *bun.DB) *repo.Store {
	t.Helper()
	store, err := repo.New(db, repo.Config{})
	require.NoError(t, err)
	return store
}

func TestOverdueRowsAreFound(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	_, db := newDatabase(t)
	store := newStore(t, db)
	ended := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	repotest.NewSession(t, store, repo.IssueParams{}, 2)
	_, err := store.Sessions.End(t.Context(), repo.EndParams{SessionID: ended.SessionID, Reason: "test"})
	require.NoError(t, err)

	repotest.Age(t, store, 30*time.Hour) // an hourly janitor is a day late only after 48 hours
	require.Equal(t, OK, examined(t, Patient{DB: db})["purge"].Status)
	repotest.Age(t, store, 20*time.Hour)
	requireOnly(t, examined(t, Patient{DB: db}), "purge", "overdue: 2 expired codes.")
	repotest.Age(t, store, 60*day)
	requireOnly(t, examined(t, Patient{DB: db}), "purge", "2 expired codes, 1 ended session, 1 expired refresh token.")
	repotest.Age(t, store, 400*day)
	requireFindings(t, examined(t, Patient{DB: db})["purge"], "events.")

	kept := examined(t, Patient{DB: db, Retention: Retention{repo.Off, repo.Off, repo.Off}})
	require.Equal(t, OK, kept["purge"].Status)
	janitor, err := repo.NewJanitor(db, repo.JanitorConfig{})
	require.NoError(t, err)
	_, err = janitor.Purge(t.Context())
	require.NoError(t, err)
	require.Equal(t, OK, examined(t, Patient{DB: db})["purge"].Status, "what the fix says is not enough")
}

func rotate(t *testing.T, store *repo.Store, token string) repo.RotateResult {
	t.Helper()
	result, err := store.RefreshTokens.Rotate(t.Context(), repo.RotateParams{RefreshToken: token, ClientID: "client_1"})
	require.NoError(t, err)
	return result
}

// reuse ends a session by a spent token that comes back d after it was rotated.
func reuse(t *testing.T, store *repo.Store, d time.Duration) {
	t.Helper()
	session := repotest.NewSession(t, store, repo.IssueParams{ClientID: "client_1"}, 2)
	repotest.AgeSession(t, store, session.SessionID, d)
	require.Equal(t, repo.Reused, rotate(t, store, session.Tokens[0]).Outcome)
}

func TestAlarmsAreRead(t *testing.T) {
	t.Parallel()
	t.Run("TheGraceIsTooShort", func(t *testing.T) {
		t.Parallel()
		_, db := newDatabase(t)
		reuse(t, newStore(t, db), 3*time.Minute)
		requireOnly(t, examined(t, Patient{DB: db}), "alarms", "Your grace is too short: 1 token was reused 90 seconds to 15 minutes after being rotated, the latest after 180 seconds")
	})
	t.Run("ASuccessorWasUsedAsWell", func(t *testing.T) {
		t.Parallel()
		_, db := newDatabase(t)
		reuse(t, newStore(t, db), 0) // the grace would have answered it, had it not been rotated twice
		requireOnly(t, examined(t, Patient{DB: db}), "alarms", "1 token was reused within the grace (of 90 seconds by default), after the successor was used as well")
	})
	t.Run("SomeoneReplaysATokenAndACode", func(t *testing.T) {
		t.Parallel()
		_, db := newDatabase(t)
		store := newStore(t, db)
		reuse(t, store, 3*time.Hour)
		session := repotest.NewSession(t, store, repo.IssueParams{}, 1)
		exec(t, db, "INSERT INTO public.gpt_oauth_events (event_type, session_id) VALUES ('code_replay', '"+session.SessionID.String()+"')")
		results := examined(t, Patient{DB: db})
		requireOnly(t, results, "alarms", "Someone is replaying: 1 spent token was presented long after", "Someone is replaying: 1 spent code was")
		repotest.Age(t, store, 25*time.Hour)
		require.Equal(t, OK, examined(t, Patient{DB: db})["alarms"].Status, "it is of another day")
	})
	t.Run("AnswersGetLost", func(t *testing.T) {
		t.Parallel()
		_, db := newDatabase(t)
		store := newStore(t, db)
		session := repotest.NewSession(t, store, repo.IssueParams{ClientID: "client_1"}, 2)
		for range retriesMatter {
			require.Equal(t, repo.Retried, rotate(t, store, session.Tokens[len(session.Tokens)-2]).Outcome)
		}
		requireOnly(t, examined(t, Patient{DB: db}), "alarms", "20 retries on ")
	})
}

// Numbers are written for people, in the report's findings too.
func TestLargeNumbersHaveSeparators(t *testing.T) {
	t.Parallel()
	require.Contains(t, Alarms{Retries: 3333, Refreshes: 12_345}.Judge()[0].Text, "3,333 retries on 12,345 refreshes")
	require.Equal(t, "at least 10,000 events", Leftover{One: "event", Many: "events"}.Say(countLimit))
	behind := Autovacuum{On: true, Tables: []Vacuumed{{Name: "public.gpt_sessions", Dead: 1_000_000, Threshold: 1234, Hours: -1}}}
	require.Contains(t, behind.Judge()[0].Text, "1,000,000 dead rows, where autovacuum begins at 1,234")
}

func TestDeadRowsAreFound(t *testing.T) {
	t.Parallel()
	url, db := newDatabase(t)
	exec(t, db, "ALTER TABLE public.gpt_oauth_events SET (autovacuum_enabled = off, autovacuum_vacuum_threshold = 100)")
	requireOnly(t, examined(t, Patient{DB: db}), "autovacuum", "Autovacuum is off for public.gpt_oauth_events.")
	writer := open(t, url)
	exec(t, writer, "INSERT INTO public.gpt_oauth_events (event_type) SELECT 'test' FROM generate_series(1, 310)", "DELETE FROM public.gpt_oauth_events")
	require.NoError(t, writer.Close()) // a session that ends reports what it did
	require.Eventually(t, func() bool { return len(examined(t, Patient{DB: db})["autovacuum"].Findings) == 2 }, time.Minute, 100*time.Millisecond)
	requireFindings(t, examined(t, Patient{DB: db})["autovacuum"], "Autovacuum is off for", "dead rows, where autovacuum begins at 100; it was vacuumed never.")
	require.Contains(t, Autovacuum{}.Judge()[0].Text, "Autovacuum is off")
}

// A role that may not read something makes that one check blind, not the others.
func TestAMissingRightBlindsOneCheck(t *testing.T) {
	t.Parallel()
	url, super := newDatabase(t)
	reader := newName("reader")
	exec(t, super, "CREATE ROLE "+reader+" LOGIN PASSWORD 'not-secret'", "GRANT SELECT ON public.gpt_oauth_events TO "+reader)
	db := open(t, asRole(t, url, reader))
	results := examined(t, Patient{DB: db})
	require.Equal(t, NotLooked, results["purge"].Status)
	require.Contains(t, results["purge"].Reason, "public.gpt_authorization_codes from this role: connect as the owner")
	require.Equal(t, NotLooked, results["migrations"].Status)
	require.Equal(t, NotLooked, results["alarms"].Status, "no rows are not no alarms")
	require.Contains(t, results["alarms"].Reason, "row level security hides the rows of public.gpt_oauth_events")
	requireFindings(t, results["grants"], reader+" may SELECT on the table public.gpt_oauth_events.")
	for _, id := range []string{"server", "tls", "pooler", "settings", "drift", "rls", "failover", "clock", "connections", "autovacuum"} {
		require.Equal(t, OK, results[id].Status, "%+v", results[id])
	}
}
