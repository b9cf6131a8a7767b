package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Hold is an operator's wish that nothing migrates for now.
type Hold struct {
	Holder string        `json:"holder"` // who, in their own words
	Reason string        `json:"reason"`
	Since  time.Time     `json:"since"`
	Age    time.Duration `json:"age"` // by the database's clock; nanoseconds in JSON
}

// Init creates the bookkeeping tables, if they are not there. [Up] does so itself.
func Init(ctx context.Context, db *bun.DB) error {
	err := exclusively(ctx, db, func(context.Context, *sql.Tx) error { return nil })
	if err != nil {
		return fmt.Errorf("migrations: init: %w", err)
	}
	return nil
}

// Lock holds migrations: until [Unlock], [Up], [Down] and [MarkApplied] of every process fail with a [*HeldError] where
// they would change anything. When it returns, none is running. It is for operators, and outlives them; what keeps
// two processes from migrating at once is another lock, which needs no one's care. A [*HeldError] says that there is a
// hold already.
func Lock(ctx context.Context, db *bun.DB, holder, reason string) error {
	err := exclusively(ctx, db, func(ctx context.Context, tx *sql.Tx) error {
		if err := refuseHeld(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO public.gpt_migration_locks (holder, reason) VALUES ($1, $2)`, holder, reason)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrations: lock: %w", err)
	}
	return nil
}

// Unlock lifts the hold and returns it, or nil if there was none.
func Unlock(ctx context.Context, db *bun.DB) (*Hold, error) {
	hold, err := scanHold(db.DB.QueryRowContext(ctx, `
		DELETE FROM public.gpt_migration_locks
		RETURNING holder, reason, since, extract(epoch FROM clock_timestamp() - since)::float8`))
	if err != nil {
		return nil, fmt.Errorf("migrations: unlock: %w", err)
	}
	return hold, nil
}

// Held returns the hold, or nil if there is none.
func Held(ctx context.Context, db *bun.DB) (*Hold, error) {
	hold, err := scanHold(db.DB.QueryRowContext(ctx, holdQuery))
	if err != nil {
		return nil, fmt.Errorf("migrations: hold: %w", err)
	}
	return hold, nil
}

const holdQuery = `
	SELECT holder, reason, since, extract(epoch FROM clock_timestamp() - since)::float8 FROM public.gpt_migration_locks`

func refuseHeld(ctx context.Context, tx *sql.Tx) error {
	hold, err := scanHold(tx.QueryRowContext(ctx, holdQuery))
	if err != nil {
		return err
	}
	if hold != nil {
		return &HeldError{Hold: *hold}
	}
	return nil
}

func scanHold(row *sql.Row) (*Hold, error) {
	var hold Hold
	var seconds float64
	err := row.Scan(&hold.Holder, &hold.Reason, &hold.Since, &seconds)
	switch {
	case errors.Is(err, sql.ErrNoRows), sqlState(err) == stateUndefinedTable:
		return nil, nil //nolint:nilnil // no hold and no error
	case err != nil:
		return nil, err
	}
	hold.Age = time.Duration(seconds * float64(time.Second))
	return &hold, nil
}
