package main

import (
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/urfave/cli/v3"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

func (a *app) eventsCommand() *cli.Command {
	return &cli.Command{
		Name:  "events",
		Usage: "read the audit trail",
		Description: `Every change to a code, a token or a session has written an event in its own transaction, and so has every attack that
was found out. The alarms are token_reuse and code_replay.

Examples:
  gptoauth events list --type token_reuse --type code_replay --since 7d      # who was robbed this week?
  gptoauth events timeline --user user_2aB                # what happened to this person, in order?
  gptoauth events tail                                    # what happens now?
  gptoauth events stats --by type --bucket 1h --since 2d  # is this more than usual?`,
		Commands: []*cli.Command{
			a.eventsListCommand(),
			a.eventsTailCommand(),
			a.eventsTimelineCommand(),
			a.eventsStatsCommand(),
			a.eventsForwardCommand(),
		},
	}
}

const timesHelp = `Times are "2h" ago (s, m, h, d, w), a date as 2026-03-01 or a date and time as
"2026-03-01 14:30", both in UTC, or RFC 3339.`

// eventFilterFlags are those that say which events.
func eventFilterFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "type", Usage: "only of this type, such as token_reuse; may be repeated"},
		&cli.StringFlag{Name: "user", Usage: "only of this person"},
		&cli.StringFlag{Name: "session", Usage: "only of the session with this id"},
		&cli.StringFlag{Name: "client", Usage: "only of this client"},
		&cli.StringFlag{Name: "ip", Usage: "only from this address"},
	}
}

func sinceFlag(value string) cli.Flag {
	return &cli.StringFlag{Name: "since", Usage: "only from this time on, such as 2h or 2026-03-01", Value: value}
}

func untilFlag() cli.Flag {
	return &cli.StringFlag{Name: "until", Usage: "only before this time"}
}

// eventFilter reads whichever of these flags a command has.
func eventFilter(cmd *cli.Command) (repo.EventListParams, error) {
	params := repo.EventListParams{Types: cmd.StringSlice("type"), ClerkUserID: cmd.String("user"), ClientID: cmd.String("client")}
	var err error
	if text := cmd.String("session"); text != "" {
		if params.SessionID, err = uuid.Parse(text); err != nil {
			return params, usageErrorf("--session is not an id, which has 32 hex digits")
		}
	}
	if text := cmd.String("ip"); text != "" {
		if params.IPAddress, err = netip.ParseAddr(text); err != nil {
			return params, usageErrorf("--ip is not an address")
		}
	}
	if params.Since, err = timeFlag(cmd, "since"); err != nil {
		return params, err
	}
	params.Until, err = timeFlag(cmd, "until")
	return params, err
}

func timeFlag(cmd *cli.Command, name string) (time.Time, error) {
	text := cmd.String(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, ok := parseTime(text, time.Now())
	if !ok {
		return time.Time{}, usageErrorf(`--%s is no time: write "2h", "7d", 2026-03-01, "2026-03-01 14:30" or RFC 3339`, name)
	}
	return t, nil
}

// eventLines draws events for events list and events tail.
type eventLines struct {
	pen     draw.Pen
	compact bool   // dates in lines of their own, ids in short
	date    string // the last one drawn
}

func (a *app) eventLines() *eventLines {
	return &eventLines{pen: a.pen, compact: a.pen.Narrow()}
}

// heading is the line that a new date needs, or empty.
func (l *eventLines) heading(e trailEvent) string {
	date := e.CreatedAt.Format(time.DateOnly)
	if !l.compact || date == l.date {
		return ""
	}
	l.date = date
	return l.pen.Paint(draw.Strong, date) + l.pen.Paint(draw.Faint, " (UTC)")
}

func (l *eventLines) cells(e trailEvent) []draw.Cell {
	t, mark := e.tone(l.pen)
	at, session := timestamp(e.CreatedAt), ""
	if l.compact {
		at = e.CreatedAt.Format(time.TimeOnly)
	}
	if e.SessionID != uuid.Nil {
		session = e.SessionID.String()
		if l.compact {
			session = shortID(e.SessionID)
		}
	}
	return []draw.Cell{
		{Text: at, Tone: draw.Faint},
		{Text: mark, Tone: t},
		{Text: printable(e.Type), Tone: t},
		{Text: printable(e.ClerkUserID)},
		{Text: session, Tone: draw.Strong},
		{Text: printable(e.IPAddress), Tone: draw.Faint},
		{Text: e.about()},
	}
}
