package repotest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
)

// timed lists every column that is a time.
var timed = []struct {
	table   string
	session string // the column that says which session a row belongs to
	columns []string
}{
	{"gpt_authorization_codes", "session_id", []string{"expires_at", "used_at", "created_at"}},
	{"gpt_sessions", "id", []string{"last_active", "created_at", "expires_at", "ended_at"}},
	{"gpt_refresh_tokens", "session_id", []string{"expires_at", "revoked_at", "created_at"}},
	{"gpt_oauth_events", "session_id", []string{"created_at"}},
}

// Age lets time pass: every code, token, session and event that the store sees becomes older by d. In a test of [Store]
// these are the test's own; in a database that others use it ages theirs too.
func Age(t testing.TB, store *repo.Store, d time.Duration) {
	t.Helper()
	age(t, store, d, uuid.Nil)
}

// AgeSession is Age for one session with its tokens, code and events.
func AgeSession(t testing.TB, store *repo.Store, id uuid.UUID, d time.Duration) {
	t.Helper()
	age(t, store, d, id)
}

func age(t testing.TB, store *repo.Store, d time.Duration, session uuid.UUID) {
	t.Helper()
	err := store.InTx(t.Context(), func(ctx context.Context, _ *repo.Store, tx bun.Tx) error {
		for _, rows := range timed {
			query := tx.NewUpdate().TableExpr("public." + rows.table)
			for _, column := range rows.columns {
				query = query.Set("? = ? - ? * interval '1 microsecond'", bun.Ident(column), bun.Ident(column), d.Microseconds())
			}
			if session == uuid.Nil {
				query = query.Where("TRUE")
			} else {
				query = query.Where("? = ?", bun.Ident(rows.session), session)
			}
			if _, err := query.Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal("repotest: ageing rows:", err)
	}
}
