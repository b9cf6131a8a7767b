package main

import (
	"context"

	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

const shownEvents = 20

// userOutput is what users show prints with --json.
type userOutput struct {
	ClerkUserID string          `json:"clerk_user_id"`
	Living      int             `json:"living_sessions"`
	Sessions    []sessionOutput `json:"sessions"` // newest first
	Events      []trailEvent    `json:"events"`   // the newest 20, newest first
}

func (a *app) usersShowCommand() *cli.Command {
	return &cli.Command{
		Name:        "show",
		Usage:       "show a person's sessions and newest events",
		ArgsUsage:   "USER",
		Description: "Examples:\n  gptoauth users show user_2aBcD\n  gptoauth users show user_2aBcD --json",
		Arguments:   userArgument(),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			store, err := a.store(ctx)
			if err != nil {
				return err
			}
			output, err := describeUser(ctx, store, cmd.StringArg("user"))
			if err != nil {
				return err
			}
			return a.show(output, func() { a.drawUser(output) })
		},
	}
}

func describeUser(ctx context.Context, store *repo.Store, user string) (userOutput, error) {
	output := userOutput{ClerkUserID: user, Sessions: []sessionOutput{}, Events: []trailEvent{}}
	params := repo.SessionListParams{ClerkUserID: user}
	for {
		page, err := store.Sessions.List(ctx, params)
		if err != nil {
			return output, err
		}
		for _, session := range page.Sessions {
			output.Sessions = append(output.Sessions, newSessionOutput(session))
			if session.Alive {
				output.Living++
			}
		}
		if params.Cursor = page.Next; params.Cursor == "" {
			break
		}
	}
	events, err := store.Events.List(ctx, repo.EventListParams{ClerkUserID: user, Limit: shownEvents})
	for _, event := range events.Events {
		output.Events = append(output.Events, newTrailEvent(event))
	}
	return output, err
}

func (a *app) drawUser(o userOutput) {
	a.printf("%s, %d of them alive\n", count(len(o.Sessions), "session"), o.Living)
	if len(o.Sessions) > 0 {
		a.printf("\n")
		a.sessionTable(o.Sessions)
	}
	if len(o.Events) == 0 {
		a.printf("no events\n")
		return
	}
	a.printf("\nnewest events\n")
	for _, line := range a.pen.Table(eventRows(a.pen, o.Events)) {
		a.printf("%s\n", line)
	}
}

func eventRows(p draw.Pen, events []trailEvent) [][]draw.Cell {
	rows := make([][]draw.Cell, len(events))
	for i, e := range events {
		t, mark := e.tone(p)
		session := ""
		if e.SessionID != [16]byte{} {
			session = shortID(e.SessionID)
		}
		rows[i] = []draw.Cell{
			{Text: timestamp(e.CreatedAt), Tone: draw.Faint},
			{Text: mark, Tone: t},
			{Text: e.Type, Tone: t},
			{Text: session, Tone: draw.Strong},
			{Text: printable(e.IPAddress), Tone: draw.Faint},
			{Text: e.about()},
		}
	}
	return rows
}
