package repotest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

const (
	urlVariable = "GPTOAUTH_TEST_DATABASE_URL"

	// setupLock is the key of the advisory lock under which one of the test processes prepares the server.
	setupLock = 0x67707472 // "gptr"

	setupTimeout = 2 * time.Minute

	// lingerAfterFailure is how long a private server stays for whoever wants to see what a failed test has left.
	lingerAfterFailure = 10 * time.Minute
)

// server is where the tests of this process run.
type server struct {
	url     *url.URL
	private *privatepg.Server // nil if the environment names the server
	admin   *bun.DB           // on the database that the URL names
	tests   *bun.DB           // on the database of tests in a transaction
	names   names

	linger sync.Once
}

// names of the databases for one state of the migrations, so that two checkouts can share a server.
type names struct {
	template, tests string
}

// connect prepares the server once a process.
var connect = sync.OnceValues(func() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	s, err := newServer(ctx)
	if err != nil {
		return nil, fmt.Errorf("repotest: %w", err)
	}
	return s, nil
})

func mustConnect(t testing.TB) *server {
	t.Helper()
	s, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newServer(ctx context.Context) (*server, error) {
	dsn, private, err := serverURL(ctx)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL", urlVariable) // err would show it
	}

	digest := migrations.Digest()[:12]
	s := &server{url: u, private: private, names: names{template: "gptoauth_template_" + digest, tests: "gptoauth_tests_" + digest}}
	if s.admin, err = repo.Open(ctx, dsn, repo.PoolConfig{MaxConns: 4, ReadTimeout: setupTimeout}); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	s.tests, err = repo.Open(ctx, s.urlOf(s.names.tests), repo.PoolConfig{MaxConns: 32})
	return s, err
}

func serverURL(ctx context.Context) (string, *privatepg.Server, error) {
	if dsn := os.Getenv(urlVariable); dsn != "" {
		return dsn, nil, nil
	}
	private, err := privatepg.Shared(ctx)
	if err != nil {
		return "", nil, err
	}
	return private.URL("postgres"), private, nil
}

// keep tells where the database of a failed test is, and keeps a private server long enough for a look at it.
func (s *server) keep(t testing.TB, name string) {
	t.Helper()
	if s.private == nil {
		t.Logf("repotest: kept the database %s on %s", name, s.url.Redacted())
		return
	}
	s.linger.Do(func() {
		if err := s.private.Linger(context.WithoutCancel(t.Context()), lingerAfterFailure); err != nil {
			t.Log("repotest:", err)
		}
	})
	t.Logf("repotest: kept the database for %s: psql -h %s -p %d -U postgres %s, with the password in %s",
		lingerAfterFailure, s.private.SocketDir(), s.private.Port(), name, s.private.PasswordFile())
}

// urlOf names another database of the server.
func (s *server) urlOf(database string) string {
	u := *s.url
	u.Path = "/" + database
	return u.String()
}

// prepare makes the template and the database of tests in a transaction, unless another process has.
func (s *server) prepare(ctx context.Context) error {
	conn, err := s.admin.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // back into the pool
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(?)", setupLock); err != nil {
		return err
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(?)", setupLock) //nolint:errcheck // closing unlocks too

	if err := s.prepareTemplate(ctx, conn); err != nil {
		return fmt.Errorf("preparing the template: %w", err)
	}
	var exists bool
	if err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = ?)", s.names.tests).Scan(&exists); err != nil || exists {
		return err
	}
	return s.clone(ctx, conn, s.names.tests)
}

// prepareTemplate migrates a new database and then makes it a template, which is the sign that it is complete.
func (s *server) prepareTemplate(ctx context.Context, conn bun.Conn) error {
	var complete bool
	err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = ? AND datistemplate)", s.names.template).Scan(&complete)
	if err != nil || complete {
		return err
	}
	name := bun.Ident(s.names.template)
	for _, statement := range []string{"DROP DATABASE IF EXISTS ?", "CREATE DATABASE ? TEMPLATE template0 ENCODING 'UTF8'"} {
		if _, err := conn.ExecContext(ctx, statement, name); err != nil {
			return err
		}
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "ALTER DATABASE ? IS_TEMPLATE true", name)
	return err
}

func (s *server) migrate(ctx context.Context) error {
	db, err := repo.Open(ctx, s.urlOf(s.names.template), repo.PoolConfig{MaxConns: 2, ReadTimeout: setupTimeout})
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // a template is cloned only while no one is connected to it
	return migrations.Up(ctx, db)
}

func (s *server) clone(ctx context.Context, on bun.IDB, name string) error {
	_, err := on.ExecContext(ctx, "CREATE DATABASE ? TEMPLATE ?", bun.Ident(name), bun.Ident(s.names.template))
	return err
}

func (s *server) drop(ctx context.Context, name string) error {
	_, err := s.admin.ExecContext(ctx, "DROP DATABASE IF EXISTS ? WITH (FORCE)", bun.Ident(name))
	return err
}

func newDatabaseName() string {
	return "gptoauth_test_" + uuid.NewString()[:13]
}
