package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"
)

// ErrNothingToAdopt says that [MarkApplied] found none of the tables: run [Up].
var ErrNothingToAdopt = errors.New("none of the tables of the first migration exists")

// trySQL makes room for the first migration, in a savepoint that is rolled back. The tables keep their indexes and
// constraints where they go, so all names are free again. The bookkeeping stays.
const trySQL = `
SAVEPOINT adopt;
CREATE SCHEMA gptoauth_adopt;
DO $$
DECLARE
    v_table regclass;
BEGIN
    FOR v_table IN
        SELECT c.oid FROM pg_catalog.pg_class AS c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE 'gpt\_%' AND c.relkind IN ('r', 'p')
           AND c.relname NOT IN ('gpt_migrations', 'gpt_migration_locks')
    LOOP
        EXECUTE format('ALTER TABLE %s SET SCHEMA gptoauth_adopt', v_table);
    END LOOP;
END
$$;`

// MarkApplied adopts a database that got the four tables elsewhere, for example from supabase/migrations: it records the
// first migration as applied without running it, after verifying that the tables have the columns, constraints and indexes
// that it would have made. [Up] does the rest. Order of columns, privileges and comments do not count.
//
// It runs in one transaction and locks the tables for its few milliseconds. A difference is a [*DriftError], no table at
// all [ErrNothingToAdopt]; a hold is a [*HeldError]. Where the migration is recorded already it does nothing.
//
// Adopted rows stay, but they belong to no client, so their codes and tokens cannot be used: those people sign in again.
func MarkApplied(ctx context.Context, db *bun.DB) error {
	return embedded.markApplied(ctx, db)
}

func (s *set) markApplied(ctx context.Context, db *bun.DB) error {
	first := s.sources[0]
	err := exclusively(ctx, db, func(ctx context.Context, tx *sql.Tx) error {
		history, err := s.prepare(ctx, tx)
		if err != nil {
			return err
		}
		if _, ok := history.find(first.id); ok {
			return nil
		}
		if newer, ok := history.newerThan(first.id); ok {
			return &OutOfOrderError{ID: first.id, Newer: newer}
		}
		if err := compareWith(ctx, tx, first); err != nil {
			return err
		}
		_, err = record(ctx, tx, first)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrations: mark applied %s_%s: %w", first.id, first.name, err)
	}
	return nil
}

// compareWith returns a *DriftError unless the tables are what src makes. What it tries out, it rolls back.
func compareWith(ctx context.Context, tx *sql.Tx, src source) error {
	wanted, err := shapeMadeBy(ctx, tx, src)
	if err != nil {
		return err
	}
	lines, err := describe(ctx, tx)
	if err != nil {
		return err
	}
	found := shapeOf(lines, tablesIn(wanted))
	if len(found) == 0 {
		return ErrNothingToAdopt
	}
	drift := &DriftError{ID: src.id, Missing: without(wanted, found), Extra: without(found, wanted)}
	if len(drift.Missing)+len(drift.Extra) > 0 {
		return drift
	}
	return nil
}

func shapeMadeBy(ctx context.Context, tx *sql.Tx, src source) ([]string, error) {
	if _, err := tx.ExecContext(ctx, trySQL); err != nil {
		return nil, fmt.Errorf("move the tables aside: %w", err)
	}
	before, err := describe(ctx, tx)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, `SET LOCAL search_path = public, pg_temp; `+src.up); err != nil {
		return nil, fmt.Errorf("try the migration: %w", err)
	}
	after, err := describe(ctx, tx)
	if err != nil {
		return nil, err
	}
	// This also restores the search_path.
	if _, err := tx.ExecContext(ctx, `ROLLBACK TO SAVEPOINT adopt; RELEASE SAVEPOINT adopt`); err != nil {
		return nil, err
	}
	made := without(after, before)
	return shapeOf(made, tablesIn(made)), nil
}

func tablesIn(lines []string) []string {
	var tables []string
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, "table "); ok {
			table, _, _ := strings.Cut(rest, ",")
			tables = append(tables, table)
		}
	}
	return tables
}

// without returns the lines of a that b has not.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(line string) bool { return slices.Contains(b, line) })
}
