package conformance_test

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
)

// close ends a session. It is locked before time is read and its tokens are looked for, each in a statement of its own.
func (p *peer) close(ctx context.Context, tx bun.Tx, session uuid.UUID, reason string) error {
	if p.flaw != livingToken {
		if _, err := tx.ExecContext(ctx, "SELECT 1 FROM gpt_sessions WHERE id = ? FOR UPDATE", session); err != nil {
			return err
		}
	}
	now, err := nowIn(ctx, tx)
	if err != nil {
		return err
	}
	if p.flaw == livingToken {
		_, err := tx.ExecContext(ctx, `
			WITH locked AS (
				SELECT id FROM gpt_sessions WHERE id = ?0 AND ended_at IS NULL FOR UPDATE
			), ended AS (
				UPDATE gpt_sessions AS s SET ended_at = ?1, end_reason = ?2, successor_nonce = NULL FROM locked WHERE s.id = locked.id
			)
			UPDATE gpt_refresh_tokens AS t SET revoked_at = ?1 FROM locked WHERE t.session_id = locked.id AND t.revoked_at IS NULL`,
			session, now, reason)
		return err
	}
	result, err := tx.ExecContext(ctx, `
		UPDATE gpt_sessions SET ended_at = ?, end_reason = ?, successor_nonce = NULL WHERE id = ? AND ended_at IS NULL`, now, reason, session)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE gpt_refresh_tokens SET revoked_at = ? WHERE session_id = ? AND revoked_at IS NULL", now, session)
	return err
}

// sessionRow is a session that is to be ended.
type sessionRow struct {
	ID          uuid.UUID
	ClerkUserID string
	ClientID    string
}

// endSessions ends those that a condition names, which are locked unless the end is to find out for itself.
func (p *peer) endSessions(ctx context.Context, tx bun.Tx, reason, where string, args ...any) (int, error) {
	var sessions []sessionRow
	query := tx.NewSelect().TableExpr("gpt_sessions").Column("id", "clerk_user_id", "client_id").
		Where("ended_at IS NULL").Where(where, args...).Order("id")
	if p.flaw != livingToken {
		query = query.For("UPDATE")
	}
	if err := query.Scan(ctx, &sessions); err != nil {
		return 0, err
	}
	for _, s := range sessions {
		if err := p.close(ctx, tx, s.ID, reason); err != nil {
			return 0, err
		}
		if _, err := event(ctx, tx, uuid.New(), "session_end", s.ClerkUserID, s.ClientID, s.ID); err != nil {
			return 0, err
		}
	}
	return len(sessions), nil
}

func (p *peer) End(ctx context.Context, params repo.EndParams) (result repo.EndedResult, err error) {
	err = p.attempt(ctx, func() {}, func(ctx context.Context, tx bun.Tx) error {
		result.Sessions, err = p.endSessions(ctx, tx, params.Reason, "id = ?", params.SessionID)
		return err
	})
	return result, err
}

func (p *peer) EndAll(ctx context.Context, params repo.EndAllParams) (result repo.EndedResult, err error) {
	err = p.attempt(ctx, func() {}, func(ctx context.Context, tx bun.Tx) error {
		result, err = p.endAll(ctx, tx, params)
		return err
	})
	return result, err
}

func (p *peer) EndUser(ctx context.Context, clerkUserID, reason string) (result repo.EndedResult, err error) {
	err = p.attempt(ctx, func() {}, func(ctx context.Context, tx bun.Tx) error {
		result, err = p.endAll(ctx, tx, repo.EndAllParams{ClerkUserID: clerkUserID, Reason: reason})
		if err != nil || result == (repo.EndedResult{}) {
			return err
		}
		_, err := event(ctx, tx, uuid.New(), "user_end", clerkUserID, "", uuid.Nil)
		return err
	})
	return result, err
}

// endAll withdraws the codes before it looks for sessions, so that an exchange comes either before both or after both.
func (p *peer) endAll(ctx context.Context, tx bun.Tx, params repo.EndAllParams) (result repo.EndedResult, err error) {
	var codes []struct {
		ID        uuid.UUID
		ExpiresAt time.Time
	}
	err = tx.NewSelect().TableExpr("gpt_authorization_codes").Column("id", "expires_at").
		Where("clerk_user_id = ? AND used_at IS NULL", params.ClerkUserID).
		Where("? = '' OR client_id = ?", params.ClientID, params.ClientID).Order("id").For("UPDATE").Scan(ctx, &codes)
	if err != nil {
		return result, err
	}
	now, err := nowIn(ctx, tx)
	if err != nil {
		return result, err
	}
	for _, code := range codes {
		if !code.ExpiresAt.After(now) {
			continue
		}
		if _, err := tx.ExecContext(ctx, "UPDATE gpt_authorization_codes SET expires_at = ? WHERE id = ?", now, code.ID); err != nil {
			return result, err
		}
		result.Codes++
	}
	result.Sessions, err = p.endSessions(ctx, tx, params.Reason, "clerk_user_id = ? AND (? = '' OR client_id = ?) AND id <> ?",
		params.ClerkUserID, params.ClientID, params.ClientID, params.Except)
	return result, err
}
