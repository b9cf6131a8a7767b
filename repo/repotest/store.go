package repotest

import (
	"context"
	"database/sql"
	"testing"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
)

// Store returns a store inside a transaction that is rolled back when the test ends. Its DB method gives the bun.Tx, for
// rows of the test's own. As in every transaction, an error of the database aborts it; outcomes do not.
func Store(t testing.TB, config repo.Config) *repo.Store {
	t.Helper()
	s := mustConnect(t)
	tx, err := s.tests.BeginTx(context.WithoutCancel(t.Context()), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		t.Fatal("repotest: beginning the transaction:", err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return newStore(t, s.tests, config).With(tx)
}

// CommittingStore returns a store over a database of its own, as [DB] makes it, with a pool of conns connections, for what
// needs real commits.
func CommittingStore(t testing.TB, config repo.Config, conns int) *repo.Store {
	t.Helper()
	db := DB(t)
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return newStore(t, db, config)
}

func newStore(t testing.TB, db *bun.DB, config repo.Config) *repo.Store {
	t.Helper()
	store, err := repo.New(db, config)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// DB returns a migrated database of the test's own, cloned from a template. It is dropped when the test ends, and kept and
// named in the log if the test failed, for ten minutes if the server is private.
func DB(t testing.TB) *bun.DB {
	t.Helper()
	db, err := repo.Open(t.Context(), URL(t), repo.PoolConfig{})
	if err != nil {
		t.Fatal("repotest:", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// URL is DB for those who connect themselves: it makes the database and returns its URL, password included.
func URL(t testing.TB) string {
	t.Helper()
	s := mustConnect(t)
	name := newDatabaseName()
	if err := s.clone(t.Context(), s.admin, name); err != nil {
		t.Fatal("repotest: cloning the template:", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.keep(t, name)
			return
		}
		if err := s.drop(context.WithoutCancel(t.Context()), name); err != nil {
			t.Log("repotest: dropping the database:", err)
		}
	})
	return s.urlOf(name)
}
