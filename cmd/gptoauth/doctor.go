package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
)

// doctorResult is what doctor prints with --json; --invariants prints an invariantsResult.
type doctorResult struct {
	Checks   int             `json:"checks"`
	Findings []doctorFinding `json:"findings"`
	Results  []doctorCheck   `json:"results"`
}

type doctorFinding struct {
	Check  string `json:"check"`
	Detail string `json:"detail"`
	Fix    string `json:"fix"`
}

type doctorCheck struct {
	Check   string `json:"check"`
	LooksAt string `json:"looks_at"`
	Status  string `json:"status"`
	Seen    string `json:"seen"`
	Reason  string `json:"reason,omitempty"`
}

func (a *app) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "look for what is wrong with a database, and say how to mend it",
		Description: `Looks at the server, TLS, poolers, settings, migrations, drift, row level security, grants, failover, clocks, connections,
overdue rows, autovacuum, and retries and replays of the last day. It changes nothing, and reads little, whatever the size of
the tables. Each finding comes with its fix.

Exit code 0: all is well. 3: there are findings. 1: it could not look, at all or at something, and found nothing elsewhere.
The owner of the tables sees most. It judges the way from here: run it where your servers run, with their database URL too.

--invariants instead reads all rows, in one snapshot, for what contradicts what must hold at any time: a code spent twice, a
forked chain of tokens, a living token in an ended session, a state without its event. A finding is a bug of gptoauth, the
work of someone who wrote to the tables by hand, or a clock that was set back.

Examples:
  gptoauth doctor
  gptoauth doctor --events off --json   # where events are kept for ever
  gptoauth doctor --invariants`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "invariants", Usage: "read all rows for contradictions instead"},
		}, retentionFlags()...),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if cmd.Bool("invariants") {
				return a.checkInvariants(ctx)
			}
			return a.examine(ctx, cmd)
		},
	}
}

// retentionFlags say what is kept on purpose, to those who look for what is overdue.
func retentionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "codes", Usage: "codes are kept for this long after they expire", Value: "24h"},
		&cli.StringFlag{Name: "sessions", Usage: "sessions and their tokens are kept for this long after they die", Value: "30d"},
		&cli.StringFlag{Name: "events", Usage: "events are kept for this long", Value: "400d"},
	}
}

func doctorRetention(cmd *cli.Command) (keep doctor.Retention, err error) {
	if keep.Codes, err = retention(cmd, "codes"); err != nil {
		return keep, err
	}
	if keep.Sessions, err = retention(cmd, "sessions"); err != nil {
		return keep, err
	}
	keep.Events, err = retention(cmd, "events")
	return keep, err
}

func (a *app) examine(ctx context.Context, cmd *cli.Command) error {
	keep, err := doctorRetention(cmd)
	if err != nil {
		return err
	}
	db, err := a.open(ctx)
	if err != nil {
		return err
	}
	results := doctor.Examine(ctx, doctor.Patient{DB: db, Retention: keep})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := a.show(doctorResultOf(results), func() { a.showExamined(results) }); err != nil {
		return err
	}
	return verdict(results)
}

func doctorResultOf(results []doctor.Result) doctorResult {
	output := doctorResult{Checks: len(results), Findings: []doctorFinding{}}
	for _, r := range results {
		output.Results = append(output.Results, doctorCheck{r.ID, r.LooksAt, r.Status, r.Seen, r.Reason})
		for _, f := range r.Findings {
			output.Findings = append(output.Findings, doctorFinding{r.ID, f.Text, f.Fix})
		}
	}
	return output
}

// verdict is the error that ends the command. A check that could not look must not pass for health.
func verdict(results []doctor.Result) error {
	findings, notLooked := 0, 0
	for _, r := range results {
		findings += len(r.Findings)
		if r.Status == doctor.NotLooked {
			notLooked++
		}
	}
	switch {
	case findings > 0:
		return &exitError{exitDrifted, errors.New(findingCount(findings))}
	case notLooked > 0:
		return &exitError{exitFailed, fmt.Errorf("nothing was found, but %d of %d checks could not look", notLooked, len(results))}
	default:
		return nil
	}
}

func findingCount(n int) string {
	if n == 1 {
		return "there is a finding"
	}
	return fmt.Sprintf("there are %d findings", n)
}

// showExamined gives each check a line, and below it each finding with its fix.
func (a *app) showExamined(results []doctor.Result) {
	name := 0
	for _, r := range results {
		name = max(name, len(r.ID))
	}
	for _, r := range results {
		sign, t, text := a.pen.Glyphs.Tick, draw.Good, r.Seen
		switch r.Status {
		case doctor.Found:
			sign, t = a.pen.Glyphs.Cross, draw.Alarm
		case doctor.NotLooked:
			sign, t, text = "?", draw.Refused, "could not look: "+r.Reason
		}
		head := fmt.Sprintf("%-2s %-*s  ", sign, name, r.ID)
		a.hanging(a.pen.Paint(t, head), len("xx ")+name+2, "", text, draw.Plain)
		for _, f := range r.Findings {
			a.hanging(strings.Repeat(" ", 3), 3, "- ", f.Text, t)
			a.hanging(strings.Repeat(" ", 3), 3, "  fix: ", f.Fix, draw.Plain)
		}
	}
}

// hanging prints a text of which every line but the first is indented as far as the first begins. What is no terminal gets
// one line, which grep finds whole.
func (a *app) hanging(head string, width int, bullet, text string, t draw.Tone) {
	indent := width + len(bullet)
	lines := []string{printable(text)}
	if a.pen.Width > 0 {
		lines = wrap(strings.Fields(printable(text)), max(min(a.pen.Width, 110)-indent, 30))
	}
	for i, line := range lines {
		if i == 0 {
			a.printf("%s%s%s\n", head, bullet, a.pen.Paint(t, line))
			continue
		}
		a.printf("%s%s\n", strings.Repeat(" ", indent), a.pen.Paint(t, line))
	}
}
