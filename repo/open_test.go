package repo_test

import (
	"context"
	"database/sql"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func open(t *testing.T, dsn string, pool repo.PoolConfig) *bun.DB {
	t.Helper()
	db, err := repo.Open(t.Context(), dsn, pool)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// openNaively is what the test would get without Open: pgdriver as it comes.
func openNaively(t *testing.T, dsn string) *bun.DB {
	t.Helper()
	options := []pgdriver.Option{pgdriver.WithDSN(dsn)}
	if !strings.Contains(dsn, "sslmode=") {
		options = append(options, pgdriver.WithInsecure(true))
	}
	db := bun.NewDB(sql.OpenDB(pgdriver.NewConnector(options...)), pgdialect.New())
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func withParameter(t *testing.T, dsn, name, value string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

func queryText(t *testing.T, db bun.IDB, query string, args ...any) string {
	t.Helper()
	var text string
	require.NoError(t, db.QueryRowContext(t.Context(), query, args...).Scan(&text))
	return text
}

const whoAmI = "SELECT concat_ws(' ', current_user, current_database(), current_setting('application_name'))"

func TestOpen_Forms(t *testing.T) {
	dsn := repotest.URL(t)
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(u.Host)
	require.NoError(t, err)
	password, _ := u.User.Password()
	user, database := u.User.Username(), strings.TrimPrefix(u.Path, "/")
	want := user + " " + database + " "

	t.Run("URL", func(t *testing.T) {
		require.Equal(t, want+"gptoauth", queryText(t, open(t, dsn, repo.PoolConfig{}), whoAmI))
	})
	t.Run("TransactionPoolerHints", func(t *testing.T) {
		db := open(t, withParameter(t, withParameter(t, dsn, "pgbouncer", "true"), "application_name", "mine"), repo.PoolConfig{})
		require.Equal(t, want+"mine", queryText(t, db, whoAmI))
	})
	t.Run("KeyValues", func(t *testing.T) {
		quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
		db := open(t, "host="+host+" port="+port+" user="+user+" password='"+quote.Replace(password)+"' dbname="+database,
			repo.PoolConfig{ApplicationName: "chosen"})
		require.Equal(t, want+"chosen", queryText(t, db, whoAmI))
	})
	t.Run("UnixSocket", func(t *testing.T) {
		folders := queryText(t, open(t, dsn, repo.PoolConfig{}), "SHOW unix_socket_directories")
		folder, _, _ := strings.Cut(folders, ",")
		if folder == "" || host != "127.0.0.1" {
			t.Skip("the server has no Unix socket here")
		}
		userInfo := url.UserPassword(user, password).String()
		for _, dsn := range []string{
			"postgres://" + userInfo + "@" + url.PathEscape(folder) + ":" + port + "/" + database,
			"postgres://" + userInfo + "@/" + database + "?host=" + folder + "&port=" + port,
		} {
			db := open(t, dsn, repo.PoolConfig{})
			require.Equal(t, want+"gptoauth", queryText(t, db, whoAmI))
			require.Equal(t, "true", queryText(t, db, "SELECT (inet_client_addr() IS NULL)::text"))
		}
	})
	t.Run("Environment", func(t *testing.T) {
		for name, value := range map[string]string{
			"PGHOST": host, "PGPORT": port, "PGUSER": user, "PGPASSWORD": password, "PGDATABASE": database, "PGAPPNAME": "from-env",
		} {
			t.Setenv(name, value)
		}
		require.Equal(t, want+"from-env", queryText(t, open(t, "", repo.PoolConfig{}), whoAmI))
		// Without this, pgdriver itself would read it, as the database too.
		t.Setenv("PGHOST", "127.0.0.2")
		require.Equal(t, want+"from-env", queryText(t, open(t, "postgres://"+u.Host, repo.PoolConfig{}), whoAmI))
	})
}

func TestOpen_Errors(t *testing.T) {
	t.Parallel()
	dsn := repotest.URL(t)
	u, err := url.Parse(dsn)
	require.NoError(t, err)

	t.Run("WrongPassword", func(t *testing.T) {
		t.Parallel()
		wrong := *u
		wrong.User = url.UserPassword(u.User.Username(), "hunter2")
		db, err := repo.Open(t.Context(), wrong.String(), repo.PoolConfig{})
		if err == nil {
			_ = db.Close()
			t.Skip("the server asks for no password")
		}
		require.ErrorContains(t, err, "SQLSTATE=28P01")
		require.NotContains(t, err.Error(), "hunter2")
	})
	t.Run("NoSuchDatabase", func(t *testing.T) {
		t.Parallel()
		wrong := *u
		wrong.Path = "/nothing"
		_, err := repo.Open(t.Context(), wrong.String(), repo.PoolConfig{})
		require.ErrorContains(t, err, "SQLSTATE=3D000")
	})
	t.Run("NobodyListens", func(t *testing.T) {
		t.Parallel()
		_, err := repo.Open(t.Context(), "postgres://ann:hunter2@127.0.0.1:1/auth", repo.PoolConfig{})
		require.ErrorContains(t, err, "connection refused")
		require.NotContains(t, err.Error(), "hunter2")
	})
	t.Run("BadDSN", func(t *testing.T) {
		t.Parallel()
		_, err := repo.Open(t.Context(), "postgres://ann:hunter2", repo.PoolConfig{})
		var dsnError *repo.DSNError
		require.ErrorAs(t, err, &dsnError)
		require.NotContains(t, err.Error(), "hunter2")
	})
	t.Run("BadPool", func(t *testing.T) {
		t.Parallel()
		for field, pool := range map[string]repo.PoolConfig{
			"PoolConfig.MaxConns":        {MaxConns: -1},
			"PoolConfig.ConnectTimeout":  {ConnectTimeout: -1},
			"PoolConfig.ApplicationName": {ApplicationName: "a\x00user"},
		} {
			_, err := repo.Open(t.Context(), dsn, pool)
			var inputError *repo.InputError
			require.ErrorAs(t, err, &inputError)
			require.Equal(t, field, inputError.Field)
		}
	})
}

func TestOpen_SetsNothingButTheName(t *testing.T) {
	t.Parallel()
	db := open(t, repotest.URL(t), repo.PoolConfig{})
	var names []string
	require.NoError(t, db.NewRaw("SELECT name FROM pg_settings WHERE source IN ('client', 'session') ORDER BY name").Scan(t.Context(), &names))
	require.Equal(t, []string{"application_name"}, names)
}

func TestOpen_KeepsAllConnections(t *testing.T) {
	t.Parallel()
	db := open(t, repotest.URL(t), repo.PoolConfig{MaxConns: 6})
	occupy(t, db, 6)
	require.Equal(t, 6, db.Stats().OpenConnections)
	require.Equal(t, 6, db.Stats().Idle)
	require.Equal(t, 6, db.Stats().MaxOpenConnections)
}

// occupy makes the pool open n connections and leaves them idle.
func occupy(t *testing.T, db *bun.DB, n int) {
	t.Helper()
	conns := make([]bun.Conn, n)
	for i := range conns {
		var err error
		conns[i], err = db.Conn(t.Context())
		require.NoError(t, err)
	}
	for _, conn := range conns {
		require.NoError(t, conn.Close())
	}
}

// TestOpen_IdleConnectionsSurviveTheReadTimeout: the deadline of the last answer must not count as a sign of death.
func TestOpen_IdleConnectionsSurviveTheReadTimeout(t *testing.T) {
	t.Parallel()
	db := open(t, repotest.URL(t), repo.PoolConfig{MaxConns: 1, ReadTimeout: 2 * time.Second})
	pid := queryText(t, db, "SELECT pg_backend_pid()::text")
	idleUntil := time.Now().Add(2300 * time.Millisecond)
	require.Eventually(t, func() bool { return time.Now().After(idleUntil) }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, pid, queryText(t, db, "SELECT pg_backend_pid()::text"))
}

func TestOpen_ReadTimeout(t *testing.T) {
	t.Parallel()
	dsn := repotest.URL(t)
	_, err := open(t, dsn, repo.PoolConfig{ReadTimeout: 2 * time.Second}).ExecContext(t.Context(), "SELECT pg_sleep(60)")
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout())

	_, err = open(t, dsn, repo.PoolConfig{ReadTimeout: -1}).ExecContext(t.Context(), "SELECT pg_sleep(0.1)")
	require.NoError(t, err)
}

// Hazard 6: the server ends all idle connections, as it does when it restarts.
func TestOpen_DeadConnectionsCostNoCallerAnError(t *testing.T) {
	t.Parallel()
	const conns = 8
	dsn := repotest.URL(t)
	killer := open(t, dsn, repo.PoolConfig{MaxConns: 1})

	failures := func(db *bun.DB) int {
		occupy(t, db, conns)
		_, err := killer.ExecContext(t.Context(), "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "+
			"WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND datname = current_database()")
		require.NoError(t, err)
		var callers sync.WaitGroup
		var failed atomic.Int32
		for range conns {
			callers.Go(func() {
				if _, err := db.ExecContext(context.WithoutCancel(t.Context()), "SELECT pg_sleep(0.05)"); err != nil {
					failed.Add(1)
				}
			})
		}
		callers.Wait()
		return int(failed.Load())
	}

	require.Zero(t, failures(open(t, dsn, repo.PoolConfig{MaxConns: conns})))

	// The control: the same without the look at the socket.
	naive := openNaively(t, dsn)
	naive.SetMaxOpenConns(conns)
	naive.SetMaxIdleConns(conns)
	require.Equal(t, conns, failures(naive))
}
