// Package wire is what the test of rolling upgrades and the programs of two releases say to each other: a line of JSON a
// request, a line of JSON an answer, in any order. Both releases are built with this package, so that it must compile with
// the packages repo and migrations of either.
package wire

import (
	"encoding/json"
	"time"

	"github.com/gptoauth/gptoauth/repo"
)

// Config is the durations of repo.Config.
type Config struct {
	CodeTTL    time.Duration `json:"code_ttl"`
	RefreshTTL time.Duration `json:"refresh_ttl"`
	SessionTTL time.Duration `json:"session_ttl"`
	Grace      time.Duration `json:"grace"`
}

// Request asks for a call.
type Request struct {
	ID     uint64          `json:"id"`
	Op     string          `json:"op"`
	Params json.RawMessage `json:"params"`
}

// Response answers the request with the same id.
type Response struct {
	ID      uint64          `json:"id"`
	Result  json.RawMessage `json:"result"`
	Secret  string          `json:"secret"` // the code or token in the result, which hides it from JSON
	Failure *Failure        `json:"failure"`
}

// Failure is an error.
type Failure struct {
	Text   string      `json:"text"`
	Effect repo.Effect `json:"effect"` // 0 if it is not one of the database
}

// EndUserParams are the arguments of EndUser.
type EndUserParams struct {
	ClerkUserID string `json:"clerk_user_id"`
	Reason      string `json:"reason"`
}
