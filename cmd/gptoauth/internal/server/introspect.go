package server

import (
	"net/http"
	"slices"
)

// introspection is RFC 7662 2.2. An inactive token has no field but Active.
type introspection struct {
	Active    bool     `json:"active"`
	TokenType string   `json:"token_type,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	ID        string   `json:"jti,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	ExpiresAt int64    `json:"exp,omitempty"`
}

// introspect answers RFC 7662 to confidential clients: about their own tokens, and to a resource server about all those
// for it.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	form, failure := bodyParams(w, r)
	if failure != nil {
		failure.write(w)
		return
	}
	client, failure := s.authenticate(w, r, form)
	if failure == nil && !client.isConfidential() {
		failure = invalidClient(w, true)
	}
	if failure == nil && form.get("token") == "" {
		failure = badRequest("invalid_request", "token is missing")
	}
	var answer introspection
	if failure == nil {
		answer, failure = s.describe(r, form.get("token"))
	}
	if failure != nil {
		failure.write(w)
		return
	}
	if !client.mayIntrospect(answer) {
		answer = introspection{}
	}
	noStore(w)
	writeJSON(w, http.StatusOK, answer)
}

// typeRefresh is the token_type of a refresh token, for which RFC 7662 2.2 has no word.
const typeRefresh = "refresh_token"

// describe says what a token of either kind is good for, whatever the hint says.
func (s *Server) describe(r *http.Request, token string) (introspection, *oauthError) {
	claims, err := s.verifier.Parse(r.Context(), token)
	if err != nil {
		return s.describeRefreshToken(r, token)
	}
	alive, err := s.store.Sessions.Active(r.Context(), claims.SessionID)
	if err != nil {
		return introspection{}, s.storeFailed(r, err)
	}
	if !alive {
		return introspection{}, nil
	}
	return introspection{
		Active: true, TokenType: "Bearer", ClientID: claims.ClientID, Scope: claims.Scope, Subject: claims.Subject,
		Audience: slices.Clone(claims.Audience), Issuer: claims.Issuer, SessionID: claims.SessionID.String(), ID: claims.ID,
		IssuedAt: claims.IssuedAt.Time().Unix(), ExpiresAt: claims.ExpiresAt.Time().Unix(),
	}, nil
}

func (s *Server) describeRefreshToken(r *http.Request, token string) (introspection, *oauthError) {
	found, err := s.store.RefreshTokens.Lookup(r.Context(), token)
	if err != nil {
		return introspection{}, s.storeFailed(r, err)
	}
	if !found.Active {
		return introspection{}, nil
	}
	session := found.Session
	return introspection{
		Active: true, TokenType: typeRefresh, ClientID: session.ClientID, Scope: session.Scope, Subject: session.ClerkUserID,
		Audience: s.audience(session.Resource), Issuer: s.config.Issuer, SessionID: session.ID.String(),
		IssuedAt: found.Token.CreatedAt.Unix(), ExpiresAt: found.Token.ExpiresAt.Unix(),
	}, nil
}
