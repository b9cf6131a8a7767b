// Package bench measures what a database can do with this library, and what of it pgbench reaches.
package bench

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

const closeTimeout = 15 * time.Second

//go:embed sql/bare.sql
var bareSQL string

//go:embed sql/seed.sql
var seedSQL string

// Options say where and what to measure.
type Options struct {
	URL       *url.URL      // of a database, beside which one is made; nil: on a private PostgreSQL, with fsync on
	TableSize int           // how many refresh tokens there are at the beginning
	Duration  time.Duration // of one run
	Pairs     int           // alternating runs with pgbench
	Pgbench   bool          // compare with pgbench where it is installed

	Open     func(ctx context.Context, url string) (*bun.DB, error) // whose databases its owner closes
	Progress func(format string, args ...any)
}

// Database is one that is made, filled, measured in and dropped. Close it.
type Database struct {
	options Options
	name    string
	url     *url.URL
	admin   *bun.DB // on the database that the user named
	db      *bun.DB // on this one
	tools   string  // the folder of pgbench, where it is known
	stop    func() error
	runs    int
}

// New makes a database and fills it.
func New(ctx context.Context, options Options) (_ *Database, err error) {
	d := &Database{options: options, name: "gptoauth_bench_" + uuid.NewString()[:8], stop: func() error { return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close(ctx))
		}
	}()
	beside := options.URL
	if beside == nil {
		if beside, err = d.startServer(ctx); err != nil {
			return nil, err
		}
	}
	if err := d.create(ctx, *beside); err != nil {
		return nil, err
	}
	if err := migrations.Up(ctx, d.db); err != nil {
		return nil, err
	}
	options.Progress("filling the database %s with %d refresh tokens", d.name, options.TableSize)
	if err := bulk.Fill(ctx, d.db, options.TableSize); err != nil {
		return nil, err
	}
	return d, d.exec(ctx, bareSQL)
}

func (d *Database) startServer(ctx context.Context) (*url.URL, error) {
	server, err := privatepg.Start(ctx, privatepg.Options{Settings: map[string]string{
		"fsync": "on", "shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "30min",
	}})
	if err != nil {
		return nil, fmt.Errorf("start a private PostgreSQL: %w", err)
	}
	d.stop = func() error { return server.Stop(context.WithoutCancel(ctx)) }
	d.tools = server.BinDir()
	return url.Parse(server.URL("postgres"))
}

func (d *Database) create(ctx context.Context, beside url.URL) (err error) {
	if d.admin, err = d.options.Open(ctx, beside.String()); err != nil {
		return err
	}
	if _, err := d.admin.ExecContext(ctx, "CREATE DATABASE ? ENCODING 'UTF8' TEMPLATE template0", bun.Ident(d.name)); err != nil {
		return fmt.Errorf("make a database to measure in: %w", err)
	}
	beside.Path = "/" + d.name
	d.url = &beside
	d.db, err = d.options.Open(ctx, beside.String())
	return err
}

// Close drops the database, also after ctx has ended, and stops the private PostgreSQL.
func (d *Database) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	var err error
	if d.admin != nil { // the database may be there even if the answer to CREATE DATABASE was lost
		_, err = d.admin.ExecContext(ctx, "DROP DATABASE IF EXISTS ? WITH (FORCE)", bun.Ident(d.name))
	}
	return errors.Join(err, d.stop())
}

func (d *Database) exec(ctx context.Context, script string, args ...any) error {
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
func (d *Database) seed(ctx context.Context, clients, codes int) (run int, err error) {
	d.runs++
	if err := d.exec(ctx, seedSQL, d.runs, clients, codes); err != nil {
		return 0, err
	}
	return d.runs, d.exec(ctx, "VACUUM ANALYZE public.gpt_authorization_codes;\nVACUUM ANALYZE bare.gpt_authorization_codes")
}

// Server asks what the figures depend on.
func (d *Database) Server(ctx context.Context) (Server, error) {
	var s Server
	err := d.db.QueryRowContext(ctx, `
		SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit'),
		       current_setting('full_page_writes'), current_setting('shared_buffers')`).
		Scan(&s.Version, &s.Fsync, &s.SynchronousCommit, &s.FullPageWrites, &s.SharedBuffers)
	return s, err
}

// counters is what the server has done so far: in all as to WAL, in this database as to commits.
type counters struct {
	wal     float64
	commits float64
}

func (d *Database) counters(ctx context.Context) (counters, error) {
	if err := pause(ctx, statsDelay); err != nil {
		return counters{}, err
	}
	var c counters
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
func (d *Database) open(ctx context.Context, clients int) (*repo.Store, *bun.DB, error) {
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
