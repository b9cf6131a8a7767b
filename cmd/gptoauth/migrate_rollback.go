package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"
	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/migrations"
)

const nothingApplied = "nothing is applied"

func (a *app) rollbackCommand() *cli.Command {
	return &cli.Command{
		Name:  "rollback",
		Usage: "undo the newest migrations, which loses data",
		Description: `Undoes the newest migrations, newest first. Before it does it says what is lost and asks; --yes is the answer where there
is no terminal to ask on.

Examples:
  gptoauth migrate rollback --dry-run       # what would be undone
  gptoauth migrate rollback                 # the newest one, after asking
  gptoauth migrate rollback --steps 2 --yes`,
		Flags: append([]cli.Flag{
			&cli.IntFlag{Name: "steps", Usage: "how many migrations to undo", Value: 1},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
		}, planFlags()...),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if cmd.Int("steps") < 1 {
				return usageErrorf("--steps is %d, want at least 1", cmd.Int("steps"))
			}
			if err := checkPlanFlags(cmd); err != nil {
				return err
			}
			db, err := a.open(ctx)
			if err != nil {
				return err
			}
			planned, err := migrations.PlanDown(ctx, db, cmd.Int("steps"))
			if err != nil {
				return err
			}
			if cmd.Bool("dry-run") {
				return a.showPlan(cmd, planned, "undo", nothingApplied)
			}
			if len(planned) > 0 {
				if err := a.confirmRollback(ctx, cmd, db, planned); err != nil {
					return err
				}
			}
			return a.rollback(ctx, db, len(planned))
		},
	}
}

func (a *app) confirmRollback(ctx context.Context, cmd *cli.Command, db *bun.DB, planned []migrations.Planned) error {
	var database string
	if err := db.QueryRowContext(ctx, "SELECT current_database()").Scan(&database); err != nil {
		return err
	}
	var question strings.Builder
	question.WriteString("This undoes, newest first:\n")
	for _, p := range planned {
		fmt.Fprintf(&question, "%s\n", fileOf(p.ID, p.Name))
		for _, line := range header(p.SQL) {
			fmt.Fprintf(&question, "  %s\n", line)
		}
	}
	fmt.Fprintf(&question, "Undo %s in the database %s?", count(len(planned), "migration"), printable(database))
	return a.confirm(ctx, cmd.Bool("yes"), question.String())
}

// header returns the comment that an SQL file begins with, which says what a down file loses.
func header(sql string) []string {
	var lines []string
	for line := range strings.Lines(sql) {
		comment, ok := strings.CutPrefix(line, "--")
		if !ok {
			break
		}
		lines = append(lines, strings.TrimSpace(comment))
	}
	return lines
}

func (a *app) rollback(ctx context.Context, db *bun.DB, steps int) error {
	result := changes{Migrations: []migration{}}
	if steps > 0 {
		err := migrations.Down(ctx, db, steps, func(s migrations.State) {
			a.progressf("undone %s", fileOf(s.ID, s.Name))
			result.Migrations = append(result.Migrations, migrationOf(s))
		})
		if err != nil {
			return err
		}
	}
	return a.show(result, func() {
		if n := len(result.Migrations); n > 0 {
			a.printf("%s undone\n", count(n, "migration"))
		} else {
			a.printf("%s\n", nothingApplied)
		}
	})
}
