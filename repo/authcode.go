package repo

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// AuthCodes issues authorization codes and exchanges them (RFC 6749 4.1, RFC 7636).
type AuthCodes struct {
	conn *conn
}

// IssueParams is what an authorization request asked for and a person consented to.
type IssueParams struct {
	ClerkUserID string // who consented; at most 255 bytes
	ClientID    string // to whom; may be a URL; at most 2,048 bytes
	RedirectURI string // where the code goes; absolute, without a fragment; at most 2,048 bytes

	// CodeChallenge and its method, as in the request (RFC 7636 4.3: an absent method means plain).
	CodeChallenge       string
	CodeChallengeMethod string

	// WithoutPKCE issues a code without a challenge, for confidential clients that send none (Custom GPT Actions).
	// Whoever sees such a code can inject it into that client (RFC 9700 4.5); only the client's own authentication at the
	// exchange keeps others from spending it.
	WithoutPKCE bool

	Scope    string // space-separated (RFC 6749 3.3); may be empty; at most 4,096 bytes
	Resource string // space-separated (RFC 8707); may be empty; at most 4,096 bytes

	// Data is the host's own: a JSON object of at most 16 KB that Exchange and every Rotate give back (an OIDC nonce,
	// auth_time, a DPoP thumbprint). PostgreSQL keeps its meaning, not its spaces or the order of its keys.
	Data json.RawMessage

	TTL       time.Duration // at most 10 minutes; defaults to Config.CodeTTL
	IPAddress netip.Addr    // of the person; optional, for the audit trail
}

// IssueResult is a new authorization code.
type IssueResult struct {
	Code      Secret    `json:"-"` // for the redirect; shown once, only its digest is stored
	ID        uuid.UUID // for logs
	ExpiresAt time.Time // by the database's clock
}

func (p IssueParams) check() error {
	return firstError(
		checkRequired("IssueParams.ClerkUserID", p.ClerkUserID, maxIDLen),
		checkRequired("IssueParams.ClientID", p.ClientID, maxClientIDLen),
		checkRedirectURI("IssueParams.RedirectURI", p.RedirectURI),
		checkScope("IssueParams.Scope", p.Scope),
		checkResource("IssueParams.Resource", p.Resource),
		checkJSON("IssueParams.Data", p.Data),
		checkDuration("IssueParams.TTL", p.TTL, maxCodeTTL),
	)
}

// Issue writes an authorization code and an authorize event, in one transaction (RFC 6749 4.1.2). There is no session
// yet: it is born at the exchange, so that an abandoned sign-in leaves nothing behind.
//
// Bad params are an [*InputError] and nothing is written; any other error is a [*DatabaseError].
func (a *AuthCodes) Issue(ctx context.Context, params IssueParams) (_ IssueResult, err error) {
	ctx, op := a.conn.begin(ctx, "AuthCodes.Issue")
	defer op.end(&err)
	if params.TTL == 0 {
		params.TTL = a.conn.config.CodeTTL
	}
	if err := params.check(); err != nil {
		return IssueResult{}, err
	}
	challenge, err := params.storedChallenge(a.conn.config.AllowPlain)
	if err != nil {
		return IssueResult{}, err
	}

	r := routeOf(params.ClerkUserID)
	code := newSecret(codePrefix, r).text()
	result := IssueResult{Code: Secret(code), ID: newID(r)}
	call := a.conn.newCall("gpt_issue_code_v1").
		id(result.ID).
		digest(code).
		text(challenge).
		text(params.ClerkUserID).
		text(params.ClientID).
		text(params.RedirectURI).
		text(params.Scope).
		text(params.Resource).
		optional(string(params.Data)).
		micros(params.TTL).
		nullable(addressText(params.IPAddress)).
		eventID(r)
	expiresAt, err := a.conn.run(ctx, op, call)
	if err != nil {
		return IssueResult{}, err
	}
	result.ExpiresAt, err = parseTime(expiresAt)
	return result, done(op, err)
}

// ExchangeParams is a token request with grant_type=authorization_code (RFC 6749 4.1.3). What the client sent is passed
// on as it is, malformed or not: it yields an Outcome.
type ExchangeParams struct {
	Code         string // as presented
	ClientID     string // of the authenticated client, or as presented by a public one
	RedirectURI  string // may be left out if the code has a challenge (OAuth 2.1)
	CodeVerifier string // RFC 7636 4.5

	// ClientAuthenticated says that the host has verified the client's own credentials in this request. A code without
	// PKCE is not exchanged without.
	ClientAuthenticated bool

	IPAddress netip.Addr // of the request; optional, for the audit trail and the session
	UserAgent string     // of the request; optional; at most 2,048 bytes of valid UTF-8
}

// ExchangeResult is what became of a code.
type ExchangeResult struct {
	Grant

	// Outcome is Exchanged, Unknown, Mismatch, Replayed, Expired or Ended.
	Outcome Outcome
}

// Err returns nil if the outcome is [Exchanged], else an [*OutcomeError], which wraps [ErrInvalidGrant]. Look at the error of
// Exchange first: beside one there is no outcome.
func (r ExchangeResult) Err() error { return r.Outcome.err(Exchanged) }

// Exchange spends a code, once, for a session and its first refresh token, in one transaction and one round trip:
//
//   - [Exchanged]: the code was good. Of any number of calls at once exactly one is told so.
//   - [Unknown]: no such code.
//   - [Mismatch]: another client, redirect URI or verifier than the code was issued for, or a code without PKCE and no
//     ClientAuthenticated. The code is not burnt and nothing is revoked (OAuth 2.1 7.5.2).
//   - [Replayed]: it had been spent before. The session that it gave has been ended (RFC 6749 4.1.2, 10.5).
//   - [Expired]: it was too late.
//   - [Ended]: this very call had succeeded, its answer was lost, and the session was ended before it was repeated.
//
// Each outcome but Unknown, Expired and Ended writes an audit event in the same transaction. The error is an
// [*InputError] about UserAgent, or a [*DatabaseError]: the code is then as good as it was, unless the Effect is [Unsure]. In
// that case it may be spent, and exchanging it once more would be a replay; let the client begin anew.
func (a *AuthCodes) Exchange(ctx context.Context, params ExchangeParams) (r ExchangeResult, err error) {
	ctx, op := a.conn.begin(ctx, "AuthCodes.Exchange")
	defer op.endWith(&r.Outcome, &err)
	if err := checkText("ExchangeParams.UserAgent", params.UserAgent, maxUserAgentLen); err != nil {
		return ExchangeResult{}, err
	}
	code, ok := parseSecret(codePrefix, params.Code)
	if !ok {
		return ExchangeResult{Outcome: Unknown}, nil
	}

	token := newSecret(tokenPrefix, code.route).text()
	tokenID := newID(code.route)
	call := a.conn.newCall("gpt_exchange_code_v1").
		digest(params.Code).
		text(presentedText(params.ClientID, maxClientIDLen)).
		nullable(presentedRedirectURI(params.RedirectURI)).
		nullable(presentedChallenge(params.CodeVerifier)).
		bool(params.ClientAuthenticated).
		id(newID(code.route)).
		id(tokenID).
		digest(token).
		micros(a.conn.config.RefreshTTL).
		micros(a.conn.config.SessionTTL).
		nullable(addressText(params.IPAddress)).
		optional(params.UserAgent).
		eventID(code.route)

	row, err := a.conn.runRow(ctx, op, call)
	if err != nil {
		return ExchangeResult{}, err
	}
	r = ExchangeResult{Outcome: Outcome(row.text()), Grant: Grant{
		SessionID:        row.id(),
		ClerkUserID:      row.text(),
		Scope:            row.text(),
		Resource:         row.text(),
		Data:             row.json(),
		RefreshExpiresAt: row.time(),
		SessionExpiresAt: row.time(),
	}}
	if err := done(op, row.end()); err != nil {
		return ExchangeResult{}, err
	}
	if r.Outcome == Exchanged {
		r.RefreshToken = Secret(token)
		r.RefreshTokenID = tokenID
	}
	if r.Outcome == Replayed {
		a.conn.alert(ctx, op, SecurityEvent{EventCodeReplay, r.ClerkUserID, params.ClientID, r.SessionID, params.IPAddress})
	}
	return r, nil
}

// presentedRedirectURI is NULL for one that was left out.
func presentedRedirectURI(s string) sqlText {
	if s == "" {
		return sqlText{null: true}
	}
	return sqlText{text: presentedText(s, maxURILen)}
}
