package conformance_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
)

// tokenRow is a token with its session and the session's current token, as a rotation reads them.
type tokenRow struct {
	ID             uuid.UUID
	Revoked        bool
	SessionID      uuid.UUID
	ClerkUserID    string
	ClientID       string
	Scope          string
	Resource       string
	Data           json.RawMessage `bun:"type:jsonb"`
	Ended          bool
	SuccessorNonce []byte
	SessionEnds    time.Time
	CurrentID      uuid.UUID
	CurrentHash    string
	CurrentEnds    time.Time
	CurrentBegan   time.Time
	RotatedTo      uuid.UUID
	OwnID          uuid.UUID // the child of this very call, whose answer was lost
	OwnEnds        time.Time
}

// read locks the session first, and reads in a second statement, which sees what was committed while the lock was awaited.
func (p *peer) read(ctx context.Context, tx bun.Tx, token, successor string) ([]tokenRow, error) {
	if _, err := tx.ExecContext(ctx, `
		SELECT 1 FROM gpt_sessions WHERE id = (SELECT session_id FROM gpt_refresh_tokens WHERE token_hash = ?) ?`,
		hash(token), p.lock(forkedChain)); err != nil {
		return nil, err
	}
	var rows []tokenRow
	err := tx.NewRaw(`
		SELECT t.id, t.revoked_at IS NOT NULL AS revoked, t.session_id, s.clerk_user_id, s.client_id, s.scope, s.resource, s.data,
		       s.ended_at IS NOT NULL AS ended, s.successor_nonce, s.expires_at AS session_ends, c.id AS current_id,
		       c.token_hash AS current_hash, c.expires_at AS current_ends, c.created_at AS current_began, t.rotated_to,
		       o.id AS own_id, o.expires_at AS own_ends
		  FROM gpt_refresh_tokens AS t
		  JOIN gpt_sessions AS s ON s.id = t.session_id
		  JOIN gpt_refresh_tokens AS c ON c.id = s.refresh_token_id
		  LEFT JOIN gpt_refresh_tokens AS o ON o.session_id = s.id AND o.token_hash = ?
		 WHERE t.token_hash = ?`, hash(successor), hash(token)).Scan(ctx, &rows)
	return rows, err
}

// over says whether the session has ended. One that looks at the token's own revocation instead depends on the end having
// found the token.
func (p *peer) over(t tokenRow, now time.Time) bool {
	if p.flaw == livingToken {
		return t.Revoked && t.Ended || !t.SessionEnds.After(now)
	}
	return t.Ended || !t.SessionEnds.After(now)
}

func (p *peer) outcome(t tokenRow, client string, now time.Time) repo.Outcome {
	inGrace := p.config.Grace > 0 && t.CurrentBegan.Add(p.config.Grace).After(now)
	switch {
	case t.ClientID != client:
		return repo.Mismatch
	case p.over(t, now):
		return repo.Ended
	case t.ID != t.CurrentID && (t.RotatedTo != t.CurrentID || !inGrace):
		return repo.Reused
	case !t.CurrentEnds.After(now):
		return repo.Expired
	case t.ID != t.CurrentID:
		return repo.Retried
	default:
		return repo.Rotated
	}
}

func (p *peer) Rotate(ctx context.Context, params repo.RotateParams) (result repo.RotateResult, err error) {
	var tokenID, eventID uuid.UUID
	var nonce []byte
	err = p.attempt(ctx, func() {
		tokenID, eventID, nonce = uuid.New(), uuid.New(), []byte(rand.Text())
	}, func(ctx context.Context, tx bun.Tx) error {
		result = repo.RotateResult{Outcome: repo.Unknown}
		successor := successorOf(params.RefreshToken, nonce)
		rows, err := p.read(ctx, tx, params.RefreshToken, successor)
		if err != nil || len(rows) == 0 {
			return err
		}
		t := rows[0]
		now, err := nowIn(ctx, tx)
		if err != nil {
			return err
		}
		grant := repo.Grant{SessionID: t.SessionID, ClerkUserID: t.ClerkUserID, Scope: t.Scope, Resource: t.Resource, Data: t.Data}
		result.Outcome = p.outcome(t, params.ClientID, now)
		if t.OwnID != uuid.Nil && result.Outcome != repo.Mismatch && result.Outcome != repo.Ended {
			result.Outcome, result.Grant = repo.Rotated, granted(grant, successor, t.OwnID, t.OwnEnds, t.SessionEnds)
			return nil
		}
		result.Grant = repo.Grant{SessionID: t.SessionID, ClerkUserID: t.ClerkUserID}
		if result.Outcome == repo.Retried {
			result.Grant = granted(grant, successorOf(params.RefreshToken, t.SuccessorNonce), t.CurrentID, t.CurrentEnds, t.SessionEnds)
			return p.retry(ctx, tx, t, eventID)
		}
		if result.Outcome == repo.Rotated {
			ends, _ := p.expiries(now, t.SessionEnds)
			result.Grant = granted(grant, successor, tokenID, ends, t.SessionEnds)
			return p.replace(ctx, tx, t, now, result.Grant, nonce, eventID)
		}
		return p.refuse(ctx, tx, t, result.Outcome, eventID)
	})
	return result, err
}

// refuse writes what a refusal has to.
func (p *peer) refuse(ctx context.Context, tx bun.Tx, t tokenRow, outcome repo.Outcome, eventID uuid.UUID) (err error) {
	if outcome == repo.Mismatch {
		_, err = event(ctx, tx, eventID, "token_mismatch", t.ClerkUserID, t.ClientID, t.SessionID)
	}
	if outcome == repo.Reused {
		if err := p.close(ctx, tx, t.SessionID, "token_reuse"); err != nil {
			return err
		}
		_, err = event(ctx, tx, uuid.New(), "token_reuse", t.ClerkUserID, t.ClientID, t.SessionID)
	}
	return err
}

func granted(grant repo.Grant, token string, id uuid.UUID, tokenEnds, sessionEnds time.Time) repo.Grant {
	grant.RefreshToken, grant.RefreshTokenID = repo.Secret(token), id
	grant.RefreshExpiresAt, grant.SessionExpiresAt = tokenEnds, sessionEnds
	return grant
}

func (p *peer) retry(ctx context.Context, tx bun.Tx, t tokenRow, eventID uuid.UUID) error {
	written, err := event(ctx, tx, eventID, "token_retry", t.ClerkUserID, t.ClientID, t.SessionID)
	if err != nil || !written {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE gpt_sessions SET retries = retries + 1 WHERE id = ?", t.SessionID)
	return err
}

func (p *peer) replace(ctx context.Context, tx bun.Tx, t tokenRow, now time.Time, grant repo.Grant, nonce []byte, eventID uuid.UUID) error {
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
		grant.RefreshTokenID, hash(string(grant.RefreshToken)), t.ClerkUserID, t.SessionID, grant.RefreshExpiresAt, now); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE gpt_refresh_tokens SET rotated_to = ?, revoked_at = ? WHERE id = ?",
		grant.RefreshTokenID, now, t.ID); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE gpt_sessions SET refresh_token_id = ?, successor_nonce = ?, last_active = ? WHERE id = ?",
		grant.RefreshTokenID, nonce, now, t.SessionID); err != nil {
		return err
	}
	_, err := event(ctx, tx, eventID, "token_refresh", t.ClerkUserID, t.ClientID, t.SessionID)
	return err
}

func (p *peer) Revoke(ctx context.Context, params repo.RevokeParams) (result repo.RevokeResult, err error) {
	var eventID uuid.UUID
	err = p.attempt(ctx, func() { eventID = uuid.New() }, func(ctx context.Context, tx bun.Tx) error {
		result = repo.RevokeResult{Outcome: repo.Unknown}
		rows, err := p.read(ctx, tx, params.RefreshToken, "")
		if err != nil || len(rows) == 0 {
			return err
		}
		t := rows[0]
		result = repo.RevokeResult{Outcome: repo.Ended, SessionID: t.SessionID, ClerkUserID: t.ClerkUserID}
		switch {
		case t.ClientID != params.ClientID:
			result.Outcome = repo.Mismatch
			_, err = event(ctx, tx, eventID, "token_mismatch", t.ClerkUserID, t.ClientID, t.SessionID)
		case !t.Ended:
			result.Outcome = repo.Revoked
			if err := p.close(ctx, tx, t.SessionID, "token_revoke"); err != nil {
				return err
			}
			_, err = event(ctx, tx, eventID, "token_revoke", t.ClerkUserID, t.ClientID, t.SessionID)
		}
		return err
	})
	return result, err
}
