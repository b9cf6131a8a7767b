package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"
)

const (
	clientID     = "client_1"
	redirectURI  = "https://chatgpt.com/aip/g-1/oauth/callback"
	codeLifetime = 10 * time.Minute
)

// errRefused is the answer to a call that a database gave up because of others at the same time: whoever made it may make it
// again. It is counted, and not as a call.
var errRefused = errors.New("refused because of others at the same time")

// peer is one way to keep codes and tokens.
type peer struct {
	name    string
	module  string // whose version is told
	migrate func(ctx context.Context, url string) error
	open    func(ctx context.Context, url string, clients int) (store, error)
}

// store is a peer with a connection for each client.
type store interface {
	// issue stores an authorization code for someone new, over the connection of this client where each has its own.
	issue(ctx context.Context, client int) (grant, error)
	close() error
}

// grant is what a client holds of one sign-in: a code, and once that is exchanged a refresh token. Either method fails unless
// it was given a new refresh token.
type grant interface {
	exchange(ctx context.Context) error
	rotate(ctx context.Context) error
}

var library = peer{name: "library", module: "github.com/gptoauth/gptoauth", migrate: migrateLibrary, open: openLibrary}

var peers = map[string]peer{
	"hydra": {name: "hydra", module: "github.com/ory/hydra/v2", migrate: migrateHydra, open: openHydra},
	"dex":   {name: "dex", module: "github.com/dexidp/dex", migrate: migrateDex, open: openDex},
}

// newVerifier also returns the challenge of it that S256 makes.
func newVerifier() (verifier, challenge string) {
	verifier = rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	return verifier, base64.RawURLEncoding.EncodeToString(sum[:])
}

// changed is nil if a call has given a refresh token that was not there before.
func changed(before, after string) error {
	if after == "" || after == before {
		return errors.New("there is no new refresh token")
	}
	return nil
}
