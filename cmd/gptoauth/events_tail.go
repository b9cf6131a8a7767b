package main

import (
	"context"
	"errors"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

func (a *app) eventsTailCommand() *cli.Command {
	return &cli.Command{
		Name:  "tail",
		Usage: "show events as they are committed, until interrupted",
		Description: `Every event is shown once, whatever the order in which transactions commit, provided that they take less than
--overlap: what is committed within a twelfth of it is shown at once, the rest within a quarter, behind newer ones. If the database
goes away it says so and goes on when the database is back. With --json it prints one object a line. ` + timesHelp + `

Examples:
  gptoauth events tail
  gptoauth events tail --type token_reuse --since 1h      # the last hour's too
  gptoauth events tail --json | jq -r 'select(.type == "code_replay") | .clerk_user_id'
  gptoauth events tail --user user_2aB --interval 200ms`,
		Flags: append(eventFilterFlags(),
			&cli.StringFlag{Name: "since", Usage: "begin at this time; defaults to now"},
			&cli.DurationFlag{Name: "interval", Usage: "how often to ask the database", Value: time.Second},
			&cli.DurationFlag{Name: "overlap", Usage: "how long a transaction may take for its events not to be missed", Value: time.Minute}),
		Action: a.eventsTail,
	}
}

func (a *app) eventsTail(ctx context.Context, cmd *cli.Command) error {
	filter, err := eventFilter(cmd)
	if err != nil {
		return err
	}
	params := repo.FollowParams{Filter: filter, Interval: cmd.Duration("interval"), Overlap: cmd.Duration("overlap")}
	for name, value := range map[string]time.Duration{"interval": params.Interval, "overlap": params.Overlap} {
		if value < time.Millisecond || value > time.Hour {
			return usageErrorf("--%s is %s, want 1ms to 1h", name, value)
		}
	}
	db, err := a.open(ctx)
	if err != nil {
		return err
	}
	const patience = time.Minute // before it says that the database is away
	store, err := repo.New(db, repo.Config{StatementTimeout: patience, Timeout: patience})
	if err != nil {
		return err
	}
	show := a.tailText()
	if a.json {
		encoder := a.encoder()
		show = func(e trailEvent) { _ = encoder.Encode(e) } //nolint:errchkjson // checkedWriter remembers
	}
	return a.follow(ctx, store, params, show)
}

// follow shows events until it is interrupted, which is how it should end, or cannot go on.
func (a *app) follow(ctx context.Context, store *repo.Store, params repo.FollowParams, show func(trailEvent)) error {
	for event, err := range store.Events.Follow(ctx, params) {
		if failed, ok := errors.AsType[*repo.DatabaseError](err); ok && failed.Effect != repo.Refused {
			a.progressf("no answer from the database, going on: %s", explain(err))
			continue
		}
		if err != nil {
			return err
		}
		if show(newTrailEvent(event)); a.unwritable() {
			return nil // run says why
		}
	}
	return nil
}

// tailText draws events one by one, so that the columns cannot be measured: they are as wide as what is usual.
func (a *app) tailText() func(trailEvent) {
	l := a.eventLines()
	widths := l.tailWidths()
	return func(e trailEvent) {
		if heading := l.heading(e); heading != "" {
			a.printf("%s\n", heading)
		}
		a.printf("%s\n", l.pen.Row(widths, l.cells(e)))
	}
}

// tailWidths are those of the columns: time, mark, type, user, session, address, and what it is about.
func (l *eventLines) tailWidths() []int {
	widths := []int{20, 1, 16, 32, 36, 15, 0}
	if l.compact {
		widths = []int{8, 1, 14, 0, 8, 15, 0}
	}
	rest := l.pen.Width - draw.ColumnGap*(len(widths)-1)
	for _, width := range widths {
		rest -= width
	}
	if l.compact {
		widths[3] = min(max(rest/2, draw.NarrowColumn), 32)
		rest -= widths[3]
	}
	widths[len(widths)-1] = max(rest, draw.NarrowColumn)
	return widths
}
