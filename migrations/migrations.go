// Package migrations brings a PostgreSQL database to the schema that package repo needs, and back.
//
//	if err := migrations.Up(ctx, db); err != nil { ... }
//
// Any number of replicas may call [Up] at once when they start, and be killed while they do: every migration runs in one
// transaction together with the row that records it, under an advisory lock that ends with that transaction. [Check] says
// in one query whether the database is ready for this binary.
//
// [Migrations] are registered with Bun, so a host that has a migrator of its own may hand them to migrate.NewMigrator.
// The functions registered keep their own record in public.gpt_migrations, whichever migrator runs them, and the
// record decides: a migration that it has is not run again, and one rolled back twice is rolled back once.
//
// A database that is ahead of the binary, because a newer release has migrated it, is fine: that is a rolling upgrade.
//
// Over pgdriver, ReadTimeout (10 seconds unless set) bounds each migration as well as each query. One that takes longer
// is rolled back and reported as an error, so raise it for databases whose indexes take longer to build.
package migrations

import (
	"context"
	"embed"
	"fmt"
	"slices"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/migrate"
)

//go:embed *.sql
var files embed.FS

var embedded = mustLoad()

// Migrations are the migrations of this release, for a migrator of the host's own. What they do does not depend on that
// migrator's tables or options, except that its hooks and template data are not used. With WithMarkAppliedOnSuccess(false),
// Bun's default, a migrator records a migration that failed as applied in its own table and does not offer it again;
// [Up] and [Check] are not misled.
var Migrations = embedded.migrations

func mustLoad() *set {
	s, err := load(files)
	if err != nil {
		panic(err)
	}
	return s
}

// Up applies all pending migrations, oldest first, each in a transaction of its own. It waits while another process
// migrates, for as long as ctx allows, and tries again for about a minute where a table is in use. Each done is called
// after each migration that this call, and no other process meanwhile, has committed.
//
// Errors: [*HeldError], [*ChangedError], [*UnknownError], [*OutOfOrderError], or one that wraps the driver's. After any
// of them, calling Up again is safe; what is recorded is in place, what is not has left nothing behind.
func Up(ctx context.Context, db *bun.DB, done ...func(State)) error {
	return embedded.up(ctx, db, done)
}

// Down undoes the newest steps migrations, newest first, each in a transaction of its own, or all where fewer are
// applied. Most lose data: the header of each *.tx.down.sql says what. Each done is called after each migration that
// this call has undone, with what it was. Errors are those of [Up], of which [*UnknownError] also says that the database is ahead: the
// newer release has to undo its own migrations.
func Down(ctx context.Context, db *bun.DB, steps int, done ...func(State)) error {
	return embedded.down(ctx, db, steps, done)
}

// up runs what is registered with Bun, as a host's migrator would.
func (s *set) up(ctx context.Context, db *bun.DB, done []func(State)) error {
	history, err := s.verifiedHistory(ctx, db)
	if err != nil {
		return fmt.Errorf("migrations: up: %w", err)
	}
	migrator := newMigrator(db, s)
	for _, m := range s.migrations.Sorted() {
		if _, ok := history.find(m.Name); ok {
			continue
		}
		if err := m.Up(ctx, migrator, &m); err != nil {
			return err
		}
		if m.MigratedAt.IsZero() { // another process did it
			continue
		}
		for _, f := range done {
			f(State{ID: m.Name, Name: m.Comment, Status: Applied, AppliedAt: m.MigratedAt})
		}
	}
	return nil
}

func (s *set) down(ctx context.Context, db *bun.DB, steps int, done []func(State)) error {
	undoable, err := s.undoable(ctx, db, steps)
	if err != nil {
		return fmt.Errorf("migrations: down: %w", err)
	}
	migrator := newMigrator(db, s)
	registered := s.migrations.Sorted()
	for _, row := range undoable {
		m := registered[slices.IndexFunc(registered, func(m migrate.Migration) bool { return m.Name == row.id })] // verified
		m.MigratedAt = row.migratedAt
		if err := m.Down(ctx, migrator, &m); err != nil {
			return err
		}
		if !m.MigratedAt.IsZero() { // another process did it
			continue
		}
		for _, f := range done {
			f(State{ID: m.Name, Name: m.Comment, Status: Applied, AppliedAt: row.migratedAt})
		}
	}
	return nil
}

// newMigrator is Bun's migrator over our bookkeeping. Its Migrate is not used: it would record what the functions have
// recorded already, in a transaction of its own.
func newMigrator(db *bun.DB, s *set) *migrate.Migrator {
	return migrate.NewMigrator(db, s.migrations, migrate.WithTableName(bookkeepingTable), migrate.WithMarkAppliedOnSuccess(true))
}
