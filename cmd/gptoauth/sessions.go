package main

import (
	"time"

	"github.com/google/uuid"

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
func (s sessionOutput) state() (tone, string) {
	switch {
	case s.Alive:
		return good, "alive"
	case s.EndedAt != nil && (s.EndReason == repo.EventTokenReuse || s.EndReason == repo.EventCodeReplay):
		return alarm, "ended: " + s.EndReason
	case s.EndedAt != nil:
		return plain, "ended: " + printable(s.EndReason)
	default:
		return plain, "expired"
	}
}

func (a *app) sessionTable(sessions []sessionOutput) {
	rows := make([][]cell, len(sessions))
	for i, s := range sessions {
		t, state := s.state()
		rows[i] = []cell{{text: s.ID.String(), tone: strong, whole: true}, {text: printable(s.ClerkUserID)}}
		if a.pen.narrow() {
			rows[i] = append(rows[i], cell{text: state, tone: t})
			continue
		}
		rows[i] = append(rows[i], []cell{
			{text: printable(s.ClientID)},
			{text: state, tone: t},
			{text: timestamp(s.CreatedAt)},
			{text: timestamp(s.LastActiveAt)},
			{text: printable(s.IPAddress), tone: faint},
		}...)
	}
	titles := []string{"id", "user", "client", "state", "began", "last active", "address"}
	if a.pen.narrow() {
		titles = []string{"id", "user", "state"}
	}
	a.table(titles, rows)
}
