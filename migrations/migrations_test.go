package migrations

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/migrate"
)

const fixture = `
WITH s AS (
    INSERT INTO public.gpt_sessions (id, clerk_user_id, refresh_token_id, client_id)
    VALUES ('00000000-0000-7000-8000-000000000001', 'user_1', '00000000-0000-7000-8000-000000000002', 'client_1')
), t AS (
    INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, expires_at, session_id)
    VALUES ('00000000-0000-7000-8000-000000000002', 'h', 'user_1', now() + interval '1 day', '00000000-0000-7000-8000-000000000001')
), c AS (
    INSERT INTO public.gpt_authorization_codes (code, code_challenge, clerk_user_id, redirect_uri, expires_at, client_id, session_id)
    VALUES ('c', 'x', 'user_1', 'https://example.com/cb', now(), 'client_1', '00000000-0000-7000-8000-000000000001')
)
INSERT INTO public.gpt_oauth_events (event_type, clerk_user_id, session_id) VALUES ('authorize', 'user_1', '00000000-0000-7000-8000-000000000001')`

const rowCounts = `
SELECT format('%s %s %s %s', (SELECT count(*) FROM public.gpt_sessions), (SELECT count(*) FROM public.gpt_refresh_tokens),
              (SELECT count(*) FROM public.gpt_authorization_codes), (SELECT count(*) FROM public.gpt_oauth_events))`

func TestUpDownUpLeavesTheSameSchema(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), newDB(t)
	var done []State
	mustDo(t, Up(ctx, db, func(s State) { done = append(done, s) }))
	states, err := Status(ctx, db)
	mustDo(t, err)
	if !slices.Equal(done, states) || len(done) != len(embedded.sources) {
		t.Fatalf("done %v, status %v", done, states)
	}
	want := mustDescribe(t, db)
	mustExec(t, db, fixture)

	// To the user's four tables and back, keeping the rows.
	mustDo(t, Down(ctx, db, len(embedded.sources)-1))
	if got := mustStrings(t, db, rowCounts)[0]; got != "1 1 1 1" {
		t.Fatalf("rows after down to the first migration: %s", got)
	}
	mustDo(t, Up(ctx, db))
	assertSame(t, want, mustDescribe(t, db))

	// To nothing and back.
	mustExec(t, db, strings.NewReplacer("0001'", "0011'", "0002'", "0012'", "'h'", "'h2'", "'c'", "'c2'").Replace(fixture))
	mustDo(t, Down(ctx, db, 99))
	for _, line := range mustDescribe(t, db) {
		if !strings.Contains(line, "public.gpt_migration") {
			t.Errorf("left behind: %s", line)
		}
	}
	mustDo(t, Up(ctx, db))
	assertSame(t, want, mustDescribe(t, db))
	mustDo(t, Check(ctx, db))
}

func TestDownUndoesTheNewestSteps(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), newDB(t)
	mustDo(t, Up(ctx, db))
	var undone []string
	mustDo(t, Down(ctx, db, 2, func(s State) { undone = append(undone, s.ID) }))
	n := len(embedded.sources)
	if want := []string{embedded.sources[n-1].id, embedded.sources[n-2].id}; !slices.Equal(undone, want) {
		t.Errorf("undone %v, want %v", undone, want)
	}
	pending, ok := errors.AsType[*PendingError](Check(ctx, db))
	if !ok || !slices.Equal(pending.IDs, []string{embedded.sources[n-2].id, embedded.sources[n-1].id}) {
		t.Errorf("Check: %v", pending)
	}
	if err := Down(ctx, db, 0); err == nil {
		t.Error("Down(0) is no error")
	}
}

// Nothing of the schema is open to PUBLIC, the bookkeeping included.
func TestUpLocksDown(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	mustDo(t, Up(t.Context(), db))
	for _, line := range mustDescribe(t, db) {
		if strings.HasPrefix(line, "grant ") || strings.HasSuffix(line, "row level security off") || strings.HasSuffix(line, ", forced") {
			t.Error(line)
		}
	}
}

func TestUpOverPgx(t *testing.T) {
	t.Parallel()
	ctx, dsn := t.Context(), newURL(t)
	conn, err := sql.Open("pgx", dsn)
	mustDo(t, err)
	db := bun.NewDB(conn, pgdialect.New())
	defer db.Close()
	if err := Check(ctx, db); err == nil {
		t.Fatal("Check is content with an empty database")
	}
	mustDo(t, Up(ctx, db))
	mustDo(t, Check(ctx, db))
	want := mustDescribe(t, db)
	mustDo(t, Down(ctx, db, len(embedded.sources)-1))
	mustExec(t, db, "DELETE FROM public.gpt_migrations")
	mustDo(t, MarkApplied(ctx, db))
	mustDo(t, Lock(ctx, db, "ada", "backup"))
	if _, err := Unlock(ctx, db); err != nil {
		t.Fatal(err)
	}
	mustDo(t, Up(ctx, db))
	assertSame(t, want, mustDescribe(t, db))
}

// A migrator of the host's, with its own bun_migrations, may run the migrations too.
func TestHostsMigrator(t *testing.T) {
	t.Parallel()
	for name, onSuccess := range map[string]bool{"MarkAppliedOnSuccess": true, "MarkAppliedFirst": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, db := t.Context(), newDB(t)
			host := migrate.NewMigrator(db, Migrations, migrate.WithMarkAppliedOnSuccess(onSuccess))
			mustDo(t, host.Init(ctx))
			_, err := host.Migrate(ctx)
			mustDo(t, err)
			mustDo(t, Check(ctx, db))
			want := mustDescribe(t, db)

			_, err = host.Rollback(ctx)
			mustDo(t, err)
			if _, ok := errors.AsType[*PendingError](Check(ctx, db)); !ok {
				t.Error("Check is content after a rollback")
			}
			// What is applied already is not run again, and the host's table learns of it.
			mustDo(t, Up(ctx, db))
			group, err := host.Migrate(ctx)
			mustDo(t, err)
			if len(group.Migrations) != len(embedded.sources) {
				t.Errorf("the host recorded %d migrations", len(group.Migrations))
			}
			assertRecordedOnce(t, db)
			assertSame(t, want, mustDescribe(t, db))
		})
	}
}

// Bun's migrator can read our bookkeeping, and its Rollback undoes one migration.
func TestBunReadsTheBookkeeping(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), newDB(t)
	mustDo(t, Up(ctx, db))
	reader := bun.NewDB(db.DB, pgdialect.New(), bun.WithDiscardUnknownColumns())
	migrator := migrate.NewMigrator(reader, Migrations, migrate.WithTableName(bookkeepingTable), migrate.WithMarkAppliedOnSuccess(true))
	all, err := migrator.MigrationsWithStatus(ctx)
	mustDo(t, err)
	if n := len(all.Applied()); n != len(embedded.sources) {
		t.Errorf("Bun sees %d applied", n)
	}
	group, err := migrator.Rollback(ctx)
	mustDo(t, err)
	pending, ok := errors.AsType[*PendingError](Check(ctx, db))
	if !ok || len(group.Migrations) != 1 || !slices.Equal(pending.IDs, []string{embedded.newest()}) {
		t.Errorf("rolled back %v, pending %v", group, pending)
	}
}

func TestUpFailsAndRecordsNothing(t *testing.T) {
	t.Parallel()
	const table = "CREATE TABLE public.gpt_thing (id int);\n"
	for name, broken := range map[string]string{
		"Statement": table + "SELECT 1/0;",
		"Commit": table + `
			CREATE FUNCTION public.gpt_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'too late'; END $$;
			CREATE CONSTRAINT TRIGGER late AFTER INSERT ON public.gpt_thing DEFERRABLE INITIALLY DEFERRED
			    FOR EACH ROW EXECUTE FUNCTION public.gpt_refuse();
			INSERT INTO public.gpt_thing VALUES (1);`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, db := t.Context(), newDB(t)
			s := mustLoadMap(t, "20260101000001_fine", "CREATE TABLE public.gpt_fine (id int)", "20260101000002_broken", broken)
			err := s.up(ctx, db, nil)
			if err == nil || !strings.Contains(err.Error(), "20260101000002_broken") {
				t.Fatalf("up: %v", err)
			}
			if (name == "Commit") != strings.Contains(err.Error(), "commit: ") {
				t.Errorf("up failed elsewhere: %v", err)
			}
			if got := mustStrings(t, db, `SELECT name FROM public.gpt_migrations`); !slices.Equal(got, []string{"20260101000001"}) {
				t.Errorf("recorded %v", got)
			}
			if got := mustStrings(t, db, `SELECT relname FROM pg_class WHERE relname IN ('gpt_fine', 'gpt_thing')`); !slices.Equal(got, []string{"gpt_fine"}) {
				t.Errorf("tables %v", got)
			}
			if _, ok := errors.AsType[*PendingError](s.check(ctx, db)); !ok {
				t.Error("check is content")
			}
		})
	}
}

// An ALTER TABLE that has to wait makes way and comes back, so that what queues behind it gets through.
func TestUpMakesWayForTraffic(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), newDB(t)
	s := mustLoadMap(t, "20260101000001_table", "CREATE TABLE public.gpt_thing (id int)", "20260101000002_alter", "ALTER TABLE public.gpt_thing ADD n int")
	one := mustLoadMap(t, "20260101000001_table", "CREATE TABLE public.gpt_thing (id int)")
	mustDo(t, one.up(ctx, db, nil))

	reader, err := db.BeginTx(ctx, nil)
	mustDo(t, err)
	defer reader.Rollback()
	_, err = reader.ExecContext(ctx, "SELECT FROM public.gpt_thing")
	mustDo(t, err)

	upped := make(chan error, 1)
	go func() { upped <- s.up(ctx, db, nil) }()
	await(t, db, `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'public.gpt_thing'::regclass)`)
	// Queues behind the ALTER, and would wait for the reader if that did not give up.
	short, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := db.ExecContext(short, "SELECT count(*) FROM public.gpt_thing"); err != nil {
		t.Errorf("a query behind the migration: %v", err)
	}
	mustDo(t, reader.Rollback())
	mustDo(t, <-upped)
	mustDo(t, s.check(ctx, db))
}

// await waits, for at most ten seconds, until query says true.
func await(t testing.TB, db *bun.DB, query string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		var ok bool
		if err := db.DB.QueryRowContext(t.Context(), query).Scan(&ok); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never true: %s", query)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// mustLoadMap loads pairs of <id>_<name> and the SQL of the up file. The down file does nothing.
func mustLoadMap(t testing.TB, pairs ...string) *set {
	t.Helper()
	fsys := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fsys[pairs[i]+".tx.up.sql"] = &fstest.MapFile{Data: []byte(pairs[i+1])}
		fsys[pairs[i]+".tx.down.sql"] = &fstest.MapFile{Data: []byte("SELECT 1")}
	}
	s, err := load(fsys)
	mustDo(t, err)
	return s
}

func assertSame(t testing.TB, want, got []string) {
	t.Helper()
	for _, line := range without(want, got) {
		t.Errorf("missing: %s", line)
	}
	for _, line := range without(got, want) {
		t.Errorf("extra: %s", line)
	}
}

func assertRecordedOnce(t testing.TB, db *bun.DB) {
	t.Helper()
	var want []string
	for _, src := range embedded.sources {
		want = append(want, src.id)
	}
	if got := mustStrings(t, db, `SELECT name FROM public.gpt_migrations ORDER BY name`); !slices.Equal(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
}
