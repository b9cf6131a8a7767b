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
