package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/repo"
)

// family is a session with every generation of its refresh token, and what the audit trail says of them.
type family struct {
	SessionID   uuid.UUID    `json:"session_id"`
	ClerkUserID string       `json:"clerk_user_id"`
	ClientID    string       `json:"client_id"`
	Alive       bool         `json:"alive"`
	CreatedAt   time.Time    `json:"created_at"`
	ExpiresAt   time.Time    `json:"expires_at,omitzero"`
	EndedAt     time.Time    `json:"ended_at,omitzero"`
	EndReason   string       `json:"end_reason,omitempty"`
	Generations []generation `json:"generations"` // oldest first
}

// The states of a generation.
const (
	stateCurrent = "current" // the one that works
	stateRotated = "rotated" // replaced by its successor
	stateEnded   = "ended"   // was the current one when the session ended
	stateExpired = "expired" // is the last one, and too old
)

type generation struct {
	Number    int       `json:"generation"` // from 1
	ID        uuid.UUID `json:"id"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	RevokedAt time.Time `json:"revoked_at,omitzero"` // when it was rotated, or its session ended
	RotatedTo uuid.UUID `json:"rotated_to,omitzero"`
	Retries   int       `json:"retries"`            // how often it was answered with its successor again
	ReusedAt  time.Time `json:"reused_at,omitzero"` // when it was presented again and ended the session
}

// loadFamily reads a session. [repo.ErrNotFound] if there is none.
func loadFamily(ctx context.Context, store *repo.Store, sessionID uuid.UUID) (family, error) {
	session, err := store.Sessions.Get(ctx, sessionID)
	if err != nil {
		return family{}, err
	}
	var tokens []repo.RefreshToken
	for params := (repo.FamilyParams{SessionID: sessionID, Limit: 1000}); ; {
		page, err := store.RefreshTokens.Family(ctx, params)
		if err != nil {
			return family{}, err
		}
		tokens = append(tokens, page.Tokens...)
		if params.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	f := newFamily(session, tokens)
	for event, err := range store.Events.All(ctx, repo.EventListParams{SessionID: sessionID, Limit: 1000}) {
		if err != nil {
			return family{}, err
		}
		note(f.Generations, event)
	}
	return f, nil
}

func newFamily(session repo.Session, tokens []repo.RefreshToken) family {
	f := family{
		SessionID:   session.ID,
		ClerkUserID: session.ClerkUserID,
		ClientID:    session.ClientID,
		Alive:       session.Alive,
		CreatedAt:   session.CreatedAt.UTC(),
		ExpiresAt:   session.ExpiresAt.UTC(),
		EndedAt:     session.EndedAt.UTC(),
		EndReason:   session.EndReason,
	}
	// By the database's clock, read under the session's lock. Ids are made by the clocks of many replicas.
	tokens = slices.SortedFunc(slices.Values(tokens), func(a, b repo.RefreshToken) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for i, token := range tokens {
		f.Generations = append(f.Generations, generation{
			Number:    i + 1,
			ID:        token.ID,
			State:     stateOf(token, session),
			CreatedAt: token.CreatedAt.UTC(),
			ExpiresAt: token.ExpiresAt.UTC(),
			RevokedAt: token.RevokedAt.UTC(),
			RotatedTo: token.RotatedTo,
		})
	}
	return f
}

func stateOf(token repo.RefreshToken, session repo.Session) string {
	switch {
	case token.RotatedTo != uuid.Nil:
		return stateRotated
	case !session.EndedAt.IsZero():
		return stateEnded
	case session.Alive:
		return stateCurrent
	default:
		return stateExpired
	}
}

// note adds what an event says of a generation.
func note(generations []generation, event repo.Event) {
	var about struct {
		RefreshTokenID uuid.UUID `json:"refresh_token_id"`
	}
	if json.Unmarshal(event.Metadata, &about) != nil {
		return // the metadata of the host's own events may be anything
	}
	i := slices.IndexFunc(generations, func(g generation) bool { return g.ID == about.RefreshTokenID })
	if i < 0 {
		return
	}
	switch event.Type {
	case repo.EventTokenRetry:
		generations[i].Retries++
	case repo.EventTokenReuse:
		generations[i].ReusedAt = event.CreatedAt.UTC()
	}
}

// current says how many generations can still be refreshed: one, or none.
func (f family) current() int {
	n := 0
	for _, g := range f.Generations {
		if g.State == stateCurrent {
			n++
		}
	}
	return n
}
