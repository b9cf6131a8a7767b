package conformance_test

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
	"github.com/gptoauth/gptoauth/repo/repotest/conformance"
)

// flaw is a mistake that a store may have. Each is one that passes every test with one client.
type flaw string

const (
	noFlaw        flaw = ""
	doubleSpend   flaw = "an exchange reads the code without a lock"
	forkedChain   flaw = "a rotation reads the session without a lock"
	livingToken   flaw = "an end locks the session and looks for its tokens in one statement"
	lostRetry     flaw = "a call whose answer was lost is made again with new secrets"
	repeatsAtMost      = 5
)

// peer is another store over the same tables, written as one would without functions in the database: with transactions
// and SELECT ... FOR UPDATE. Without a flaw it shows that the kit tests what is required and not how it is done; with one,
// that the kit would find it.
type peer struct {
	reads // the store's own

	db     *bun.DB
	config repo.Config
	flaw   flaw
}

// reads are what does not change anything.
type reads interface {
	List(ctx context.Context, params repo.SessionListParams) (repo.SessionPage, error)
	conformance.Watcher
	conformance.Auditor
}

// newPeer needs a config without defaults to fill in.
func newPeer(db *bun.DB, config repo.Config, f flaw) (*peer, error) {
	store, err := repo.New(db, config)
	if err != nil {
		return nil, err
	}
	return &peer{reads: conformance.Of(store).Store.(reads), db: db, config: config, flaw: f}, nil
}

// attempt runs f in a transaction, again if the answer to its COMMIT was lost. draw makes what is to be the same in each
// attempt.
func (p *peer) attempt(ctx context.Context, draw func(), f func(ctx context.Context, tx bun.Tx) error) (err error) {
	draw()
	for range repeatsAtMost {
		err = p.db.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted}, f)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if p.flaw == lostRetry {
			draw()
		}
	}
	return err
}

// lock is the end of a SELECT whose rows are to be locked.
func (p *peer) lock(unless flaw) bun.Safe {
	if p.flaw == unless {
		return ""
	}
	return "FOR UPDATE"
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func successorOf(token string, nonce []byte) string {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write(nonce)
	return hex.EncodeToString(mac.Sum(nil))
}

func nowIn(ctx context.Context, tx bun.Tx) (now time.Time, err error) {
	err = tx.QueryRowContext(ctx, "SELECT clock_timestamp()").Scan(&now)
	return now, err
}

// event is false if an earlier attempt wrote it.
func event(ctx context.Context, tx bun.Tx, id uuid.UUID, eventType, user, client string, session uuid.UUID) (bool, error) {
	result, err := tx.ExecContext(ctx, `
		INSERT INTO gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, created_at)
		VALUES (?, ?, ?, ?, nullif(?, '00000000-0000-0000-0000-000000000000'::uuid), clock_timestamp()) ON CONFLICT DO NOTHING`,
		id, eventType, user, client, session)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

func (p *peer) Issue(ctx context.Context, params repo.IssueParams) (result repo.IssueResult, err error) {
	var eventID uuid.UUID
	err = p.attempt(ctx, func() {
		result.Code, result.ID, eventID = repo.Secret(rand.Text()), uuid.New(), uuid.New()
	}, func(ctx context.Context, tx bun.Tx) error {
		now, err := nowIn(ctx, tx)
		if err != nil {
			return err
		}
		result.ExpiresAt = now.Add(p.config.CodeTTL)
		data := sql.NullString{String: string(params.Data), Valid: len(params.Data) > 0}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO gpt_authorization_codes (id, code, code_challenge, clerk_user_id, client_id, redirect_uri, scope, resource, data, expires_at, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			result.ID, hash(string(result.Code)), params.CodeChallenge, params.ClerkUserID, params.ClientID, params.RedirectURI,
			params.Scope, params.Resource, data, result.ExpiresAt, now); err != nil {
			return err
		}
		_, err = event(ctx, tx, eventID, "authorize", params.ClerkUserID, params.ClientID, uuid.Nil)
		return err
	})
	return result, err
}

// codeRow is a code as an exchange reads it.
type codeRow struct {
	ID            uuid.UUID
	CodeChallenge string
	ClerkUserID   string
	ClientID      string
	RedirectURI   string
	Scope         string
	Resource      string
	Data          json.RawMessage `bun:"type:jsonb"`
	ExpiresAt     time.Time
	Used          bool
	SessionID     uuid.UUID
}

func (c codeRow) mismatch(p repo.ExchangeParams) bool {
	if c.CodeChallenge == "" && (p.CodeVerifier != "" || !p.ClientAuthenticated || p.RedirectURI == "") {
		return true
	}
	return c.ClientID != p.ClientID || (p.RedirectURI != "" && p.RedirectURI != c.RedirectURI) ||
		(c.CodeChallenge != "" && repotest.Challenge(p.CodeVerifier) != c.CodeChallenge)
}

func (p *peer) Exchange(ctx context.Context, params repo.ExchangeParams) (result repo.ExchangeResult, err error) {
	var session, tokenID, eventID uuid.UUID
	var token string
	err = p.attempt(ctx, func() {
		session, tokenID, eventID, token = uuid.New(), uuid.New(), uuid.New(), rand.Text()
	}, func(ctx context.Context, tx bun.Tx) error {
		result = repo.ExchangeResult{Outcome: repo.Unknown}
		var codes []codeRow
		if err := tx.NewRaw(`
			SELECT id, code_challenge, clerk_user_id, client_id, redirect_uri, scope, resource, data, expires_at,
			       used_at IS NOT NULL AS used, session_id
			  FROM gpt_authorization_codes WHERE code = ? ?`, hash(params.Code), p.lock(doubleSpend)).Scan(ctx, &codes); err != nil || len(codes) == 0 {
			return err
		}
		code := codes[0]
		now, err := nowIn(ctx, tx)
		if err != nil {
			return err
		}
		grant := repo.Grant{
			SessionID: session, ClerkUserID: code.ClerkUserID, Scope: code.Scope, Resource: code.Resource, Data: code.Data,
			RefreshToken: repo.Secret(token), RefreshTokenID: tokenID,
		}
		grant.RefreshExpiresAt, grant.SessionExpiresAt = p.expiries(now, now.Add(p.config.SessionTTL))
		result.SessionID, result.ClerkUserID = code.SessionID, code.ClerkUserID
		switch {
		case code.Used && code.SessionID == session: // its own, whose answer was lost
			result = repo.ExchangeResult{Outcome: repo.Exchanged, Grant: grant}
			return nil
		case code.mismatch(params):
			result.Outcome = repo.Mismatch
			_, err := event(ctx, tx, eventID, "code_mismatch", code.ClerkUserID, code.ClientID, code.SessionID)
			return err
		case code.Used:
			result.Outcome = repo.Replayed
			if err := p.close(ctx, tx, code.SessionID, "code_replay"); err != nil {
				return err
			}
			_, err := event(ctx, tx, eventID, "code_replay", code.ClerkUserID, code.ClientID, code.SessionID)
			return err
		case !code.ExpiresAt.After(now):
			result.Outcome = repo.Expired
			return nil
		}
		result = repo.ExchangeResult{Outcome: repo.Exchanged, Grant: grant}
		if _, err := tx.ExecContext(ctx, `
			WITH token AS (
				INSERT INTO gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at, created_at) VALUES (?0, ?1, ?2, ?3, ?4, ?5)
			), session AS (
				INSERT INTO gpt_sessions (id, clerk_user_id, client_id, scope, resource, data, refresh_token_id, expires_at, last_active, created_at)
				SELECT ?3, c.clerk_user_id, c.client_id, c.scope, c.resource, c.data, ?0, ?6, ?5, ?5 FROM gpt_authorization_codes AS c WHERE c.id = ?7
			)
			UPDATE gpt_authorization_codes SET used_at = ?5, session_id = ?3 WHERE id = ?7`,
			tokenID, hash(token), code.ClerkUserID, session, grant.RefreshExpiresAt, now, grant.SessionExpiresAt, code.ID); err != nil {
			return err
		}
		_, err = event(ctx, tx, eventID, "token_exchange", code.ClerkUserID, code.ClientID, session)
		return err
	})
	return result, err
}

// expiries are those of a token issued now, in a session that ends then.
func (p *peer) expiries(now, sessionEnd time.Time) (token, session time.Time) {
	token = now.Add(p.config.RefreshTTL)
	if token.After(sessionEnd) {
		token = sessionEnd
	}
	return token, sessionEnd
}
