package report

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// Whatever a server says of one figure, the others are read, by a new connection if it has cost the old one.
func TestWhatTheServerRefusesCostsOneFigure(t *testing.T) {
	t.Parallel()
	for how, reason := range map[string]string{
		"pg_terminate_backend": "terminating connection due to administrator command",
		"pg_cancel_backend":    "it was cancelled",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			databaseURL := repotest.URL(t)
			db, other := open(t, databaseURL), open(t, databaseURL)
			story(t, db)
			holder, err := other.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			_, err = holder.ExecContext(t.Context(), "LOCK TABLE public.gpt_sessions")
			require.NoError(t, err)
			ended := make(chan bool)
			go func() {
				defer close(ended)
				for n := 0; n == 0 && t.Context().Err() == nil; time.Sleep(5 * time.Millisecond) {
					_ = other.QueryRowContext(t.Context(), "SELECT count("+how+"(pid)) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&n)
				}
				_ = holder.Rollback()
			}()
			r := read(t, db, 30)
			<-ended
			require.Equal(t, []Gap{{"living", reason}}, r.Gaps)
			require.NotNil(t, r.Ended)
			require.NotNil(t, r.Storage)
			require.Len(t, r.Retention.Kinds, 4)
		})
	}
}

// A value that the server cannot read is not quoted: it may be anything.
func TestABrokenRowIsNotQuoted(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t)
	_, err := db.ExecContext(t.Context(), `INSERT INTO public.gpt_oauth_events (event_type, metadata) VALUES ('token_reuse', '{"rotated_at": "ada@example.com"}')`)
	require.NoError(t, err)
	r := read(t, db, 30)
	require.Equal(t, []Gap{{"alarms", "a row holds a value that cannot be read (SQLSTATE 22007)"}}, r.Gaps)
	require.Equal(t, 1, r.Activity.Reuses)
	require.Contains(t, textOf(parse(t, pageOf(t, r))), "Whether anything is alarming could not be read")
}

// What a replica does not know is neither zero nor never.
func TestAReplicaKnowsNoDeadRows(t *testing.T) {
	t.Parallel()
	vacuum := doctor.Autovacuum{On: true, Tables: []doctor.Vacuumed{{Name: "public.gpt_sessions", Live: 7, Dead: 900, Threshold: 50, At: time.Now()}}}
	tables := func() []Table { return []Table{{Name: "public.gpt_sessions", Rows: -1}} }
	r := Report{MadeAt: time.Now(), Days: 30, window: newWindow(time.Now(), 30), Replica: true}
	s := assemble(true, vacuum, tables(), nil)
	r.Storage = &s
	require.Empty(t, s.judged)
	encoded, err := json.Marshal(s.Tables[0])
	require.NoError(t, err)
	require.Contains(t, string(encoded), `"dead_rows":null,"vacuum_threshold":null,"indexes"`)
	require.Contains(t, textOf(parse(t, pageOf(t, r))), "dead rows – autovacuum begins at – last vacuumed –")

	s = assemble(false, vacuum, tables(), nil)
	r.Replica = false
	require.Len(t, s.judged, 1)
	require.Contains(t, textOf(parse(t, pageOf(t, r))), "dead rows 900 autovacuum begins at 50 last vacuumed 0 seconds ago")
}

// The card of a table and the advice above it go by the same rule.
func TestATableIsBehindAsDoctorJudges(t *testing.T) {
	t.Parallel()
	for dead, behind := range map[int]bool{149: false, 150: true} {
		vacuum := doctor.Autovacuum{On: true, Tables: []doctor.Vacuumed{{Name: "public.gpt_sessions", Dead: dead, Threshold: 50, Hours: -1}}}
		s := assemble(false, vacuum, []Table{{Name: "public.gpt_sessions"}}, nil)
		require.Equal(t, behind, len(s.judged) > 0)
		require.Equal(t, behind, Report{Storage: &s}.storageView().Tables[0].Behind)
	}
}
