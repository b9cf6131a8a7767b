package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/bulk"
	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

// statsDelay is how long a backend that has ended takes at most to report its commits.
const statsDelay = 300 * time.Millisecond

//go:embed bench/bare.sql
var bareSQL string

//go:embed bench/seed.sql
var seedSQL string

// benchDatabase is one that bench makes, fills and drops.
type benchDatabase struct {
	name  string
	url   *url.URL
	admin *bun.DB // on the database that the user named
	db    *bun.DB // on this one
	tools string  // the folder of pgbench, where it is known
	stop  func() error
	runs  int
}

// newBenchDatabase also returns what it made before an error. Close it.
func (a *app) newBenchDatabase(ctx context.Context, options benchOptions) (*benchDatabase, error) {
	d := &benchDatabase{name: "gptoauth_bench_" + uuid.NewString()[:8], stop: func() error { return nil }}
	dsn := a.url()
	if dsn == "" {
		a.progressf("%s is not set: starting a private PostgreSQL, with fsync on, which is gone afterwards", databaseVariable)
		server, err := privatepg.Start(ctx, privatepg.Options{Settings: map[string]string{
			"fsync": "on", "shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "30min",
		}})
		if err != nil {
			return nil, fmt.Errorf("start a private PostgreSQL: %w", err)
		}
		d.stop = func() error { return server.Stop(context.WithoutCancel(ctx)) }
		d.tools = server.BinDir()
		dsn = server.URL("postgres")
	}
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		return d, usageErrorf("bench wants the database as a postgres:// URL")
	}
	if d.admin, err = a.openURL(ctx, dsn); err != nil {
		return d, err
	}
	if _, err := d.admin.ExecContext(ctx, "CREATE DATABASE ? ENCODING 'UTF8' TEMPLATE template0", bun.Ident(d.name)); err != nil {
		return d, fmt.Errorf("make a database to measure in: %w", err)
	}
	u.Path = "/" + d.name
	d.url = u
	if d.db, err = a.openURL(ctx, u.String()); err != nil {
		return d, err
	}
	if err := migrations.Up(ctx, d.db); err != nil {
		return d, err
	}
	a.progressf("filling the database %s with %d refresh tokens", d.name, options.tableSize)
	if err := bulk.Fill(ctx, d.db, options.tableSize); err != nil {
		return d, err
	}
	return d, d.exec(ctx, bareSQL)
}

func (d *benchDatabase) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var err error
	if d.url != nil { // it was made
		_, err = d.admin.ExecContext(ctx, "DROP DATABASE ? WITH (FORCE)", bun.Ident(d.name))
	}
	return errors.Join(err, d.stop())
}

func (d *benchDatabase) exec(ctx context.Context, script string, args ...any) error {
	conn, err := d.db.Conn(ctx) // temporary tables belong to a connection
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // gives it back to the pool
	for statement := range strings.SplitSeq(script, ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := conn.ExecContext(ctx, statement, args...); err != nil {
			return err
		}
	}
	return nil
}

// seed makes what a run of pgbench starts from, and returns the run's number.
func (d *benchDatabase) seed(ctx context.Context, clients, codes int) (run int, err error) {
	d.runs++
	if err := d.exec(ctx, seedSQL, d.runs, clients, codes); err != nil {
		return 0, err
	}
	return d.runs, d.exec(ctx, "VACUUM ANALYZE public.gpt_authorization_codes;\nVACUUM ANALYZE bare.gpt_authorization_codes")
}

func (d *benchDatabase) server(ctx context.Context) (benchServer, error) {
	var s benchServer
	err := d.db.QueryRowContext(ctx, `
		SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'),
		       current_setting('full_page_writes'), current_setting('shared_buffers')`).
		Scan(&s.Version, &s.Fsync, &s.SynchronousCommit, &s.FullPageWrites, &s.SharedBuffers)
	return s, err
}

// benchCounters is what the server has done so far: in all as to WAL, in this database as to commits.
type benchCounters struct {
	wal     float64
	commits float64
}

func (d *benchDatabase) counters(ctx context.Context) (benchCounters, error) {
	if err := pause(ctx, statsDelay); err != nil {
		return benchCounters{}, err
	}
	var c benchCounters
	err := d.admin.QueryRowContext(ctx, `
		SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8, xact_commit::float8
		  FROM pg_stat_database WHERE datname = ?`, d.name).Scan(&c.wal, &c.commits)
	return c, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// open is a store with a connection for each client.
func (d *benchDatabase) open(ctx context.Context, clients int) (*repo.Store, *bun.DB, error) {
	db, err := repo.Open(ctx, d.url.String(), repo.PoolConfig{MaxConns: clients})
	if err != nil {
		return nil, nil, err
	}
	store, err := repo.New(db, repo.Config{})
	if err != nil {
		_ = db.Close()
		return nil, nil, err
	}
	return store, db, nil
}
