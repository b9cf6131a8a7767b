package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

// trailEvent is an event of the audit trail as the commands print it with --json.
type trailEvent struct {
	ID          uuid.UUID       `json:"id"`
	Type        string          `json:"type"`
	CreatedAt   time.Time       `json:"created_at"`
	ClerkUserID string          `json:"clerk_user_id,omitempty"`
	ClientID    string          `json:"client_id,omitempty"`
	SessionID   uuid.UUID       `json:"session_id,omitzero"`
	IPAddress   string          `json:"ip_address,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"`
}

func newTrailEvent(e repo.Event) trailEvent {
	return trailEvent{
		ID:          e.ID,
		Type:        e.Type,
		CreatedAt:   e.CreatedAt.UTC(),
		ClerkUserID: e.ClerkUserID,
		ClientID:    e.ClientID,
		SessionID:   e.SessionID,
		IPAddress:   e.IPAddress,
		Metadata:    e.Metadata,
	}
}

// timeline draws events, oldest first, one line each, with the time since the first. A run of the same becomes one line, and
// of many lines the middle is left out, unless all is to be shown.
func timeline(p draw.Pen, events []trailEvent, all bool) []string {
	runs := runsOf(events)
	spans := draw.Wholly(len(runs))
	if !all {
		spans = draw.Elide(len(runs), timelineHead, timelineTail, func(i int) bool { return runs[i].first.matters() })
	}
	var rows [][]draw.Cell
	gaps := make(map[int]string) // by the row before which they stand
	for _, s := range spans {
		if s.Gap {
			gaps[len(rows)] = gapOfRuns(p, runs[s.Begin:s.End])
			continue
		}
		for _, r := range runs[s.Begin:s.End] {
			rows = append(rows, timelineRow(p, r.first, r.first.CreatedAt.Sub(events[0].CreatedAt), r.times))
		}
	}
	return withGaps(p.Table(rows), gaps)
}

const (
	timelineHead = 10
	timelineTail = 20
)

// eventRun is a number of equal events in a row.
type eventRun struct {
	first trailEvent
	times int
}

func runsOf(events []trailEvent) []eventRun {
	var runs []eventRun
	for _, e := range events {
		if last := len(runs) - 1; last >= 0 && sameKind(runs[last].first, e) {
			runs[last].times++
		} else {
			runs = append(runs, eventRun{e, 1})
		}
	}
	return runs
}

func gapOfRuns(p draw.Pen, runs []eventRun) string {
	events := 0
	for _, r := range runs {
		events += r.times
	}
	return p.Paint(draw.Faint, p.Glyphs.Dots+" "+thousands(events)+" more events, none of them an alarm or an end")
}

// withGaps puts lines between lines.
func withGaps(lines []string, gaps map[int]string) []string {
	all := make([]string, 0, len(lines)+len(gaps))
	for i := range len(lines) + 1 {
		if gap, ok := gaps[i]; ok {
			all = append(all, gap)
		}
		if i < len(lines) {
			all = append(all, lines[i])
		}
	}
	return all
}

func sameKind(a, b trailEvent) bool {
	return a.Type == b.Type && a.SessionID == b.SessionID && a.IPAddress == b.IPAddress && a.about() == b.about()
}

func timelineRow(p draw.Pen, e trailEvent, since time.Duration, times int) []draw.Cell {
	t, mark := e.tone(p)
	name := printable(e.Type)
	if times > 1 {
		name += " " + p.Glyphs.Times + thousands(times)
	}
	session := ""
	if e.SessionID != uuid.Nil {
		session = shortID(e.SessionID)
	}
	return []draw.Cell{
		{Text: "+" + elapsed(since), Tone: draw.Faint, Right: true},
		{Text: mark, Tone: t},
		{Text: name, Tone: t},
		{Text: session, Tone: draw.Strong},
		{Text: printable(e.IPAddress), Tone: draw.Faint},
		{Text: e.about()},
	}
}

// matters: it is an alarm, or the end of something.
func (e trailEvent) matters() bool {
	t, _ := e.tone(draw.Pen{})
	return t == draw.Alarm || t == draw.Plain
}

// tone tells alarms from what is merely refused and from what goes well.
func (e trailEvent) tone(p draw.Pen) (draw.Tone, string) {
	switch e.Type {
	case repo.EventTokenReuse, repo.EventCodeReplay:
		return draw.Alarm, p.Glyphs.Alarm
	case repo.EventTokenMismatch, repo.EventCodeMismatch, repo.EventTokenRetry:
		return draw.Refused, p.Glyphs.Warning
	case repo.EventTokenRevoke, repo.EventSessionEnd, repo.EventUserEnd, repo.EventUserErase:
		return draw.Plain, p.Glyphs.End
	default:
		return draw.Good, p.Glyphs.Dot
	}
}

// about says in a few words what happened, from the type and what the store wrote beside it. Of the host's own events it
// shows the metadata.
func (e trailEvent) about() string {
	switch e.Type {
	case repo.EventAuthorize:
		return "code issued"
	case repo.EventTokenExchange:
		return "session begins"
	case repo.EventTokenRefresh:
		return "new token"
	case repo.EventTokenRetry:
		return "same token again"
	case repo.EventTokenReuse, repo.EventCodeReplay, repo.EventTokenRevoke:
		return "session ends"
	}
	var about struct {
		Rule     string `json:"rule"`
		Reason   string `json:"reason"`
		Codes    int    `json:"codes"`
		Sessions int    `json:"sessions"`
	}
	known := json.Unmarshal(e.Metadata, &about) == nil
	switch {
	case known && (e.Type == repo.EventCodeMismatch || e.Type == repo.EventTokenMismatch):
		return "wrong " + printable(about.Rule)
	case known && e.Type == repo.EventSessionEnd:
		return printable(about.Reason)
	case known && e.Type == repo.EventUserEnd:
		return fmt.Sprintf("%s, %s", count(about.Sessions, "session"), count(about.Codes, "code"))
	case len(e.Metadata) == 0 || string(e.Metadata) == "{}":
		return ""
	default:
		return printable(string(e.Metadata))
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// printable replaces what would move the cursor or turn the line around: users and clients choose some of what is shown.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
