package main

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
)

func (a *app) eventsTimelineCommand() *cli.Command {
	return &cli.Command{
		Name:  "timeline",
		Usage: "tell the story of a session or a person, oldest first",
		Description: `Times count from the first event shown. What repeats is one line, and of a long story the middle is left out but for
alarms and ends, unless you say --all. ` + timesHelp + `

Examples:
  gptoauth events timeline --user user_2aB
  gptoauth events timeline --session 01990000-0000-7000-8000-00000051beef
  gptoauth events timeline --user user_2aB --since 2d --json | jq -r '.events[] | [.created_at, .type, .ip_address] | @tsv'`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "session", Usage: "of the session with this id"},
			&cli.StringFlag{Name: "user", Usage: "of this person"},
			sinceFlag(""), untilFlag(),
			&cli.IntFlag{Name: "limit", Usage: "how many events at most, the newest", Value: 10_000},
			&cli.BoolFlag{Name: "all", Usage: "leave nothing out"},
		},
		Action: a.eventsTimeline,
	}
}

func (a *app) eventsTimeline(ctx context.Context, cmd *cli.Command) error {
	params, err := eventFilter(cmd)
	if err != nil {
		return err
	}
	limit := cmd.Int("limit")
	switch {
	case (params.SessionID == uuid.Nil) == (params.ClerkUserID == ""):
		return usageErrorf("say whose: --session or --user")
	case limit < 1:
		return usageErrorf("--limit is %d, want at least 1", limit)
	}
	store, err := a.store(ctx)
	if err != nil {
		return err
	}
	result, err := newest(ctx, store, params, limit)
	if err != nil {
		return err
	}
	slices.Reverse(result.Events)
	more := result.Next != ""
	result.Next = ""
	return a.show(result, func() {
		if len(result.Events) == 0 {
			a.progressf("there are no such events")
			return
		}
		a.printf("%s\n", a.pen.Paint(draw.Strong, "since "+timestamp(result.Events[0].CreatedAt)))
		a.lines(timeline(a.pen, result.Events, cmd.Bool("all")))
		if more {
			a.progressf("there are older ones: raise --limit")
		}
	})
}
