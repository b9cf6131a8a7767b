package main

import (
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/cmd/gptoauth/internal/draw"
	"github.com/gptoauth/gptoauth/repo"
)

// sessionOutput is a session as the commands print it with --json.
type sessionOutput struct {
	ID               uuid.UUID  `json:"id"`
	ClerkUserID      string     `json:"clerk_user_id"`
	ClientID         string     `json:"client_id"`
	Scope            string     `json:"scope"`
	Resource         string     `json:"resource"`
	Alive            bool       `json:"alive"`
	CreatedAt        time.Time  `json:"created_at"`
	LastActiveAt     time.Time  `json:"last_active_at"`
	RefreshTokenID   uuid.UUID  `json:"refresh_token_id,omitzero"`
	RefreshExpiresAt *time.Time `json:"refresh_expires_at"` // null: it has no token
	ExpiresAt        *time.Time `json:"expires_at"`         // null: no absolute end
	EndedAt          *time.Time `json:"ended_at"`           // null: not ended
	EndReason        string     `json:"end_reason"`
	Retries          int        `json:"retries"`
	IPAddress        string     `json:"ip_address"`
	UserAgent        string     `json:"user_agent"`
}

func newSessionOutput(s repo.Session) sessionOutput {
	return sessionOutput{
		ID: s.ID, ClerkUserID: s.ClerkUserID, ClientID: s.ClientID, Scope: s.Scope, Resource: s.Resource, Alive: s.Alive,
		CreatedAt: s.CreatedAt.UTC(), LastActiveAt: s.LastActiveAt.UTC(), RefreshTokenID: s.RefreshTokenID,
		RefreshExpiresAt: optionalUTC(s.RefreshExpiresAt), ExpiresAt: optionalUTC(s.ExpiresAt), EndedAt: optionalUTC(s.EndedAt),
		EndReason: s.EndReason, Retries: s.Retries, IPAddress: s.IPAddress, UserAgent: s.UserAgent,
	}
}

func optionalUTC(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// state says in a few words whether the session is alive, and if not, why.
func (s sessionOutput) state() (draw.Tone, string) {
	switch {
	case s.Alive:
		return draw.Good, "alive"
	case s.EndedAt != nil && (s.EndReason == repo.EventTokenReuse || s.EndReason == repo.EventCodeReplay):
		return draw.Alarm, "ended: " + s.EndReason
	case s.EndedAt != nil:
		return draw.Plain, "ended: " + printable(s.EndReason)
	default:
		return draw.Plain, "expired"
	}
}

func (a *app) sessionTable(sessions []sessionOutput) {
	rows := make([][]draw.Cell, len(sessions))
	for i, s := range sessions {
		t, state := s.state()
		rows[i] = []draw.Cell{{Text: s.ID.String(), Tone: draw.Strong, Whole: true}, {Text: printable(s.ClerkUserID)}}
		if a.pen.Narrow() {
			rows[i] = append(rows[i], draw.Cell{Text: state, Tone: t})
			continue
		}
		rows[i] = append(rows[i], []draw.Cell{
			{Text: printable(s.ClientID)},
			{Text: state, Tone: t},
			{Text: timestamp(s.CreatedAt)},
			{Text: timestamp(s.LastActiveAt)},
			{Text: printable(s.IPAddress), Tone: draw.Faint},
		}...)
	}
	titles := []string{"id", "user", "client", "state", "began", "last active", "address"}
	if a.pen.Narrow() {
		titles = []string{"id", "user", "state"}
	}
	a.table(titles, rows)
}
