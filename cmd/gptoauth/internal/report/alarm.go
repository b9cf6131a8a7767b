package report

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/doctor"
	"github.com/gptoauth/gptoauth/repo"
)

// Alarms are the spent tokens and codes that came back in the window.
type Alarms struct {
	InGrace  int           `json:"in_grace"` // tokens, within the default grace, after their successors were used as well
	Soon     int           `json:"soon"`     // tokens, after it and so soon that the grace period may be too short
	Late     int           `json:"late"`     // tokens, later
	Replays  int           `json:"replays"`
	LatestAt time.Time     `json:"latest_at,omitzero"`
	Clients  []ClientCount `json:"clients"`

	judged []doctor.Finding
}

// ClientCount is how many alarms one client has.
type ClientCount struct {
	ClientID string `json:"client_id"` // empty if there is none
	Others   bool   `json:"others"`    // true: all clients but those named
	Alarms   int    `json:"alarms"`
}

func (a Alarms) reused() int { return a.InGrace + a.Soon + a.Late }

func (a Alarms) total() int { return a.reused() + a.Replays }

func readAlarms(ctx context.Context, s *snapshot, tx bun.Tx) (Alarms, error) {
	types := []string{repo.EventTokenReuse, repo.EventCodeReplay}
	found, err := doctor.ReadAlarms(ctx, tx, s.window.since, types...)
	if err != nil {
		return Alarms{}, err
	}
	counts, err := s.count(ctx, tx, repo.EventCountParams{Filter: repo.EventListParams{Types: types}, By: repo.ByClient, Top: shownClients})
	if err != nil {
		return Alarms{}, err
	}
	found.Days = s.window.days
	a := Alarms{
		InGrace: found.InGrace, Soon: found.Soon, Late: found.Late, Replays: found.Replays, LatestAt: found.LatestAt.UTC(),
		Clients: []ClientCount{}, judged: found.Judge(),
	}
	for _, c := range counts {
		a.Clients = append(a.Clients, ClientCount{c.Value, c.Others, c.Events})
	}
	return a, nil
}
