package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/internal/invariants"
	"github.com/gptoauth/gptoauth/migrations"
)

type invariantsResult struct {
	Checks   int                  `json:"checks"`   // how many were made
	Findings []invariants.Finding `json:"findings"` // at most 20 a check
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
		a.printf("%s\n", a.pen.Paint(draw.Good, fmt.Sprintf("%d invariants hold", result.Checks)))
		return
	}
	rows := make([][]draw.Cell, len(result.Findings))
	for i, finding := range result.Findings {
		rows[i] = []draw.Cell{{Text: finding.Check}, {Text: finding.ID}, {Text: printable(finding.Detail)}}
	}
	a.table([]string{"NOT SO", "ROW", "BUT"}, rows)
}
