package main

import (
	"context"

	"github.com/uptrace/bun"
	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/migrations"
)

const nothingPending = "nothing is pending"

func (a *app) upCommand() *cli.Command {
	return &cli.Command{
		Name:    "up",
		Aliases: []string{"migrate"},
		Usage:   "apply what is pending",
		Description: `Applies all pending migrations, oldest first. If another process is migrating it waits, and if a table is in use it tries
again for about a minute.

Examples:
  gptoauth migrate up
  gptoauth migrate up --dry-run             # what would be applied
  gptoauth migrate up --dry-run --show-sql  # and how`,
		Flags: planFlags(),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := checkPlanFlags(cmd); err != nil {
				return err
			}
			db, err := a.open(ctx)
			if err != nil {
				return err
			}
			if cmd.Bool("dry-run") {
				return a.planUp(ctx, cmd, db)
			}
			return a.up(ctx, db)
		},
	}
}

func (a *app) up(ctx context.Context, db *bun.DB) error {
	result := changes{Migrations: []migration{}}
	err := migrations.Up(ctx, db, func(s migrations.State) {
		a.progressf("applied %s", fileOf(s.ID, s.Name))
		result.Migrations = append(result.Migrations, migrationOf(s))
	})
	if err != nil {
		return err
	}
	a.sayWhoLacksRights(ctx, db)
	return a.show(result, func() {
		if n := len(result.Migrations); n > 0 {
			a.printf("%s\n", a.pen.Paint(draw.Good, count(n, "migration")+" applied"))
		} else {
			a.printf("%s\n", nothingPending)
		}
	})
}

// sayWhoLacksRights is for functions that a migration has added: they are granted to no one.
func (a *app) sayWhoLacksRights(ctx context.Context, db *bun.DB) {
	grantees, err := migrations.Grantees(ctx, db)
	if err != nil {
		a.progressf("application roles: %s", explain(err)) // what was to be done is done
	}
	for _, grantee := range grantees {
		if n := len(grantee.Missing); n > 0 {
			flag := ""
			if grantee.Erase {
				flag = "--erase "
			}
			role := printable(grantee.Role)
			a.progressf("the role %s lacks %s: gptoauth migrate grant %s%s", role, count(n, "right"), flag, role)
		}
	}
}

func (a *app) planUp(ctx context.Context, cmd *cli.Command, db *bun.DB) error {
	planned, err := migrations.Plan(ctx, db)
	if err != nil {
		return err
	}
	hold, err := migrations.Held(ctx, db)
	if err != nil {
		return err
	}
	if hold != nil && len(planned) > 0 {
		a.progressf("this would fail now: %s", explain(&migrations.HeldError{Hold: *hold}))
	}
	return a.showPlan(cmd, planned, "apply", nothingPending)
}
