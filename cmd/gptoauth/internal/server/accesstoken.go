package server

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/mcpauth"
)

// newAccessToken signs what a grant allows into a JWT (RFC 9068 2). sid names the session, so that a resource server can
// ask the store whether it is still alive.
func (s *Server) newAccessToken(clientID string, grant repo.Grant, scope string, audience []string) (token string, ttl time.Duration, err error) {
	now := time.Now()
	expires := now.Add(s.config.AccessTokenTTL)
	if end := grant.SessionExpiresAt; !end.IsZero() && end.Before(expires) {
		expires = end
	}
	token, err = jwt.Signed(s.keys.signer).Claims(mcpauth.Claims{
		Issuer:    s.config.Issuer,
		Subject:   grant.ClerkUserID,
		Audience:  audience,
		ClientID:  clientID,
		Scope:     scope,
		SessionID: grant.SessionID,
		ID:        rand.Text(),
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(expires),
	}).Serialize()
	if err != nil {
		return "", 0, fmt.Errorf("sign an access token: %w", err)
	}
	return token, expires.Sub(now), nil
}
