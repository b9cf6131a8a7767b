package conformance_test

import (
	"database/sql"
	"database/sql/driver"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
	"github.com/gptoauth/gptoauth/repo/repotest/conformance"
)

func TestStoreOverPgdriver(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t testing.TB, config repo.Config) conformance.Subject {
		return lossySubject(t, config, pgdriverConnector)
	})
}

func TestStoreOverPgx(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t testing.TB, config repo.Config) conformance.Subject {
		return lossySubject(t, config, pgxConnector)
	})
}

// TestStoreInsideATransaction: what holds for one client holds inside a caller's transaction as well.
func TestStoreInsideATransaction(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t testing.TB, config repo.Config) conformance.Subject {
		return conformance.Of(repotest.Store(t, config))
	})
}

// TestPeer: the kit asks for what is required of a store and not for how this one does it.
func TestPeer(t *testing.T) {
	t.Parallel()
	conformance.Run(t, peerFactory(noFlaw))
}

func peerFactory(f flaw) conformance.Factory {
	return func(t testing.TB, config repo.Config) conformance.Subject {
		db, direct := lossyDB(t, pgdriverConnector)
		peer, err := newPeer(db, config, f)
		require.NoError(t, err)
		return conformance.Subject{Store: peer, DB: direct, Lose: lose}
	}
}

// lossySubject is a store over a driver whose answers can get lost.
func lossySubject(t testing.TB, config repo.Config, connector func(t testing.TB, url string) driver.Connector) conformance.Subject {
	t.Helper()
	db, direct := lossyDB(t, connector)
	store, err := repo.New(db, config)
	require.NoError(t, err)
	subject := conformance.Of(store)
	subject.DB = direct
	subject.Lose = lose
	return subject
}

// lossyDB is a new database over a driver whose answers can get lost, and once more directly.
func lossyDB(t testing.TB, connector func(t testing.TB, url string) driver.Connector) (lossy, direct *bun.DB) {
	t.Helper()
	url := repotest.URL(t)
	lossy = bun.NewDB(sql.OpenDB(&lossyConnector{connector(t, url)}), pgdialect.New())
	lossy.SetMaxOpenConns(16)
	lossy.SetMaxIdleConns(16)
	t.Cleanup(func() { _ = lossy.Close() })
	direct, err := repo.Open(t.Context(), url, repo.PoolConfig{MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(func() { _ = direct.Close() })
	return lossy, direct
}

func pgdriverConnector(_ testing.TB, url string) driver.Connector {
	return pgdriver.NewConnector(pgdriver.WithDSN(url), pgdriver.WithInsecure(true))
}

func pgxConnector(t testing.TB, url string) driver.Connector {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return stdlib.GetConnector(*config)
}
