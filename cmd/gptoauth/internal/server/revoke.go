package server

import (
	"net/http"

	"github.com/gptoauth/gptoauth/repo"
)

// reasonRevoked is the audit trail's word for a session that was ended by revoking one of its access tokens.
const reasonRevoked = "access_token_revoke"

// revoke answers RFC 7009: a refresh token, of any generation, or an access token ends its session at once. A token that
// is unknown or no longer good is a success; one of another client is not.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	form, failure := bodyParams(w, r)
	if failure != nil {
		failure.write(w)
		return
	}
	client, failure := s.authenticate(w, r, form)
	if failure == nil {
		failure = s.revokeToken(r, client, form.get("token"))
	}
	if failure != nil {
		failure.write(w)
		return
	}
	noStore(w)
	w.WriteHeader(http.StatusOK)
}

// revokeToken searches both kinds of token, whatever the hint says (RFC 7009 2.1).
func (s *Server) revokeToken(r *http.Request, client *Client, token string) *oauthError {
	if token == "" {
		return badRequest("invalid_request", "token is missing")
	}
	claims, err := s.verifier.Parse(r.Context(), token)
	if err == nil {
		if claims.ClientID != client.ID {
			return invalidGrant()
		}
		params := repo.EndParams{SessionID: claims.SessionID, Reason: reasonRevoked, IPAddress: s.addressOf(r)}
		if _, err := s.store.Sessions.End(r.Context(), params); err != nil {
			return s.storeFailed(r, err)
		}
		s.observe(r, "revoke", repo.Revoked)
		return nil
	}
	result, err := s.store.RefreshTokens.Revoke(r.Context(), repo.RevokeParams{
		RefreshToken: token,
		ClientID:     client.ID,
		IPAddress:    s.addressOf(r),
	})
	if err != nil {
		return s.storeFailed(r, err)
	}
	s.observe(r, "revoke", result.Outcome)
	if result.Err() != nil {
		return invalidGrant()
	}
	return nil
}
