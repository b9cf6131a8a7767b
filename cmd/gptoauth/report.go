package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/report"
)

// toStdout is the file that is none.
const toStdout = "-"

func (a *app) reportCommand() *cli.Command {
	return &cli.Command{
		Name:  "report",
		Usage: "draw the last days as a page of HTML",
		Description: `Writes one file that any browser shows, without a network and without a script: whether anything is alarming and what to do
about it, sign-ins, refreshes, retries, reuse and replay, active sessions, sessions that ended, the size of tables and indexes, dead
rows, and what the janitor has left. No token, digest or person is in it: it may be shown around. Each chart has its figures as a table.

Today and the days before it, in UTC; up to 3 days are shown by the hour, up to 14 by six hours, up to 92 by the day and more by the
week. An earlier report is replaced, as a whole or not at all; a file that is none is left alone. Exit code 0 says that there is a
report, whatever is in it: gptoauth doctor is for scripts that want to know if all is well.

It changes nothing, and reads in one snapshot, which holds back vacuum meanwhile: every event of these days, by the index on
their time, twice (a few seconds for a million; of the second time, sign-ins only); the sessions that live, and those that
ended in these days, each by an index; the first entries of four more indexes; and for sizes and rows the server's statistics, so that
no table is read as a whole. A figure that takes longer than --timeout is left out, and the page says so. It works on a replica
too, which does not know the dead rows.

Examples:
  gptoauth report --out report.html
  gptoauth report --out today.html --days 1
  gptoauth report --out - --days 90 --timeout 2m > quarter.html
  gptoauth report --json | jq .activity.reuses               # the same figures; with --out it writes the page too`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "out", Usage: "write the page to this file; - is stdout"},
			&cli.IntFlag{Name: "days", Usage: "today and the days before it, at most 400", Value: 30},
			&cli.DurationFlag{Name: "timeout", Usage: "leave a figure out after this time; 0: never", Value: 30 * time.Second},
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
	if out != "" && out != toStdout {
		if out, err = reportFile(out); err != nil { // before anything is read
			return err
		}
	}
	db, err := a.open(ctx)
	if err != nil {
		return err
	}
	if isTerminal(a.stderr) {
		params.Progress = func(doing string) {
			fmt.Fprintf(a.stderr, "\r\x1b[K%s", doing) //nolint:errcheck // nowhere left to say so
		}
		defer fmt.Fprint(a.stderr, "\r\x1b[K") //nolint:errcheck // nowhere left to say so
	}
	result, err := report.Read(ctx, db, params)
	if err != nil {
		return err
	}
	return a.showReport(ctx, out, result)
}

func reportParams(cmd *cli.Command) (report.Params, error) {
	params := report.Params{Days: cmd.Int("days"), Timeout: cmd.Duration("timeout"), Version: version()}
	switch {
	case params.Days < 1 || params.Days > report.MaxDays:
		return params, usageErrorf("--days is %d, want 1 to %d", params.Days, report.MaxDays)
	case params.Timeout < 0:
		return params, usageErrorf("--timeout is %s, want at least 0", params.Timeout)
	}
	var err error
	params.Retention, err = doctorRetention(cmd)
	return params, err
}

// showReport writes the page, then what --json prints, so that a page that could not be written is exit code 1 and no JSON.
func (a *app) showReport(ctx context.Context, out string, result report.Report) error {
	var page bytes.Buffer
	if err := report.Write(&page, result); err != nil {
		return err
	}
	switch out {
	case "":
	case toStdout:
		_, err := a.stdout.Write(page.Bytes())
		return err
	default:
		if err := replaceFile(ctx, out, page.Bytes()); err != nil {
			return err
		}
	}
	return a.show(result, func() { a.printf("%s\n", out) })
}

// reportFile is the file that a path means, links followed. It is an error if there is something that was not written by us: a
// typing mistake must not cost anyone a file.
func reportFile(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		dir, err := os.Stat(filepath.Dir(path))
		if err == nil && !dir.IsDir() {
			err = errors.New("its folder is none")
		}
		if err != nil {
			return "", fmt.Errorf("--out: %w", err)
		}
		return path, nil
	}
	if err != nil {
		return "", fmt.Errorf("--out: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", usageErrorf("--out is no file; for stdout write --out -")
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", fmt.Errorf("--out: %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("--out: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	head := make([]byte, 512)
	n, err := io.ReadFull(file, head)
	if n > 0 && !bytes.Contains(head[:n], []byte(report.Generator)) {
		return "", usageErrorf("--out is there and no report: name another file, or delete it")
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", fmt.Errorf("--out: %w", err)
	}
	return path, nil
}

// replaceFile leaves the old file or the new one, whatever happens, readable by all as a page is meant to be.
func replaceFile(ctx context.Context, path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close(), ctx.Err())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // it is of no use
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
