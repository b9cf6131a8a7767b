package server

import (
	"net/http"
	"net/url"
	"strings"
)

// authenticate says which client sent a request (RFC 6749 2.3): client_secret_basic, client_secret_post, or none for a
// public one.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, form params) (*Client, *oauthError) {
	id, secret, basic := form.get("client_id"), form.get("client_secret"), false
	if header := r.Header.Get("Authorization"); header != "" {
		user, password, ok := basicCredentials(r)
		if !ok {
			return nil, invalidClient(w, true)
		}
		if secret != "" || id != "" && id != user {
			return nil, badRequest("invalid_request", "there must be one way of authentication only (RFC 6749 2.3)")
		}
		id, secret, basic = user, password, true
	}
	client := s.clients[id]
	if client == nil || client.isConfidential() != (secret != "") || client.isConfidential() && !client.hasSecret(secret) {
		return nil, invalidClient(w, basic)
	}
	note(r).client = client.ID
	if !client.isConfidential() { // it is whoever names it, so that no stranger may use up what is another's
		return client, nil
	}
	if wait, ok := s.clientLimiter.allow(client.ID); !ok {
		return nil, tooMany(wait)
	}
	return client, nil
}

// basicCredentials decodes as RFC 6749 2.3.1 has it: both parts are form-encoded inside the header.
func basicCredentials(r *http.Request) (user, password string, ok bool) {
	rawUser, rawPassword, ok := r.BasicAuth()
	if !ok {
		return "", "", false
	}
	user, userErr := url.QueryUnescape(rawUser)
	password, passwordErr := url.QueryUnescape(rawPassword)
	return user, password, userErr == nil && passwordErr == nil
}

// invalidClient answers 401, with a challenge to those who used the header (RFC 6749 5.2).
func invalidClient(w http.ResponseWriter, basic bool) *oauthError {
	if basic {
		w.Header().Set("WWW-Authenticate", `Basic realm="gptoauth", charset="UTF-8"`)
	}
	return &oauthError{status: http.StatusUnauthorized, code: "invalid_client"}
}

// fields splits a space-separated list; nil for the empty one.
func fields(s string) []string { return strings.Fields(s) }
