// Package mcpauth protects an MCP server, or any other resource server in Go, with the access tokens of an authorization
// server that keeps its sessions in gptoauth. A signature alone stays good until it expires; [Verifier] also asks the
// store whether the session behind the token is alive, so that ending a session takes effect with the next request.
//
//	verifier := &mcpauth.Verifier{
//		Issuer:   "https://auth.example.com",
//		Audience: "https://mcp.example.com/mcp",
//		Keys:     &mcpauth.RemoteKeys{URL: "https://auth.example.com/.well-known/jwks.json"},
//		Sessions: store.Sessions,
//	}
//	handler := verifier.Protect(mcpHandler, mcpauth.ProtectOptions{
//		MetadataURL: "https://mcp.example.com/.well-known/oauth-protected-resource/mcp",
//	})
//
// [Verifier.Verify] is an auth.TokenVerifier of the MCP SDK, for those who have a middleware already.
package mcpauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
	"github.com/modelcontextprotocol/go-sdk/auth"
)

const defaultClockSkew = 5 * time.Second

// Algorithms are the signature algorithms that are accepted. RFC 9068 2.1 and 4: never none, and RS256 among them.
var Algorithms = []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256, jose.RS256}

// Sessions answers whether a session is alive. The store's field Sessions does.
type Sessions interface {
	Active(ctx context.Context, id uuid.UUID) (bool, error)
}

// Verifier checks access tokens: JWTs as of RFC 9068 whose sid claim names a session of gptoauth. All fields but ClockSkew
// are required. It is safe for use by many goroutines.
type Verifier struct {
	Issuer   string    // exactly as in the tokens' iss
	Audience string    // this resource server, which must be in the tokens' aud (RFC 8707)
	Keys     KeySource // of the issuer
	Sessions Sessions  // of the store

	// ClockSkew is how long after its expiry a token still counts. Defaults to 5 seconds.
	ClockSkew time.Duration
}

// Claims is what an access token says (RFC 9068 2.2).
type Claims struct {
	Issuer    string           `json:"iss"`
	Subject   string           `json:"sub"` // the person
	Audience  jwt.Audience     `json:"aud"`
	ClientID  string           `json:"client_id"`
	Scope     string           `json:"scope,omitempty"` // space-separated
	SessionID uuid.UUID        `json:"sid"`
	ID        string           `json:"jti"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
	ExpiresAt *jwt.NumericDate `json:"exp"`
}

// Parse checks a token's signature, type, issuer and expiry, and neither audience nor session: enough for the
// authorization server itself, which answers for all audiences. An error that wraps auth.ErrInvalidToken says that the
// token is no good, any other that the keys could not be had.
func (v *Verifier) Parse(ctx context.Context, token string) (Claims, error) {
	parsed, err := jwt.ParseSigned(token, Algorithms)
	if err != nil || len(parsed.Headers) != 1 {
		return Claims{}, invalid("it is not a signed JWT")
	}
	header := parsed.Headers[0]
	if !isAccessToken(header) {
		return Claims{}, invalid("its type is not at+jwt (RFC 9068 4)")
	}
	key, err := v.Keys.Key(ctx, header.KeyID)
	if errors.Is(err, ErrUnknownKey) {
		return Claims{}, invalid("its key is unknown")
	}
	if err != nil {
		return Claims{}, fmt.Errorf("mcpauth: keys of the issuer: %w", err)
	}

	var claims Claims
	if key.Algorithm != "" && key.Algorithm != header.Algorithm || parsed.Claims(key.Key, &claims) != nil {
		return Claims{}, invalid("its signature is not the issuer's")
	}
	return claims, v.check(claims)
}

func (v *Verifier) check(claims Claims) error {
	skew := v.ClockSkew
	if skew == 0 {
		skew = defaultClockSkew
	}
	switch {
	case claims.Issuer != v.Issuer:
		return invalid("it is from another issuer")
	case claims.ExpiresAt == nil || claims.IssuedAt == nil || claims.Subject == "" || claims.ClientID == "":
		return invalid("a required claim is missing (RFC 9068 2.2)")
	case time.Now().After(claims.ExpiresAt.Time().Add(skew)):
		return invalid("it has expired")
	default:
		return nil
	}
}

// Verify is an auth.TokenVerifier: Parse, and then the audience, and whether the session is still alive in the store. The
// person is UserID; [SessionID] and [ClientID] read the rest. The request is not looked at.
func (v *Verifier) Verify(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
	claims, err := v.Parse(ctx, token)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(claims.Audience, v.Audience) {
		return nil, invalid("it is for another resource (RFC 8707)")
	}
	alive, err := v.Sessions.Active(ctx, claims.SessionID)
	if err != nil {
		return nil, fmt.Errorf("mcpauth: session of the token: %w", err)
	}
	if !alive {
		return nil, invalid("its session has ended")
	}
	return &auth.TokenInfo{
		Scopes: strings.Fields(claims.Scope),
		// The middleware of the SDK knows no clock skew unless told, and this one has been allowed for.
		Expiration: maxTime(claims.ExpiresAt.Time(), time.Now().Add(time.Second)),
		UserID:     claims.Subject,
		Extra:      map[string]any{extraSessionID: claims.SessionID, extraClientID: claims.ClientID},
	}, nil
}

const (
	extraSessionID = "sid"
	extraClientID  = "client_id"
)

// SessionID returns the session of a verified token; zero if info is not from a [Verifier].
func SessionID(info *auth.TokenInfo) uuid.UUID {
	id, _ := info.Extra[extraSessionID].(uuid.UUID)
	return id
}

// ClientID returns the client of a verified token; empty if info is not from a [Verifier].
func ClientID(info *auth.TokenInfo) string {
	id, _ := info.Extra[extraClientID].(string)
	return id
}

// invalid never repeats anything of the token.
func invalid(reason string) error {
	return fmt.Errorf("mcpauth: the access token is refused: %s: %w", reason, auth.ErrInvalidToken)
}

func isAccessToken(header jose.Header) bool {
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	typ = strings.ToLower(typ)
	return typ == "at+jwt" || typ == "application/at+jwt"
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
