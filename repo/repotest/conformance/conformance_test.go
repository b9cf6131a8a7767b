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
		return lossySubject(t, config, func(url string) driver.Connector {
			return pgdriver.NewConnector(pgdriver.WithDSN(url), pgdriver.WithInsecure(true))
		})
	})
}

func TestStoreOverPgx(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t testing.TB, config repo.Config) conformance.Subject {
		return lossySubject(t, config, func(url string) driver.Connector {
			pgxConfig, err := pgx.ParseConfig(url)
			require.NoError(t, err)
			pgxConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
			return stdlib.GetConnector(*pgxConfig)
		})
	})
}

// TestStoreInsideATransaction: what holds for one client holds inside a caller's transaction as well.
func TestStoreInsideATransaction(t *testing.T) {
	t.Parallel()
	conformance.Run(t, func(t testing.TB, config repo.Config) conformance.Subject {
		return conformance.Of(repotest.Store(t, config))
	})
}

// lossySubject is a store over a driver whose answers can get lost, and a direct connection beside it.
func lossySubject(t testing.TB, config repo.Config, connector func(url string) driver.Connector) conformance.Subject {
	t.Helper()
	url := repotest.URL(t)
	db := bun.NewDB(sql.OpenDB(&lossyConnector{connector(url)}), pgdialect.New())
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	t.Cleanup(func() { _ = db.Close() })
	store, err := repo.New(db, config)
	require.NoError(t, err)
	direct, err := repo.Open(t.Context(), url, repo.PoolConfig{MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(func() { _ = direct.Close() })

	subject := conformance.Of(store)
	subject.DB = direct
	subject.Lose = lose
	return subject
}
