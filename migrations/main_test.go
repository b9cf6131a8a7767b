package migrations

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/migrate"

	"github.com/gptoauth/gptoauth/repo"
)

const (
	childVariable = "GPTOAUTH_MIGRATIONS_CHILD" // what this binary does as a child: up or naive
	childURL      = "GPTOAUTH_MIGRATIONS_CHILD_URL"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childVariable); role != "" {
		os.Exit(child(role))
	}
	os.Exit(m.Run())
}

// child migrates once, as a replica that starts does. It says when it begins, so that it can be killed while it does.
func child(role string) int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db, err := repo.Open(ctx, os.Getenv(childURL), repo.PoolConfig{ReadTimeout: time.Minute})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("ready")
	run := Up
	if role == "naive" {
		run = naiveUp
	}
	if err := run(ctx, db); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// naiveUp is what one writes with Bun alone.
func naiveUp(ctx context.Context, db *bun.DB, _ ...func(State)) error {
	plain := migrate.NewMigrations()
	if err := plain.Discover(files); err != nil {
		return err
	}
	migrator := migrate.NewMigrator(db, plain)
	if err := migrator.Init(ctx); err != nil {
		return err
	}
	_, err := migrator.Migrate(ctx)
	return err
}

// openURL panics, because a child has no test to fail.
func openURL(dsn string) *bun.DB {
	db, err := repo.Open(context.Background(), dsn, repo.PoolConfig{ReadTimeout: time.Minute})
	if err != nil {
		panic(err)
	}
	return db
}

var databases atomic.Int64

// newURL makes a database of this test's own, which goes when the test does, and returns its URL.
func newURL(t testing.TB) string {
	t.Helper()
	base := serverURL(t)
	admin := openURL(base)
	defer admin.Close()
	name := fmt.Sprintf("gptoauth_migrations_%d_%d", os.Getpid(), databases.Add(1))
	if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE ? TEMPLATE template0", bun.Ident(name)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kept for inspection: database %s", name)
			return
		}
		admin := openURL(base)
		defer admin.Close()
		if _, err := admin.ExecContext(context.Background(), "DROP DATABASE ? WITH (FORCE)", bun.Ident(name)); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal("the URL of the test server does not parse")
	}
	u.Path = "/" + name
	return u.String()
}

func newDB(t testing.TB) *bun.DB {
	t.Helper()
	db := openURL(newURL(t))
	t.Cleanup(func() { db.Close() })
	return db
}

func mustExec(t testing.TB, db *bun.DB, query string) {
	t.Helper()
	if _, err := db.DB.ExecContext(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func mustStrings(t testing.TB, db *bun.DB, query string) []string {
	t.Helper()
	result, err := queryStrings(t.Context(), db.DB, query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return result
}

func mustDo(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustDescribe(t testing.TB, db *bun.DB) []string {
	t.Helper()
	lines, err := Describe(t.Context(), db)
	mustDo(t, err)
	return lines
}
