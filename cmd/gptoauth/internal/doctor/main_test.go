package doctor

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

const template = "template_gptoauth"

// testServer is this process's own, because roles belong to a server, and fsync is on as it should be. Its databases are
// copies of one that was migrated where the roles of Supabase's API exist.
var testServer = sync.OnceValues(func() (*privatepg.Server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	server, err := privatepg.Start(ctx, privatepg.Options{Settings: map[string]string{"fsync": "on"}})
	if err != nil {
		return nil, err
	}
	admin, err := repo.Open(ctx, server.URL("postgres"), repo.PoolConfig{MaxConns: 1})
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	for _, statement := range []string{"CREATE ROLE anon", "CREATE ROLE authenticated", "CREATE ROLE service_role BYPASSRLS", "CREATE DATABASE " + template} {
		if _, err := admin.ExecContext(ctx, statement); err != nil {
			return nil, err
		}
	}
	db, err := repo.Open(ctx, server.URL(template), repo.PoolConfig{})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return server, migrations.Up(ctx, db)
})

var names atomic.Int64

func newName(kind string) string { return fmt.Sprintf("%s_%d", kind, names.Add(1)) }

// newDatabase is migrated and empty.
func newDatabase(t *testing.T) (url string, db *bun.DB) {
	t.Helper()
	server, err := testServer()
	require.NoError(t, err)
	admin := open(t, server.URL("postgres"))
	name := newName("db")
	exec(t, admin, "CREATE DATABASE "+name+" TEMPLATE "+template)
	return server.URL(name), open(t, server.URL(name))
}

func open(t *testing.T, url string) *bun.DB {
	t.Helper()
	db, err := repo.Open(t.Context(), url, repo.PoolConfig{MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func exec(t *testing.T, db *bun.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		_, err := db.DB.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// examined are the results of all checks by their ids.
func examined(t *testing.T, p Patient) map[string]Result {
	t.Helper()
	results := make(map[string]Result)
	for _, result := range Examine(t.Context(), p) {
		results[result.ID] = result
	}
	return results
}

// requireOnly wants findings from one check and nothing to object to from all others.
func requireOnly(t *testing.T, results map[string]Result, id string, texts ...string) {
	t.Helper()
	for other, result := range results {
		if other != id {
			require.Equal(t, OK, result.Status, "%+v", result)
		}
	}
	requireFindings(t, results[id], texts...)
}

// requireFindings wants one finding for each text, which it contains, in that order.
func requireFindings(t *testing.T, result Result, texts ...string) {
	t.Helper()
	require.Equal(t, Found, result.Status, "%+v", result)
	require.Len(t, result.Findings, len(texts), "%+v", result.Findings)
	for i, text := range texts {
		require.Contains(t, result.Findings[i].Text, text)
		require.NotEmpty(t, result.Findings[i].Fix)
		require.NotContains(t, result.Findings[i].Text, "%!")
	}
}
