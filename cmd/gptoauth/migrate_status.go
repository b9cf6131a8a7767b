package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/migrations"
)

type statusResult struct {
	Migrations []migrations.State `json:"migrations"`
	Hold       *hold              `json:"hold"` // null: none
}

func (a *app) statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show each migration and whether it is applied",
		Description: `A migration is
  applied
  pending  migrate up will apply it
  changed  applied, and its file was edited afterwards
  unknown  applied, and older than this release, which does not have it
  ahead    applied by a newer release, which is fine

It also shows who holds migrations (see migrate lock). The exit code is 0 whatever it finds: migrate check judges.

Examples:
  gptoauth migrate status
  gptoauth migrate status --json | jq -r '.migrations[] | select(.status == "pending") | .name'`,
		Action: func(ctx context.Context, _ *cli.Command) error {
			db, err := a.open(ctx)
			if err != nil {
				return err
			}
			states, err := migrations.Status(ctx, db)
			if err != nil {
				return err
			}
			for i := range states {
				states[i].AppliedAt = states[i].AppliedAt.UTC()
			}
			held, err := migrations.Held(ctx, db)
			if err != nil {
				return err
			}
			return a.show(statusResult{states, holdOf(held)}, func() { a.printStatus(states, held) })
		},
	}
}

func (a *app) printStatus(states []migrations.State, held *migrations.Hold) {
	rows := make([][]cell, len(states))
	counts := make(map[string]int)
	for i, s := range states {
		counts[s.Status]++
		rows[i] = []cell{
			{text: printable(s.ID)},
			{text: printable(s.Name)},
			{text: s.Status, tone: statusTones[s.Status]},
			{text: timestamp(s.AppliedAt), tone: faint},
		}
	}
	a.table([]string{"id", "name", "status", "applied at"}, rows)
	var summary []string
	for _, status := range []string{migrations.Applied, migrations.Pending, migrations.Changed, migrations.Unknown, migrations.Ahead} {
		if counts[status] > 0 {
			summary = append(summary, fmt.Sprintf("%d %s", counts[status], status))
		}
	}
	a.printf("\n%s\n", strings.Join(summary, ", "))
	if held != nil {
		a.printf("%s\n", a.pen.paint(refuse, describeHold(held)))
	}
}

var statusTones = map[string]tone{
	migrations.Applied: good,
	migrations.Pending: refuse,
	migrations.Changed: alarm,
	migrations.Unknown: alarm,
}
