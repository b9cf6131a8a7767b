package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
)

const stopTimeout = time.Minute

// cluster is a private PostgreSQL with a database for each peer.
type cluster struct {
	server    *privatepg.Server
	databases []*database
}

type database struct {
	peer peer
	url  string
	db   *bun.DB // to look at it, not for what is measured
}

// startCluster also returns what it made before an error. Stop it.
func startCluster(ctx context.Context, all []peer) (*cluster, error) {
	server, err := privatepg.Start(ctx, privatepg.Options{Settings: map[string]string{ // as gptoauth bench has them
		"fsync": "on", "shared_buffers": "256MB", "max_wal_size": "4GB", "checkpoint_timeout": "30min",
	}})
	if err != nil {
		return nil, err
	}
	c := &cluster{server: server}
	admin, err := repo.Open(ctx, server.URL("postgres"), repo.PoolConfig{MaxConns: 1})
	if err != nil {
		return c, err
	}
	defer admin.Close() //nolint:errcheck // its calls are answered
	for _, p := range all {
		if _, err := admin.ExecContext(ctx, "CREATE DATABASE ? ENCODING 'UTF8' TEMPLATE template0", bun.Ident(p.name)); err != nil {
			return c, err
		}
		d := &database{peer: p, url: server.URL(p.name)}
		if err := p.migrate(ctx, d.url); err != nil {
			return c, fmt.Errorf("migrate the database of %s: %w", p.name, err)
		}
		if d.db, err = repo.Open(ctx, d.url, repo.PoolConfig{MaxConns: 1, ReadTimeout: -1}); err != nil {
			return c, err
		}
		c.databases = append(c.databases, d)
	}
	return c, nil
}

func (c *cluster) stop(ctx context.Context) error {
	if c == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	var err error
	for _, d := range c.databases {
		err = errors.Join(err, d.db.Close())
	}
	return errors.Join(err, c.server.Stop(ctx))
}

// settle gives each run tables that are planned for alike, whatever came before it.
func (d *database) settle(ctx context.Context) error {
	_, err := d.db.ExecContext(ctx, "VACUUM ANALYZE")
	return err
}

// wal is how many bytes of WAL the server has written so far. Nothing else than what is measured runs on it.
func (d *database) wal(ctx context.Context) (float64, error) {
	var bytes float64
	err := d.db.QueryRowContext(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8").Scan(&bytes)
	return bytes, err
}
