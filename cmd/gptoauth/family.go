package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/gptoauth/gptoauth/repo"
)

// family is a session with every generation of its refresh token, and what the audit trail says of them.
type family struct {
	SessionID   uuid.UUID    `json:"session_id"`
	ClerkUserID string       `json:"clerk_user_id"`
	ClientID    string       `json:"client_id"`
	Alive       bool         `json:"alive"`
	Scope       string       `json:"scope,omitempty"`
	IPAddress   string       `json:"ip_address,omitempty"` // of the exchange, like the user agent
	UserAgent   string       `json:"user_agent,omitempty"`
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

// loadFamily reads a session and its trail, oldest first. [repo.ErrNotFound] if there is none.
func loadFamily(ctx context.Context, store *repo.Store, sessionID uuid.UUID) (family, []trailEvent, error) {
	session, err := store.Sessions.Get(ctx, sessionID)
	if err != nil {
		return family{}, nil, err
	}
	var tokens []repo.RefreshToken
	var events []repo.Event
	group, groupCtx := errgroup.WithContext(ctx) // a long family is many pages of both
	group.Go(func() (err error) {
		tokens, err = loadTokens(groupCtx, store, sessionID)
		return err
	})
	group.Go(func() (err error) {
		events, err = loadEvents(groupCtx, store, sessionID)
		return err
	})
	if err := group.Wait(); err != nil {
		return family{}, nil, err
	}
	f := newFamily(session, tokens)
	generations := f.byID()
	trail := make([]trailEvent, len(events))
	for i, event := range events {
		note(generations, event)
		trail[i] = newTrailEvent(event)
	}
	slices.Reverse(trail)
	return f, trail, nil
}

func loadTokens(ctx context.Context, store *repo.Store, sessionID uuid.UUID) ([]repo.RefreshToken, error) {
	var tokens []repo.RefreshToken
	for params := (repo.FamilyParams{SessionID: sessionID, Limit: 1000}); ; {
		page, err := store.RefreshTokens.Family(ctx, params)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, page.Tokens...)
		if params.Cursor = page.Next; page.Next == "" {
			return tokens, nil
		}
	}
}

func loadEvents(ctx context.Context, store *repo.Store, sessionID uuid.UUID) ([]repo.Event, error) {
	var events []repo.Event
	for event, err := range store.Events.All(ctx, repo.EventListParams{SessionID: sessionID, Limit: 1000}) {
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}

func newFamily(session repo.Session, tokens []repo.RefreshToken) family {
	f := family{
		SessionID:   session.ID,
		ClerkUserID: session.ClerkUserID,
		ClientID:    session.ClientID,
		Alive:       session.Alive,
		Scope:       session.Scope,
		IPAddress:   session.IPAddress,
		UserAgent:   session.UserAgent,
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

func (f family) byID() map[uuid.UUID]*generation {
	byID := make(map[uuid.UUID]*generation, len(f.Generations))
	for i := range f.Generations {
		byID[f.Generations[i].ID] = &f.Generations[i]
	}
	return byID
}

// note adds what an event says of a generation.
func note(generations map[uuid.UUID]*generation, event repo.Event) {
	if event.Type != repo.EventTokenRetry && event.Type != repo.EventTokenReuse {
		return
	}
	var about struct {
		RefreshTokenID uuid.UUID `json:"refresh_token_id"`
	}
	if json.Unmarshal(event.Metadata, &about) != nil {
		return // rows from elsewhere may hold anything
	}
	g := generations[about.RefreshTokenID]
	switch {
	case g == nil: // purged
	case event.Type == repo.EventTokenRetry:
		g.Retries++
	default:
		g.ReusedAt = event.CreatedAt.UTC()
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
