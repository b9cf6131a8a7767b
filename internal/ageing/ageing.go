// Package ageing lets time pass in a test. The store goes by the database's clock, which no test can set, so that the rows
// are made older instead.
package ageing

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// timed lists every column that is a time.
var timed = []struct {
	table   string
	session string // the column that says which session a row belongs to
	columns []string
}{
	{"public.gpt_authorization_codes", "session_id", []string{"expires_at", "used_at", "created_at"}},
	{"public.gpt_sessions", "id", []string{"last_active", "created_at", "expires_at", "ended_at"}},
	{"public.gpt_refresh_tokens", "session_id", []string{"expires_at", "revoked_at", "created_at"}},
	{"public.gpt_oauth_events", "session_id", []string{"created_at"}},
}

// All ages every row.
func All(ctx context.Context, db bun.IDB, d time.Duration) error {
	return age(ctx, db, d, func(q *bun.UpdateQuery, _ string) *bun.UpdateQuery { return q.Where("TRUE") })
}

// Session ages a session with its tokens, code and events.
func Session(ctx context.Context, db bun.IDB, id uuid.UUID, d time.Duration) error {
	return age(ctx, db, d, func(q *bun.UpdateQuery, session string) *bun.UpdateQuery {
		return q.Where("? = ?", bun.Ident(session), id)
	})
}

// Person ages all that belongs to a person.
func Person(ctx context.Context, db bun.IDB, clerkUserID string, d time.Duration) error {
	return age(ctx, db, d, func(q *bun.UpdateQuery, _ string) *bun.UpdateQuery {
		return q.Where("clerk_user_id = ?", clerkUserID)
	})
}

func age(ctx context.Context, db bun.IDB, d time.Duration, where func(*bun.UpdateQuery, string) *bun.UpdateQuery) error {
	return db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		for _, rows := range timed {
			query := tx.NewUpdate().TableExpr(rows.table)
			for _, column := range rows.columns {
				query = query.Set("? = ? - ? * interval '1 microsecond'", bun.Ident(column), bun.Ident(column), d.Microseconds())
			}
			if _, err := where(query, rows.session).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}
