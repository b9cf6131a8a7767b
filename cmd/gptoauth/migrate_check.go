package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/migrations"
)

type checkResult struct {
	OK         bool     `json:"ok"`
	Problem    string   `json:"problem"`    // pending, changed, unknown or out_of_order; empty: none
	Migrations []string `json:"migrations"` // the ids that it is about
}

func (a *app) checkCommand() *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "tell by the exit code whether the schema is what this release needs",
		Description: `Exit code 0: it is, or a newer release has migrated it further. 3: a migration is pending, was edited after it was
applied, is unknown or out of order. 1: the database could not answer. It is one query.

Examples:
  gptoauth migrate check && ./server
  gptoauth migrate check --json`,
		Action: func(ctx context.Context, _ *cli.Command) error {
			db, err := a.open(ctx)
			if err != nil {
				return err
			}
			problem := migrations.Check(ctx, db)
			if problem != nil && (!a.json || !drifted(problem)) {
				return problem
			}
			return errors.Join(problem, a.show(checkResultOf(problem), func() {
				a.printf("%s\n", a.pen.Paint(draw.Good, "the schema is what this release needs"))
			}))
		},
	}
}

func checkResultOf(problem error) checkResult {
	if e, ok := errors.AsType[*migrations.PendingError](problem); ok {
		return checkResult{Problem: migrations.Pending, Migrations: e.IDs}
	}
	if e, ok := errors.AsType[*migrations.ChangedError](problem); ok {
		return checkResult{Problem: migrations.Changed, Migrations: []string{e.ID}}
	}
	if e, ok := errors.AsType[*migrations.UnknownError](problem); ok {
		return checkResult{Problem: migrations.Unknown, Migrations: e.IDs}
	}
	if e, ok := errors.AsType[*migrations.OutOfOrderError](problem); ok {
		return checkResult{Problem: "out_of_order", Migrations: []string{e.ID}}
	}
	return checkResult{OK: true, Migrations: []string{}}
}
