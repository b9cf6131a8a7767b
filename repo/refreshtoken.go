package repo

import (
	"context"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// RefreshTokens rotates, revokes and looks up refresh tokens (RFC 6749 6, RFC 9700 4.14, RFC 7009, RFC 7662).
type RefreshTokens struct {
	conn *conn
}

// RefreshToken is one generation of a session's refresh token, as it is stored: the token itself is not.
type RefreshToken struct {
	bun.BaseModel `bun:"table:public.gpt_refresh_tokens,alias:t"`

	ID          uuid.UUID `bun:"id,pk,type:uuid"`
	SessionID   uuid.UUID `bun:"session_id,type:uuid"` // its family; zero for rows older than gptoauth
	ClerkUserID string    `bun:"clerk_user_id"`
	ExpiresAt   time.Time `bun:"expires_at"`
	RevokedAt   time.Time `bun:"revoked_at,nullzero"`           // when it was rotated, or its session ended; zero while current
	RotatedTo   uuid.UUID `bun:"rotated_to,type:uuid,nullzero"` // its successor; zero if it has none
	CreatedAt   time.Time `bun:"created_at"`
}

// RotateParams is a token request with grant_type=refresh_token (RFC 6749 6). What the client sent is passed on as it
// is, malformed or not: it yields an Outcome.
type RotateParams struct {
	RefreshToken string     // as presented
	ClientID     string     // of the authenticated client, or as presented by a public one
	IPAddress    netip.Addr // of the request; optional, for the audit trail
}

// RotateResult is what became of a refresh token.
type RotateResult struct {
	Grant

	// Outcome is Rotated, Retried, Unknown, Mismatch, Expired, Ended or Reused.
	Outcome Outcome
}

// Err returns nil if the outcome is [Rotated] or [Retried], else an [*OutcomeError], which wraps [ErrInvalidGrant]. Look at the
// error of Rotate first: beside one there is no outcome.
func (r RotateResult) Err() error { return r.Outcome.err(Rotated, Retried) }

// Rotate replaces a session's current refresh token by a new one, in one transaction and one round trip:
//
//   - [Rotated]: here is the new token; the old one is spent.
//   - [Retried]: the presented token is the direct predecessor of the current one, which was issued less than Config.Grace
//     ago; here is the current one again, the very same text, though only digests are stored. So clients that refresh in
//     parallel, or lost an answer, go on.
//   - [Unknown]: no such token.
//   - [Mismatch]: it was issued to another client. Nothing changes.
//   - [Expired]: the current token has expired.
//   - [Ended]: its session has been ended or is past its absolute end.
//   - [Reused]: an older generation, expired or not: either the client or a thief has a newer one, and no one can say
//     who. The session has been ended in the same transaction (RFC 9700 4.14.2).
//
// Each outcome but Unknown, Expired and Ended writes an audit event in the same transaction. An error is a
// [*DatabaseError]: the client may send the same token again.
func (t *RefreshTokens) Rotate(ctx context.Context, params RotateParams) (r RotateResult, err error) {
	ctx, op := t.conn.begin(ctx, "RefreshTokens.Rotate")
	defer op.endWith(&r.Outcome, &err)
	presented, ok := parseSecret(tokenPrefix, params.RefreshToken)
	if !ok {
		return RotateResult{Outcome: Unknown}, nil
	}

	nonce := newNonce()
	successor := presented.successor(nonce).text()
	if t.conn.config.Grace == 0 {
		nonce = nil // what is not stored cannot leak
	}
	call := t.conn.newCall("gpt_rotate_refresh_token_v1").
		digest(params.RefreshToken).
		text(presentedText(params.ClientID, maxClientIDLen)).
		id(newID(presented.route)).
		digest(successor).
		bytes(nonce).
		micros(t.conn.config.Grace).
		micros(t.conn.config.RefreshTTL).
		nullable(addressText(params.IPAddress)).
		eventID(presented.route)

	row, err := t.conn.runRow(ctx, op, call)
	if err != nil {
		return RotateResult{}, err
	}
	r = RotateResult{Outcome: Outcome(row.text()), Grant: Grant{
		SessionID:        row.id(),
		RefreshTokenID:   row.id(),
		ClerkUserID:      row.text(),
		Scope:            row.text(),
		Resource:         row.text(),
		Data:             row.json(),
		RefreshExpiresAt: row.time(),
		SessionExpiresAt: row.time(),
	}}
	stored := row.bytes()
	if err := done(op, row.end()); err != nil {
		return RotateResult{}, err
	}
	if r.Err() != nil { // what was consented to is told with a success only
		r.Grant = Grant{SessionID: r.SessionID, ClerkUserID: r.ClerkUserID}
	}
	if r.Outcome == Rotated {
		r.RefreshToken = Secret(successor)
	}
	if r.Outcome == Retried {
		r.RefreshToken = Secret(presented.successor(stored).text())
	}
	if r.Outcome == Reused {
		t.conn.alert(ctx, op, SecurityEvent{EventTokenReuse, r.ClerkUserID, params.ClientID, r.SessionID, params.IPAddress})
	}
	return r, nil
}

// RevokeParams is a revocation request (RFC 7009 2.1).
type RevokeParams struct {
	RefreshToken string     // as presented
	ClientID     string     // of the authenticated client, or as presented by a public one
	IPAddress    netip.Addr // of the request; optional, for the audit trail
}

// RevokeResult is what became of a revocation request.
type RevokeResult struct {
	// Outcome is Revoked, Ended (the session was over already), Unknown or Mismatch.
	Outcome     Outcome
	SessionID   uuid.UUID // zero if Unknown
	ClerkUserID string    // empty if Unknown
}

// Err returns nil if the client is to be told that it succeeded, which by RFC 7009 2.2 includes [Unknown] and [Ended]; for
// [Mismatch] an [*OutcomeError], which wraps [ErrInvalidGrant]. Look at the error of Revoke first: beside one there is no outcome.
func (r RevokeResult) Err() error { return r.Outcome.err(Revoked, Unknown, Ended) }

// Revoke ends the session of a refresh token at once, whichever generation is presented and however old it is, in one
// transaction and one round trip (RFC 7009 2.1). A token of another client is a [Mismatch], and nothing changes.
//
// An error is a [*DatabaseError].
func (t *RefreshTokens) Revoke(ctx context.Context, params RevokeParams) (r RevokeResult, err error) {
	ctx, op := t.conn.begin(ctx, "RefreshTokens.Revoke")
	defer op.endWith(&r.Outcome, &err)
	presented, ok := parseSecret(tokenPrefix, params.RefreshToken)
	if !ok {
		return RevokeResult{Outcome: Unknown}, nil
	}
	call := t.conn.newCall("gpt_revoke_refresh_token_v1").
		digest(params.RefreshToken).
		text(presentedText(params.ClientID, maxClientIDLen)).
		nullable(addressText(params.IPAddress)).
		eventID(presented.route)
	row, err := t.conn.runRow(ctx, op, call)
	if err != nil {
		return RevokeResult{}, err
	}
	r = RevokeResult{Outcome: Outcome(row.text()), SessionID: row.id(), ClerkUserID: row.text()}
	return r, done(op, row.end())
}

// LookupResult is what is known of a refresh token.
type LookupResult struct {
	// Active: it is the current token of a living session (RFC 7662 2.2). A predecessor is not active, even while Rotate
	// would still answer it within the grace period.
	Active  bool
	Token   RefreshToken // zero if the token is unknown
	Session Session      // zero if the token is unknown
}

// Lookup reads a refresh token and its session and changes nothing (RFC 7662). Who may ask is the host's to decide; to
// anyone but the token's own client an inactive answer is all that should be told. A token that is malformed or unknown
// is not active. An error is a [*DatabaseError].
func (t *RefreshTokens) Lookup(ctx context.Context, token string) (_ LookupResult, err error) {
	ctx, op := t.conn.begin(ctx, "RefreshTokens.Lookup")
	defer op.end(&err)
	if _, ok := parseSecret(tokenPrefix, token); !ok {
		return LookupResult{}, nil
	}

	var found []lookupRow
	err = t.conn.repeat(ctx, op, func(ctx context.Context) error {
		found = nil
		return t.conn.db.NewSelect().Model(&found).
			ColumnExpr("t.id AS token_id, t.session_id AS token_session_id, t.clerk_user_id AS token_clerk_user_id").
			ColumnExpr("t.expires_at AS token_expires_at, t.revoked_at AS token_revoked_at, t.rotated_to AS token_rotated_to").
			ColumnExpr("t.created_at AS token_created_at").
			ColumnExpr(sessionColumns).
			Join("JOIN public.gpt_sessions AS s ON s.id = t.session_id").
			Join(joinCurrentToken).
			Where("t.token_hash = ?", digest(token)).
			Scan(ctx)
	})
	if err != nil || len(found) == 0 {
		return LookupResult{}, err
	}
	return LookupResult{
		Active:  found[0].Session.Alive && found[0].Session.RefreshTokenID == found[0].Token.ID,
		Token:   found[0].Token,
		Session: found[0].Session,
	}, nil
}

// lookupRow is a token joined with its session.
type lookupRow struct {
	bun.BaseModel `bun:"table:public.gpt_refresh_tokens,alias:t"`

	Token   RefreshToken `bun:"embed:token_"`
	Session Session      `bun:"embed:"`
}

// FamilyParams asks for the tokens of a session.
type FamilyParams struct {
	SessionID uuid.UUID
	Cursor    string // Next of the page before; empty for the first
	Limit     int    // at most 1,000; defaults to 100
}

// FamilyPage is a page of the tokens of a session.
type FamilyPage struct {
	Tokens []RefreshToken // oldest first
	Next   string         // the cursor of the next page; empty if this is the last
}

// Family lists the generations of a session's refresh token, oldest first, a page at a time. It goes by their ids, in which the
// application's clock has its place: where those of several machines disagree, RotatedTo says which follows which. A session that
// does not exist has none. Bad params are an [*InputError]; any other error is a [*DatabaseError].
func (t *RefreshTokens) Family(ctx context.Context, params FamilyParams) (_ FamilyPage, err error) {
	ctx, op := t.conn.begin(ctx, "RefreshTokens.Family")
	defer op.end(&err)
	limit, err := pageLimit("FamilyParams.Limit", params.Limit)
	if err != nil {
		return FamilyPage{}, err
	}
	after := uuid.Nil
	if params.Cursor != "" {
		if after, err = uuid.Parse(params.Cursor); err != nil {
			return FamilyPage{}, &InputError{"FamilyParams.Cursor", "must be the Next of an earlier page"}
		}
	}

	var page FamilyPage
	err = t.conn.repeat(ctx, op, func(ctx context.Context) error {
		page.Tokens = nil
		return t.conn.db.NewSelect().Model(&page.Tokens).
			Where("t.session_id = ?", params.SessionID).
			Where("t.id > ?", after).
			OrderExpr("t.id").
			Limit(int64(limit) + 1).
			Scan(ctx)
	})
	if err != nil {
		return FamilyPage{}, err
	}
	if len(page.Tokens) > limit {
		page.Tokens = page.Tokens[:limit]
		page.Next = page.Tokens[limit-1].ID.String()
	}
	return page, nil
}
