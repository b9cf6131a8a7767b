package repo

import (
	"errors"
	"slices"
)

// Outcome says what became of something the remote party sent: a code, a token, a client id. It is a value and not an
// error, because some outcomes carry a remedy that is written in the same transaction, such as ending the session whose
// token was reused. An error returned inside [bun.DB.RunInTx] would undo that remedy; an Outcome does not.
type Outcome string

// The outcomes. Towards the client each but the successes is the one error invalid_grant (RFC 6749 5.2).
const (
	// Exchanged: the code was good and is spent; here are the session and its refresh token.
	Exchanged Outcome = "exchanged"
	// Rotated: the refresh token was the current one and is replaced by a new one.
	Rotated Outcome = "rotated"
	// Retried: the refresh token had just been replaced, and here is the very same successor again.
	Retried Outcome = "retried"
	// Revoked: the session of the presented token has been ended.
	Revoked Outcome = "revoked"
	// Unknown: malformed, never issued, or purged long ago.
	Unknown Outcome = "unknown"
	// Mismatch: issued, but to another client, for another redirect URI, or with another PKCE challenge. Nothing changed.
	Mismatch Outcome = "mismatch"
	// Expired: its time is over.
	Expired Outcome = "expired"
	// Ended: the session has been ended or is past its absolute end.
	Ended Outcome = "ended"
	// Replayed: the code had been exchanged before. The session it gave has been ended (RFC 6749 4.1.2).
	Replayed Outcome = "replayed"
	// Reused: the refresh token had been rotated before. The session has been ended (RFC 9700 4.14.2).
	Reused Outcome = "reused"
)

// ErrInvalidGrant is wrapped by every error that the Err method of a result returns: answer the client with
// invalid_grant, and nothing more.
var ErrInvalidGrant = errors.New("invalid_grant")

// OutcomeError is an Outcome as an error, for those who want one. It wraps [ErrInvalidGrant].
type OutcomeError struct {
	Outcome Outcome // not for the client: to it all are invalid_grant
}

// Error implements error.
func (e *OutcomeError) Error() string { return "repo: invalid_grant: " + string(e.Outcome) }

// Unwrap returns [ErrInvalidGrant].
func (e *OutcomeError) Unwrap() error { return ErrInvalidGrant }

// err returns nil for the successes of an operation, else an *OutcomeError.
func (o Outcome) err(successes ...Outcome) error {
	if slices.Contains(successes, o) {
		return nil
	}
	return &OutcomeError{Outcome: o}
}
