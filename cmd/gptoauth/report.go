package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/report"
)

// toStdout stands for stdout, where a file is named.
const toStdout = "-"

// maxTimeout is what a server can be told, in milliseconds, and whole days.
const maxTimeout = 24 * 24 * time.Hour

func (a *app) reportCommand() *cli.Command {
	return &cli.Command{
		Name:  "report",
		Usage: "draw the last days as a page of HTML",
		Description: `Writes one file that any browser shows, without a network and without a script: whether anything is alarming and what to do
about it, sign-ins, refreshes, retries, reuse and replay, active sessions, sessions that ended, the size of tables and indexes, dead
rows, and rows that are waiting to be deleted. No token, digest or person is in it, and no reason that a host gave for ending a
session, which is free text: it may be shown around. Clients are named by their ids. Each chart has its figures as a table.

Up to 3 days are shown by the hour and up to 14 by six hours: the last 24 hours for each day, in whole columns of UTC, of which the
last is not over yet. Up to 92 are shown by the day and more by the week: today and the days before it, in UTC. An earlier report is
replaced, as a whole or not at all; any other file is left alone. Exit code 0 says that there is a report, whatever is in it:
gptoauth doctor is for scripts that want to know if all is well.

It changes nothing, and reads in one snapshot, which holds back vacuum meanwhile: every event of these days, by the index on
their time, twice (a few seconds for a million; once for all types, once more for sign-ins), and twice more the alarms among them, by
the index on the type; the sessions that live, and those that ended in these days, each by an index; up to 10,000 rows of each kind
that is overdue for deletion; and for sizes and rows the server's statistics, so that no table is read as a whole. What cannot be
read, or takes a statement longer than --timeout, is left out, and the page says so. It works on a replica too, which does not know
the dead rows.

Examples:
  gptoauth report --out report.html
  gptoauth report --out last-day.html --days 1
  gptoauth report --out - --days 90 --timeout 2m > quarter.html
  gptoauth report --json | jq .activity.reuses               # the same figures; with --out it writes the page too`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "write the page to this file; - is stdout"},
			&cli.IntFlag{Name: "days", Usage: "how many days, up to now; at most 400", Value: 30},
			&cli.DurationFlag{Name: "timeout", Usage: "leave a figure out if a statement takes longer; 0: never", Value: 30 * time.Second},
		}, retentionFlags()...),
		Action: a.report,
	}
}

func (a *app) report(ctx context.Context, cmd *cli.Command) error {
	out := cmd.String("out")
	params, err := reportParams(cmd)
	switch {
	case err != nil:
		return err
	case out == "" && !a.json:
		return usageErrorf("--out is missing: name a file for the page, or - for stdout")
	case out == toStdout && a.json:
		return usageErrorf("--out - and --json both want stdout")
	}
	var file *reportFile
	if out != "" && out != toStdout {
		if file, err = a.openReportFile(out); err != nil { // before anything is read
			return err
		}
		defer file.discard()
	}
	db, err := a.open(ctx)
	if err != nil {
		return err
	}
	result, err := a.readReport(ctx, db, params)
	if err != nil {
		return err
	}
	return a.showReport(ctx, out, file, result)
}

// readReport shows on stderr, if that is a terminal, what is being read, and leaves nothing of it there.
func (a *app) readReport(ctx context.Context, db *bun.DB, params report.Params) (report.Report, error) {
	if isTerminal(a.stderr) && a.getenv("TERM") != "dumb" {
		const erase = "\r\x1b[K"
		params.Progress = func(doing string) {
			fmt.Fprint(a.stderr, erase+doing) //nolint:errcheck // nowhere left to say so
		}
		defer fmt.Fprint(a.stderr, erase) //nolint:errcheck // nowhere left to say so
	}
	return report.Read(ctx, db, params)
}

func reportParams(cmd *cli.Command) (report.Params, error) {
	params := report.Params{Days: cmd.Int("days"), Timeout: cmd.Duration("timeout"), Version: version()}
	switch {
	case params.Days < 1 || params.Days > report.MaxDays:
		return params, usageErrorf("--days is %d, want 1 to %d", params.Days, report.MaxDays)
	case params.Timeout != 0 && (params.Timeout < time.Millisecond || params.Timeout > maxTimeout):
		return params, usageErrorf("--timeout is %s, want 1ms to %dh, or 0 for never", params.Timeout, maxTimeout/time.Hour)
	}
	var err error
	params.Retention, err = doctorRetention(cmd)
	return params, err
}

// showReport writes the page, then what --json prints, so that a page that could not be written is exit code 1 and no JSON.
func (a *app) showReport(ctx context.Context, out string, file *reportFile, result report.Report) error {
	var page bytes.Buffer
	if err := report.Write(&page, result); err != nil {
		return err
	}
	if out == toStdout {
		_, err := a.stdout.Write(page.Bytes())
		return err
	}
	if file != nil {
		if err := file.write(ctx, page.Bytes()); err != nil {
			return err
		}
	}
	return a.show(result, func() { a.printf("%s\n", file.path) })
}
