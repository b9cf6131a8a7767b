// Package upgrade_test runs the previous release and this one together on one database, before, during and after its
// migration. previous.txt names the commit of the previous release.
package upgrade_test

import (
	"context"
	"math/rand/v2"
	"path"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
	"github.com/gptoauth/gptoauth/repo/repotest/conformance"
)

const (
	clients   = 8
	moreAfter = 2 // rounds of a crowd before and after the migration
)

// TestRollingUpgrade: whichever release answers which call, the kit passes, on a database that only the previous release
// has migrated as on the same one later.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	programs := drivers(t)
	databases := &databases{t: t, programs: programs, urls: map[string]string{}}

	t.Run("Before", func(t *testing.T) {
		conformance.Run(t, databases.factory())
	})
	t.Run("During", func(t *testing.T) {
		for part, databaseURL := range databases.urls {
			t.Run(part, func(t *testing.T) {
				t.Parallel()
				migrateUnderLoad(t, programs, databaseURL)
			})
		}
	})
	t.Run("After", func(t *testing.T) {
		conformance.Run(t, databases.factory())
	})
}

// databases are one a part of the kit, since a part wants its own, and the same in each phase.
type databases struct {
	t        *testing.T
	programs releases

	mu   sync.Mutex
	urls map[string]string // by part
}

func (d *databases) factory() conformance.Factory {
	return func(t testing.TB, config repo.Config) conformance.Subject {
		t.Helper()
		databaseURL := d.url(t, path.Base(t.Name()))
		return conformance.Subject{
			Store:   &mixed{start(t, d.programs.previous, databaseURL, config), start(t, d.programs.current, databaseURL, config)},
			DB:      open(t, databaseURL),
			Clients: clients,
		}
	}
}

// url makes a database with the schema of the previous release, unless it is there.
func (d *databases) url(t testing.TB, part string) string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.urls[part] == "" {
		databaseURL := repotest.URL(outliving{t, d.t})
		_, err := open(t, databaseURL).ExecContext(t.Context(), "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
		require.NoError(t, err)
		require.NoError(t, start(t, d.programs.previous, databaseURL, repo.Config{}).migrate())
		d.urls[part] = databaseURL
	}
	return d.urls[part]
}

// outliving is a test whose database is that of the test around it.
type outliving struct {
	testing.TB

	around *testing.T
}

func (o outliving) Cleanup(f func()) { o.around.Cleanup(f) }
func (o outliving) Failed() bool     { return o.around.Failed() }

func open(t testing.TB, databaseURL string) *bun.DB {
	t.Helper()
	db, err := repo.Open(t.Context(), databaseURL, repo.PoolConfig{MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// migrateUnderLoad lets this release migrate in the middle of what a crowd does with both.
func migrateUnderLoad(t *testing.T, programs releases, databaseURL string) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("the seed is %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	previous := start(t, programs.previous, databaseURL, repo.Config{})
	current := start(t, programs.current, databaseURL, repo.Config{})

	load := func() {
		recorder := conformance.Record(&mixed{previous, current}, repo.Config{})
		require.NoError(t, conformance.Crowd(t.Context(), recorder, clients, random))
		require.NoError(t, recorder.Check())
	}
	for range moreAfter {
		load()
	}
	if err := current.check(); err != nil {
		t.Log("to be done:", err)
	}
	migrated := make(chan error, 1)
	go func() { migrated <- current.migrate() }()
	for range moreAfter {
		load()
	}
	require.NoError(t, <-migrated)
	require.NoError(t, current.check())
	require.NoError(t, previous.check(), "a database that is ahead is fine")
	load()
}

// mixed is a store whose calls go to either release.
type mixed struct{ previous, current *process }

func (m *mixed) either() *process {
	if rand.IntN(2) == 0 {
		return m.previous
	}
	return m.current
}

func (m *mixed) Issue(ctx context.Context, params repo.IssueParams) (repo.IssueResult, error) {
	return m.either().Issue(ctx, params)
}

func (m *mixed) Exchange(ctx context.Context, params repo.ExchangeParams) (repo.ExchangeResult, error) {
	return m.either().Exchange(ctx, params)
}

func (m *mixed) Rotate(ctx context.Context, params repo.RotateParams) (repo.RotateResult, error) {
	return m.either().Rotate(ctx, params)
}

func (m *mixed) Revoke(ctx context.Context, params repo.RevokeParams) (repo.RevokeResult, error) {
	return m.either().Revoke(ctx, params)
}

func (m *mixed) Lookup(ctx context.Context, token string) (repo.LookupResult, error) {
	return m.either().Lookup(ctx, token)
}

func (m *mixed) End(ctx context.Context, params repo.EndParams) (repo.EndedResult, error) {
	return m.either().End(ctx, params)
}

func (m *mixed) EndAll(ctx context.Context, params repo.EndAllParams) (repo.EndedResult, error) {
	return m.either().EndAll(ctx, params)
}

func (m *mixed) EndUser(ctx context.Context, clerkUserID, reason string) (repo.EndedResult, error) {
	return m.either().EndUser(ctx, clerkUserID, reason)
}

// List reads all its pages from one of them.
func (m *mixed) List(ctx context.Context, params repo.SessionListParams) (repo.SessionPage, error) {
	return m.either().List(ctx, params)
}

func (m *mixed) Active(ctx context.Context, id uuid.UUID) (bool, error) {
	return m.either().Active(ctx, id)
}

func (m *mixed) Touch(ctx context.Context, id uuid.UUID) (bool, error) {
	return m.either().Touch(ctx, id)
}

func (m *mixed) Trail(ctx context.Context, clerkUserID string) ([]string, error) {
	return m.either().Trail(ctx, clerkUserID)
}
