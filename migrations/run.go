package migrations

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/migrate"
)

const (
	bookkeepingTable = "public.gpt_migrations"

	// advisoryKey is "gptoauth" in ASCII.
	advisoryKey = 0x6770746f61757468

	// lockTimeout bounds how long a migration waits for a table, because everybody else's queries queue behind it
	// meanwhile. Then it makes way and comes back.
	lockTimeout = "1s"
	maxAttempts = 40 // about a minute

	minPause     = 10 * time.Millisecond
	maxBusyPause = 200 * time.Millisecond // a migration takes milliseconds as a rule
	maxPause     = 1500 * time.Millisecond
)

//go:embed sql/bookkeeping.sql
var bookkeepingSQL string

// errBusy says that another process holds the advisory lock.
var errBusy = errors.New("another process is migrating")

// step is what runs in the transaction that holds the advisory lock.
type step func(ctx context.Context, tx *sql.Tx) error

// upFunc is what Bun calls. The migration it is given is the migrator's, whose table may be another than ours, so nothing
// is set but MigratedAt, and that only if this call did it.
func (s *set) upFunc(src source) func(context.Context, *migrate.Migrator, *migrate.Migration) error {
	return func(ctx context.Context, migrator *migrate.Migrator, migration *migrate.Migration) error {
		var at time.Time
		err := exclusively(ctx, migrator.DB(), func(ctx context.Context, tx *sql.Tx) error {
			var err error
			at, err = s.apply(ctx, tx, src)
			return err
		})
		if err != nil {
			return fmt.Errorf("migrations: up %s_%s: %w", src.id, src.name, err)
		}
		migration.MigratedAt = at
		return nil
	}
}

// downFunc is what Bun calls. MigratedAt is cleared if this call undid the migration.
func (s *set) downFunc(src source) func(context.Context, *migrate.Migrator, *migrate.Migration) error {
	return func(ctx context.Context, migrator *migrate.Migrator, migration *migrate.Migration) error {
		var undone bool
		err := exclusively(ctx, migrator.DB(), func(ctx context.Context, tx *sql.Tx) error {
			var err error
			undone, err = s.undo(ctx, tx, src)
			return err
		})
		if err != nil {
			return fmt.Errorf("migrations: down %s_%s: %w", src.id, src.name, err)
		}
		if undone {
			migration.MigratedAt = time.Time{}
		}
		return nil
	}
}

// apply returns when the migration was recorded, or the zero time if it had been before.
func (s *set) apply(ctx context.Context, tx *sql.Tx, src source) (time.Time, error) {
	history, err := s.prepare(ctx, tx)
	if err != nil {
		return time.Time{}, err
	}
	if _, ok := history.find(src.id); ok {
		return time.Time{}, nil
	}
	if newer, ok := history.newerThan(src.id); ok {
		return time.Time{}, &OutOfOrderError{ID: src.id, Newer: newer}
	}
	if older, ok := s.pendingBefore(history, src.id); ok {
		return time.Time{}, &PendingError{IDs: older}
	}
	// Without parameters the driver sends the file as one message, which is what its many statements need.
	if _, err := tx.ExecContext(ctx, src.up); err != nil {
		return time.Time{}, err
	}
	return record(ctx, tx, src)
}

// undo returns false if the migration was not applied.
func (s *set) undo(ctx context.Context, tx *sql.Tx, src source) (bool, error) {
	history, err := s.prepare(ctx, tx)
	if err != nil {
		return false, err
	}
	if _, ok := history.find(src.id); !ok {
		return false, nil
	}
	if newer, ok := history.newerThan(src.id); ok {
		return false, &OutOfOrderError{ID: src.id, Newer: newer}
	}
	if _, err := tx.ExecContext(ctx, src.down); err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM public.gpt_migrations WHERE name = $1`, src.id); err != nil {
		return false, err
	}
	return true, nil
}

// prepare is what every change begins with: the bookkeeping is there, no operator holds, and the history agrees with the
// files. It is read under the lock, so it is the last word.
func (s *set) prepare(ctx context.Context, tx *sql.Tx) (history, error) {
	if err := refuseHeld(ctx, tx); err != nil {
		return nil, err
	}
	h, err := readHistory(ctx, tx)
	if err != nil {
		return nil, err
	}
	return h, s.verify(h)
}

func record(ctx context.Context, tx *sql.Tx, src source) (time.Time, error) {
	var at time.Time
	err := tx.QueryRowContext(ctx, `
		INSERT INTO public.gpt_migrations (name, comment, checksum, group_id)
		SELECT $1, $2, $3, coalesce(max(group_id), 0) + 1 FROM public.gpt_migrations
		RETURNING migrated_at`, src.id, src.name, src.checksum).Scan(&at)
	return at, err
}

// exclusively runs f in a READ COMMITTED transaction that holds the advisory lock, with the bookkeeping in place, and
// commits it. It waits for the lock outside any transaction, because a waiter that keeps a connection starves a small pool.
// f may run several times, each time on what the attempt before has not changed.
func exclusively(ctx context.Context, db *bun.DB, f step) error {
	pause := minPause
	for attempt := 1; ; {
		err := tryExclusively(ctx, db, f)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errBusy): // as long as it takes
			pause = min(pause, maxBusyPause)
		case retryable(err) && attempt < maxAttempts:
			attempt++
		default:
			return explain(ctx, err)
		}
		if err := sleep(ctx, pause/2+rand.N(pause), err); err != nil { //nolint:gosec // jitter, not a secret
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

func tryExclusively(ctx context.Context, db *bun.DB, f step) error {
	// The database/sql transaction, not Bun's, which would look for placeholders in the files if db has named arguments.
	tx, err := db.DB.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit there is nothing to roll back; before, the first error counts
	var locked bool
	var ignored string
	// The search path is pinned, because a role or database may have one in which "text" is someone else's.
	if err := tx.QueryRowContext(ctx, `
		SELECT pg_try_advisory_xact_lock($1), set_config('lock_timeout', $2, true)
		       || set_config('statement_timeout', '0', true) || set_config('search_path', 'public, pg_temp', true)`,
		int64(advisoryKey), lockTimeout).Scan(&locked, &ignored); err != nil {
		return err
	}
	if !locked {
		return errBusy
	}
	if _, err := tx.ExecContext(ctx, bookkeepingSQL); err != nil {
		return fmt.Errorf("create the bookkeeping: %w", err)
	}
	if err := f(ctx, tx); err != nil {
		return err
	}
	// No error was swallowed on the way here, so the COMMIT is not one of an aborted transaction, which the driver would
	// report as success.
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// explain says that ctx has ended, where the driver says only what came of it.
func explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// sleep waits, and says why it waited if ctx ends first.
func sleep(ctx context.Context, d time.Duration, why error) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w while waiting: %w", context.Cause(ctx), why)
	}
}
