package repo

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Grant is what a person has granted to a client, and the refresh token that stands for it (RFC 6749 5.1).
//
// With an outcome other than success it holds at most SessionID and ClerkUserID, for the host's own alarms; tell the
// client nothing of them.
type Grant struct {
	SessionID   uuid.UUID       // the token family; sign it into access tokens as sid
	ClerkUserID string          // who granted it
	Scope       string          // space-separated, as consented to
	Resource    string          // space-separated (RFC 8707), as consented to
	Data        json.RawMessage // the host's own, as given to Issue; nil if none was

	RefreshToken     Secret    `json:"-"` // shown once; only its digest is stored
	RefreshTokenID   uuid.UUID // for logs
	RefreshExpiresAt time.Time // unless it is rotated before
	SessionExpiresAt time.Time // zero if the session has no absolute end
}

// optionalTime scans NULL as the zero time.
type optionalTime struct{ dest *time.Time }

// Scan implements sql.Scanner.
func (o optionalTime) Scan(value any) error {
	if t, ok := value.(time.Time); ok {
		*o.dest = t
	} else {
		*o.dest = time.Time{}
	}
	return nil
}

// optionalString scans NULL as the empty string.
type optionalString struct{ dest *string }

// Scan implements sql.Scanner.
func (o optionalString) Scan(value any) error {
	switch v := value.(type) {
	case string:
		*o.dest = v
	case []byte:
		*o.dest = string(v)
	default:
		*o.dest = ""
	}
	return nil
}
