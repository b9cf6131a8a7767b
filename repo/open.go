package repo

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"
)

const (
	defaultMaxConns        = 10
	defaultApplicationName = "gptoauth"
	defaultConnectTimeout  = 5 * time.Second
	defaultReadTimeout     = 10 * time.Second
	writeTimeout           = 5 * time.Second

	// bufferSize: an error message longer than the driver's buffer loses its SQLSTATE.
	bufferSize = 64 << 10
)

// PoolConfig says how the connections of [Open] are kept. Its zero value works. What is not here can be set on the result,
// SetConnMaxLifetime for one.
type PoolConfig struct {
	// MaxConns is how many connections are open at most, and how many stay open when idle: closing and opening them again
	// costs more than a call. Defaults to 10, of which nine replicas fit into the 100 that PostgreSQL allows by default.
	MaxConns int

	// ApplicationName is shown in pg_stat_activity. Defaults to the DSN's application_name or PGAPPNAME, else "gptoauth".
	ApplicationName string

	// ConnectTimeout bounds the making of one connection, TLS and authentication included. Defaults to the DSN's
	// connect_timeout or PGCONNECT_TIMEOUT, else 5 seconds. A caller may have less time: what it cannot wait for is finished
	// for the next one.
	ConnectTimeout time.Duration

	// ReadTimeout is how long an answer may take to come, while connecting too, before the connection is given up; the
	// server works on. It must be more than [Config].StatementTimeout. Negative: for ever, for migrations and purges.
	// Defaults to 10 seconds.
	ReadTimeout time.Duration
}

// Open connects to PostgreSQL, once to see that it works, and returns a pool for [New]. The caller closes it.
//
// dsn is a URL (postgres://user:password@host:port/database?sslmode=..., with a Unix socket's folder as
// postgres:///database?host=/folder or percent-encoded as the host), or libpq's key=value pairs, or empty. What it leaves
// out comes from PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY, PGAPPNAME and
// PGCONNECT_TIMEOUT, as in libpq; without any of them it is the local server, as the user of the operating system.
//
// A server that is not on this machine must speak TLS and show a certificate for its name (verify-full), unless sslmode is
// disable, require (encrypted, not verified; verify-ca with an sslrootcert) or verify-ca. prefer and allow are refused. On a
// Unix socket or to a loopback address there is no TLS unless sslmode asks for it. sslrootcert names a file of trusted CAs,
// instead of the system's: Supabase has a CA of its own, whose certificate its dashboard offers for download.
//
// All three endpoints of Supabase work: direct, and the pooler in session and in transaction mode. Parameters for other
// clients' pools (pgbouncer=true, connection_limit, ...) are ignored. Refused are run-time parameters and options, which leak to
// other clients behind a transaction pooler, several hosts, and what is unknown.
//
// Errors: a [*DSNError] if the DSN is bad, an [*InputError] if pool is, else that of the driver. None shows the password.
func Open(ctx context.Context, dsn string, pool PoolConfig) (*bun.DB, error) {
	t, err := parseDSN(dsn, osEnvironment())
	if err != nil {
		return nil, err
	}
	if pool, err = pool.withDefaults(t); err != nil {
		return nil, err
	}

	sqlDB := sql.OpenDB(newConnector(t, pool))
	sqlDB.SetMaxOpenConns(pool.MaxConns)
	sqlDB.SetMaxIdleConns(pool.MaxConns)
	if err := sqlDB.PingContext(ctx); err != nil {
		_ = sqlDB.Close()
		return nil, fmt.Errorf("repo: Open: %w", err)
	}
	return bun.NewDB(sqlDB, pgdialect.New()), nil
}

func (p PoolConfig) withDefaults(t *target) (PoolConfig, error) {
	if p.MaxConns < 0 {
		return p, &InputError{"PoolConfig.MaxConns", "must not be negative"}
	}
	if p.ConnectTimeout < 0 {
		return p, &InputError{"PoolConfig.ConnectTimeout", "must not be negative"}
	}
	if err := checkText("PoolConfig.ApplicationName", p.ApplicationName, maxIDLen); err != nil {
		return p, err
	}
	p.MaxConns = cmp.Or(p.MaxConns, defaultMaxConns)
	p.ApplicationName = cmp.Or(p.ApplicationName, t.applicationName, defaultApplicationName)
	p.ConnectTimeout = cmp.Or(p.ConnectTimeout, t.connectTimeout, defaultConnectTimeout)
	p.ReadTimeout = max(cmp.Or(p.ReadTimeout, defaultReadTimeout), 0) // 0 is for ever to the driver
	return p, nil
}

// driverOption sets every field that pgdriver would otherwise take from its own reading of the environment.
func driverOption(t *target, pool PoolConfig) pgdriver.Option {
	return func(c *pgdriver.Config) {
		c.Network = t.network
		c.Addr = t.addr
		c.Dialer = dial
		c.DialTimeout = pool.ConnectTimeout
		c.TLSConfig = t.tls
		c.User = t.user
		c.Password = t.password
		c.Database = t.database
		c.AppName = pool.ApplicationName
		c.ReadTimeout = pool.ReadTimeout
		c.WriteTimeout = writeTimeout
		c.BufferSize = bufferSize
		c.ResetSessionFunc = checkIdle
		c.EnableTracing = false // bunotel traces; this would only add attributes to its spans
	}
}
