package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/internal/privatepg"
	"github.com/gptoauth/gptoauth/repo"
)

const (
	databaseVariable = "DATABASE_URL"
	cancelTimeout    = 5 * time.Second
	stopTimeout      = 15 * time.Second

	// patience is how long a statement may take: one person who refreshes every ten minutes has many rows, and a count reads
	// a whole trail.
	patience = 10 * time.Minute
)

var errNoDatabase = usageErrorf("no database is named: set %s, or --database-url, to postgres://user@host/database; the password may stand in PGPASSWORD", databaseVariable)

// open connects to the database of --database-url or DATABASE_URL. run closes it. Answers may take for ever, because
// migrations and purges do; an interrupt cancels what the server is doing.
func (a *app) open(ctx context.Context) (*bun.DB, error) {
	url := a.url()
	if url == "" {
		return nil, errNoDatabase
	}
	return a.openURL(ctx, url)
}

// store is open for commands that go through the repositories. It waits longer than a server would.
func (a *app) store(ctx context.Context) (*repo.Store, error) {
	db, err := a.open(ctx)
	if err != nil {
		return nil, err
	}
	return repo.New(db, repo.Config{StatementTimeout: patience, Timeout: patience})
}

// openOrPrivate is open for commands that need no database of the user's: without a URL it starts a private PostgreSQL,
// which stop ends and removes. Call stop in any case.
func (a *app) openOrPrivate(ctx context.Context) (db *bun.DB, stop func(), err error) {
	if a.url() != "" {
		db, err = a.open(ctx)
		return db, func() {}, err
	}
	url, stop, err := a.startPrivate(ctx)
	if err != nil {
		return nil, stop, err
	}
	db, err = a.openURL(ctx, url)
	return db, stop, err
}

// startPrivate starts a private PostgreSQL. Call stop in any case.
func (a *app) startPrivate(ctx context.Context) (url string, stop func(), err error) {
	a.progressf("%s is not set: starting a private PostgreSQL, which is gone afterwards", databaseVariable)
	server, err := privatepg.Start(ctx, privatepg.Options{})
	if err != nil {
		return "", func() {}, fmt.Errorf("start a private PostgreSQL: %w", err)
	}
	stop = func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := server.Stop(stopping); err != nil {
			a.progressf("stopping the private PostgreSQL: %v", err)
		}
	}
	return server.URL("postgres"), stop, nil
}

func (a *app) url() string { return cmp.Or(a.databaseURL, a.getenv(databaseVariable)) }

func (a *app) openURL(ctx context.Context, url string) (*bun.DB, error) {
	// The name finds this process's connections again, through a pooler too.
	name := programName + " cli " + rand.Text()[:10]
	db, err := repo.Open(ctx, url, repo.PoolConfig{ReadTimeout: -1, ApplicationName: name})
	if err != nil {
		if _, ok := errors.AsType[*repo.DSNError](err); ok {
			return nil, err
		}
		return nil, fmt.Errorf("connect to the database: %w", errors.Unwrap(err))
	}
	unregister := context.AfterFunc(ctx, func() { cancelQueries(ctx, db, name) })
	a.closers = append(a.closers, func() {
		unregister()
		_ = db.Close() // the outcome is known by now
	})
	return db, nil
}

// cancelQueries ends what the server does for connections of this name: the driver would wait for the end of the query,
// however long it takes.
func cancelQueries(ctx context.Context, db *bun.DB, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer cancel()
	_, _ = db.ExecContext(ctx, `
		SELECT pg_catalog.pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity
		 WHERE application_name = ? AND pid <> pg_catalog.pg_backend_pid()`, name) // if this fails, one more Ctrl-C helps
}
