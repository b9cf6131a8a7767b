package faulttest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/gptoauth/gptoauth/internal/invariants"
	"github.com/gptoauth/gptoauth/repo"
)

// comparison is how what clients were told differs from what is in the database.
type comparison struct {
	lostSessions   []string // acknowledged, and not there
	lostTokens     []string // likewise, of sessions that are there
	revived        []string // acknowledged as ended, and not
	other          []string
	contradictions []string // of the database to itself
}

func (c *comparison) all() []string {
	return slices.Concat(c.lostSessions, c.lostTokens, c.revived, c.other, c.contradictions)
}

// compare is called while no client is at work.
func (c *crowd) compare(ctx context.Context, direct *repo.Store) (comparison, error) {
	c.checks++
	var found comparison
	stored, err := readStored(ctx, direct)
	if err != nil {
		return found, err
	}
	for _, client := range c.clients {
		for _, told := range client.sessions {
			if !told.broken || c.losing {
				found.add(told, stored[told.id])
			}
		}
	}
	if c.sum(func(c *client) int { return c.restarts }) == 0 && len(stored) > c.sum(func(c *client) int { return len(c.sessions) }) {
		found.other = append(found.other, "there are sessions that no client was told of")
	}
	if found.other, err = appendTheft(ctx, direct, found.other); err != nil {
		return found, err
	}
	found.contradictions, err = contradictions(ctx, direct)
	return found, err
}

// contradictions are of the database to itself.
func contradictions(ctx context.Context, direct *repo.Store) ([]string, error) {
	findings, err := invariants.Check(ctx, direct.DB())
	texts := make([]string, len(findings))
	for i, finding := range findings {
		texts[i] = finding.String()
	}
	return texts, err
}

// storedSession is what the database has of a session.
type storedSession struct {
	ended   bool
	current string          // digest of the current token
	tokens  map[string]bool // digests of all
}

func readStored(ctx context.Context, direct *repo.Store) (map[uuid.UUID]*storedSession, error) {
	var sessions []struct {
		ID        uuid.UUID
		EndedAt   time.Time
		TokenHash string
	}
	err := direct.DB().NewRaw(`SELECT s.id, s.ended_at, t.token_hash FROM public.gpt_sessions AS s
		JOIN public.gpt_refresh_tokens AS t ON t.id = s.refresh_token_id`).Scan(ctx, &sessions)
	if err != nil {
		return nil, fmt.Errorf("reading the sessions: %w", err)
	}
	stored := make(map[uuid.UUID]*storedSession, len(sessions))
	for _, s := range sessions {
		stored[s.ID] = &storedSession{ended: !s.EndedAt.IsZero(), current: s.TokenHash, tokens: map[string]bool{}}
	}

	var tokens []struct {
		SessionID uuid.UUID
		TokenHash string
	}
	if err := direct.DB().NewRaw("SELECT session_id, token_hash FROM public.gpt_refresh_tokens").Scan(ctx, &tokens); err != nil {
		return nil, fmt.Errorf("reading the tokens: %w", err)
	}
	for _, token := range tokens {
		if session := stored[token.SessionID]; session != nil {
			session.tokens[token.TokenHash] = true
		}
	}
	return stored, nil
}

// add compares one session. Every call has been answered in the end, so that nothing may be missing, nor be there unasked.
func (c *comparison) add(told *session, stored *storedSession) {
	if stored == nil {
		c.lostSessions = append(c.lostSessions, fmt.Sprintf("session %s: acknowledged and not there", told.id))
		return
	}
	lost := 0
	for i, token := range told.tokens {
		if !stored.tokens[digest(token)] {
			lost++
			c.lostTokens = append(c.lostTokens, fmt.Sprintf("session %s: generation %d of %d was acknowledged and is not there", told.id, i, len(told.tokens)))
		}
	}
	if told.ended && !stored.ended {
		c.revived = append(c.revived, fmt.Sprintf("session %s: acknowledged as ended and alive", told.id))
	}
	switch {
	case lost > 0: // and then the rest follows
	case !told.ended && stored.ended:
		c.other = append(c.other, fmt.Sprintf("session %s: ended, and no one asked for that", told.id))
	case stored.current != digest(told.current()):
		c.other = append(c.other, fmt.Sprintf("session %s: its current token is not the one last acknowledged", told.id))
	case len(stored.tokens) != len(told.tokens):
		c.other = append(c.other, fmt.Sprintf("session %s: %d generations there, %d acknowledged", told.id, len(stored.tokens), len(told.tokens)))
	}
}

// appendTheft adds what must not be in the trail, for there was no thief.
func appendTheft(ctx context.Context, direct *repo.Store, to []string) ([]string, error) {
	var events []struct {
		EventType string
		N         int
	}
	err := direct.DB().NewRaw(`SELECT event_type, count(*) AS n FROM public.gpt_oauth_events
		WHERE event_type IN ('code_replay', 'code_mismatch', 'token_reuse', 'token_mismatch') GROUP BY event_type`).Scan(ctx, &events)
	if err != nil {
		return to, fmt.Errorf("reading the events: %w", err)
	}
	for _, e := range events {
		to = append(to, fmt.Sprintf("%d events of the type %s", e.N, e.EventType))
	}
	return to, nil
}

// digest is what the database keeps of a secret.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
