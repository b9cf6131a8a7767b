package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/migrations"
)

type adoptResult struct {
	Migration migrations.State `json:"migration"` // the first one, as it is now
	Adopted   bool             `json:"adopted"`   // by this call
	Missing   []string         `json:"missing"`   // what the migration would have made and the database has not
	Extra     []string         `json:"extra"`     // the other way round
}

func (a *app) markAppliedCommand() *cli.Command {
	return &cli.Command{
		Name:    "mark-applied",
		Aliases: []string{"mark_applied"},
		Usage:   "adopt a database that has the four tables already",
		Description: `For a database that got the tables of the first migration elsewhere, as from supabase/migrations. It verifies that they
have the columns, constraints and indexes that the migration would have made, and records it as applied; the rows stay. If
they differ it shows how, changes nothing, and the exit code is 3.

Adopted codes and tokens belong to no client and cannot be used: those people sign in again.

Examples:
  gptoauth migrate mark-applied && gptoauth migrate up`,
		Action: func(ctx context.Context, _ *cli.Command) error {
			db, err := a.open(ctx)
			if err != nil {
				return err
			}
			before, err := migrations.Status(ctx, db)
			if err != nil {
				return err
			}
			problem := migrations.MarkApplied(ctx, db)
			drift, isDrift := errors.AsType[*migrations.DriftError](problem)
			if problem != nil && (!isDrift || !a.json) {
				return problem
			}
			after, err := migrations.Status(ctx, db)
			if err != nil {
				return err
			}
			first := after[0]
			first.AppliedAt = first.AppliedAt.UTC()
			result := adoptResult{
				Migration: first, Adopted: first.Status != before[0].Status, Missing: []string{}, Extra: []string{},
			}
			if isDrift {
				result.Missing = append(result.Missing, drift.Missing...)
				result.Extra = append(result.Extra, drift.Extra...)
			}
			return errors.Join(problem, a.show(result, func() { a.printAdopted(result) }))
		},
	}
}

func (a *app) printAdopted(result adoptResult) {
	file := fileOf(result.Migration.ID, result.Migration.Name)
	if !result.Adopted {
		a.printf("%s is recorded as applied already, since %s\n", file, timestamp(result.Migration.AppliedAt))
		return
	}
	a.printf("%s\n", a.pen.Paint(draw.Good, "the tables are those of "+file+", which is recorded as applied"))
	a.progressf("next: gptoauth migrate up")
}
