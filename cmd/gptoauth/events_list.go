package main

import (
	"context"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

// eventsResult is what events list and events timeline print with --json.
type eventsResult struct {
	Events []trailEvent `json:"events"`
	Next   string       `json:"next,omitempty"` // for --cursor, if there are more
}

func (a *app) eventsListCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list events, newest first",
		Description: `On a terminal ids are shortened to fit, unless it has 140 columns or you say --wide. ` + timesHelp + `

By --user and --session this is quick however large the trail is, and so it is by a --type that is rare, as alarms are. Other
filters walk back through time: with --client or --ip and few matches, give them a --since.

Examples:
  gptoauth events list                                  # the newest 50
  gptoauth events list --type token_reuse --type code_replay --since 7d
  gptoauth events list --user user_2aB --since 2026-03-01 --until 2026-03-02
  gptoauth events list --ip 203.0.113.66 --since 24h
  gptoauth events list --since 24h --limit 100000 --json | jq -r '.events[].ip_address' | sort | uniq -c`,
		Flags: append(eventFilterFlags(), sinceFlag(""), untilFlag(),
			&cli.IntFlag{Name: "limit", Usage: "how many at most", Value: 50},
			&cli.StringFlag{Name: "cursor", Usage: "go on after this, which is the \"next\" of --json"}),
		Action: a.eventsList,
	}
}

func (a *app) eventsList(ctx context.Context, cmd *cli.Command) error {
	params, err := eventFilter(cmd)
	if err != nil {
		return err
	}
	params.Cursor = cmd.String("cursor")
	limit := cmd.Int("limit")
	if limit < 1 {
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
	return a.show(result, func() {
		a.printEvents(result.Events)
		if result.Next != "" {
			a.progressf("there are more: raise --limit, or go on with --cursor %s", result.Next)
		}
	})
}

// newest reads pages until there are limit events.
func newest(ctx context.Context, store *repo.Store, params repo.EventListParams, limit int) (eventsResult, error) {
	const page = 1000
	result := eventsResult{Events: []trailEvent{}}
	for {
		params.Limit = min(limit-len(result.Events), page)
		read, err := store.Events.List(ctx, params)
		if err != nil {
			return eventsResult{}, err
		}
		for _, event := range read.Events {
			result.Events = append(result.Events, newTrailEvent(event))
		}
		params.Cursor = read.Next
		if read.Next == "" || len(result.Events) == limit {
			result.Next = read.Next
			return result, nil
		}
	}
}

func (a *app) printEvents(events []trailEvent) {
	l := a.eventLines()
	rows := make([][]draw.Cell, len(events))
	for i, e := range events {
		rows[i] = l.cells(e)
	}
	for i, line := range l.pen.Table(rows) {
		if heading := l.heading(events[i]); heading != "" {
			a.printf("%s\n", heading)
		}
		a.printf("%s\n", line)
	}
	if len(events) == 0 {
		a.progressf("there are no such events")
	}
}
