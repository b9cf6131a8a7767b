package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/internal/invariants"
	"github.com/gptoauth/gptoauth/migrations"
)

type invariantsResult struct {
	Checks   int                  `json:"checks"`   // how many were made
	Findings []invariants.Finding `json:"findings"` // at most 20 a check
}

func (a *app) doctorCommand() *cli.Command {
	var lookForInvariants bool
	return &cli.Command{
		Name:  "doctor",
		Usage: "look for what is wrong with a database",
		Description: `Exit code 0: nothing is. 3: there are findings. 1: it could not look. It changes nothing.

--invariants reads all rows, in one snapshot, for what contradicts what must hold at any time: a code spent twice, a
forked chain of tokens, a living token in an ended session, a state without its event. A finding is a bug of gptoauth, the
work of someone who wrote to the tables by hand, or a clock that was set back.

Examples:
  gptoauth doctor --invariants
  gptoauth doctor --invariants --json`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "invariants", Usage: "read all rows for contradictions", Destination: &lookForInvariants},
		},
		Action: func(ctx context.Context, _ *cli.Command) error {
			if !lookForInvariants {
				return usageErrorf("say what to look at: --invariants")
			}
			return a.checkInvariants(ctx)
		},
	}
}

func (a *app) checkInvariants(ctx context.Context) error {
	db, err := a.open(ctx)
	if err != nil {
		return err
	}
	if err := migrations.Check(ctx, db); err != nil { // without the columns there is nothing to look at
		return &exitError{exitFailed, err}
	}
	findings, err := invariants.Check(ctx, db)
	if err != nil {
		return err
	}
	result := invariantsResult{Checks: len(invariants.Names()), Findings: append([]invariants.Finding{}, findings...)}
	if err := a.show(result, func() { a.showInvariants(result) }); err != nil || len(findings) == 0 {
		return err
	}
	return &exitError{exitDrifted, errors.New(findingCount(len(findings)))}
}

func (a *app) showInvariants(result invariantsResult) {
	if len(result.Findings) == 0 {
		a.printf("%s\n", a.pen.paint(good, fmt.Sprintf("%d invariants hold", result.Checks)))
		return
	}
	rows := make([][]cell, len(result.Findings))
	for i, finding := range result.Findings {
		rows[i] = []cell{{text: finding.Check}, {text: finding.ID}, {text: printable(finding.Detail)}}
	}
	a.table([]string{"NOT SO", "ROW", "BUT"}, rows)
}

func findingCount(n int) string {
	if n == 1 {
		return "there is a finding"
	}
	return fmt.Sprintf("there are %d findings", n)
}
