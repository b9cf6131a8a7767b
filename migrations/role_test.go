package migrations_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

const (
	insufficientPrivilege = "42501"
	password              = "not-secret" // of every role here; the server is gone after the test
)

// rolesServer is a server of this test process's own, because roles belong to a server and not to a database.
var rolesServer = sync.OnceValues(func() (*privatepg.Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return privatepg.Start(ctx, privatepg.Options{})
})

var roleNames atomic.Int64

// world is a database, migrated by an owner who is no superuser, as it is on Supabase.
type world struct {
	url   *url.URL // as the superuser
	super *bun.DB
	owner *bun.DB
}

// newWorld runs prepare, as the superuser, before the owner migrates.
func newWorld(t *testing.T, prepare ...string) *world {
	t.Helper()
	server, err := rolesServer()
	require.NoError(t, err)
	name := newName("db")
	admin := open(t, server.URL("postgres"))
	owner := newName("owner")
	for _, statement := range []string{
		"CREATE ROLE " + owner + " LOGIN CREATEROLE BYPASSRLS PASSWORD '" + password + "'",
		"CREATE DATABASE " + name + " OWNER " + owner + " TEMPLATE template0",
	} {
		exec(t, admin, statement)
	}
	u, err := url.Parse(server.URL(name))
	require.NoError(t, err)
	w := &world{url: u, super: open(t, u.String())}
	for _, statement := range prepare {
		exec(t, w.super, strings.ReplaceAll(statement, "@owner@", owner))
	}
	w.owner = w.as(t, owner)
	require.NoError(t, migrations.Up(t.Context(), w.owner))
	return w
}

// newRole makes a role that may log in, and connects as it.
func (w *world) newRole(t *testing.T) (string, *bun.DB) {
	t.Helper()
	role := newName("app")
	exec(t, w.super, "CREATE ROLE "+role+" LOGIN PASSWORD '"+password+"'")
	return role, w.as(t, role)
}

func (w *world) as(t *testing.T, role string) *bun.DB {
	t.Helper()
	u := *w.url
	u.User = url.UserPassword(role, password)
	return open(t, u.String())
}

func (w *world) grant(t *testing.T, params migrations.GrantParams) migrations.GrantChanges {
	t.Helper()
	changes, err := migrations.Grant(t.Context(), w.owner, params)
	require.NoError(t, err)
	return changes
}

func open(t *testing.T, dsn string) *bun.DB {
	t.Helper()
	db, err := repo.Open(t.Context(), dsn, repo.PoolConfig{MaxConns: 2, ReadTimeout: time.Minute})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func newName(kind string) string {
	return fmt.Sprintf("%s_%d_%d", kind, os.Getpid(), roleNames.Add(1))
}

func exec(t *testing.T, db *bun.DB, statement string) {
	t.Helper()
	_, err := db.DB.ExecContext(t.Context(), statement)
	require.NoError(t, err, statement)
}

// stateOf runs a statement in a transaction that is rolled back, and returns its SQLSTATE, 00000 if it succeeds.
func stateOf(t *testing.T, db *bun.DB, statement string) string {
	t.Helper()
	tx, err := db.DB.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer tx.Rollback()
	if _, err := tx.ExecContext(t.Context(), statement); err != nil {
		var server pgdriver.Error
		require.ErrorAs(t, err, &server, statement)
		return server.Field('C')
	}
	return "00000"
}

func texts(t *testing.T, db *bun.DB, query string) []string {
	t.Helper()
	rows, err := db.DB.QueryContext(t.Context(), query)
	require.NoError(t, err, query)
	defer rows.Close()
	var result []string
	for rows.Next() {
		var s string
		require.NoError(t, rows.Scan(&s))
		result = append(result, s)
	}
	require.NoError(t, rows.Err())
	return result
}

func describe(t *testing.T, db *bun.DB) []string {
	t.Helper()
	lines, err := migrations.Describe(t.Context(), db)
	require.NoError(t, err)
	return lines
}

// nullCalls calls each function public.gpt_* with NULLs: who may not execute it never gets to hear that they are wrong.
func nullCalls(t *testing.T, db *bun.DB) map[string]string {
	t.Helper()
	calls := make(map[string]string)
	for _, line := range texts(t, db, `
		SELECT p.proname || ' ' || format('SELECT FROM public.%I(%s)', p.proname,
		       (SELECT string_agg('NULL::' || format_type(a, NULL), ', ' ORDER BY i) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS u (a, i)))
		  FROM pg_catalog.pg_proc AS p
		 WHERE p.pronamespace = 'public'::regnamespace AND p.proname ~ '^gpt_'`) {
		name, call, _ := strings.Cut(line, " ")
		calls[name] = call
	}
	require.NotEmpty(t, calls)
	return calls
}
