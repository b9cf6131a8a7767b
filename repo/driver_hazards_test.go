package repo_test

import (
	"context"
	"database/sql"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

// These tests hold on to what is known of the driver and of Bun: how each hazard shows, and that our way avoids it. One that
// fails after an upgrade may be good news.

func requireState(t *testing.T, err error, state string) {
	t.Helper()
	var driverError pgdriver.Error
	require.ErrorAs(t, err, &driverError)
	require.Equal(t, state, driverError.Field('C'))
}

// Rows arrive before COMMIT, and COMMIT can fail.
func TestHazard_RowsArriveBeforeCommit(t *testing.T) {
	t.Parallel()
	db := open(t, repotest.URL(t), repo.PoolConfig{MaxConns: 1})
	_, err := db.ExecContext(t.Context(), "CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED); INSERT INTO late VALUES (1)")
	require.NoError(t, err)
	const insert = "INSERT INTO late VALUES (1) RETURNING id"

	var id int
	require.NoError(t, db.NewRaw(insert).Scan(t.Context(), &id), "Bun reads one row and drops the error after it")
	require.Equal(t, 1, id)
	require.Equal(t, "1", queryText(t, db, "SELECT count(*)::text FROM late"), "acknowledged, and not there")

	requireState(t, db.QueryRowContext(t.Context(), insert).Scan(&id), "23505")
	requireState(t, db.QueryRowContext(t.Context(), "SET LOCAL statement_timeout = 5000; "+insert).Scan(&id), "23505")
	var rows []struct{ ID int }
	requireState(t, db.NewRaw(insert).Scan(t.Context(), &rows), "23505")
}

// Prepare: after a timeout pgdriver reads another query's rows, and a transaction pooler loses the statement.
func TestHazard_NothingIsPrepared(t *testing.T) {
	t.Parallel()
	files := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && len(path) > 2 && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		require.Empty(t, callsOfPrepare(tree), path)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, files, 20, "the walk missed the module")

	tree, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() { s, _ := db.PrepareContext(ctx, q); s.Close() }", 0)
	require.NoError(t, err)
	require.Equal(t, []string{"PrepareContext"}, callsOfPrepare(tree))
}

func callsOfPrepare(tree ast.Node) []string {
	var calls []string
	ast.Inspect(tree, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok && strings.HasPrefix(selector.Sel.Name, "Prepare") {
			calls = append(calls, selector.Sel.Name)
		}
		return true
	})
	return calls
}

// A deadline does not stop the server. SET LOCAL in the same message does, for that message only.
func TestHazard_StatementTimeoutBoundsOneCall(t *testing.T) {
	t.Parallel()
	db := open(t, repotest.URL(t), repo.PoolConfig{MaxConns: 1})
	_, err := db.ExecContext(t.Context(), "SET LOCAL statement_timeout = 50; SELECT pg_sleep(60)")
	requireState(t, err, "57014")

	const setting = "SELECT current_setting('statement_timeout') || ' ' || pg_backend_pid()"
	pid := queryText(t, db, "SELECT pg_backend_pid()::text")
	require.Equal(t, "5s "+pid, queryText(t, db, "SET LOCAL statement_timeout = 5000; "+setting))
	require.Equal(t, "0 "+pid, queryText(t, db, setting), "on the same connection it is gone")

	_, err = db.ExecContext(t.Context(), "SET statement_timeout = 5000")
	require.NoError(t, err)
	require.Equal(t, "5s "+pid, queryText(t, db, setting), "without LOCAL it would stay")
}

// COMMIT of an aborted transaction is a rollback, and no error to the driver.
func TestHazard_CommitOfAnAbortedTransactionSaysNothing(t *testing.T) {
	t.Parallel()
	db := open(t, repotest.URL(t), repo.PoolConfig{MaxConns: 1})
	_, err := db.ExecContext(t.Context(), "CREATE TABLE kept (id int)")
	require.NoError(t, err)
	swallow := func(ctx context.Context, tx bun.Tx) {
		_, err := tx.ExecContext(ctx, "INSERT INTO kept VALUES (1)")
		require.NoError(t, err)
		_, err = tx.ExecContext(ctx, "SELECT 1 / 0")
		requireState(t, err, "22012")
	}
	err = db.RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		swallow(ctx, tx)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, "0", queryText(t, db, "SELECT count(*)::text FROM kept"))

	store, err := repo.New(db, repo.Config{})
	require.NoError(t, err)
	err = store.InTx(t.Context(), func(ctx context.Context, _ *repo.Store, tx bun.Tx) error {
		swallow(ctx, tx)
		return nil
	})
	requireState(t, err, "25P02")
}

// An error that does not fit the driver's buffer loses its SQLSTATE, and the connection with it.
func TestHazard_LongErrorsKeepTheirState(t *testing.T) {
	t.Parallel()
	dsn := repotest.URL(t)
	const raise = "DO $$ BEGIN RAISE EXCEPTION USING MESSAGE = repeat('x', 60000), ERRCODE = 'ZZ001'; END $$"
	_, err := open(t, dsn, repo.PoolConfig{}).ExecContext(t.Context(), raise)
	requireState(t, err, "ZZ001")

	_, err = openNaively(t, dsn).ExecContext(t.Context(), raise)
	var driverError pgdriver.Error
	require.Error(t, err)
	require.NotErrorAs(t, err, &driverError)
}

// The driver replaces what is not UTF-8, so that two inputs become one. The store refuses both.
func TestHazard_InvalidTextCollides(t *testing.T) {
	t.Parallel()
	db := open(t, repotest.URL(t), repo.PoolConfig{MaxConns: 1})
	store, err := repo.New(db, repo.Config{})
	require.NoError(t, err)
	for _, user := range []string{"user\xff", "user\xfe"} {
		require.Equal(t, "user\ufffd", queryText(t, db, "SELECT ?::text", user))
		_, err := store.EndUser(t.Context(), user, "offboarded")
		var inputError *repo.InputError
		require.ErrorAs(t, err, &inputError)
	}
}

// pgx prepares each text it sees, and Bun's texts contain the arguments.
func TestHazard_PgxLeavesPreparedStatements(t *testing.T) {
	t.Parallel()
	dsn := repotest.URL(t)
	const calls = 5
	leftBehind := func(dsn string) int {
		sqlDB, err := sql.Open("pgx", dsn)
		require.NoError(t, err)
		defer sqlDB.Close()
		sqlDB.SetMaxOpenConns(1)
		store, err := repo.New(bun.NewDB(sqlDB, pgdialect.New()), repo.Config{})
		require.NoError(t, err)
		for range calls {
			_, err := store.EndUser(t.Context(), "user_1", "offboarded")
			require.NoError(t, err)
		}
		var left int
		require.NoError(t, sqlDB.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT public.gpt_end_user_v1(%'").Scan(&left))
		return left
	}
	require.Equal(t, calls, leftBehind(dsn))
	require.Zero(t, leftBehind(withParameter(t, dsn, "default_query_exec_mode", "simple_protocol")))
}
