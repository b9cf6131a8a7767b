package faulttest

import (
	"fmt"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest/conformance"
)

// TestConformanceBehindThePooler passes the whole kit through PgBouncer: 64 clients over 4 connections to each database.
func TestConformanceBehindThePooler(t *testing.T) {
	t.Parallel()
	server := startServer(t, privatepg.Options{})
	pooler := startPooler(t, server)
	admin := openDirect(t, databaseOf(server))
	const template = "kit"
	_, err := admin.DB().ExecContext(t.Context(), "CREATE DATABASE ?", bun.Ident(template))
	require.NoError(t, err)
	migrated, err := repo.Open(t.Context(), inDatabase(t, databaseOf(server), template), repo.PoolConfig{})
	require.NoError(t, err)
	require.NoError(t, migrations.Up(t.Context(), migrated))
	require.NoError(t, migrated.Close())

	var databases atomic.Int64
	conformance.Run(t, func(t testing.TB, config repo.Config) conformance.Subject {
		name := fmt.Sprintf("kit_%d", databases.Add(1))
		_, err := admin.DB().ExecContext(t.Context(), "CREATE DATABASE ? TEMPLATE ?", bun.Ident(name), bun.Ident(template))
		require.NoError(t, err)
		config.Timeout = patient.Timeout
		pool := repo.PoolConfig{MaxConns: pooledClients}
		subject := conformance.Of(openPool(t, inDatabase(t, pooler.dsn, name), config, pool))
		subject.DB = openDirect(t, inDatabase(t, databaseOf(server), name)).DB()
		subject.Clients = pooledClients
		return subject
	})
}

func inDatabase(t testing.TB, dsn, name string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}
