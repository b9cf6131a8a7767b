package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

func (a *app) sessionsCommand() *cli.Command {
	return &cli.Command{
		Name:  "sessions",
		Usage: "list, show and end sessions",
		Description: `A session is what a person has granted to a client: one family of refresh tokens.

Examples:
  gptoauth sessions list --user user_2aBcD
  gptoauth sessions list --active --idle-over 30d
  gptoauth sessions show 019aa1b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b
  gptoauth sessions end 019aa1b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b --reason "stolen laptop"`,
		Commands: []*cli.Command{a.sessionsListCommand(), a.sessionsShowCommand(), a.sessionsEndCommand()},
	}
}

// sessionsOutput is what sessions list prints with --json.
type sessionsOutput struct {
	Sessions []sessionOutput `json:"sessions"` // newest first
	More     bool            `json:"more"`     // there are older ones than --limit
}

func (a *app) sessionsListCommand() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list sessions, newest first",
		Description: `Without --user it walks over all sessions.

Examples:
  gptoauth sessions list --user user_2aBcD
  gptoauth sessions list --client https://chatgpt.com/client --active
  gptoauth sessions list --active --idle-over 30d --limit 1000 --json`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "user", Usage: "only of this person"},
			&cli.StringFlag{Name: "client", Usage: "only of this client"},
			&cli.BoolFlag{Name: "active", Usage: "only those that are alive"},
			&cli.StringFlag{Name: "idle-over", Usage: "only those not active for so long, such as 30d, 24h or 90m"},
			&cli.IntFlag{Name: "limit", Usage: "how many at most", Value: 100},
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			user := cmd.String("user")
			params := repo.SessionListParams{
				ClerkUserID: user, Everyone: user == "", ClientID: cmd.String("client"), AliveOnly: cmd.Bool("active"),
			}
			limit := cmd.Int("limit")
			if limit < 1 {
				return usageErrorf("--limit is %d, want at least 1", limit)
			}
			var err error
			if params.IdleOver, err = optionalDuration(cmd, "idle-over"); err != nil {
				return err
			}
			store, err := a.store(ctx)
			if err != nil {
				return err
			}
			output, err := listSessions(ctx, store, params, limit)
			if err != nil {
				return err
			}
			return a.show(output, func() { a.drawSessions(output) })
		},
	}
}

func optionalDuration(cmd *cli.Command, flag string) (time.Duration, error) {
	text := cmd.String(flag)
	if text == "" {
		return 0, nil
	}
	d, ok := parseSpan(text)
	if !ok || d == 0 {
		return 0, usageErrorf("--%s is not a duration such as 30d, 24h or 90m", flag)
	}
	return d, nil
}

const sessionPage = 1000

func listSessions(ctx context.Context, store *repo.Store, params repo.SessionListParams, limit int) (sessionsOutput, error) {
	output := sessionsOutput{Sessions: []sessionOutput{}}
	for {
		params.Limit = min(limit-len(output.Sessions), sessionPage)
		page, err := store.Sessions.List(ctx, params)
		if err != nil {
			return output, err
		}
		for _, session := range page.Sessions {
			output.Sessions = append(output.Sessions, newSessionOutput(session))
		}
		params.Cursor, output.More = page.Next, page.Next != ""
		if !output.More || len(output.Sessions) == limit {
			return output, nil
		}
	}
}

func (a *app) drawSessions(o sessionsOutput) {
	if len(o.Sessions) == 0 {
		a.printf("no sessions\n")
		return
	}
	a.sessionTable(o.Sessions)
	if o.More {
		a.progressf("there are more than these %d: see --limit", len(o.Sessions))
	}
}

// sessionDetails is what sessions show prints with --json.
type sessionDetails struct {
	sessionOutput

	Tokens int          `json:"tokens"` // generations that are kept
	Events []trailEvent `json:"events"` // the newest 20, newest first
}

func (a *app) sessionsShowCommand() *cli.Command {
	return &cli.Command{
		Name:        "show",
		Usage:       "show a session and its newest events",
		ArgsUsage:   "ID",
		Description: "Examples:\n  gptoauth sessions show 019aa1b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b",
		Arguments:   []cli.Argument{&cli.StringArg{Name: "id", UsageText: "ID"}},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			id, err := parseSessionID(cmd.StringArg("id"))
			if err != nil {
				return err
			}
			store, err := a.store(ctx)
			if err != nil {
				return err
			}
			details, err := describeSession(ctx, store, id)
			if err != nil {
				return err
			}
			return a.show(details, func() { a.drawSession(details) })
		},
	}
}

func parseSessionID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return id, usageErrorf("ID is not the id of a session, which has 32 hex digits")
	}
	return id, nil
}

func describeSession(ctx context.Context, store *repo.Store, id uuid.UUID) (sessionDetails, error) {
	session, err := store.Sessions.Get(ctx, id)
	if err != nil {
		return sessionDetails{}, err
	}
	details := sessionDetails{sessionOutput: newSessionOutput(session), Events: []trailEvent{}}
	params := repo.FamilyParams{SessionID: id, Limit: sessionPage}
	for {
		page, err := store.RefreshTokens.Family(ctx, params)
		if err != nil {
			return details, err
		}
		details.Tokens += len(page.Tokens)
		if params.Cursor = page.Next; params.Cursor == "" {
			break
		}
	}
	events, err := store.Events.List(ctx, repo.EventListParams{SessionID: id, Limit: shownEvents})
	for _, event := range events.Events {
		details.Events = append(details.Events, newTrailEvent(event))
	}
	return details, err
}

func (a *app) drawSession(d sessionDetails) {
	t, state := d.state()
	ended, refreshUntil, until := "", "", "no end"
	if d.EndedAt != nil {
		ended = " at " + timestamp(*d.EndedAt)
	}
	if d.RefreshExpiresAt != nil {
		refreshUntil = timestamp(*d.RefreshExpiresAt)
	}
	if d.ExpiresAt != nil {
		until = timestamp(*d.ExpiresAt)
	}
	rows := [][]draw.Cell{
		{{Text: "session"}, {Text: d.ID.String(), Tone: draw.Strong}},
		{{Text: "state"}, {Text: state + ended, Tone: t}},
		{{Text: "user"}, {Text: printable(d.ClerkUserID)}},
		{{Text: "client"}, {Text: printable(d.ClientID)}},
		{{Text: "scope"}, {Text: printable(d.Scope)}},
		{{Text: "resource"}, {Text: printable(d.Resource)}},
		{{Text: "began"}, {Text: timestamp(d.CreatedAt)}},
		{{Text: "last active"}, {Text: timestamp(d.LastActiveAt)}},
		{{Text: "token until"}, {Text: refreshUntil}},
		{{Text: "session until"}, {Text: until}},
		{{Text: "tokens"}, {Text: count(d.Tokens, "generation") + ", retried " + count(d.Retries, "time")}},
		{{Text: "address"}, {Text: printable(d.IPAddress)}},
		{{Text: "user agent"}, {Text: printable(d.UserAgent)}},
	}
	for _, line := range a.pen.Table(rows) {
		a.printf("%s\n", line)
	}
	if len(d.Events) > 0 {
		a.printf("\nnewest events\n")
	}
	for _, line := range a.pen.Table(eventRows(a.pen, d.Events)) {
		a.printf("%s\n", line)
	}
}
