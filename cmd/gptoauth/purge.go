package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

// purgeOutput is what purge prints with --json.
type purgeOutput struct {
	DryRun   bool             `json:"dry_run"` // nothing was deleted; the counts are what would be
	Complete bool             `json:"complete"`
	Counts   repo.PurgeCounts `json:"counts"`
	Batches  int              `json:"batches"`
	Seconds  float64          `json:"seconds"`
	Paused   float64          `json:"paused_seconds"`
}

// checkOutput is what purge --check prints with --json.
type checkOutput struct {
	OK      bool           `json:"ok"`
	Orphans []repo.Orphans `json:"orphans"`
}

func (a *app) purgeCommand() *cli.Command {
	return &cli.Command{
		Name:  "purge",
		Usage: "delete what has been over for long enough",
		Description: `Deletes codes that expired, sessions that died with all their tokens, and events, each after its retention, and clears nonces
whose grace period is over. What is alive is not touched. It works in batches of about 50 ms, pauses for others, may run beside
any traffic and any other purge, and may be stopped anywhere: run it again and it goes on.

Durations are numbers of days (30d), hours (24h) or minutes (90m); "off" keeps for ever.

Examples:
  gptoauth purge --dry-run                       # what would be deleted
  gptoauth purge                                 # delete it
  gptoauth purge --events 90d --archive events.ndjson
  gptoauth purge --rotated 60d                   # also old generations of living sessions
  gptoauth purge --check                         # look for orphans; exit code 3 if there are any`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "codes", Usage: "keep codes for this long after they expire", Value: "24h"},
			&cli.StringFlag{Name: "sessions", Usage: "keep sessions and their tokens for this long after they die", Value: "30d"},
			&cli.StringFlag{
				Name: "rotated", Usage: "keep the rotated tokens of a living session for this long; one that is gone is Unknown, not Reused", Value: "off",
			},
			&cli.StringFlag{Name: "events", Usage: "keep events for this long", Value: "400d"},
			&cli.StringFlag{Name: "archive", Usage: "append events to this file, one JSON object a line, before they are deleted"},
			&cli.IntFlag{Name: "batch-size", Usage: "rows a transaction at most", DefaultText: "5000"},
			&cli.BoolFlag{Name: "dry-run", Usage: "count, and delete nothing"},
			&cli.BoolFlag{Name: "check", Usage: "look for rows that foreign keys make impossible, and delete nothing"},
		},
		Action: a.purge,
	}
}

func (a *app) purge(ctx context.Context, cmd *cli.Command) error {
	config, err := janitorConfig(cmd)
	if err != nil {
		return err
	}
	bar := &progressBar{app: a}
	config.OnBatch = bar.done
	if path := cmd.String("archive"); path != "" && !cmd.Bool("dry-run") && !cmd.Bool("check") {
		archive, err := repo.OpenArchive(path)
		if err != nil {
			return err
		}
		defer archive.Close() //nolint:errcheck // synced before each commit
		config.Archive = archive
	}
	if _, err := repo.NewJanitor(nil, config); err != nil { // before there is a connection
		return usageErrorf("%w", err)
	}
	db, err := a.open(ctx)
	if err != nil {
		return err
	}
	janitor, err := repo.NewJanitor(db, config)
	if err != nil {
		return err
	}
	switch {
	case cmd.Bool("check"):
		return a.checkOrphans(ctx, janitor)
	case cmd.Bool("dry-run"):
		counts, err := janitor.Count(ctx)
		if err != nil {
			return err
		}
		return a.showPurged(purgeOutput{DryRun: true, Counts: counts})
	}
	return a.runPurge(ctx, janitor, bar)
}

// runPurge shows what was done even if it did not come to the end.
func (a *app) runPurge(ctx context.Context, janitor *repo.Janitor, bar *progressBar) error {
	if isTerminal(a.stderr) { // counting reads whole tables
		counts, err := janitor.Count(ctx)
		if err != nil {
			return err
		}
		bar.begin(counts.Total())
	}
	result, err := janitor.Purge(ctx)
	bar.end()
	output := purgeOutput{
		Complete: err == nil, Counts: result.PurgeCounts, Batches: result.Batches,
		Seconds: result.Took.Seconds(), Paused: result.Paused.Seconds(),
	}
	return errors.Join(err, a.showPurged(output))
}

func (a *app) showPurged(o purgeOutput) error {
	return a.show(o, func() {
		rows := [][]draw.Cell{
			{{Text: "codes"}, number(o.Counts.Codes)},
			{{Text: "sessions"}, number(o.Counts.Sessions)},
			{{Text: "tokens"}, number(o.Counts.Tokens)},
			{{Text: "events"}, number(o.Counts.Events)},
			{{Text: "nonces (cleared)"}, number(o.Counts.Nonces)},
		}
		title := "deleted"
		if o.DryRun {
			title = "would be deleted"
		}
		a.table([]string{"", title}, rows)
		if !o.DryRun {
			a.printf("%d batches in %s, of which %s were pauses\n", o.Batches, seconds(o.Seconds), seconds(o.Paused))
		}
	})
}

func (a *app) checkOrphans(ctx context.Context, janitor *repo.Janitor) error {
	orphans, err := janitor.Check(ctx)
	if err != nil {
		return err
	}
	if orphans == nil {
		orphans = []repo.Orphans{}
	}
	err = a.show(checkOutput{OK: len(orphans) == 0, Orphans: orphans}, func() {
		for _, o := range orphans {
			a.printf("%d %s\n", o.Rows, o.Name)
		}
		if len(orphans) == 0 {
			a.printf("no orphans, and every foreign key is in place\n")
		}
	})
	if err == nil && len(orphans) > 0 {
		err = &exitError{exitDrifted, errors.New("there are rows that foreign keys make impossible: someone wrote the tables by hand")}
	}
	return err
}

func janitorConfig(cmd *cli.Command) (repo.JanitorConfig, error) {
	config := repo.JanitorConfig{BatchSize: cmd.Int("batch-size")}
	for flag, field := range map[string]*time.Duration{
		"codes": &config.Codes, "sessions": &config.Sessions, "rotated": &config.Rotated, "events": &config.Events,
	} {
		var err error
		if *field, err = retention(cmd, flag); err != nil {
			return config, err
		}
	}
	return config, nil
}

func retention(cmd *cli.Command, flag string) (time.Duration, error) {
	text := cmd.String(flag)
	if text == "off" {
		return repo.Off, nil
	}
	d, ok := parseSpan(text)
	if !ok || d == 0 {
		return 0, usageErrorf("--%s is not a duration such as 30d, 24h or 90m, nor off", flag)
	}
	return d, nil
}

func number(n int) draw.Cell { return draw.Cell{Text: strconv.Itoa(n), Right: true} }

func seconds(s float64) string { return fmt.Sprintf("%.1f s", s) }
