package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/uptrace/bun"
	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/server"
	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

// serveFlags are the options of serve.
type serveFlags struct {
	listen, config, gptID string
	dev                   bool
	maxConns              int
}

func (a *app) serveCommand() *cli.Command {
	var flags serveFlags
	return &cli.Command{
		Name:  "serve",
		Usage: "run an OAuth 2.1 server for Custom GPTs and MCP clients over the database",
		Description: `Examples:
  gptoauth serve --dev                      # on this machine, with a private PostgreSQL, and a page instead of Clerk
  gptoauth serve --config gptoauth.yaml     # with DATABASE_URL, behind a proxy that speaks TLS

The configuration comes from a YAML file and from the environment (GPTOAUTH_ISSUER, GPTOAUTH_SIGNING_KEYS, GPTOAUTH_CLIENT_ID,
CLERK_ISSUER, ...; see the README). Traces are sent if OTEL_EXPORTER_OTLP_ENDPOINT is set.

It never migrates but with --dev: run gptoauth migrate up before. An interrupt finishes the requests in flight.`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Usage: "host:port to listen on", Value: "127.0.0.1:8080", Destination: &flags.listen},
			&cli.StringFlag{Name: "config", Usage: "the YAML file", Destination: &flags.config},
			&cli.BoolFlag{Name: "dev", Usage: "for development: no Clerk, new keys at each start, loopback only", Destination: &flags.dev},
			&cli.StringFlag{Name: "gpt-id", Usage: "with --dev: the id of a Custom GPT (g-...), for its redirect URIs", Value: "g-YOUR-GPT-ID", Destination: &flags.gptID},
			&cli.IntFlag{Name: "max-conns", Usage: "connections to the database at most", Value: 10, Destination: &flags.maxConns},
		},
		Action: func(ctx context.Context, _ *cli.Command) error { return a.serve(ctx, flags) },
	}
}

func (a *app) serve(ctx context.Context, flags serveFlags) error {
	if err := flags.check(); err != nil {
		return err
	}
	config, err := server.ReadConfig(flags.config, a.getenv)
	if err != nil {
		return usageErrorf("%w", err)
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", flags.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer listener.Close() //nolint:errcheck // Serve has closed it, or nothing was accepted

	var secret string
	if flags.dev {
		config, secret = server.DevConfig(config, "http://"+listener.Addr().String(), flags.gptID)
	}
	db, stop, err := a.openForServing(ctx, flags)
	defer stop()
	if err != nil {
		return err
	}
	s, traces, err := a.newServer(ctx, db, config, flags.dev)
	defer traces()
	if err != nil {
		return err
	}
	if flags.dev {
		if err := a.announce(s.Dev(secret)); err != nil {
			return err
		}
	}
	return s.Serve(ctx, listener)
}

// check: --dev lets anyone be anyone, so no other machine may reach it.
func (f serveFlags) check() error {
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return usageErrorf("--listen must be host:port")
	}
	if ip := net.ParseIP(host); f.dev && (ip == nil || !ip.IsLoopback()) {
		return usageErrorf("--dev lets anyone be anyone: it listens on a loopback address only, such as 127.0.0.1:8080")
	}
	return nil
}

// openForServing connects with the bounds that a server needs. With --dev the database is migrated, and without a URL it
// is a private one.
func (a *app) openForServing(ctx context.Context, flags serveFlags) (db *bun.DB, stop func(), err error) {
	url, stop := a.url(), func() {}
	if url == "" && !flags.dev {
		return nil, stop, errNoDatabase
	}
	if url == "" {
		if url, stop, err = a.startPrivate(ctx); err != nil {
			return nil, stop, err
		}
	}
	db, err = repo.Open(ctx, url, repo.PoolConfig{MaxConns: flags.maxConns, ApplicationName: programName + " serve"})
	if err != nil {
		if _, ok := errors.AsType[*repo.DSNError](err); ok {
			return nil, stop, err
		}
		return nil, stop, fmt.Errorf("connect to the database: %w", errors.Unwrap(err))
	}
	a.closers = append(a.closers, func() { _ = db.Close() }) // nothing is in flight by then
	if flags.dev {
		err = migrations.Up(ctx, db)
	}
	return db, stop, err
}

func (a *app) newServer(ctx context.Context, db *bun.DB, config server.Config, dev bool) (*server.Server, func(), error) {
	tracer, stop, err := a.newTracer(ctx)
	if err != nil {
		return nil, stop, err
	}
	store, err := newTracedStore(db, tracer) //nolint:contextcheck // its instruments are not those of a request
	if err != nil {
		return nil, stop, err
	}
	s, err := server.New(server.Params{
		Store:          store,
		Ready:          func(ctx context.Context) error { return errors.Join(db.PingContext(ctx), migrations.Check(ctx, db)) },
		Config:         config,
		Log:            a.logger(dev),
		Dev:            dev,
		TracerProvider: tracer,
	})
	if err != nil {
		return nil, stop, usageErrorf("%w", err)
	}
	return s, stop, nil
}

// logger writes for people in development, and else for machines.
func (a *app) logger(dev bool) *slog.Logger {
	if dev {
		return slog.New(slog.NewTextHandler(a.stderr, nil))
	}
	return slog.New(slog.NewJSONHandler(a.stderr, nil))
}

// announce prints what one needs to try the server.
func (a *app) announce(dev server.Development) error {
	return a.show(dev, func() { a.printf("%s", dev.Text()) })
}
