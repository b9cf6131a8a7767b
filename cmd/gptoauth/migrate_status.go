package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
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
	rows := make([][]draw.Cell, len(states))
	counts := make(map[string]int)
	for i, s := range states {
		counts[s.Status]++
		rows[i] = []draw.Cell{
			{Text: printable(s.ID)},
			{Text: printable(s.Name)},
			{Text: s.Status, Tone: statusTones[s.Status]},
			{Text: timestamp(s.AppliedAt), Tone: draw.Faint},
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
		a.printf("%s\n", a.pen.Paint(draw.Refused, describeHold(held)))
	}
}

var statusTones = map[string]draw.Tone{
	migrations.Applied: draw.Good,
	migrations.Pending: draw.Refused,
	migrations.Changed: draw.Alarm,
	migrations.Unknown: draw.Alarm,
}
